//! Fields that differ and belong to a field manager that is trusted with them.
//!
//! Of `managedFields`, only the path of each leaf matters here: a field that a trusted manager
//! owns in the live object, and that differs between the two, is taken out of both.

use serde_json::{Map, Value};

/// Takes out of both objects the differing fields of the managers.
pub(super) fn normalize(desired: &mut Value, live: &mut Value, managers: &[&str]) {
    if managers.is_empty() {
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

/// Walks down the owned fields. Lists keyed by `k:` or `v:` are compared as wholes by their
/// parent's leaf, since neither side's order can be relied upon.
fn remove_differing(fields: &Map<String, Value>, desired: &mut Value, live: &mut Value) {
    for (key, below) in fields {
        let Some(name) = key.strip_prefix("f:") else {
            continue;
        };
        let leaf = below.as_object().is_none_or(Map::is_empty);
        if leaf {
            if desired.get(name) != live.get(name) {
                remove_member(desired, name);
                remove_member(live, name);
            }
        } else if let (Some(below), Some(desired), Some(live)) =
            (below.as_object(), desired.get_mut(name), live.get_mut(name))
        {
            remove_differing(below, desired, live);
        }
    }
}

fn remove_member(object: &mut Value, name: &str) {
    if let Value::Object(members) = object {
        members.remove(name);
    }
}
