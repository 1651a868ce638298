//! Changes in a cluster of EKS.

use std::fmt;

use super::words::Words;
use super::{Change, Login};
use crate::onboarding::facts::AccessScope;

/// What is to be so in a cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ClusterChange {
    /// It can have access entries beside its `aws-auth` ConfigMap; there is no way back.
    AllowAccessEntries,
    /// There is an access entry of the type STANDARD, with exactly these groups.
    CreateAccessEntry {
        principal: String,
        groups: Vec<String>,
    },
    /// The access entry that there is has exactly these groups.
    UpdateAccessEntry {
        principal: String,
        groups: Vec<String>,
    },
    DeleteAccessEntry {
        principal: String,
    },
    /// Exactly this scope.
    AssociateAccessPolicy {
        principal: String,
        policy: String,
        scope: AccessScope,
    },
    DisassociateAccessPolicy {
        principal: String,
        policy: String,
    },
    CreateAddon {
        name: String,
    },
    DeleteAddon {
        name: String,
    },
    /// The pods of a service account have a role, instead of the one that they may have had.
    AssociatePodIdentity {
        namespace: String,
        service_account: String,
        role: String,
    },
    /// The association that there is has this role, and this target role or none.
    UpdatePodIdentity {
        namespace: String,
        service_account: String,
        /// Its id, which EKS gave it.
        association: String,
        role: String,
        target_role: Option<String>,
    },
    DissociatePodIdentity {
        namespace: String,
        service_account: String,
    },
}

impl fmt::Display for ClusterChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterChange::AllowAccessEntries => formatter.write_str("allow access entries"),
            ClusterChange::CreateAccessEntry { principal, .. } => {
                write!(formatter, "create the access entry of {principal}")
            }
            ClusterChange::UpdateAccessEntry { principal, .. } => {
                write!(
                    formatter,
                    "change the groups of the access entry of {principal}"
                )
            }
            ClusterChange::DeleteAccessEntry { principal } => {
                write!(formatter, "delete the access entry of {principal}")
            }
            ClusterChange::AssociateAccessPolicy {
                principal, policy, ..
            } => write!(formatter, "associate {policy} with {principal}"),
            ClusterChange::DisassociateAccessPolicy { principal, policy } => {
                write!(formatter, "disassociate {policy} from {principal}")
            }
            ClusterChange::CreateAddon { name } => write!(formatter, "create the add-on {name}"),
            ClusterChange::DeleteAddon { name } => write!(formatter, "delete the add-on {name}"),
            ClusterChange::AssociatePodIdentity {
                namespace,
                service_account,
                role,
            }
            | ClusterChange::UpdatePodIdentity {
                namespace,
                service_account,
                role,
                ..
            } => write!(
                formatter,
                "give {namespace}/{service_account} the role {role}"
            ),
            ClusterChange::DissociatePodIdentity {
                namespace,
                service_account,
            } => write!(
                formatter,
                "take the role from {namespace}/{service_account}"
            ),
        }
    }
}

impl ClusterChange {
    /// The change of a cluster, by its name in EKS.
    pub(crate) fn of(self, cluster: &str) -> Change {
        Change::Cluster {
            cluster: cluster.to_owned(),
            change: self,
        }
    }

    pub(crate) fn call(&self) -> &'static str {
        match self {
            ClusterChange::AllowAccessEntries => "eks:UpdateClusterConfig",
            ClusterChange::CreateAccessEntry { .. } => "eks:CreateAccessEntry",
            ClusterChange::UpdateAccessEntry { .. } => "eks:UpdateAccessEntry",
            ClusterChange::DeleteAccessEntry { .. } => "eks:DeleteAccessEntry",
            ClusterChange::AssociateAccessPolicy { .. } => "eks:AssociateAccessPolicy",
            ClusterChange::DisassociateAccessPolicy { .. } => "eks:DisassociateAccessPolicy",
            ClusterChange::CreateAddon { .. } => "eks:CreateAddon",
            ClusterChange::DeleteAddon { .. } => "eks:DeleteAddon",
            ClusterChange::AssociatePodIdentity { .. } => "eks:CreatePodIdentityAssociation",
            ClusterChange::UpdatePodIdentity { .. } => "eks:UpdatePodIdentityAssociation",
            ClusterChange::DissociatePodIdentity { .. } => "eks:DeletePodIdentityAssociation",
        }
    }

    /// The command that does it, and waits for what the next command may need.
    pub(super) fn command(&self, cluster: &str, login: &Login) -> String {
        let login = login.in_region();
        let command = self.words(cluster).with(&login);
        if let ClusterChange::DissociatePodIdentity { .. } = self {
            // An association is deleted by the id that EKS gave it.
            let delete = Words::of("eks delete-pod-identity-association");
            let delete = delete.flag("--cluster-name", cluster).with(&login);
            return format!(
                "{delete} --association-id \"$({command} --query 'associations[0].associationId' --output text)\""
            );
        }
        match self.wait(cluster) {
            Some(wait) => format!("{command} && {}", wait.with(&login)),
            None => command,
        }
    }

    /// What EKS takes its time for, and refuses other changes meanwhile.
    fn wait(&self, cluster: &str) -> Option<Words> {
        match self {
            ClusterChange::AllowAccessEntries => {
                Some(Words::of("eks wait cluster-active").flag("--name", cluster))
            }
            ClusterChange::DeleteAddon { name } => Some(
                Words::of("eks wait addon-deleted")
                    .flag("--cluster-name", cluster)
                    .flag("--addon-name", name),
            ),
            _ => None,
        }
    }

    fn words(&self, cluster: &str) -> Words {
        let command = |command: &str| Words::of(command).flag("--cluster-name", cluster);
        match self {
            ClusterChange::AllowAccessEntries => Words::of("eks update-cluster-config")
                .flag("--name", cluster)
                .flag("--access-config", "authenticationMode=API_AND_CONFIG_MAP"),
            ClusterChange::CreateAccessEntry { principal, groups } => {
                command("eks create-access-entry")
                    .flag("--principal-arn", principal)
                    .flag("--type", "STANDARD")
                    .flags("--kubernetes-groups", groups)
            }
            ClusterChange::UpdateAccessEntry { principal, groups } => {
                let update = command("eks update-access-entry").flag("--principal-arn", principal);
                match groups.as_slice() {
                    [] => update.flag("--kubernetes-groups", "[]"),
                    groups => update.flags("--kubernetes-groups", groups),
                }
            }
            ClusterChange::DeleteAccessEntry { principal } => {
                command("eks delete-access-entry").flag("--principal-arn", principal)
            }
            ClusterChange::AssociateAccessPolicy {
                principal,
                policy,
                scope,
            } => command("eks associate-access-policy")
                .flag("--principal-arn", principal)
                .flag("--policy-arn", policy)
                .flag("--access-scope", &shorthand(scope)),
            ClusterChange::DisassociateAccessPolicy { principal, policy } => {
                command("eks disassociate-access-policy")
                    .flag("--principal-arn", principal)
                    .flag("--policy-arn", policy)
            }
            ClusterChange::CreateAddon { name } => {
                command("eks create-addon").flag("--addon-name", name)
            }
            ClusterChange::DeleteAddon { name } => {
                command("eks delete-addon").flag("--addon-name", name)
            }
            ClusterChange::AssociatePodIdentity {
                namespace,
                service_account,
                role,
            } => command("eks create-pod-identity-association")
                .flag("--namespace", namespace)
                .flag("--service-account", service_account)
                .flag("--role-arn", role),
            ClusterChange::UpdatePodIdentity {
                association,
                role,
                target_role,
                ..
            } => command("eks update-pod-identity-association")
                .flag("--association-id", association)
                .flag("--role-arn", role)
                .flag(
                    "--target-role-arn",
                    target_role.as_deref().unwrap_or_default(),
                ),
            ClusterChange::DissociatePodIdentity {
                namespace,
                service_account,
            } => command("eks list-pod-identity-associations")
                .flag("--namespace", namespace)
                .flag("--service-account", service_account),
        }
    }
}

/// A scope as the CLI takes it.
pub(crate) fn shorthand(scope: &AccessScope) -> String {
    match scope.namespaces.as_slice() {
        [] => format!("type={}", scope.kind),
        namespaces => format!("type={},namespaces={}", scope.kind, namespaces.join(",")),
    }
}
