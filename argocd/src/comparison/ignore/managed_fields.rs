//! Fields that differ and belong to a field manager that is trusted with them.
//!
//! Follows Argo CD 3.5, `util/argo/managedfields` (`Normalize`): a field that a trusted manager
//! owns in the live object, and that is there and different in both, is taken out of both. The
//! schema of a custom resource is not known here; how its lists are keyed is taken from
//! `managedFields`.

use serde_json::Value;

use crate::comparison::fields::{FieldSet, Items, Layout, item, member, validate};
use crate::comparison::object::kind_of;
use crate::comparison::scheme::{Scheme, Type};

/// Takes out of both objects the differing fields of the managers. Nothing is done where one of
/// them is not of its type.
pub(super) fn normalize(desired: &mut Value, live: &mut Value, managers: &[&str]) {
    let is_trusted = |entry: &Value| {
        let manager = entry.get("manager").and_then(Value::as_str);
        manager.is_some_and(|manager| managers.contains(&manager))
    };
    let trusted = FieldSet::of(live, is_trusted);
    if managers.is_empty() || trusted.is_empty() {
        return;
    }
    let (version, kind) = kind_of(desired);
    let number = Scheme::kubernetes().kind(version, kind);
    let number = number.filter(|number| Scheme::kubernetes().get(*number).served);
    let (of, all) = (number.map(Type::Struct), FieldSet::of(live, |_| true));
    let layout = match &of {
        Some(of) => Layout::of(of),
        None => Layout::Owned(&all),
    };
    if validate(live, layout).is_ok() && validate(desired, layout).is_ok() {
        remove_differing(desired, live, &trusted, layout);
    }
}

fn remove_differing(desired: &mut Value, live: &mut Value, owned: &FieldSet, layout: Layout<'_>) {
    match (desired, live) {
        (Value::Object(new), Value::Object(old)) => {
            let names: Vec<String> = old.keys().cloned().collect();
            for name in names {
                let below = layout.member(&name);
                let (Some(owned), Some(mine), Some(theirs)) = (
                    owned.below(&member(&name)),
                    new.get_mut(&name),
                    old.get_mut(&name),
                ) else {
                    continue;
                };
                if !is_whole(mine, theirs, below) {
                    remove_differing(mine, theirs, owned, below);
                } else if owned.itself && mine != theirs {
                    new.remove(&name);
                    old.remove(&name);
                }
            }
        }
        (Value::Array(new), Value::Array(old)) => {
            let items = layout.items();
            if !matches!(items, Items::Map(_)) {
                return;
            }
            for theirs in old {
                let Some(name) = item(&items, theirs) else {
                    continue;
                };
                let mine = new
                    .iter_mut()
                    .find(|mine| item(&items, mine).as_ref() == Some(&name));
                if let (Some(mine), Some(owned)) = (mine, owned.below(&name)) {
                    remove_differing(mine, theirs, owned, layout.item(&name));
                }
            }
        }
        _ => {}
    }
}

/// Whether two values are compared as wholes.
fn is_whole(mine: &Value, theirs: &Value, layout: Layout<'_>) -> bool {
    match (mine, theirs) {
        (Value::Object(_) | Value::Null, Value::Object(_)) | (Value::Object(_), Value::Null) => {
            !layout.has_members()
        }
        (Value::Array(_) | Value::Null, Value::Array(_)) | (Value::Array(_), Value::Null) => {
            layout.items() == Items::Atomic
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: u32, image: &str) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "spec": {
                "replicas": replicas,
                "template": {"spec": {"containers": [{"name": "a", "image": image}]}},
            },
        })
    }

    #[test]
    fn members_and_items_of_a_trusted_manager_are_taken_out() {
        let fields = json!({"f:spec": {
            "f:replicas": {},
            "f:template": {"f:spec": {"f:containers": {r#"k:{"name":"a"}"#: {"f:image": {}}}}},
        }});
        let mut live = deployment(3, "a:2");
        live["metadata"] = json!({"managedFields": [{"manager": "m", "fieldsV1": fields}]});
        let mut desired = deployment(1, "a:1");
        normalize(&mut desired, &mut live, &["other"]);
        assert_eq!(desired, deployment(1, "a:1"));
        let mut invalid = deployment(1, "a:1");
        invalid["spec"]["unknown"] = 1.into();
        normalize(&mut invalid, &mut live, &["m"]);
        assert_eq!(invalid["spec"]["replicas"], 1);
        normalize(&mut desired, &mut live, &["m"]);
        for object in [&desired, &live] {
            assert_eq!(object["spec"].get("replicas"), None);
            assert_eq!(
                object["spec"]["template"]["spec"]["containers"],
                json!([{"name": "a"}])
            );
        }
    }
}
