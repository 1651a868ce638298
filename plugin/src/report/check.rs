//! What `check` and `audit` found.

use std::collections::BTreeSet;

use policy::finding::dotted;
use policy::missing::MissingFact;
use policy::{Level, RuleId, Waiver, registry};
use serde::Serialize;

use super::{
    API_VERSION, Cell, Detail, Object, Page, Problem, Report, Row, Table, Tone, non_empty, tone_of,
};
use crate::check::missing;
use crate::check::{Checked, Located, Place};
use crate::repository::skipped::Reason;

/// What was found, and how much of it is shown.
pub(crate) struct CheckReport<'c> {
    pub(crate) checked: &'c Checked,
    /// Whether what is undecided counts as denied.
    pub(crate) strict: bool,
    /// Whether findings have a row of their own that only wait for facts.
    pub(crate) shows_all: bool,
    /// Whether the pages of the rules follow.
    pub(crate) explains: bool,
}

impl Report for CheckReport<'_> {
    fn document(&self) -> impl Serialize {
        Document::new(self.checked)
    }

    /// A row for each finding that is shown, those that weigh most first, and a line for each kind
    /// of fact that the others wait for.
    fn page(&self, detail: Detail) -> Page {
        let mut shown: Vec<&Located> = self.shown().collect();
        shown.sort_by_key(|located| located.finding.level());
        let (more, row): (&[&'static str], fn(&Located) -> Row) = match detail {
            Detail::Table => (&[], row),
            Detail::Wide => (&["FIELD", "MESSAGE", "FIX"], wide_row),
        };
        Page {
            table: Table {
                header: [&HEADER, more].concat(),
                rows: shown.into_iter().map(row).collect(),
            },
            below: self.missing(),
            text: if self.explains {
                self.pages()
            } else {
                String::new()
            },
            ..Page::default()
        }
    }

    /// What is denied, each once, in the order of the report.
    fn names(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self.checked.findings.all.iter();
        all.filter(|located| self.counts_as_denied(located.finding.level()))
            .filter(|located| seen.insert(&located.object))
            .map(|located| located.object.qualified())
            .collect()
    }
}

impl CheckReport<'_> {
    /// Whether something is denied.
    pub(crate) fn is_denied(&self) -> bool {
        let mut all = self.checked.findings.all.iter();
        all.any(|located| self.counts_as_denied(located.finding.level()))
    }

    fn counts_as_denied(&self, level: Level) -> bool {
        level == Level::Deny || self.strict && level == Level::Undecided
    }

    fn shown(&self) -> impl Iterator<Item = &Located> {
        let all = self.checked.findings.all.iter();
        all.filter(|located| self.shows_all || !located.waits_for_facts())
    }

    /// What the findings wait for that are not shown.
    fn missing(&self) -> Vec<Row> {
        let findings = &self.checked.findings;
        if self.shown().count() == findings.all.len() {
            return Vec::new();
        }
        let source = self.checked.known_from;
        let missing = missing::Missing::of(findings);
        let rows = missing.iter().map(|kind| Row {
            cells: vec![Cell::new("undecided", Tone::Unknown)],
            paragraphs: vec![kind.line(source), format!("fix: {}", kind.fix(source))],
        });
        rows.collect()
    }

    /// The pages of the rules that found what is shown.
    fn pages(&self) -> String {
        let rules: BTreeSet<RuleId> = self.shown().map(|located| located.finding.rule).collect();
        let mut pages = String::new();
        for rule in registry::all().filter(|rule| rules.contains(&rule.id)) {
            pages.push('\n');
            pages.push_str(&rule.page());
        }
        pages
    }
}

const HEADER: [&str; 4] = ["LEVEL", "RULE", "OBJECT", "LOCATION"];

/// What is wrong and how to put it right stands below: file names and messages are too long to
/// share a line.
fn row(located: &Located) -> Row {
    let finding = &located.finding;
    let mut paragraphs = vec![match located.field.as_str() {
        "" => finding.message.clone(),
        field => format!("{}: {}", dotted(field), finding.message),
    }];
    if !finding.fix.is_empty() {
        paragraphs.push(format!("fix: {}", finding.fix));
    }
    Row {
        cells: cells(located),
        paragraphs,
    }
}

fn wide_row(located: &Located) -> Row {
    let finding = &located.finding;
    let mut cells = cells(located);
    cells.extend([
        dotted(&located.field).into(),
        finding.message.as_str().into(),
        finding.fix.as_ref().into(),
    ]);
    Row::from(cells)
}

fn cells(located: &Located) -> Vec<Cell> {
    let level = located.finding.level();
    vec![
        Cell::new(level.as_str(), tone_of(level)),
        located.finding.rule.as_str().into(),
        located.object.short().into(),
        location(located).into(),
    ]
}

/// `FILE:LINE`, or the namespace in a cluster.
fn location(located: &Located) -> String {
    match &located.place {
        Place::File { file, line } => format!("{file}:{line}"),
        Place::Live => located.object.namespace.clone().unwrap_or_default(),
    }
}

/// `kind: CheckReport`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    api_version: &'static str,
    kind: &'static str,
    /// By file, line and rule; by kind, namespace and name where they are in a cluster.
    findings: Vec<Finding<'r>>,
    /// Files that were not judged, but for those without an object of Argo CD.
    skipped: Vec<Skipped<'r>>,
    /// What looks misspelt, names that the API server refuses, and what is declared or generated
    /// more than once, in one sentence each.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'r [String],
    /// What could not be read.
    problems: Vec<Problem<'r>>,
    /// Facts that undecided findings wait for, by kind.
    missing: Vec<Missing<'r>>,
    /// The clusters that are known, by what the policy takes them for.
    clusters: Clusters<'r>,
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Missing<'r> {
    /// `project`, `cluster`, `cluster-secret`, `other-clusters`, `generated`, `parameters` or
    /// `rendering`.
    kind: &'static str,
    /// Empty where there is only one of the kind.
    names: Vec<&'r str>,
    /// How many findings lack at least one of them.
    findings: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Clusters<'r> {
    count: usize,
    /// Names of those that are production.
    production: &'r [String],
    /// Names of those that belong to no environment though they look as if they should.
    unknown_to_policy: &'r [String],
}

/// A fact that an undecided finding waits for.
#[derive(Serialize)]
struct Fact<'r> {
    kind: &'static str,
    /// Null where there is only one of the kind.
    name: Option<&'r str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Skipped<'r> {
    file: &'r str,
    /// `unparsable`, `not-text`, `marked`, `patch`, `template`, `template-with-objects` or
    /// `values-with-objects`.
    reason: &'static str,
    /// What renders the objects that it may hold; null if it holds none.
    command: Option<String>,
}

/// A finding and the object that it is on.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding<'r> {
    rule: &'static str,
    level: &'static str,
    /// What lets a denial pass with a warning: `exemption`, `ratchet`, `break-glass` or `dry-run`;
    /// null if nothing does.
    waived_by: Option<&'static str>,
    object: Object<'r>,
    /// A JSON Pointer into the object; null if it is about the whole object.
    field: Option<&'r str>,
    /// Null in a cluster.
    file: Option<&'r str>,
    line: Option<usize>,
    message: &'r str,
    fix: Option<&'r str>,
    patch: Option<&'r json_patch::Patch>,
    /// The facts that would decide it; none where it rests on something else.
    missing: Vec<Fact<'r>>,
}

/// Counts of findings by level.
#[derive(Serialize)]
struct Summary {
    /// Null where a cluster was checked.
    files: Option<usize>,
    /// How many of the files were not judged; null where a cluster was checked.
    skipped: Option<usize>,
    objects: usize,
    denied: usize,
    warned: usize,
    undecided: usize,
}

impl<'r> Document<'r> {
    fn new(checked: &'r Checked) -> Self {
        let Checked {
            findings,
            problems,
            clusters,
            ..
        } = checked;
        let files = checked.files.as_ref();
        let skipped = files.map_or(&[][..], |files| &files.skipped);
        Document {
            api_version: API_VERSION,
            kind: "CheckReport",
            findings: findings.all.iter().map(Finding::new).collect(),
            skipped: skipped
                .iter()
                .filter(|skipped| skipped.reason != Reason::WithoutObject)
                .map(|skipped| Skipped {
                    file: &skipped.file,
                    reason: skipped.reason.as_str(),
                    command: skipped.reason.command(),
                })
                .collect(),
            warnings: files.map_or(&[][..], |files| &files.warnings),
            problems: problems.iter().map(Problem::new).collect(),
            missing: missing::Missing::of(findings)
                .into_iter()
                .map(|missing| Missing {
                    kind: missing.kind.as_str(),
                    names: missing.names(),
                    findings: missing.findings,
                })
                .collect(),
            clusters: Clusters {
                count: clusters.count,
                production: &clusters.production,
                unknown_to_policy: &clusters.unknown,
            },
            summary: Summary {
                files: files.map(|files| files.count),
                skipped: files.map(|files| files.skipped.len()),
                objects: findings.counts.objects,
                denied: findings.counts.denied,
                warned: findings.counts.warned,
                undecided: findings.counts.undecided,
            },
        }
    }
}

impl<'r> Finding<'r> {
    pub(super) fn new(located: &'r Located) -> Self {
        let finding = &located.finding;
        let (file, line) = match &located.place {
            Place::File { file, line } => (Some(&**file), Some(*line)),
            Place::Live => (None, None),
        };
        // A denial may rest on them as well; what it waits for is nothing.
        let facts = finding.missing.iter().filter(|_| located.waits_for_facts());
        Finding {
            rule: finding.rule.as_str(),
            level: finding.level().as_str(),
            waived_by: finding.waiver().map(Waiver::as_str),
            object: Object::new(&located.object),
            field: non_empty(&located.field),
            file,
            line,
            message: &finding.message,
            fix: non_empty(&finding.fix),
            patch: finding.patch.as_ref(),
            missing: facts.map(Fact::new).collect(),
        }
    }
}

impl<'r> Fact<'r> {
    fn new(fact: &'r MissingFact) -> Self {
        Fact {
            kind: fact.kind().as_str(),
            name: non_empty(fact.name()),
        }
    }
}
