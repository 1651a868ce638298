//! Argo CD's settings in the ConfigMap `argocd-cm`: the part that decides on scope and diffs.

use std::collections::BTreeMap;

use golang::json::{null_as_default, object, objects};
use golang::yaml;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::comparison::Customizations;
use crate::kubernetes::LabelSelector;
use crate::project::GlobalProject;

/// The ConfigMap `argocd-cm` as it is stored.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct SettingsConfigMap {
    #[serde(deserialize_with = "null_as_default")]
    data: BTreeMap<String, String>,
}

impl SettingsConfigMap {
    /// Drops what [`Settings`] have nothing of, so that two of them differ only where it matters.
    #[must_use]
    pub fn without_unread(mut self) -> Self {
        self.data.retain(|key, _| {
            [GLOBAL_PROJECTS, IN_CLUSTER_ENABLED].contains(&key.as_str())
                || Customizations::are_in(key)
        });
        self
    }

    /// What it says.
    pub fn settings(&self) -> Settings {
        Settings::from_config_map(&self.data)
    }
}

/// What is read of `argocd-cm`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether the cluster that Argo CD runs in is a destination without a Secret of its own.
    pub in_cluster_enabled: bool,
    /// Projects that widen others.
    pub global_projects: Vec<GlobalProject>,
    /// Differences that are ignored in every Application.
    pub ignore_differences: Customizations,
}

impl Default for Settings {
    /// The settings of an empty `argocd-cm`.
    fn default() -> Self {
        Settings {
            in_cluster_enabled: true,
            global_projects: Vec::new(),
            ignore_differences: Customizations::default(),
        }
    }
}

impl From<GlobalProjectEntry> for GlobalProject {
    fn from(entry: GlobalProjectEntry) -> Self {
        GlobalProject {
            selector: entry.label_selector.compile(),
            project_name: entry.project_name,
        }
    }
}

/// An entry of `globalProjects` as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GlobalProjectEntry {
    #[serde(deserialize_with = "object")]
    label_selector: LabelSelector,
    #[serde(deserialize_with = "null_as_default")]
    project_name: String,
}

#[derive(Default, Deserialize)]
struct GlobalProjectEntries(#[serde(deserialize_with = "objects")] Vec<GlobalProjectEntry>);

const GLOBAL_PROJECTS: &str = "globalProjects";
const IN_CLUSTER_ENABLED: &str = "cluster.inClusterEnabled";

impl Settings {
    /// Reads the data of `argocd-cm`.
    ///
    /// Follows Argo CD 3.5, `SettingsManager`: global projects that do not parse are none. What
    /// is wrong with the selector of one is kept with it.
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        let GlobalProjectEntries(global_projects) = data
            .get(GLOBAL_PROJECTS)
            .and_then(|text| yaml::value(text).ok())
            .and_then(|value| serde_json::from_value(with_texts(value)).ok())
            .unwrap_or_default();
        let in_cluster = data.get(IN_CLUSTER_ENABLED);
        Settings {
            in_cluster_enabled: in_cluster.is_none_or(|enabled| enabled != "false"),
            global_projects: global_projects.into_iter().map(Into::into).collect(),
            ignore_differences: Customizations::from_config_map(data),
        }
    }
}

/// The same with texts for numbers and booleans. Every scalar of `globalProjects` is a text, and
/// what its YAML takes for something else becomes one again (sigs.k8s.io/yaml).
fn with_texts(value: Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Array(items) => items.into_iter().map(with_texts).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, with_texts(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Null | Value::String(_) => value,
    }
}
