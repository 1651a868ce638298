//! Policy documents of IAM, as far as it takes to tell whether one lets a request pass.
//!
//! It follows "Policy evaluation logic" and "IAM JSON policy elements reference" of IAM's user
//! guide. What is not known here, an operator, a key of a condition, a variable, makes the answer
//! unknown; it never lets anything pass.

pub(crate) mod condition;
pub(crate) mod pattern;
pub(crate) mod principal;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use self::condition::{Condition, RequestContext};
use self::principal::{Caller, Meant, NOT_NAMED, Principals};

/// A document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Document {
    /// As it is written, decoded.
    pub(crate) json: Value,
    statements: Vec<Statement>,
}

/// Why a document cannot be judged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum UnreadableDocument {
    #[error("the document is empty")]
    Empty,
    #[error("the document is not JSON: {0}")]
    Json(String),
    #[error("the document has no Statement")]
    NoStatement,
    #[error("statement {0} is not an object")]
    NotAnObject(usize),
    #[error("statement {number} has {element}, which is not known")]
    Element { number: usize, element: String },
    #[error("statement {0}: Effect is neither Allow nor Deny")]
    Effect(usize),
    #[error("statement {number}: {element} is not a text or a list of texts")]
    Texts {
        number: usize,
        element: &'static str,
    },
    #[error("statement {number} has {one} and {other}: expected one of them")]
    Both {
        number: usize,
        one: &'static str,
        other: &'static str,
    },
    #[error("statement {0} has no Action")]
    NoAction(usize),
    #[error(
        "a Principal is neither \"*\" nor an object of AWS, Service, Federated or CanonicalUser"
    )]
    Principal,
    #[error("a Condition is not an object of operators, keys and values")]
    Condition,
}

/// One statement.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Statement {
    /// From 1.
    number: usize,
    sid: Option<String>,
    is_deny: bool,
    /// None in a policy of a role itself.
    principals: Option<Selection<Principals>>,
    actions: Selection<Vec<String>>,
    /// None in a trust policy, which is about its own role.
    resources: Option<Selection<Vec<String>>>,
    conditions: Vec<Condition>,
}

/// Those that are named, or all others.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Selection<T> {
    named: T,
    is_others: bool,
}

/// Whether something is the case, as far as it can be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Match {
    Yes,
    /// And why.
    No(String),
    /// And what would have to be known.
    Unknown(String),
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'r> {
    /// Who asks; None where the policies are those of who asks.
    pub(crate) caller: Option<Caller<'r>>,
    pub(crate) action: &'r str,
    /// What it is asked for; None where the policy is that of it.
    pub(crate) resource: Option<&'r str>,
    pub(crate) context: &'r RequestContext,
}

/// What documents say of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// A statement allows it, and none denies it.
    Allowed(Grant),
    /// A statement denies it.
    Denied(String),
    /// No statement allows it. Why those do not that come near.
    NotAllowed(Vec<String>),
    Unknown(String),
}

/// What allows a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Grant {
    /// `statement 1 (Sid)`.
    pub(crate) statement: String,
    /// How the caller is meant; None in a policy of who asks.
    pub(crate) meant: Option<Meant>,
    /// Whether there are conditions besides.
    pub(crate) is_conditional: bool,
}

impl Match {
    /// Whether all of some things are the case.
    fn all(all: impl IntoIterator<Item = Match>) -> Match {
        let mut unknown = None;
        for one in all {
            match one {
                Match::Yes => {}
                Match::No(reason) => return Match::No(reason),
                Match::Unknown(reason) => unknown = unknown.or(Some(reason)),
            }
        }
        unknown.map_or(Match::Yes, Match::Unknown)
    }
}

impl Document {
    /// Reads a document, percent-encoded or not.
    ///
    /// # Errors
    /// It is not one that IAM would take.
    pub(crate) fn read(text: &str) -> Result<Self, UnreadableDocument> {
        let decoded = decoded(text.trim());
        if decoded.is_empty() {
            return Err(UnreadableDocument::Empty);
        }
        let json: Value = serde_json::from_str(&decoded)
            .map_err(|error| UnreadableDocument::Json(error.to_string()))?;
        let statements = match json.get("Statement") {
            Some(Value::Array(statements)) => statements.as_slice(),
            Some(one @ Value::Object(_)) => std::slice::from_ref(one),
            _ => return Err(UnreadableDocument::NoStatement),
        };
        let statements = statements
            .iter()
            .zip(1..)
            .map(|(statement, number)| Statement::read(statement, number))
            .collect::<Result<_, _>>()?;
        Ok(Document { json, statements })
    }

    /// What several documents together say of a request, each with its name.
    pub(crate) fn judge<'d>(
        documents: impl IntoIterator<Item = (&'d str, &'d Document)>,
        request: &Request<'_>,
    ) -> Answer {
        let mut found = Found::default();
        for (name, document) in documents {
            for statement in &document.statements {
                let place = match name {
                    "" => statement.place(),
                    name => format!("{} of {name}", statement.place()),
                };
                if found.add(statement, place, request) {
                    return Answer::Denied(format!(
                        "{} denies {}",
                        found.denied_by, request.action
                    ));
                }
            }
        }
        found.answer()
    }

    /// The places, from 0, of the statements that deny a request, or may.
    pub(crate) fn denying(&self, request: &Request<'_>) -> Vec<usize> {
        let denying = self.statements.iter().filter(|statement| {
            statement.is_deny && !matches!(statement.applies(request).0, Match::No(_))
        });
        denying.map(|statement| statement.number - 1).collect()
    }
}

/// What was found in statements so far.
#[derive(Default)]
struct Found {
    denied_by: String,
    grant: Option<Grant>,
    /// Why it is not known whether a statement allows it.
    may_be_allowed: Option<String>,
    may_be_denied: Option<String>,
    near: Vec<String>,
}

impl Found {
    /// Adds what a statement says; true where it denies the request.
    fn add(&mut self, statement: &Statement, place: String, request: &Request<'_>) -> bool {
        let (applies, meant) = statement.applies(request);
        match (applies, statement.is_deny) {
            (Match::Yes, true) => {
                self.denied_by = place;
                return true;
            }
            (Match::Yes, false) => {
                let grant = Grant {
                    statement: place,
                    meant,
                    is_conditional: !statement.conditions.is_empty(),
                };
                if self
                    .grant
                    .as_ref()
                    .is_none_or(|own| own.is_narrower_than(&grant))
                {
                    self.grant = Some(grant);
                }
            }
            (Match::Unknown(reason), is_deny) => {
                let unknown = if is_deny {
                    &mut self.may_be_denied
                } else {
                    &mut self.may_be_allowed
                };
                unknown.get_or_insert(format!("{place}: {reason}"));
            }
            (Match::No(reason), false) if reason != NOT_NAMED => {
                self.near.push(format!("{place}: {reason}"));
            }
            (Match::No(_), _) => {}
        }
        false
    }

    fn answer(self) -> Answer {
        match (self.grant, self.may_be_denied, self.may_be_allowed) {
            (Some(_), Some(reason), _) | (None, _, Some(reason)) => Answer::Unknown(reason),
            (Some(grant), None, _) => Answer::Allowed(grant),
            (None, _, None) => Answer::NotAllowed(self.near),
        }
    }
}

impl Grant {
    /// Whether it lets fewer pass than another one. The widest is what counts.
    fn is_narrower_than(&self, other: &Grant) -> bool {
        let breadth = |grant: &Grant| (!grant.is_conditional, grant.meant);
        breadth(self) < breadth(other)
    }

    /// Whether it lets everybody pass.
    pub(crate) fn is_open(&self) -> bool {
        self.meant == Some(Meant::WithEverybody) && !self.is_conditional
    }
}

impl Statement {
    fn read(written: &Value, number: usize) -> Result<Self, UnreadableDocument> {
        let members = written
            .as_object()
            .ok_or(UnreadableDocument::NotAnObject(number))?;
        if let Some(element) = members.keys().find(|key| !ELEMENTS.contains(&key.as_str())) {
            return Err(UnreadableDocument::Element {
                number,
                element: element.clone(),
            });
        }
        let is_deny = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => false,
            Some("Deny") => true,
            _ => return Err(UnreadableDocument::Effect(number)),
        };
        let texts = |element, written: &Value| {
            strings(written).ok_or(UnreadableDocument::Texts { number, element })
        };
        let actions = selection(members, number, ["Action", "NotAction"], texts)?;
        Ok(Statement {
            number,
            sid: members
                .get("Sid")
                .and_then(Value::as_str)
                .map(str::to_owned),
            is_deny,
            principals: selection(
                members,
                number,
                ["Principal", "NotPrincipal"],
                |_, written| Principals::read(written),
            )?,
            actions: actions.ok_or(UnreadableDocument::NoAction(number))?,
            resources: selection(members, number, ["Resource", "NotResource"], texts)?,
            conditions: match members.get("Condition") {
                None => Vec::new(),
                Some(written) => Condition::read_all(written)?,
            },
        })
    }

    /// `statement 2 (Sid)`.
    fn place(&self) -> String {
        match &self.sid {
            Some(sid) if !sid.is_empty() => format!("statement {} ({sid})", self.number),
            _ => format!("statement {}", self.number),
        }
    }

    /// Whether it is about a request, and how that means the caller.
    fn applies(&self, request: &Request<'_>) -> (Match, Option<Meant>) {
        let (principal, meant) = self.means_caller(request.caller);
        // Whom it does not mean, it need not tell more about.
        if matches!(principal, Match::No(_)) {
            return (principal, None);
        }
        let conditions = self.conditions.iter();
        let rest = [
            self.is_about_action(request.action),
            self.is_about_resource(request.resource),
        ]
        .into_iter()
        .chain(conditions.map(|condition| condition.is_met_by(request.context)));
        (Match::all(std::iter::once(principal).chain(rest)), meant)
    }

    fn means_caller(&self, caller: Option<Caller<'_>>) -> (Match, Option<Meant>) {
        let (Some(caller), Some(principals)) = (caller, &self.principals) else {
            return match (caller, &self.principals) {
                (None, None) => (Match::Yes, None),
                // IAM takes no such document.
                (None, Some(_)) => (
                    Match::No("a role's own policy has a Principal".to_owned()),
                    None,
                ),
                (Some(_), _) => (Match::No("it has no Principal".to_owned()), None),
            };
        };
        match (principals.named.mean(caller), principals.is_others) {
            (Ok(meant), false) => (Match::Yes, Some(meant)),
            (Ok(Meant::WithEverybody), true) => (Match::No(NOT_NAMED.to_owned()), None),
            // Whether the session of a role is left out with it takes more than its name.
            (Ok(_), true) => {
                let reason =
                    "NotPrincipal names the role, which may not be enough for its sessions";
                (Match::Unknown(reason.to_owned()), None)
            }
            (Err(Match::No(_)), true) => (Match::Yes, Some(Meant::WithEverybody)),
            (Err(why), _) => (why, None),
        }
    }

    fn is_about_action(&self, action: &str) -> Match {
        let actions = self.actions.named.iter();
        let is_named = actions
            .clone()
            .any(|pattern| pattern::matches_without_case(pattern, action));
        if is_named != self.actions.is_others {
            return Match::Yes;
        }
        let all: Vec<&str> = actions.map(String::as_str).collect();
        let all = all.join(", ");
        Match::No(if self.actions.is_others {
            format!("{action} is left out by NotAction ({all})")
        } else {
            format!("{action} is not among its actions ({all})")
        })
    }

    fn is_about_resource(&self, resource: Option<&str>) -> Match {
        let (Some(resource), Some(resources)) = (resource, &self.resources) else {
            return match (resource, &self.resources) {
                (Some(_), None) => Match::No("it has no Resource".to_owned()),
                _ => Match::Yes,
            };
        };
        let named = resources.named.iter();
        if named.clone().any(|pattern| pattern.contains("${")) {
            return Match::Unknown("a resource with a variable".to_owned());
        }
        // A star alone is any resource.
        let is_named = named
            .clone()
            .any(|pattern| pattern::matches(pattern, resource));
        if is_named != resources.is_others {
            return Match::Yes;
        }
        let all: Vec<&str> = named.map(String::as_str).collect();
        Match::No(format!(
            "{resource} is not among its resources ({}{})",
            if resources.is_others { "all but " } else { "" },
            all.join(", ")
        ))
    }
}

const ELEMENTS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// What an element or its opposite selects; None where neither is there.
fn selection<T>(
    members: &Map<String, Value>,
    number: usize,
    [one, other]: [&'static str; 2],
    read: impl Fn(&'static str, &Value) -> Result<T, UnreadableDocument>,
) -> Result<Option<Selection<T>>, UnreadableDocument> {
    let (element, written, is_others) = match (members.get(one), members.get(other)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(UnreadableDocument::Both { number, one, other }),
        (Some(written), None) => (one, written, false),
        (None, Some(written)) => (other, written, true),
    };
    Ok(Some(Selection {
        named: read(element, written)?,
        is_others,
    }))
}

/// One text or a list of texts.
fn strings(written: &Value) -> Option<Vec<String>> {
    texts(written, |value| value.as_str().map(str::to_owned))
}

/// One value or a list of values, each as a text; None where one has none.
fn texts(written: &Value, text: impl Fn(&Value) -> Option<String>) -> Option<Vec<String>> {
    match written {
        Value::Array(all) => all.iter().map(text).collect(),
        one => Some(vec![text(one)?]),
    }
}

/// A text without percent-encoding, which no JSON object begins with.
fn decoded(text: &str) -> String {
    if !text.starts_with('%') {
        return text.to_owned();
    }
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::onboarding::arn::RoleArn;

    const ENGINE: &str = "arn:aws:iam::111122223333:role/argocd";
    const CLUSTER_ROLE: &str = "arn:aws:iam::444455556666:role/argocd-deployer";

    fn trust(statements: &Value) -> Answer {
        let document = Document::read(&json!({"Statement": statements}).to_string()).unwrap();
        let role: RoleArn = ENGINE.parse().unwrap();
        let context = RequestContext::default().without("sts:ExternalId");
        let request = Request {
            caller: Some(Caller::Role(&role)),
            action: "sts:AssumeRole",
            resource: None,
            context: &context,
        };
        Document::judge([("", &document)], &request)
    }

    fn permission(statements: &Value) -> Answer {
        let document = Document::read(&json!({"Statement": statements}).to_string()).unwrap();
        let context = RequestContext::default();
        let request = Request {
            caller: None,
            action: "sts:AssumeRole",
            resource: Some(CLUSTER_ROLE),
            context: &context,
        };
        Document::judge([("p", &document)], &request)
    }

    #[test]
    fn a_trust_policy_allows_by_any_statement() {
        for allowed in [
            json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"}),
            json!([
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
                {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": ["STS:assumerole"]},
            ]),
            json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:*"}),
            json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "NotAction": "iam:*"}),
            json!([
                {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
                {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRoleWithSAML"},
            ]),
        ] {
            assert!(matches!(trust(&allowed), Answer::Allowed(_)), "{allowed}");
        }
    }

    #[test]
    fn a_denial_counts_more_than_what_allows() {
        let denied = json!([
            {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
            {"Sid": "NotYou", "Effect": "Deny", "Principal": "*", "Action": "sts:*"},
        ]);
        let answer = trust(&denied);
        assert_eq!(
            answer,
            Answer::Denied("statement 2 (NotYou) denies sts:AssumeRole".to_owned())
        );
        // All but those who are named.
        let denied = json!([
            {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
            {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::1:role/x"}, "Action": "sts:*"},
        ]);
        assert!(matches!(trust(&denied), Answer::Denied(_)));
    }

    #[test]
    fn what_is_not_known_never_lets_pass() {
        let conditional = json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}});
        for unknown in [
            json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole", "Condition": conditional}),
            // It may be denied.
            json!([
                {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
                {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Condition": conditional},
            ]),
            json!([
                {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
                {"Effect": "Deny", "NotPrincipal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
            ]),
        ] {
            assert!(matches!(trust(&unknown), Answer::Unknown(_)), "{unknown}");
        }
        // One statement is enough, and what may deny nothing that is allowed does not matter.
        let known = json!([
            {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole", "Condition": conditional},
        ]);
        assert!(matches!(trust(&known), Answer::Allowed(_)));
        let denied = json!({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Condition": conditional});
        assert!(matches!(trust(&denied), Answer::NotAllowed(_)));
    }

    #[test]
    fn what_does_not_allow_says_why_where_it_comes_near() {
        for (statement, reason) in [
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:TagSession"}),
                "sts:AssumeRole is not among its actions (sts:TagSession)",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "NotAction": "sts:Assume*"}),
                "left out by NotAction",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}),
                "the request has none",
            ),
            (
                json!({"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEEXAMPLE123"}, "Action": "sts:AssumeRole"}),
                "was deleted",
            ),
        ] {
            match trust(&statement) {
                Answer::NotAllowed(near) => assert!(near[0].contains(reason), "{near:?}"),
                other => panic!("{statement}: {other:?}"),
            }
        }
        let others = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "sts:AssumeRole"});
        assert_eq!(trust(&others), Answer::NotAllowed(Vec::new()));
    }

    #[test]
    fn a_policy_of_a_role_goes_by_resources() {
        for allowed in [
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": CLUSTER_ROLE}),
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": ["x", "arn:aws:iam::*:role/argocd-*"]}),
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "NotResource": "arn:aws:iam::*:role/admin"}),
        ] {
            assert!(
                matches!(permission(&allowed), Answer::Allowed(_)),
                "{allowed}"
            );
        }
        for not_allowed in [
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::444455556666:role/Argocd-Deployer"}),
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "NotResource": "arn:aws:iam::*"}),
            json!({"Effect": "Allow", "Action": "sts:AssumeRole"}),
        ] {
            assert!(
                matches!(permission(&not_allowed), Answer::NotAllowed(_)),
                "{not_allowed}"
            );
        }
        let denied = json!([
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "sts:*", "Resource": "arn:aws:iam::444455556666:*"},
        ]);
        assert!(matches!(permission(&denied), Answer::Denied(_)));
        let unknown = json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::${aws:PrincipalAccount}:role/x"});
        assert!(matches!(permission(&unknown), Answer::Unknown(_)));
    }

    #[test]
    fn the_widest_grant_is_what_counts() {
        let statements = json!([
            {"Effect": "Allow", "Principal": {"AWS": ENGINE}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
        ]);
        match trust(&statements) {
            Answer::Allowed(grant) => assert!(grant.is_open()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_document_is_read_as_the_api_sends_it() {
        let document = r#"{"Version": "2012-10-17", "Statement": []}"#;
        let encoded = "%7B%22Version%22%3A%20%222012-10-17%22%2C%20%22Statement%22%3A%20%5B%5D%7D";
        assert_eq!(Document::read(encoded), Document::read(document));
    }

    #[test]
    fn what_cannot_be_read_says_what_is_wrong() {
        for (text, part) in [
            ("", "is empty"),
            ("{", "is not JSON"),
            ("[]", "has no Statement"),
            (r#"{"Statement": "x"}"#, "has no Statement"),
            (r#"{"Statement": [1]}"#, "statement 1 is not an object"),
            (
                r#"{"Statement": {"Effect": "allow"}}"#,
                "neither Allow nor Deny",
            ),
            (r#"{"Statement": {"Effect": "Allow"}}"#, "no Action"),
            (
                r#"{"Statement": {"Effect": "Allow", "Action": {}}}"#,
                "Action is not a text",
            ),
            (
                r#"{"Statement": {"Effect": "Allow", "Principals": "*"}}"#,
                "has Principals",
            ),
            (
                r#"{"Statement": {"Effect": "Allow", "Action": "a", "NotAction": "b"}}"#,
                "expected one of them",
            ),
        ] {
            let error = Document::read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = Document::read(&text);
            let _ = Document::read(&format!("%7B{text}"));
        }
    }
}
