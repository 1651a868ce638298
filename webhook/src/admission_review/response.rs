//! Writing the answer.
//!
//! Many people see nothing of us but `status.message`, as Argo CD shows it, so all that denies is
//! in it, on one line, and begins with the object where they would not know which one is meant.

use policy::break_glass::Record;
use policy::finding::{LINE_LIMIT, dotted, shorten};
use policy::{Finding, Level};
use serde::Serialize;

use super::decide::Decision;
use super::request::{API_VERSION, KIND, Review};
use crate::labels::Verdict;

/// How many denials are written out. Argo CD keeps the message in three places of an Application's
/// status and in an Event, so thousands of them would not fit; and nobody reads that far.
const DENIALS_LIMIT: usize = 32;

/// How many characters an object's namespace and name may take of a message's first line.
const OBJECT_LIMIT: usize = 80;

/// The API server drops warnings once all of one request together exceed this many characters
/// (Kubernetes 1.36, `recorder` of `k8s.io/apiserver/pkg/endpoints/filters/warning.go`).
const WARNINGS_LIMIT: usize = 4096;

/// What a warning is cut to by the same code. Lines of findings are shorter.
const WARNING_LIMIT: usize = 256;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: AdmissionResponse<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionResponse<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    audit_annotations: AuditAnnotations,
}

/// `metav1.Status`.
#[derive(Serialize)]
struct Status {
    #[serde(rename = "status")]
    outcome: &'static str,
    reason: &'static str,
    code: u16,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

#[derive(Serialize)]
struct Details {
    causes: Vec<Cause>,
}

/// `metav1.StatusCause`; its `reason` is meant for machines.
#[derive(Serialize)]
struct Cause {
    reason: String,
    message: String,
    field: String,
}

/// The API server puts the webhook's name and a `/` before each key.
#[derive(Serialize)]
struct AuditAnnotations {
    verdict: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    rules: String,
    #[serde(flatten)]
    overrule: Option<Overrule>,
    #[serde(flatten)]
    ended: Option<Ended>,
}

/// That another override ended by this.
#[derive(Serialize)]
struct Ended {
    #[serde(rename = "break-glass-ended-rules")]
    rules: String,
    #[serde(rename = "break-glass-ended-reason")]
    reason: String,
}

/// What happened to an override.
#[derive(Serialize)]
struct Overrule {
    #[serde(rename = "break-glass")]
    outcome: &'static str,
    #[serde(rename = "break-glass-rules")]
    rules: String,
    #[serde(rename = "break-glass-expires")]
    expires: String,
    #[serde(rename = "break-glass-reason")]
    reason: String,
    #[serde(
        rename = "break-glass-refusal",
        skip_serializing_if = "Option::is_none"
    )]
    refusal: Option<String>,
}

impl Overrule {
    fn new(record: &Record) -> Self {
        Overrule {
            outcome: record.kind.as_str(),
            rules: rules(record),
            expires: expires(record),
            reason: record.reason.clone(),
            refusal: record.refusal.clone(),
        }
    }
}

/// The answer to a request as JSON.
///
/// # Errors
/// It cannot be written, which no content of it can bring about.
pub fn to_json(review: &Review<'_>, decision: &Decision) -> Result<Vec<u8>, serde_json::Error> {
    // A dry run leaves nothing on record.
    let record = decision.record.as_ref().filter(|_| !review.dry_run);
    let ended = decision.ended.as_ref().filter(|_| !review.dry_run);
    serde_json::to_vec(&AdmissionReview {
        api_version: API_VERSION,
        kind: KIND,
        response: AdmissionResponse {
            uid: &review.uid,
            allowed: decision.verdict.is_allowed(),
            status: status(review, decision),
            warnings: warnings(&decision.findings),
            audit_annotations: AuditAnnotations {
                verdict: decision.verdict.as_str(),
                rules: decision.rules(),
                overrule: record.map(Overrule::new),
                ended: ended.map(|ended| Ended {
                    rules: rules(ended),
                    reason: ended.reason.clone(),
                }),
            },
        },
    })
}

fn status(review: &Review<'_>, decision: &Decision) -> Option<Status> {
    let object = object(review);
    let (message, details) = match decision.verdict {
        Verdict::Admitted | Verdict::Unchanged | Verdict::NotJudged => return None,
        Verdict::Denied => {
            let denials = of_level(&decision.findings, &[Level::Deny]);
            (message(&object, &denials), Some(details(&denials)))
        }
        Verdict::Unreadable => {
            let reason = decision.unreadable.as_deref().unwrap_or_default();
            let message =
                format!("{object}the object cannot be read, so it cannot be judged: {reason}");
            (shorten(&message, WARNING_LIMIT), None)
        }
    };
    Some(Status {
        outcome: "Failure",
        reason: "Forbidden",
        code: 403,
        message,
        details,
    })
}

/// What a message begins with where its reader would not know which object is meant: where Argo
/// CD's controllers write, and show nothing but the message.
fn object(review: &Review<'_>) -> String {
    if !review.for_others {
        return String::new();
    }
    let (namespace, name) = (&review.namespace, &review.name);
    let object = shorten(&format!("{namespace}/{name}"), OBJECT_LIMIT);
    format!("{} {object}: ", review.kind.as_str())
}

fn of_level<'f>(findings: &'f [Finding], levels: &[Level]) -> Vec<&'f Finding> {
    findings
        .iter()
        .filter(|finding| levels.contains(&finding.level()))
        .collect()
}

fn message(object: &str, denials: &[&Finding]) -> String {
    let shown = denials.iter().take(DENIALS_LIMIT);
    let mut lines: Vec<String> = shown.map(|finding| finding.line()).collect();
    if let (Some(line), Some(first)) = (lines.first_mut(), denials.first()) {
        let limit = LINE_LIMIT.saturating_sub(object.chars().count());
        *line = format!("{object}{}", first.line_within(limit));
    }
    if let Some(more) = denials.len().checked_sub(DENIALS_LIMIT + 1) {
        lines.push(format!("and {} more", more + 1));
    }
    lines.join(" | ")
}

fn details(denials: &[&Finding]) -> Details {
    let causes = denials.iter().take(DENIALS_LIMIT).map(|finding| Cause {
        reason: finding.rule.as_str().to_owned(),
        message: shorten(
            &format!("{}; {}", finding.message, finding.fix),
            WARNING_LIMIT,
        ),
        field: dotted(&finding.field),
    });
    Details {
        causes: causes.collect(),
    }
}

/// What the writer should know although it does not deny, within the API server's limits, each
/// once.
fn warnings(findings: &[Finding]) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    let mut length = 0;
    for finding in of_level(findings, &[Level::Warn, Level::Undecided]) {
        let warning = shorten(&finding.line(), WARNING_LIMIT);
        length += warning.chars().count();
        if length > WARNINGS_LIMIT {
            break;
        }
        if warnings.contains(&warning) {
            length -= warning.chars().count();
        } else {
            warnings.push(warning);
        }
    }
    warnings
}

/// The rules, separated by commas.
pub(crate) fn rules(record: &Record) -> String {
    let names: Vec<&str> = record.rules.iter().map(|rule| rule.as_str()).collect();
    names.join(",")
}

/// The end, or nothing where none can be read.
pub(crate) fn expires(record: &Record) -> String {
    record
        .expires
        .map(|expires| expires.to_string())
        .unwrap_or_default()
}
