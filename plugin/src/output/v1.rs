//! What programs read: `kubectl-gitops.io/v1alpha1`. Keys are always there; what does not apply is
//! null.

pub(super) mod break_glass;
pub(super) mod preview;

use policy::Waiver;
use serde::Serialize;

use super::API_VERSION;
use crate::commands::check::{Files, Unread};
use crate::report::{Located, Place, Report};
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
    summary: Summary,
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
    pub(super) fn new(report: &'r Report, files: Option<&'r Files>, unread: &'r [Unread]) -> Self {
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
