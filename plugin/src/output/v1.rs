//! What programs read: `kubectl-gitops.io/v1alpha1`. Keys are always there; what does not apply is
//! null.

pub(super) mod break_glass;
pub(super) mod preview;

use policy::Waiver;
use policy::missing::MissingFact;
use serde::Serialize;

use super::{API_VERSION, CheckOutput};
use crate::report::missing;
use crate::report::{Located, Place, Unread};
use crate::repository::manifest::ObjectReference;
use crate::repository::skipped::Reason;

/// What `check` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckReport<'r> {
    api_version: &'static str,
    kind: &'static str,
    /// By file, line and rule; by kind, namespace and name where they are in a cluster.
    findings: Vec<Finding<'r>>,
    /// Files that were not judged, but for those without an object of Argo CD.
    skipped: Vec<Skipped<'r>>,
    /// Kinds that look misspelt, and what is declared or generated more than once, in one sentence each.
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
    /// `project`, `cluster`, `cluster-secret`, `other-clusters`, `generated`, `parameters` or `rendering`.
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
    /// `unparsable`, `not-text`, `marked`, `patch`, `template`, `template-with-objects` or `values-with-objects`.
    reason: &'static str,
    /// What renders the objects that it may hold; null if it holds none.
    command: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'r> {
    /// Null where it is in no file.
    file: Option<&'r str>,
    /// Null where it is the whole file, or in no file.
    line: Option<usize>,
    message: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'r> {
    rule: &'static str,
    level: &'static str,
    /// What lets a denial pass with a warning: `exemption`, `ratchet`, `break-glass` or `dry-run`; null if nothing
    /// does.
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'r> {
    api_version: &'r str,
    kind: &'r str,
    /// As the file or the cluster has it.
    namespace: Option<&'r str>,
    name: Option<&'r str>,
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

impl<'r> CheckReport<'r> {
    pub(super) fn new(checked: &'r CheckOutput<'r>) -> Self {
        let CheckOutput {
            report,
            files,
            unread,
            clusters,
        } = *checked;
        let skipped = files.map_or(&[][..], |files| &files.skipped);
        CheckReport {
            api_version: API_VERSION,
            kind: "CheckReport",
            findings: report.findings.iter().map(Finding::new).collect(),
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
            problems: unread.iter().map(Problem::new).collect(),
            missing: missing::Missing::of(report)
                .into_iter()
                .map(|missing| Missing {
                    kind: missing.kind.as_str(),
                    names: missing.names,
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
                objects: report.counts.objects,
                denied: report.counts.denied,
                warned: report.counts.warned,
                undecided: report.counts.undecided,
            },
        }
    }
}

impl<'r> Problem<'r> {
    fn new(unread: &'r Unread) -> Self {
        Problem {
            file: non_empty(&unread.file),
            line: (unread.line > 0).then_some(unread.line),
            message: &unread.message,
        }
    }
}

impl<'r> Finding<'r> {
    fn new(located: &'r Located) -> Self {
        let finding = &located.finding;
        let (file, line) = match &located.place {
            Place::File { file, line } => (Some(&**file), Some(*line)),
            Place::Live => (None, None),
        };
        // A denial may rest on them as well; what it waits for is nothing.
        let facts = finding.missing.iter().filter(|_| located.waits_for_facts());
        Finding {
            rule: finding.rule.as_str(),
            level: finding.level.as_str(),
            waived_by: finding.waiver.map(Waiver::as_str),
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

impl<'r> Object<'r> {
    fn new(reference: &'r ObjectReference) -> Self {
        Object {
            api_version: &reference.api_version,
            kind: &reference.kind,
            namespace: reference.namespace.as_deref(),
            name: reference.name.as_deref(),
        }
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
