//! Changes in a cluster of EKS.

use aws_sdk_eks::types::{
    AccessScope as EksAccessScope, AccessScopeType, AuthenticationMode, UpdateAccessConfigRequest,
};

use super::{State, found};
use crate::aws::account::Account;
use crate::aws::error::AwsError;
use crate::onboarding::change::ClusterChange;
use crate::onboarding::facts::{AccessEntry, AccessScope, Addon, PodIdentityAssociation};

const CONFIG_MAP: &str = "CONFIG_MAP";
const STANDARD: &str = "STANDARD";
/// What takes the target role from an association. One that is left out stays.
const NO_ROLE: &str = "";

impl Account {
    pub(super) async fn state_in_cluster(
        &self,
        cluster: &str,
        change: &ClusterChange,
    ) -> Result<State, AwsError> {
        Ok(match change {
            ClusterChange::AllowAccessEntries => {
                let access = self.cluster(cluster).await?.access_config;
                let mode = access.and_then(|access| access.authentication_mode);
                State::wanted(mode.is_some_and(|mode| mode != CONFIG_MAP))
            }
            ClusterChange::CreateAccessEntry { principal, groups }
            | ClusterChange::UpdateAccessEntry { principal, groups } => {
                let entry = found(self.access_entry(cluster, principal).await)?;
                entry.map_or(State::Otherwise, |entry| state_of_entry(&entry, groups))
            }
            ClusterChange::DeleteAccessEntry { principal } => {
                let entry = found(self.access_entry(cluster, principal).await)?;
                State::wanted(entry.is_none())
            }
            ClusterChange::AssociateAccessPolicy {
                principal,
                policy,
                scope,
            } => {
                let is = self.scope_of(cluster, principal, policy).await?;
                State::wanted(is.is_some_and(|is| same_scope(&is, scope)))
            }
            ClusterChange::DisassociateAccessPolicy { principal, policy } => {
                let is = self.scope_of(cluster, principal, policy).await?;
                State::wanted(is.is_none())
            }
            ClusterChange::CreateAddon { name } => {
                let addon = found(self.addon(cluster, name).await)?;
                addon.map_or(State::Otherwise, |addon| state_of_addon(&addon))
            }
            ClusterChange::DeleteAddon { name } => {
                let addon = found(self.addon(cluster, name).await)?;
                match addon.and_then(|addon| addon.status) {
                    Some(status) if status == "DELETING" => State::OnItsWay(status),
                    Some(_) => State::Otherwise,
                    None => State::AsWanted,
                }
            }
            ClusterChange::AssociatePodIdentity {
                namespace,
                service_account,
                role,
            } => {
                let is = self
                    .association_of(cluster, namespace, service_account)
                    .await?;
                State::wanted(is.is_some_and(|is| has_roles(&is, role, None)))
            }
            ClusterChange::UpdatePodIdentity {
                namespace,
                service_account,
                role,
                target_role,
                ..
            } => {
                let is = self.association_of(cluster, namespace, service_account);
                let is = is.await?;
                State::wanted(is.is_some_and(|is| has_roles(&is, role, target_role.as_deref())))
            }
            ClusterChange::DissociatePodIdentity {
                namespace,
                service_account,
            } => {
                let is = self
                    .association_of(cluster, namespace, service_account)
                    .await?;
                State::wanted(is.is_none())
            }
        })
    }

    /// Where an access policy holds, if it is associated.
    async fn scope_of(
        &self,
        cluster: &str,
        principal: &str,
        policy: &str,
    ) -> Result<Option<AccessScope>, AwsError> {
        let policies = found(self.access_policies(cluster, principal).await)?;
        let mut policies = policies.into_iter().flatten();
        let associated = policies.find(|associated| associated.policy_arn == policy);
        Ok(associated.map(|associated| associated.access_scope))
    }

    async fn association_of(
        &self,
        cluster: &str,
        namespace: &str,
        service_account: &str,
    ) -> Result<Option<PodIdentityAssociation>, AwsError> {
        let associations = self.associations(cluster, namespace).await?;
        let mut associations = associations.into_iter();
        Ok(associations.find(|association| association.service_account == service_account))
    }

    #[expect(clippy::too_many_lines, reason = "one call after the other")]
    pub(super) async fn begin_in_cluster(
        &self,
        cluster: &str,
        change: &ClusterChange,
        step: String,
    ) -> Result<(), AwsError> {
        let eks = &self.eks;
        /// Sends it; the answer says nothing that is not read again.
        macro_rules! send {
            ($request:expr) => {
                send!($request, change.call())
            };
            ($request:expr, $call:expr) => {
                match $request.send().await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(self.failed(step, $call, &error)),
                }
            };
        }
        match change {
            ClusterChange::AllowAccessEntries => {
                let access = UpdateAccessConfigRequest::builder()
                    .authentication_mode(AuthenticationMode::ApiAndConfigMap)
                    .build();
                send!(
                    eks.update_cluster_config()
                        .name(cluster)
                        .access_config(access)
                )
            }
            ClusterChange::CreateAccessEntry { principal, groups } => {
                let groups = Some(groups.clone());
                if found(self.access_entry(cluster, principal).await)?.is_some() {
                    let update = eks.update_access_entry().cluster_name(cluster);
                    let update = update.principal_arn(principal);
                    let update = update.set_kubernetes_groups(groups);
                    return send!(update, "eks:UpdateAccessEntry");
                }
                let create = eks.create_access_entry().cluster_name(cluster);
                let create = create.principal_arn(principal).r#type(STANDARD);
                send!(create.set_kubernetes_groups(groups))
            }
            ClusterChange::UpdateAccessEntry { principal, groups } => {
                let update = eks.update_access_entry().cluster_name(cluster);
                let update = update.principal_arn(principal);
                send!(update.set_kubernetes_groups(Some(groups.clone())))
            }
            ClusterChange::DeleteAccessEntry { principal } => {
                let delete = eks.delete_access_entry().cluster_name(cluster);
                send!(delete.principal_arn(principal))
            }
            ClusterChange::AssociateAccessPolicy {
                principal,
                policy,
                scope,
            } => {
                let associate = eks.associate_access_policy().cluster_name(cluster);
                let associate = associate.principal_arn(principal).policy_arn(policy);
                send!(associate.access_scope(scope_for_eks(scope)))
            }
            ClusterChange::DisassociateAccessPolicy { principal, policy } => {
                let disassociate = eks.disassociate_access_policy().cluster_name(cluster);
                send!(disassociate.principal_arn(principal).policy_arn(policy))
            }
            ClusterChange::CreateAddon { name } => {
                send!(eks.create_addon().cluster_name(cluster).addon_name(name))
            }
            ClusterChange::DeleteAddon { name } => {
                send!(eks.delete_addon().cluster_name(cluster).addon_name(name))
            }
            ClusterChange::AssociatePodIdentity {
                namespace,
                service_account,
                role,
            } => {
                let is = self.association_of(cluster, namespace, service_account);
                if let Some(is) = is.await? {
                    let update = eks.update_pod_identity_association().cluster_name(cluster);
                    let update = update.association_id(is.association_id).role_arn(role);
                    let update = update.target_role_arn(NO_ROLE);
                    return send!(update, "eks:UpdatePodIdentityAssociation");
                }
                let create = eks.create_pod_identity_association().cluster_name(cluster);
                let create = create.namespace(namespace).service_account(service_account);
                send!(create.role_arn(role))
            }
            ClusterChange::UpdatePodIdentity {
                association,
                role,
                target_role,
                ..
            } => {
                let update = eks.update_pod_identity_association().cluster_name(cluster);
                let update = update.association_id(association).role_arn(role);
                send!(update.target_role_arn(target_role.as_deref().unwrap_or(NO_ROLE)))
            }
            ClusterChange::DissociatePodIdentity {
                namespace,
                service_account,
            } => {
                let is = self.association_of(cluster, namespace, service_account);
                let Some(is) = is.await? else { return Ok(()) };
                let delete = eks.delete_pod_identity_association().cluster_name(cluster);
                send!(delete.association_id(is.association_id))
            }
        }
    }
}

/// Whether an association has exactly these roles.
fn has_roles(association: &PodIdentityAssociation, role: &str, target_role: Option<&str>) -> bool {
    let target = association.target_role_arn.as_deref();
    association.role_arn == role && target.filter(|target| !target.is_empty()) == target_role
}

fn state_of_entry(entry: &AccessEntry, groups: &[String]) -> State {
    match entry.kind.as_deref() {
        None | Some(STANDARD) => State::wanted(same_set(&entry.kubernetes_groups, groups)),
        Some(other) => State::Impossible(format!(
            "there is an access entry of the type {other}, which cannot be changed"
        )),
    }
}

fn state_of_addon(addon: &Addon) -> State {
    match addon.status.as_deref() {
        Some("ACTIVE") => State::AsWanted,
        Some(status) if status.ends_with("_FAILED") => {
            State::Impossible(format!("the add-on is {status}"))
        }
        status => State::OnItsWay(format!("the add-on is {}", status.unwrap_or("being made"))),
    }
}

fn scope_for_eks(scope: &AccessScope) -> EksAccessScope {
    let namespaces = (!scope.namespaces.is_empty()).then(|| scope.namespaces.clone());
    EksAccessScope::builder()
        .r#type(AccessScopeType::from(&*scope.kind))
        .set_namespaces(namespaces)
        .build()
}

fn same_scope(one: &AccessScope, other: &AccessScope) -> bool {
    one.kind == other.kind && same_set(&one.namespaces, &other.namespaces)
}

fn same_set(one: &[String], other: &[String]) -> bool {
    let is_in = |list: &[String], all: &[String]| list.iter().all(|item| all.contains(item));
    is_in(one, other) && is_in(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_the_same_in_any_order() {
        let groups = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();

        assert!(same_set(&groups(&["a", "b"]), &groups(&["b", "a"])));
        assert!(!same_set(&groups(&["a"]), &groups(&["a", "b"])));
        assert!(!same_set(&groups(&["a", "b"]), &groups(&["a"])));
    }
}
