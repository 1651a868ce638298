//! Secrets.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::comparison::scheme::{Scheme, Type, decode};

/// Moves `stringData` into `data`, and makes the empty values of `data` into empty texts.
pub(super) fn normalize(object: &mut Value) {
    let Value::Object(members) = object else {
        return;
    };
    if let Some(Value::Object(texts)) = members.get("stringData") {
        let mut data = match members.get("data") {
            Some(Value::Object(data)) => data.clone(),
            _ => Map::new(),
        };
        for (name, value) in texts {
            let value = match value {
                Value::String(text) => Value::String(BASE64_STANDARD.encode(text)),
                other => other.clone(),
            };
            data.insert(name.clone(), value);
        }
        members.insert("data".to_owned(), Value::Object(data));
        members.remove("stringData");
    }
    let Some(secret) = Scheme::kubernetes().named("core/v1.Secret") else {
        return;
    };
    let Ok(mut typed) = decode(&Type::Struct(secret), object) else {
        return;
    };
    if let (Some(Value::Object(data)), Value::Object(members)) = (typed.get_mut("data"), object) {
        for value in data.values_mut().filter(|value| value.is_null()) {
            *value = Value::from("");
        }
        members.insert("data".to_owned(), Value::Object(std::mem::take(data)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn data(secret: Value) -> Value {
        let mut secret = secret;
        normalize(&mut secret);
        assert_eq!(secret.get("stringData"), None);
        secret.get("data").cloned().unwrap_or_default()
    }

    #[test]
    fn texts_become_data_and_beat_it() {
        assert_eq!(
            data(json!({"data": {"a": "eA==", "b": null}, "stringData": {"a": "y", "c": ""}})),
            json!({"a": "eQ==", "b": "", "c": ""})
        );
        assert_eq!(data(json!({"stringData": {"n": 1}})), json!({"n": 1}));
        assert_eq!(data(json!({"data": {"a": "eB=="}})), json!({"a": "eA=="}));
    }
}
