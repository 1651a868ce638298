//! Whether Argo CD's pods may assume the role in the cluster's account.

use serde_json::json;

use crate::onboarding::arn::RoleArn;
use crate::onboarding::assumption::{ACTIONS, Permission, actions, by_engine};
use crate::onboarding::change::{Change, RoleChange};
use crate::onboarding::facts::{Lookup, NamedPolicy, Role};
use crate::onboarding::link::{Link, LinkName};
use crate::onboarding::policy_document::{Answer, Document, Request};
use crate::onboarding::registration::{CALLING_SERVICE_ACCOUNTS, Evidence};

use super::{NAME_ENGINE_ROLE, NAME_ROLE, NOT_NEEDED, OF_CAPABILITY};

const LINK: LinkName = LinkName::EngineRolePolicy;

pub(super) fn judge(evidence: Evidence<'_>) -> Link {
    if evidence.registration.capability {
        return Link::ok(LINK, NOT_NEEDED).because(OF_CAPABILITY);
    }
    let Some(role) = &evidence.registration.cluster_role else {
        return Link::unknown(LINK, "it is not known which role is to be assumed")
            .by_hand(NAME_ROLE);
    };
    let Some(engine) = evidence.engine_role() else {
        return Link::unknown(LINK, "the role of Argo CD's pods is not known")
            .by_hand(NAME_ENGINE_ROLE);
    };
    let asked = Asked {
        evidence,
        role,
        engine: &engine,
    };
    let expected = asked.expected();
    match &evidence.aws.engine_role {
        Lookup::Known(known) => asked.judge(known),
        Lookup::Absent => Link::missing(LINK, format!("there is no role {engine}"))
            .changed_by([asked.grant().in_engine_account()]),
        Lookup::Unknown(reason) => {
            Link::unknown(LINK, reason).changed_by([asked.grant().in_engine_account()])
        }
    }
    .expecting(expected)
}

struct Asked<'a> {
    evidence: Evidence<'a>,
    role: &'a RoleArn,
    engine: &'a RoleArn,
}

impl Asked<'_> {
    fn actions(&self) -> Vec<&'static str> {
        actions(self.evidence, &CALLING_SERVICE_ACCOUNTS)
    }

    fn expected(&self) -> String {
        format!("{} on {}", self.actions().join(" and "), self.role)
    }

    /// The policy that lets it.
    fn grant(&self) -> Change {
        let document = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ACTIONS,
                "Resource": self.role.to_string(),
            }],
        });
        RoleChange::PutPolicy {
            name: policy_name(self.role),
            document: document.to_string(),
        }
        .of(self.engine)
    }

    fn judge(&self, engine: &Role) -> Link {
        let (documents, unread) = documents(engine);
        let permission = self.ask(&documents);
        let grant = self.grant().in_engine_account();
        match permission {
            Permission::Not {
                reasons,
                is_any_allowed,
            } => {
                let is_denied = reasons.iter().any(|reason| reason.contains(" denies "));
                let is_near = is_any_allowed || reasons.iter().any(|reason| reason.contains(": "));
                let detail = reasons.join("; ");
                // What cannot be read may allow it, but no more than it is denied.
                if let (Some(unread), false) = (unread, is_denied) {
                    return Link::unknown(LINK, unread).noting(&detail);
                }
                let link = if is_any_allowed || is_denied || is_near {
                    Link::wrong(LINK, "the role may not do all that it takes")
                } else {
                    Link::missing(LINK, "no policy of the role allows it")
                };
                let link = link.because(detail);
                if is_denied {
                    let what = format!("leave {} out of the statement that denies it", self.role);
                    return link.by_hand(what).changed_by([grant]);
                }
                link.changed_by([grant])
            }
            Permission::Unknown(reason) => Link::unknown(LINK, reason),
            Permission::Allowed(_) if unread.is_some() => {
                Link::unknown(LINK, unread.unwrap_or_default())
            }
            Permission::Allowed(grant) => self.within_boundary(engine, &grant.statement),
        }
    }

    fn ask(&self, documents: &[(String, Document)]) -> Permission {
        let contexts =
            CALLING_SERVICE_ACCOUNTS.map(|account| by_engine(self.evidence, self.engine, account));
        let resource = self.role.to_string();
        let mut answers: Vec<(&str, Answer)> = Vec::new();
        for action in self.actions() {
            for context in &contexts {
                let request = Request {
                    caller: None,
                    action,
                    resource: Some(&resource),
                    context,
                };
                let named = documents
                    .iter()
                    .map(|(name, document)| (name.as_str(), document));
                answers.push((action, Document::judge(named, &request)));
            }
        }
        Permission::of(answers)
    }

    /// A boundary has to allow it as well.
    fn within_boundary(&self, engine: &Role, statement: &str) -> Link {
        let observed = format!("{}, by {statement}", self.expected());
        let boundary = match &engine.permissions_boundary {
            Lookup::Absent => return Link::ok(LINK, observed),
            Lookup::Unknown(reason) => {
                return Link::unknown(LINK, format!("the role's permissions boundary: {reason}"));
            }
            Lookup::Known(boundary) => boundary,
        };
        let document = match Document::read(&boundary.document) {
            Ok(document) => document,
            Err(error) => return Link::unknown(LINK, format!("{}: {error}", boundary.name)),
        };
        match self.ask(&[(boundary.name.clone(), document)]) {
            Permission::Allowed(_) => Link::ok(LINK, observed),
            Permission::Unknown(reason) => Link::unknown(LINK, reason),
            Permission::Not { reasons, .. } => Link::wrong(
                LINK,
                format!(
                    "the permissions boundary {} does not allow it",
                    boundary.name
                ),
            )
            .because(reasons.join("; "))
            .by_hand(format!(
                "allow {} on {} in the permissions boundary {}",
                ACTIONS.join(" and "),
                self.role,
                boundary.name
            )),
        }
    }
}

/// A name of its own for each role that is assumed, so that one cluster's does not replace
/// another's.
pub(crate) fn policy_name(role: &RoleArn) -> String {
    format!("assume-{}-{}", role.account(), role.name())
}

/// The documents of a role, and why there may be more.
fn documents(role: &Role) -> (Vec<(String, Document)>, Option<String>) {
    let mut documents = Vec::new();
    let mut unread = None;
    for policies in [&role.inline_policies, &role.attached_policies] {
        let policies = match policies {
            Lookup::Known(policies) => policies.as_slice(),
            Lookup::Absent => &[],
            Lookup::Unknown(reason) => {
                unread.get_or_insert(format!("not all policies of the role are known: {reason}"));
                &[]
            }
        };
        for NamedPolicy { name, document } in policies {
            match Document::read(document) {
                Ok(document) => documents.push((name.clone(), document)),
                Err(error) => {
                    unread.get_or_insert(format!("the policy {name} cannot be read: {error}"));
                }
            }
        }
    }
    (documents, unread)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::onboarding::link::State;
    use crate::onboarding::testing::{CLUSTER_ROLE, Case, commands};

    fn with(statements: &Value) -> Link {
        with_boundary(statements, Lookup::Absent)
    }

    fn with_boundary(statements: &Value, boundary: Lookup<NamedPolicy>) -> Link {
        Case::with(
            |case| {
                let role = case.engine_role();
                role.inline_policies = Lookup::Known(vec![policy("fleet", statements)]);
                role.permissions_boundary = boundary;
            },
            judge,
        )
    }

    fn policy(name: &str, statements: &Value) -> NamedPolicy {
        NamedPolicy {
            name: name.to_owned(),
            document: json!({"Version": "2012-10-17", "Statement": statements}).to_string(),
        }
    }

    fn allow(action: &Value, resource: &str) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": resource})
    }

    #[test]
    fn both_actions_on_the_role_are_ok() {
        for statements in [
            allow(&json!(ACTIONS), CLUSTER_ROLE),
            allow(&json!("sts:*"), "arn:aws:iam::*:role/argocd-*"),
            json!([
                allow(&json!("sts:AssumeRole"), CLUSTER_ROLE),
                allow(&json!("sts:TagSession"), "*")
            ]),
        ] {
            let link = with(&statements);
            assert_eq!(link.state, State::Ok, "{statements}: {}", link.detail);
        }
    }

    #[test]
    fn a_right_that_lacks_is_given() {
        for (statements, state, told) in [
            (json!([]), State::Missing, "no statement allows"),
            (
                allow(&json!("sts:AssumeRole"), CLUSTER_ROLE),
                State::Wrong,
                "sts:TagSession",
            ),
            (
                allow(&json!("sts:TagSession"), CLUSTER_ROLE),
                State::Wrong,
                "sts:AssumeRole",
            ),
            (
                allow(&json!(ACTIONS), "arn:aws:iam::444455556666:role/other"),
                State::Wrong,
                "is not among its resources",
            ),
        ] {
            let link = with(&statements);
            assert_eq!(link.state, state, "{statements}");
            assert!(link.detail.contains(told), "{}", link.detail);
            assert!(commands(&link)[0].starts_with(
                "aws iam put-role-policy --role-name argocd --policy-name assume-444455556666-argocd-deployer"
            ));
        }
        let none = Case::with(
            |case| case.engine_role().inline_policies = Lookup::Known(Vec::new()),
            judge,
        );
        assert_eq!(none.state, State::Missing);
        let none = Case::with(|case| case.aws.engine_role = Lookup::Absent, judge);
        assert_eq!(none.state, State::Missing);
    }

    #[test]
    fn a_denial_is_for_people() {
        let link = with(&json!([
            allow(&json!("*"), "*"),
            {"Sid": "No", "Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::444455556666:role/*"},
        ]));
        assert_eq!(link.state, State::Wrong);
        assert!(
            link.detail
                .contains("statement 2 (No) of fleet denies sts:AssumeRole"),
            "{}",
            link.detail
        );
        assert!(commands(&link)[0].contains("leave"));
    }

    #[test]
    fn a_boundary_has_to_allow_it_as_well() {
        let all = allow(&json!("sts:*"), "*");
        let boundary = policy(
            "arn:aws:iam::111122223333:policy/limit",
            &allow(&json!("s3:*"), "*"),
        );
        let link = with_boundary(&all, Lookup::Known(boundary));
        assert_eq!(link.state, State::Wrong);
        assert!(link.observed.contains("boundary"));
        let link = with_boundary(&all, Lookup::Known(policy("limit", &all)));
        assert_eq!(link.state, State::Ok);
        let link = with_boundary(&all, Lookup::Unknown("denied".to_owned()));
        assert_eq!(link.state, State::Unknown);
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let link = Case::with(
            |case| case.engine_role().attached_policies = Lookup::Unknown("denied".to_owned()),
            judge,
        );
        assert_eq!(link.state, State::Unknown);
        let link = Case::with(
            |case| {
                let broken = NamedPolicy {
                    name: "broken".to_owned(),
                    document: "x".to_owned(),
                };
                case.engine_role().attached_policies = Lookup::Known(vec![broken]);
            },
            judge,
        );
        assert_eq!(link.state, State::Unknown);
        assert!(link.detail.contains("broken"));
    }
}
