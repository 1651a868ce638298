//! Cluster Secrets: which cluster one describes, and what it logs in with.
//!
//! A [`Cluster`] is what everybody may know; it never holds credentials. A [`ClusterSecret`] is
//! read once, judged and dropped; of its `config` only what kind of credentials are there remains
//! (see [`config`]).

pub mod config;
mod secret_string;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use zeroize::Zeroizing;

use self::config::{ClusterConfig, ConfigError};
use self::secret_string::SecretString;
use crate::kubernetes::Metadata;
use crate::names::{IN_CLUSTER_SERVER, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};
use crate::text::object;

/// A cluster as Applications and projects see it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cluster {
    /// Display name; may be empty, need not be unique.
    pub name: String,
    /// URL of the API server, without trailing slashes.
    pub server: String,
    /// The same as the Secret has it, where that has slashes at its end.
    pub server_with_slashes: Option<String>,
    /// Whether Argo CD cannot read the Secret's `config`. The cluster is no destination then, but
    /// ApplicationSets still see it.
    pub has_unreadable_config: bool,
    /// Labels of the Secret.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret.
    pub annotations: BTreeMap<String, String>,
    /// The project that the cluster belongs to, or empty.
    pub project: String,
    /// The only namespaces that Argo CD manages there, or none for all.
    pub namespaces: Vec<String>,
    /// Whether Argo CD manages cluster-scoped resources although it is limited to namespaces.
    pub cluster_resources: bool,
}

impl Cluster {
    /// The URL of the API server as the Secret has it.
    pub fn written_server(&self) -> &str {
        self.server_with_slashes.as_deref().unwrap_or(&self.server)
    }
}

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
    /// A value of `data` is not base64 or not text. Which value it is, not what it holds.
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

    /// The cluster that it describes (Argo CD 3.5, `db.SecretToCluster`).
    ///
    /// # Errors
    /// A value other than `config` is not base64.
    pub fn cluster(&self) -> Result<Cluster, ClusterSecretError> {
        let plain = |name, value: &SecretString<'_>| {
            decode(value)
                .map(|text| text.to_string())
                .ok_or(ClusterSecretError::Encoding(name))
        };
        let written = plain("server", &self.data.server)?;
        let server = written.trim_end_matches('/').to_owned();
        Ok(Cluster {
            name: plain("name", &self.data.name)?,
            server_with_slashes: (server != written).then_some(written),
            server,
            has_unreadable_config: self.config().is_err(),
            labels: to_owned(self.metadata.labels.iter()),
            annotations: to_owned(self.metadata.annotations.iter()),
            project: plain("project", &self.data.project)?,
            namespaces: split_namespaces(&plain("namespaces", &self.data.namespaces)?),
            cluster_resources: plain("clusterResources", &self.data.cluster_resources)? == "true",
        })
    }

    /// What its `config` says, without the values of credentials.
    ///
    /// # Errors
    /// `config` is not base64, or not what Argo CD can read.
    pub fn config(&self) -> Result<ClusterConfig, ClusterSecretError> {
        let config = decode(&self.data.config).ok_or(ClusterSecretError::Encoding("config"))?;
        ClusterConfig::parse(&config).map_err(ClusterSecretError::Config)
    }

    /// Whether it describes the cluster that Argo CD runs in.
    pub fn is_in_cluster(&self) -> bool {
        decode(&self.data.server)
            .is_some_and(|server| server.trim_end_matches('/') == IN_CLUSTER_SERVER)
    }
}

/// The comma-separated list of `data.namespaces`.
pub fn split_namespaces(list: &str) -> Vec<String> {
    if list.is_empty() {
        return Vec::new();
    }
    list.split(',').map(|item| item.trim().to_owned()).collect()
}

fn to_owned<'e>(entries: impl Iterator<Item = (&'e str, &'e str)>) -> BTreeMap<String, String> {
    entries
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The text behind a value of `data`. It is wiped when dropped, as it may be a credential.
fn decode(value: &SecretString<'_>) -> Option<Zeroizing<String>> {
    let mut bytes = value.decode()?;
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|error| drop(Zeroizing::new(error.into_bytes())))
        .ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

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

    #[test]
    fn nothing_prints_what_a_secret_holds() {
        let config = format!(
            r#"{{"bearerToken":"{TOKEN}","username":"{TOKEN}","password":"{TOKEN}","proxyUrl":"{TOKEN}://{TOKEN}:{TOKEN}@h","execProviderConfig":{{"command":"sh -c {TOKEN}","args":["{TOKEN}"],"env":{{"A":"{TOKEN}"}},"apiVersion":"client.authentication.k8s.io/v1"}}}}"#
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
