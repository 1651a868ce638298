//! What `break-glass` prints for programs.

use jiff::Timestamp;
use serde::Serialize;

use super::{Object, non_empty};
use crate::break_glass::{Answer, Override, Standing};
use crate::cluster_access::User;
use crate::output::API_VERSION;

/// An override.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::output) struct BreakGlass<'s> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    standing: Item<'s>,
}

/// Overrides, by kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::output) struct BreakGlassList<'s> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Item<'s>>,
}

/// What somebody may do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::output) struct BreakGlassReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    /// Whether all of it is allowed; null if that cannot be told.
    allowed: Option<bool>,
    /// Null if the API server does not say.
    user: Option<&'a str>,
    permissions: Vec<ReviewedPermission<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'s> {
    object: Object<'s>,
    /// `active`, `expired`, `terminating`, `invalid` or `none`.
    state: &'static str,
    rules: Vec<&'static str>,
    reason: Option<&'s str>,
    expires: Option<Timestamp>,
    /// What is wrong with the annotations; null if they are an override.
    problem: Option<String>,
    /// What the rules deny of the object as it is, overruled or not.
    violations: Vec<Violation<'s>>,
    /// What they cannot tell.
    undecided: Vec<Violation<'s>>,
    /// Who granted it, as the webhook's Event has it; null where there is none any more.
    granted_by: Option<&'s str>,
    /// The program that wrote it last, by the name that it gave itself; null where nothing is written.
    manager: Option<&'s str>,
    written: Option<Timestamp>,
}

#[derive(Serialize)]
struct Violation<'s> {
    rule: &'static str,
    /// A JSON Pointer into the object; null if it is about the whole object.
    field: Option<&'s str>,
    message: &'s str,
    fix: Option<&'s str>,
}

#[derive(Serialize)]
struct ReviewedPermission<'a> {
    verb: &'static str,
    resource: String,
    /// Null for what is in none.
    namespace: Option<&'a str>,
    name: &'a str,
    /// Null if that cannot be told.
    allowed: Option<bool>,
    /// What says so, or why it cannot be told; null if nothing does.
    reason: Option<&'a str>,
}

impl<'s> BreakGlass<'s> {
    pub(in crate::output) fn new(standing: &'s Standing) -> Self {
        BreakGlass {
            api_version: API_VERSION,
            kind: "BreakGlass",
            standing: Item::new(standing),
        }
    }
}

impl<'s> BreakGlassList<'s> {
    pub(in crate::output) fn new(overrides: &'s [Standing]) -> Self {
        BreakGlassList {
            api_version: API_VERSION,
            kind: "BreakGlassList",
            items: overrides.iter().map(Item::new).collect(),
        }
    }
}

impl<'a> BreakGlassReview<'a> {
    pub(in crate::output) fn new(user: Option<&'a User>, answers: &'a [Answer]) -> Self {
        BreakGlassReview {
            api_version: API_VERSION,
            kind: "BreakGlassReview",
            allowed: all_allowed(answers),
            user: user.map(|user| &*user.username),
            permissions: answers
                .iter()
                .map(|answer| ReviewedPermission {
                    verb: answer.verb,
                    resource: answer.objects.qualified(),
                    namespace: answer.objects.namespace.as_deref(),
                    name: &answer.name,
                    allowed: answer.allowed.known(),
                    reason: non_empty(&answer.reason),
                })
                .collect(),
        }
    }
}

/// What is denied is so whatever is unknown beside it.
fn all_allowed(answers: &[Answer]) -> Option<bool> {
    let known = || answers.iter().map(|answer| answer.allowed.known());
    if known().any(|allowed| allowed == Some(false)) {
        Some(false)
    } else {
        known().collect::<Option<Vec<_>>>().map(|_| true)
    }
}

impl<'s> Item<'s> {
    fn new(standing: &'s Standing) -> Self {
        let (valid, problem) = match &standing.written {
            Override::Valid(written) => (Some(written), None),
            Override::Invalid(error) => (None, Some(error.to_string())),
            Override::None => (None, None),
        };
        let rules = standing.written.rules().iter();
        let writer = standing.writer.as_ref();
        Item {
            object: Object::new(&standing.object),
            state: standing.state.as_str(),
            rules: rules.map(|rule| rule.as_str()).collect(),
            reason: valid.map(|written| &*written.reason),
            expires: valid.map(|written| written.expires),
            problem,
            violations: standing.violations.iter().map(Violation::new).collect(),
            undecided: standing.undecided.iter().map(Violation::new).collect(),
            granted_by: standing.granted_by.as_deref(),
            manager: writer.map(|writer| &*writer.manager),
            written: writer.and_then(|writer| writer.time),
        }
    }
}

impl<'s> Violation<'s> {
    fn new(finding: &'s policy::Finding) -> Self {
        Violation {
            rule: finding.rule.as_str(),
            field: non_empty(&finding.field),
            message: &finding.message,
            fix: non_empty(&finding.fix),
        }
    }
}
