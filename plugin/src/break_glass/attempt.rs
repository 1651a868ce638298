//! What Argo CD gave up on when the webhook refused it.
//!
//! An override changes nothing by itself. Argo CD does not sync a revision again that it failed to
//! sync, not even with auto-sync, and tries to generate an Application again after up to a quarter
//! of an hour.

use policy::finding::shorten;
use policy::{Inventory, Kind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Live;
use crate::args::target::parse_name;
use crate::error::CommandError;
use crate::kubernetes::{AccessError, ApiServer, objects_of};

/// Something that the webhook refused, and how it is tried again.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// [`Kind::Application`], whose sync it was, or [`Kind::ApplicationSet`].
    kind: Kind,
    namespace: String,
    name: String,
    /// What Argo CD noted.
    message: String,
    sync_policy: SyncPolicy,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    metadata: Metadata,
    operation: Option<Value>,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    resource_version: String,
    annotations: Annotations,
    labels: Labels,
}

/// Which Application an object is part of.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    /// `APPLICATION:GROUP/KIND:NAMESPACE/NAME`.
    #[serde(rename = "argocd.argoproj.io/tracking-id")]
    tracking_id: Option<String>,
}

/// The same, where Argo CD is set up to go by a label.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "app.kubernetes.io/instance")]
    instance: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    sync_policy: Option<SyncPolicy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SyncPolicy {
    automated: Option<Automated>,
    sync_options: Option<Value>,
    retry: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Automated {
    enabled: Option<bool>,
    prune: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    operation_state: Option<OperationState>,
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OperationState {
    phase: String,
    message: String,
    sync_result: Option<SyncResult>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SyncResult {
    resources: Vec<ResourceResult>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResourceResult {
    kind: String,
    namespace: String,
    name: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    message: String,
}

/// Starts an ApplicationSet's controller at once, which takes it off again.
const APPLICATION_SET_REFRESH: &str = "argocd.argoproj.io/application-set-refresh";
/// How much is repeated of what Argo CD noted, which names everything that failed.
const MESSAGE_LIMIT: usize = 300;

/// How often a sync is asked for where others write to the Application all the time.
const ATTEMPTS: usize = 10;

impl Attempt {
    /// What was refused last of an object itself, or of the Application that it is part of. Where
    /// that may not be read there is nothing.
    ///
    /// # Errors
    /// The API server fails.
    pub(crate) async fn refused(
        server: &ApiServer,
        live: &Live,
        argocd_namespace: &str,
    ) -> Result<Option<Self>, AccessError> {
        let own = server.get(&live.objects(), live.name(), read).await?;
        let Some(own) = own.flatten() else {
            return Ok(None);
        };
        let parent = own.parent(argocd_namespace);
        if let Some(message) = own.refusal(live.kind) {
            let (namespace, name) = (live.namespace().to_owned(), live.name().to_owned());
            return Ok(Some(own.into_attempt(live.kind, namespace, name, message)));
        }
        let Some((namespace, name)) = parent else {
            return Ok(None);
        };
        let applications = objects_of(Kind::Application, &namespace);
        let parent = match server.get(&applications, &name, read).await {
            Err(error) if error.is_forbidden() => None,
            result => result?.flatten(),
        };
        Ok(parent.and_then(|parent| {
            let message = parent.refusal_of(live)?;
            Some(parent.into_attempt(Kind::Application, namespace, name, message))
        }))
    }

    /// Whether it is a sync, which writes as Argo CD's application controller.
    pub(crate) fn is_sync(&self) -> bool {
        self.kind == Kind::Application
    }

    /// What was refused.
    pub(crate) fn refusal(&self) -> String {
        let name = &self.name;
        let message = shorten(&self.message, MESSAGE_LIMIT);
        if self.is_sync() {
            format!("the webhook refused the last sync of application/{name}: {message}")
        } else {
            format!("the webhook refused what applicationset/{name} generates: {message}")
        }
    }

    /// What it means that it was refused, and what helps.
    pub(crate) fn advice(&self) -> &'static str {
        if self.is_sync() {
            "Argo CD does not sync the same revision again by itself"
        } else {
            "Argo CD tries it again by itself within a quarter of an hour, or at once"
        }
    }

    /// What happens once it is tried again.
    pub(crate) fn started(&self) -> String {
        if self.is_sync() {
            format!("application/{} is synced again", self.name)
        } else {
            format!("applicationset/{} is generated again", self.name)
        }
    }

    /// The command that tries it again.
    pub(crate) fn command(&self, argocd_namespace: &str) -> String {
        let Attempt {
            name, namespace, ..
        } = self;
        match self.kind {
            Kind::Application if namespace == argocd_namespace => format!("argocd app sync {name}"),
            Kind::Application => format!("argocd app sync {namespace}/{name}"),
            _ => format!(
                "kubectl annotate applicationset/{name} -n {namespace} {APPLICATION_SET_REFRESH}=true"
            ),
        }
    }

    /// Tries it again: a sync as Argo CD's own API server would start it, with the Application's
    /// options.
    ///
    /// # Errors
    /// It is not started.
    pub(crate) async fn start(
        &self,
        server: &ApiServer,
        username: Option<&str>,
    ) -> Result<(), CommandError> {
        let objects = objects_of(self.kind, &self.namespace);
        let mut change = if self.is_sync() {
            json!({"metadata": {}, "operation": self.sync_policy.operation(username)})
        } else {
            json!({"metadata": {"annotations": {APPLICATION_SET_REFRESH: "true"}}})
        };
        let mut attempts = 1..=ATTEMPTS;
        loop {
            // Whoever starts a sync in between must not be overwritten.
            let now = server.get(&objects, &self.name, read).await?.flatten();
            let now = now.unwrap_or_default();
            if now.operation.is_some() {
                return Err(CommandError::new(format!(
                    "application/{}: operation: a sync is under way already",
                    self.name
                )));
            }
            change["metadata"]["resourceVersion"] = now.metadata.resource_version.into();
            let patch = server.patch(&objects, &self.name, &change, false, |_| ());
            match patch.await {
                Err(error) if error.is_conflict() && attempts.next().is_some() => {}
                result => return result.map_err(CommandError::from),
            }
        }
    }
}

impl Document {
    fn into_attempt(self, kind: Kind, namespace: String, name: String, message: String) -> Attempt {
        Attempt {
            kind,
            namespace,
            name,
            message,
            sync_policy: self.spec.sync_policy.unwrap_or_default(),
        }
    }

    /// The namespace and the name of the Application that it is part of.
    fn parent(&self, argocd_namespace: &str) -> Option<(String, String)> {
        let Metadata {
            annotations,
            labels,
            ..
        } = &self.metadata;
        let of_annotation = annotations.tracking_id.as_deref();
        let of_annotation = of_annotation.and_then(|id| Some(id.split_once(':')?.0));
        let tracked = of_annotation.or(labels.instance.as_deref())?;
        // An Application outside of Argo CD's namespace is known by both.
        let (namespace, name) = tracked
            .split_once('_')
            .unwrap_or((argocd_namespace, tracked));
        Some((parse_name(namespace).ok()?, parse_name(name).ok()?))
    }

    /// What refused the last sync, or what an ApplicationSet generates.
    fn refusal(&self, kind: Kind) -> Option<String> {
        match kind {
            Kind::Application => self.failed_sync().map(|state| state.message.clone()),
            Kind::ApplicationSet => {
                let mut conditions = self.status.conditions.iter();
                let failed = conditions.find(|condition| {
                    condition.kind == "ErrorOccurred"
                        && condition.status == "True"
                        && is_ours(&condition.message)
                })?;
                Some(failed.message.clone())
            }
            _ => None,
        }
    }

    /// What refused an object in the last sync.
    fn refusal_of(&self, live: &Live) -> Option<String> {
        let results = &self.failed_sync()?.sync_result.as_ref()?.resources;
        let refused = results.iter().find(|result| {
            result.kind == live.reference.kind
                && result.namespace == live.namespace()
                && result.name == live.name()
                && is_ours(&result.message)
        })?;
        Some(refused.message.clone())
    }

    fn failed_sync(&self) -> Option<&OperationState> {
        let state = self.status.operation_state.as_ref()?;
        let failed = matches!(&*state.phase, "Failed" | "Error") && is_ours(&state.message);
        failed.then_some(state)
    }
}

impl SyncPolicy {
    /// What a sync is told. Argo CD takes the options from here alone, and not from the spec.
    fn operation(&self, username: Option<&str>) -> Value {
        let mut sync = Map::new();
        if let Some(options) = &self.sync_options {
            sync.insert("syncOptions".to_owned(), options.clone());
        }
        if self.automated.as_ref().is_some_and(Automated::prunes) {
            sync.insert("prune".to_owned(), true.into());
        }
        let mut operation = json!({"sync": sync});
        if let Some(username) = username {
            operation["initiatedBy"] = json!({"username": username});
        }
        if let Some(retry) = &self.retry {
            operation["retry"] = retry.clone();
        }
        operation
    }
}

impl Automated {
    fn prunes(&self) -> bool {
        self.enabled != Some(false) && self.prune == Some(true)
    }
}

/// Whether overrides count that the sync of an Application needs: it writes as Argo CD's
/// application controller, whoever started it.
pub(crate) fn covers_syncs(inventory: &Inventory, argocd_namespace: &str) -> bool {
    let policy = inventory.policy();
    let is_controller = |account: &String| {
        let username = format!("system:serviceaccount:{}", account.replacen('/', ":", 1));
        policy
            .argocd
            .service_accounts
            .is_application_controller(&username, argocd_namespace)
    };
    let terms = &policy.break_glass;
    terms.from_git || terms.service_accounts.iter().any(is_controller)
}

fn read(json: &str) -> Option<Document> {
    serde_json::from_str(json).ok()
}

/// Whether it was our webhook.
fn is_ours(message: &str) -> bool {
    message.contains(".kubectl-gitops.io\" denied the request: ")
}
