//! An Application as it is in Argo CD: what it says of itself, and what starts a sync of it.

use std::fmt;

use jiff::Timestamp;
use policy::Kind;
use serde_json::{Value, json};

use super::automation::is_automated;
use crate::kubernetes::{AccessError, ApiServer, Objects, objects_of};

/// Has Argo CD compare an Application at once; it takes it off again.
const REFRESH: &str = "argocd.argoproj.io/refresh";

/// Where an Application is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) server: &'p ApiServer,
    /// The namespace of its ApplicationSet.
    pub(crate) namespace: &'p str,
    pub(crate) name: &'p str,
}

/// An Application.
#[derive(Clone, Debug)]
pub(crate) struct Live(Value);

/// Why Argo CD does not go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// It does not try again.
    Final(String),
    /// It may pass by itself.
    Perhaps(String),
}

impl Place<'_> {
    fn objects(&self) -> Objects {
        objects_of(Kind::Application, self.namespace)
    }

    /// The Application, if it is there.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) async fn read(&self) -> Result<Option<Live>, AccessError> {
        let read = |json: &str| Live(serde_json::from_str(json).unwrap_or_default());
        self.server.get(&self.objects(), self.name, read).await
    }

    /// Has Argo CD compare it anew.
    ///
    /// # Errors
    /// It may not be changed.
    pub(crate) async fn refresh(&self) -> Result<(), AccessError> {
        let refresh = json!({"metadata": {"annotations": {REFRESH: "normal"}}});
        let objects = self.objects();
        let patched = self
            .server
            .patch(&objects, self.name, &refresh, false, |_| ());
        patched.await
    }

    /// Starts a sync of what Argo CD has compared, as `argocd app sync` does, unless the
    /// Application has changed since it was read.
    ///
    /// # Errors
    /// It may not be changed, or somebody was faster.
    pub(crate) async fn sync(
        &self,
        live: &Live,
        user: &str,
        only_ask: bool,
    ) -> Result<(), AccessError> {
        let patch = live.sync_patch(user);
        let objects = self.objects();
        let patched = self
            .server
            .patch(&objects, self.name, &patch, only_ask, |_| ());
        patched.await
    }
}

impl Live {
    /// The ApplicationSet that has made it.
    pub(crate) fn set(&self) -> Option<&str> {
        let owners = self.0.pointer("/metadata/ownerReferences")?.as_array()?;
        let owner = owners.iter().find(|one| one["kind"] == "ApplicationSet")?;
        owner["name"].as_str()
    }

    #[cfg(test)]
    pub(crate) fn of(value: Value) -> Self {
        Live(value)
    }

    fn text(&self, pointer: &str) -> &str {
        let value = self.0.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer).parse().ok()
    }

    /// `Synced`, `OutOfSync` or `Unknown`; empty before the first comparison.
    pub(crate) fn sync_status(&self) -> &str {
        self.text("/status/sync/status")
    }

    /// `Healthy`, `Progressing`, `Degraded` and so on.
    pub(crate) fn health(&self) -> &str {
        self.text("/status/health/status")
    }

    /// The revision that it was compared with.
    pub(crate) fn compared_revision(&self) -> &str {
        self.text("/status/sync/revision")
    }

    /// Whether it syncs by itself.
    pub(crate) fn is_automated(&self) -> bool {
        is_automated(&self.0.to_string())
    }

    /// Whether Argo CD has yet to look, or an operation is under way.
    pub(crate) fn is_busy(&self) -> bool {
        let annotations = self.0.pointer("/metadata/annotations");
        self.is_operating() || annotations.is_some_and(|all| all.get(REFRESH).is_some())
    }

    /// Whether an operation is under way, so that no other can be started.
    pub(crate) fn is_operating(&self) -> bool {
        self.0.get("operation").is_some_and(|one| !one.is_null())
            || matches!(self.phase(), "Running" | "Terminating")
    }

    fn phase(&self) -> &str {
        self.text("/status/operationState/phase")
    }

    /// Whether it is as Git says, and well.
    pub(crate) fn is_synced_and_healthy(&self) -> bool {
        !self.is_busy() && self.sync_status() == "Synced" && self.health() == "Healthy"
    }

    /// When it was synced for the first time, as far as Argo CD remembers.
    pub(crate) fn first_sync(&self) -> Option<Timestamp> {
        let history = self.0.pointer("/status/history").and_then(Value::as_array);
        let starts = history.into_iter().flatten().filter_map(|entry| {
            let started = entry.get("deployStartedAt")?.as_str()?;
            started.parse::<Timestamp>().ok()
        });
        starts
            .min()
            .or_else(|| self.time("/status/operationState/startedAt"))
    }

    /// Why Argo CD does not go on by itself; None while it does.
    pub(crate) fn failure(&self) -> Option<Failure> {
        if self.is_busy() {
            return None;
        }
        if matches!(self.phase(), "Failed" | "Error") {
            let message = self.text("/status/operationState/message");
            return Some(Failure::Final(format!("its sync failed: {message}")));
        }
        let conditions = self
            .0
            .pointer("/status/conditions")
            .and_then(Value::as_array);
        let mut errors = conditions.into_iter().flatten().filter_map(|condition| {
            let kind = condition.get("type")?.as_str()?;
            let message = condition.get("message").and_then(Value::as_str);
            kind.ends_with("Error")
                .then(|| format!("{kind}: {}", message.unwrap_or_default()))
        });
        let is_degraded = self.health() == "Degraded";
        let error = errors
            .next()
            .or_else(|| is_degraded.then(|| "it is Degraded".to_owned()));
        error.map(Failure::Perhaps)
    }

    /// What starts a sync (Argo CD 3.6, `Server.Sync` and `SetAppOperation`): sync options and
    /// retries are those of the operation alone, so that they are copied from the spec.
    fn sync_patch(&self, user: &str) -> Value {
        let policy = |name: &str| self.0.pointer(&format!("/spec/syncPolicy/{name}")).cloned();
        let mut operation = json!({
            "initiatedBy": {"username": user},
            "sync": {
                "syncStrategy": {"hook": {}},
                "syncOptions": policy("syncOptions").unwrap_or_else(|| json!([])),
            },
        });
        match self.compared_revision() {
            "" => {}
            revision => operation["sync"]["revision"] = revision.into(),
        }
        if let Some(retry) = policy("retry").filter(Value::is_object) {
            operation["retry"] = retry;
        }
        json!({
            // Whoever changed it since is not overwritten.
            "metadata": {"resourceVersion": self.text("/metadata/resourceVersion")},
            "operation": operation,
            "status": {"operationState": null},
        })
    }
}

impl fmt::Display for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |text: &str| {
            let known = Some(text).filter(|text| !text.is_empty());
            known.unwrap_or("not compared yet").to_owned()
        };
        let sync = or_unknown(self.sync_status());
        write!(formatter, "{sync}")?;
        match self.health() {
            "" => {}
            health => write!(formatter, ", {health}")?,
        }
        if self.is_busy() {
            write!(formatter, ", at work")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_takes_the_options_of_the_spec_and_the_revision_that_was_compared() {
        let live = Live::of(json!({
            "metadata": {"resourceVersion": "7"},
            "spec": {"syncPolicy": {
                "syncOptions": ["ServerSideApply=true"],
                "retry": {"limit": 3},
            }},
            "status": {"sync": {"status": "OutOfSync", "revision": "abc"}},
        }));
        assert_eq!(
            live.sync_patch("alice"),
            json!({
                "metadata": {"resourceVersion": "7"},
                "operation": {
                    "initiatedBy": {"username": "alice"},
                    "retry": {"limit": 3},
                    "sync": {
                        "revision": "abc",
                        "syncOptions": ["ServerSideApply=true"],
                        "syncStrategy": {"hook": {}},
                    },
                },
                "status": {"operationState": null},
            })
        );
    }

    #[test]
    fn it_is_at_its_end_only_when_argo_cd_has_looked() {
        let of = |more: Value| {
            let mut value = json!({
                "metadata": {"annotations": {}},
                "status": {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}},
            });
            json_patch::merge(&mut value, &more);
            Live::of(value)
        };
        assert!(of(json!({})).is_synced_and_healthy());
        for busy in [
            json!({"operation": {"sync": {}}}),
            json!({"metadata": {"annotations": {REFRESH: "normal"}}}),
            json!({"status": {"operationState": {"phase": "Running"}}}),
        ] {
            let live = of(busy);
            assert!(live.is_busy() && !live.is_synced_and_healthy());
        }
        assert!(
            !of(json!({"status": {"health": {"status": "Progressing"}}})).is_synced_and_healthy()
        );
        assert!(!of(json!({"status": {"sync": {"status": "OutOfSync"}}})).is_synced_and_healthy());
    }

    #[test]
    fn what_argo_cd_does_not_mend_by_itself_is_told() {
        let failure = |status: Value| Live::of(json!({"status": status})).failure();
        assert_eq!(
            failure(json!({"operationState": {"phase": "Failed", "message": "denied"}})),
            Some(Failure::Final("its sync failed: denied".to_owned()))
        );
        assert_eq!(
            failure(json!({"conditions": [
                {"type": "OrphanedResourceWarning", "message": "some"},
                {"type": "ComparisonError", "message": "no chart"},
            ]})),
            Some(Failure::Perhaps("ComparisonError: no chart".to_owned()))
        );
        assert_eq!(
            failure(json!({"health": {"status": "Degraded"}})),
            Some(Failure::Perhaps("it is Degraded".to_owned()))
        );
        assert_eq!(failure(json!({"health": {"status": "Progressing"}})), None);
    }

    #[test]
    fn the_first_sync_is_the_oldest_that_is_remembered() {
        let live = Live::of(json!({"status": {
            "history": [
                {"deployStartedAt": "2026-12-01T10:00:00Z"},
                {"deployStartedAt": "2026-12-01T09:00:00Z"},
            ],
            "operationState": {"startedAt": "2026-12-01T11:00:00Z"},
        }}));
        assert_eq!(live.first_sync(), "2026-12-01T09:00:00Z".parse().ok());
        let never = Live::of(json!({"status": {"sync": {"status": "OutOfSync"}}}));
        assert_eq!(never.first_sync(), None);
    }
}
