//! Whether a text that is free for anything may be a credential: an argument of a command, a member
//! of free JSON.
//!
//! Nobody can tell for certain, so a text passes only if its name or its form says that it is
//! something else: a word, a number, the path of a file, an identity. Nothing of a text is ever
//! returned but names that are made of plain words.

use std::borrow::Cow;

use serde_json::Value;

/// What names of credentials are made of. It is enough that one of these words is in it.
const CREDENTIAL_WORDS: [&str; 21] = [
    "accesskey",
    "apikey",
    "assertion",
    "authorization",
    "bearer",
    "cookie",
    "cred",
    "credential",
    "header",
    "jwt",
    "key",
    "otp",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pat",
    "pin",
    "pwd",
    "secret",
    "token",
];

/// What such a name may end with, and mean something that is not a credential: where it is, how
/// long it lasts, of which kind it is.
const ABOUT_CREDENTIALS: [&str; 24] = [
    "audience",
    "dir",
    "directory",
    "duration",
    "enabled",
    "endpoint",
    "env",
    "expiration",
    "expiry",
    "file",
    "issuer",
    "lifetime",
    "method",
    "mode",
    "name",
    "path",
    "provider",
    "seconds",
    "service",
    "timeout",
    "ttl",
    "type",
    "uri",
    "url",
];

/// The last words of names whose values may be of any form.
const HARMLESS_WORDS: [&str; 58] = [
    "account",
    "address",
    "arn",
    "audience",
    "audiences",
    "authority",
    "bundle",
    "ca",
    "claims",
    "cluster",
    "clusters",
    "context",
    "dir",
    "directory",
    "domain",
    "duration",
    "endpoint",
    "environment",
    "expiry",
    "file",
    "format",
    "group",
    "groups",
    "host",
    "hostname",
    "hub",
    "id",
    "ids",
    "issuer",
    "kind",
    "level",
    "location",
    "login",
    "method",
    "mode",
    "name",
    "namespace",
    "output",
    "path",
    "port",
    "profile",
    "project",
    "proxy",
    "region",
    "resource",
    "role",
    "scope",
    "scopes",
    "server",
    "session",
    "subscription",
    "tenant",
    "timeout",
    "type",
    "uri",
    "url",
    "user",
    "version",
];

/// With what well-known credentials begin.
const CREDENTIAL_PREFIXES: [&str; 21] = [
    "AIza",
    "AKIA",
    "ASIA",
    "Basic ",
    "Bearer ",
    "basic ",
    "bearer ",
    "dop_v1_",
    "eyJ",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hvs.",
    "k8s-aws-v1.",
    "sk-",
    "xoxb-",
    "xoxp-",
    "ya29.",
];

/// Something that may be a credential. It names a flag or a member, if its name can be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Suspect {
    /// As it is written, without its value.
    pub(crate) name: Option<String>,
}

impl Suspect {
    fn named(name: &str, written: Cow<'_, str>) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-' || byte == b'_';
        let is_shown = name.len() <= 40
            && name.bytes().all(is_plain)
            && words(name).iter().any(|word| is_credential_word(word));
        Suspect {
            name: is_shown.then(|| written.into_owned()),
        }
    }
}

/// What becomes of a value that is in no form which is known, under a name that says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doubt {
    /// It may be a credential.
    Counts,
    /// It is none.
    Passes,
}

/// What a name says of its value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meaning {
    Credential,
    Harmless,
    Nothing,
}

/// The arguments of a command that may be credentials.
pub(crate) fn among_arguments<'a>(arguments: impl Iterator<Item = &'a str>) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let Some((name, value)) = flag(argument) else {
            if !is_plain(argument) {
                suspects.push(Suspect { name: None });
            }
            continue;
        };
        let value = match value {
            Some(value) => Some(value),
            None => arguments.next_if(|next| flag(next).is_none()),
        };
        let written = &argument[..argument.len() - value_length(argument)];
        let is_suspect = match value {
            Some(value) => may_be_credential(name, value, Doubt::Counts),
            // A value may be glued to its name.
            None => !name.split(['-', '_', '.']).all(is_word),
        };
        if is_suspect {
            suspects.push(Suspect::named(name, written.into()));
        }
    }
    suspects
}

/// The names of the members of free JSON that may be credentials, and of the whole under the name
/// that it has itself. JSON that is nested too deeply may be one as well.
pub(crate) fn in_json(name: &str, json: &str, doubt: Doubt) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    match serde_json::from_str::<Value>(json) {
        Ok(value) => look_into(name, &value, doubt, &mut suspects),
        Err(_) => suspects.push(Suspect::named(name, name.into())),
    }
    suspects
}

fn look_into(name: &str, value: &Value, doubt: Doubt, suspects: &mut Vec<Suspect>) {
    let is_suspect = match value {
        Value::Object(members) => {
            for (name, member) in members {
                look_into(name, member, doubt, suspects);
            }
            return;
        }
        Value::Array(items) => {
            for item in items {
                look_into(name, item, doubt, suspects);
            }
            return;
        }
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => meaning(name) == Meaning::Credential,
        Value::String(text) => may_be_credential(name, text, doubt),
    };
    if is_suspect {
        suspects.push(Suspect::named(name, name.into()));
    }
}

/// Whether a text has the form of a credential, whatever its name says.
pub(crate) fn has_form_of_credential(text: &str) -> bool {
    let in_url = text.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.contains('@') || rest.contains('?')
    });
    in_url
        || text.contains("-----BEGIN ")
        || CREDENTIAL_PREFIXES
            .iter()
            .any(|prefix| text.starts_with(prefix))
        || is_random(text)
}

/// Whether a text is long and of all sorts of characters, as what is drawn at random and written in
/// base64 is. Paths, URLs and resource names are made of shorter parts.
fn is_random(text: &str) -> bool {
    let parts = text.split(['/', ':', '.', '-', '_', ',', ' ', '=', '+']);
    parts.into_iter().any(|part| {
        let has = |is: fn(&u8) -> bool| part.bytes().any(|byte| is(&byte));
        part.len() >= 20
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
    })
}

fn may_be_credential(name: &str, value: &str, doubt: Doubt) -> bool {
    if value.is_empty() {
        return false;
    }
    match meaning(name) {
        Meaning::Credential => true,
        // Certificates of authorities are public, and long.
        Meaning::Harmless if is_public_certificate(name) => false,
        Meaning::Harmless => has_form_of_credential(value),
        Meaning::Nothing => match doubt {
            Doubt::Counts => !is_plain(value),
            Doubt::Passes => has_form_of_credential(value),
        },
    }
}

fn is_public_certificate(name: &str) -> bool {
    let words = words(name);
    let has = |word: &str| words.iter().any(|own| own == word);
    has("ca") && (has("data") || has("bundle"))
}

fn meaning(name: &str) -> Meaning {
    let words = words(name);
    let last = words.last().map_or("", String::as_str);
    if words.iter().any(|word| is_credential_word(word)) {
        if ABOUT_CREDENTIALS.contains(&last) {
            Meaning::Harmless
        } else {
            Meaning::Credential
        }
    } else if HARMLESS_WORDS.contains(&last) || is_public_certificate(name) {
        Meaning::Harmless
    } else {
        Meaning::Nothing
    }
}

fn is_credential_word(word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    CREDENTIAL_WORDS.contains(&word) || CREDENTIAL_WORDS.contains(&singular)
}

/// The words of a name, in lower case: `clientSecret`, `client-secret`, `CLIENT_SECRET` and
/// `AWSSecret` are two each.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut characters = name.chars().peekable();
    let mut before = '-';
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() {
            let next_is_small = characters.peek().is_some_and(|next| next.is_lowercase());
            let begins = !before.is_alphanumeric()
                || character.is_uppercase() && (!before.is_uppercase() || next_is_small);
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(character.to_lowercase());
            }
        }
        before = character;
    }
    words
}

/// The name of a flag, and its value if that is in the same argument.
fn flag(argument: &str) -> Option<(&str, Option<&str>)> {
    let name = argument.strip_prefix('-')?;
    let name = name.strip_prefix('-').unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    Some(match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    })
}

fn value_length(argument: &str) -> usize {
    argument.find('=').map_or(0, |place| argument.len() - place)
}

/// Whether a text is nothing but words, small numbers, paths and identities, such as `get-token`,
/// `eu-1`, `/var/run/token` or an ARN.
fn is_plain(text: &str) -> bool {
    let is_id = |text: &str| is_uuid(text) || is_arn(text);
    let parts = || text.split(['-', '_', '.', '/', ':', ',']);
    is_id(text)
        || !has_form_of_credential(text)
            && parts().all(|part| is_word(part) || is_small_number(part))
            && (text.starts_with('/') || !words(text).iter().any(|word| is_secret_word(word)))
}

/// A word that stands for itself as a secret. `get-token` and `credentials` are subcommands.
fn is_secret_word(word: &str) -> bool {
    matches!(
        word,
        "secret" | "secrets" | "password" | "passwd" | "passphrase" | "pwd"
    )
}

/// Letters of one case, perhaps with a capital in front, or something as short as `k8s`.
fn is_word(text: &str) -> bool {
    let rest = text.strip_prefix(|c: char| c.is_ascii_uppercase());
    let is_small = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_short = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_short || text.len() <= 24 && is_small(rest.unwrap_or(text))
}

fn is_small_number(text: &str) -> bool {
    text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(is_hex)
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.split(':').count() >= 6 && !is_random(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(arguments: &[&str]) -> Vec<Option<String>> {
        let suspects = among_arguments(arguments.iter().copied());
        suspects.into_iter().map(|suspect| suspect.name).collect()
    }

    #[test]
    fn documented_plugins_without_stored_credentials_pass() {
        for harmless in [
            &[
                "aws",
                "--cluster-name",
                "Prod_EU1",
                "--role-arn",
                "arn:aws:iam::111122223333:role/Argo",
            ][..],
            &["gcp"],
            &["azure"],
            &[
                "--region",
                "eu-west-1",
                "eks",
                "get-token",
                "--cluster-name",
                "one",
                "--output",
                "json",
            ],
            &[
                "token",
                "-i",
                "one",
                "-r",
                "arn:aws:iam::111122223333:role/argocd",
            ],
            &[
                "get-token",
                "--login",
                "workloadidentity",
                "--server-id",
                "6dae42f8-4368-4678-94ff-3960e28e3630",
                "--client-id=00000000-0000-0000-0000-000000000001",
                "--tenant-id",
                "00000000-0000-0000-0000-000000000002",
                "--environment",
                "AzurePublicCloud",
                "--federated-token-file",
                "/var/run/secrets/azure/tokens/azure-identity-token",
            ],
            &["get-token", "--login", "msi", "--legacy"],
            &[
                "oidc-login",
                "get-token",
                "--oidc-issuer-url=https://login.example.com/realms/live",
                "--oidc-client-id=argocd",
            ],
            &[
                "kube",
                "credentials",
                "--kube-cluster=prod-eu-1",
                "--proxy=teleport.example.com:443",
            ],
            &["--use_application_default_credentials"],
            &["k8s", "exec-credential", "--version=v1beta1"],
            &["/var/run/token.json"],
            &[
                "login",
                "oidc",
                "--ca-bundle-data",
                "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg0",
            ],
            &["get-token", "--password="],
            &[],
        ] {
            assert!(arguments(harmless).is_empty(), "{harmless:?}");
        }
    }

    #[test]
    fn credentials_in_arguments_are_seen_and_their_values_are_not_shown() {
        const VALUE: &str = "hunter2";
        for (bad, named) in [
            (&["--client-secret", VALUE][..], Some("--client-secret")),
            (&["--client-secret=hunter2"], Some("--client-secret")),
            (&["-client-secret", VALUE], Some("-client-secret")),
            (&["--token", VALUE], Some("--token")),
            (
                &["--oidc-client-secret=hunter2"],
                Some("--oidc-client-secret"),
            ),
            (&["--clientSecret", VALUE], Some("--clientSecret")),
            (&["--CLIENT_SECRET", VALUE], Some("--CLIENT_SECRET")),
            (&["--access-key-id", VALUE], Some("--access-key-id")),
            (
                &["--client-certificate-password", VALUE],
                Some("--client-certificate-password"),
            ),
            (
                &["--header", "Authorization: Bearer hunter2"],
                Some("--header"),
            ),
            (&["-p", VALUE], None),
            (&["-phunter2"], None),
            (&["login", VALUE], None),
            (&["--realm", VALUE], None),
            (&["-c", "curl -d hunter2 https://login.example.com"], None),
            (&["AWS_SECRET_ACCESS_KEY=hunter2", "aws"], None),
            (&["my-password"], None),
            (&["--url", "https://user:hunter2@login.example.com"], None),
            (&["--url", "https://login.example.com/?code=hunter2"], None),
            (&["--user", "eyJhbGciOiJSUzI1NiJ9.hunter2.x"], None),
            (&["--config-file", "-----BEGIN PRIVATE KEY-----"], None),
            (&["--profile", "AKIAIOSFODNN7EXAMPLE"], None),
            (&["--id", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"], None),
            (&["--", VALUE], None),
        ] {
            let found = arguments(bad);
            assert_eq!(found.first(), Some(&named.map(str::to_owned)), "{bad:?}");
            assert!(!format!("{found:?}").contains(VALUE), "{bad:?}");
        }
    }

    #[test]
    fn free_json_is_looked_into_at_any_depth() {
        let names = |json: &str| -> Vec<Option<String>> {
            let suspects = in_json("config", json, Doubt::Counts);
            suspects.into_iter().map(|suspect| suspect.name).collect()
        };
        for harmless in [
            "null",
            "{}",
            r#"{"clusterName":"Prod_EU1","region":"eu-west-1","audience":"https://login.example.com"}"#,
            r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecConfig"}"#,
            r#"{"secretName":"prod/db","tokenFile":"/var/run/token","clientSecret":"","password":null}"#,
            r#"{"nested":[{"enabled":true,"retries":3,"zone":"a"}]}"#,
        ] {
            assert!(names(harmless).is_empty(), "{harmless}");
        }
        for (bad, named) in [
            (r#"{"clientSecret":"hunter2"}"#, Some("clientSecret")),
            (r#"{"a":[{"b":{"password":"hunter2"}}]}"#, Some("password")),
            (r#"{"tokens":["hunter2"]}"#, Some("tokens")),
            (r#"{"pin":4711}"#, Some("pin")),
            (r#"{"hunter2":"hunter2"}"#, None),
            (r#""hunter2""#, None),
            (r#"["hunter2"]"#, None),
            (r#"{"url":"https://a:hunter2@login.example.com"}"#, None),
        ] {
            let found = names(bad);
            assert_eq!(found, [named.map(str::to_owned)], "{bad}");
        }
        let doubtful = r#"{"comment":"Made by Terraform","password":"x"}"#;
        assert_eq!(names(doubtful).len(), 2);
        assert_eq!(in_json("config", doubtful, Doubt::Passes).len(), 1);
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(names(&deep).len(), 1);
    }

    #[test]
    fn names_are_made_of_words_however_they_are_joined() {
        for name in [
            "client-secret",
            "clientSecret",
            "CLIENT_SECRET",
            "Client.Secret",
        ] {
            assert_eq!(words(name), ["client", "secret"], "{name}");
        }
        assert_eq!(words("AWSAuthToken"), ["aws", "auth", "token"]);
        assert!(words("").is_empty() && words("--").is_empty());
    }
}
