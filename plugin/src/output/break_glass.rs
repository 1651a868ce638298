//! How `break-glass` shows overrides and permissions.

use std::fmt::Write as _;

use anstyle::Style;
use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use policy::{Finding, RuleId, break_glass};

use super::table::{Cell, aligned, joined};
use super::v1::break_glass::BreakGlassReview;
use super::{CYAN, GREEN, RED, YELLOW, printable, to_json, to_yaml, v1};
use crate::break_glass::{Allowed, Answer, Judgement, Override, Standing, State};
use crate::cluster_access::User;
use crate::error::CommandError;

/// How `break-glass grant` and `revoke` show an override in place of saying what happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ObjectFormat {
    /// The override in JSON
    Json,
    /// The override in YAML
    Yaml,
    /// The name of the object
    Name,
}

/// How `break-glass list` shows overrides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A row for each override
    #[default]
    Table,
    /// The same with what wrote it
    Wide,
    /// The list in JSON
    Json,
    /// The list in YAML
    Yaml,
    /// The names of the objects
    Name,
}

/// How `break-glass why` shows permissions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum WhyFormat {
    /// A row for each permission
    #[default]
    Table,
    /// The permissions in JSON
    Json,
    /// The permissions in YAML
    Yaml,
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

/// Prints the override that was written.
pub(crate) fn written(
    standing: &Standing,
    suffix: &str,
    format: Option<ObjectFormat>,
) -> Result<(), CommandError> {
    let text = match (format, &standing.written) {
        (Some(format), _) => object(standing, format)?,
        (None, Override::Valid(written)) => format!(
            "{} overrules {}{suffix}\n",
            name_of(standing),
            sentence(written)
        ),
        (None, _) => String::new(),
    };
    super::print(&text)
}

/// Prints what is left of an override.
pub(crate) fn revoked(
    standing: &Standing,
    was: State,
    suffix: &str,
    format: Option<ObjectFormat>,
) -> Result<(), CommandError> {
    if let Some(format) = format {
        return super::print(&object(standing, format)?);
    }
    let name = name_of(standing);
    let mut text = match (&standing.written, was) {
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
    section(&mut text, "In violation:", &standing.violations);
    section(&mut text, "Not known here:", &standing.undecided);
    super::print(&text)
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

fn object(standing: &Standing, format: ObjectFormat) -> Result<String, CommandError> {
    let document = v1::break_glass::BreakGlass::new(standing);
    match format {
        ObjectFormat::Json => to_json(&document),
        ObjectFormat::Yaml => to_yaml(&document),
        ObjectFormat::Name => Ok(name_of(standing) + "\n"),
    }
}

/// Prints the overrides.
pub(crate) fn list(overrides: &[Standing], format: ListFormat) -> Result<(), CommandError> {
    let now = Timestamp::now();
    let text = match format {
        ListFormat::Table => {
            let rows = overrides.iter().map(|standing| row(standing, now));
            joined(aligned(HEADER, rows.collect()))
        }
        ListFormat::Wide => {
            let rows = overrides.iter().map(|standing| {
                let [
                    namespace,
                    object,
                    state,
                    rules,
                    until,
                    violated,
                    granted,
                    reason,
                ] = row(standing, now);
                let [by, at] = writer(standing);
                [
                    namespace, object, state, rules, until, violated, granted, by, at, reason,
                ]
            });
            let [
                namespace,
                object,
                state,
                rules,
                until,
                violated,
                granted,
                reason,
            ] = HEADER;
            let header = [
                namespace,
                object,
                state,
                rules,
                until,
                violated,
                granted,
                "WRITTEN-BY",
                "WRITTEN-AT",
                reason,
            ];
            joined(aligned(header, rows.collect()))
        }
        ListFormat::Json => to_json(&v1::break_glass::BreakGlassList::new(overrides))?,
        ListFormat::Yaml => to_yaml(&v1::break_glass::BreakGlassList::new(overrides))?,
        ListFormat::Name => joined(overrides.iter().map(name_of).collect()),
    };
    super::print(&text)
}

/// What both tables show.
const HEADER: [&str; 8] = [
    "NAMESPACE",
    "OBJECT",
    "STATE",
    "RULES",
    "UNTIL",
    "VIOLATED",
    "GRANTED-BY",
    "REASON",
];

/// The name of the object, as kubectl writes it when it has changed one.
fn name_of(standing: &Standing) -> String {
    printable(&standing.object.qualified())
}

/// What kubectl writes where something cannot be told.
const UNKNOWN: &str = "<unknown>";

/// What kubectl writes where there is nothing.
const NONE: &str = "<none>";

fn row(standing: &Standing, now: Timestamp) -> [Cell; 8] {
    let (rules, until, reason) = match &standing.written {
        Override::Valid(written) => (
            names(&written.rules).join(","),
            format!("{} ({})", written.expires, away(written.expires, now)),
            written.reason.clone(),
        ),
        Override::Invalid(error) => (NONE.to_owned(), NONE.to_owned(), error.to_string()),
        Override::None => (NONE.to_owned(), NONE.to_owned(), NONE.to_owned()),
    };
    let state = standing.state;
    let namespace = standing.object.namespace.as_deref();
    [
        namespace.unwrap_or(NONE).into(),
        standing.object.short().into(),
        Cell::new(state.as_str(), style_of(state)),
        rules.into(),
        until.into(),
        violated(standing),
        standing.granted_by.as_deref().unwrap_or(UNKNOWN).into(),
        reason.into(),
    ]
}

fn writer(standing: &Standing) -> [Cell; 2] {
    let writer = standing.writer.as_ref();
    let manager = writer.map_or(NONE, |writer| &writer.manager);
    let time = writer.and_then(|writer| writer.time);
    let time = time.map_or_else(|| NONE.to_owned(), |time| time.to_string());
    [manager.into(), time.into()]
}

/// The rules that the object violates, of those that are named.
fn violated(standing: &Standing) -> Cell {
    let of = |findings: &[Finding]| {
        let mut rules: Vec<RuleId> = findings.iter().map(|finding| finding.rule).collect();
        rules.dedup();
        names(&rules).join(",")
    };
    let is_overruled = standing.state == State::Active;
    match (&*standing.violations, &*standing.undecided) {
        ([], []) => Cell::from(NONE),
        ([], undecided) => Cell::from(format!("<unknown>: {}", of(undecided))),
        (violations, _) => {
            let style = if is_overruled { YELLOW } else { RED };
            Cell::new(&of(violations), style)
        }
    }
}

fn style_of(state: State) -> Style {
    match state {
        State::None => Style::new(),
        State::Active => YELLOW,
        State::Expired | State::Terminating => CYAN,
        State::Invalid => RED,
    }
}

fn names(rules: &[RuleId]) -> Vec<&'static str> {
    rules.iter().map(|rule| rule.as_str()).collect()
}

/// `in 2h30m` or `2h30m ago`.
fn away(time: Timestamp, now: Timestamp) -> String {
    let duration = time.duration_since(now);
    if duration.is_positive() {
        format!("in {}", rough(duration))
    } else {
        format!("{} ago", rough(-duration))
    }
}

/// As kubectl has ages: no more than two units.
fn rough(duration: SignedDuration) -> String {
    let (minutes, hours) = (duration.as_mins(), duration.as_hours());
    match (hours, minutes) {
        (0, 0) => format!("{}s", duration.as_secs()),
        (0, _) => format!("{minutes}m"),
        (1..48, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{}d", hours / 24),
    }
}

/// Prints what the user may do.
pub(crate) fn why(
    user: Option<&User>,
    answers: &[Answer],
    format: WhyFormat,
) -> Result<(), CommandError> {
    match format {
        WhyFormat::Json => super::print(&to_json(&BreakGlassReview::new(user, answers))?),
        WhyFormat::Yaml => super::print(&to_yaml(&BreakGlassReview::new(user, answers))?),
        WhyFormat::Table => {
            let header = ["VERB", "RESOURCE", "ALLOWED", "BY"];
            let rows = answers.iter().map(|answer| {
                let object = format!("{}/{}", answer.objects.qualified(), answer.name);
                let (allowed, style) = match answer.allowed {
                    Allowed::Yes => ("yes", GREEN),
                    Allowed::No | Allowed::TurnedAway | Allowed::OfNoUse => ("no", RED),
                    Allowed::Unknown => ("unknown", CYAN),
                };
                [
                    Cell::from(answer.verb),
                    Cell::from(object),
                    Cell::new(allowed, style),
                    Cell::from(permitted_by(&answer.reason)),
                ]
            });
            super::print(&joined(aligned(header, rows.collect())))?;
            if let Some(user) = user {
                let groups = match user.groups.join(", ") {
                    groups if groups.is_empty() => String::new(),
                    groups => format!(" (groups {groups})"),
                };
                super::status(&format!("asked as {}{groups}", user.username));
            }
            Ok(())
        }
    }
}

/// RBAC says which binding of which role it is; other authorizers may say nothing.
fn permitted_by(reason: &str) -> &str {
    let reason = reason.strip_prefix("RBAC: allowed by ").unwrap_or(reason);
    match reason {
        "" => NONE,
        reason => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_far_away_as_people_say() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (time, said) in [
            ("2026-01-01T00:00:30Z", "in 30s"),
            ("2026-01-01T00:59:59Z", "in 59m"),
            ("2026-01-01T02:30:00Z", "in 2h30m"),
            ("2026-01-05T00:00:00Z", "in 4d"),
            ("2026-01-01T00:00:00Z", "0s ago"),
            ("2025-12-31T22:00:00Z", "2h0m ago"),
        ] {
            assert_eq!(away(time.parse().unwrap(), now), said);
        }
    }
}
