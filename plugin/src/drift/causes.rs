//! Why fields differ, by who owns them and what was applied last.

use argocd::comparison::counterpart;
use serde_json::Value;

use super::cause::Cause;
use super::field::{FieldDrift, last_applied};
use super::manager::WriterKind;

/// Says of all fields that differ in an object why they do, and of the object.
/// `is_revision_synced` says that what is in Git is what was synced last.
pub(super) fn settle(fields: &mut [FieldDrift], live: &Value, is_revision_synced: bool) -> Cause {
    let applied = last_applied(live);
    for field in fields.iter_mut() {
        field.cause = of_field(field, live, applied.as_ref(), is_revision_synced);
    }
    of_resource(fields)
}

/// Of a resource, by its fields.
pub(super) fn of_resource(fields: &[FieldDrift]) -> Cause {
    let causes = fields.iter().map(|field| field.cause);
    causes.min().unwrap_or(Cause::Unknown)
}

fn of_field(
    field: &FieldDrift,
    live: &Value,
    applied: Option<&Value>,
    is_revision_synced: bool,
) -> Cause {
    let kinds = field.managers.iter();
    let kinds = kinds.map(|manager| manager.kind(&field.pointer));
    match kinds.max() {
        Some(WriterKind::Hand) => Cause::ChangedByHand,
        Some(WriterKind::Controller) => Cause::ChangedByController,
        Some(WriterKind::Autoscaler) => Cause::Autoscaled,
        owner @ (Some(WriterKind::ArgoCd) | None) => {
            let was_applied = match applied {
                // A masked value says nothing of what was applied.
                Some(applied) if !field.masked => was_applied(field, live, applied),
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

/// Whether what is desired of a field is what was applied last.
fn was_applied(field: &FieldDrift, live: &Value, applied: &Value) -> bool {
    let place = match &field.live {
        Some(_) => counterpart(&field.pointer, live, applied),
        None => field.pointer.clone(),
    };
    // It ends with a list that does not have the element.
    let is_there = place.split('/').count() == field.pointer.split('/').count();
    let applied = applied.pointer(&place);
    let applied = applied.filter(|value| is_there && !value.is_null());
    match (applied, &field.desired) {
        (None, None) => true,
        (Some(applied), Some(desired)) => contains(desired, applied),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether a value has all that another one says. It may have more: defaults, and what others
/// wrote.
fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => part.iter().all(|(name, part)| {
            let value = value.get(name);
            part.is_null() || value.is_some_and(|value| contains(value, part))
        }),
        (Value::Array(value), Value::Array(part)) => {
            let mut pairs = value.iter().zip(part);
            value.len() == part.len() && pairs.all(|(value, part)| contains(value, part))
        }
        (value, part) => value == part,
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

    fn workload(container: Value, fields: &Value, applied: &Value) -> Value {
        let object = |container: Value| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {
                "template": {"spec": {"containers": [container]}},
            }})
        };
        let mut live = object(container);
        let manager = "argocd-controller";
        live["metadata"] = json!({
            "annotations": {argocd::names::LAST_APPLIED: object(applied.clone()).to_string()},
            "managedFields": [{"manager": manager, "operation": "Update", "fieldsV1": {
                "f:spec": {"f:template": {"f:spec": {"f:containers": {r#"k:{"name":"web"}"#: fields}}}},
            }}],
        });
        live
    }

    fn of_container(
        desired: &Value,
        live: &Value,
        fields: &Value,
        applied: &Value,
    ) -> (Cause, usize) {
        let target = workload(desired.clone(), &json!({}), applied);
        let live = workload(live.clone(), fields, applied);
        let counted = |object: &Value| json!({"spec": object["spec"]});
        let mut found =
            super::super::field::fields(&counted(&target), &counted(&live), &live, false);
        let cause = settle(&mut found, &live, false);
        (cause, found[0].managers.len())
    }

    /// Argo CD was named, which owns the list: its order nobody does.
    #[test]
    fn nobody_is_known_to_have_reordered_a_list() {
        let ports = |ports: [(&str, u16); 2]| {
            let port = |(name, number): (&str, u16)| json!({"name": name, "containerPort": number, "protocol": "TCP"});
            json!({"name": "web", "ports": ports.map(port)})
        };
        let (http, https) = (("http", 80), ("https", 443));
        let owned = json!({"f:ports": {
            ".": {},
            r#"k:{"containerPort":80,"protocol":"TCP"}"#: {".": {}, "f:name": {}},
            r#"k:{"containerPort":443,"protocol":"TCP"}"#: {".": {}, "f:name": {}},
        }});
        // Of it the protocol is a default.
        let applied = json!({"name": "web", "ports": [
            {"name": "http", "containerPort": 80}, {"name": "https", "containerPort": 443},
        ]});
        let (desired, live) = (ports([http, https]), ports([https, http]));
        assert_eq!(
            of_container(&desired, &live, &owned, &applied),
            (Cause::Unknown, 0)
        );
    }

    #[test]
    fn a_quantity_that_was_applied_is_the_same_however_it_is_written() {
        let limits = |cpu: &str| json!({"name": "web", "resources": {"limits": {"cpu": cpu}}});
        let live = json!({"name": "web"});
        let found = |applied: &str| of_container(&limits("1"), &live, &json!({}), &limits(applied));
        assert_eq!(found("1000m").0, Cause::Unknown);
        assert_eq!(found("2").0, Cause::NotSyncedYet);
    }

    #[test]
    fn what_was_applied_is_found_where_the_list_has_another_order() {
        let env = |names: &[&str]| {
            let variable = |name: &&str| json!({"name": name, "value": name});
            json!({"name": "web", "env": names.iter().map(variable).collect::<Vec<_>>()})
        };
        let mut live = env(&["C", "A", "B"]);
        live["env"][2]["value"] = json!("changed");
        let found = |applied: &[&str]| {
            let desired = env(&["A", "B"]);
            of_container(&desired, &live, &json!({"f:env": {}}), &env(applied)).0
        };
        assert_eq!(found(&["A", "B"]), Cause::ChangedByController);
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
