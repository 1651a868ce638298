//! Whether Argo CD's pods have their role.

use crate::onboarding::arn::RoleArn;
use crate::onboarding::change::{AwsChange, ClusterChange};
use crate::onboarding::facts::{Lookup, PodIdentityAssociation};
use crate::onboarding::link::{Link, LinkName, State};
use crate::onboarding::registration::{Evidence, SERVICE_ACCOUNTS};

use super::{NAME_ENGINE_ROLE, NOT_NEEDED, OF_CAPABILITY};

const LINK: LinkName = LinkName::PodIdentity;
const AGENT: &str = "eks-pod-identity-agent";
const RESTART: &str = "pods that run already get it when they are restarted";

/// What was found of one part.
struct Part {
    state: State,
    told: String,
    changes: Vec<AwsChange>,
}

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    if evidence.registration.capability {
        return Link::ok(LINK, NOT_NEEDED).because(OF_CAPABILITY);
    }
    let namespace = &evidence.registration.engine.namespace;
    let Some(role) = evidence.engine_role() else {
        return Link::unknown(LINK, "the role of Argo CD's pods is not known")
            .by_hand(NAME_ENGINE_ROLE);
    };
    let expected = format!(
        "{AGENT}, and {role} for {} in {namespace}",
        SERVICE_ACCOUNTS.join(", ")
    );
    let Some(cluster) = engine_cluster(evidence) else {
        return Link::unknown(LINK, "the cluster that Argo CD runs on is not known")
            .expecting(expected)
            .by_hand("name the cluster that Argo CD runs on by --engine-cluster");
    };
    let mut parts = vec![agent(evidence, &cluster)];
    parts.extend(associations(evidence, &cluster, &role));
    let changes: Vec<AwsChange> = parts.iter().flat_map(|part| part.changes.clone()).collect();
    let by_state =
        |state: State| -> Vec<&Part> { parts.iter().filter(|part| part.state == state).collect() };
    let told = |parts: &[&Part]| {
        let told: Vec<&str> = parts.iter().map(|part| part.told.as_str()).collect();
        told.join("; ")
    };
    let (wrong, missing, unknown) = (
        by_state(State::Wrong),
        by_state(State::Missing),
        by_state(State::Unknown),
    );
    let link = if !wrong.is_empty() {
        Link::wrong(LINK, told(&[wrong, missing].concat())).because(RESTART)
    } else if !missing.is_empty() {
        Link::missing(LINK, told(&missing)).because(RESTART)
    } else if unknown.is_empty() {
        Link::ok(LINK, told(&by_state(State::Ok)))
    } else {
        Link::unknown(LINK, told(&unknown))
    };
    link.expecting(expected).changed_by(changes)
}

fn engine_cluster(evidence: Evidence<'_>) -> Option<String> {
    let known = evidence.aws.engine_cluster.known();
    let named = evidence.registration.engine.cluster.clone();
    named.or_else(|| Some(known?.name.clone()))
}

fn agent(evidence: Evidence<'_>, cluster: &str) -> Part {
    let create = ClusterChange::CreateAddon {
        name: AGENT.to_owned(),
    };
    let create = create.of(cluster).in_engine_account();
    let known = evidence.aws.engine_cluster.known();
    let is_auto = known.and_then(|cluster| cluster.compute_config.as_ref()?.enabled) == Some(true);
    match &evidence.aws.pod_identity_agent {
        Lookup::Known(addon) => match addon.status.as_deref() {
            // It works while it is brought up to date, and mostly where parts of it fail.
            None | Some("ACTIVE" | "UPDATING") => Part::ok(format!("{AGENT} is there")),
            Some("CREATING") => Part {
                state: State::Unknown,
                told: format!("{AGENT} is being created"),
                changes: Vec::new(),
            },
            Some(status) => Part {
                state: State::Wrong,
                told: format!("{AGENT} is {status}"),
                changes: vec![
                    ClusterChange::DeleteAddon {
                        name: AGENT.to_owned(),
                    }
                    .of(cluster)
                    .in_engine_account(),
                    create,
                ],
            },
        },
        Lookup::Absent if is_auto => Part::ok(format!("{AGENT} is part of EKS Auto Mode")),
        Lookup::Absent => Part {
            state: State::Missing,
            told: format!("there is no {AGENT}"),
            changes: vec![create],
        },
        Lookup::Unknown(reason) => Part {
            changes: vec![create],
            ..Part::unknown(format!("{AGENT}: {reason}"))
        },
    }
}

fn associations(evidence: Evidence<'_>, cluster: &str, role: &RoleArn) -> Vec<Part> {
    let namespace = &evidence.registration.engine.namespace;
    let associate = |account: &str| {
        ClusterChange::AssociatePodIdentity {
            namespace: namespace.clone(),
            service_account: account.to_owned(),
            role: role.to_string(),
        }
        .of(cluster)
        .in_engine_account()
    };
    let all = match &evidence.aws.pod_identity_associations {
        Lookup::Known(all) => all.as_slice(),
        Lookup::Absent => &[],
        Lookup::Unknown(reason) => {
            return vec![Part {
                changes: SERVICE_ACCOUNTS.map(associate).into(),
                ..Part::unknown(format!("associations: {reason}"))
            }];
        }
    };
    let parts = SERVICE_ACCOUNTS.map(|account| {
        let mut own = all
            .iter()
            .filter(|one| one.namespace == *namespace && one.service_account == account);
        match own.next() {
            Some(association) => there(association, cluster, role),
            None => Part {
                state: State::Missing,
                told: format!("{account} has no association"),
                changes: vec![associate(account)],
            },
        }
    });
    parts.into()
}

fn there(association: &PodIdentityAssociation, cluster: &str, role: &RoleArn) -> Part {
    let PodIdentityAssociation {
        service_account,
        namespace,
        role_arn,
        target_role_arn,
        association_id,
        ..
    } = association;
    let target = target_role_arn
        .as_deref()
        .filter(|target| !target.is_empty());
    let has = target.unwrap_or(role_arn);
    if has == role.to_string() {
        return Part::ok(format!("{service_account} has {has}"));
    }
    let told = match target {
        Some(target) => format!("{service_account} acts as the target role {target}"),
        None => format!("{service_account} has {role_arn}"),
    };
    Part {
        state: State::Wrong,
        told,
        changes: vec![
            ClusterChange::UpdatePodIdentity {
                namespace: namespace.clone(),
                service_account: service_account.clone(),
                association: association_id.clone(),
                role: role.to_string(),
                target_role: None,
            }
            .of(cluster)
            .in_engine_account(),
        ],
    }
}

impl Part {
    fn ok(told: String) -> Self {
        Part {
            state: State::Ok,
            told,
            changes: Vec::new(),
        }
    }

    fn unknown(told: String) -> Self {
        Part {
            state: State::Unknown,
            ..Part::ok(told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onboarding::facts::{Addon, ComputeConfig};
    use crate::onboarding::testing::{Case, ENGINE_ROLE, commands};

    fn judged(change: impl FnOnce(&mut Case)) -> Link {
        Case::with(change, judge)
    }

    #[test]
    fn the_agent_and_three_associations_are_ok() {
        let link = judged(|_| {});
        assert_eq!(link.state, State::Ok, "{}", link.detail);
    }

    #[test]
    fn the_agent_is_installed() {
        let link = judged(|case| case.aws.pod_identity_agent = Lookup::Absent);
        assert_eq!(link.state, State::Missing);
        let install = "aws eks create-addon --cluster-name devops --addon-name eks-pod-identity-agent --region eu-central-1 --profile engine";
        assert_eq!(commands(&link), [install]);
        let link = judged(|case| {
            case.aws.pod_identity_agent = Lookup::Absent;
            let Lookup::Known(cluster) = &mut case.aws.engine_cluster else {
                unreachable!()
            };
            cluster.compute_config = Some(ComputeConfig {
                enabled: Some(true),
            });
        });
        assert_eq!(link.state, State::Ok);
    }

    #[test]
    fn an_agent_that_failed_is_made_anew() {
        let link = judged(|case| {
            case.aws.pod_identity_agent = Lookup::Known(Addon {
                name: AGENT.to_owned(),
                status: Some("CREATE_FAILED".to_owned()),
                ..Addon::default()
            });
        });
        assert_eq!(link.state, State::Wrong);
        assert_eq!(commands(&link).len(), 2);
    }

    #[test]
    fn each_service_account_needs_one() {
        for (index, account) in SERVICE_ACCOUNTS.iter().enumerate() {
            let link = judged(|case| {
                case.associations().remove(index);
            });
            assert_eq!(link.state, State::Missing);
            let command = &commands(&link)[0];
            assert!(command.contains(&format!(
                "--service-account {account} --role-arn {ENGINE_ROLE}"
            )));
            assert!(link.detail.contains("restarted"));
        }
        // One in another namespace is of other pods.
        let link = judged(|case| case.associations()[0].namespace = "other".to_owned());
        assert_eq!(link.state, State::Missing);
    }

    #[test]
    fn all_have_the_same_role() {
        let link = judged(|case| {
            case.associations()[2].role_arn = "arn:aws:iam::111122223333:role/other".to_owned();
        });
        assert_eq!(link.state, State::Wrong);
        assert!(commands(&link)[0].contains("update-pod-identity-association"));
    }

    #[test]
    fn a_target_role_is_who_the_pods_are() {
        let link = judged(|case| {
            case.associations()[1].target_role_arn =
                Some("arn:aws:iam::444455556666:role/x".to_owned());
        });
        assert_eq!(link.state, State::Wrong);
        assert!(link.observed.contains("target role"));
        let hub = "arn:aws:iam::111122223333:role/hub";
        let link = judged(|case| {
            case.registration.engine.role = hub.parse().ok();
            for association in case.associations() {
                association.target_role_arn = Some(hub.to_owned());
            }
        });
        assert_eq!(link.state, State::Ok);
    }

    #[test]
    fn what_could_not_be_asked_is_not_known() {
        let link = judged(|case| {
            case.aws.pod_identity_associations = Lookup::Unknown("denied".to_owned());
        });
        assert_eq!(link.state, State::Unknown);
        let link = judged(|case| {
            case.aws.engine_cluster = Lookup::Unknown("denied".to_owned());
            case.registration.engine.cluster = None;
        });
        assert_eq!(link.state, State::Unknown);
    }
}
