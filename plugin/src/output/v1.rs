//! What programs read: `kubectl-gitops.io/v1alpha1`. Keys are always there; what does not apply is
//! null.

pub(super) mod preview;

use serde::Serialize;

use super::API_VERSION;
use crate::report::{Located, Report};
use crate::repository::Repository;

/// What `check` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CheckReport<'r> {
    api_version: &'static str,
    kind: &'static str,
    /// By file, line and rule.
    findings: Vec<Finding<'r>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Finding<'r> {
    rule: &'static str,
    level: &'static str,
    object: Object<'r>,
    /// A JSON Pointer into the object; null if it is about the whole object.
    field: Option<&'r str>,
    file: &'r str,
    line: usize,
    message: &'r str,
    fix: Option<&'r str>,
    patch: Option<&'r json_patch::Patch>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'r> {
    api_version: &'r str,
    kind: &'r str,
    /// As the file has it.
    namespace: Option<&'r str>,
    name: Option<&'r str>,
}

/// Counts of findings by level.
#[derive(Serialize)]
struct Summary {
    files: usize,
    objects: usize,
    denied: usize,
    warned: usize,
    undecided: usize,
}

impl<'r> CheckReport<'r> {
    pub(super) fn new(report: &'r Report, repository: &Repository) -> Self {
        CheckReport {
            api_version: API_VERSION,
            kind: "CheckReport",
            findings: report.findings.iter().map(Finding::new).collect(),
            summary: Summary {
                files: repository.files,
                objects: report.counts.objects,
                denied: report.counts.denied,
                warned: report.counts.warned,
                undecided: report.counts.undecided,
            },
        }
    }
}

impl<'r> Finding<'r> {
    fn new(located: &'r Located) -> Self {
        let finding = &located.finding;
        Finding {
            rule: finding.rule.as_str(),
            level: finding.level.as_str(),
            object: Object {
                api_version: &located.object.api_version,
                kind: &located.object.kind,
                namespace: located.object.namespace.as_deref(),
                name: located.object.name.as_deref(),
            },
            field: non_empty(&located.field),
            file: &located.file,
            line: located.line,
            message: &finding.message,
            fix: non_empty(&finding.fix),
            patch: finding.patch.as_ref(),
        }
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
