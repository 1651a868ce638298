//! The root of the app-of-apps in the devops cluster: applied, and waited for until Argo CD has
//! synced it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::Kind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::layout::ROOT;
use crate::args::target::parse_name;
use crate::kubernetes::{AccessError, ApiServer, FieldManager, objects_of};
use crate::plan::{Change, Outcome, Plan, Step};
use crate::wait::Wait;

/// How often Argo CD is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// Has Argo CD look at the repository at once; it takes it off again.
const REFRESH: &str = "argocd.argoproj.io/refresh";

/// The root Application and its AppProject, as they are in a folder.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    project: Manifest,
    application: Manifest,
}

/// An object of a file.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    kind: Kind,
    path: PathBuf,
    namespace: String,
    object: Value,
}

/// What is done with the root.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Apply {
        manifest: Box<Manifest>,
        /// Whether it can be asked whether that would be admitted: an Application is not where its
        /// AppProject is not there.
        can_be_asked: bool,
    },
    Wait,
}

/// The root cannot be laid into the cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {}", .path.display())]
    Yaml {
        path: PathBuf,
        #[source]
        source: golang::yaml::Error,
    },
    #[error("{}: {field}: it is {is}: expected {expected}", .path.display())]
    OtherObject {
        path: PathBuf,
        field: &'static str,
        is: String,
        expected: &'static str,
    },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("Argo CD has not synced it within {}: it is {state}", seconds(*.within))]
    NotSynced { within: Duration, state: State },
    #[error("Argo CD could not sync it: {0}")]
    Failed(String),
    #[error("it is gone")]
    Gone,
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

impl RootError {
    /// Whether the folder has no root.
    pub(crate) fn is_without_root(&self) -> bool {
        matches!(self, RootError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl Root {
    /// That of a folder.
    ///
    /// # Errors
    /// It has none that could be applied.
    pub(crate) fn of_folder(folder: &Path) -> Result<Self, RootError> {
        let project = folder.join("bootstrap/projects/root.yaml");
        let application = folder.join("bootstrap/root.yaml");
        Ok(Root {
            project: Manifest::read(Kind::AppProject, project)?,
            application: Manifest::read(Kind::Application, application)?,
        })
    }

    /// What has to be done until the cluster has it, and Argo CD has synced it.
    ///
    /// # Errors
    /// The cluster cannot be read.
    pub(crate) async fn plan(&self, server: &ApiServer) -> Result<Plan<Action>, RootError> {
        let mut steps = Vec::new();
        let project = self.project.step(server, true).await?;
        let has_project = project.is != ABSENT;
        steps.push(project);
        steps.push(self.application.step(server, has_project).await?);
        let is_applied = steps.iter().all(|step| matches!(step.change, Change::None));
        steps.push(self.sync_step(server, is_applied).await?);
        Ok(Plan { steps })
    }

    async fn sync_step(
        &self,
        server: &ApiServer,
        is_applied: bool,
    ) -> Result<Step<Action>, RootError> {
        let state = self.application.state(server).await?;
        let change = match &state {
            Some(state) if is_applied && state.is_synced() => Change::None,
            _ => Change::Make {
                should_be: "Synced".to_owned(),
                action: Action::Wait,
                how: vec![format!("argocd app wait {ROOT} --sync --operation")],
                undo: Vec::new(),
            },
        };
        let is = state.map_or_else(|| ABSENT.to_owned(), |state| state.to_string());
        Ok(Step {
            what: format!("sync of application/{ROOT}"),
            is,
            change,
        })
    }

    /// Does one step of the plan, or asks only whether it would be admitted.
    ///
    /// # Errors
    /// It is not done, or not within a time.
    pub(crate) async fn act(
        &self,
        action: &Action,
        only_ask: bool,
        server: &ApiServer,
        within: Duration,
        told: impl FnMut(&State),
    ) -> Result<Outcome, RootError> {
        match action {
            Action::Wait
            | Action::Apply {
                can_be_asked: false,
                ..
            } if only_ask => Ok(Outcome::NotAsked),
            Action::Apply { manifest, .. } => manifest.apply(server, only_ask).await,
            Action::Wait => self.application.wait(server, within, told).await,
        }
    }
}

const ABSENT: &str = "absent";

impl Manifest {
    fn read(kind: Kind, path: PathBuf) -> Result<Self, RootError> {
        let text = fs::read_to_string(&path);
        let text = text.map_err(|source| RootError::Read {
            path: path.clone(),
            source,
        })?;
        let object = golang::yaml::value(&text);
        let object = object.map_err(|source| RootError::Yaml {
            path: path.clone(),
            source,
        })?;
        let expect = |field, pointer: &str, expected: &'static str| {
            let is = object.pointer(pointer).unwrap_or(&Value::Null);
            if *is == expected {
                return Ok(());
            }
            Err(RootError::OtherObject {
                path: path.clone(),
                field,
                is: is.to_string(),
                expected,
            })
        };
        expect("apiVersion", "/apiVersion", "argoproj.io/v1alpha1")?;
        let kind_name = match kind {
            Kind::AppProject => "AppProject",
            _ => "Application",
        };
        expect("kind", "/kind", kind_name)?;
        expect("metadata.name", "/metadata/name", ROOT)?;
        let namespace = object["metadata"]["namespace"].as_str();
        let namespace = namespace.and_then(|name| parse_name(name).ok());
        let namespace = namespace.ok_or_else(|| RootError::OtherObject {
            path: path.clone(),
            field: "metadata.namespace",
            is: object["metadata"]["namespace"].to_string(),
            expected: "the namespace that Argo CD runs in",
        })?;
        Ok(Manifest {
            kind,
            path,
            namespace,
            object,
        })
    }

    /// `application/root`.
    fn name(&self) -> String {
        let kind = match self.kind {
            Kind::AppProject => "appproject",
            _ => "application",
        };
        format!("{kind}/{ROOT}")
    }

    async fn step(
        &self,
        server: &ApiServer,
        can_be_asked: bool,
    ) -> Result<Step<Action>, RootError> {
        let objects = objects_of(self.kind, &self.namespace);
        let live = server.get(&objects, ROOT, |json| {
            serde_json::from_str::<Value>(json).unwrap_or_default()
        });
        let live = live.await?;
        let what = self.name();
        let is = match &live {
            None => ABSENT,
            Some(live) if says(live, &self.object) => {
                return Ok(Step {
                    what,
                    is: "as in the file".to_owned(),
                    change: Change::None,
                });
            }
            Some(_) => "different",
        };
        let Manifest {
            path, namespace, ..
        } = self;
        let delete = format!("kubectl delete {what} --namespace {namespace}");
        Ok(Step {
            what,
            is: is.to_owned(),
            change: Change::Make {
                should_be: format!("as in {}", path.display()),
                action: Action::Apply {
                    manifest: Box::new(self.clone()),
                    can_be_asked,
                },
                how: vec![format!(
                    "kubectl apply --server-side --field-manager kubectl-gitops --filename {}",
                    path.display()
                )],
                undo: if live.is_none() {
                    vec![delete]
                } else {
                    Vec::new()
                },
            },
        })
    }

    async fn apply(&self, server: &ApiServer, only_ask: bool) -> Result<Outcome, RootError> {
        let objects = objects_of(self.kind, &self.namespace);
        let manager = FieldManager::Plugin;
        server
            .apply(&objects, ROOT, &self.object, manager, only_ask)
            .await?;
        Ok(if only_ask {
            Outcome::WouldBeDone
        } else {
            Outcome::Done
        })
    }

    async fn state(&self, server: &ApiServer) -> Result<Option<State>, RootError> {
        let objects = objects_of(self.kind, &self.namespace);
        let state = server.get(&objects, ROOT, State::of);
        Ok(state.await?)
    }

    /// Has Argo CD look, and looks at it until it has synced what it saw.
    async fn wait(
        &self,
        server: &ApiServer,
        within: Duration,
        mut told: impl FnMut(&State),
    ) -> Result<Outcome, RootError> {
        let objects = objects_of(self.kind, &self.namespace);
        let refresh = json!({"metadata": {"annotations": {REFRESH: "normal"}}});
        server
            .patch(&objects, ROOT, &refresh, false, |_| ())
            .await?;
        let mut wait = Wait::up_to(within, PAUSE);
        let mut last = None;
        loop {
            let state = self.state(server).await?.ok_or(RootError::Gone)?;
            if state.is_synced() {
                return Ok(Outcome::Done);
            }
            if let Some(failure) = state.failure() {
                return Err(RootError::Failed(failure));
            }
            if last.as_ref() != Some(&state) {
                told(&state);
                last = Some(state.clone());
            }
            if !wait.goes_on().await {
                return Err(RootError::NotSynced { within, state });
            }
        }
    }
}

/// Whether an object has everything that another one says. What is empty need not be there: Argo CD
/// drops it.
fn says(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            let live = live.get(key);
            live.map_or_else(|| is_empty(wanted), |live| says(live, wanted))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| says(live, wanted))
        }
        (live, wanted) => live == wanted || is_empty(live) && is_empty(wanted),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Number(_) => false,
    }
}

/// How an Application is, as far as Argo CD has said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct State {
    sync: String,
    phase: String,
    /// What the last operation came to.
    message: String,
    conditions: Vec<Condition>,
    /// Whether Argo CD has yet to look, or an operation is under way.
    is_busy: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    message: String,
}

impl State {
    fn of(json: &str) -> Self {
        let application: Value = serde_json::from_str(json).unwrap_or_default();
        let status = &application["status"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let conditions = conditions.map(|condition| Condition {
            kind: text(&condition["type"]),
            message: text(&condition["message"]),
        });
        let phase = text(&status["operationState"]["phase"]);
        State {
            sync: text(&status["sync"]["status"]),
            message: text(&status["operationState"]["message"]),
            conditions: conditions.collect(),
            is_busy: !application["operation"].is_null()
                || !application["metadata"]["annotations"][REFRESH].is_null()
                || matches!(&*phase, "Running" | "Terminating"),
            phase,
        }
    }

    fn is_synced(&self) -> bool {
        self.sync == "Synced" && !self.is_busy
    }

    /// Why Argo CD does not try again: a revision that it failed to sync.
    fn failure(&self) -> Option<String> {
        let mut conditions = self.conditions.iter();
        let error = conditions.find(|condition| condition.kind == "SyncError");
        let error = error.filter(|_| !self.is_busy)?;
        Some(error.message.clone())
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sync = match &*self.sync {
            "" => "not compared yet",
            sync => sync,
        };
        formatter.write_str(sync)?;
        if !self.phase.is_empty() {
            write!(formatter, ", its last sync {}", self.phase)?;
            if !self.message.is_empty() && self.phase != "Succeeded" {
                write!(formatter, " ({})", self.message)?;
            }
        }
        for condition in &self.conditions {
            write!(formatter, "; {}: {}", condition.kind, condition.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_says_what_another_says_whatever_it_has_besides() {
        let wanted =
            json!({"spec": {"source": {"recurse": true}, "list": [1, {"a": "b"}], "empty": []}});
        for live in [
            json!({"spec": {"source": {"recurse": true, "more": 1}, "list": [1, {"a": "b", "c": 2}]}, "status": {}}),
            json!({"spec": {"source": {"recurse": true}, "list": [1, {"a": "b"}], "empty": []}}),
        ] {
            assert!(says(&live, &wanted), "{live}");
        }
        for live in [
            json!({}),
            json!({"spec": {"source": {}, "list": [1, {"a": "b"}]}}),
            json!({"spec": {"source": {"recurse": true}, "list": [1]}}),
            json!({"spec": {"source": {"recurse": true}, "list": [1, {"a": "b"}], "empty": ["x"]}}),
        ] {
            assert!(!says(&live, &wanted), "{live}");
        }
    }

    #[test]
    fn an_application_is_synced_once_argo_cd_has_nothing_left_to_do() {
        let state = |application: Value| State::of(&application.to_string());
        let synced =
            json!({"sync": {"status": "Synced"}, "operationState": {"phase": "Succeeded"}});
        assert!(state(json!({"status": synced})).is_synced());
        for busy in [
            json!({}),
            json!({"status": {"sync": {"status": "OutOfSync"}}}),
            json!({"status": synced, "operation": {"sync": {}}}),
            json!({"status": synced, "metadata": {"annotations": {REFRESH: "normal"}}}),
            json!({"status": {"sync": {"status": "Synced"}, "operationState": {"phase": "Running"}}}),
        ] {
            assert!(!state(busy.clone()).is_synced(), "{busy}");
        }
    }

    #[test]
    fn a_revision_that_is_not_tried_again_has_failed() {
        let failed = json!({"status": {
            "sync": {"status": "OutOfSync"},
            "operationState": {"phase": "Failed", "message": "denied"},
            "conditions": [{"type": "SyncError", "message": "Failed last sync attempt: denied"}],
        }});
        let state = State::of(&failed.to_string());
        assert_eq!(
            state.failure().as_deref(),
            Some("Failed last sync attempt: denied")
        );
        assert_eq!(
            state.to_string(),
            "OutOfSync, its last sync Failed (denied); SyncError: Failed last sync attempt: denied"
        );
        let mut retried = failed;
        retried["metadata"] = json!({"annotations": {REFRESH: "normal"}});
        assert_eq!(State::of(&retried.to_string()).failure(), None);
    }
}
