//! The clusters of a fleet: how Argo CD logs in to each, with what, and what is on it.

mod generated;
pub(crate) mod live;
pub(crate) mod login;
pub(crate) mod migrate;
mod named;
pub(crate) mod offboard;
pub(crate) mod revoke;

use std::collections::{BTreeMap, BTreeSet};

use argocd::Cluster;
use argocd::cluster::ServiceAccount;
use argocd::cluster::config::AwsAuthConfig;
use jiff::Timestamp;

use self::login::{Credential, Login};

pub(crate) use self::named::{NamedError, named};

/// The annotation of a cluster Secret that says when somebody last proved that its login works
/// (RFC 3339).
pub(crate) const VERIFIED: &str = "kubectl-gitops.io/verified";

/// The annotation that says whose token is still to be revoked: `NAMESPACE/NAME`.
pub(crate) const TOKEN_OF: &str = "kubectl-gitops.io/token-of";

/// The annotation in which `kubectl apply` keeps a copy of what it has applied.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A cluster as Argo CD knows it.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) cluster: Cluster,
    /// When its Secret was created; None for the cluster that Argo CD runs in, without a Secret.
    pub(crate) created: Option<Timestamp>,
    /// The environments that it is part of.
    pub(crate) environments: Vec<String>,
    pub(crate) login: Login,
    /// What it logs in with by AWS, if it does.
    pub(crate) aws: Option<AwsAuthConfig>,
    /// What is written in the Secret that lasts.
    pub(crate) credentials: Vec<Credential>,
}

/// What is on the clusters of an Argo CD, by their servers.
#[derive(Debug)]
pub(crate) struct Usage {
    /// How many Applications there are; None where they cannot be listed.
    applications: Option<BTreeMap<String, usize>>,
    /// The ApplicationSets that generate Applications.
    application_sets: BTreeMap<String, BTreeSet<String>>,
    /// ApplicationSets of which it is not known for which clusters they generate, or not for all.
    pub(crate) undecided_application_sets: Vec<String>,
}

impl Usage {
    /// How many Applications are on a cluster; None where they cannot be listed.
    pub(crate) fn applications(&self, cluster: &Cluster) -> Option<usize> {
        let counts = self.applications.as_ref()?;
        Some(counts.get(&cluster.server).copied().unwrap_or_default())
    }

    /// The ApplicationSets that generate Applications for a cluster.
    pub(crate) fn application_sets(&self, cluster: &Cluster) -> Vec<&str> {
        let names = self.application_sets.get(&cluster.server);
        names.into_iter().flatten().map(String::as_str).collect()
    }
}

impl Registration {
    /// When somebody last proved that the login works, where that is on record.
    pub(crate) fn verified(&self) -> Option<Timestamp> {
        self.cluster.annotations.get(VERIFIED)?.parse().ok()
    }

    /// The service account whose token is still to be revoked, after a migration.
    pub(crate) fn token_of(&self) -> Option<ServiceAccount> {
        let (namespace, name) = self.cluster.annotations.get(TOKEN_OF)?.split_once('/')?;
        Some(ServiceAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            secret: None,
        })
    }

    /// Its name in EKS, if nobody says otherwise: what its Secret has, or its name in Argo CD.
    pub(crate) fn eks_cluster(&self) -> String {
        let known = self.aws.as_ref().map(|aws| &aws.cluster_name);
        let known = known.filter(|name| !name.is_empty());
        known.unwrap_or(&self.cluster.name).clone()
    }

    /// Whether something is written in its Secret that lets anybody in who reads it.
    pub(crate) fn has_credentials(&self) -> bool {
        !self.credentials.is_empty()
    }
}
