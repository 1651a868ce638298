//! What an Application says of itself: where it deploys to, and what Argo CD found at its last
//! comparison.

use argocd::Application;
use argocd::application::ApplicationSpec;
use argocd::comparison::{self, Generation, StrategyChoice};
use argocd::names::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER};
use jiff::{SignedDuration, Timestamp};
use policy::environment::environments_of_application;
use policy::{Inventory, Kind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::decode;
use crate::kubernetes::{reference_of, resource_of};

/// How often Argo CD compares where `argocd-cm` does not say otherwise (Argo CD 3.6,
/// `timeout.reconciliation`).
const DEFAULT_PERIOD: SignedDuration = SignedDuration::from_secs(120);

/// After how many periods without a comparison its controller counts as absent.
const MISSED_PERIODS: i32 = 3;

/// Annotation that has Argo CD leave an Application alone.
const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// Annotation that says how to compare, on an Application or a resource.
pub(super) const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";

/// How Argo CD's application controller is set up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ControllerSettings {
    /// How often it compares each Application; None where it does so only upon changes.
    pub(crate) period: Option<SignedDuration>,
    /// Whether it compares by dry runs unless an Application says otherwise; None where that is
    /// not known.
    pub(crate) server_side_diff: Option<bool>,
    /// As which versions of Argo CD it compares.
    pub(crate) generation: Generation,
}

impl Default for ControllerSettings {
    fn default() -> Self {
        ControllerSettings {
            period: Some(DEFAULT_PERIOD),
            server_side_diff: None,
            generation: Generation::Since36,
        }
    }
}

impl ControllerSettings {
    /// As which versions one of a version such as `v3.5.1` compares. Whatever is no version counts
    /// as the newest.
    pub(crate) fn generation_of(version: &str) -> Generation {
        let version = version.trim_start_matches('v').parse::<semver::Version>();
        match version {
            Ok(version) if (version.major, version.minor) < (3, 6) => Generation::UpTo35,
            _ => Generation::Since36,
        }
    }

    /// Reads `timeout.reconciliation` as Go reads a duration. What cannot be read is the default.
    pub(crate) fn period_of(text: &str) -> Option<SignedDuration> {
        let text = text.trim();
        let period = match text {
            "" => DEFAULT_PERIOD,
            "0" => SignedDuration::ZERO,
            text => text.parse().unwrap_or(DEFAULT_PERIOD),
        };
        period.is_positive().then_some(period)
    }
}

/// What Argo CD says of an Application or a resource.
#[expect(clippy::enum_variant_names, reason = "Argo CD's own words")]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(crate) enum Sync {
    Synced,
    OutOfSync,
    Unknown,
}

impl Sync {
    fn of(text: &str) -> Self {
        match text {
            "Synced" => Sync::Synced,
            "OutOfSync" => Sync::OutOfSync,
            _ => Sync::Unknown,
        }
    }

    /// As Argo CD writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Sync::Synced => "Synced",
            Sync::OutOfSync => "OutOfSync",
            Sync::Unknown => "Unknown",
        }
    }
}

/// How Argo CD compares the resources of an Application.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Strategy {
    /// By a dry run of a server-side apply.
    ServerSide,
    /// By the schema and `managedFields`.
    Structured,
    /// By what was applied last; without that it is two-way, resource by resource.
    ThreeWay,
}

impl Strategy {
    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Strategy::ServerSide => "server-side",
            Strategy::Structured => "structured",
            Strategy::ThreeWay => "three-way",
        }
    }
}

/// The cluster that an Application deploys to, as far as it is known.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Destination {
    pub(crate) name: Option<String>,
    pub(crate) server: Option<String>,
}

impl Destination {
    /// What tells it from other clusters: its server, else its name.
    pub(crate) fn key(&self) -> &str {
        let known = self.server.as_deref().or(self.name.as_deref());
        known.unwrap_or_default()
    }

    /// Its name, else its server.
    pub(crate) fn display_name(&self) -> &str {
        let known = self.name.as_deref().or(self.server.as_deref());
        known.unwrap_or("(unknown)")
    }
}

/// A folder that an Application is deployed from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SourceFolder {
    pub(crate) repository: String,
    /// From the top of the repository.
    pub(crate) path: String,
    pub(crate) revision: String,
}

fn sources(spec: &ApplicationSpec<'_>) -> Vec<SourceFolder> {
    let one = spec.sync_source();
    let several = match spec.sync_sources() {
        [] => one.as_deref().map(std::slice::from_ref).unwrap_or_default(),
        several => several,
    };
    let folders = several.iter().filter(|source| source.chart.is_empty());
    folders
        .map(|source| SourceFolder {
            repository: source.repo_url.to_string(),
            path: source.path.to_string(),
            revision: source.target_revision.to_string(),
        })
        .collect()
}

/// What an Application says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Overview {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// When it was created, as the API server writes it.
    pub(crate) created: Option<String>,
    pub(crate) project: String,
    pub(crate) cluster: Destination,
    /// What it is deployed from.
    pub(crate) sources: Vec<SourceFolder>,
    /// All that anything is evidence of, production first.
    pub(crate) environments: Vec<String>,
    pub(crate) is_production: bool,
    pub(crate) sync: Sync,
    pub(crate) health: Option<String>,
    /// When it was last compared, as Argo CD writes it.
    pub(crate) reconciled_at: Option<String>,
    pub(crate) strategy: Option<Strategy>,
    /// Whether Argo CD deletes by itself what is not in Git.
    pub(crate) prunes: bool,
    /// Whether the last sync that succeeded was to the revision that it was compared with.
    pub(crate) is_revision_synced: bool,
    /// Why what it says may be out of date.
    pub(crate) stale: Option<String>,
    /// Argo CD's conditions that are errors, as `TYPE: message`.
    pub(crate) errors: Vec<String>,
    pub(crate) resources: Vec<ListedResource>,
}

/// An Application cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{object} cannot be read: {reason}")]
pub(crate) struct UnreadableApplication {
    pub(crate) object: String,
    pub(crate) reason: String,
}

/// An entry of `status.resources`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListedResource {
    pub(crate) group: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    status: Option<String>,
    health: Option<Health>,
    requires_pruning: Option<bool>,
}

impl ListedResource {
    /// What Argo CD says of it; None for what does not count, such as hooks.
    pub(crate) fn status(&self) -> Option<Sync> {
        let status = self.status.as_deref().filter(|status| !status.is_empty());
        status.map(Sync::of)
    }

    /// Whether it is not in Git.
    pub(crate) fn is_extra(&self) -> bool {
        self.requires_pruning == Some(true)
    }

    /// Whether Argo CD says that it is not there.
    pub(crate) fn is_missing(&self) -> bool {
        let health = self.health.as_ref();
        health.and_then(|health| health.status.as_deref()) == Some("Missing")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    creation_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status<'a> {
    #[serde(borrow)]
    sync: Option<SyncStatus<'a>>,
    health: Option<Health>,
    reconciled_at: Option<String>,
    resources: Option<Vec<ListedResource>>,
    conditions: Option<Vec<Condition>>,
    operation_state: Option<OperationState>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SyncStatus<'a> {
    status: Option<String>,
    revision: Option<String>,
    revisions: Option<Vec<String>>,
    #[serde(borrow)]
    compared_to: Option<&'a RawValue>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    status: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: Option<String>,
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OperationState {
    phase: Option<String>,
    sync_result: Option<Revisions>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Revisions {
    revision: Option<String>,
    revisions: Option<Vec<String>>,
}

impl Overview {
    /// Reads an Application from its JSON, by what is known of the fleet.
    ///
    /// # Errors
    /// A value is not of the type that Argo CD writes.
    pub(crate) fn read(
        json: &str,
        inventory: &Inventory,
        settings: ControllerSettings,
        now: Timestamp,
    ) -> Result<Self, UnreadableApplication> {
        let unreadable = |reason| UnreadableApplication {
            object: reference_of(&resource_of(Kind::Application), json).short(),
            reason,
        };
        let application: Application<'_> = decode(json).map_err(unreadable)?;
        let document: Document<'_> = decode(json).map_err(unreadable)?;
        let status = document.status.unwrap_or_default();
        let sync = status.sync.unwrap_or_default();
        let metadata = &application.metadata;
        let found = environments_of_application(&application, inventory).environments;
        let is_production = found.iter().any(|environment| environment.production);
        let mut environments: Vec<_> = found
            .iter()
            .map(|environment| (!environment.production, environment.environment.to_owned()))
            .collect();
        environments.sort_by_key(|(is_other, _)| *is_other);
        let synced = status.operation_state.as_ref();
        let synced = synced.filter(|state| state.phase.as_deref() == Some("Succeeded"));
        let synced = synced.and_then(|state| state.sync_result.as_ref());
        let staleness = Staleness {
            application: &application,
            compared_to: sync.compared_to.map(RawValue::get),
            reconciled_at: status.reconciled_at.as_deref(),
            created: document.metadata.creation_timestamp.as_deref(),
            period: settings.period,
            now,
        };
        let conditions = status.conditions.unwrap_or_default().into_iter();
        Ok(Overview {
            namespace: metadata.namespace.to_string(),
            name: metadata.name.to_string(),
            created: document.metadata.creation_timestamp.clone(),
            project: application.spec.project().to_owned(),
            cluster: destination(&application, inventory),
            sources: sources(&application.spec),
            environments: environments.into_iter().map(|(_, name)| name).collect(),
            is_production,
            sync: Sync::of(sync.status.as_deref().unwrap_or_default()),
            health: status.health.and_then(|health| health.status),
            strategy: strategy(&application, settings),
            prunes: prunes(&application),
            is_revision_synced: synced.is_some_and(|synced| {
                synced.revision.as_deref().unwrap_or_default()
                    == sync.revision.as_deref().unwrap_or_default()
                    && synced.revisions.as_deref().unwrap_or_default()
                        == sync.revisions.as_deref().unwrap_or_default()
            }),
            stale: staleness.reason(inventory),
            errors: conditions.filter_map(error_of).collect(),
            resources: status.resources.unwrap_or_default(),
            reconciled_at: status.reconciled_at,
        })
    }

    /// What stands for the Application of objects that none applies, in Argo CD's namespace.
    pub(crate) fn of_nobody(namespace: &str) -> Self {
        Overview {
            namespace: namespace.to_owned(),
            name: String::new(),
            created: None,
            project: String::new(),
            cluster: Destination {
                name: Some(IN_CLUSTER_NAME.to_owned()),
                server: Some(IN_CLUSTER_SERVER.to_owned()),
            },
            sources: Vec::new(),
            environments: Vec::new(),
            is_production: false,
            sync: Sync::Unknown,
            health: None,
            reconciled_at: None,
            strategy: None,
            prunes: false,
            is_revision_synced: true,
            stale: None,
            errors: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// `argocd/cart`.
    pub(crate) fn display_name(&self) -> String {
        if self.name.is_empty() {
            return "no Application".to_owned();
        }
        format!("{}/{}", self.namespace, self.name)
    }

    /// What Argo CD says of a resource.
    pub(crate) fn listed(
        &self,
        group: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<&ListedResource> {
        let is = |value: &Option<String>, text: &str| value.as_deref().unwrap_or_default() == text;
        self.resources.iter().find(|listed| {
            is(&listed.group, group)
                && is(&listed.kind, kind)
                && is(&listed.namespace, namespace)
                && is(&listed.name, name)
        })
    }
}

/// Argo CD's types of conditions end so if they are errors.
fn error_of(condition: Condition) -> Option<String> {
    let kind = condition.r#type.filter(|kind| kind.ends_with("Error"))?;
    Some(format!("{kind}: {}", condition.message.unwrap_or_default()))
}

fn destination(application: &Application<'_>, inventory: &Inventory) -> Destination {
    let written = &application.spec.destination;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match inventory.fleet.clusters.resolve(written) {
        Ok(cluster) => Destination {
            name: some(&cluster.name),
            server: some(&cluster.server),
        },
        Err(_) => Destination {
            name: some(&written.name),
            server: some(&written.server),
        },
    }
}

/// How its resources are compared, where that is known.
fn strategy(application: &Application<'_>, settings: ControllerSettings) -> Option<Strategy> {
    let choice = strategy_choice(application, settings);
    let is_known =
        settings.server_side_diff.is_some() || choice.compare_options.contains("ServerSideDiff=");
    let strategy = match choice.strategy() {
        comparison::Strategy::ServerSide { .. } => return Some(Strategy::ServerSide),
        comparison::Strategy::Structured => Strategy::Structured,
        comparison::Strategy::ClientSide => Strategy::ThreeWay,
    };
    is_known.then_some(strategy)
}

/// What decides how the resources of an Application are compared.
pub(crate) fn strategy_choice<'a>(
    application: &'a Application<'_>,
    settings: ControllerSettings,
) -> StrategyChoice<'a> {
    let annotation = application.metadata.annotations.get(COMPARE_OPTIONS);
    let options = &application.spec.sync_policy().sync_options;
    let mut options = options.iter();
    StrategyChoice {
        compare_options: annotation.unwrap_or_default(),
        server_side_apply: options.any(|option| option.as_str() == "ServerSideApply=true"),
        controller_server_side_diff: settings.server_side_diff.unwrap_or_default(),
        generation: settings.generation,
    }
}

fn prunes(application: &Application<'_>) -> bool {
    let policy = application.spec.sync_policy();
    let automated = policy.automated.as_ref();
    automated.is_some_and(|automated| automated.prune() && automated.enabled != Some(false))
        && !policy
            .sync_options
            .iter()
            .any(|option| option.as_str() == "Prune=false")
}

/// What tells whether a verdict of Argo CD's is out of date.
struct Staleness<'s> {
    application: &'s Application<'s>,
    compared_to: Option<&'s str>,
    reconciled_at: Option<&'s str>,
    created: Option<&'s str>,
    period: Option<SignedDuration>,
    now: Timestamp,
}

impl Staleness<'_> {
    /// Why it is, with since when.
    fn reason(&self, inventory: &Inventory) -> Option<String> {
        let metadata = &self.application.metadata;
        let since = match self.reconciled_at {
            Some(time) => format!("not compared since {time}"),
            None => "never compared".to_owned(),
        };
        let is_skipped = metadata
            .annotations
            .get(SKIP_RECONCILE)
            .is_some_and(is_true);
        if is_skipped {
            return Some(format!("{since}: annotation {SKIP_RECONCILE} is set"));
        }
        let namespaces = inventory.namespaces.as_ref();
        if namespaces.is_some_and(|all| !all.have_applications(&metadata.namespace)) {
            return Some(format!(
                "{since}: Argo CD does not look after Applications in namespace {}",
                metadata.namespace
            ));
        }
        if self.is_overdue() {
            return Some(format!("{since}: its controller does not write"));
        }
        if self.reconciled_at.is_some() && self.is_of_another_spec() {
            return Some(format!(
                "{since}: source, destination or ignoreDifferences are others now"
            ));
        }
        None
    }

    /// One that was just created has its time as well.
    fn is_overdue(&self) -> bool {
        let last = self.reconciled_at.or(self.created);
        let last: Option<Timestamp> = last.and_then(|time| time.parse().ok());
        match (last, self.period) {
            (Some(last), Some(period)) => self.now.duration_since(last) > period * MISSED_PERIODS,
            _ => false,
        }
    }

    /// `status.sync.comparedTo` has members of the spec (Argo CD 3.6, `BuildComparedToStatus`).
    fn is_of_another_spec(&self) -> bool {
        let Some(compared) = self.compared_to else {
            return false;
        };
        let Ok(compared) = serde_json::from_str::<ApplicationSpec<'_>>(compared) else {
            return true;
        };
        let spec = &self.application.spec;
        let sources = spec.sync_sources();
        let is_same_source = sources == compared.sources
            && (!sources.is_empty() || spec.sync_source().as_deref() == compared.source.as_ref());
        !(is_same_source
            && spec.destination == compared.destination
            && spec.ignore_differences == compared.ignore_differences)
    }
}

/// As Go's `strconv.ParseBool`.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use argocd::application::EnabledField;
    use argocd::fleet::{Fleet, Parts};
    use policy::{Completeness, GitOpsPolicySpec};
    use serde_json::{Value, json};

    use super::*;

    fn inventory() -> Inventory {
        let fleet = Fleet::new(Parts::default());
        Inventory::new(
            fleet,
            Completeness::Partial,
            EnabledField::default(),
            GitOpsPolicySpec::default(),
        )
        .unwrap()
    }

    fn read_as(generation: Generation, change: &Value) -> Overview {
        let source = json!({"repoURL": "https://git.example.com/a.git", "path": "a"});
        let destination = json!({"name": "prod", "namespace": "a"});
        let mut application = json!({
            "metadata": {"name": "cart", "namespace": "argocd", "creationTimestamp": "2026-11-30T08:00:00Z"},
            "spec": {"project": "shop", "source": source, "destination": destination},
            "status": {
                "reconciledAt": "2026-11-30T09:58:00Z",
                "sync": {
                    "status": "Synced",
                    "revision": "abc",
                    "comparedTo": {"source": source, "destination": destination},
                },
            },
        });
        json_patch::merge(&mut application, change);
        let settings = ControllerSettings {
            server_side_diff: Some(false),
            generation,
            ..ControllerSettings::default()
        };
        let now = "2026-11-30T10:00:00Z".parse().unwrap();
        Overview::read(&application.to_string(), &inventory(), settings, now).unwrap()
    }

    fn read(change: &Value) -> Overview {
        read_as(Generation::Since36, change)
    }

    fn stale(change: &Value) -> Option<String> {
        read(change).stale
    }

    #[test]
    fn a_verdict_that_is_out_of_date_says_since_when() {
        assert_eq!(stale(&json!({})), None);
        assert_eq!(
            stale(&json!({"status": {"reconciledAt": "2026-11-30T09:53:59Z"}})).unwrap(),
            "not compared since 2026-11-30T09:53:59Z: its controller does not write"
        );
        assert_eq!(
            stale(&json!({"status": {"reconciledAt": "2026-11-30T09:54:00Z"}})),
            None
        );
        let skipped = |value: &str| json!({"metadata": {"annotations": {SKIP_RECONCILE: value}}});
        assert!(stale(&skipped("true")).unwrap().contains("skip-reconcile"));
        assert_eq!(stale(&skipped("yes")), None);
        assert_eq!(
            stale(&json!({"status": null})).unwrap(),
            "never compared: its controller does not write"
        );
        let new =
            json!({"status": null, "metadata": {"creationTimestamp": "2026-11-30T09:59:00Z"}});
        assert_eq!(stale(&new), None);
    }

    #[test]
    fn a_verdict_on_another_spec_is_out_of_date() {
        for spec in [
            json!({"source": {"path": "b"}}),
            json!({"destination": {"namespace": "b"}}),
            json!({"ignoreDifferences": [{"kind": "Service", "jsonPointers": ["/spec"]}]}),
            json!({"sources": [{"repoURL": "https://git.example.com/a.git", "path": "a"}]}),
        ] {
            let reason = stale(&json!({"spec": spec})).unwrap();
            assert!(reason.contains("are others now"), "{reason}");
        }
        // What means the same.
        assert_eq!(
            stale(&json!({"spec": {"ignoreDifferences": [], "syncPolicy": {"automated": {}}}})),
            None
        );
    }

    #[test]
    fn the_period_is_read_as_go_reads_it() {
        let period = |text| ControllerSettings::period_of(text).map(|period| period.as_secs());
        assert_eq!(period(""), Some(120));
        assert_eq!(period("180s"), Some(180));
        assert_eq!(period("1h30m"), Some(5400));
        assert_eq!(period("0"), None);
        assert_eq!(period("0s"), None);
        assert_eq!(period("soon"), Some(120));
    }

    #[test]
    fn how_is_compared_is_known_by_the_version() {
        for (version, generation) in [
            ("v3.5.7", Generation::UpTo35),
            ("3.2.11", Generation::UpTo35),
            ("v2.14.0", Generation::UpTo35),
            ("v3.6.0", Generation::Since36),
            ("v4.0.0", Generation::Since36),
            ("latest", Generation::Since36),
            ("sha256:abc", Generation::Since36),
        ] {
            assert_eq!(
                ControllerSettings::generation_of(version),
                generation,
                "{version}"
            );
        }
    }

    #[test]
    fn the_strategy_is_the_one_that_argo_cd_takes() {
        let annotated = |options: &str, more: &Value| {
            let mut change = json!({"metadata": {"annotations": {COMPARE_OPTIONS: options}}});
            json_patch::merge(&mut change, more);
            read(&change).strategy
        };
        let applies = json!({"spec": {"syncPolicy": {"syncOptions": ["ServerSideApply=true"]}}});
        assert_eq!(read(&json!({})).strategy, Some(Strategy::ThreeWay));
        assert_eq!(read(&applies).strategy, Some(Strategy::ServerSide));
        assert_eq!(
            read_as(Generation::UpTo35, &applies).strategy,
            Some(Strategy::Structured)
        );
        assert_eq!(
            annotated("IncludeMutationWebhook=true,ServerSideDiff=true", &applies),
            Some(Strategy::ServerSide)
        );
        assert_eq!(
            annotated("ServerSideDiff=false", &json!({})),
            Some(Strategy::ThreeWay)
        );
    }

    #[test]
    fn what_is_not_an_application_is_told_without_its_values() {
        let settings = ControllerSettings::default();
        let json = r#"{"metadata":{"name":"cart"},"status":{"health":{"status":{"password":1}}}}"#;
        let error = Overview::read(json, &inventory(), settings, Timestamp::UNIX_EPOCH);
        assert_eq!(
            error.unwrap_err().to_string(),
            "application/cart cannot be read: status.health.status is not what Argo CD writes there"
        );
    }
}
