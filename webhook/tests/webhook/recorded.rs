//! What a real Argo CD sent gets the verdict that it should get.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gitops_webhook::state::Webhook;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::{ask, webhook};

#[derive(Deserialize)]
struct Case {
    id: String,
    expect: String,
    review: Box<RawValue>,
}

/// What `expect` demands, where it demands one verdict.
#[derive(PartialEq)]
enum Expectation {
    Allowed,
    DeniedBy(String),
    /// The rules decide; the snapshot shows what they decided.
    Open,
}

impl Case {
    fn expectation(&self) -> Expectation {
        let expect = self.expect.as_str();
        let allowed = [
            "pass",
            "allow",
            "ratchet",
            "judge: allowed",
            "judge: no violation",
        ];
        if let Some(rule) = expect.strip_prefix("deny: ") {
            let rule = rule.split([' ', ';']).next().unwrap();
            let rule = if rule == "ambiguous" {
                "project-scope"
            } else {
                rule
            };
            Expectation::DeniedBy(rule.to_owned())
        } else if expect.starts_with("deny or warn: unknown cluster") {
            Expectation::DeniedBy("project-scope".to_owned())
        } else if allowed.iter().any(|start| expect.starts_with(start))
            || expect.contains("must be allowed")
            || expect.contains("ratchet")
        {
            Expectation::Allowed
        } else {
            Expectation::Open
        }
    }
}

/// A verdict as far as it is compared.
struct Seen {
    allowed: bool,
    verdict: String,
    rules: String,
    message: String,
    warnings: usize,
}

impl Seen {
    fn meets(&self, expectation: &Expectation) -> bool {
        match expectation {
            Expectation::Open => true,
            Expectation::Allowed => self.allowed,
            Expectation::DeniedBy(rule) => {
                let start = format!("{rule}: ");
                !self.allowed && self.message.split(" | ").any(|line| is_about(line, &start))
            }
        }
    }
}

/// Whether a line begins so, or does behind the object that it names to Argo CD's controllers.
fn is_about(line: &str, start: &str) -> bool {
    let behind = line.split_once(": ").map_or("", |(_, behind)| behind);
    line.starts_with(start) || behind.starts_with(start)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recorded-admission")
}

fn cases() -> Vec<Case> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let cases = text.lines().map(|line| serde_json::from_str(line).unwrap());
            cases.collect::<Vec<Case>>()
        })
        .collect()
}

async fn see(webhook: &Arc<Webhook>, case: &Case) -> Seen {
    let response = ask(webhook, case.review.get().to_owned()).await.response();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Seen {
        allowed: response["allowed"].as_bool().unwrap(),
        verdict: text(&response["auditAnnotations"]["verdict"]),
        rules: text(&response["auditAnnotations"]["rules"]),
        message: text(&response["status"]["message"]),
        warnings: response["warnings"].as_array().map_or(0, Vec::len),
    }
}

#[tokio::test]
async fn what_was_recorded_gets_the_verdict_it_should_get() {
    let cases = cases();
    assert!(cases.len() > 90, "only {} cases", cases.len());
    let webhook = webhook();
    let mut wrong = String::new();
    let mut table = String::new();
    for case in &cases {
        let seen = see(&webhook, case).await;
        let expectation = case.expectation();
        writeln!(
            table,
            "{}: {} [{}] {} warnings\n    {}",
            case.id, seen.verdict, seen.rules, seen.warnings, case.expect
        )
        .unwrap();
        if !seen.meets(&expectation) {
            writeln!(
                wrong,
                "{}: expected {}, seen {} {}",
                case.id, case.expect, seen.verdict, seen.message
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    insta::assert_snapshot!("recorded", table);
}
