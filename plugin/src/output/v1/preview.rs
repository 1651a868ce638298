//! What `preview` prints for programs.

use policy::fan_out::{Affected, Change, NotExpanded, NotKnown};
use serde::Serialize;

use super::{Problem, non_empty};
use crate::output::API_VERSION;
use crate::preview::{self, Verdict};
use crate::report::Unread;

/// What would happen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::output) struct Preview<'p> {
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

impl<'p> Preview<'p> {
    pub(in crate::output) fn new(preview: &'p preview::Preview, unread: &'p [Unread]) -> Self {
        Preview {
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
                .map(|belongs| Environment {
                    name: &belongs.environment,
                    production: belongs.production,
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
            level: finding.level.as_str(),
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
