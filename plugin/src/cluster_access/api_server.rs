//! Reading objects off an API server, as the JSON that it sends.

use std::fmt;
use std::time::Duration;

use kube::Client;
use kube::api::{ApiResource, DynamicObject, GetParams, ListParams};
use kube::core::request::Request;
use kube::core::{Resource as _, Status};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::{CommandError, chain};

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// An API server that somebody is logged in to.
pub(crate) struct ApiServer {
    client: Client,
    address: String,
    timeout: Option<Duration>,
}

/// What is done to objects, as RBAC names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Get,
    List,
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Verb::Get => "get",
            Verb::List => "list",
        })
    }
}

/// Objects of one kind, in one namespace or in all that there are.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) resource: ApiResource,
    pub(crate) namespace: Option<String>,
}

impl fmt::Display for Objects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.resource.plural)?;
        if !self.resource.group.is_empty() {
            write!(formatter, ".{}", self.resource.group)?;
        }
        match &self.namespace {
            Some(namespace) => write!(formatter, " in namespace {namespace}"),
            None => Ok(()),
        }
    }
}

impl Objects {
    fn request(&self) -> Request {
        Request::new(DynamicObject::url_path(
            &self.resource,
            self.namespace.as_deref(),
        ))
    }
}

/// Something could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {objects}")]
pub(crate) struct AccessError {
    verb: Verb,
    objects: Box<Objects>,
    #[source]
    reason: AccessErrorReason,
}

/// Why. No answer is quoted but what the API server says for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessErrorReason {
    #[error("{0}")]
    Forbidden(String),
    #[error("the API server does not know who you are: {0}")]
    Unauthorized(String),
    #[error("the API server does not know the kind")]
    NoSuchKind,
    #[error("{0}")]
    Refused(String),
    #[error("{address} does not answer: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("{address} took longer than {} s to answer", .after.as_secs_f64())]
    TimedOut { address: String, after: Duration },
    #[error("the answer cannot be read")]
    Answer,
}

impl AccessError {
    /// Whether the user may not.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self.reason, AccessErrorReason::Forbidden(_))
    }

    fn hint(&self) -> Option<String> {
        match &self.reason {
            AccessErrorReason::Forbidden(_) => Some(format!(
                "you need a Role or ClusterRole that allows `{}` on {}",
                self.verb, self.objects
            )),
            AccessErrorReason::NoSuchKind => {
                Some("Argo CD is not installed there: look at --context".to_owned())
            }
            AccessErrorReason::Unauthorized(_) => {
                Some("`kubectl auth whoami` with the same flags shows who you are".to_owned())
            }
            AccessErrorReason::Unreachable { .. } | AccessErrorReason::TimedOut { .. } => {
                Some("compare with files instead by --against PATH".to_owned())
            }
            AccessErrorReason::Refused(_) | AccessErrorReason::Answer => None,
        }
    }
}

impl From<AccessError> for CommandError {
    fn from(error: AccessError) -> Self {
        let hint = error.hint();
        let error = CommandError::new(error);
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue", default)]
    next: Option<String>,
}

impl ApiServer {
    pub(super) fn new(client: Client, address: String, timeout: Option<Duration>) -> Self {
        ApiServer {
            client,
            address,
            timeout,
        }
    }

    /// What is made of the JSON of each object. The text is wiped afterwards: it may be a Secret.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn list<T>(
        &self,
        objects: &Objects,
        labels: Option<&str>,
        mut read: impl FnMut(&str) -> T,
    ) -> Result<Vec<T>, AccessError> {
        let failed = |reason| AccessError {
            verb: Verb::List,
            objects: Box::new(objects.clone()),
            reason,
        };
        let mut parameters = ListParams::default().limit(PAGE);
        parameters.label_selector = labels.map(str::to_owned);
        let mut made = Vec::new();
        loop {
            let request = objects.request().list(&parameters);
            let text = self.answer(request).await.map_err(failed)?;
            let list: List<'_> =
                serde_json::from_str(&text).map_err(|_| failed(AccessErrorReason::Answer))?;
            made.extend(list.items.iter().map(|item| read(item.get())));
            let next = list.metadata.next.filter(|next| !next.is_empty());
            if next.is_none() {
                return Ok(made);
            }
            // It would never end.
            if next == parameters.continue_token {
                return Err(failed(AccessErrorReason::Answer));
            }
            parameters.continue_token = next;
        }
    }

    /// What is made of the JSON of one object; None if it, or its kind, does not exist.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn get<T>(
        &self,
        objects: &Objects,
        name: &str,
        read: impl FnOnce(&str) -> T,
    ) -> Result<Option<T>, AccessError> {
        let request = objects.request().get(name, &GetParams::default());
        match self.answer(request).await {
            Ok(text) => Ok(Some(read(&text))),
            Err(AccessErrorReason::NoSuchKind) => Ok(None),
            Err(reason) => Err(AccessError {
                verb: Verb::Get,
                objects: Box::new(objects.clone()),
                reason,
            }),
        }
    }

    async fn answer(
        &self,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Zeroizing<String>, AccessErrorReason> {
        let request = request.map_err(|error| AccessErrorReason::Refused(chain(&error)))?;
        let answer = self.client.request_text(request);
        let answer = match self.timeout {
            None => answer.await,
            Some(after) => tokio::time::timeout(after, answer).await.map_err(|_| {
                AccessErrorReason::TimedOut {
                    address: self.address.clone(),
                    after,
                }
            })?,
        };
        answer
            .map(Zeroizing::new)
            .map_err(|error| self.reason(error))
    }

    fn reason(&self, error: kube::Error) -> AccessErrorReason {
        match error {
            kube::Error::Api(status) => refusal(*status),
            kube::Error::FromUtf8(_) | kube::Error::SerdeError(_) => AccessErrorReason::Answer,
            other => AccessErrorReason::Unreachable {
                address: self.address.clone(),
                reason: innermost(&other),
            },
        }
    }
}

fn refusal(status: Status) -> AccessErrorReason {
    match status.code {
        401 => AccessErrorReason::Unauthorized(status.message),
        403 => AccessErrorReason::Forbidden(status.message),
        404 => AccessErrorReason::NoSuchKind,
        _ => AccessErrorReason::Refused(status.message),
    }
}

/// The cause at the end of the chain. What is around it repeats it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
