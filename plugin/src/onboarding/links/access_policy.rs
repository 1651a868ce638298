//! What Argo CD may do in a cluster.

use crate::onboarding::change::{AwsChange, ClusterChange, shorthand};
use crate::onboarding::facts::{AccessScope, AssociatedAccessPolicy, Lookup};
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::registration::{Access, CLUSTER_ADMIN, Evidence};

use super::NAME_ROLE;

const LINK: LinkName = LinkName::AccessPolicy;
/// What each can do that those before it cannot.
const BY_STRENGTH: [&str; 4] = [
    "AmazonEKSViewPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSAdminPolicy",
    CLUSTER_ADMIN,
];

/// What is asked for.
struct Wanted<'e> {
    evidence: Evidence<'e>,
    policy: String,
    scope: AccessScope,
}

/// The change that gives an access entry its policy; None where a group has the rights.
pub(super) fn associate(evidence: Evidence<'_>) -> Option<AwsChange> {
    let Access::Policy { policy, namespaces } = &evidence.registration.access else {
        return None;
    };
    let wanted = Wanted {
        evidence,
        policy: evidence.policy_arn(policy),
        scope: Access::scope(namespaces),
    };
    wanted.associate()
}

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    let (policy, namespaces) = match &evidence.registration.access {
        Access::Policy { policy, namespaces } => (policy, namespaces),
        Access::Group(group) => {
            return Link::ok(LINK, super::NOT_NEEDED).because(format!(
                "rights come from what the cluster binds to the group {group} by a ClusterRoleBinding or \
                 RoleBindings of its own"
            ));
        }
    };
    let wanted = Wanted {
        evidence,
        policy: evidence.policy_arn(policy),
        scope: Access::scope(namespaces),
    };
    let expected = told(&wanted.policy, &wanted.scope);
    let Some(associate) = wanted.associate() else {
        return Link::unknown(LINK, "it is not known which role it is to be for")
            .expecting(expected)
            .by_hand(NAME_ROLE);
    };
    match &evidence.aws.access_policies {
        Lookup::Known(policies) => wanted.among(policies, associate),
        Lookup::Absent => Link::missing(LINK, "there is no access entry").changed_by([associate]),
        Lookup::Unknown(_) if matches!(evidence.aws.access_entry, Lookup::Absent) => {
            Link::missing(LINK, "there is no access entry").changed_by([associate])
        }
        Lookup::Unknown(reason) => Link::unknown(LINK, reason).changed_by([associate]),
    }
    .expecting(expected)
    .noting(&scope_note(evidence, namespaces))
}

/// What a scope asks of the Secret.
fn scope_note(evidence: Evidence<'_>, namespaces: &[String]) -> String {
    if namespaces.is_empty() || !evidence.registration.namespaces.is_empty() {
        return String::new();
    }
    format!(
        "Argo CD watches all namespaces, which it may not: say --namespaces {} as well",
        namespaces.join(",")
    )
}

impl Wanted<'_> {
    fn associate(&self) -> Option<AwsChange> {
        let change = ClusterChange::AssociateAccessPolicy {
            principal: self.evidence.principal()?.to_string(),
            policy: self.policy.clone(),
            scope: self.scope.clone(),
        };
        let cluster = &self.evidence.registration.eks_cluster;
        Some(change.of(cluster).in_cluster_account())
    }

    fn disassociate(&self, policy: &str) -> Option<AwsChange> {
        let change = ClusterChange::DisassociateAccessPolicy {
            principal: self.evidence.principal()?.to_string(),
            policy: policy.to_owned(),
        };
        let cluster = &self.evidence.registration.eks_cluster;
        Some(change.of(cluster).in_cluster_account())
    }

    fn among(&self, policies: &[AssociatedAccessPolicy], associate: AwsChange) -> Link {
        let all: Vec<String> = policies
            .iter()
            .map(|one| told(&one.policy_arn, &one.access_scope))
            .collect();
        let observed = match all.as_slice() {
            [] => "there is none".to_owned(),
            all => all.join("; "),
        };
        // What gives more than was asked for, in might or in reach.
        let wider = policies.iter().find(|one| {
            one.policy_arn != self.policy && strength(&one.policy_arn) > strength(&self.policy)
        });
        let own = policies.iter().find(|one| one.policy_arn == self.policy);
        let dismiss = wider.and_then(|wider| self.disassociate(&wider.policy_arn));
        match own {
            None if policies.is_empty() => {
                Link::missing(LINK, "the access entry has none").changed_by([associate])
            }
            None => Link::wrong(LINK, observed)
                .because(format!("{} is not among them", short(&self.policy)))
                .changed_by([associate].into_iter().chain(dismiss)),
            Some(own) if !is_same(&own.access_scope, &self.scope) => Link::wrong(LINK, observed)
                .because(format!(
                    "the scope is {}, and {} is asked for",
                    shorthand(&own.access_scope),
                    shorthand(&self.scope)
                ))
                .changed_by([associate].into_iter().chain(dismiss)),
            Some(_) => match wider {
                Some(wider) => Link::wrong(LINK, observed)
                    .because(format!(
                        "{} gives more than what is asked for",
                        short(&wider.policy_arn)
                    ))
                    .changed_by(dismiss),
                None => Link::ok(LINK, observed),
            },
        }
    }
}

fn told(policy: &str, scope: &AccessScope) -> String {
    format!("{}, {}", short(policy), shorthand(scope))
}

/// The name of a policy of EKS.
fn short(policy: &str) -> &str {
    policy.rsplit('/').next().unwrap_or(policy)
}

/// None for a policy that is not known here.
fn strength(policy: &str) -> Option<usize> {
    BY_STRENGTH.iter().position(|known| *known == short(policy))
}

fn is_same(one: &AccessScope, other: &AccessScope) -> bool {
    let sorted = |scope: &AccessScope| {
        let mut namespaces = scope.namespaces.clone();
        namespaces.sort();
        namespaces
    };
    one.kind == other.kind && sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{Case, commands};

    fn judged(change: impl FnOnce(&mut Case)) -> Link {
        Case::with(change, judge)
    }

    fn associated(policy: &str, namespaces: &[&str]) -> AssociatedAccessPolicy {
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        AssociatedAccessPolicy {
            policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{policy}"),
            access_scope: Access::scope(&namespaces),
        }
    }

    fn with(policies: Vec<AssociatedAccessPolicy>) -> Link {
        judged(|case| case.aws.access_policies = Lookup::Known(policies))
    }

    #[test]
    fn the_policy_that_is_asked_for_is_ok() {
        assert_eq!(judged(|_| {}).state, State::Ok);
        let less = vec![
            associated(CLUSTER_ADMIN, &[]),
            associated("AmazonEKSViewPolicy", &[]),
        ];
        assert_eq!(with(less).state, State::Ok);
        let link = judged(|case| {
            case.ask_for("AmazonEKSEditPolicy", &["a", "b"]);
            case.aws.access_policies =
                Lookup::Known(vec![associated("AmazonEKSEditPolicy", &["b", "a"])]);
        });
        assert_eq!(link.state, State::Ok);
        assert!(link.detail.contains("--namespaces a,b"));
    }

    #[test]
    fn none_is_associated() {
        for link in [
            with(Vec::new()),
            judged(|case| case.aws.access_policies = Lookup::Absent),
            judged(|case| {
                case.aws.access_entry = Lookup::Absent;
                case.aws.access_policies = Lookup::Unknown("not found".to_owned());
            }),
        ] {
            assert_eq!(link.state, State::Missing);
            assert!(commands(&link)[0].contains("associate-access-policy"));
        }
    }

    #[test]
    fn another_policy_is_wrong() {
        let link = with(vec![associated("AmazonEKSViewPolicy", &[])]);
        assert_eq!(link.state, State::Wrong);
        assert_eq!(commands(&link).len(), 1);
    }

    #[test]
    fn another_scope_is_wrong() {
        let link = with(vec![associated(CLUSTER_ADMIN, &["orders"])]);
        assert_eq!(link.state, State::Wrong);
        assert!(commands(&link)[0].ends_with("--access-scope type=cluster --region eu-central-1"));
        let link = judged(|case| case.ask_for(CLUSTER_ADMIN, &["orders"]));
        assert_eq!(link.state, State::Wrong);
        assert!(commands(&link)[0].contains("type=namespace,namespaces=orders"));
    }

    #[test]
    fn more_than_was_asked_for_is_wrong() {
        let link = judged(|case| {
            case.ask_for("AmazonEKSEditPolicy", &[]);
            case.aws.access_policies = Lookup::Known(vec![
                associated("AmazonEKSEditPolicy", &[]),
                associated(CLUSTER_ADMIN, &[]),
            ]);
        });
        assert_eq!(link.state, State::Wrong);
        assert!(commands(&link)[0].contains("disassociate-access-policy"));
    }

    #[test]
    fn a_group_needs_none() {
        let link = judged(|case| {
            case.registration.access = Access::Group("argocd".to_owned());
            case.aws.access_policies = Lookup::Known(Vec::new());
        });
        assert_eq!(link.state, State::Ok);
        assert!(link.detail.contains("ClusterRoleBinding"));
    }

    #[test]
    fn a_policy_is_of_the_partition_of_the_cluster() {
        let link = judged(|case| {
            case.cluster().arn =
                "arn:aws-cn:eks:cn-north-1:444455556666:cluster/prod-eu".to_owned();
            case.aws.access_policies = Lookup::Known(Vec::new());
        });
        assert!(commands(&link)[0].contains("arn:aws-cn:eks::aws:cluster-access-policy/"));
    }
}
