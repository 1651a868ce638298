//! Cluster Secrets: what is read of one, and what of it is not known.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use golang::json::{is_there, object};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use zeroize::Zeroizing;

use super::accounts::accounts;
use super::config::{AwsAuthConfig, ClusterConfig, ConfigError};
use super::rewrite::{Connection, RewriteError, connection, with_aws_login};
use super::secret_string::SecretString;
use super::{Cluster, UnknownValues};
use crate::kubernetes::Metadata;
use crate::names::{IN_CLUSTER_SERVER, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};

/// A Secret with the label that makes it a cluster.
///
/// Its values are credentials in base64. They stay in the document that it is read from, what is
/// decoded of them is wiped when dropped, and the type prints only the object's name. It can be
/// neither cloned nor serialised.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ClusterSecret<'a> {
    /// Name, namespace, labels, annotations.
    #[serde(borrow, deserialize_with = "object")]
    pub metadata: Metadata<'a>,
    #[serde(borrow, deserialize_with = "data")]
    data: ClusterData<'a>,
    /// Whether SOPS has left its own data in the manifest. No API server stores it.
    #[serde(rename = "sops", deserialize_with = "is_there")]
    has_sops: bool,
    #[serde(skip)]
    made_from: Option<&'static str>,
    /// What `config` says, once somebody has asked.
    #[serde(skip)]
    config: OnceLock<Result<ClusterConfig, ClusterSecretError>>,
}

/// As any object, but without what is there in its place in the error.
fn data<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<ClusterData<'a>, D::Error> {
    object(deserializer).map_err(|_| D::Error::custom("expected an object of strings"))
}

impl fmt::Debug for ClusterSecret<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "ClusterSecret({}/{})",
            self.metadata.namespace, self.metadata.name
        )
    }
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(default)]
struct ClusterData<'a> {
    #[serde(borrow)]
    name: SecretString<'a>,
    #[serde(borrow)]
    server: SecretString<'a>,
    #[serde(borrow)]
    config: SecretString<'a>,
    #[serde(borrow)]
    namespaces: SecretString<'a>,
    #[serde(borrow, rename = "clusterResources")]
    cluster_resources: SecretString<'a>,
    #[serde(borrow)]
    project: SecretString<'a>,
}

/// A Secret that cannot be read as a cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClusterSecretError {
    /// A value of `data` is not base64. Which value it is, not what it holds.
    #[error("data.{0} is not base64 of a text")]
    Encoding(&'static str),
    /// `config` is not what Argo CD can read.
    #[error("data.config cannot be read")]
    Config(#[source] ConfigError),
}

impl ClusterSecret<'_> {
    /// Whether Argo CD takes the Secret for a cluster, by its label.
    pub fn is_cluster(&self) -> bool {
        self.metadata.labels.get(LABEL_SECRET_TYPE) == Some(SECRET_TYPE_CLUSTER)
    }

    /// Whether both hold the same data, compared as it is written.
    pub fn same_data(&self, other: &Self) -> bool {
        self.data == other.data
    }

    /// The same as one that a controller makes from an object of this kind: what is not there is
    /// not known.
    #[must_use]
    pub fn made_from(self, kind: &'static str) -> Self {
        ClusterSecret {
            made_from: Some(kind),
            ..self
        }
    }

    /// Why what it logs in with is not known, where that is so.
    pub fn unknown_config(&self) -> Option<UnknownValues> {
        self.unknown(&self.data.config)
    }

    fn unknown(&self, value: &SecretString<'_>) -> Option<UnknownValues> {
        match self.made_from {
            Some(kind) if value.is_empty() => Some(UnknownValues::MadeFrom(kind)),
            _ if self.is_encrypted(value) => Some(UnknownValues::Encrypted),
            _ => None,
        }
    }

    fn is_encrypted(&self, value: &SecretString<'_>) -> bool {
        self.has_sops && value.is_encrypted_by_sops()
    }

    /// The cluster that it describes (Argo CD 3.5, `db.SecretToCluster`). What is not known of it
    /// is empty.
    ///
    /// # Errors
    /// A value other than `config` is not base64.
    pub fn cluster(&self) -> Result<Cluster, ClusterSecretError> {
        let plain = |name, value: &SecretString<'_>| {
            if self.is_encrypted(value) {
                return Ok(String::new());
            }
            decode(value)
                .map(|text| text.to_string())
                .ok_or(ClusterSecretError::Encoding(name))
        };
        let written = plain("server", &self.data.server)?;
        let server = written.trim_end_matches('/').to_owned();
        let config = match self.unknown_config() {
            Some(_) => None,
            None => Some(self.config()),
        };
        Ok(Cluster {
            aws_accounts: accounts(&server, config.and_then(Result::ok)),
            has_unreadable_config: config.is_some_and(|config| config.is_err()),
            name: plain("name", &self.data.name)?,
            server_with_slashes: (server != written).then_some(written),
            server,
            unknown: [&self.data.name, &self.data.server, &self.data.project]
                .into_iter()
                .find_map(|value| self.unknown(value)),
            secret_name: self.metadata.name.to_string(),
            labels: to_owned(self.metadata.labels.iter()),
            annotations: to_owned(self.metadata.annotations.iter()),
            project: plain("project", &self.data.project)?,
            namespaces: split_namespaces(&plain("namespaces", &self.data.namespaces)?),
            cluster_resources: plain("clusterResources", &self.data.cluster_resources)? == "true",
        })
    }

    /// What its `config` says, without the values of credentials. It is parsed once.
    ///
    /// # Errors
    /// `config` is not base64, or not what Argo CD can read.
    pub fn config(&self) -> Result<&ClusterConfig, ClusterSecretError> {
        let config = self.config.get_or_init(|| {
            let config = decode(&self.data.config).ok_or(ClusterSecretError::Encoding("config"))?;
            ClusterConfig::parse(&config).map_err(ClusterSecretError::Config)
        });
        config.as_ref().map_err(|error| *error)
    }

    /// Its `config` with `awsAuthConfig` in place of a credential.
    ///
    /// # Errors
    /// Something in it cannot be read, would be lost, or is not clear.
    pub fn config_with_aws_login(
        &self,
        aws: &AwsAuthConfig,
    ) -> Result<Zeroizing<String>, RewriteError> {
        let config = decode(&self.data.config);
        let config = config.ok_or(RewriteError::Unreadable(ConfigError::Type("config")))?;
        with_aws_login(&config, aws)
    }

    /// How its API server is reached, and the token that lets in.
    ///
    /// # Errors
    /// `config` cannot be read, or it is not clear which value is meant.
    pub fn connection(&self) -> Result<Connection, RewriteError> {
        let unreadable = |field| RewriteError::Unreadable(ConfigError::Type(field));
        let server = decode(&self.data.server).ok_or_else(|| unreadable("server"))?;
        let config = decode(&self.data.config).ok_or_else(|| unreadable("config"))?;
        connection(&config, server.trim_end_matches('/').to_owned())
    }

    /// Its `config`, with all that is secret in it: to be written back, and not to be printed.
    pub fn expose_config(&self) -> Option<Zeroizing<String>> {
        decode(&self.data.config)
    }

    /// Whether it describes the cluster that Argo CD runs in.
    pub fn is_in_cluster(&self) -> bool {
        decode(&self.data.server)
            .is_some_and(|server| server.trim_end_matches('/') == IN_CLUSTER_SERVER)
    }
}

/// The comma-separated list of `data.namespaces`, without what is empty in it.
pub fn split_namespaces(list: &str) -> Vec<String> {
    let items = list.split(',').map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn to_owned<'e>(entries: impl Iterator<Item = (&'e str, &'e str)>) -> BTreeMap<String, String> {
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The text behind a value of `data`. It is wiped when dropped, as it may be a credential. Each
/// byte that is no UTF-8 is a replacement character, as where Go reads JSON.
fn decode(value: &SecretString<'_>) -> Option<Zeroizing<String>> {
    let bytes = value.decode()?;
    let replaced: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    // Nothing is moved as it grows.
    let length = bytes.len() + replaced * char::REPLACEMENT_CHARACTER.len_utf8();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let invalid = chunk.invalid().iter();
        text.extend(invalid.map(|_| char::REPLACEMENT_CHARACTER));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;
    use crate::cluster::config;

    /// Does not compile if a type implements a trait: what is then meant is ambiguous.
    macro_rules! assert_does_not_implement {
        ($type:ty: $($trait:path),+) => {$(
            const _: fn() = || {
                struct Implements;
                trait Ambiguous<A> {
                    fn item() {}
                }
                impl<T: ?Sized> Ambiguous<()> for T {}
                impl<T: ?Sized + $trait> Ambiguous<Implements> for T {}
                let _ = <$type as Ambiguous<_>>::item;
            };
        )+};
    }

    assert_does_not_implement!(
        SecretString<'static>: Clone, fmt::Debug, fmt::Display, serde::Serialize, AsRef<str>
    );
    assert_does_not_implement!(ClusterData<'static>: Clone, fmt::Debug, serde::Serialize);
    assert_does_not_implement!(
        ClusterSecret<'static>: Clone, fmt::Display, serde::Serialize
    );
    assert_does_not_implement!(config::SecretText: Clone, fmt::Display, serde::Serialize, AsRef<str>);
    assert_does_not_implement!(config::OtherField: Clone, fmt::Display, serde::Serialize);
    assert_does_not_implement!(config::Arguments: Clone, fmt::Display, serde::Serialize);
    assert_does_not_implement!(config::ExecProviderConfig: Clone, fmt::Display, serde::Serialize);
    assert_does_not_implement!(ClusterConfig: Clone, fmt::Display, serde::Serialize);

    /// Does not compile unless what was decoded is wiped when dropped.
    const _: fn(&SecretString<'_>) -> Zeroizing<String> = |secret| secret.expose();
    const _: fn(&SecretString<'_>) -> Option<Zeroizing<Vec<u8>>> = |secret| secret.decode();
    const _: fn(&SecretString<'_>) -> Option<Zeroizing<String>> = decode;

    const TOKEN: &str = "hunter2hunter2";

    /// A Secret whose `config` is this, in base64 of which a character is escaped.
    fn secret(config: &str) -> String {
        let config = BASE64_STANDARD.encode(config);
        let (first, rest) = config.split_at(1);
        let first = u32::from(first.chars().next().unwrap());
        format!(
            r#"{{"metadata":{{"name":"a","namespace":"argocd"}},"data":{{"name":"YQ==","config":"\u{first:04x}{rest}"}}}}"#
        )
    }

    #[test]
    fn an_escaped_config_is_read_where_it_stands() {
        let json = secret(&format!(r#"{{"bearerToken":"{TOKEN}"}}"#));
        let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
        let document = json.as_bytes().as_ptr_range();
        assert!(document.contains(&secret.data.config.as_written().as_ptr()));
        assert!(secret.config().unwrap().bearer_token);
    }

    /// Items that are empty were believed to be a namespace without a name, so that the cluster was
    /// limited to it.
    #[test]
    fn empty_items_are_no_namespaces() {
        for (list, namespaces) in [
            ("", &[][..]),
            (" ", &[]),
            (",", &[]),
            (" , ,\t", &[]),
            ("a,", &["a"]),
            (", a ,,b\n", &["a", "b"]),
        ] {
            assert_eq!(split_namespaces(list), namespaces, "{list:?}");
        }
    }

    fn in_base64(name: &[u8], config: &[u8]) -> String {
        let [name, config] = [name, config].map(|value| BASE64_STANDARD.encode(value));
        format!(r#"{{"metadata":{{"name":"a"}},"data":{{"name":"{name}","config":"{config}"}}}}"#)
    }

    /// Such a Secret was believed not to be a cluster to Argo CD.
    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let json = in_base64(
            b"a\xffb",
            b"{\"bearerToken\":\"\xff\",\"execProviderConfig\":{\"args\":[\"\xe2\x82|\"]}}",
        );
        let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(secret.cluster().unwrap().name, "a\u{fffd}b");
        let config = secret.config().unwrap();
        assert!(config.bearer_token);
        let exec = config.exec.as_ref().unwrap();
        assert_eq!(
            exec.args.expose().collect::<Vec<_>>(),
            ["\u{fffd}\u{fffd}|"]
        );
        // Outside of a string it is not JSON to Go either.
        let json = in_base64(b"", b"\xff{}");
        let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
        assert!(secret.config().is_err());
    }

    #[test]
    fn encrypted_values_are_not_known_and_labels_are() {
        const ENCRYPTED: &str = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]";
        let secret = |name: &str, config: &str, sops: &str| {
            format!(
                r#"{{"metadata":{{"name":"a","labels":{{"environment":"prod"}}}},"data":{{"name":"{name}","server":"aA==","config":"{config}"}}{sops}}}"#
            )
        };
        let sops = r#","sops":{"version":"3.9.0"}"#;
        let in_base64 = BASE64_STANDARD.encode(ENCRYPTED);
        for encrypted in [ENCRYPTED, &in_base64] {
            let json = secret(encrypted, encrypted, sops);
            let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
            let cluster = secret.cluster().unwrap();
            assert_eq!(cluster.unknown, Some(UnknownValues::Encrypted));
            assert_eq!((&*cluster.name, &*cluster.server), ("", "h"));
            assert_eq!(cluster.labels["environment"], "prod");
            assert!(!cluster.has_unreadable_config);
            assert_eq!(secret.unknown_config(), Some(UnknownValues::Encrypted));
        }
        // What goes by names is known where only the rest is encrypted.
        let json = secret("YQ==", ENCRYPTED, sops);
        let partly: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(partly.cluster().unwrap().unknown, None);
        assert_eq!(partly.unknown_config(), Some(UnknownValues::Encrypted));
        // Without what SOPS leaves beside it, it is what will be in the cluster.
        for sops in ["", r#","sops":null"#] {
            let json = secret("YQ==", &in_base64, sops);
            let applied: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
            assert_eq!(applied.unknown_config(), None);
            assert!(applied.cluster().unwrap().has_unreadable_config);
        }
    }

    #[test]
    fn of_a_secret_that_is_made_only_what_is_written_is_known() {
        let json = r#"{"metadata":{"name":"a"},"data":{"name":"YQ=="}}"#;
        let secret: ClusterSecret<'_> = serde_json::from_str(json).unwrap();
        let secret = secret.made_from("ExternalSecret");
        let made = Some(UnknownValues::MadeFrom("ExternalSecret"));
        let cluster = secret.cluster().unwrap();
        assert_eq!((&*cluster.name, cluster.unknown), ("a", made));
        assert_eq!(secret.unknown_config(), made);
    }

    #[test]
    fn nothing_prints_what_a_secret_holds() {
        let config = format!(
            r#"{{"{TOKEN}":"{TOKEN}","bearerToken":"{TOKEN}","username":"{TOKEN}","password":"{TOKEN}","proxyUrl":"{TOKEN}://{TOKEN}:{TOKEN}@h","execProviderConfig":{{"command":"sh -c {TOKEN}","args":["{TOKEN}"],"env":{{"A":"{TOKEN}"}},"config":{{"{TOKEN}":"{TOKEN}"}},"installHint":"{TOKEN}","apiVersion":"client.authentication.k8s.io/v1"}}}}"#
        );
        let json = secret(&config);
        let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
        let encoded = BASE64_STANDARD.encode(TOKEN);
        let config = secret.config().unwrap();
        let exec = config.exec.as_ref().unwrap();
        for printed in [
            format!("{secret:?}"),
            format!("{config:?}"),
            format!("{config:#?}"),
            format!("{exec:?} {:?}", exec.args),
            format!("{:?}", config.login(false)),
            format!("{:?}", secret.cluster().unwrap()),
        ] {
            assert!(!printed.contains(TOKEN), "{printed}");
            assert!(!printed.contains(&encoded[..8]), "{printed}");
        }
        assert_eq!(format!("{secret:?}"), "ClusterSecret(argocd/a)");
    }

    #[test]
    fn errors_do_not_print_what_a_secret_holds() {
        let data = |data: &str| format!(r#"{{"data":{data}}}"#);
        for json in [
            data(&format!(r#"{{"config":["{TOKEN}"]}}"#)),
            data(&format!(r#"{{"config":{{"{TOKEN}":"{TOKEN}"}}}}"#)),
            data(&format!(r#""{TOKEN}""#)),
            data(&format!(r#"["{TOKEN}"]"#)),
        ] {
            let error = serde_json::from_str::<ClusterSecret<'_>>(&json).unwrap_err();
            assert!(!error.to_string().contains(TOKEN), "{error}");
        }
        for (config, reason) in [
            (TOKEN.to_owned(), "data.config cannot be read"),
            (
                format!(r#"{{"password":["{TOKEN}"]}}"#),
                "data.config cannot be read",
            ),
        ] {
            let json = secret(&config);
            let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
            let error = secret.config().unwrap_err();
            assert_eq!(error.to_string(), reason);
            assert!(!format!("{error:?}").contains(TOKEN));
        }
        let json = data(&format!(r#"{{"config":"{TOKEN}"}}"#));
        let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(secret.config(), Err(ClusterSecretError::Encoding("config")));
    }
}
