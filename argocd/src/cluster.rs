//! Clusters: which one a Secret describes and what it logs in with, and which one a destination
//! means.
//!
//! A [`Cluster`] is what everybody may know; it never holds credentials. A [`ClusterSecret`] is
//! read once, judged and dropped; of its `config` only what kind of credentials are there remains
//! (see [`config`]).

mod accounts;
pub mod config;
mod destination;
mod rewrite;
mod secret;
mod secret_string;
mod token;

use std::collections::BTreeMap;
use std::fmt;

pub use self::destination::{Clusters, DestinationError};
pub use self::rewrite::{Connection, RewriteError};
pub use self::secret::{ClusterSecret, ClusterSecretError, split_namespaces};
pub use self::token::{ServiceAccount, TokenClaims};

/// A cluster as Applications and projects see it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cluster {
    /// Display name; may be empty, need not be unique.
    pub name: String,
    /// URL of the API server, without trailing slashes.
    pub server: String,
    /// The same as the Secret has it, where that has slashes at its end.
    pub server_with_slashes: Option<String>,
    /// Whether Argo CD cannot read the Secret's `config`. The cluster is not a destination then,
    /// but ApplicationSets still see it.
    pub has_unreadable_config: bool,
    /// Why it is not known which cluster it is, where that is so. Its labels are known all the
    /// same.
    pub unknown: Option<UnknownValues>,
    /// Name of the Secret.
    pub secret_name: String,
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
    /// The numbers of the accounts of AWS that it is in, as far as its role and its server tell.
    pub aws_accounts: Vec<String>,
}

/// Why values of a Secret in a file are not known, although they will be there in the cluster.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum UnknownValues {
    /// SOPS has encrypted them.
    Encrypted,
    /// A controller makes the Secret from an object of this kind.
    MadeFrom(&'static str),
}

impl fmt::Display for UnknownValues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnknownValues::Encrypted => formatter.write_str("encrypted by SOPS"),
            UnknownValues::MadeFrom(kind) => write!(formatter, "made from the {kind}"),
        }
    }
}

impl Cluster {
    /// The URL of the API server as the Secret has it.
    pub fn written_server(&self) -> &str {
        self.server_with_slashes.as_deref().unwrap_or(&self.server)
    }
}
