//! Metrics, for Prometheus.
//!
//! Labels take their values from closed sets: never a name, a namespace or an error. Every series
//! exists from the start, and the request path holds handles to them: it looks nothing up and waits
//! for no lock that a scrape holds.

use std::time::Duration;

use jiff::Timestamp;
use policy::{Finding, Level};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::admission::decide::{Decision, Verdict};
use crate::admission::handler::Failure;
use crate::admission::review::{Kind, Operation, Review};

/// Upper bounds of the duration's buckets, in seconds. An ordinary review takes 0.1 to 0.3 ms; the
/// API server gives up after 10 s unless it is told otherwise.
const DURATION_BUCKETS: [f64; 13] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];

const LEVELS: [Level; 3] = [Level::Deny, Level::Warn, Level::Undecided];

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Where the policy that counts comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicySource {
    /// No policy is there: the built-in defaults count.
    Defaults,
    /// The GitOpsPolicy `default`, or the policy file.
    Given,
    /// The GitOpsPolicy `default` is invalid: the last good one counts, else the defaults.
    Invalid,
    /// The API server does not know GitOpsPolicy: the built-in defaults count.
    KindMissing,
}

impl PolicySource {
    const ALL: [PolicySource; 4] = [
        PolicySource::Defaults,
        PolicySource::Given,
        PolicySource::Invalid,
        PolicySource::KindMissing,
    ];

    /// The source as the metric and the log name it.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicySource::Defaults => "defaults",
            PolicySource::Given => "given",
            PolicySource::Invalid => "invalid",
            PolicySource::KindMissing => "kind-missing",
        }
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WatchedKind {
    /// AppProjects.
    Project,
    /// ApplicationSets.
    ApplicationSet,
    /// Cluster Secrets.
    Cluster,
    /// Repository Secrets.
    Repository,
    /// The ConfigMap `argocd-cm`.
    Settings,
    /// The definition of Application.
    ApplicationDefinition,
    /// The GitOpsPolicy.
    Policy,
    /// The webhook's own configuration.
    WebhookConfiguration,
}

impl WatchedKind {
    const ALL: [WatchedKind; 8] = [
        WatchedKind::Project,
        WatchedKind::ApplicationSet,
        WatchedKind::Cluster,
        WatchedKind::Repository,
        WatchedKind::Settings,
        WatchedKind::ApplicationDefinition,
        WatchedKind::Policy,
        WatchedKind::WebhookConfiguration,
    ];

    /// The kind as metrics and the log name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            WatchedKind::Project => "AppProject",
            WatchedKind::ApplicationSet => "ApplicationSet",
            WatchedKind::Cluster => "cluster Secret",
            WatchedKind::Repository => "repository Secret",
            WatchedKind::Settings => "ConfigMap argocd-cm",
            WatchedKind::ApplicationDefinition => "CustomResourceDefinition of Application",
            WatchedKind::Policy => "GitOpsPolicy",
            WatchedKind::WebhookConfiguration => "ValidatingWebhookConfiguration",
        }
    }
}

/// How much there is of each kind of object in the inventory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InventorySizes {
    /// AppProjects.
    pub projects: usize,
    /// ApplicationSets.
    pub application_sets: usize,
    /// Clusters of cluster Secrets.
    pub clusters: usize,
    /// Repositories that belong to a project.
    pub repositories: usize,
    /// Objects that were left out because they cannot be read.
    pub unreadable: usize,
}

/// Handles to all metrics.
pub struct Metrics {
    registry: Registry,
    requests: Vec<Counter>,
    failures: Vec<Counter>,
    findings: Vec<(&'static str, [Counter; LEVELS.len()])>,
    duration: Histogram,
    body_bytes: Gauge,
    connections: Gauge,
    inventory_builds: Counter,
    inventory_objects: Vec<Gauge>,
    policy_sources: Vec<Gauge>,
    watches: WatchMetrics,
    certificate_expiry: Gauge,
}

/// What tells whether the watches are alive. The order is that of [`WatchedKind::ALL`].
struct WatchMetrics {
    failures: Vec<Counter>,
    times: Vec<Gauge>,
}

impl WatchMetrics {
    fn register(registry: &mut Registry) -> Self {
        let failures = Family::<Labels<1>, Counter>::default();
        registry.register(
            "watch_failures",
            "How often a watch could not be opened or broke off with an error, by kind",
            failures.clone(),
        );
        let times = Family::<Labels<1>, Gauge>::default();
        registry.register_with_unit(
            "watch_last_event_timestamp",
            "When the API server last told something about a kind, since 1970; 0 if it never did",
            Unit::Seconds,
            times.clone(),
        );
        WatchMetrics {
            failures: WatchedKind::ALL
                .map(|kind| failures.get_or_create_owned(&[("kind", kind.as_str())]))
                .into(),
            times: WatchedKind::ALL
                .map(|kind| times.get_or_create_owned(&[("kind", kind.as_str())]))
                .into(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("gitops_webhook");
        let requests = Family::<Labels<3>, Counter>::default();
        registry.register(
            "requests",
            "Admission requests that were answered, by kind, operation and outcome",
            requests.clone(),
        );
        let failures = Family::<Labels<1>, Counter>::default();
        registry.register(
            "failures",
            "Calls that were answered with an HTTP error, so that failurePolicy decided, by reason",
            failures.clone(),
        );
        let findings = Family::<Labels<2>, Counter>::default();
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
        let connections = Gauge::default();
        registry.register("connections", "Open TLS connections", connections.clone());
        let inventory_builds = Counter::default();
        registry.register(
            "inventory_builds",
            "How often the inventory was put together anew",
            inventory_builds.clone(),
        );
        let inventory_objects = Family::<Labels<1>, Gauge>::default();
        registry.register(
            "inventory_objects",
            "Objects in the inventory by kind, and those left out because they cannot be read",
            inventory_objects.clone(),
        );
        let policy_sources = Family::<Labels<1>, Gauge>::default();
        registry.register(
            "policy_source",
            "Where the policy that counts comes from: one source is 1, the others are 0",
            policy_sources.clone(),
        );
        let certificate_expiry = Gauge::default();
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the certificate that is served expires, since 1970; 0 before there is one",
            Unit::Seconds,
            certificate_expiry.clone(),
        );
        Metrics {
            requests: request_labels()
                .map(|labels| requests.get_or_create_owned(&labels))
                .collect(),
            failures: Failure::REASONS
                .iter()
                .map(|reason| failures.get_or_create_owned(&[("reason", *reason)]))
                .collect(),
            findings: rule_ids()
                .map(|rule| {
                    let of_level = |level: Level| {
                        let labels = [("rule", rule), ("level", level.as_str())];
                        findings.get_or_create_owned(&labels)
                    };
                    (rule, LEVELS.map(of_level))
                })
                .collect(),
            duration,
            body_bytes,
            connections,
            inventory_builds,
            inventory_objects: [
                "AppProject",
                "ApplicationSet",
                "Cluster",
                "Repository",
                "unreadable",
            ]
            .map(|kind| inventory_objects.get_or_create_owned(&[("kind", kind)]))
            .into(),
            policy_sources: PolicySource::ALL
                .map(|source| policy_sources.get_or_create_owned(&[("source", source.as_str())]))
                .into(),
            watches: WatchMetrics::register(&mut registry),
            certificate_expiry,
            registry,
        }
    }

    /// All metrics in Prometheus' text format (`OpenMetrics` 1.0).
    ///
    /// # Errors
    /// They cannot be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts an answered request.
    pub fn answered(&self, review: &Review<'_>, decision: &Decision, took: Duration) {
        if let Some(counter) = self.requests.get(request_index(
            review.kind,
            review.operation,
            decision.verdict,
        )) {
            counter.inc();
        }
        for finding in &decision.findings {
            self.found(finding);
        }
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts a call that was answered with an HTTP error.
    pub fn failed(&self, failure: &Failure) {
        let reason = failure.reason();
        let index = Failure::REASONS.iter().position(|known| *known == reason);
        if let Some(counter) = index.and_then(|index| self.failures.get(index)) {
            counter.inc();
        }
    }

    /// Memory that is reserved for the bodies of requests, in bytes.
    pub fn body_bytes(&self) -> &Gauge {
        &self.body_bytes
    }

    /// Open TLS connections.
    pub fn connections(&self) -> &Gauge {
        &self.connections
    }

    /// Shows a new inventory.
    pub fn inventory_built(&self, sizes: InventorySizes, policy: PolicySource) {
        self.inventory_builds.inc();
        let sizes = [
            sizes.projects,
            sizes.application_sets,
            sizes.clusters,
            sizes.repositories,
            sizes.unreadable,
        ];
        for (gauge, size) in self.inventory_objects.iter().zip(sizes) {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        for (gauge, source) in self.policy_sources.iter().zip(PolicySource::ALL) {
            gauge.set(i64::from(source == policy));
        }
    }

    /// Counts a failure of a watch.
    pub fn watch_failed(&self, kind: WatchedKind) {
        if let Some(counter) = self.watches.failures.get(kind as usize) {
            counter.inc();
        }
    }

    /// Notes that a watch told something.
    pub fn watch_told(&self, kind: WatchedKind) {
        if let Some(gauge) = self.watches.times.get(kind as usize) {
            gauge.set(Timestamp::now().as_second());
        }
    }

    /// Shows until when the certificate that is served is valid.
    pub fn certificate_expires(&self, at: Timestamp) {
        self.certificate_expiry.set(at.as_second());
    }

    fn found(&self, finding: &Finding) {
        let rule = finding.rule.as_str();
        let counters = self.findings.iter().find(|(known, _)| *known == rule);
        let level = LEVELS.iter().position(|level| *level == finding.level);
        if let (Some((_, counters)), Some(level)) = (counters, level) {
            counters[level].inc();
        }
    }
}

fn rule_ids() -> impl Iterator<Item = &'static str> {
    policy::registry::all().map(|rule| rule.id.as_str())
}

fn request_labels() -> impl Iterator<Item = Labels<3>> {
    Kind::ALL.into_iter().flat_map(|kind| {
        Operation::ALL.into_iter().flat_map(move |operation| {
            Verdict::ALL.into_iter().map(move |verdict| {
                [
                    ("kind", kind.as_str()),
                    ("operation", operation.as_str()),
                    ("outcome", verdict.as_str()),
                ]
            })
        })
    })
}

/// The place of a series among [`request_labels`]; the order of variants is that of `ALL`.
fn request_index(kind: Kind, operation: Operation, verdict: Verdict) -> usize {
    let operations = kind as usize * Operation::ALL.len() + operation as usize;
    operations * Verdict::ALL.len() + verdict as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_series_is_found_at_its_index() {
        let labels: Vec<_> = request_labels().collect();
        for kind in Kind::ALL {
            for operation in Operation::ALL {
                for verdict in Verdict::ALL {
                    let expected = [
                        ("kind", kind.as_str()),
                        ("operation", operation.as_str()),
                        ("outcome", verdict.as_str()),
                    ];
                    assert_eq!(labels[request_index(kind, operation, verdict)], expected);
                }
            }
        }
    }
}
