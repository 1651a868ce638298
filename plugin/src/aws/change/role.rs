//! Changes of a role of IAM.

use serde_json::Value;

use super::{State, found};
use crate::aws::account::Account;
use crate::aws::error::AwsError;
use crate::onboarding::arn::RoleArn;
use crate::onboarding::change::RoleChange;

impl Account {
    pub(super) async fn state_of_role(
        &self,
        role: &RoleArn,
        change: &RoleChange,
    ) -> Result<State, AwsError> {
        let arn = role.to_string();
        Ok(match change {
            RoleChange::Create { trust_policy } => match found(self.role(&arn).await)? {
                None => State::Otherwise,
                Some(known) if known.arn != arn => {
                    State::Impossible(format!("there is one of this name already, {}", known.arn))
                }
                Some(role) if same_policy(&role.trust_policy, trust_policy) => State::AsWanted,
                Some(_) => {
                    let reason = "there is one already, with another trust policy";
                    State::Impossible(reason.to_owned())
                }
            },
            RoleChange::Delete => State::wanted(found(self.role(&arn).await)?.is_none()),
            RoleChange::UpdateTrustPolicy { trust_policy } => {
                let role = self.role(&arn).await?;
                State::wanted(same_policy(&role.trust_policy, trust_policy))
            }
            RoleChange::PutPolicy { name, document } => {
                let policy = self.inline_policy_of(role, name).await;
                let policy = found(policy)?;
                State::wanted(policy.is_some_and(|is| same_policy(&is.document, document)))
            }
            RoleChange::DeletePolicy { name } => {
                let policy = self.inline_policy_of(role, name).await;
                State::wanted(found(policy)?.is_none())
            }
        })
    }

    pub(super) async fn begin_with_role(
        &self,
        role: &RoleArn,
        change: &RoleChange,
        step: String,
    ) -> Result<(), AwsError> {
        let (iam, name) = (&self.iam, role.name());
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
                let create = iam.create_role().role_name(name).path(role.path());
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

/// Whether two policies are one JSON.
fn same_policy(one: &str, other: &str) -> bool {
    let json = |policy: &str| serde_json::from_str::<Value>(policy).ok();
    match (json(one), json(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_the_same_in_any_writing() {
        let plain = r#"{"Version": "2012-10-17", "Statement": []}"#;
        let terse = r#"{"Statement":[],"Version":"2012-10-17"}"#;

        assert!(same_policy(plain, terse));
        assert!(!same_policy(plain, "{}"));
        assert!(!same_policy(plain, "{"));
        assert!(!same_policy("{", "{"));
    }
}
