//! The role in the cluster's account.

use crate::onboarding::arn::RoleArn;
use crate::onboarding::assumption::Trusted;
use crate::onboarding::change::RoleChange;
use crate::onboarding::facts::Lookup;
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::registration::Evidence;

use super::{NAME_ENGINE_ROLE, NAME_ROLE, NOT_NEEDED, OF_CAPABILITY};

const LINK: LinkName = LinkName::ClusterRole;

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    if evidence.registration.capability {
        return Link::ok(LINK, NOT_NEEDED).because(OF_CAPABILITY);
    }
    let account = evidence.account();
    let Some(role) = &evidence.registration.cluster_role else {
        let account = account.unwrap_or_else(|| "of the cluster".to_owned());
        return Link::missing(LINK, "none is named")
            .expecting(format!("a role in the account {account}"))
            .by_hand(NAME_ROLE);
    };
    let expected = role.to_string();
    if let Some(account) = account.filter(|account| account != role.account()) {
        return Link::wrong(LINK, role.to_string())
            .expecting(format!("a role in the account {account}"))
            .because(format!(
                "the role is in the account {} and the cluster in {account}",
                role.account()
            ))
            .by_hand(NAME_ROLE);
    }
    if evidence.engine_role().as_ref() == Some(role) {
        return Link::wrong(LINK, role.to_string())
            .expecting("another role than that of Argo CD's pods")
            .because(
                "Argo CD's pods have this role already, and a role may not assume itself unless its own trust policy \
                 says so",
            )
            .by_hand(NAME_ROLE);
    }
    if role.path().starts_with("/aws-service-role/") {
        return Link::wrong(LINK, role.to_string())
            .expecting("a role that is not linked to a service")
            .because(
                "EKS takes no access entry for a service-linked role, nor can Argo CD assume it",
            )
            .by_hand(NAME_ROLE);
    }
    match &evidence.aws.cluster_role {
        Lookup::Known(known) if known.arn != expected => Link::wrong(LINK, known.arn.clone())
            .expecting(expected)
            .because("IAM knows the role by another ARN, and access entries and trust policies take the whole of it")
            .by_hand(format!("say --role-arn {}", known.arn)),
        Lookup::Known(known) => Link::ok(LINK, known.arn.clone()),
        Lookup::Absent => create(evidence, role, Link::missing(LINK, "there is no such role")).expecting(expected),
        Lookup::Unknown(reason) => create(evidence, role, Link::unknown(LINK, reason)).expecting(expected),
    }
}

/// Adds how the role is made.
fn create(evidence: Evidence<'_>, role: &RoleArn, link: Link) -> Link {
    match evidence.engine_role() {
        Some(engine) => link.changed_by([RoleChange::Create {
            trust_policy: Trusted::Role(&engine).new_policy().to_string(),
        }
        .of(role)
        .in_cluster_account()]),
        None => link
            .noting("its trust policy has to name the role of Argo CD's pods, which is not known")
            .by_hand(NAME_ENGINE_ROLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{Case, ENGINE_ROLE, commands};

    fn judged(change: impl FnOnce(&mut Case)) -> Link {
        Case::with(change, judge)
    }

    fn named(role: &str) -> Link {
        judged(|case| case.registration.cluster_role = role.parse().ok())
    }

    #[test]
    fn a_role_in_the_account_of_the_cluster_is_ok() {
        assert_eq!(judged(|_| {}).state, State::Ok);
    }

    #[test]
    fn none_is_made_and_trusts_argo_cds_pods() {
        let link = judged(|case| case.aws.cluster_role = Lookup::Absent);
        assert_eq!(link.state, State::Missing);
        let command = &commands(&link)[0];
        assert!(command.starts_with("aws iam create-role --role-name argocd-deployer"));
        assert!(
            command.contains(ENGINE_ROLE) && command.contains("sts:TagSession"),
            "{command}"
        );
    }

    #[test]
    fn a_role_in_another_account_is_wrong() {
        let link = named("arn:aws:iam::999999999999:role/argocd-deployer");
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("999999999999"));
    }

    #[test]
    fn the_engines_own_role_is_wrong() {
        let link = judged(|case| {
            case.registration.cluster_role = ENGINE_ROLE.parse().ok();
            case.cluster().arn = "arn:aws:eks:eu-central-1:111122223333:cluster/prod-eu".to_owned();
        });
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("assume itself"));
    }

    #[test]
    fn a_role_of_a_service_and_one_with_another_path_are_wrong() {
        let link = named("arn:aws:iam::444455556666:role/aws-service-role/eks.amazonaws.com/x");
        assert_eq!(link.state, State::Wrong);
        let link = named("arn:aws:iam::444455556666:role/team/argocd-deployer");
        assert_eq!(link.state, State::Wrong);
    }

    #[test]
    fn one_that_is_not_named_is_asked_for() {
        let link = judged(|case| case.registration.cluster_role = None);
        assert_eq!(link.state, State::Missing);
        assert!(link.expected.contains("444455556666"));
    }

    #[test]
    fn the_argo_cd_of_aws_needs_none() {
        let link = judged(|case| {
            case.registration.capability = true;
            case.registration.cluster_role = None;
        });
        assert_eq!(link.state, State::Ok);
    }
}
