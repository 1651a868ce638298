//! What is asked for.

use std::collections::BTreeMap;

use super::arn::{Arn, RoleArn};
use super::change::Login;
use super::facts::{AccessScope, AwsFacts, EksCluster};

/// How a cluster is to be in the fleet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registration {
    /// Its name for Argo CD.
    pub(crate) name: String,
    /// Its name in EKS.
    pub(crate) eks_cluster: String,
    /// The role in the cluster's account that Argo CD assumes.
    pub(crate) cluster_role: Option<RoleArn>,
    pub(crate) engine: Engine,
    pub(crate) access: Access,
    /// Where Argo CD talks to the cluster, if that is not its endpoint.
    pub(crate) server: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) project: Option<String>,
    /// Those that Argo CD watches; all where there are none.
    pub(crate) namespaces: Vec<String>,
    pub(crate) cluster_resources: bool,
    pub(crate) shard: Option<u32>,
    /// Whether it is the Argo CD that AWS manages.
    pub(crate) capability: bool,
    pub(crate) login: Login,
}

/// Where Argo CD runs, and as what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engine {
    /// The name in EKS of the cluster that it runs on.
    pub(crate) cluster: Option<String>,
    /// The role of its pods.
    pub(crate) role: Option<RoleArn>,
    /// Its namespace.
    pub(crate) namespace: String,
    pub(crate) login: Login,
}

/// What Argo CD may do in the cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// What an access policy of EKS says, everywhere or in some namespaces.
    Policy {
        /// Its name or ARN.
        policy: String,
        namespaces: Vec<String>,
    },
    /// What is bound to a group.
    Group(String),
}

/// The policy that means cluster-admin.
pub(crate) const CLUSTER_ADMIN: &str = "AmazonEKSClusterAdminPolicy";

impl Default for Access {
    fn default() -> Self {
        Access::Policy {
            policy: CLUSTER_ADMIN.to_owned(),
            namespaces: Vec::new(),
        }
    }
}

impl Access {
    /// The groups that an access entry needs for it.
    pub(crate) fn groups(&self) -> Vec<String> {
        match self {
            Access::Policy { .. } => Vec::new(),
            Access::Group(group) => vec![group.clone()],
        }
    }

    /// Where the access policy holds.
    pub(crate) fn scope(namespaces: &[String]) -> AccessScope {
        AccessScope {
            kind: if namespaces.is_empty() {
                "cluster"
            } else {
                "namespace"
            }
            .to_owned(),
            namespaces: namespaces.to_vec(),
        }
    }
}

/// What a registration and the facts tell together.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'e> {
    pub(crate) registration: &'e Registration,
    pub(crate) aws: &'e AwsFacts,
}

impl<'e> Evidence<'e> {
    /// The cluster, if it is known.
    pub(crate) fn cluster(self) -> Option<&'e EksCluster> {
        self.aws.cluster.known()
    }

    /// The cluster's ARN.
    pub(crate) fn cluster_arn(self) -> Option<Arn> {
        self.cluster()?.arn.parse().ok()
    }

    /// The account of the cluster.
    pub(crate) fn account(self) -> Option<String> {
        let caller = || Some(self.aws.caller.known()?.account.clone());
        self.cluster_arn().map(|arn| arn.account).or_else(caller)
    }

    /// The region of the cluster.
    pub(crate) fn region(self) -> Option<String> {
        let told = || self.registration.login.region.clone();
        self.cluster_arn().map(|arn| arn.region).or_else(told)
    }

    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub(crate) fn partition(self) -> String {
        let of_role = || Some(self.principal()?.partition().to_owned());
        let partition = self.cluster_arn().map(|arn| arn.partition).or_else(of_role);
        partition.unwrap_or_else(|| "aws".to_owned())
    }

    /// The account of the cluster that Argo CD runs on.
    pub(crate) fn engine_account(self) -> Option<String> {
        let cluster = self.aws.engine_cluster.known();
        let arn = cluster.and_then(|cluster| cluster.arn.parse::<Arn>().ok());
        let caller = || Some(self.aws.engine_caller.known()?.account.clone());
        arn.map(|arn| arn.account).or_else(caller)
    }

    /// The role of Argo CD's pods: the one that is told, or the one that EKS gives to the
    /// application controller.
    pub(crate) fn engine_role(self) -> Option<RoleArn> {
        let told = self.registration.engine.role.clone();
        let of_pods = || {
            let associations = self.aws.pod_identity_associations.known()?;
            let own = associations.iter().find(|association| {
                association.namespace == self.registration.engine.namespace
                    && association.service_account == APPLICATION_CONTROLLER
            })?;
            let role = own.target_role_arn.as_ref().unwrap_or(&own.role_arn);
            role.parse().ok()
        };
        let of_facts = || self.aws.engine_role.known()?.arn.parse().ok();
        told.or_else(of_pods).or_else(of_facts)
    }

    /// The role that the cluster lets in: the one in its account, or the capability's own.
    pub(crate) fn principal(self) -> Option<RoleArn> {
        if self.registration.capability {
            let told = self.registration.engine.role.clone();
            told.or_else(|| self.registration.cluster_role.clone())
        } else {
            self.registration.cluster_role.clone()
        }
    }

    /// The ARN of the access policy that is asked for.
    pub(crate) fn policy_arn(self, policy: &str) -> String {
        if policy.starts_with("arn:") {
            policy.to_owned()
        } else {
            format!(
                "arn:{}:eks::aws:cluster-access-policy/{policy}",
                self.partition()
            )
        }
    }
}

/// Argo CD's service accounts that need a role: what talks to clusters, and what resolves them.
pub(crate) const SERVICE_ACCOUNTS: [&str; 3] = [
    APPLICATION_CONTROLLER,
    "argocd-server",
    "argocd-applicationset-controller",
];

const APPLICATION_CONTROLLER: &str = "argocd-application-controller";

/// Those of them that talk to clusters.
pub(crate) const CALLING_SERVICE_ACCOUNTS: [&str; 2] = [APPLICATION_CONTROLLER, "argocd-server"];
