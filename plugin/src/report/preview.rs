//! What would happen to Applications.

use std::collections::BTreeSet;

use policy::fan_out::{Affected, Change, NotExpanded, NotKnown};
use policy::finding::dotted;
use serde::Serialize;

use super::{API_VERSION, Cell, Detail, Notes, Page, Problem, Report, Tone, non_empty, tone_of};
use crate::check::Unread;
use crate::preview::{self, Preview, Verdict};

/// A preview, and what could not be read of what it is about.
pub(crate) struct PreviewReport<'p> {
    pub(crate) preview: &'p Preview,
    pub(crate) unread: &'p [Unread],
}

impl Report for PreviewReport<'_> {
    fn document(&self) -> impl Serialize {
        Document::new(self.preview, self.unread)
    }

    /// A row for each Application that comes, changes or goes, and below the table what it does not
    /// have.
    fn page(&self, detail: Detail) -> Page {
        let affected = self.preview.affected.iter();
        let page = match detail {
            Detail::Table => Page::of_table(HEADER, affected.map(cells)),
            Detail::Wide => {
                let header = HEADER.into_iter().chain(["APPLICATIONSET", "FINDINGS"]);
                Page::of_table(header, affected.map(wide_cells))
            }
        };
        Page {
            notes: notes(self.preview),
            ..page
        }
    }

    fn names(&self) -> Vec<String> {
        let affected = self.preview.affected.iter();
        affected
            .map(|affected| format!("application.argoproj.io/{}", affected.name))
            .collect()
    }
}

const HEADER: [&str; 6] = [
    "APPLICATION",
    "CLUSTER",
    "PROJECT",
    "ENVIRONMENT",
    "CHANGE",
    "VERDICT",
];

fn cells(affected: &Affected) -> Vec<Cell> {
    let environments: Vec<&str> = affected
        .environments
        .iter()
        .map(|membership| membership.environment.as_str())
        .collect();
    vec![
        Cell::or_none(&affected.name),
        Cell::or_none(&affected.cluster),
        Cell::or_none(&affected.project),
        Cell::or_none(&environments.join(",")),
        Cell::new(affected.change.to_string(), tone_of_change(affected.change)),
        verdict(affected),
    ]
}

fn wide_cells(affected: &Affected) -> Vec<Cell> {
    let findings: Vec<String> = affected
        .findings
        .iter()
        .map(policy::Finding::line)
        .collect();
    let mut cells = cells(affected);
    cells.push(Cell::or_none(&affected.application_set));
    cells.push(Cell::or_none(&findings.join(" | ")));
    cells
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
        .filter(|finding| finding.level() == level && seen.insert(finding.rule))
        .map(|finding| finding.rule.as_str())
        .collect();
    let text = format!("{}: {}", verdict.as_str(), rules.join(", "));
    Cell::new(text, tone_of(level))
}

fn tone_of_change(change: Change) -> Tone {
    match change {
        Change::Create => Tone::Good,
        Change::Change | Change::Orphan => Tone::Attention,
        Change::Delete => Tone::Bad,
    }
}

/// What the table does not have.
fn notes(preview: &Preview) -> Vec<Notes> {
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
    vec![
        Notes {
            title: "Not known here, what it takes:",
            items: not_known.collect(),
        },
        Notes {
            title: "Not listed here, and gone with it:",
            items: uncounted.collect(),
        },
        Notes {
            title: "ApplicationSets that generate nothing:",
            items: failing.collect(),
        },
        Notes {
            title: "Refused by the webhook as it is:",
            items: on_objects(&preview.refused),
        },
        Notes {
            title: "Warned of by the webhook:",
            items: on_objects(&preview.warned),
        },
    ]
}

fn on_objects(found: &[preview::OnObject]) -> Vec<String> {
    let lines = found.iter().map(|preview::OnObject { object, finding }| {
        let policy::Finding {
            rule,
            field,
            message,
            fix,
            ..
        } = finding;
        format!("{object}: {rule}: {}: {message}; {fix}", dotted(field))
    });
    lines.collect()
}

/// `kind: Preview`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'p> {
    api_version: &'static str,
    kind: &'static str,
    /// Those that come, change or go, by name.
    applications: Vec<GeneratedApplication<'p>>,
    /// Parts of ApplicationSets of which nothing can be said.
    not_known: Vec<Unknown<'p>>,
    /// ApplicationSets with which Applications go that are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_counted: Vec<NotCounted<'p>>,
    /// ApplicationSets that generate nothing, as Argo CD fails on them or they are too much.
    failing: Vec<Failing<'p>>,
    /// What the webhook refuses objects for, by what they delete or generate.
    refused: Vec<OnObject<'p>>,
    /// What it warns of.
    warned: Vec<OnObject<'p>>,
    /// What could not be read.
    problems: Vec<Problem<'p>>,
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GeneratedApplication<'p> {
    name: &'p str,
    /// `namespace/name`.
    application_set: &'p str,
    /// `create`, `change`, `delete` or `orphan`: no longer generated, but left where it is.
    change: &'static str,
    /// The cluster's name, or what the destination says where it means none.
    cluster: &'p str,
    project: &'p str,
    environments: Vec<Environment<'p>>,
    /// `admitted`, `denied` or `undecided`.
    verdict: &'static str,
    findings: Vec<Finding<'p>>,
}

#[derive(Serialize)]
struct Environment<'p> {
    name: &'p str,
    production: bool,
}

/// A finding on a generated Application.
#[derive(Serialize)]
struct Finding<'p> {
    rule: &'static str,
    level: &'static str,
    /// A JSON Pointer into the Application or the object; null if it is about the whole of it.
    field: Option<&'p str>,
    message: &'p str,
    fix: Option<&'p str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unknown<'p> {
    /// `namespace/name`.
    application_set: &'p str,
    /// A JSON Pointer to the entry of `spec.generators`.
    field: String,
    /// The generator, or the function that a template calls.
    generator: &'p str,
    /// What would be needed.
    lacks: &'p str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotCounted<'p> {
    /// `namespace/name`.
    application_set: &'p str,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failing<'p> {
    /// `namespace/name`.
    application_set: &'p str,
    /// A JSON Pointer into it.
    field: &'p str,
    message: String,
}

#[derive(Serialize)]
struct OnObject<'p> {
    /// `kind/name`.
    object: &'p str,
    finding: Finding<'p>,
}

/// How many Applications there are of each kind.
#[derive(Serialize)]
struct Summary {
    applications: usize,
    created: usize,
    changed: usize,
    deleted: usize,
    #[serde(skip_serializing_if = "is_zero")]
    orphaned: usize,
    denied: usize,
    undecided: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl<'p> Document<'p> {
    fn new(preview: &'p preview::Preview, unread: &'p [Unread]) -> Self {
        Document {
            api_version: API_VERSION,
            kind: "Preview",
            applications: preview
                .affected
                .iter()
                .map(GeneratedApplication::new)
                .collect(),
            not_known: preview.not_known.iter().map(Unknown::new).collect(),
            not_counted: preview
                .uncounted
                .iter()
                .map(|uncounted| NotCounted {
                    application_set: &uncounted.application_set,
                    message: uncounted.reason.to_string(),
                })
                .collect(),
            failing: preview.not_expanded.iter().map(Failing::new).collect(),
            refused: preview.refused.iter().map(OnObject::new).collect(),
            warned: preview.warned.iter().map(OnObject::new).collect(),
            problems: unread.iter().map(Problem::new).collect(),
            summary: Summary {
                applications: preview.affected.len(),
                created: preview.changes(Change::Create),
                changed: preview.changes(Change::Change),
                deleted: preview.changes(Change::Delete),
                orphaned: preview.changes(Change::Orphan),
                denied: preview.count(Verdict::Denied),
                undecided: preview.count(Verdict::Undecided),
            },
        }
    }
}

impl<'p> GeneratedApplication<'p> {
    fn new(affected: &'p Affected) -> Self {
        GeneratedApplication {
            name: &affected.name,
            application_set: &affected.application_set,
            change: affected.change.as_str(),
            cluster: &affected.cluster,
            project: &affected.project,
            environments: affected
                .environments
                .iter()
                .map(|membership| Environment {
                    name: &membership.environment,
                    production: membership.production,
                })
                .collect(),
            verdict: Verdict::of(affected).as_str(),
            findings: affected.findings.iter().map(Finding::new).collect(),
        }
    }
}

impl<'p> Finding<'p> {
    fn new(finding: &'p policy::Finding) -> Self {
        Finding {
            rule: finding.rule.as_str(),
            level: finding.level().as_str(),
            field: non_empty(&finding.field),
            message: &finding.message,
            fix: non_empty(&finding.fix),
        }
    }
}

impl<'p> Unknown<'p> {
    fn new(not_known: &'p NotKnown) -> Self {
        Unknown {
            application_set: &not_known.application_set,
            field: format!("/spec/generators/{}", not_known.entry),
            generator: &not_known.generator,
            lacks: &not_known.lacks,
        }
    }
}

impl<'p> Failing<'p> {
    fn new(not_expanded: &'p NotExpanded) -> Self {
        Failing {
            application_set: &not_expanded.application_set,
            field: not_expanded.error.field(),
            message: not_expanded.error.to_string(),
        }
    }
}

impl<'p> OnObject<'p> {
    fn new(told: &'p preview::OnObject) -> Self {
        OnObject {
            object: &told.object,
            finding: Finding::new(&told.finding),
        }
    }
}
