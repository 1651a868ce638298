//! `-o sarif`: what code scanning shows at lines of files (SARIF 2.1.0, OASIS Standard).

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::CommandError;
use crate::report::{Located, Log, Severity};
use crate::text::printable;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// What cannot stand in a relative reference as it is (RFC 3986), a colon among it, before which a
/// scheme would stand.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A log with one run.
///
/// # Errors
/// It cannot be written.
pub(super) fn document(log: &Log) -> Result<String, CommandError> {
    let rules = log.rules.iter().map(|rule| {
        json!({
            "id": rule.id,
            "shortDescription": {"text": rule.description},
        })
    });
    let results = log.results.iter().map(|one| result(log, one));
    let unseen = log.unseen.iter().map(|text| {
        json!({
            "level": "error",
            "message": {"text": printable(text)},
        })
    });
    super::json::document(&json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "kubectl-gitops",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules.collect::<Vec<_>>(),
                },
            },
            "invocations": [{
                "executionSuccessful": log.unseen.is_empty(),
                "toolExecutionNotifications": unseen.collect::<Vec<_>>(),
            }],
            "columnKind": "utf16CodeUnits",
            "results": results.collect::<Vec<_>>(),
        }],
    }))
}

fn result(log: &Log, located: &Located) -> Value {
    let mut rules = log.rules.iter();
    let name = located
        .object
        .last()
        .map(String::as_str)
        .unwrap_or_default();
    let mut location = json!({
        "logicalLocations": [{
            "name": printable(name),
            "fullyQualifiedName": printable(&located.object.join("/")),
            "kind": "resource",
        }],
    });
    if let Some(place) = &located.place {
        location["physicalLocation"] = json!({
            "artifactLocation": {
                "uri": utf8_percent_encode(&place.file, PATH).to_string(),
                "uriBaseId": "%SRCROOT%",
            },
            "region": {"startLine": place.line},
        });
    }
    let mut result = json!({
        "ruleId": located.rule,
        "level": match located.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        "message": {"text": printable(&located.message)},
        "locations": [location],
        "partialFingerprints": {"kubectlGitops/v1": fingerprint(located)},
    });
    if let Some(index) = rules.position(|rule| rule.id == located.rule) {
        result["ruleIndex"] = index.into();
    }
    result
}

/// What tells a result from others, whatever line it is on and whatever its values are.
fn fingerprint(located: &Located) -> String {
    let mut hash = Sha256::new();
    let parts = located.object.iter().chain([&located.field]);
    for part in parts.map(String::as_str).chain([located.rule]) {
        hash.update(part);
        hash.update([0]);
    }
    let mut text = String::new();
    for byte in hash.finalize().iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
