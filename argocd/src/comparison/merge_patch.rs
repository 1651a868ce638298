//! JSON merge patches, by which kinds are compared that Kubernetes has no Go type for.
//!
//! Follows `apimachinery/pkg/util/jsonmergepatch` (`CreateThreeWayJSONMergePatch`) and the
//! functions `CreateMergePatch` and `MergePatch` of evanphx/json-patch.

use serde_json::{Map, Value};

type Members = Map<String, Value>;

/// The patch that makes the current object into what is wanted: it adds and changes what differs
/// from it, and deletes what was wanted before and is not any more.
pub(super) fn three_way(original: &Members, modified: &Members, current: &Members) -> Members {
    let mut patch = only_nulls(difference(original, modified));
    for (name, value) in without_nulls(difference(current, modified)) {
        merge_member(&mut patch, name, value);
    }
    patch
}

/// Applies a patch to an object.
pub(super) fn apply(object: &mut Members, patch: Members) {
    for (name, value) in patch {
        merge_member(object, name, value);
    }
}

/// What has to be set, and deleted by null, to make one object into another.
fn difference(from: &Members, to: &Members) -> Members {
    let mut patch = Map::new();
    for (name, new) in to {
        match (from.get(name), new) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let below = difference(old, new);
                if !below.is_empty() {
                    patch.insert(name.clone(), Value::Object(below));
                }
            }
            (Some(old), new) if old == new => {}
            (_, new) => {
                patch.insert(name.clone(), new.clone());
            }
        }
    }
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    patch
}

fn without_nulls(patch: Members) -> Members {
    let keep = |(name, value)| match value {
        Value::Null => None,
        Value::Object(members) if !members.is_empty() => {
            let members = without_nulls(members);
            (!members.is_empty()).then_some((name, Value::Object(members)))
        }
        value => Some((name, value)),
    };
    patch.into_iter().filter_map(keep).collect()
}

fn only_nulls(patch: Members) -> Members {
    let keep = |(name, value)| match value {
        Value::Null => Some((name, Value::Null)),
        Value::Object(members) => {
            let members = only_nulls(members);
            (!members.is_empty()).then_some((name, Value::Object(members)))
        }
        _ => None,
    };
    patch.into_iter().filter_map(keep).collect()
}

fn merge_member(object: &mut Members, name: String, mut value: Value) {
    if value.is_null() {
        object.remove(&name);
        return;
    }
    match (object.get_mut(&name), value) {
        (Some(Value::Object(old)), Value::Object(new)) => apply(old, new),
        (_, new) => {
            value = new;
            drop_nulls(&mut value);
            object.insert(name, value);
        }
    }
}

/// Takes nulls out of maps, not out of lists.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn predicted(original: Value, modified: Value, current: Value, live: Value) -> Value {
        let members = |value: Value| match value {
            Value::Object(members) => members,
            _ => unreachable!(),
        };
        let mut live = members(live);
        let patch = three_way(&members(original), &members(modified), &members(current));
        apply(&mut live, patch);
        Value::Object(live)
    }

    #[test]
    fn what_only_the_live_object_has_stays_unless_it_was_applied() {
        let live = json!({"a": {"x": 1, "y": 2}, "b": 1, "c": [1]});
        assert_eq!(
            predicted(
                json!({"b": 1}),
                json!({"a": {"x": 2}, "c": [2]}),
                json!({"b": 1}),
                live
            ),
            json!({"a": {"x": 2, "y": 2}, "c": [2]})
        );
    }

    #[test]
    fn nulls_in_a_manifest_are_dropped() {
        let new = json!({"a": [{"x": null}], "b": {"y": null, "z": {}}, "c": null});
        assert_eq!(
            predicted(new.clone(), new, json!({}), json!({})),
            json!({"a": [{}], "b": {"z": {}}})
        );
    }
}
