//! Changes of AWS, and the commands that make them.

mod cluster;
mod role;
mod words;

use std::fmt;

pub(crate) use self::cluster::{ClusterChange, shorthand};
pub(crate) use self::role::RoleChange;
use self::words::Words;
use super::arn::RoleArn;

/// Whose account something is in. Both may be one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Side {
    /// Of the cluster that is onboarded.
    Cluster,
    /// Of the cluster that Argo CD runs on.
    Engine,
}

/// A change, and where it is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AwsChange {
    pub(crate) side: Side,
    pub(crate) change: Change,
}

/// What is to be so in an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    Cluster {
        /// Its name in EKS.
        cluster: String,
        change: ClusterChange,
    },
    Role {
        role: RoleArn,
        change: RoleChange,
    },
}

/// With which region and profile commands are run for a side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Cluster { cluster, change } => write!(formatter, "{change} in {cluster}"),
            Change::Role { role, change } => write!(formatter, "{change} the role {role}"),
        }
    }
}

impl Change {
    pub(crate) fn in_cluster_account(self) -> AwsChange {
        AwsChange {
            side: Side::Cluster,
            change: self,
        }
    }

    pub(crate) fn in_engine_account(self) -> AwsChange {
        AwsChange {
            side: Side::Engine,
            change: self,
        }
    }

    /// The call that begins it.
    pub(crate) fn call(&self) -> &'static str {
        match self {
            Change::Cluster { change, .. } => change.call(),
            Change::Role { change, .. } => change.call(),
        }
    }
}

impl AwsChange {
    /// Whether something is gone after it.
    pub(crate) fn takes_away(&self) -> bool {
        match &self.change {
            Change::Cluster { change, .. } => matches!(
                change,
                ClusterChange::DeleteAccessEntry { .. }
                    | ClusterChange::DisassociateAccessPolicy { .. }
                    | ClusterChange::DeleteAddon { .. }
                    | ClusterChange::DissociatePodIdentity { .. }
            ),
            Change::Role { change, .. } => {
                matches!(change, RoleChange::Delete | RoleChange::DeletePolicy { .. })
            }
        }
    }

    /// The command that does it, as a shell reads it. What takes AWS its time is waited for, so
    /// that the next command can be run when this one is through.
    pub(crate) fn command(&self, login: &Login) -> String {
        match &self.change {
            Change::Cluster { cluster, change } => change.command(cluster, login),
            Change::Role { role, change } => change.words(role).with(&login.anywhere()),
        }
    }
}

/// A command of EKS that people run, such as `eks wait cluster-active`, with its flags.
pub(crate) fn eks_command(command: &str, flags: &[(&str, &str)], login: &Login) -> String {
    let words = Words::of(command);
    let words = flags
        .iter()
        .fold(words, |words, (flag, value)| words.flag(flag, value));
    words.with(&login.in_region())
}

impl Login {
    /// IAM is the same in all regions.
    fn anywhere(&self) -> Words {
        Words::default().flags("--profile", &self.profile)
    }

    fn in_region(&self) -> Words {
        Words::default()
            .flags("--region", &self.region)
            .flags("--profile", &self.profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::facts::AccessScope;

    #[test]
    fn a_command_is_what_a_shell_reads() {
        let login = Login {
            region: Some("eu-central-1".to_owned()),
            profile: Some("it's mine".to_owned()),
        };
        let scope = AccessScope {
            kind: "namespace".to_owned(),
            namespaces: vec!["a".to_owned(), "b*".to_owned()],
        };
        let change = ClusterChange::AssociateAccessPolicy {
            principal: "arn:aws:iam::111122223333:role/argocd".to_owned(),
            policy: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy".to_owned(),
            scope,
        };
        assert_eq!(
            change.of("prod-eu").in_cluster_account().command(&login),
            "aws eks associate-access-policy --cluster-name prod-eu --principal-arn \
             arn:aws:iam::111122223333:role/argocd --policy-arn \
             arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy --access-scope \
             'type=namespace,namespaces=a,b*' --region eu-central-1 --profile 'it'\\''s mine'"
        );
    }

    #[test]
    fn iam_is_in_no_region_and_names_roles_without_their_path() {
        let login = Login {
            region: Some("eu-central-1".to_owned()),
            profile: None,
        };
        let role: RoleArn = "arn:aws:iam::111122223333:role/team/argocd"
            .parse()
            .unwrap();
        let command = |change: RoleChange| change.of(&role).in_engine_account().command(&login);
        let trust_policy = r#"{"Statement":[]}"#.to_owned();
        assert_eq!(
            command(RoleChange::UpdateTrustPolicy {
                trust_policy: trust_policy.clone()
            }),
            "aws iam update-assume-role-policy --role-name argocd --policy-document '{\"Statement\":[]}'"
        );
        assert_eq!(
            command(RoleChange::Create { trust_policy }),
            "aws iam create-role --role-name argocd --path /team/ --assume-role-policy-document \
             '{\"Statement\":[]}'"
        );
    }
}
