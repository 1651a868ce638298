//! Whether a cluster knows the role that Argo CD comes with.

use crate::onboarding::arn::RoleArn;
use crate::onboarding::change::{AwsChange, ClusterChange};
use crate::onboarding::facts::{AccessEntry, Lookup};
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::registration::{Access, Evidence};

use super::{NAME_ENGINE_ROLE, NAME_ROLE, access_policy};

const LINK: LinkName = LinkName::AccessEntry;
/// What EKS keeps for Kubernetes itself.
const RESERVED: &str = "system:";

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    let Some(principal) = evidence.principal() else {
        let flag = if evidence.registration.capability {
            NAME_ENGINE_ROLE
        } else {
            NAME_ROLE
        };
        return Link::unknown(LINK, "it is not known which role it is to be for").by_hand(flag);
    };
    let groups = evidence.registration.access.groups();
    let expected = expected(&principal, &groups);
    if let Some(group) = groups.iter().find(|group| group.starts_with(RESERVED)) {
        return Link::wrong(LINK, format!("the group {group} is asked for"))
            .expecting(expected)
            .because(format!(
                "EKS takes no group that begins with {RESERVED:?} in an access entry; rights such as those of \
                 {group} come from an access policy"
            ))
            .by_hand("leave out --kubernetes-group and say --access-policy AmazonEKSClusterAdminPolicy");
    }
    let entry = match &evidence.aws.access_entry {
        Lookup::Known(entry) => entry,
        _ if has_no_entries(evidence) => {
            return Link::missing(LINK, "the cluster has no access entries")
                .expecting(expected)
                .because("its authentication mode is CONFIG_MAP: that has to be changed first")
                .changed_by([create(evidence, &principal, &groups)]);
        }
        Lookup::Absent => return absent(evidence, &principal, &groups).expecting(expected),
        Lookup::Unknown(reason) => {
            return Link::unknown(LINK, reason)
                .expecting(expected)
                .changed_by([create(evidence, &principal, &groups)]);
        }
    };
    there(evidence, entry, &principal, &groups).expecting(expected)
}

fn expected(principal: &RoleArn, groups: &[String]) -> String {
    let groups = match groups {
        [] => String::new(),
        groups => format!(", groups {}", groups.join(", ")),
    };
    format!("{principal}, type STANDARD{groups}")
}

fn has_no_entries(evidence: Evidence<'_>) -> bool {
    let access = evidence
        .cluster()
        .and_then(|cluster| cluster.access_config.as_ref());
    access.and_then(|access| access.authentication_mode.as_deref()) == Some("CONFIG_MAP")
}

fn absent(evidence: Evidence<'_>, principal: &RoleArn, groups: &[String]) -> Link {
    let others = evidence.aws.access_entry_principals.known();
    let near = others.into_iter().flatten().find(|other| {
        let other = other.parse::<RoleArn>();
        let is_near = |other: &RoleArn| {
            other != principal && other.name().eq_ignore_ascii_case(principal.name())
        };
        other.as_ref().is_ok_and(is_near)
    });
    let create = create(evidence, principal, groups);
    match near {
        Some(near) => Link::wrong(LINK, format!("there is one of {near}"))
            .because(format!(
                "an access entry is for the whole ARN, with path and account, and {near} is not {principal}"
            ))
            .changed_by([create]),
        None => Link::missing(LINK, format!("there is none of {principal}")).changed_by([create]),
    }
}

fn there(
    evidence: Evidence<'_>,
    entry: &AccessEntry,
    principal: &RoleArn,
    groups: &[String],
) -> Link {
    let kind = entry.kind.as_deref().unwrap_or("STANDARD");
    let own = entry.kubernetes_groups.as_slice();
    let observed = match own {
        [] => format!("{}, type {kind}", entry.principal_arn),
        own => format!(
            "{}, type {kind}, groups {}",
            entry.principal_arn,
            own.join(", ")
        ),
    };
    // Its policies go with an entry.
    let anew = || {
        let changes = [
            delete(evidence, &entry.principal_arn),
            create(evidence, principal, groups),
        ];
        changes
            .into_iter()
            .chain(access_policy::associate(evidence))
    };
    if entry.principal_arn != principal.to_string() {
        return Link::wrong(LINK, observed)
            .because("an access entry is for the whole ARN, with path and account")
            .changed_by([create(evidence, principal, groups)]);
    }
    if kind != "STANDARD" {
        return Link::wrong(LINK, observed)
            .because(format!(
                "an entry of the type {kind} is for nodes and takes neither groups nor access policies, and its \
                 type cannot be changed"
            ))
            .changed_by(anew());
    }
    if let Some(reason) = former_role(evidence, entry) {
        return Link::wrong(LINK, observed)
            .because(format!(
                "{reason}: the entry means the role that was deleted, whose id was another one"
            ))
            .changed_by(anew());
    }
    let update = || {
        let mut groups = groups.to_vec();
        groups.extend(own.iter().filter(|own| !own.starts_with(RESERVED)).cloned());
        groups.sort();
        groups.dedup();
        ClusterChange::UpdateAccessEntry {
            principal: principal.to_string(),
            groups,
        }
        .of(&evidence.registration.eks_cluster)
        .in_cluster_account()
    };
    if let Some(group) = own.iter().find(|group| group.starts_with(RESERVED)) {
        return Link::wrong(LINK, observed)
            .because(format!(
                "EKS takes no group that begins with {RESERVED:?} ({group}); such rights come from an access policy"
            ))
            .changed_by([update()]);
    }
    if let Some(lacking) = groups.iter().find(|group| !own.contains(group)) {
        return Link::wrong(LINK, observed)
            .because(format!("it lacks the group {lacking}"))
            .changed_by([update()]);
    }
    let link = Link::ok(LINK, observed);
    match (&evidence.registration.access, own) {
        (Access::Policy { .. }, [_, ..]) => link.noting("its groups may have rights of their own"),
        _ => link,
    }
}

/// Why an entry does not mean the role that there is or will be: it means the one that there was
/// when it was made.
fn former_role(evidence: Evidence<'_>, entry: &AccessEntry) -> Option<&'static str> {
    let role = if evidence.registration.capability {
        &evidence.aws.engine_role
    } else {
        &evidence.aws.cluster_role
    };
    match (role, entry.created_at) {
        (Lookup::Absent, _) => Some("there is no such role any more"),
        (Lookup::Known(role), Some(entry)) if role.create_date > Some(entry) => {
            Some("the role was created after the entry")
        }
        _ => None,
    }
}

fn create(evidence: Evidence<'_>, principal: &RoleArn, groups: &[String]) -> AwsChange {
    ClusterChange::CreateAccessEntry {
        principal: principal.to_string(),
        groups: groups.to_vec(),
    }
    .of(&evidence.registration.eks_cluster)
    .in_cluster_account()
}

fn delete(evidence: Evidence<'_>, principal: &str) -> AwsChange {
    ClusterChange::DeleteAccessEntry {
        principal: principal.to_owned(),
    }
    .of(&evidence.registration.eks_cluster)
    .in_cluster_account()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{CLUSTER_ROLE, Case, commands};

    fn judged(change: impl FnOnce(&mut Case)) -> Link {
        Case::with(change, judge)
    }

    fn entry(change: impl FnOnce(&mut AccessEntry)) -> Link {
        judged(|case| match &mut case.aws.access_entry {
            Lookup::Known(entry) => change(entry),
            _ => unreachable!(),
        })
    }

    #[test]
    fn an_entry_of_the_role_is_ok() {
        assert_eq!(judged(|_| {}).state, State::Ok);
        // EKS says what else it gives.
        let link = entry(|entry| entry.kubernetes_groups = vec!["viewers".to_owned()]);
        assert_eq!(link.state, State::Ok);
        assert!(link.detail.contains("groups"));
    }

    #[test]
    fn none_is_created() {
        let link = judged(|case| case.aws.access_entry = Lookup::Absent);
        assert_eq!(link.state, State::Missing);
        let command = format!(
            "aws eks create-access-entry --cluster-name prod-eu --principal-arn {CLUSTER_ROLE} --type STANDARD --region eu-central-1"
        );
        assert_eq!(commands(&link), [command]);
        // Without access entries there is none, whatever AWS answers.
        let link = judged(|case| {
            case.authentication_mode("CONFIG_MAP");
            case.aws.access_entry = Lookup::Unknown("invalid request".to_owned());
        });
        assert_eq!(link.state, State::Missing);
        assert!(link.detail.contains("first"));
    }

    #[test]
    fn one_of_another_principal_with_the_name_is_told() {
        for near in [
            "arn:aws:iam::444455556666:role/team/argocd-deployer",
            "arn:aws:iam::111122223333:role/argocd-deployer",
        ] {
            let link = judged(|case| {
                case.aws.access_entry = Lookup::Absent;
                case.aws.access_entry_principals =
                    Lookup::Known(vec!["x".to_owned(), near.to_owned()]);
            });
            assert_eq!(link.state, State::Wrong);
            assert!(link.detail.contains(near));
        }
        let link =
            entry(|entry| entry.principal_arn = "arn:aws:iam::444455556666:role/x".to_owned());
        assert_eq!(link.state, State::Wrong);
    }

    #[test]
    fn one_of_another_type_is_made_anew() {
        let link = entry(|entry| entry.kind = Some("EC2_LINUX".to_owned()));
        assert_eq!(link.state, State::Wrong);
        let commands = commands(&link);
        assert!(commands[0].starts_with("aws eks delete-access-entry"));
        assert!(commands[1].starts_with("aws eks create-access-entry"));
        // What it had before is gone with it.
        assert!(commands[2].starts_with("aws eks associate-access-policy"));
    }

    #[test]
    fn one_of_a_role_that_was_made_anew_is_made_anew() {
        let link = entry(|entry| entry.created_at = "2026-01-01T00:00:00Z".parse().ok());
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("deleted"));
        assert_eq!(commands(&link).len(), 3);
    }

    /// It was believed that an entry is as it should be while its role is not there: it does not
    /// mean the one that is made for it.
    #[test]
    fn one_of_a_role_that_is_gone_is_made_anew() {
        let link = judged(|case| case.aws.cluster_role = Lookup::Absent);
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("no such role any more"));
        assert_eq!(commands(&link).len(), 3);
        let link = judged(|case| case.aws.cluster_role = Lookup::default());
        assert_eq!(link.state, State::Ok);
    }

    #[test]
    fn a_group_of_kubernetes_itself_is_refused_with_the_way_to_go() {
        for case in [
            judged(|case| case.registration.access = Access::Group("system:masters".to_owned())),
            entry(|entry| entry.kubernetes_groups = vec!["system:masters".to_owned()]),
        ] {
            assert_eq!(case.state, State::Wrong);
            assert!(case.detail.contains("access policy"), "{}", case.detail);
        }
    }

    #[test]
    fn a_group_that_is_asked_for_must_be_there() {
        let group = |case: &mut Case| case.registration.access = Access::Group("argocd".to_owned());
        let link = judged(group);
        assert_eq!(link.state, State::Wrong);
        assert!(commands(&link)[0].contains("update-access-entry"));
        let link = judged(|case| {
            group(case);
            case.entry().kubernetes_groups = vec!["argocd".to_owned()];
        });
        assert_eq!(link.state, State::Ok);
    }

    #[test]
    fn without_a_role_nothing_is_known() {
        let link = judged(|case| case.registration.cluster_role = None);
        assert_eq!(link.state, State::Unknown);
        assert!(commands(&link)[0].contains("--role-arn"));
    }
}
