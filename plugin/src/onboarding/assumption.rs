//! Whether a role may be assumed, as Argo CD does it: by both actions that it takes, for each of
//! its service accounts.

use serde_json::{Value, json};

use super::arn::{Arn, RoleArn};
use super::policy_document::condition::RequestContext;
use super::policy_document::principal::{Caller, is_dead};
use super::policy_document::{Answer, Document, Grant, Request};
use super::registration::Evidence;

/// What assumes a role.
pub(crate) const ASSUME_ROLE: &str = "sts:AssumeRole";
/// What hands on the tags of a session, which those of Pod Identity are.
pub(crate) const TAG_SESSION: &str = "sts:TagSession";
/// Both, as the session tags of Pod Identity are transitive.
pub(crate) const ACTIONS: [&str; 2] = [ASSUME_ROLE, TAG_SESSION];

/// What the answers to several requests amount to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Permission {
    /// All are allowed, the widest by this.
    Allowed(Grant),
    /// Some are not: why, and whether any is.
    Not {
        reasons: Vec<String>,
        is_any_allowed: bool,
    },
    Unknown(String),
}

impl Permission {
    /// Puts answers together, each with the action that was asked for.
    pub(crate) fn of<'a>(answers: impl IntoIterator<Item = (&'a str, Answer)>) -> Self {
        let mut grants = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        let mut unknown = None;
        let mut add = |reason: String| {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        };
        for (action, answer) in answers {
            match answer {
                Answer::Allowed(grant) => grants.push(grant),
                Answer::Denied(reason) => add(reason),
                Answer::NotAllowed(near) if near.is_empty() => {
                    add(format!("no statement allows {action}"));
                }
                Answer::NotAllowed(near) => {
                    add(format!("no statement allows {action}: {}", near.join(", ")));
                }
                Answer::Unknown(reason) => {
                    unknown.get_or_insert(reason);
                }
            }
        }
        if !reasons.is_empty() {
            return Permission::Not {
                reasons,
                is_any_allowed: !grants.is_empty(),
            };
        }
        match (unknown, grants.iter().position(Grant::is_open)) {
            (Some(reason), _) => Permission::Unknown(reason),
            (None, Some(open)) => Permission::Allowed(grants.swap_remove(open)),
            (None, None) => grants.pop().map_or_else(
                || Permission::Unknown("nothing was asked".to_owned()),
                Permission::Allowed,
            ),
        }
    }
}

/// What is known of the request by which Argo CD's pods assume a role of the cluster's account.
pub(crate) fn by_engine(
    evidence: Evidence<'_>,
    engine_role: &RoleArn,
    service_account: &str,
) -> RequestContext {
    let context = RequestContext::default()
        .with("aws:PrincipalArn", engine_role.to_string())
        .with("aws:PrincipalAccount", engine_role.account())
        .with("aws:PrincipalType", "AssumedRole")
        .with("aws:SecureTransport", "true")
        .with("aws:PrincipalIsAWSService", "false")
        .with("aws:ViaAWSService", "false")
        // What only services have, and what Argo CD does not send.
        .without("aws:PrincipalServiceName")
        .without("aws:SourceArn")
        .without("aws:SourceAccount")
        .without("aws:MultiFactorAuthPresent")
        .without("aws:MultiFactorAuthAge")
        .without("sts:ExternalId")
        .without("sts:SourceIdentity")
        .without("aws:SourceIdentity");
    let context = match evidence.registration.cluster_role.as_ref() {
        Some(role) => context.with("aws:ResourceAccount", role.account()),
        None => context,
    };
    let has_tags = association_has_tags(evidence, service_account);
    tags(evidence, service_account)
        .into_iter()
        .fold(context, |context, (tag, value)| {
            let key = format!("aws:PrincipalTag/{tag}");
            match (has_tags, value) {
                (Some(false), _) => context.without(&key),
                (Some(true), Some(value)) => context.with(&key, value),
                _ => context,
            }
        })
}

/// What is known of the request by which Pod Identity assumes the role of pods.
pub(crate) fn by_pod_identity(evidence: Evidence<'_>, service_account: &str) -> RequestContext {
    let mut context = RequestContext::default()
        .with("aws:PrincipalServiceName", POD_IDENTITY)
        .with("aws:PrincipalIsAWSService", "true")
        .with("aws:SecureTransport", "true")
        .without("sts:ExternalId");
    let cluster = evidence.aws.engine_cluster.known();
    if let Some(cluster) = cluster
        && let Ok(arn) = cluster.arn.parse::<Arn>()
    {
        context = context
            .with("aws:SourceArn", &cluster.arn)
            .with("aws:SourceAccount", arn.account);
    }
    tags(evidence, service_account)
        .into_iter()
        .filter_map(|(tag, value)| Some((tag, value?)))
        .fold(context, |context, (tag, value)| {
            context.with(&format!("aws:RequestTag/{tag}"), value)
        })
}

/// The service that assumes the roles of pods.
pub(crate) const POD_IDENTITY: &str = "pods.eks.amazonaws.com";
/// The service that assumes the role of an Argo CD that AWS manages.
pub(crate) const CAPABILITIES: &str = "capabilities.eks.amazonaws.com";

/// The tags of sessions of Pod Identity, with their values where these are known.
fn tags(evidence: Evidence<'_>, service_account: &str) -> Vec<(&'static str, Option<String>)> {
    let cluster = evidence.aws.engine_cluster.known();
    let told = evidence.registration.engine.cluster.clone();
    vec![
        (
            "kubernetes-namespace",
            Some(evidence.registration.engine.namespace.clone()),
        ),
        (
            "kubernetes-service-account",
            Some(service_account.to_owned()),
        ),
        (
            "eks-cluster-name",
            cluster.map(|cluster| cluster.name.clone()).or(told),
        ),
        (
            "eks-cluster-arn",
            cluster.map(|cluster| cluster.arn.clone()),
        ),
    ]
}

/// Whether the sessions of a service account have tags, as far as that is known.
fn association_has_tags(evidence: Evidence<'_>, service_account: &str) -> Option<bool> {
    let associations = evidence.aws.pod_identity_associations.known()?;
    let own = associations.iter().find(|association| {
        association.namespace == evidence.registration.engine.namespace
            && association.service_account == service_account
    });
    // One that is to be made has them.
    Some(own.is_none_or(|own| own.disable_session_tags != Some(true)))
}

/// The actions that it takes to assume a role from these service accounts.
pub(crate) fn actions(evidence: Evidence<'_>, service_accounts: &[&str]) -> Vec<&'static str> {
    let mut accounts = service_accounts.iter();
    let is_without = accounts.all(|account| association_has_tags(evidence, account) == Some(false));
    if is_without {
        vec![ASSUME_ROLE]
    } else {
        ACTIONS.to_vec()
    }
}

/// Whom a trust policy is to let in.
#[derive(Clone, Copy)]
pub(crate) enum Trusted<'t> {
    Role(&'t RoleArn),
    Service(&'t str),
}

impl<'t> Trusted<'t> {
    pub(crate) fn caller(self) -> Caller<'t> {
        match self {
            Trusted::Role(role) => Caller::Role(role),
            Trusted::Service(name) => Caller::Service(name),
        }
    }

    fn principal(self) -> Value {
        match self {
            Trusted::Role(role) => json!({"AWS": role.to_string()}),
            Trusted::Service(name) => json!({"Service": name}),
        }
    }

    fn statement(self) -> Value {
        json!({
            "Effect": "Allow",
            "Principal": self.principal(),
            "Action": ACTIONS,
        })
    }

    /// The trust policy of a role that is made for it.
    pub(crate) fn new_policy(self) -> Value {
        json!({"Version": "2012-10-17", "Statement": [self.statement()]})
    }

    /// A trust policy with what is missing in it: a statement that lets it in, nobody who was
    /// deleted or means everybody, and an exception from what denies it.
    pub(crate) fn mended(self, document: &Document, contexts: &[RequestContext]) -> Value {
        let mut json = document.json.clone();
        let denying: Vec<usize> = ACTIONS
            .iter()
            .flat_map(|action| contexts.iter().map(move |context| (action, context)))
            .flat_map(|(action, context)| {
                document.denying(&Request {
                    caller: Some(self.caller()),
                    action,
                    resource: None,
                    context,
                })
            })
            .collect();
        let mut statements = match json.get_mut("Statement").map(Value::take) {
            Some(Value::Array(statements)) => statements,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        for (index, statement) in statements.iter_mut().enumerate() {
            if denying.contains(&index) {
                self.except_from(statement);
            }
            forget_dead(statement);
        }
        statements.retain(|statement| !is_without_principal(statement) && !is_open(statement));
        statements.push(self.statement());
        json["Statement"] = Value::Array(statements);
        json
    }

    /// Leaves it out of a statement that denies something.
    fn except_from(self, statement: &mut Value) {
        let (operator, key, value) = match self {
            Trusted::Role(role) => ("ArnNotEquals", "aws:PrincipalArn", role.to_string()),
            Trusted::Service(name) => (
                "StringNotEqualsIfExists",
                "aws:PrincipalServiceName",
                name.to_owned(),
            ),
        };
        let values = &mut statement["Condition"][operator][key];
        match values {
            Value::Array(values) => values.push(value.into()),
            Value::Null => *values = value.into(),
            one => *one = json!([one.take(), value]),
        }
    }
}

/// Takes out of a statement those who were deleted, whom IAM would not take again.
fn forget_dead(statement: &mut Value) {
    for element in ["Principal", "NotPrincipal"] {
        let Some(principals) = statement.get_mut(element).and_then(Value::as_object_mut) else {
            continue;
        };
        let is_alive = |text: &Value| !text.as_str().is_some_and(is_dead);
        principals.retain(|_, texts| match texts {
            Value::Array(texts) => {
                texts.retain(is_alive);
                !texts.is_empty()
            }
            one => is_alive(one),
        });
    }
}

fn is_without_principal(statement: &Value) -> bool {
    let principals = statement.get("Principal").and_then(Value::as_object);
    principals.is_some_and(serde_json::Map::is_empty)
}

/// Whether a statement lets everybody in.
fn is_open(statement: &Value) -> bool {
    let has_conditions = statement
        .get("Condition")
        .and_then(Value::as_object)
        .is_some_and(|conditions| !conditions.is_empty());
    let is_star = |value: &Value| match value {
        Value::Array(all) => all.iter().any(|one| one == "*"),
        one => one == "*",
    };
    let principal = &statement["Principal"];
    let is_everybody = is_star(principal) || is_star(&principal["AWS"]);
    statement["Effect"] == "Allow"
        && !has_conditions
        && (is_everybody || !statement["NotPrincipal"].is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: &str = "arn:aws:iam::111122223333:role/argocd";

    fn answers(document: &Document) -> Permission {
        let role: RoleArn = ENGINE.parse().unwrap();
        let context = RequestContext::default()
            .with("aws:PrincipalArn", ENGINE)
            .without("sts:ExternalId");
        Permission::of(ACTIONS.map(|action| {
            let request = Request {
                caller: Some(Caller::Role(&role)),
                action,
                resource: None,
                context: &context,
            };
            (action, Document::judge([("", document)], &request))
        }))
    }

    /// Whatever is wrong with a trust policy: it was believed that a statement more is enough.
    #[test]
    fn a_mended_policy_lets_the_role_in_and_nobody_else() {
        let role: RoleArn = ENGINE.parse().unwrap();
        for statements in [
            json!([]),
            json!([{"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"}]),
            json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": ACTIONS,
                "Condition": {"StringEquals": {"sts:ExternalId": "x"}}}),
            json!([{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}]),
            json!([{"Effect": "Allow", "Principal": {"AWS": ["AROAEXAMPLEEXAMPLE123"]}, "Action": ACTIONS}]),
            json!([{"Effect": "Deny", "Principal": "*", "Action": "sts:*"}]),
            json!([{"Effect": "Deny", "Principal": {"AWS": ENGINE}, "Action": "sts:*",
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/x"}}}]),
        ] {
            let document = json!({"Version": "2012-10-17", "Statement": statements});
            let document = Document::read(&document.to_string()).unwrap();
            let before = answers(&document);
            assert!(
                !matches!(&before, Permission::Allowed(grant) if !grant.is_open()),
                "{statements}"
            );
            let context = RequestContext::default().with("aws:PrincipalArn", ENGINE);
            let mended = Trusted::Role(&role)
                .mended(&document, &[context])
                .to_string();
            let mended = Document::read(&mended).unwrap();
            match answers(&mended) {
                Permission::Allowed(grant) => assert!(!grant.is_open(), "{statements}"),
                other => panic!("{statements}: {other:?}"),
            }
            assert!(!mended.json.to_string().contains("AROA"));
        }
    }

    #[test]
    fn statements_about_others_stay_as_they_are() {
        let other = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/ci"}, "Action": "sts:AssumeRole"});
        let document = json!({"Version": "2012-10-17", "Statement": [other]});
        let document = Document::read(&document.to_string()).unwrap();
        let role: RoleArn = ENGINE.parse().unwrap();
        let mended = Trusted::Role(&role).mended(&document, &[]);
        assert_eq!(mended["Statement"][0], other);
        assert_eq!(mended["Statement"].as_array().map(Vec::len), Some(2));
    }
}
