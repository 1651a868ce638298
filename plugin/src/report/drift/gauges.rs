//! Drift as metrics.

use std::collections::BTreeMap;

use crate::drift::{ApplicationDrift, Drift, Verdict};
use crate::report::{Gauge, Sample};

pub(super) fn of(drift: &Drift) -> Vec<Gauge> {
    vec![
        Gauge {
            name: "gitops_drift_application",
            help: "1 for the verdict of each Application, 0 for the others.",
            samples: drift.applications.iter().flat_map(verdicts).collect(),
        },
        Gauge {
            name: "gitops_drift_resources",
            help: "Resources of each Application that differ, by cause.",
            samples: drift.applications.iter().flat_map(causes).collect(),
        },
    ]
}

fn labels(application: &ApplicationDrift) -> Vec<(&'static str, String)> {
    let overview = &application.overview;
    let environment = overview.environments.first();
    vec![
        ("namespace", overview.namespace.clone()),
        ("application", overview.name.clone()),
        ("project", overview.project.clone()),
        ("cluster", overview.cluster.display_name().to_owned()),
        ("environment", environment.cloned().unwrap_or_default()),
    ]
}

fn verdicts(application: &ApplicationDrift) -> impl Iterator<Item = Sample> {
    Verdict::ALL.into_iter().map(|verdict| {
        let mut labels = labels(application);
        labels.push(("verdict", verdict.as_str().to_owned()));
        Sample {
            labels,
            value: u64::from(application.verdict == verdict),
        }
    })
}

fn causes(application: &ApplicationDrift) -> impl Iterator<Item = Sample> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for resource in &application.resources {
        *counts.entry(resource.cause.as_str()).or_default() += 1;
    }
    counts.into_iter().map(|(cause, value)| {
        let mut labels = labels(application);
        labels.push(("cause", cause.to_owned()));
        Sample { labels, value }
    })
}
