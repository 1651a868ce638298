//! A cluster that the fleet has already, as far as it matters to one that comes.
//!
//! Of what it logs in with only the kind is kept.

use std::collections::BTreeMap;

use argocd::cluster::config::{AwsAuthConfig, ClusterConfig};
use argocd::{Cluster, ClusterSecret};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A cluster Secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Registered {
    pub(crate) secret_name: String,
    pub(crate) name: String,
    /// Without slashes at its end.
    pub(crate) server: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) project: String,
    pub(crate) namespaces: Vec<String>,
    pub(crate) cluster_resources: bool,
    pub(crate) shard: String,
    pub(crate) login: Login,
    /// `caData` as it is written.
    pub(crate) certificate_authority: String,
}

/// What a Secret logs in with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Login {
    /// `config` says nothing.
    Nothing,
    /// `awsAuthConfig` alone.
    Aws {
        cluster_name: String,
        role_arn: String,
        profile: String,
    },
    /// A credential that does not run out, and which.
    LongLived(&'static str),
    /// Another command.
    Exec,
    /// `config` cannot be read, or is not told, and why.
    Unreadable(String),
    /// The server's certificate is not verified.
    Insecure,
    /// Names that other readers understand otherwise than Argo CD, or that it does not know.
    Irregular,
}

/// What is read of a Secret besides.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    data: RawData,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawData {
    #[serde(deserialize_with = "wiped")]
    config: Zeroizing<String>,
    shard: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawConfig {
    tls_client_config: RawTls,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawTls {
    ca_data: String,
}

/// A text that is wiped when dropped.
fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl Registered {
    /// Reads a Secret, as the API server has it; None where that is not a cluster to Argo CD.
    pub(crate) fn read(json: &str) -> Option<Self> {
        let secret: ClusterSecret<'_> = serde_json::from_str(json).ok()?;
        let raw: Raw = serde_json::from_str(json).unwrap_or_default();
        let config = BASE64_STANDARD.decode(raw.data.config.as_bytes());
        let config = Zeroizing::new(config.unwrap_or_default());
        let RawConfig { tls_client_config } = serde_json::from_slice(&config).unwrap_or_default();
        let shard = BASE64_STANDARD.decode(raw.data.shard).unwrap_or_default();
        let Cluster {
            name,
            server,
            secret_name,
            labels,
            annotations,
            project,
            namespaces,
            cluster_resources,
            ..
        } = secret.cluster().ok()?;
        Some(Registered {
            login: Login::of(&secret),
            secret_name,
            name,
            server,
            labels,
            annotations,
            project,
            namespaces,
            cluster_resources,
            shard: String::from_utf8_lossy(&shard).trim().to_owned(),
            certificate_authority: tls_client_config.ca_data,
        })
    }
}

impl Login {
    fn of(secret: &ClusterSecret<'_>) -> Self {
        if secret.unknown_config().is_some() {
            return Login::Unreadable("it is not told in the file".to_owned());
        }
        match secret.config() {
            Ok(config) => Login::of_config(config),
            Err(error) => Login::Unreadable(crate::error::chain(&error)),
        }
    }

    fn of_config(config: &ClusterConfig) -> Self {
        if config.bearer_token {
            return Login::LongLived("a bearer token");
        }
        if config.password || config.username {
            return Login::LongLived("a user name and password");
        }
        if config.tls.key_data || config.tls.cert_data {
            return Login::LongLived("a client certificate");
        }
        if config.exec.is_some() {
            return Login::Exec;
        }
        if config.tls.insecure {
            return Login::Insecure;
        }
        if !config.irregular_names.is_empty() || !config.other_fields.is_empty() {
            return Login::Irregular;
        }
        match &config.aws {
            None => Login::Nothing,
            Some(AwsAuthConfig {
                cluster_name,
                role_arn,
                profile,
            }) => Login::Aws {
                cluster_name: cluster_name.clone(),
                role_arn: role_arn.clone(),
                profile: profile.clone(),
            },
        }
    }
}
