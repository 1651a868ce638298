//! Admission requests: how many, what came of them, and what they take.

use std::time::Duration;

use policy::{Finding, Level};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::rule_ids;
use super::series::{Labels, Series};
use crate::admission_review::decide::Decision;
use crate::admission_review::request::{ObjectKind, Operation, Review};
use crate::labels::{FailureReason, Label, Verdict};

/// Upper bounds of the duration's buckets, in seconds. An ordinary review takes 0.1 to 0.3 ms; the
/// API server gives up after 10 s unless it is told otherwise.
const DURATION_BUCKETS: [f64; 13] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];

impl Label for ObjectKind {
    const ALL: &'static [Self] = &ObjectKind::ALL;

    fn index(self) -> usize {
        let place = ObjectKind::ALL.iter().position(|kind| *kind == self);
        place.unwrap_or(ObjectKind::ALL.len() - 1)
    }

    fn name(self) -> &'static str {
        self.as_str()
    }
}

impl Label for Operation {
    const ALL: &'static [Self] = &Operation::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        self.as_str()
    }
}

type Answered = Series<ObjectKind, Series<Operation, Series<Verdict, Counter>>>;

/// Counts admission requests.
#[derive(Debug)]
pub struct RequestMetrics {
    answered: Answered,
    failures: Series<FailureReason, Counter>,
    findings: Vec<(&'static str, Series<Level, Counter>)>,
    duration: Histogram,
    body_bytes: Gauge,
}

impl RequestMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let answered = Family::default();
        registry.register(
            "requests",
            "Admission requests that were answered, by kind, operation and outcome",
            answered.clone(),
        );
        let failures = Family::default();
        registry.register(
            "failures",
            "Calls that got an HTTP error or no answer, so that failurePolicy decided, by reason",
            failures.clone(),
        );
        let findings = Family::default();
        registry.register(
            "findings",
            "What rules found in admission requests, by rule and level",
            findings.clone(),
        );
        let duration = Histogram::new(DURATION_BUCKETS);
        registry.register_with_unit(
            "request_duration",
            "From the head of an admission request to its answer, with the time to receive the body",
            Unit::Seconds,
            duration.clone(),
        );
        let body_bytes = Gauge::default();
        registry.register_with_unit(
            "request_bodies_in_flight",
            "Bodies of admission requests that memory is reserved for",
            Unit::Bytes,
            body_bytes.clone(),
        );
        RequestMetrics {
            answered: answered_series(&answered),
            failures: Series::of_family(&failures, "reason"),
            findings: rule_ids()
                .map(|rule| (rule, findings_series(&findings, rule)))
                .collect(),
            duration,
            body_bytes,
        }
    }

    /// Counts an answered request.
    pub fn answered(&self, review: &Review<'_>, decision: &Decision, took: Duration) {
        let of_kind = self.answered.of(review.kind);
        of_kind.of(review.operation).of(decision.verdict).inc();
        for finding in &decision.findings {
            self.found(finding);
        }
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts a call that was answered with an HTTP error, or not at all.
    pub fn failed(&self, reason: FailureReason) {
        self.failures.of(reason).inc();
    }

    /// Memory that is reserved for the bodies of requests, in bytes.
    pub fn body_bytes(&self) -> &Gauge {
        &self.body_bytes
    }

    fn found(&self, finding: &Finding) {
        let rule = finding.rule.as_str();
        if let Some((_, levels)) = self.findings.iter().find(|(known, _)| *known == rule) {
            levels.of(finding.level()).inc();
        }
    }
}

fn answered_series(family: &Family<Labels<3>, Counter>) -> Answered {
    let of = |kind: ObjectKind, operation: Operation, verdict: Verdict| {
        family.get_or_create_owned(&[
            ("kind", kind.name()),
            ("operation", operation.name()),
            ("outcome", verdict.name()),
        ])
    };
    Series::new(|kind| Series::new(|operation| Series::new(|verdict| of(kind, operation, verdict))))
}

fn findings_series(
    family: &Family<Labels<2>, Counter>,
    rule: &'static str,
) -> Series<Level, Counter> {
    Series::new(|level: Level| {
        family.get_or_create_owned(&[("rule", rule), ("level", level.name())])
    })
}

#[cfg(test)]
mod tests {
    use policy::break_glass::RecordKind;

    use super::*;
    use crate::labels::{EventOutcome, Feature, InventoryObject, PolicySource, WatchedKind};

    fn each_is_at_its_index<L: Label>() {
        for (place, value) in L::ALL.iter().enumerate() {
            assert_eq!(value.index(), place, "{}", value.name());
        }
        let mut names: Vec<_> = L::ALL.iter().map(|value| value.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), L::ALL.len(), "{names:?}");
    }

    #[test]
    fn each_value_of_a_label_has_a_name_and_a_series_of_its_own() {
        each_is_at_its_index::<ObjectKind>();
        each_is_at_its_index::<Operation>();
        each_is_at_its_index::<Verdict>();
        each_is_at_its_index::<FailureReason>();
        each_is_at_its_index::<Level>();
        each_is_at_its_index::<RecordKind>();
        each_is_at_its_index::<WatchedKind>();
        each_is_at_its_index::<PolicySource>();
        each_is_at_its_index::<InventoryObject>();
        each_is_at_its_index::<Feature>();
        each_is_at_its_index::<EventOutcome>();
    }
}
