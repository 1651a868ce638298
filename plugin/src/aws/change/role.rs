//! Changes of a role of IAM.

use std::fmt;

use serde_json::Value;

use super::{State, found};
use crate::aws::account::Account;
use crate::aws::error::AwsError;
use crate::aws::read::role_name;

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
    pub(super) fn reverse(&self) -> Option<RoleChange> {
        match self {
            RoleChange::Create { .. } => Some(RoleChange::Delete),
            RoleChange::PutPolicy { name, .. } => {
                Some(RoleChange::DeletePolicy { name: name.clone() })
            }
            RoleChange::Delete
            | RoleChange::UpdateTrustPolicy { .. }
            | RoleChange::DeletePolicy { .. } => None,
        }
    }

    pub(super) fn call(&self) -> &'static str {
        match self {
            RoleChange::Create { .. } => "iam:CreateRole",
            RoleChange::Delete => "iam:DeleteRole",
            RoleChange::UpdateTrustPolicy { .. } => "iam:UpdateAssumeRolePolicy",
            RoleChange::PutPolicy { .. } => "iam:PutRolePolicy",
            RoleChange::DeletePolicy { .. } => "iam:DeleteRolePolicy",
        }
    }
}

impl Account {
    pub(super) async fn state_of_role(
        &self,
        role: &str,
        change: &RoleChange,
    ) -> Result<State, AwsError> {
        Ok(match change {
            RoleChange::Create { trust_policy } => match found(self.role(role).await)? {
                None => State::Otherwise,
                Some(role) if same_policy(&role.trust_policy, trust_policy) => State::AsWanted,
                Some(_) => {
                    let reason = "there is one already, with another trust policy";
                    State::Impossible(reason.to_owned())
                }
            },
            RoleChange::Delete => State::wanted(found(self.role(role).await)?.is_none()),
            RoleChange::UpdateTrustPolicy { trust_policy } => {
                let role = self.role(role).await?;
                State::wanted(same_policy(&role.trust_policy, trust_policy))
            }
            RoleChange::PutPolicy { name, document } => {
                let policy = self.inline_policy(role_name(role), name.clone()).await;
                let policy = found(policy)?;
                State::wanted(policy.is_some_and(|is| same_policy(&is.document, document)))
            }
            RoleChange::DeletePolicy { name } => {
                let policy = self.inline_policy(role_name(role), name.clone()).await;
                State::wanted(found(policy)?.is_none())
            }
        })
    }

    pub(super) async fn begin_with_role(
        &self,
        role: &str,
        change: &RoleChange,
        step: String,
    ) -> Result<(), AwsError> {
        let (iam, name) = (&self.iam, role_name(role));
        /// Sends it; the answer says nothing that is not read again.
        macro_rules! send {
            ($call:expr) => {
                match $call.send().await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(self.failed(step, change.call(), &error)),
                }
            };
        }
        match change {
            RoleChange::Create { trust_policy } => {
                let create = iam.create_role().role_name(name);
                send!(create.assume_role_policy_document(trust_policy))
            }
            RoleChange::Delete => send!(iam.delete_role().role_name(name)),
            RoleChange::UpdateTrustPolicy { trust_policy } => {
                let update = iam.update_assume_role_policy().role_name(name);
                send!(update.policy_document(trust_policy))
            }
            RoleChange::PutPolicy {
                name: policy,
                document,
            } => {
                let put = iam.put_role_policy().role_name(name);
                send!(put.policy_name(policy).policy_document(document))
            }
            RoleChange::DeletePolicy { name: policy } => {
                let delete = iam.delete_role_policy().role_name(name);
                send!(delete.policy_name(policy))
            }
        }
    }
}

/// Whether two policies are one JSON. IAM writes them percent-encoded.
fn same_policy(one: &str, other: &str) -> bool {
    match (json(one), json(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn json(policy: &str) -> Option<Value> {
    let decoded = || percent_encoding::percent_decode_str(policy).collect::<Vec<u8>>();
    let plain = serde_json::from_str(policy);
    plain.or_else(|_| serde_json::from_slice(&decoded())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_the_same_in_any_writing() {
        let plain = r#"{"Version": "2012-10-17", "Statement": []}"#;
        let encoded = "%7B%22Statement%22%3A%5B%5D%2C%22Version%22%3A%222012-10-17%22%7D";

        assert!(same_policy(plain, encoded));
        assert!(!same_policy(plain, "{}"));
        assert!(!same_policy(plain, "%7B"));
        assert!(!same_policy("%7B", "%7B"));
    }
}
