//! Changes of a role of IAM.

use std::fmt;

use super::Change;
use super::words::Words;
use crate::onboarding::arn::RoleArn;

/// What is to be so of a role. Policies are JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RoleChange {
    /// There is one with this trust policy. One with another is not touched.
    Create {
        trust_policy: String,
    },
    /// There is none. IAM refuses while it has policies.
    Delete,
    /// It has this trust policy, instead of the one that it has.
    UpdateTrustPolicy {
        trust_policy: String,
    },
    /// It has this policy in itself.
    PutPolicy {
        name: String,
        document: String,
    },
    DeletePolicy {
        name: String,
    },
}

impl fmt::Display for RoleChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoleChange::Create { .. } => formatter.write_str("create"),
            RoleChange::Delete => formatter.write_str("delete"),
            RoleChange::UpdateTrustPolicy { .. } => {
                formatter.write_str("replace the trust policy of")
            }
            RoleChange::PutPolicy { name, .. } => write!(formatter, "put the policy {name} into"),
            RoleChange::DeletePolicy { name } => write!(formatter, "delete the policy {name} of"),
        }
    }
}

impl RoleChange {
    /// The change of a role.
    pub(crate) fn of(self, role: &RoleArn) -> Change {
        Change::Role {
            role: role.clone(),
            change: self,
        }
    }

    pub(crate) fn call(&self) -> &'static str {
        match self {
            RoleChange::Create { .. } => "iam:CreateRole",
            RoleChange::Delete => "iam:DeleteRole",
            RoleChange::UpdateTrustPolicy { .. } => "iam:UpdateAssumeRolePolicy",
            RoleChange::PutPolicy { .. } => "iam:PutRolePolicy",
            RoleChange::DeletePolicy { .. } => "iam:DeleteRolePolicy",
        }
    }

    /// The words of the command that does it. IAM knows a role by its name, which is one of a kind
    /// in an account, whatever its path is.
    pub(super) fn words(&self, role: &RoleArn) -> Words {
        let command = |command: &str| Words::of(command).flag("--role-name", role.name());
        match self {
            RoleChange::Create { trust_policy } => {
                let create = command("iam create-role");
                let create = match role.path() {
                    "/" => create,
                    path => create.flag("--path", path),
                };
                create.flag("--assume-role-policy-document", trust_policy)
            }
            RoleChange::Delete => command("iam delete-role"),
            RoleChange::UpdateTrustPolicy { trust_policy } => {
                command("iam update-assume-role-policy").flag("--policy-document", trust_policy)
            }
            RoleChange::PutPolicy { name, document } => command("iam put-role-policy")
                .flag("--policy-name", name)
                .flag("--policy-document", document),
            RoleChange::DeletePolicy { name } => {
                command("iam delete-role-policy").flag("--policy-name", name)
            }
        }
    }
}
