//! Overrides, and who may write them.

use std::fmt::Write as _;

use jiff::Timestamp;
use policy::{Finding, RuleId, break_glass};
use serde::Serialize;

use super::age::away;
use super::{API_VERSION, Cell, Detail, Object, Page, Report, Tone, non_empty};
use crate::break_glass::{Allowed, Answer, Judgement, Override, OverrideStatus, State};
use crate::kubernetes::User;
use crate::text::printable;

/// An override that was written.
pub(crate) struct Written<'s> {
    pub(crate) status: &'s OverrideStatus,
    /// What stands behind the name of an object that was written, as kubectl has it.
    pub(crate) suffix: &'static str,
}

/// What is left of an override that was ended.
pub(crate) struct Revoked<'s> {
    pub(crate) status: &'s OverrideStatus,
    /// What it was before.
    pub(crate) was: State,
    /// As of [`Written`].
    pub(crate) suffix: &'static str,
}

/// The overrides that there are.
pub(crate) struct Overrides<'s> {
    pub(crate) all: &'s [OverrideStatus],
    pub(crate) now: Timestamp,
}

/// What somebody may do.
pub(crate) struct Review<'a> {
    /// None if the API server does not say.
    pub(crate) user: Option<&'a User>,
    pub(crate) answers: &'a [Answer],
}

impl Report for Written<'_> {
    fn document(&self) -> impl Serialize {
        Document::new(self.status)
    }

    fn page(&self, _: Detail) -> Page {
        Page::of_text(match &self.status.written {
            Override::Valid(written) => format!(
                "{} overrules {}{}\n",
                name_of(self.status),
                sentence(written),
                self.suffix
            ),
            Override::None | Override::Invalid(_) => String::new(),
        })
    }

    fn names(&self) -> Vec<String> {
        vec![name_of(self.status)]
    }
}

impl Report for Revoked<'_> {
    fn document(&self) -> impl Serialize {
        Document::new(self.status)
    }

    fn page(&self, _: Detail) -> Page {
        let Revoked {
            status,
            was,
            suffix,
        } = self;
        let name = name_of(status);
        let mut text = match (&status.written, was) {
            (Override::None, State::None) => format!("{name} has no override\n"),
            (Override::None, _) => format!("{name} override removed{suffix}\n"),
            (Override::Valid(left), State::Expired) => {
                format!("{name} override was over at {}\n", left.expires)
            }
            (Override::Valid(left), _) => {
                format!("{name} override over at {}{suffix}\n", left.expires)
            }
            (Override::Invalid(error), _) => format!(
                "{name} has no valid override: {}\n",
                printable(&error.to_string())
            ),
        };
        section(&mut text, "In violation:", &status.violations);
        section(&mut text, "Not known here:", &status.undecided);
        Page::of_text(text)
    }

    fn names(&self) -> Vec<String> {
        vec![name_of(self.status)]
    }
}

impl Report for Overrides<'_> {
    fn document(&self) -> impl Serialize {
        ListDocument::new(self.all)
    }

    fn page(&self, detail: Detail) -> Page {
        let more: &[&'static str] = match detail {
            Detail::Table => &[],
            Detail::Wide => &["WRITTEN-BY", "WRITTEN-AT"],
        };
        let rows = self.all.iter().map(|status| {
            let mut cells = cells(status, self.now);
            if detail == Detail::Wide {
                cells.extend(writer(status));
            }
            cells.push(reason(status));
            cells
        });
        Page::of_table([&HEADER, more, &["REASON"]].concat(), rows)
    }

    fn names(&self) -> Vec<String> {
        self.all.iter().map(name_of).collect()
    }
}

impl Report for Review<'_> {
    fn document(&self) -> impl Serialize {
        ReviewDocument::new(self.user, self.answers)
    }

    fn page(&self, _: Detail) -> Page {
        let rows = self.answers.iter().map(|answer| {
            let (allowed, tone) = match answer.allowed {
                Allowed::Yes => ("yes", Tone::Good),
                Allowed::No | Allowed::TurnedAway | Allowed::OfNoUse => ("no", Tone::Bad),
                Allowed::Unknown => ("unknown", Tone::Unknown),
            };
            vec![
                Cell::from(answer.verb),
                Cell::from(resource_of(answer)),
                Cell::new(allowed, tone),
                Cell::from(permitted_by(&answer.reason)),
            ]
        });
        Page::of_table(["VERB", "RESOURCE", "ALLOWED", "BY"], rows)
    }
}

fn resource_of(answer: &Answer) -> String {
    format!("{}/{}", answer.objects.qualified(), answer.name)
}

/// What an override lets through, and that it may be for what is still to come.
pub(crate) fn let_through(judgement: &Judgement, rules: &[RuleId]) -> String {
    let mut text = String::new();
    let Judgement {
        of_state,
        of_deletion,
        undecided,
    } = judgement;
    section(
        &mut text,
        "Denied as it is, which this overrules:",
        of_state,
    );
    section(
        &mut text,
        "Denied when it is deleted, which this overrules:",
        of_deletion,
    );
    section(
        &mut text,
        "Not known here, which this overrules if it is denied:",
        undecided,
    );
    let is_found = |rule: &RuleId| {
        let mut findings = of_state.iter().chain(of_deletion).chain(undecided);
        findings.any(|finding| finding.rule == *rule)
    };
    let idle: Vec<&str> = rules
        .iter()
        .filter(|rule| !is_found(rule))
        .map(|rule| rule.as_str())
        .collect();
    if !idle.is_empty() {
        let _ = writeln!(
            text,
            "Nothing is denied now by {}: this is for a change to come",
            idle.join(", ")
        );
    }
    text
}

/// The rules, the end and the reason of an override.
pub(crate) fn sentence(written: &break_glass::Override) -> String {
    let rules = names(&written.rules).join(", ");
    let reason = printable(&written.reason);
    format!("{rules} until {}: {reason}", written.expires)
}

fn section(text: &mut String, title: &str, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}");
    for finding in findings {
        let _ = writeln!(text, "  {}", printable(&finding.line()));
    }
}

/// The name of the object, as kubectl writes it when it has changed one.
fn name_of(status: &OverrideStatus) -> String {
    printable(&status.object.qualified())
}

/// What both tables show before the reason.
const HEADER: [&str; 7] = [
    "NAMESPACE",
    "OBJECT",
    "STATE",
    "RULES",
    "UNTIL",
    "VIOLATED",
    "GRANTED-BY",
];

fn cells(status: &OverrideStatus, now: Timestamp) -> Vec<Cell> {
    let (rules, until) = match &status.written {
        Override::Valid(written) => (
            names(&written.rules).join(","),
            format!("{} ({})", written.expires, away(written.expires, now)),
        ),
        Override::Invalid(_) | Override::None => (Cell::NONE.to_owned(), Cell::NONE.to_owned()),
    };
    let state = status.state;
    let namespace = status.object.namespace.as_deref();
    vec![
        namespace.unwrap_or(Cell::NONE).into(),
        status.object.short().into(),
        Cell::new(state.as_str(), tone_of_state(state)),
        rules.into(),
        until.into(),
        violated(status),
        status.granted_by.as_deref().unwrap_or(Cell::UNKNOWN).into(),
    ]
}

fn reason(status: &OverrideStatus) -> Cell {
    match &status.written {
        Override::Valid(written) => written.reason.as_str().into(),
        Override::Invalid(error) => error.to_string().into(),
        Override::None => Cell::NONE.into(),
    }
}

fn writer(status: &OverrideStatus) -> [Cell; 2] {
    let writer = status.writer.as_ref();
    let manager = writer.map_or(Cell::NONE, |writer| &writer.manager);
    let time = writer.and_then(|writer| writer.time);
    let time = time.map_or_else(|| Cell::NONE.to_owned(), |time| time.to_string());
    [manager.into(), time.into()]
}

/// The rules that the object violates, of those that are named.
fn violated(status: &OverrideStatus) -> Cell {
    let of = |findings: &[Finding]| {
        let mut rules: Vec<RuleId> = findings.iter().map(|finding| finding.rule).collect();
        rules.dedup();
        names(&rules).join(",")
    };
    let is_overruled = status.state == State::Active;
    match (&*status.violations, &*status.undecided) {
        ([], []) => Cell::from(Cell::NONE),
        ([], undecided) => Cell::from(format!("{}: {}", Cell::UNKNOWN, of(undecided))),
        (violations, _) => {
            let tone = if is_overruled {
                Tone::Attention
            } else {
                Tone::Bad
            };
            Cell::new(of(violations), tone)
        }
    }
}

fn tone_of_state(state: State) -> Tone {
    match state {
        State::None => Tone::Plain,
        State::Active => Tone::Attention,
        State::Expired | State::Terminating => Tone::Unknown,
        State::Invalid => Tone::Bad,
    }
}

fn names(rules: &[RuleId]) -> Vec<&'static str> {
    rules.iter().map(|rule| rule.as_str()).collect()
}

/// RBAC says which binding of which role it is; other authorizers may say nothing.
fn permitted_by(reason: &str) -> &str {
    let reason = reason.strip_prefix("RBAC: allowed by ").unwrap_or(reason);
    match reason {
        "" => Cell::NONE,
        reason => reason,
    }
}

/// `kind: BreakGlass`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'s> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    status: Item<'s>,
}

/// Overrides, by kind.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListDocument<'s> {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Item<'s>>,
}

/// What somebody may do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReviewDocument<'a> {
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
    /// The program that wrote it last, by the name that it gave itself; null where nothing is
    /// written.
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

impl<'s> Document<'s> {
    fn new(status: &'s OverrideStatus) -> Self {
        Document {
            api_version: API_VERSION,
            kind: "BreakGlass",
            status: Item::new(status),
        }
    }
}

impl<'s> ListDocument<'s> {
    fn new(overrides: &'s [OverrideStatus]) -> Self {
        ListDocument {
            api_version: API_VERSION,
            kind: "BreakGlassList",
            items: overrides.iter().map(Item::new).collect(),
        }
    }
}

impl<'a> ReviewDocument<'a> {
    fn new(user: Option<&'a User>, answers: &'a [Answer]) -> Self {
        ReviewDocument {
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
    fn new(status: &'s OverrideStatus) -> Self {
        let (valid, problem) = match &status.written {
            Override::Valid(written) => (Some(written), None),
            Override::Invalid(error) => (None, Some(error.to_string())),
            Override::None => (None, None),
        };
        let rules = status.written.rules().iter();
        let writer = status.writer.as_ref();
        Item {
            object: Object::new(&status.object),
            state: status.state.as_str(),
            rules: rules.map(|rule| rule.as_str()).collect(),
            reason: valid.map(|written| &*written.reason),
            expires: valid.map(|written| written.expires),
            problem,
            violations: status.violations.iter().map(Violation::new).collect(),
            undecided: status.undecided.iter().map(Violation::new).collect(),
            granted_by: status.granted_by.as_deref(),
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
