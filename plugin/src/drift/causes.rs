//! Why fields differ, by who owns them and what was applied last.

use serde_json::Value;

use super::cause::Cause;
use super::field::{FieldDrift, last_applied};
use super::manager::WriterKind;

/// Says of all fields that differ in an object why they do, and of the object.
/// `is_revision_synced` says that what is in Git is what was synced last.
pub(super) fn settle(fields: &mut [FieldDrift], live: &Value, is_revision_synced: bool) -> Cause {
    let applied = last_applied(live);
    for field in fields.iter_mut() {
        field.cause = of_field(field, applied.as_ref(), is_revision_synced);
    }
    of_resource(fields)
}

/// Of a resource, by its fields.
pub(super) fn of_resource(fields: &[FieldDrift]) -> Cause {
    let causes = fields.iter().map(|field| field.cause);
    causes.min().unwrap_or(Cause::Unknown)
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
        let mut found = fields(&desired, &normalized, live, false);
        settle(&mut found, live, is_revision_synced)
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
