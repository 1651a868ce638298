//! Fields that differ and belong to a field manager that is trusted with them.
//!
//! Follows Argo CD 3.5, `util/argo/managedfields` (`Normalize`): a field that a trusted manager
//! owns in the live object, and that differs between the two, is taken out of both. How lists are
//! keyed is taken from `managedFields` itself, and not from the schema of the kind.

use serde_json::{Map, Value};

use crate::comparison::object::kind_of;
use crate::comparison::scheme::{Scheme, remarshal};

/// Takes out of both objects the differing fields of the managers.
pub(super) fn normalize(desired: &mut Value, live: &mut Value, managers: &[&str]) {
    if managers.is_empty() || !is_typed(desired) || !is_typed(live) {
        return;
    }
    let owned: Vec<Value> = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|entry| {
            let manager = entry.get("manager").and_then(Value::as_str);
            manager.is_some_and(|manager| managers.contains(&manager))
        })
        .filter_map(|entry| entry.get("fieldsV1").cloned())
        .collect();
    for fields in &owned {
        if let Some(fields) = fields.as_object() {
            remove_differing(fields, desired, live);
        }
    }
}

/// Whether an object has only fields of its kind, as far as that is known; Argo CD ignores nothing
/// in one that has others.
fn is_typed(object: &Value) -> bool {
    let (version, kind) = kind_of(object);
    let number = Scheme::kubernetes().kind(version, kind);
    number.is_none_or(|number| remarshal(number, object).is_ok())
}

/// Walks down the owned fields. A list that is not keyed is compared as a whole.
fn remove_differing(fields: &Map<String, Value>, desired: &mut Value, live: &mut Value) {
    for (key, below) in fields {
        let below = below.as_object().filter(|below| !below.is_empty());
        if let Some(name) = key.strip_prefix("f:") {
            match below {
                Some(below) => {
                    if let (Some(desired), Some(live)) = (desired.get_mut(name), live.get_mut(name))
                    {
                        remove_differing(below, desired, live);
                    }
                }
                // What only one of them has is added or removed, and not changed.
                None if desired.get(name).is_some() && live.get(name).is_some() => {
                    if desired.get(name) != live.get(name) {
                        remove_member(desired, name);
                        remove_member(live, name);
                    }
                }
                None => {}
            }
        } else if let Some(below) = below
            && let Some(key) = key.strip_prefix("k:")
            && let Ok(Value::Object(key)) = serde_json::from_str(key)
            && let (Some(desired), Some(live)) = (item(desired, &key), item(live, &key))
        {
            remove_differing(below, desired, live);
        }
    }
}

/// The item of a list that has a key.
fn item<'v>(list: &'v mut Value, key: &Map<String, Value>) -> Option<&'v mut Value> {
    let has = |item: &Value, (name, value): (&String, &Value)| match item.get(name) {
        Some(found) => found == value,
        // The one field of a key that has a default.
        None => name == "protocol" && value == "TCP",
    };
    let mut items = list.as_array_mut()?.iter_mut();
    items.find(|item| key.iter().all(|member| has(item, member)))
}

fn remove_member(object: &mut Value, name: &str) {
    if let Value::Object(members) = object {
        members.remove(name);
    }
}
