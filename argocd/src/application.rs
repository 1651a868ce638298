//! Application: the part of it that anything here reads, borrowed from the document.
//!
//! Decoding follows Go's: names are case-sensitive, unknown fields are ignored, `null` leaves the
//! zero value, a value of a wrong type is an error. Of `status`, by far the largest part, only the
//! kinds of resources, the compared revisions and a running operation are kept.

pub mod revision;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::kubernetes::Metadata;
use crate::limited;
use crate::names::{DEFAULT_PROJECT, GROUP, RESOURCES_FINALIZERS, RESPECT_IGNORE_DIFFERENCES};
use golang::json::{Text, null_as_default, object, object_set, objects, optional_object};
use golang::work::Work;

/// An Application as its document has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Application<'a> {
    /// Name, namespace, labels, annotations.
    #[serde(borrow, deserialize_with = "object")]
    pub metadata: Metadata<'a>,
    /// What is to be deployed where.
    #[serde(borrow, deserialize_with = "object")]
    pub spec: ApplicationSpec<'a>,
    /// A sync that was asked for and has not ended.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub operation: Option<Operation<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    status: ApplicationStatus<'a>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ApplicationStatus<'a> {
    #[serde(borrow, deserialize_with = "object_set")]
    resources: BTreeSet<GroupKind<'a>>,
    #[serde(borrow, deserialize_with = "object")]
    sync: SyncStatus<'a>,
    #[serde(borrow, deserialize_with = "optional_object")]
    operation_state: Option<OperationState<'a>>,
}

/// `status.operationState`: the operation that is under way, as its controller remembers it. While
/// it runs, the controller goes by this and not by `operation` (Argo CD 3.5,
/// `processRequestedAppOperation` and `SyncAppState`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState<'a> {
    #[serde(borrow)]
    phase: Text<'a>,
    #[serde(borrow, deserialize_with = "optional_object")]
    operation: Option<Operation<'a>>,
    #[serde(borrow, deserialize_with = "optional_object")]
    sync_result: Option<SyncResult<'a>>,
}

/// `status.operationState.syncResult`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct SyncResult<'a> {
    #[serde(borrow)]
    revision: Text<'a>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    revisions: Vec<Text<'a>>,
    #[serde(borrow, deserialize_with = "optional_object")]
    source: Option<ApplicationSource<'a>>,
    #[serde(borrow, deserialize_with = "objects")]
    sources: Vec<ApplicationSource<'a>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SyncStatus<'a> {
    #[serde(borrow)]
    revision: Text<'a>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    revisions: Vec<Text<'a>>,
}

/// `spec` of an Application.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSpec<'a> {
    #[serde(borrow)]
    project: Text<'a>,
    /// The only source, unless `sources` or `sourceHydrator` is set.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub source: Option<ApplicationSource<'a>>,
    /// Several sources; they replace `source`.
    #[serde(borrow, deserialize_with = "objects")]
    pub sources: Vec<ApplicationSource<'a>>,
    /// Replaces both.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub source_hydrator: Option<SourceHydrator<'a>>,
    /// Where to.
    #[serde(borrow, deserialize_with = "object")]
    pub destination: ApplicationDestination<'a>,
    #[serde(borrow, deserialize_with = "optional_object")]
    sync_policy: Option<SyncPolicy<'a>>,
    /// Differences that do not count.
    #[serde(borrow, deserialize_with = "objects")]
    pub ignore_differences: Vec<IgnoreDifference<'a>>,
}

/// Where manifests come from.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSource<'a> {
    /// Git, Helm or OCI repository.
    #[serde(rename = "repoURL", borrow)]
    pub repo_url: Text<'a>,
    /// Folder in a Git repository.
    #[serde(borrow)]
    pub path: Text<'a>,
    /// Chart in a Helm repository.
    #[serde(borrow)]
    pub chart: Text<'a>,
    /// Commit, branch, tag, chart version or a constraint on them.
    #[serde(borrow)]
    pub target_revision: Text<'a>,
    /// Name under which value files of other sources refer to this one.
    #[serde(rename = "ref", borrow)]
    pub reference: Text<'a>,
    /// Name of the source.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Prefix of the tags that a version constraint ranges over.
    #[serde(borrow)]
    pub tag_prefix: Text<'a>,
    /// Helm options.
    #[serde(borrow)]
    pub helm: Options<'a>,
    /// Kustomize options.
    #[serde(borrow)]
    pub kustomize: Options<'a>,
    /// Options for plain manifests.
    #[serde(borrow)]
    pub directory: Options<'a>,
    /// Config management plugin.
    #[serde(borrow)]
    pub plugin: Options<'a>,
}

/// Options of a source, which are compared but not otherwise read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Options<'a>(#[serde(borrow)] Option<&'a RawValue>);

/// Memory for options that are compared, in bytes.
const OPTIONS_MEMORY: u64 = 4 << 20;

impl PartialEq for Options<'_> {
    /// Equal in meaning: Argo CD reads objects into Go types and writes them back, so that
    /// explicit zero values disappear without anybody having changed anything.
    fn eq(&self, other: &Self) -> bool {
        if self.text() == other.text() {
            return true;
        }
        // What cannot be parsed, being nested too deeply or too large, is equal to nothing but itself.
        match (self.without_zero_values(), other.without_zero_values()) {
            (Some(own), Some(others)) => own == others,
            _ => false,
        }
    }
}

impl Options<'_> {
    fn text(&self) -> &str {
        self.0.map_or("null", RawValue::get)
    }

    fn without_zero_values(&self) -> Option<Value> {
        let mut value = limited::from_json(self.text(), &Work::new(OPTIONS_MEMORY)).ok()?;
        drop_zero_values(&mut value);
        if is_zero_value(&value) {
            value = Value::Null;
        }
        Some(value)
    }
}

/// Members that Go keeps as they are: free JSON, and what is behind a pointer in the parameters of a
/// plugin.
const KEPT: [&str; 4] = ["valuesObject", "string", "map", "array"];

fn drop_zero_values(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let typed = |name: &str| !KEPT.contains(&name);
            for (_, member) in members.iter_mut().filter(|(name, _)| typed(name)) {
                drop_zero_values(member);
            }
            members.retain(|name, member| !typed(name) || !is_zero_value(member));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_zero_values),
        _ => {}
    }
}

fn is_zero_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Source whose rendered manifests are kept in Git.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceHydrator<'a> {
    /// What is rendered.
    #[serde(borrow, deserialize_with = "object")]
    pub dry_source: DrySource<'a>,
    /// What is synced.
    #[serde(borrow, deserialize_with = "object")]
    pub sync_source: SyncSource<'a>,
    /// Where rendered manifests wait for a review.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub hydrate_to: Option<HydrateTo<'a>>,
}

/// `sourceHydrator.drySource`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct DrySource<'a> {
    /// Git repository.
    #[serde(rename = "repoURL", borrow)]
    pub repo_url: Text<'a>,
    /// Folder.
    #[serde(borrow)]
    pub path: Text<'a>,
    /// Commit, branch or tag.
    #[serde(borrow)]
    pub target_revision: Text<'a>,
}

/// `sourceHydrator.syncSource`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncSource<'a> {
    /// Git repository; that of the dry source where it is empty.
    #[serde(rename = "repoURL", borrow)]
    pub repo_url: Text<'a>,
    /// Branch with the rendered manifests.
    #[serde(borrow)]
    pub target_branch: Text<'a>,
    /// Folder.
    #[serde(borrow)]
    pub path: Text<'a>,
}

impl<'a> SourceHydrator<'a> {
    /// The repository that is rendered, and the one that the outcome is written to and synced from,
    /// which may be the same.
    pub fn repositories(&self) -> impl Iterator<Item = &str> {
        let both = [&self.dry_source.repo_url, self.sync_repository()];
        both.into_iter().map(Text::as_str)
    }

    fn sync_repository(&self) -> &Text<'a> {
        let own = &self.sync_source.repo_url;
        if own.is_empty() {
            &self.dry_source.repo_url
        } else {
            own
        }
    }

    /// Where the rendered manifests are synced from (Argo CD 3.5, `SourceHydrator.GetSyncSource`).
    fn sync_source(&self) -> ApplicationSource<'a> {
        ApplicationSource {
            repo_url: self.sync_repository().clone(),
            path: self.sync_source.path.clone(),
            target_revision: self.sync_source.target_branch.clone(),
            ..ApplicationSource::default()
        }
    }
}

/// `sourceHydrator.hydrateTo`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct HydrateTo<'a> {
    /// Branch.
    #[serde(borrow)]
    pub target_branch: Text<'a>,
}

/// Cluster, by server or by name, and namespace.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ApplicationDestination<'a> {
    /// URL of the cluster's API server.
    #[serde(borrow)]
    pub server: Text<'a>,
    /// Name of the cluster.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Namespace for manifests that name none.
    #[serde(borrow)]
    pub namespace: Text<'a>,
}

/// `spec.syncPolicy`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy<'a> {
    /// Present, even if empty, it switches automated sync on; see [`SyncPolicy::automated_sync`].
    #[serde(deserialize_with = "optional_object")]
    pub automated: Option<Automated>,
    /// Options; compared as whole strings, unknown ones are ignored by Argo CD.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub sync_options: Vec<Text<'a>>,
}

/// `spec.syncPolicy.automated`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Automated {
    /// Known since Argo CD 3.1; an older CRD drops it as it is stored.
    pub enabled: Option<bool>,
    prune: Option<bool>,
    self_heal: Option<bool>,
    allow_empty: Option<bool>,
}

impl Automated {
    /// Delete what is no longer in Git.
    pub fn prune(&self) -> bool {
        self.prune.unwrap_or_default()
    }

    /// Sync again when the live state drifts.
    pub fn self_heal(&self) -> bool {
        self.self_heal.unwrap_or_default()
    }

    /// Let pruning delete everything.
    pub fn allow_empty(&self) -> bool {
        self.allow_empty.unwrap_or_default()
    }

    /// Whether `prune` or `selfHeal` is written, whatever its value.
    pub fn writes_prune_or_self_heal(&self) -> bool {
        self.prune.is_some() || self.self_heal.is_some()
    }

    fn meaning(&self) -> (Option<bool>, bool, bool, bool) {
        (
            self.enabled,
            self.prune(),
            self.self_heal(),
            self.allow_empty(),
        )
    }
}

impl PartialEq for Automated {
    /// Equal in meaning: Argo CD's rewrites drop what is `false`.
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

/// Whether Argo CD syncs an Application by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AutomatedSync {
    /// There is no `automated`.
    Off,
    /// `automated.enabled` is `false`.
    Disabled,
    /// Every new commit is applied.
    On {
        /// Deletes what is no longer in Git.
        prune: bool,
        /// Also puts back what drifted.
        self_heal: bool,
    },
}

/// Whether the installed Application CRD has `syncPolicy.automated.enabled`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EnabledField {
    /// Argo CD 3.1 and newer.
    #[default]
    Supported,
    /// Older: the field is dropped when the object is stored, which leaves `automated: {}`, on.
    Dropped,
}

impl SyncPolicy<'_> {
    /// Argo CD's own test for automated sync: `automated` is there and `enabled` is not `false`
    /// (Argo CD 3.5, `IsAutomatedSyncEnabled`). The values of `prune` and `selfHeal` play no part.
    pub fn automated_sync(&self, enabled_field: EnabledField) -> AutomatedSync {
        let Some(automated) = &self.automated else {
            return AutomatedSync::Off;
        };
        if automated.enabled == Some(false) && enabled_field == EnabledField::Supported {
            return AutomatedSync::Disabled;
        }
        AutomatedSync::On {
            prune: automated.prune(),
            self_heal: automated.self_heal(),
        }
    }

    /// Whether a sync leaves ignored fields as they are. Without it an ignored difference is only
    /// hidden, and still written by every sync.
    pub fn respects_ignore_differences(&self) -> bool {
        self.sync_options
            .iter()
            .any(|option| *option == RESPECT_IGNORE_DIFFERENCES)
    }
}

/// An entry of `spec.ignoreDifferences`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct IgnoreDifference<'a> {
    /// Glob on the API group; empty is the core group only.
    #[serde(borrow)]
    pub group: Text<'a>,
    /// Glob on the kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// Name of the object; any if empty.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Namespace of the object; any if empty.
    #[serde(borrow)]
    pub namespace: Text<'a>,
    /// JSON Pointers to remove before comparing.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub json_pointers: Vec<Text<'a>>,
    /// jq paths to delete before comparing.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub jq_path_expressions: Vec<Text<'a>>,
    /// Field managers whose differing fields do not count.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub managed_fields_managers: Vec<Text<'a>>,
}

/// `operation`: a request to sync. Whoever may patch the Application can write any of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation<'a> {
    /// What to sync.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub sync: Option<SyncOperation<'a>>,
}

/// `operation.sync`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncOperation<'a> {
    /// Replaces the revision of the only source.
    #[serde(borrow)]
    pub revision: Text<'a>,
    /// Replaces the revisions of several sources.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub revisions: Vec<Text<'a>>,
    /// Replaces the spec's source for this sync.
    #[serde(borrow, deserialize_with = "optional_object")]
    pub source: Option<ApplicationSource<'a>>,
    /// Replaces the spec's sources for this sync.
    #[serde(borrow, deserialize_with = "objects")]
    pub sources: Vec<ApplicationSource<'a>>,
    /// Literal manifests to apply in place of any source.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub manifests: Vec<Text<'a>>,
}

/// A kind of resource, as in `status.resources`.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(default)]
pub struct GroupKind<'a> {
    /// API group; empty for the core group.
    #[serde(borrow)]
    pub group: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
}

/// The sources that count, with the path in the Application of each.
pub enum Sources<'s, 'a> {
    /// `spec.sourceHydrator`.
    Hydrator(&'s SourceHydrator<'a>),
    /// `spec.sources`; not empty.
    Several(&'s [ApplicationSource<'a>]),
    /// `spec.source`, if it is there.
    Single(Option<&'s ApplicationSource<'a>>),
}

impl<'a> Application<'a> {
    /// Reads an Application from its JSON.
    ///
    /// # Errors
    /// The text is not JSON, or a value has another type than the CRD says.
    pub fn from_json(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The kinds of resources that Argo CD found at its last comparison; none if it has not compared
    /// yet. It is a cache, so it decides nothing alone.
    pub fn resource_kinds(&self) -> BTreeSet<&GroupKind<'a>> {
        self.status.resources.iter().collect()
    }

    /// Whether there are Applications or ApplicationSets among its resources, as in an app-of-apps.
    /// Like all of [`Application::resource_kinds`], it is what Argo CD found at its last comparison.
    pub fn manages_applications(&self) -> bool {
        let is_one = |resource: &GroupKind<'_>| {
            resource.group == GROUP
                && matches!(resource.kind.as_str(), "Application" | "ApplicationSet")
        };
        self.status.resources.iter().any(is_one)
    }

    /// Whether its deletion takes its resources along (Argo CD 3.5,
    /// `Application.CascadedDeletion`). How Kubernetes is asked to delete it plays no part.
    pub fn cascades_deletion(&self) -> bool {
        let finalizers = &self.metadata.finalizers;
        let is_one = |finalizer: &Text<'_>| RESOURCES_FINALIZERS.contains(&finalizer.as_str());
        finalizers.iter().any(is_one)
    }

    /// The revisions that Argo CD resolved the spec to at its last comparison.
    pub fn compared_revisions(&self) -> impl Iterator<Item = &str> {
        let SyncStatus {
            revision,
            revisions,
        } = &self.status.sync;
        std::iter::once(revision).chain(revisions).map(Text::as_str)
    }

    /// The operation that the status says is under way, if it says so (Argo CD 3.5,
    /// `isOperationInProgress`).
    pub fn running_operation(&self) -> Option<&OperationState<'a>> {
        let state = self.status.operation_state.as_ref()?;
        (!matches!(state.phase.as_str(), "Succeeded" | "Failed" | "Error")).then_some(state)
    }
}

impl<'a> ApplicationSpec<'a> {
    /// The project; an empty one is `default` (Argo CD 3.5, `ApplicationSpec.GetProject`).
    pub fn project(&self) -> &str {
        match self.project.as_str() {
            "" => DEFAULT_PROJECT,
            project => project,
        }
    }

    /// The project as it is written, possibly empty.
    pub fn written_project(&self) -> &str {
        &self.project
    }

    /// How and when to sync.
    pub fn sync_policy(&self) -> &SyncPolicy<'a> {
        const EMPTY: &SyncPolicy<'static> = &SyncPolicy {
            automated: None,
            sync_options: Vec::new(),
        };
        self.sync_policy.as_ref().unwrap_or(EMPTY)
    }

    /// Whether `syncPolicy` is written, if only as `{}`.
    pub fn writes_sync_policy(&self) -> bool {
        self.sync_policy.is_some()
    }

    /// Which sources count: the hydrator alone, else `sources`, else `source` (Argo CD 3.5,
    /// `HasMultipleSources` and `GetSource`).
    pub fn effective_sources(&self) -> Sources<'_, 'a> {
        match &self.source_hydrator {
            Some(hydrator) => Sources::Hydrator(hydrator),
            None if !self.sources.is_empty() => Sources::Several(&self.sources),
            None => Sources::Single(self.source.as_ref()),
        }
    }

    /// The source that an ordinary sync asks for, where it asks for one: the hydrated one, the first
    /// of several, or the only one (Argo CD 3.5, `ApplicationSpec.GetSource`).
    pub fn sync_source(&self) -> Option<Cow<'_, ApplicationSource<'a>>> {
        match self.effective_sources() {
            Sources::Hydrator(hydrator) => Some(Cow::Owned(hydrator.sync_source())),
            Sources::Several(sources) => sources.first().map(Cow::Borrowed),
            Sources::Single(source) => source.map(Cow::Borrowed),
        }
    }

    /// The sources that an ordinary sync asks for, where there are several.
    pub fn sync_sources(&self) -> &[ApplicationSource<'a>] {
        match self.effective_sources() {
            Sources::Several(sources) => sources,
            _ => &[],
        }
    }

    /// Whether both say the same to Argo CD, however it is written.
    pub fn same_meaning(&self, other: &Self) -> bool {
        let ApplicationSpec {
            project: _,
            source,
            sources,
            source_hydrator,
            destination,
            sync_policy: _,
            ignore_differences,
        } = self;
        self.project() == other.project()
            && self.sync_policy() == other.sync_policy()
            && *source == other.source
            && *sources == other.sources
            && *source_hydrator == other.source_hydrator
            && *destination == other.destination
            && *ignore_differences == other.ignore_differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> ApplicationSpec<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn automated_sync_is_on_as_soon_as_automated_is_there() {
        for (policy, expected) in [
            (r"{}", AutomatedSync::Off),
            (r#"{"automated":null}"#, AutomatedSync::Off),
            (
                r#"{"automated":{"enabled":false,"prune":true}}"#,
                AutomatedSync::Disabled,
            ),
            (
                r#"{"automated":{"prune":false,"selfHeal":false}}"#,
                AutomatedSync::On {
                    prune: false,
                    self_heal: false,
                },
            ),
            (
                r#"{"automated":{"enabled":null,"selfHeal":true}}"#,
                AutomatedSync::On {
                    prune: false,
                    self_heal: true,
                },
            ),
        ] {
            let parsed: SyncPolicy<'_> = serde_json::from_str(policy).unwrap();
            assert_eq!(
                parsed.automated_sync(EnabledField::Supported),
                expected,
                "{policy}"
            );
        }
    }

    #[test]
    fn enabled_false_does_not_count_where_the_crd_drops_it() {
        let policy: SyncPolicy<'_> =
            serde_json::from_str(r#"{"automated":{"enabled":false}}"#).unwrap();
        assert_eq!(
            policy.automated_sync(EnabledField::Dropped),
            AutomatedSync::On {
                prune: false,
                self_heal: false,
            }
        );
    }

    #[test]
    fn argo_cds_own_rewrites_mean_nothing() {
        for (before, after) in [
            (r#"{"syncPolicy":{}}"#, "{}"),
            (r#"{"ignoreDifferences":[]}"#, "{}"),
            (
                r#"{"syncPolicy":{"automated":{"prune":false,"selfHeal":false}}}"#,
                r#"{"syncPolicy":{"automated":{}}}"#,
            ),
            (r#"{"project":""}"#, r#"{"project":"default"}"#),
            (
                r#"{"source":{"helm":{"skipCrds":false,"parameters":[]}}}"#,
                r#"{"source":{"helm":{}}}"#,
            ),
        ] {
            assert!(spec(before).same_meaning(&spec(after)), "{before}");
        }
        assert!(!spec("{}").same_meaning(&spec(r#"{"syncPolicy":{"automated":{}}}"#)));
        // In free JSON a zero value says something.
        let free = |values: &str| format!(r#"{{"source":{{"helm":{{"valuesObject":{values}}}}}}}"#);
        let (off, absent) = (free(r#"{"policy":{"enabled":false}}"#), free("{}"));
        assert!(!spec(&off).same_meaning(&spec(&absent)));
        let deep = |values: &str| free(&format!("{}{values}{}", "[".repeat(200), "]".repeat(200)));
        let (one, other) = (deep("1"), deep("2"));
        assert!(!spec(&one).same_meaning(&spec(&other)));
        assert!(!spec(&one).same_meaning(&spec("{}")));
        assert!(spec(&one).same_meaning(&spec(&one)));
        assert!(!spec(r#"{"project":"a"}"#).same_meaning(&spec(r#"{"project":"b"}"#)));
    }

    #[test]
    fn a_wrong_type_is_an_error() {
        assert!(Application::from_json(r#"{"spec":{"project":7}}"#).is_err());
        assert!(
            Application::from_json(r#"{"spec":{"syncPolicy":{"automated":{"prune":"true"}}}}"#)
                .is_err()
        );
    }

    #[test]
    fn only_argo_cds_own_finalizers_take_resources_along() {
        let cascades = |finalizers: &str| {
            let json = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
            Application::from_json(&json).unwrap().cascades_deletion()
        };
        for finalizer in RESOURCES_FINALIZERS {
            assert!(cascades(&format!(
                r#"["foregroundDeletion","{finalizer}"]"#
            )));
        }
        for finalizers in [
            "null",
            "[]",
            r#"["post-delete-finalizer.argocd.argoproj.io"]"#,
            r#"["resources-finalizer.argocd.argoproj.io/other"]"#,
        ] {
            assert!(!cascades(finalizers), "{finalizers}");
        }
    }

    #[test]
    fn an_app_of_apps_is_known_by_its_resources() {
        let manages = |group: &str, kind: &str| {
            let json = format!(
                r#"{{"status":{{"resources":[{{"kind":"Service"}},{{"group":"{group}","kind":"{kind}"}}]}}}}"#
            );
            Application::from_json(&json)
                .unwrap()
                .manages_applications()
        };
        assert!(manages("argoproj.io", "Application"));
        assert!(manages("argoproj.io", "ApplicationSet"));
        assert!(!manages("argoproj.io", "AppProject"));
        assert!(!manages("argoproj.io", "Rollout"));
        assert!(!manages("app.k8s.io", "Application"));
    }

    #[test]
    fn resource_kinds_come_from_the_last_comparison() {
        let json = r#"{"status":{"resources":[{"kind":"Service","name":"a"},{"group":"apps","kind":"Deployment"}]}}"#;
        let application = Application::from_json(json).unwrap();
        let kinds = application.resource_kinds();
        assert_eq!(
            kinds.iter().map(|k| k.kind.as_str()).collect::<Vec<_>>(),
            ["Service", "Deployment"]
        );
        let never_compared = Application::from_json("{}").unwrap();
        assert!(never_compared.resource_kinds().is_empty());
    }
}
