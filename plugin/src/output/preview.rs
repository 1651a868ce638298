//! How `preview` shows what would happen.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::Style;
use clap::ValueEnum;
use policy::Finding;
use policy::fan_out::{Affected, Change};
use policy::finding::dotted;

use super::table::{Cell, aligned, joined};
use super::{GREEN, RED, YELLOW, printable, style_of, to_json, to_yaml, v1};
use crate::error::CommandError;
use crate::preview::{OnObject, Preview, Verdict};
use crate::report::Unread;

/// How `preview` shows what would happen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum PreviewFormat {
    /// A row for each Application that comes, changes or goes
    #[default]
    Table,
    /// The same with the ApplicationSet and what the rules found
    Wide,
    /// The preview in JSON
    Json,
    /// The preview in YAML
    Yaml,
    /// The names of the Applications
    Name,
}

/// Prints a preview.
pub(crate) fn print(
    preview: &Preview,
    unread: &[Unread],
    format: PreviewFormat,
) -> Result<(), CommandError> {
    let text = match format {
        PreviewFormat::Table => with_notes(table(preview), preview),
        PreviewFormat::Wide => with_notes(wide(preview), preview),
        PreviewFormat::Json => to_json(&v1::preview::Preview::new(preview, unread))?,
        PreviewFormat::Yaml => to_yaml(&v1::preview::Preview::new(preview, unread))?,
        PreviewFormat::Name => names(preview),
    };
    super::print(&text)
}

/// What both tables show first.
const HEADER: [&str; 6] = [
    "APPLICATION",
    "CLUSTER",
    "PROJECT",
    "ENVIRONMENT",
    "CHANGE",
    "VERDICT",
];

fn table(preview: &Preview) -> String {
    joined(aligned(HEADER, preview.affected.iter().map(row).collect()))
}

fn wide(preview: &Preview) -> String {
    let header = widened(HEADER, ["APPLICATIONSET", "FINDINGS"]);
    let rows = preview.affected.iter().map(|affected| {
        let findings: Vec<String> = affected.findings.iter().map(Finding::line).collect();
        let more = [
            plain(&affected.application_set),
            plain(&findings.join(" | ")),
        ];
        widened(row(affected), more)
    });
    joined(aligned(header, rows.collect()))
}

/// A row of the table, with the columns that only the wide one has.
fn widened<T>(row: [T; 6], more: [T; 2]) -> [T; 8] {
    let [application, cluster, project, environment, change, verdict] = row;
    let [application_set, findings] = more;
    [
        application,
        cluster,
        project,
        environment,
        change,
        verdict,
        application_set,
        findings,
    ]
}

fn row(affected: &Affected) -> [Cell; 6] {
    let environments: Vec<&str> = affected
        .environments
        .iter()
        .map(|belongs| belongs.environment.as_str())
        .collect();
    [
        plain(&affected.name),
        plain(&affected.cluster),
        plain(&affected.project),
        plain(&environments.join(",")),
        Cell::new(
            &affected.change.to_string(),
            style_of_change(affected.change),
        ),
        verdict(affected),
    ]
}

/// A text of an object, or what kubectl writes where there is none.
fn plain(text: &str) -> Cell {
    match text {
        "" => Cell::from("<none>"),
        text => Cell::from(text),
    }
}

/// `admitted`, or by which rules it is not.
fn verdict(affected: &Affected) -> Cell {
    let verdict = Verdict::of(affected);
    let Some(level) = verdict.level() else {
        return Cell::from(verdict.as_str());
    };
    let mut seen = BTreeSet::new();
    let rules: Vec<&str> = affected
        .findings
        .iter()
        .filter(|finding| finding.level == level && seen.insert(finding.rule))
        .map(|finding| finding.rule.as_str())
        .collect();
    let text = format!("{}: {}", verdict.as_str(), rules.join(", "));
    Cell::new(&text, style_of(level))
}

fn style_of_change(change: Change) -> Style {
    match change {
        Change::Create => GREEN,
        Change::Change | Change::Orphan => YELLOW,
        Change::Delete => RED,
    }
}

/// A table, and below it what it does not have.
fn with_notes(mut text: String, preview: &Preview) -> String {
    let not_known = preview.not_known.iter().map(|not_known| {
        format!(
            "{}: {} (spec.generators[{}]): {}",
            not_known.application_set, not_known.generator, not_known.entry, not_known.lacks
        )
    });
    let uncounted = preview
        .uncounted
        .iter()
        .map(|uncounted| format!("{}: {}", uncounted.application_set, uncounted.reason));
    let failing = preview.not_expanded.iter().map(|not_expanded| {
        let field = dotted(not_expanded.error.field());
        format!(
            "{}: {field}: {}",
            not_expanded.application_set, not_expanded.error
        )
    });
    note(&mut text, "Not known here, what it takes:", not_known);
    note(&mut text, "Not listed here, and gone with it:", uncounted);
    note(&mut text, "ApplicationSets that generate nothing:", failing);
    note(
        &mut text,
        "Refused by the webhook as it is:",
        on_objects(&preview.refused),
    );
    note(
        &mut text,
        "Warned of by the webhook:",
        on_objects(&preview.warned),
    );
    text
}

fn on_objects(found: &[OnObject]) -> impl Iterator<Item = String> {
    found.iter().map(|OnObject { object, finding }| {
        let Finding {
            rule,
            field,
            message,
            fix,
            ..
        } = finding;
        format!("{object}: {rule}: {}: {message}; {fix}", dotted(field))
    })
}

fn note(text: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{title}");
    for item in items {
        let _ = writeln!(text, "  {}", printable(&item));
    }
}

/// The names as `kubectl -o name` writes them.
fn names(preview: &Preview) -> String {
    let affected = preview.affected.iter();
    let names =
        affected.map(|affected| format!("application.argoproj.io/{}", printable(&affected.name)));
    joined(names.collect())
}
