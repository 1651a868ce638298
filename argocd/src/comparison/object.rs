//! Objects as Argo CD holds them: JSON whose numbers are integers or floats.

use serde_json::{Map, Number, Value};

/// The annotation that says what `kubectl apply` applied last.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Integers up to which a float is written as one.
const EXACT: f64 = 9_223_372_036_854_775_807.0;

/// Group and version, and kind.
pub(super) fn kind_of(object: &Value) -> (&str, &str) {
    (text(object, "/apiVersion"), text(object, "/kind"))
}

/// The group, which has no name in the core group.
pub(super) fn group_of(object: &Value) -> &str {
    let version = text(object, "/apiVersion");
    version.split_once('/').map_or("", |(group, _)| group)
}

pub(super) fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    let found = object.pointer(pointer);
    found.and_then(Value::as_str).unwrap_or_default()
}

/// Annotations, or labels. There are none if one of them is not a text (Go's `NestedStringMap`).
pub(super) fn texts<'o>(object: &'o Value, name: &str) -> Option<&'o Map<String, Value>> {
    let members = object.get("metadata")?.get(name)?.as_object()?;
    members.values().all(Value::is_string).then_some(members)
}

/// An annotation.
pub(super) fn annotation<'o>(object: &'o Value, name: &str) -> &'o str {
    let annotations = texts(object, "annotations");
    let found = annotations.and_then(|annotations| annotations.get(name));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// Takes a member of `metadata` out.
pub(super) fn remove_metadata(object: &mut Value, name: &str) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove(name);
    }
}

/// Makes a float that is an integer into one, as it comes out when Go writes and reads it.
pub(super) fn with_integers(value: &mut Value) {
    match value {
        Value::Number(number) if !number.is_i64() => {
            let float = number.as_f64().unwrap_or_default();
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is an integer that fits"
            )]
            if float.fract() == 0.0 && float.abs() < EXACT {
                *number = Number::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_integers),
        Value::Object(members) => members.values_mut().for_each(with_integers),
        _ => {}
    }
}
