//! Objects of a cluster that the rules are about: which of them, and how they are listed.

use argocd::names::CLUSTER_SECRETS;
use policy::Kind;

use super::api_server::{AccessError, ApiServer, Objects};
use super::resource::resource_of;
use crate::error::{CommandError, chain};

/// Some of the objects of these kinds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'s> {
    /// None for all.
    pub(crate) namespace: Option<&'s str>,
    /// The namespace that Argo CD runs in. Secrets elsewhere are not clusters to it.
    pub(crate) argocd_namespace: &'s str,
    /// A label selector.
    pub(crate) selector: Option<&'s str>,
}

/// The API server refuses a selector.
#[derive(Debug, thiserror::Error)]
#[error("--selector {selector:?}")]
struct SelectorError {
    selector: String,
    #[source]
    source: AccessError,
}

/// What was made of the objects.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    pub(crate) made: Vec<T>,
    /// What could not be listed.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Objects that the user may not list.
#[derive(Debug)]
pub(crate) struct LeftOut {
    /// Their kind, such as `applications.argoproj.io`.
    pub(crate) kind: String,
    /// What the API server says.
    pub(crate) reason: String,
}

impl Selection<'_> {
    /// What is made of the JSON of each object, kind by kind. A kind that may not be listed is left
    /// out and told.
    ///
    /// # Errors
    /// A kind cannot be listed for another reason than that it is forbidden.
    pub(crate) async fn list<T>(
        self,
        server: &ApiServer,
        mut read: impl FnMut(Kind, &str) -> T,
    ) -> Result<Listed<T>, CommandError> {
        let mut listed = Listed {
            made: Vec::new(),
            left_out: Vec::new(),
        };
        for kind in Kind::JUDGED {
            let Some(objects) = self.objects(kind) else {
                continue;
            };
            let labels = self.labels(kind);
            let read = |json: &str| read(kind, json);
            match server.list(&objects, labels.as_deref(), read).await {
                // Most people may not read Secrets.
                Err(error) if error.is_forbidden() => {
                    listed.left_out.push(LeftOut {
                        kind: objects.qualified(),
                        reason: chain(&error),
                    });
                }
                result => {
                    let made = result.map_err(|error| self.explain(error))?;
                    listed.made.extend(made);
                }
            }
        }
        Ok(listed)
    }

    /// What is wrong with a request is the one thing in it that the user wrote.
    fn explain(self, error: AccessError) -> CommandError {
        match self.selector {
            Some(selector) if error.is_bad_request() => CommandError::new(SelectorError {
                selector: selector.to_owned(),
                source: error,
            }),
            _ => error.into(),
        }
    }

    /// Where there may be objects of a kind; None if that is nowhere.
    fn objects(self, kind: Kind) -> Option<Objects> {
        let namespace = match (kind, self.namespace) {
            (Kind::ClusterSecret, Some(own)) if own != self.argocd_namespace => return None,
            (Kind::ClusterSecret, _) => Some(self.argocd_namespace),
            (_, own) => own,
        };
        Some(Objects {
            resource: resource_of(kind),
            namespace: namespace.map(str::to_owned),
        })
    }

    fn labels(self, kind: Kind) -> Option<String> {
        match (kind, self.selector) {
            (Kind::ClusterSecret, Some(own)) => Some(format!("{own},{CLUSTER_SECRETS}")),
            (Kind::ClusterSecret, None) => Some(CLUSTER_SECRETS.to_owned()),
            (_, own) => own.map(str::to_owned),
        }
    }
}
