//! Whether the webhook refuses what a sync would write of Argo CD's own objects, by its rules.

use std::sync::Arc;

use argocd::names::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use jiff::Timestamp;
use policy::{
    AnyRequest, Inventory, Kind, Level, Object, Outcome, Propagation, Requester, Subject, evaluate,
};
use serde_json::Value;

use super::Destination;
use crate::repository::manifest::merge_string_data;

/// The account as which Argo CD syncs, in the namespace that it runs in.
const ACCOUNT: &str = "argocd-application-controller";

/// The webhook of the cluster that Argo CD runs on, and what it judges by.
pub(crate) struct Webhook {
    inventory: Arc<Inventory>,
    requester: String,
    now: Timestamp,
    /// Whether values of Secrets are seen as they are.
    sees_secrets: bool,
}

/// What a sync would do to one object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Intent<'a> {
    Create(&'a Value),
    Update {
        /// As it is.
        live: &'a Value,
        /// What counts of it.
        normalized: &'a Value,
        /// What would count of it after the sync.
        predicted: &'a Value,
    },
    Delete(&'a Value),
}

impl Webhook {
    /// One that judges by what is known of a fleet, whose Argo CD runs in a namespace.
    pub(crate) fn new(inventory: Arc<Inventory>, namespace: &str, now: Timestamp) -> Self {
        Webhook {
            inventory,
            requester: format!("system:serviceaccount:{namespace}:{ACCOUNT}"),
            now,
            sees_secrets: true,
        }
    }

    /// The same, where Argo CD masks the values of Secrets: nothing can be said of them.
    pub(crate) fn without_secrets(self) -> Self {
        Webhook {
            sees_secrets: false,
            ..self
        }
    }

    /// By which rules it refuses what a sync would do on a cluster, and why, as `RULE: message`.
    /// None where it does not, is not asked, or where that cannot be told.
    pub(crate) fn refusal(
        &self,
        cluster: &Destination,
        kind: (&str, &str),
        intent: Intent<'_>,
    ) -> Option<String> {
        if !is_own(cluster) {
            return None;
        }
        let kind = Kind::judged(kind.0, kind.1)?;
        if kind.is_secret() && !self.sees_secrets {
            return None;
        }
        let (new, old) = match intent {
            Intent::Create(target) => (Some(stored(target, kind).to_string()), None),
            Intent::Update {
                live,
                normalized,
                predicted,
            } => {
                let new = after_sync(live, normalized, predicted)?;
                (Some(new.to_string()), Some(live.to_string()))
            }
            Intent::Delete(live) => (None, Some(live.to_string())),
        };
        let request = match (read(kind, new.as_deref())?, read(kind, old.as_deref())?) {
            (Some(new), Some(old)) => AnyRequest::update(new, old),
            (Some(new), None) => AnyRequest::create(new),
            (None, Some(old)) => AnyRequest::delete(old, Propagation::Foreground),
            (None, None) => return None,
        };
        let subject = Subject {
            requester: Requester {
                username: &self.requester,
            },
            now: self.now,
            ..Subject::of(request)
        };
        let verdict = evaluate(&subject, &self.inventory);
        // Whether an override counts only the API server can say.
        if verdict.claim.is_some() || verdict.outcome != Outcome::Denied {
            return None;
        }
        let denials = verdict.of_level(Level::Deny);
        let lines: Vec<String> = denials
            .map(|finding| format!("{}: {}", finding.rule, finding.message))
            .collect();
        Some(lines.join("; "))
    }
}

/// An object, where there is one; None where it is not of its kind.
#[expect(
    clippy::option_option,
    reason = "what is not there and what cannot be read differ"
)]
fn read(kind: Kind, json: Option<&str>) -> Option<Option<Object<'_>>> {
    match json {
        Some(json) => Object::from_json(kind, json).ok().map(Some),
        None => Some(None),
    }
}

/// A new object as the API server shows it to the webhook.
fn stored(target: &Value, kind: Kind) -> Value {
    let mut target = target.clone();
    if kind.is_secret()
        && let Some(secret) = target.as_object_mut()
    {
        merge_string_data(secret);
    }
    target
}

/// Whether it is the cluster that Argo CD runs on.
fn is_own(cluster: &Destination) -> bool {
    cluster.server.as_deref() == Some(IN_CLUSTER_SERVER)
        || cluster.server.is_none() && cluster.name.as_deref() == Some(IN_CLUSTER_NAME)
}

/// The live object with what a sync would change of it. What does not count, as it is ignored, stays
/// as it is. None where it cannot be laid over the live object.
fn after_sync(live: &Value, normalized: &Value, predicted: &Value) -> Option<Value> {
    let changes = json_patch::diff(normalized, predicted);
    let mut new = live.clone();
    json_patch::patch(&mut new, &changes).ok()?;
    Some(new)
}

#[cfg(test)]
mod tests {
    use policy::{Completeness, GitOpsPolicySpec};
    use serde_json::json;

    use super::*;
    use crate::fleet::Facts;

    fn webhook() -> Webhook {
        let facts = Facts::new("argocd", Completeness::Partial);
        let inventory = facts.inventory().map_err(|_| "no inventory").unwrap();
        assert_eq!(*inventory.policy(), GitOpsPolicySpec::default());
        Webhook::new(Arc::new(inventory), "argocd", Timestamp::UNIX_EPOCH)
    }

    fn application(project: &str) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "orders", "namespace": "argocd"},
            "spec": {
                "project": project,
                "source": {
                    "repoURL": "https://git.example.com/shop/orders.git", "path": "deploy",
                    "targetRevision": "v1",
                },
                "destination": {"name": "staging", "namespace": "shop"},
            },
        })
    }

    fn in_cluster() -> Destination {
        Destination {
            name: Some(IN_CLUSTER_NAME.to_owned()),
            server: Some(IN_CLUSTER_SERVER.to_owned()),
        }
    }

    const APPLICATION: (&str, &str) = ("argoproj.io", "Application");

    fn refused(intent: Intent<'_>) -> Option<String> {
        let refusal = webhook().refusal(&in_cluster(), APPLICATION, intent);
        refusal.map(|line| line.split(':').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_a_rule_denies_is_refused_and_names_the_rule() {
        let (good, bad) = (application("shop"), application("default"));
        let rule = Some("default-project".to_owned());
        assert_eq!(refused(Intent::Create(&bad)), rule);
        assert_eq!(refused(Intent::Create(&good)), None);
        let update = |live, predicted| Intent::Update {
            live,
            normalized: live,
            predicted,
        };
        assert_eq!(refused(update(&good, &bad)), rule);
        assert_eq!(refused(update(&bad, &good)), None);
    }

    /// What was so before may stay so.
    #[test]
    fn the_ratchet_holds() {
        let bad = application("default");
        let mut other = bad.clone();
        other["spec"]["source"]["targetRevision"] = json!("v2");
        let intent = Intent::Update {
            live: &bad,
            normalized: &bad,
            predicted: &other,
        };
        assert_eq!(refused(intent), None);
    }

    #[test]
    fn only_what_is_written_where_argo_cd_runs_is_judged() {
        let bad = application("default");
        let intent = Intent::Create(&bad);
        let elsewhere = Destination {
            name: Some("staging".to_owned()),
            server: Some("https://staging.example.com".to_owned()),
        };
        let webhook = webhook();
        assert_eq!(webhook.refusal(&elsewhere, APPLICATION, intent), None);
        let other = ("apps", "Deployment");
        assert_eq!(webhook.refusal(&in_cluster(), other, intent), None);
    }

    /// What Argo CD ignores is in neither of the normalized objects, and is written nevertheless.
    #[test]
    fn what_is_ignored_stays_as_it_is() {
        let mut live = application("shop");
        live["spec"]["syncPolicy"] = json!({"automated": {}});
        let normalized = application("shop");
        let mut predicted = normalized.clone();
        predicted["spec"]["source"]["path"] = json!("other");
        let new = after_sync(&live, &normalized, &predicted).unwrap();
        assert_eq!(new["spec"]["syncPolicy"], live["spec"]["syncPolicy"]);
        assert_eq!(new["spec"]["source"]["path"], "other");
        assert_eq!(
            after_sync(&json!({}), &normalized, &predicted),
            None,
            "it cannot be laid over another object"
        );
    }

    #[test]
    fn a_secret_that_is_masked_is_not_judged() {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "cluster-x", "namespace": "argocd",
                "labels": {"argocd.argoproj.io/secret-type": "cluster"},
            },
            "stringData": {
                "name": "x", "server": "https://x.example.com",
                "config": r#"{"tlsClientConfig": {"insecure": true}}"#,
            },
        });
        let refusal = |webhook: Webhook| {
            let intent = Intent::Create(&secret);
            webhook.refusal(&in_cluster(), ("", "Secret"), intent)
        };
        let line = refusal(webhook()).unwrap();
        assert!(line.starts_with("cluster-credentials: "), "{line}");
        assert_eq!(refusal(webhook().without_secrets()), None);
    }
}
