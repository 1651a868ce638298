//! Whether the role in the cluster's account lets Argo CD's pods in.

use crate::onboarding::assumption::{Trusted, actions, by_engine};
use crate::onboarding::facts::Lookup;
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::registration::{CALLING_SERVICE_ACCOUNTS, Evidence};

use super::trust::{Trust, update};
use super::{NAME_ENGINE_ROLE, NAME_ROLE, NOT_NEEDED, OF_CAPABILITY};

const LINK: LinkName = LinkName::ClusterRoleTrust;

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    if evidence.registration.capability {
        return Link::ok(LINK, NOT_NEEDED).because(OF_CAPABILITY);
    }
    let Some(role) = &evidence.registration.cluster_role else {
        return Link::unknown(LINK, "it is not known which role it is").by_hand(NAME_ROLE);
    };
    let Some(engine) = evidence.engine_role() else {
        return Link::unknown(
            LINK,
            "the role of Argo CD's pods is not known, which it has to let in",
        )
        .by_hand(NAME_ENGINE_ROLE);
    };
    let trust = Trust {
        link: LINK,
        trusted: Trusted::Role(&engine),
        who: engine.to_string(),
        actions: actions(evidence, &CALLING_SERVICE_ACCOUNTS),
        contexts: CALLING_SERVICE_ACCOUNTS
            .map(|account| by_engine(evidence, &engine, account))
            .into(),
    };
    let known = match &evidence.aws.cluster_role {
        Lookup::Known(known) => known,
        Lookup::Absent => {
            return Link::missing(LINK, "there is no such role")
                .expecting(trust.expected())
                .because("it comes with the role");
        }
        Lookup::Unknown(reason) => {
            return Link::unknown(LINK, reason).expecting(trust.expected());
        }
    };
    let (link, mended) = trust.judge(&known.trust_policy);
    link.changed_by(mended.map(|policy| update(role, policy).in_cluster_account()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{Case, ENGINE_ROLE, commands};

    fn with(statements: &Value) -> Link {
        Case::with(
            |case| case.trust(&json!({"Version": "2012-10-17", "Statement": statements})),
            judge,
        )
    }

    const BOTH: [&str; 2] = ["sts:AssumeRole", "sts:TagSession"];

    #[test]
    fn the_role_of_the_pods_is_let_in() {
        for statements in [
            json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": BOTH}),
            json!([
                {"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": "sts:AssumeRole"},
                {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:TagSession"},
            ]),
            json!({"Effect": "Allow", "Principal": "*", "Action": BOTH,
                "Condition": {"ArnEquals": {"aws:PrincipalArn": ENGINE_ROLE}}}),
            json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": BOTH,
                "Condition": {"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "argocd"}}}),
        ] {
            let link = with(&statements);
            assert_eq!(link.state, State::Ok, "{statements}: {}", link.detail);
        }
    }

    /// Each way in which a trust policy is broken, and what is told of it.
    #[test]
    fn each_way_of_being_broken_is_told_and_mended() {
        let external_id = json!({"StringEquals": {"sts:ExternalId": "fleet"}});
        let namespace = json!({"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "other"}});
        for (statements, told) in [
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": "sts:AssumeRole"}),
                "sts:TagSession",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": "sts:TagSession"}),
                "sts:AssumeRole",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/other"}, "Action": BOTH}),
                "no statement allows",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEEXAMPLE123"}, "Action": BOTH}),
                "deleted",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": "AIDAEXAMPLEEXAMPLE123"}, "Action": BOTH}),
                "deleted",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": BOTH, "Condition": external_id}),
                "sts:ExternalId",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": BOTH, "Condition": namespace}),
                "kubernetes-namespace",
            ),
            (
                json!([
                    {"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": BOTH},
                    {"Sid": "Frozen", "Effect": "Deny", "Principal": "*", "Action": "sts:*"},
                ]),
                "statement 2 (Frozen) denies",
            ),
            (
                json!({"Effect": "Allow", "Principal": "*", "Action": BOTH}),
                "any principal",
            ),
            (json!([]), "no statement allows"),
        ] {
            let link = with(&statements);
            assert_eq!(link.state, State::Wrong, "{statements}");
            assert!(link.detail.contains(told), "{told}: {}", link.detail);
            let commands = commands(&link);
            assert!(
                commands[0]
                    .starts_with("aws iam update-assume-role-policy --role-name argocd-deployer")
            );
            // What the command writes is what is asked for.
            let (_, document) = commands[0].split_once("--policy-document ").unwrap();
            let document: Value = serde_json::from_str(document.trim_matches('\'')).unwrap();
            let mended = Case::with(|case| case.trust(&document), judge);
            assert_eq!(mended.state, State::Ok, "{statements}: {}", mended.detail);
        }
    }

    #[test]
    fn a_condition_that_is_not_known_is_not_ok() {
        let link = with(
            &json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": BOTH,
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}),
        );
        assert_eq!(link.state, State::Unknown);
        assert!(link.detail.contains("aws:PrincipalOrgID"));
    }

    #[test]
    fn a_document_that_cannot_be_read_is_wrong() {
        let link = Case::with(|case| case.role().trust_policy = "{".to_owned(), judge);
        assert_eq!(link.state, State::Wrong);
        assert_eq!(commands(&link).len(), 1);
    }

    #[test]
    fn sessions_without_tags_need_no_right_to_tag() {
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": ENGINE_ROLE}, "Action": "sts:AssumeRole"});
        let link = Case::with(
            |case| {
                case.trust(&json!({"Statement": statement}));
                for association in case.associations() {
                    association.disable_session_tags = Some(true);
                }
            },
            judge,
        );
        assert_eq!(link.state, State::Ok, "{}", link.detail);
    }

    #[test]
    fn without_a_role_there_is_none() {
        let link = Case::with(|case| case.aws.cluster_role = Lookup::Absent, judge);
        assert_eq!(link.state, State::Missing);
        let link = Case::with(
            |case| case.aws.cluster_role = Lookup::Unknown("denied".into()),
            judge,
        );
        assert_eq!(link.state, State::Unknown);
    }
}
