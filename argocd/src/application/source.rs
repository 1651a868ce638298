//! Where manifests come from: the sources of an Application.

use golang::json::{Text, object, optional_object};
use golang::work::Work;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limited;

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
        // What cannot be parsed, being nested too deeply or too large, is equal to nothing but
        // itself.
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

/// Members that Go keeps as they are: free JSON, and what is behind a pointer in the parameters of
/// a plugin.
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
    pub(super) fn sync_source(&self) -> ApplicationSource<'a> {
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

/// The sources that count, with the path in the Application of each.
pub enum Sources<'s, 'a> {
    /// `spec.sourceHydrator`.
    Hydrator(&'s SourceHydrator<'a>),
    /// `spec.sources`; not empty.
    Several(&'s [ApplicationSource<'a>]),
    /// `spec.source`, if it is there.
    Single(Option<&'s ApplicationSource<'a>>),
}
