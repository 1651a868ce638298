//! The role of Argo CD's pods, and whether EKS may give it to them.

use crate::onboarding::arn::RoleArn;
use crate::onboarding::assumption::{
    ACTIONS, CAPABILITIES, POD_IDENTITY, Trusted, by_pod_identity,
};
use crate::onboarding::change::RoleChange;
use crate::onboarding::facts::Lookup;
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::policy_document::condition::RequestContext;
use crate::onboarding::registration::{Evidence, SERVICE_ACCOUNTS};

use super::NAME_ENGINE_ROLE;
use super::trust::{Trust, update};

const LINK: LinkName = LinkName::EngineRole;

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    let role = if evidence.registration.capability {
        evidence.principal()
    } else {
        evidence.engine_role()
    };
    let Some(role) = role else {
        return Link::unknown(LINK, "the role of Argo CD's pods is not known")
            .by_hand(NAME_ENGINE_ROLE);
    };
    let account = evidence.engine_account();
    if let Some(account) = account.filter(|account| account != role.account()) {
        return Link::wrong(LINK, role.to_string())
            .expecting(format!("a role in the account {account}"))
            .because(format!(
                "Pod Identity gives pods a role of their cluster's own account, {account}, and this one is in {}",
                role.account()
            ))
            .by_hand(NAME_ENGINE_ROLE);
    }
    // Where EKS assumes it by another role, that is who has to be let in.
    let through = through(evidence, &role);
    let trust = trust(evidence, through.as_ref());
    let create = || {
        let change = RoleChange::Create {
            trust_policy: trust.trusted.new_policy().to_string(),
        };
        [change.of(&role).in_engine_account()]
    };
    let known = match &evidence.aws.engine_role {
        Lookup::Known(known) => known,
        Lookup::Absent => {
            return Link::missing(LINK, format!("there is no role {role}"))
                .expecting(trust.expected())
                .changed_by(create());
        }
        Lookup::Unknown(reason) => {
            return Link::unknown(LINK, reason)
                .expecting(trust.expected())
                .changed_by(create());
        }
    };
    let (link, mended) = trust.judge(&known.trust_policy);
    let has_web_identity = known.trust_policy.contains("AssumeRoleWithWebIdentity");
    let irsa = match (&mended, has_web_identity) {
        (Some(_), true) => {
            "it trusts an OIDC provider, as IAM roles for service accounts do; Pod Identity is another way"
        }
        _ => "",
    };
    link.noting(irsa)
        .changed_by(mended.map(|policy| update(&role, policy).in_engine_account()))
}

/// The role by which EKS assumes it, where an association has it as its target.
fn through(evidence: Evidence<'_>, role: &RoleArn) -> Option<RoleArn> {
    let associations = evidence.aws.pod_identity_associations.known()?;
    let target = role.to_string();
    let own = associations
        .iter()
        .find(|association| association.target_role_arn.as_ref() == Some(&target))?;
    own.role_arn.parse().ok()
}

fn trust<'t>(evidence: Evidence<'_>, through: Option<&'t RoleArn>) -> Trust<'t> {
    let service = |name: &'static str, contexts: Vec<RequestContext>| Trust {
        link: LINK,
        trusted: Trusted::Service(name),
        who: name.to_owned(),
        actions: ACTIONS.to_vec(),
        contexts,
    };
    if evidence.registration.capability {
        return service(CAPABILITIES, vec![RequestContext::default()]);
    }
    let contexts: Vec<RequestContext> = SERVICE_ACCOUNTS
        .map(|account| by_pod_identity(evidence, account))
        .into();
    match through {
        None => service(POD_IDENTITY, contexts),
        Some(role) => Trust {
            link: LINK,
            trusted: Trusted::Role(role),
            who: role.to_string(),
            actions: ACTIONS.to_vec(),
            contexts: contexts
                .into_iter()
                .map(|context| context.with("aws:PrincipalArn", role.to_string()))
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{Case, commands};

    fn with(statements: &Value) -> Link {
        Case::with(
            |case| case.engine_role().trust_policy = json!({"Statement": statements}).to_string(),
            judge,
        )
    }

    #[test]
    fn a_role_that_pod_identity_may_give_is_ok() {
        assert_eq!(Case::with(|_| {}, judge).state, State::Ok);
        let link = with(
            &json!({"Effect": "Allow", "Principal": {"Service": POD_IDENTITY}, "Action": ACTIONS,
            "Condition": {
                "StringEquals": {"aws:RequestTag/kubernetes-namespace": "argocd", "aws:SourceAccount": "111122223333"},
                "StringLike": {"aws:RequestTag/kubernetes-service-account": "argocd-*"},
                "ArnEquals": {"aws:SourceArn": "arn:aws:eks:eu-central-1:111122223333:cluster/devops"},
            }}),
        );
        assert_eq!(link.state, State::Ok, "{}", link.detail);
    }

    #[test]
    fn each_way_of_being_broken_is_told_and_mended() {
        let one_account =
            json!({"StringEquals": {"aws:RequestTag/kubernetes-service-account": "argocd-server"}});
        let other_cluster = json!({"StringEquals": {"aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-central-1:111122223333:cluster/old"}});
        for (statements, told) in [
            (
                json!({"Effect": "Allow", "Principal": {"Service": POD_IDENTITY}, "Action": "sts:AssumeRole"}),
                "sts:TagSession",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": ACTIONS}),
                "no statement allows",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"Service": POD_IDENTITY}, "Action": ACTIONS, "Condition": one_account}),
                "argocd-application-controller",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"Service": POD_IDENTITY}, "Action": ACTIONS, "Condition": other_cluster}),
                "eks-cluster-arn",
            ),
            (
                json!([
                    {"Effect": "Allow", "Principal": {"Service": POD_IDENTITY}, "Action": ACTIONS},
                    {"Effect": "Deny", "Principal": {"Service": POD_IDENTITY}, "Action": "sts:TagSession"},
                ]),
                "denies sts:TagSession",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/x"},
                "Action": "sts:AssumeRoleWithWebIdentity"}),
                "OIDC",
            ),
        ] {
            let link = with(&statements);
            assert_eq!(link.state, State::Wrong, "{statements}");
            assert!(link.detail.contains(told), "{told}: {}", link.detail);
            let command = &commands(&link)[0];
            let (_, document) = command.split_once("--policy-document ").unwrap();
            let document = document
                .split_once("' --profile")
                .map_or(document, |(text, _)| text);
            let document: Value = serde_json::from_str(document.trim_matches('\'')).unwrap();
            let mended = with(&document["Statement"]);
            assert_eq!(mended.state, State::Ok, "{statements}: {}", mended.detail);
        }
    }

    #[test]
    fn one_that_is_not_there_is_made() {
        let link = Case::with(|case| case.aws.engine_role = Lookup::Absent, judge);
        assert_eq!(link.state, State::Missing);
        assert!(commands(&link)[0].contains(POD_IDENTITY));
    }

    #[test]
    fn one_of_another_account_is_wrong() {
        let link = Case::with(
            |case| {
                case.registration.engine.role =
                    "arn:aws:iam::999999999999:role/argocd".parse().ok();
            },
            judge,
        );
        assert_eq!(link.state, State::Wrong);
        assert!(link.detail.contains("own account"));
    }

    #[test]
    fn the_argo_cd_of_aws_has_a_service_of_its_own() {
        let with = |service: &str| {
            let statement =
                json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": ACTIONS});
            Case::with(
                |case| {
                    case.registration.capability = true;
                    case.engine_role().trust_policy = json!({"Statement": statement}).to_string();
                },
                judge,
            )
        };
        assert_eq!(with(CAPABILITIES).state, State::Ok);
        assert_eq!(with(POD_IDENTITY).state, State::Wrong);
    }
}
