//! Application: the part of it that anything here reads, borrowed from the document.
//!
//! Decoding follows Go's: names are case-sensitive, unknown fields are ignored, `null` leaves the
//! zero value, a value of a wrong type is an error. `status` is kept as text and parsed only where
//! somebody asks for its resources.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::kubernetes::Metadata;
use crate::names::{DEFAULT_PROJECT, RESPECT_IGNORE_DIFFERENCES};
use crate::text::{Text, null_as_default, object, objects, optional_object};

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
    #[serde(borrow)]
    status: Option<&'a RawValue>,
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

impl PartialEq for Options<'_> {
    /// Equal in meaning: Argo CD reads objects into Go types and writes them back, so that
    /// explicit zero values disappear without anybody having changed anything.
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || self.without_zero_values() == other.without_zero_values()
    }
}

impl Options<'_> {
    fn text(&self) -> &str {
        self.0.map_or("null", RawValue::get)
    }

    fn without_zero_values(&self) -> Option<serde_json::Value> {
        let mut value = serde_json::from_str(self.text()).ok()?;
        drop_zero_values(&mut value);
        (!is_zero_value(&value)).then_some(value)
    }
}

fn drop_zero_values(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(drop_zero_values);
            members.retain(|_, member| !is_zero_value(member));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_zero_values),
        _ => {}
    }
}

fn is_zero_value(value: &serde_json::Value) -> bool {
    use serde_json::Value;
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct Compared<'a> {
    #[serde(borrow, deserialize_with = "object")]
    sync: ComparedSync<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ComparedSync<'a> {
    #[serde(borrow)]
    revision: Text<'a>,
    #[serde(borrow, deserialize_with = "null_as_default")]
    revisions: Vec<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusResources<'a> {
    #[serde(borrow, deserialize_with = "objects")]
    resources: Vec<GroupKind<'a>>,
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

    /// The kinds of resources that Argo CD found at its last comparison. `None` if it has not
    /// compared yet, or if the status cannot be read: it is a cache, so it decides nothing alone.
    pub fn resource_kinds(&self) -> Option<BTreeSet<GroupKind<'a>>> {
        let status: StatusResources<'a> = serde_json::from_str(self.status?.get()).ok()?;
        (!status.resources.is_empty()).then(|| status.resources.into_iter().collect())
    }

    /// Whether a revision is one of those that Argo CD resolved the spec to at its last
    /// comparison.
    pub fn has_compared(&self, revision: &str) -> bool {
        let compared: Option<Compared<'a>> = self
            .status
            .and_then(|status| serde_json::from_str(status.get()).ok());
        compared.is_some_and(|Compared { sync }| {
            sync.revision == revision || sync.revisions.iter().any(|own| *own == revision)
        })
    }

    /// Whether it is being deleted, and so only finalizers are still to be removed.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
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
    fn resource_kinds_come_from_the_last_comparison() {
        let json = r#"{"status":{"resources":[{"kind":"Service","name":"a"},{"group":"apps","kind":"Deployment"}]}}"#;
        let kinds = Application::from_json(json)
            .unwrap()
            .resource_kinds()
            .unwrap();
        assert_eq!(
            kinds.iter().map(|k| k.kind.as_str()).collect::<Vec<_>>(),
            ["Service", "Deployment"]
        );
        assert!(
            Application::from_json("{}")
                .unwrap()
                .resource_kinds()
                .is_none()
        );
    }
}
