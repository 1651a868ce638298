//! What the argocd CLI has been told: its file, and `ARGOCD_OPTS`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::error::SessionError;

/// The file in which the argocd CLI keeps whom it is logged in as (Argo CD 3.6,
/// `localconfig.LocalConfig`).
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct LocalConfig {
    pub(super) current_context: Option<String>,
    contexts: Option<Vec<Context>>,
    servers: Option<Vec<Server>>,
    users: Option<Vec<User>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    name: String,
    server: String,
    user: String,
}

/// An argocd-server that is known.
#[expect(clippy::struct_field_names, reason = "the names of the argocd CLI")]
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Server {
    pub(super) server: String,
    pub(super) insecure: bool,
    pub(super) plain_text: bool,
    pub(super) core: bool,
    pub(super) grpc_web_root_path: Option<String>,
    /// Base64 of PEM.
    pub(super) certificate_authority_data: Option<String>,
    /// Base64 of PEM.
    pub(super) client_certificate_data: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) client_certificate_key_data: Option<SecretString>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    name: String,
    #[serde(deserialize_with = "secret")]
    auth_token: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(SecretString::from))
}

/// A server, and what one logs in to it with.
pub(super) struct LoggedIn {
    pub(super) server: Server,
    pub(super) token: Option<SecretString>,
}

impl LocalConfig {
    /// Reads the file where the argocd CLI keeps it; one that is not there says nothing.
    pub(super) fn read(options: &Options) -> Result<Self, SessionError> {
        let Some(path) = options.get("config").map(PathBuf::from).or_else(path) else {
            return Ok(LocalConfig::default());
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(LocalConfig::default());
            }
            Err(source) => return Err(SessionError::Read { path, source }),
        };
        // The parser's message quotes what it cannot read, which may be a token.
        serde_saphyr::from_str(&text).map_err(|error| SessionError::Form {
            place: error.location().map_or_else(String::new, |location| {
                format!(" (line {})", location.line())
            }),
            path,
        })
    }

    /// The server of a context.
    pub(super) fn of_context(&self, name: &str) -> Option<LoggedIn> {
        let contexts = self.contexts.as_deref().unwrap_or_default();
        let context = contexts.iter().find(|context| context.name == name)?;
        let servers = self.servers.as_deref().unwrap_or_default();
        let server = servers
            .iter()
            .find(|server| server.server == context.server)?;
        let users = self.users.as_deref().unwrap_or_default();
        let user = users.iter().find(|user| user.name == context.user);
        Some(LoggedIn {
            server: server.clone(),
            token: user.and_then(|user| user.auth_token.clone()),
        })
    }

    /// A server by its address: a token is for the server that gave it, and for no other.
    pub(super) fn of_address(&self, address: &str) -> Option<LoggedIn> {
        let contexts = self.contexts.as_deref().unwrap_or_default();
        let mut names = contexts.iter().filter(|context| context.server == address);
        names.find_map(|context| self.of_context(&context.name))
    }
}

/// Argo CD 3.6, `localconfig.DefaultConfigDir`.
fn path() -> Option<PathBuf> {
    let named = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    let folder = if let Some(folder) = named("ARGOCD_CONFIG_DIR") {
        PathBuf::from(folder)
    } else {
        let home = named("HOME").or_else(|| named("USERPROFILE"))?;
        let legacy = Path::new(&home).join(".argocd");
        match named("XDG_CONFIG_HOME") {
            _ if legacy.exists() => legacy,
            Some(folder) => Path::new(&folder).join("argocd"),
            None => Path::new(&home).join(".config/argocd"),
        }
    };
    Some(folder.join("config"))
}

/// The flags in `ARGOCD_OPTS`, by their names.
#[derive(Default)]
pub(super) struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads them as the argocd CLI does (Argo CD 3.6, `config.LoadFlags`).
    pub(super) fn of_environment() -> Result<Self, SessionError> {
        Options::read(&env::var("ARGOCD_OPTS").unwrap_or_default())
    }

    fn read(text: &str) -> Result<Self, SessionError> {
        let words = words(text).ok_or(SessionError::Options("a quote is not closed"))?;
        let mut options = BTreeMap::new();
        let mut pending: Option<String> = None;
        let on = || "true".to_owned();
        for word in words {
            if let Some(flag) = word.strip_prefix("--") {
                options.extend(pending.take().map(|flag| (flag, on())));
                match flag.split_once('=') {
                    Some((flag, value)) => {
                        options.insert(flag.to_owned(), value.to_owned());
                    }
                    None => pending = Some(flag.to_owned()),
                }
            } else {
                // What the word is may be a token.
                let flag = pending
                    .take()
                    .ok_or(SessionError::Options("a word is behind no flag"))?;
                options.insert(flag, word);
            }
        }
        options.extend(pending.map(|flag| (flag, on())));
        Ok(Options(options))
    }

    pub(super) fn get(&self, flag: &str) -> Option<&str> {
        let value = self.0.get(flag).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    pub(super) fn is_on(&self, flag: &str) -> bool {
        self.get(flag) == Some("true")
    }
}

/// The words of a line as a shell splits it; None where a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => word.push(characters.next()?),
                        other => word.push(other),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(characters.next()?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn options_are_read_as_the_argocd_cli_reads_them() {
        let options = Options::read(
            r#"--server "argo cd.example.com" --insecure --grpc-web-root-path=/argocd --auth-token 'a b'"#,
        )
        .unwrap_or_default();
        assert_eq!(options.get("server"), Some("argo cd.example.com"));
        assert!(options.is_on("insecure"));
        assert!(!options.is_on("plaintext"));
        assert_eq!(options.get("grpc-web-root-path"), Some("/argocd"));
        assert_eq!(options.get("auth-token"), Some("a b"));
        assert!(Options::read("").is_ok());
        for wrong in ["secret", "--server 'a", "--server a secret"] {
            let error = Options::read(wrong).err().map(|error| error.to_string());
            let error = error.unwrap_or_default();
            assert!(error.starts_with("ARGOCD_OPTS: "), "{wrong}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_token_belongs_to_the_server_that_gave_it() {
        let config: LocalConfig = serde_saphyr::from_str(
            "\
contexts:
- {name: one, server: one.example.com, user: one}
- {name: core, server: kubernetes, user: kubernetes}
current-context: one
prompts-enabled: false
servers:
- {server: one.example.com, grpc-web-root-path: '', plain-text: true}
- {server: kubernetes, core: true, grpc-web-root-path: ''}
users:
- {name: one, auth-token: secret, refresh-token: other}
- {name: kubernetes}
",
        )
        .unwrap();
        let token = |found: Option<LoggedIn>| {
            let token = found.and_then(|found| found.token);
            token.map(|token| token.expose_secret().to_owned())
        };
        assert_eq!(token(config.of_context("one")).as_deref(), Some("secret"));
        assert_eq!(
            token(config.of_address("one.example.com")).as_deref(),
            Some("secret")
        );
        assert!(config.of_address("two.example.com").is_none());
        assert!(config.of_context("core").unwrap().server.core);
    }
}
