//! Drift as tests: a suite for each environment, a case for each Application.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::drift::{ApplicationDrift, Drift, FieldDrift, MASK, Verdict};
use crate::report::{Case, Outcome, Suite};
use crate::text::counted;

/// What Applications are in that nothing is evidence of an environment of.
const NO_ENVIRONMENT: &str = "no environment";

pub(super) fn of(drift: &Drift) -> Vec<Suite> {
    let mut suites: BTreeMap<&str, Vec<Case>> = BTreeMap::new();
    for application in &drift.applications {
        let environment = application.overview.environments.first();
        let environment = environment.map_or(NO_ENVIRONMENT, String::as_str);
        let cases = suites.entry(environment).or_default();
        cases.push(case(application));
    }
    suites
        .into_iter()
        .map(|(name, cases)| Suite {
            name: name.to_owned(),
            cases,
        })
        .collect()
}

fn case(application: &ApplicationDrift) -> Case {
    let reason = || application.reason.clone().unwrap_or_default();
    Case {
        name: application.overview.display_name(),
        outcome: match application.verdict {
            Verdict::Clean => Outcome::Passed,
            Verdict::Drifted => Outcome::Failed {
                message: format!(
                    "{} differ",
                    counted(application.resources.len(), "resource")
                ),
                text: text(application),
            },
            Verdict::Stale => Outcome::Error {
                message: format!("Argo CD's verdict is out of date: {}", reason()),
            },
            Verdict::Unknown => Outcome::Error {
                message: format!("nobody can tell: {}", reason()),
            },
        },
    }
}

/// A line a resource, and below it a line a field.
fn text(application: &ApplicationDrift) -> String {
    let mut text = String::new();
    for resource in &application.resources {
        let place = match resource.namespace.as_str() {
            "" => String::new(),
            namespace => format!(" in {namespace}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}{place}: {}",
            resource.short(),
            resource.cause.as_str()
        );
        for field in &resource.fields {
            let _ = writeln!(text, "  {}", line(field));
        }
    }
    text
}

/// `/spec/replicas: desired 2, live 5`.
pub(super) fn line(field: &FieldDrift) -> String {
    let shown = |value: &Option<serde_json::Value>| match value {
        None => "none".to_owned(),
        Some(_) if field.masked => MASK.to_owned(),
        Some(value) => value.to_string(),
    };
    let pointer = match field.pointer.as_str() {
        "" => "the whole object",
        pointer => pointer,
    };
    format!(
        "{pointer}: desired {}, live {}",
        shown(&field.desired),
        shown(&field.live)
    )
}
