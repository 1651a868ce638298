//! Values that are secrets, which no file of a repository may hold.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regex::Regex;
use serde_json::Value;

use super::split::Values;

/// A value that looks like a secret: where it is and why, and not what it is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct SecretValue {
    /// As Helm's `--set` names it: `auth.password`, `users[0].token`.
    pub(crate) path: String,
    pub(crate) reason: &'static str,
}

const IN_A_SECRET: &str = "the release has it in a Secret";
const BY_ITS_NAME: &str = "its name says so";
const BY_ITS_FORM: &str = "it looks like a key or a token";

/// What a name ends with that is one of a secret, without what separates words.
const ENDINGS: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "secretkey",
    "apikey",
    "accesskey",
    "privatekey",
    "credentials",
    "connectionstring",
    "dockerconfigjson",
];

/// What a name ends with that is one of an object that holds a secret.
const NAMES_OF_OBJECTS: [&str; 5] = [
    "existingsecret",
    "pullsecret",
    "tlssecret",
    "secretsecret",
    "externalsecret",
];

static FORMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // Without classes of Unicode, for which regex would need tables. A test shows that this is a
    // pattern.
    Regex::new(concat!(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
        r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.",
        r"|(?:AKIA|ASIA)[0-9A-Z]{16}",
        r"|gh[pousr]_[A-Za-z0-9]{30,}",
        r"|glpat-[A-Za-z0-9_-]{16,}",
        r"|xox[abprs]-[A-Za-z0-9-]{10,}",
        r"|://[^/ \t\r\n:@]+:[^/ \t\r\n:@$]+@",
        r"|(?im:^[ \t]*[a-z_.-]*(?:password|passwd|token|secret_?key|api_?key)[ \t]*[:=][ \t]*[^ \t\r\n])",
    ))
    .ok()
});

/// The values that look like secrets: by their names, by their forms, or because the Secrets of the
/// release have them. `objects` are all that the release made, hooks as well.
pub(crate) fn secret_values(values: &Values, objects: &[Value]) -> BTreeSet<SecretValue> {
    let mut search = Search {
        kept: kept_in_secrets(objects),
        found: BTreeSet::new(),
    };
    search.mapping("", values);
    search.found
}

struct Search {
    kept: BTreeSet<Vec<u8>>,
    found: BTreeSet<SecretValue>,
}

impl Search {
    fn mapping(&mut self, path: &str, values: &Values) {
        for (key, value) in values {
            let escaped = key.replace('.', "\\.");
            let path = match path {
                "" => escaped,
                path => format!("{path}.{escaped}"),
            };
            self.value(&path, key, value);
        }
    }

    fn value(&mut self, path: &str, key: &str, value: &Value) {
        match value {
            Value::Object(values) => self.mapping(path, values),
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(&format!("{path}[{index}]"), key, value);
                }
            }
            Value::String(text) => self.text(path, key, text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, path: &str, key: &str, text: &str) {
        let reason = if text.is_empty() {
            None
        } else if is_name_of_secret(key) {
            Some(BY_ITS_NAME)
        } else if FORMS.as_ref().is_some_and(|forms| forms.is_match(text)) {
            Some(BY_ITS_FORM)
        } else if self.kept.contains(text.trim().as_bytes()) {
            Some(IN_A_SECRET)
        } else {
            None
        };
        self.found.extend(reason.map(|reason| SecretValue {
            path: path.to_owned(),
            reason,
        }));
    }
}

fn is_name_of_secret(key: &str) -> bool {
    let plain: String = key
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let ends = |endings: &[&str]| endings.iter().any(|ending| plain.ends_with(ending));
    ends(&ENDINGS) && !ends(&NAMES_OF_OBJECTS)
}

/// What the Secrets among some objects hold. What is so short that anything may be the same by
/// chance is left out.
fn kept_in_secrets(objects: &[Value]) -> BTreeSet<Vec<u8>> {
    const SHORTEST: usize = 4;
    let is_secret = |object: &&Value| object["kind"] == "Secret" && object["apiVersion"] == "v1";
    let mut kept = BTreeSet::new();
    for secret in objects.iter().filter(is_secret) {
        let texts = |field: &str| {
            let data = secret.get(field).and_then(Value::as_object);
            let values = data.into_iter().flat_map(|data| data.values());
            values.filter_map(Value::as_str).collect::<Vec<_>>()
        };
        let decoded = texts("data").into_iter().filter_map(|text| {
            let text = text.split_whitespace().collect::<String>();
            BASE64_STANDARD.decode(text).ok()
        });
        let plain = texts("stringData");
        let plain = plain.into_iter().map(|text| text.as_bytes().to_vec());
        let all = decoded.chain(plain);
        kept.extend(all.map(|bytes| bytes.trim_ascii().to_vec()));
    }
    kept.retain(|bytes| bytes.len() >= SHORTEST);
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(values: &Value, objects: &[Value]) -> Vec<String> {
        let found = secret_values(values.as_object().unwrap(), objects);
        found.into_iter().map(|one| one.path).collect()
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let values = json!({
            "auth": {"adminPassword": "a", "existingSecret": "dns", "user": "dns"},
            "api-token": "b",
            "imagePullSecrets": [{"name": "registry"}],
            "empty": {"password": ""},
            "tokens": ["a"],
            "secretName": "dns",
            "users": [{"api_key": "c"}],
            "tokenTTL": "1h",
            "createSecret": true,
            "with.dot": {"secret": "d"},
        });
        assert_eq!(
            paths(&values, &[]),
            [
                "api-token",
                "auth.adminPassword",
                "users[0].api_key",
                "with\\.dot.secret"
            ]
        );
    }

    #[test]
    fn secrets_are_known_by_their_forms() {
        assert!(FORMS.is_some());
        for (text, is_secret) in [
            ("-----BEGIN RSA PRIVATE KEY-----\nMII", true),
            ("-----BEGIN CERTIFICATE-----\nMII", false),
            ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", true),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("postgres://dns:hunter2@db/dns", true),
            ("postgres://dns:$(PASSWORD)@db/dns", false),
            ("https://dns.example.com:8443/a@b", false),
            ("level: info\npassword: hunter2\n", true),
            ("level: info\n", false),
            ("registry.example.com/dns", false),
        ] {
            let found = paths(&json!({"a": text}), &[]);
            assert_eq!(!found.is_empty(), is_secret, "{text}");
        }
    }

    #[test]
    fn what_a_secret_of_the_release_holds_is_one() {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "data": {"a": BASE64_STANDARD.encode("hunter2\n"), "short": BASE64_STANDARD.encode("on")},
            "stringData": {"b": "hunter3"},
        });
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"c": "hunter4"}});
        let values = json!({"x": "hunter2", "y": ["hunter3"], "z": "hunter4", "w": "on"});
        assert_eq!(paths(&values, &[secret, config]), ["x", "y[0]"]);
    }

    #[test]
    fn nothing_of_a_secret_is_in_what_is_told() {
        let values = json!({"password": "hunter2"});
        let found = secret_values(values.as_object().unwrap(), &[]);
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}
