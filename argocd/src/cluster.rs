//! Cluster Secrets: which cluster one describes, and what it logs in with.
//!
//! A [`Cluster`] is what everybody may know; it never holds credentials. A [`ClusterSecret`] is
//! read once, judged and dropped; of its `config` only what kind of credentials are there remains
//! (see [`config`]).

pub mod config;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::config::{ClusterConfig, ConfigError};
use crate::kubernetes::Metadata;
use crate::names::{IN_CLUSTER_SERVER, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};
use crate::text::{Text, object};

/// A cluster as Applications and projects see it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cluster {
    /// Display name; may be empty, need not be unique.
    pub name: String,
    /// URL of the API server, without trailing slashes.
    pub server: String,
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

/// A Secret with the label that makes it a cluster.
///
/// Its values are credentials in base64: the type prints only the object's name.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ClusterSecret<'a> {
    /// Name, namespace, labels, annotations.
    #[serde(borrow, deserialize_with = "object")]
    pub metadata: Metadata<'a>,
    #[serde(borrow, deserialize_with = "object")]
    data: ClusterData<'a>,
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
    name: Text<'a>,
    #[serde(borrow)]
    server: Text<'a>,
    #[serde(borrow)]
    config: Text<'a>,
    #[serde(borrow)]
    namespaces: Text<'a>,
    #[serde(borrow, rename = "clusterResources")]
    cluster_resources: Text<'a>,
    #[serde(borrow)]
    project: Text<'a>,
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

impl<'a> ClusterSecret<'a> {
    /// Whether Argo CD takes the Secret for a cluster, by its label.
    pub fn is_cluster(&self) -> bool {
        self.metadata.labels.get(LABEL_SECRET_TYPE) == Some(SECRET_TYPE_CLUSTER)
    }

    /// Whether both hold the same data, compared as text.
    pub fn same_data(&self, other: &Self) -> bool {
        self.data == other.data
    }

    /// The cluster that it describes (Argo CD 3.5, `db.SecretToCluster`).
    ///
    /// # Errors
    /// A value is not base64. `config` is not looked at.
    pub fn cluster(&self) -> Result<Cluster, ClusterSecretError> {
        let plain = |name, value: &Text<'a>| {
            decode(value)
                .map(|text| text.to_string())
                .ok_or(ClusterSecretError::Encoding(name))
        };
        Ok(Cluster {
            name: plain("name", &self.data.name)?,
            server: plain("server", &self.data.server)?
                .trim_end_matches('/')
                .to_owned(),
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
fn decode(value: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(BASE64_STANDARD.decode(value).ok()?);
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|error| drop(Zeroizing::new(error.into_bytes())))
        .ok()
}
