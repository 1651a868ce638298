//! What takes a change of AWS back, going by what was there before.

use super::arn::RoleArn;
use super::change::{AwsChange, Change, ClusterChange, RoleChange, Side};
use super::facts::{AwsFacts, Lookup, NamedPolicy, PodIdentityAssociation, Role};

/// The change that takes one back; None where nothing does, or where it is not known what was
/// there.
pub(crate) fn undo(change: &AwsChange, before: &AwsFacts) -> Option<AwsChange> {
    let undone = match &change.change {
        Change::Cluster { cluster, change } => in_cluster(change, before)?.of(cluster),
        Change::Role { role, change: made } => {
            let known = match change.side {
                Side::Cluster => &before.cluster_role,
                Side::Engine => &before.engine_role,
            };
            of_role(role, made, known)?.of(role)
        }
    };
    Some(AwsChange {
        side: change.side,
        change: undone,
    })
}

fn in_cluster(change: &ClusterChange, before: &AwsFacts) -> Option<ClusterChange> {
    match change.clone() {
        ClusterChange::CreateAccessEntry { principal, .. } => {
            Some(ClusterChange::DeleteAccessEntry { principal })
        }
        ClusterChange::UpdateAccessEntry { principal, .. } => {
            let groups = groups(&principal, before)?;
            Some(ClusterChange::UpdateAccessEntry { principal, groups })
        }
        ClusterChange::DeleteAccessEntry { principal } => {
            let groups = groups(&principal, before)?;
            Some(ClusterChange::CreateAccessEntry { principal, groups })
        }
        ClusterChange::AssociateAccessPolicy {
            principal, policy, ..
        } => Some(match associated(&principal, &policy, before) {
            Some(was) => was,
            None => ClusterChange::DisassociateAccessPolicy { principal, policy },
        }),
        ClusterChange::DisassociateAccessPolicy { principal, policy } => {
            associated(&principal, &policy, before)
        }
        ClusterChange::CreateAddon { name } => Some(ClusterChange::DeleteAddon { name }),
        ClusterChange::DeleteAddon { name } => Some(ClusterChange::CreateAddon { name }),
        ClusterChange::AssociatePodIdentity {
            namespace,
            service_account,
            ..
        } => Some(ClusterChange::DissociatePodIdentity {
            namespace,
            service_account,
        }),
        ClusterChange::UpdatePodIdentity {
            namespace,
            service_account,
            association,
            ..
        } => {
            let was = association_of(&namespace, &service_account, before)?;
            Some(ClusterChange::UpdatePodIdentity {
                namespace,
                service_account,
                association,
                role: was.role_arn.clone(),
                target_role: was.target_role_arn.clone(),
            })
        }
        ClusterChange::DissociatePodIdentity {
            namespace,
            service_account,
        } => {
            let was = association_of(&namespace, &service_account, before)?;
            // How it is made says nothing of a target.
            let has_no_target = was.target_role_arn.as_deref().is_none_or(str::is_empty);
            has_no_target.then(|| ClusterChange::AssociatePodIdentity {
                namespace,
                service_account,
                role: was.role_arn.clone(),
            })
        }
        ClusterChange::AllowAccessEntries => None,
    }
}

/// The groups that the access entry of a principal had, if it was one that can be made again.
fn groups(principal: &str, before: &AwsFacts) -> Option<Vec<String>> {
    let entry = before.access_entry.known()?;
    let is_standard = entry.kind.as_deref().is_none_or(|kind| kind == "STANDARD");
    let is_it = is_standard && entry.principal_arn == principal;
    is_it.then(|| entry.kubernetes_groups.clone())
}

/// An access policy that a principal had, where it held.
fn associated(principal: &str, policy: &str, before: &AwsFacts) -> Option<ClusterChange> {
    let policies = before.access_policies.known()?;
    let was = policies.iter().find(|one| one.policy_arn == policy)?;
    Some(ClusterChange::AssociateAccessPolicy {
        principal: principal.to_owned(),
        policy: policy.to_owned(),
        scope: was.access_scope.clone(),
    })
}

fn association_of<'b>(
    namespace: &str,
    service_account: &str,
    before: &'b AwsFacts,
) -> Option<&'b PodIdentityAssociation> {
    let all = before.pod_identity_associations.known()?;
    let is_it = |one: &&PodIdentityAssociation| {
        one.namespace == namespace && one.service_account == service_account
    };
    all.iter().find(is_it)
}

fn of_role(role: &RoleArn, change: &RoleChange, known: &Lookup<Role>) -> Option<RoleChange> {
    let known = known.known().filter(|known| known.arn == role.to_string());
    let policy = |name: &String| -> Option<&NamedPolicy> {
        let policies = known?.inline_policies.known()?;
        policies.iter().find(|policy| policy.name == *name)
    };
    let put = |was: &NamedPolicy| RoleChange::PutPolicy {
        name: was.name.clone(),
        document: was.document.clone(),
    };
    let trust_policy = || Some(known?.trust_policy.clone());
    Some(match change {
        RoleChange::Create { .. } => RoleChange::Delete,
        RoleChange::Delete => RoleChange::Create {
            trust_policy: trust_policy()?,
        },
        RoleChange::UpdateTrustPolicy { .. } => RoleChange::UpdateTrustPolicy {
            trust_policy: trust_policy()?,
        },
        RoleChange::PutPolicy { name, .. } => match policy(name) {
            Some(was) => put(was),
            None => RoleChange::DeletePolicy { name: name.clone() },
        },
        RoleChange::DeletePolicy { name } => put(policy(name)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::facts::AccessScope;
    use crate::onboarding::testing::{CLUSTER_ROLE, Case, ENGINE_ROLE};

    const ADMIN: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";

    fn undone(change: Change, case: impl FnOnce(&mut Case)) -> Option<Change> {
        let is_of_engine = change.to_string().contains(ENGINE_ROLE);
        let change = if is_of_engine {
            change.in_engine_account()
        } else {
            change.in_cluster_account()
        };
        Case::with(case, |evidence| undo(&change, evidence.aws)).map(|undone| undone.change)
    }

    fn in_cluster(change: ClusterChange) -> Change {
        change.of("prod-eu")
    }

    /// It was believed that what is associated is disassociated, and what is put is deleted.
    #[test]
    fn what_was_there_comes_back() {
        let associate = |kind: &str| {
            in_cluster(ClusterChange::AssociateAccessPolicy {
                principal: CLUSTER_ROLE.to_owned(),
                policy: ADMIN.to_owned(),
                scope: AccessScope {
                    kind: kind.to_owned(),
                    namespaces: Vec::new(),
                },
            })
        };
        assert_eq!(
            undone(associate("namespace"), |_| {}),
            Some(associate("cluster"))
        );

        let groups = |groups: &[&str]| {
            in_cluster(ClusterChange::UpdateAccessEntry {
                principal: CLUSTER_ROLE.to_owned(),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            })
        };
        let had_groups = |case: &mut Case| case.entry().kubernetes_groups = vec!["a".to_owned()];
        assert_eq!(undone(groups(&["b"]), had_groups), Some(groups(&["a"])));

        let engine: RoleArn = ENGINE_ROLE.parse().unwrap();
        let put = |document: &str| {
            let name = "fleet".to_owned();
            let document = document.to_owned();
            RoleChange::PutPolicy { name, document }.of(&engine)
        };
        let had_policy = |case: &mut Case| {
            case.engine_role().inline_policies = Lookup::Known(vec![NamedPolicy {
                name: "fleet".to_owned(),
                document: "before".to_owned(),
            }]);
        };
        assert_eq!(undone(put("after"), had_policy), Some(put("before")));

        let associate = |role: &str, target: Option<&str>| {
            in_cluster(ClusterChange::UpdatePodIdentity {
                namespace: "argocd".to_owned(),
                service_account: "argocd-server".to_owned(),
                association: "a-argocd-server".to_owned(),
                role: role.to_owned(),
                target_role: target.map(str::to_owned),
            })
        };
        let had_target = |case: &mut Case| {
            for association in case.associations() {
                association.target_role_arn = Some(CLUSTER_ROLE.to_owned());
            }
        };
        assert_eq!(
            undone(associate("other", None), had_target),
            Some(associate(ENGINE_ROLE, Some(CLUSTER_ROLE)))
        );
    }

    #[test]
    fn what_is_new_is_taken_away_and_what_is_not_known_is_not_made_up() {
        let entry = ClusterChange::CreateAccessEntry {
            principal: CLUSTER_ROLE.to_owned(),
            groups: Vec::new(),
        };
        let delete = ClusterChange::DeleteAccessEntry {
            principal: CLUSTER_ROLE.to_owned(),
        };
        assert_eq!(
            undone(in_cluster(entry), |_| {}),
            Some(in_cluster(delete.clone()))
        );
        // An entry for nodes cannot be made again by a call that makes one of the type STANDARD.
        let for_nodes = |case: &mut Case| case.entry().kind = Some("EC2_LINUX".to_owned());
        assert_eq!(undone(in_cluster(delete), for_nodes), None);
        assert_eq!(
            undone(in_cluster(ClusterChange::AllowAccessEntries), |_| {}),
            None
        );
        let other: RoleArn = "arn:aws:iam::444455556666:role/other".parse().unwrap();
        let trust_policy = "{}".to_owned();
        let update = RoleChange::UpdateTrustPolicy { trust_policy };
        assert_eq!(undone(update.of(&other), |_| {}), None);
    }
}
