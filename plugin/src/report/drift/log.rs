//! Drift as results of code scanning: one a field.

use crate::drift::{ApplicationDrift, Cause, Drift, ResourceDrift, Verdict};
use crate::report::{Located, Log, RuleOfLog, Severity};

use super::suites::line;

pub(super) fn of(drift: &Drift) -> Log {
    let undecided = drift.applications.iter().filter_map(undecided);
    let problems = drift.problems.iter();
    let problems = problems.map(|problem| format!("{}: {}", problem.object, problem.message));
    let mut unseen: Vec<String> = undecided.chain(problems).collect();
    unseen.dedup();
    Log {
        rules: Cause::ALL.map(rule).to_vec(),
        results: drift.applications.iter().flat_map(results).collect(),
        unseen,
    }
}

fn rule(cause: Cause) -> RuleOfLog {
    RuleOfLog {
        id: cause.as_str(),
        description: match cause {
            Cause::ChangedByHand => "A person or a pipeline wrote what Git does not say.",
            Cause::ChangedByController => "A controller or a webhook wrote what Git does not say.",
            Cause::Unknown => "The cluster differs from Git, and nobody can tell why.",
            Cause::NotSyncedYet => "Git has moved on since the last sync.",
            Cause::Autoscaled => "An autoscaler set what Git says otherwise.",
            Cause::Extra => "The object is not in Git.",
            Cause::Missing => "The object is not in the cluster.",
        },
    }
}

fn severity(cause: Cause) -> Severity {
    match cause {
        Cause::ChangedByHand | Cause::Extra | Cause::Missing => Severity::Error,
        Cause::ChangedByController | Cause::Unknown => Severity::Warning,
        Cause::NotSyncedYet | Cause::Autoscaled => Severity::Note,
    }
}

fn undecided(application: &ApplicationDrift) -> Option<String> {
    let word = match application.verdict {
        Verdict::Clean | Verdict::Drifted => return None,
        Verdict::Stale => "Argo CD's verdict is out of date",
        Verdict::Unknown => "nobody can tell",
    };
    let name = application.overview.display_name();
    Some(match &application.reason {
        Some(reason) => format!("application/{name}: {word}: {reason}"),
        None => format!("application/{name}: {word}"),
    })
}

fn results(application: &ApplicationDrift) -> Vec<Located> {
    let resources = application.resources.iter();
    let found = resources.flat_map(|resource| of_resource(application, resource));
    found.collect()
}

fn of_resource(application: &ApplicationDrift, resource: &ResourceDrift) -> Vec<Located> {
    let name = application.overview.display_name();
    let group = match resource.group.as_str() {
        "" => String::new(),
        group => format!(".{group}"),
    };
    let mut object = vec![name.clone(), format!("{}{group}", resource.kind)];
    if !resource.namespace.is_empty() {
        object.push(resource.namespace.clone());
    }
    object.push(resource.name.clone());
    let cluster = application.overview.cluster.display_name();
    let located = |field: &str, text: String| Located {
        rule: resource.cause.as_str(),
        severity: severity(resource.cause),
        message: format!("{} of {name} on {cluster}: {text}", resource.short()),
        object: object.clone(),
        field: field.to_owned(),
        place: resource.place_of(field),
    };
    let fields = resource.fields.iter();
    let of_fields = fields.filter(|field| !field.pointer.is_empty());
    let found: Vec<Located> = of_fields
        .map(|field| located(&field.pointer, line(field)))
        .collect();
    if found.is_empty() {
        let text = match resource.cause {
            Cause::Missing => "it is not there",
            Cause::Extra => "it is not in Git",
            _ => "it differs",
        };
        return vec![located("", text.to_owned())];
    }
    found
}
