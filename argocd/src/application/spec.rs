//! `spec` of an Application: what is to be deployed where.

use std::borrow::Cow;

use golang::json::{Text, null_as_default, object, objects, optional_object};
use serde::Deserialize;

use super::source::{ApplicationSource, SourceHydrator, Sources};
use super::sync_policy::SyncPolicy;
use crate::names::DEFAULT_PROJECT;

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

    /// The source that an ordinary sync asks for, where it asks for one: the hydrated one, the
    /// first of several, or the only one (Argo CD 3.5, `ApplicationSpec.GetSource`).
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
}
