//! What kind of drift a difference is.

use serde::Deserialize;
use serde_json::Value;

use super::field::{FieldDrift, last_applied};
use super::manager::WriterKind;

/// What kind of drift it is. Of the fields of a resource the first of these counts that there is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// A person, or a program that a person or a pipeline runs, wrote it.
    ChangedByHand,
    /// A controller wrote it, or a webhook changed what Argo CD wrote.
    ChangedByController,
    /// Nobody can tell, as of a field that is gone.
    Unknown,
    /// Git has moved on since the last sync.
    NotSyncedYet,
    /// An autoscaler set it.
    Autoscaled,
    /// The object is not in Git.
    Extra,
    /// The object is not there.
    Missing,
}

impl Cause {
    /// All that there are.
    pub(crate) const ALL: [Cause; 7] = [
        Cause::ChangedByHand,
        Cause::ChangedByController,
        Cause::Unknown,
        Cause::NotSyncedYet,
        Cause::Autoscaled,
        Cause::Extra,
        Cause::Missing,
    ];

    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Cause::ChangedByHand => "changed-by-hand",
            Cause::ChangedByController => "changed-by-controller",
            Cause::Unknown => "unknown",
            Cause::NotSyncedYet => "not-synced-yet",
            Cause::Autoscaled => "autoscaled",
            Cause::Extra => "extra",
            Cause::Missing => "missing",
        }
    }

    /// Of all fields that differ in an object. `is_revision_synced` says that what is in Git is
    /// what was synced last.
    pub(super) fn of_fields(fields: &[FieldDrift], live: &Value, is_revision_synced: bool) -> Self {
        let applied = last_applied(live);
        let causes = fields
            .iter()
            .map(|field| of_field(field, applied.as_ref(), is_revision_synced));
        causes.min().unwrap_or(Cause::Unknown)
    }
}

fn of_field(field: &FieldDrift, applied: Option<&Value>, is_revision_synced: bool) -> Cause {
    let kinds = field.managers.iter();
    let kinds = kinds.map(|manager| manager.kind(&field.pointer));
    match kinds.max() {
        Some(WriterKind::Hand) => Cause::ChangedByHand,
        Some(WriterKind::Controller) => Cause::ChangedByController,
        Some(WriterKind::Autoscaler) => Cause::Autoscaled,
        owner @ (Some(WriterKind::ArgoCd) | None) => {
            let was_applied = match applied {
                // A masked value says nothing of what was applied.
                Some(applied) if !field.masked => {
                    let applied = applied.pointer(&field.pointer);
                    applied.filter(|value| !value.is_null()) == field.desired.as_ref()
                }
                _ => is_revision_synced,
            };
            match (owner, was_applied) {
                (_, false) => Cause::NotSyncedYet,
                // Argo CD wrote something else than what is there: it was changed on the way.
                (Some(_), true) => Cause::ChangedByController,
                (None, true) => Cause::Unknown,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::field::fields;
    use super::*;

    fn object(replicas: u8, manager: &str, subresource: &str, applied: Option<u8>) -> Value {
        let mut object = json!({
            "metadata": {"managedFields": [{
                "manager": manager, "operation": "Update", "subresource": subresource,
                "fieldsV1": {"f:spec": {"f:replicas": {}}},
            }]},
            "spec": {"replicas": replicas},
        });
        if let Some(applied) = applied {
            let applied = json!({"spec": {"replicas": applied}}).to_string();
            object["metadata"]["annotations"] = json!({argocd::names::LAST_APPLIED: applied});
        }
        object
    }

    fn cause(live: &Value, is_revision_synced: bool) -> Cause {
        let desired = json!({"spec": {"replicas": 2}});
        let normalized = json!({"spec": live["spec"]});
        let found = fields(&desired, &normalized, live, false);
        Cause::of_fields(&found, live, is_revision_synced)
    }

    #[test]
    fn who_wrote_it_says_what_it_is() {
        for (manager, subresource, expected) in [
            ("kubectl", "scale", Cause::ChangedByHand),
            ("kubectl-edit", "", Cause::ChangedByHand),
            ("kube-controller-manager", "scale", Cause::Autoscaled),
            ("chaos-operator", "", Cause::ChangedByController),
        ] {
            let live = object(5, manager, subresource, Some(2));
            assert_eq!(cause(&live, true), expected, "{manager}");
        }
    }

    #[test]
    fn what_argo_cd_wrote_differs_as_git_moved_or_a_webhook_changed_it() {
        let by_argo_cd = |applied| object(5, "argocd-controller", "", applied);
        assert_eq!(cause(&by_argo_cd(Some(5)), true), Cause::NotSyncedYet);
        assert_eq!(
            cause(&by_argo_cd(Some(2)), false),
            Cause::ChangedByController
        );
        assert_eq!(cause(&by_argo_cd(None), false), Cause::NotSyncedYet);
        assert_eq!(cause(&by_argo_cd(None), true), Cause::ChangedByController);
    }

    #[test]
    fn nobody_owns_what_is_gone() {
        let mut live = object(5, "argocd-controller", "", Some(2));
        live["spec"] = json!({});
        assert_eq!(cause(&live, true), Cause::Unknown);
        let mut live = object(5, "argocd-controller", "", None);
        live["spec"] = json!({});
        assert_eq!(cause(&live, false), Cause::NotSyncedYet);
    }
}
