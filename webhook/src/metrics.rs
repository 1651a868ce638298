//! Metrics, for Prometheus.
//!
//! Labels take their values from closed sets: never a name, a namespace or an error. Every series
//! exists from the start, and the request path holds handles to them: it looks nothing up and waits
//! for no lock that a scrape holds.

use std::time::Duration;

use jiff::Timestamp;
use policy::break_glass::{Record, RecordKind};
use policy::{Finding, Level, RuleId};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::admission_review::decide::{Decision, Verdict};
use crate::admission_review::failure::Failure;
use crate::admission_review::request::{ObjectKind, Operation, Review};

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
    /// Metadata of Applications, by the replica that leads.
    Application,
    /// ApplicationSets.
    ApplicationSet,
    /// Cluster Secrets.
    Cluster,
    /// Repository Secrets.
    Repository,
    /// The ConfigMap `argocd-cm`.
    Settings,
    /// The ConfigMap `argocd-cmd-params-cm`.
    Parameters,
    /// The definition of Application.
    ApplicationDefinition,
    /// The definition of `ImageUpdater`.
    ImageUpdaterDefinition,
    /// The GitOpsPolicy.
    Policy,
    /// The webhook's own configuration.
    WebhookConfiguration,
}

impl WatchedKind {
    const ALL: [WatchedKind; 11] = [
        WatchedKind::Project,
        WatchedKind::Application,
        WatchedKind::ApplicationSet,
        WatchedKind::Cluster,
        WatchedKind::Repository,
        WatchedKind::Settings,
        WatchedKind::Parameters,
        WatchedKind::ApplicationDefinition,
        WatchedKind::ImageUpdaterDefinition,
        WatchedKind::Policy,
        WatchedKind::WebhookConfiguration,
    ];

    /// The kind as metrics and the log name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            WatchedKind::Project => "AppProject",
            WatchedKind::Application => "Application",
            WatchedKind::ApplicationSet => "ApplicationSet",
            WatchedKind::Cluster => "cluster Secret",
            WatchedKind::Repository => "repository Secret",
            WatchedKind::Settings => "ConfigMap argocd-cm",
            WatchedKind::Parameters => "ConfigMap argocd-cmd-params-cm",
            WatchedKind::ApplicationDefinition => "CustomResourceDefinition of Application",
            WatchedKind::ImageUpdaterDefinition => "CustomResourceDefinition of ImageUpdater",
            WatchedKind::Policy => "GitOpsPolicy",
            WatchedKind::WebhookConfiguration => "ValidatingWebhookConfiguration",
        }
    }
}

/// What became of an Event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventOutcome {
    /// The API server has it.
    Published,
    /// The API server did not take it.
    Failed,
    /// Too many were waiting to be published.
    Dropped,
}

impl EventOutcome {
    const ALL: [EventOutcome; 3] = [
        EventOutcome::Published,
        EventOutcome::Failed,
        EventOutcome::Dropped,
    ];

    /// The outcome as the metric names it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventOutcome::Published => "published",
            EventOutcome::Failed => "failed",
            EventOutcome::Dropped => "dropped",
        }
    }
}

/// Counts Events, by what became of them. A handle: its clones count the same.
#[derive(Clone)]
pub struct EventMetrics([Counter; EventOutcome::ALL.len()]);

impl EventMetrics {
    fn register(registry: &mut Registry) -> Self {
        let events = Family::<Labels<1>, Counter>::default();
        registry.register(
            "events",
            "Kubernetes Events about Argo CD's objects, by what became of them",
            events.clone(),
        );
        EventMetrics(
            EventOutcome::ALL
                .map(|outcome| events.get_or_create_owned(&[("outcome", outcome.as_str())])),
        )
    }

    /// Counts one.
    pub fn count(&self, outcome: EventOutcome) {
        self.0[outcome as usize].inc();
    }
}

/// Counts overrides, by rule and by what happened to them.
struct BreakGlassMetrics {
    records: Vec<(&'static str, [Counter; RecordKind::ALL.len()])>,
    active: Vec<(&'static str, Gauge)>,
    expired: Vec<(&'static str, Gauge)>,
}

/// In place of a rule where an override names none that there is.
const NO_RULE: &str = "none";

impl BreakGlassMetrics {
    fn register(registry: &mut Registry) -> Self {
        let family = Family::<Labels<2>, Counter>::default();
        registry.register(
            "break_glass",
            "Overrides that were granted, allowed for a write, ended early or refused, by rule; dry runs do not count",
            family.clone(),
        );
        let counters = |rule: &'static str| {
            let of_kind = |kind: RecordKind| {
                family.get_or_create_owned(&[("rule", rule), ("outcome", kind.as_str())])
            };
            (rule, RecordKind::ALL.map(of_kind))
        };
        let mut gauges = |name, help| -> Vec<(&'static str, Gauge)> {
            let family = Family::<Labels<1>, Gauge>::default();
            registry.register(name, help, family.clone());
            let gauge = |rule| (rule, family.get_or_create_owned(&[("rule", rule)]));
            rule_ids().map(gauge).collect()
        };
        BreakGlassMetrics {
            records: rule_ids().chain([NO_RULE]).map(counters).collect(),
            active: gauges(
                "break_glass_active",
                "Objects on which a rule is overruled, by rule; 0 but for the replica that leads",
            ),
            expired: gauges(
                "break_glass_expired",
                "Objects that violate a rule since its override ran out, by rule; 0 but for the replica that leads",
            ),
        }
    }

    fn stand(&self, active: &[RuleId], expired: &[RuleId]) {
        for (gauges, rules) in [(&self.active, active), (&self.expired, expired)] {
            for (rule, gauge) in gauges {
                let count = rules.iter().filter(|named| named.as_str() == *rule).count();
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    fn count(&self, record: &Record) {
        let named: Vec<&str> = match record.rules.as_slice() {
            [] => vec![NO_RULE],
            rules => rules.iter().map(|rule| rule.as_str()).collect(),
        };
        let counted = self.records.iter().filter(|(rule, _)| named.contains(rule));
        for (_, counters) in counted {
            counters[record.kind as usize].inc();
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

/// What the installed API has that older versions had not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Features {
    /// Application keeps `spec.syncPolicy.automated.enabled`, as since Argo CD 3.1.
    pub automated_enabled: bool,
    /// Application has `directory.disableExtensionFilter`, as since Argo CD 3.6: AppProjects are read as
    /// that version does.
    pub disable_extension_filter: bool,
    /// There is the kind `ImageUpdater`, as since version 1.0 of the image updater. Nothing while that
    /// is not known.
    pub image_updater: Option<bool>,
}

impl Features {
    const NAMES: [&str; 3] = [
        "automated.enabled",
        "directory.disableExtensionFilter",
        "ImageUpdater",
    ];

    fn register(registry: &mut Registry) -> Vec<Gauge> {
        let gauges = Family::<Labels<1>, Gauge>::default();
        registry.register(
            "argo_cd_features",
            "What the installed API has that older versions had not: 1 if it is there, 0 if not or not known",
            gauges.clone(),
        );
        Features::NAMES
            .map(|name| gauges.get_or_create_owned(&[("feature", name)]))
            .into()
    }

    /// Which are there for certain, in the order of `NAMES`.
    fn present(self) -> [bool; 3] {
        [
            self.automated_enabled,
            self.disable_extension_filter,
            self.image_updater == Some(true),
        ]
    }
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
    policy: PolicyMetrics,
    features: Vec<Gauge>,
    watches: WatchMetrics,
    events: EventMetrics,
    break_glass: BreakGlassMetrics,
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

/// Which policy counts, and what it lacks.
#[derive(Debug)]
struct PolicyMetrics {
    /// In the order of [`PolicySource::ALL`].
    sources: Vec<Gauge>,
    lacks_production: Gauge,
}

impl PolicyMetrics {
    fn register(registry: &mut Registry) -> Self {
        let sources = Family::<Labels<1>, Gauge>::default();
        registry.register(
            "policy_source",
            "Where the policy that counts comes from: one source is 1, the others are 0",
            sources.clone(),
        );
        let lacks_production = Gauge::default();
        registry.register(
            "policy_lacks_production",
            "1 while no environment of the policy is production, so that no rule for production holds anywhere",
            lacks_production.clone(),
        );
        PolicyMetrics {
            sources: PolicySource::ALL
                .map(|source| sources.get_or_create_owned(&[("source", source.as_str())]))
                .into(),
            lacks_production,
        }
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
            "Calls that got an HTTP error or no answer, so that failurePolicy decided, by reason",
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
            policy: PolicyMetrics::register(&mut registry),
            features: Features::register(&mut registry),
            watches: WatchMetrics::register(&mut registry),
            events: EventMetrics::register(&mut registry),
            break_glass: BreakGlassMetrics::register(&mut registry),
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
        for (gauge, source) in self.policy.sources.iter().zip(PolicySource::ALL) {
            gauge.set(i64::from(source == policy));
        }
    }

    /// Shows whether the policy has environments of which none is production.
    pub fn policy_lacks_production(&self, lacks: bool) {
        self.policy.lacks_production.set(i64::from(lacks));
    }

    /// Shows what the installed API has.
    pub fn features_detected(&self, features: Features) {
        for (gauge, present) in self.features.iter().zip(features.present()) {
            gauge.set(i64::from(present));
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

    /// Counts what happened to an override.
    pub fn break_glass(&self, record: &Record) {
        self.break_glass.count(record);
    }

    /// Shows which rules are overruled, and which are violated since that is over: each once for each object.
    pub fn overrides_stand(&self, active: &[RuleId], expired: &[RuleId]) {
        self.break_glass.stand(active, expired);
    }

    /// What counts Events.
    pub fn events(&self) -> &EventMetrics {
        &self.events
    }

    /// Shows until when the certificate that is served is valid.
    pub fn certificate_expires(&self, at: Timestamp) {
        self.certificate_expiry.set(at.as_second());
    }

    fn found(&self, finding: &Finding) {
        let rule = finding.rule.as_str();
        let counters = self.findings.iter().find(|(known, _)| *known == rule);
        let level = LEVELS.iter().position(|level| *level == finding.level());
        if let (Some((_, counters)), Some(level)) = (counters, level) {
            counters[level].inc();
        }
    }
}

fn rule_ids() -> impl Iterator<Item = &'static str> {
    policy::registry::all().map(|rule| rule.id.as_str())
}

fn request_labels() -> impl Iterator<Item = Labels<3>> {
    ObjectKind::ALL.into_iter().flat_map(|kind| {
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
fn request_index(kind: ObjectKind, operation: Operation, verdict: Verdict) -> usize {
    let place = ObjectKind::ALL.iter().position(|one| *one == kind);
    let operations =
        place.unwrap_or(ObjectKind::ALL.len()) * Operation::ALL.len() + operation as usize;
    operations * Verdict::ALL.len() + verdict as usize
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    #[test]
    fn each_request_series_is_found_at_its_index() {
        let labels: Vec<_> = request_labels().collect();
        for kind in ObjectKind::ALL {
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

    /// `UPDATE_DOCS=1` in the environment writes it anew.
    #[test]
    fn the_page_has_every_metric() {
        const START: &str = "metrics` -->\n";
        const END: &str = "<!-- /metrics -->";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/reference/metrics.md");
        let page = fs::read_to_string(&path).expect("the page is there");
        let (before, rest) = page.split_once(START).expect("there is a place for it");
        let (written, after) = rest.split_once(END).expect("the place has an end");
        let generated = table(&Metrics::new().encode().expect("metrics are text"));
        if env::var_os("UPDATE_DOCS").is_some() {
            let page = format!("{before}{START}{generated}{END}{after}");
            fs::write(&path, page).expect("the page is written");
        } else {
            assert_eq!(written, generated, "UPDATE_DOCS=1 writes it");
        }
    }

    /// A row for each metric of a text in Prometheus' format.
    fn table(text: &str) -> String {
        let mut table = "| metric | type | |\n|---|---|---|\n".to_owned();
        let about = |line: &'static str, text: &str| {
            let lines = text.lines().filter_map(move |text| text.strip_prefix(line));
            let pairs = lines.filter_map(|rest| rest.split_once(' '));
            let pairs = pairs.map(|(name, rest)| (name.to_owned(), rest.to_owned()));
            pairs.collect::<Vec<_>>()
        };
        let types = about("# TYPE ", text);
        for (name, help) in about("# HELP ", text) {
            let kind = types.iter().find(|(of, _)| *of == name);
            let kind = kind.map_or("", |(_, kind)| kind);
            let help = help.trim_end_matches('.');
            let _ = writeln!(table, "| `{name}` | {kind} | {help} |");
        }
        table
    }
}
