//! The values of Secrets, which nobody is shown.
//!
//! Follows gitops-engine `HideSecretData`: equal values become equal texts of `+`, different ones
//! different texts, so that a difference is still seen.

use serde_json::{Map, Value};

use super::normalize;
use super::object::{LAST_APPLIED, annotation, group_of, kind_of};

/// What the first value of a key becomes, and how much longer each other one.
const MASK: &str = "++++++++";
const MORE: &str = "++++";

/// Hides the values of a Secret in two objects, one of which may be null, and in what they say
/// that was applied last. Anything else is left as it is.
pub fn hide_secret_data(desired: &mut Value, live: &mut Value) {
    let is_secret = |object: &Value| group_of(object).is_empty() && kind_of(object).1 == "Secret";
    if !is_secret(desired) && !is_secret(live) {
        return;
    }
    let mut applied = [last_applied(desired), last_applied(live)];
    let [applied_desired, applied_live] = &mut applied;
    let mut objects = [&mut *desired, &mut *live, applied_desired, applied_live];
    for object in &mut objects {
        normalize::normalize(object, false);
        for name in ["data", "stringData"] {
            // What is no map may hold a value as well.
            if let Some(value) = object.get_mut(name).filter(|value| !value.is_object()) {
                *value = Value::from(MASK);
            }
        }
    }
    let names: Vec<String> = objects
        .iter()
        .filter_map(|object| object.get("data")?.as_object())
        .flat_map(|data| data.keys().cloned())
        .collect();
    for name in names {
        hide(&mut objects, &name);
    }
    let [applied_desired, applied_live] = applied;
    for (object, applied) in [(desired, applied_desired), (live, applied_live)] {
        let annotations = object.pointer_mut("/metadata/annotations");
        if let Some(Value::Object(annotations)) = annotations
            && annotations.contains_key(LAST_APPLIED)
        {
            // What cannot be read may hold a value as well.
            let shown = if applied.is_null() {
                MASK.to_owned()
            } else {
                applied.to_string()
            };
            annotations.insert(LAST_APPLIED.to_owned(), Value::String(shown));
        }
    }
}

fn last_applied(object: &Value) -> Value {
    let read = serde_json::from_str(annotation(object, LAST_APPLIED)).ok();
    read.filter(Value::is_object).unwrap_or_default()
}

fn hide(objects: &mut [&mut Value; 4], name: &str) {
    let mut known: Vec<(Value, String)> = Vec::new();
    for object in objects {
        let data = object.get_mut("data").and_then(Value::as_object_mut);
        let Some(value) = data.and_then(|data: &mut Map<String, Value>| data.get_mut(name)) else {
            continue;
        };
        let found = known.iter().find(|(other, _)| other == value);
        let mask = if let Some((_, mask)) = found {
            mask.clone()
        } else {
            let mask = format!("{MASK}{}", MORE.repeat(known.len()));
            known.push((value.clone(), mask.clone()));
            mask
        };
        *value = Value::String(mask);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": data})
    }

    #[test]
    fn equal_values_are_hidden_equally_and_different_ones_differently() {
        let mut desired = secret(&json!({"same": "YQ==", "other": "YQ==", "null": null}));
        let mut live = secret(&json!({"same": "YQ==", "other": "Yg==", "more": "Yw=="}));
        let applied = secret(&json!({"same": "YQ==", "other": "ZA=="})).to_string();
        live["metadata"]["annotations"] = json!({LAST_APPLIED: applied});
        hide_secret_data(&mut desired, &mut live);
        assert_eq!(
            desired["data"],
            json!({"same": MASK, "other": MASK, "null": MASK})
        );
        assert_eq!(
            live["data"],
            json!({"same": MASK, "other": "++++++++++++", "more": MASK})
        );
        let shown = live.to_string() + &desired.to_string();
        for value in ["YQ==", "Yg==", "Yw==", "ZA=="] {
            assert!(!shown.contains(value), "{shown}");
        }
        assert!(shown.contains("++++++++++++++++"));
    }

    #[test]
    fn what_was_applied_last_and_cannot_be_read_is_hidden_as_a_whole() {
        let mut live = secret(&json!({}));
        live["metadata"]["annotations"] = json!({LAST_APPLIED: "{\"data\": \"YQ==\""});
        hide_secret_data(&mut Value::Null, &mut live);
        assert_eq!(live["metadata"]["annotations"][LAST_APPLIED], MASK);
    }

    #[test]
    fn data_that_is_no_map_is_hidden_as_a_whole() {
        let mut live = secret(&json!("secret"));
        live["stringData"] = json!(["secret"]);
        hide_secret_data(&mut Value::Null, &mut live);
        assert!(!live.to_string().contains("secret\""), "{live}");
    }

    #[test]
    fn other_kinds_are_left_alone() {
        let mut one = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
        let mut other = one.clone();
        hide_secret_data(&mut one, &mut other);
        assert_eq!(one["data"]["a"], "b");
    }
}
