//! Argo CD's settings in the ConfigMap `argocd-cm`: the part that decides on scope and diffs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kubernetes::{InvalidSelector, LabelSelector, Selector};
use crate::text::{null_as_default, object, objects};
use crate::yaml;

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
            [GLOBAL_PROJECTS, IN_CLUSTER_ENABLED, LEGACY].contains(&key.as_str())
                || key.starts_with(IGNORE_DIFFERENCES)
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

/// An entry of `globalProjects`.
#[derive(Clone, Debug)]
pub struct GlobalProject {
    /// Which projects are widened, by their labels. Argo CD notices that a selector is invalid
    /// when it comes to the entry; those before it count.
    pub selector: Result<Selector, InvalidSelector>,
    /// By which project.
    pub project_name: String,
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

/// The differences that `argocd-cm` ignores everywhere: `resource.customizations`, and
/// `resource.customizations.ignoreDifferences.*`.
#[derive(Clone, Debug, Default)]
pub struct Customizations {
    all: Vec<Customization>,
    invalid: Option<InvalidCustomization>,
}

/// What is ignored in one kind of object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Customization {
    /// Glob on the group.
    pub group: String,
    /// Glob on the kind.
    pub kind: String,
    /// Whether the key names the group, if only an empty one. Field managers need that.
    names_group: bool,
    /// What is ignored.
    pub fields: IgnoredFields,
}

/// What one customization ignores.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct IgnoredFields {
    /// JSON Pointers.
    #[serde(deserialize_with = "null_as_default")]
    pub json_pointers: Vec<String>,
    /// jq paths.
    #[serde(deserialize_with = "null_as_default")]
    pub jq_path_expressions: Vec<String>,
    /// Field managers.
    #[serde(deserialize_with = "null_as_default")]
    pub managed_fields_managers: Vec<String>,
}

/// A customization that Argo CD cannot read; it then compares nothing at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{key} of argocd-cm cannot be read")]
pub struct InvalidCustomization {
    /// The key in `argocd-cm`.
    pub key: String,
}

const GLOBAL_PROJECTS: &str = "globalProjects";
const IN_CLUSTER_ENABLED: &str = "cluster.inClusterEnabled";
const LEGACY: &str = "resource.customizations";
const IGNORE_DIFFERENCES: &str = "resource.customizations.ignoreDifferences.";

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
            ignore_differences: Customizations::new(data),
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LegacyCustomization {
    #[serde(deserialize_with = "null_as_default")]
    ignore_differences: String,
}

impl Customizations {
    /// Follows Argo CD 3.5, `SettingsManager.GetResourceOverrides`.
    fn new(data: &BTreeMap<String, String>) -> Self {
        let mut customizations = Customizations::default();
        if let Some(text) = data.get(LEGACY) {
            customizations.add_legacy(text);
        }
        for (key, text) in data {
            if let Some(name) = key.strip_prefix(IGNORE_DIFFERENCES) {
                customizations.add(key, override_key(name).as_deref(), text);
            }
        }
        customizations
    }

    fn add_legacy(&mut self, text: &str) {
        let parsed: Option<BTreeMap<String, LegacyCustomization>> = yaml::value(text)
            .ok()
            .and_then(|value| serde_json::from_value(value).ok());
        let Some(parsed) = parsed else {
            return self.reject(LEGACY);
        };
        for (name, customization) in parsed {
            self.add(LEGACY, Some(&name), &customization.ignore_differences);
        }
    }

    /// Adds what is ignored under a name such as `apps/Deployment`, `/Secret`, `Secret` or `*/*`.
    fn add(&mut self, key: &str, name: Option<&str>, text: &str) {
        let fields = yaml::value(text)
            .ok()
            .and_then(|value| serde_json::from_value::<Option<IgnoredFields>>(value).ok());
        let (Some(name), Some(fields)) = (name, fields) else {
            return self.reject(key);
        };
        let (group, kind) = name.split_once('/').unwrap_or(("", name));
        self.all.push(Customization {
            group: group.to_owned(),
            kind: kind.to_owned(),
            names_group: name.contains('/'),
            fields: fields.unwrap_or_default(),
        });
    }

    fn reject(&mut self, key: &str) {
        self.invalid.get_or_insert_with(|| InvalidCustomization {
            key: key.to_owned(),
        });
    }

    /// All customizations.
    pub fn iter(&self) -> impl Iterator<Item = &Customization> {
        self.all.iter()
    }

    /// The first customization that cannot be read, if any.
    pub fn invalid(&self) -> Option<&InvalidCustomization> {
        self.invalid.as_ref()
    }

    /// The field managers that are trusted with a kind. Unlike pointers and jq paths they are
    /// looked up by exactly `group/kind`, then for all kinds (Argo CD 3.5,
    /// `ignoreDifferencesConfig`).
    pub(crate) fn managers(&self, group: &str, kind: &str) -> impl Iterator<Item = &String> {
        let exact = move |customization: &&Customization| {
            customization.names_group && customization.group == group && customization.kind == kind
        };
        let all_kinds = |customization: &&Customization| {
            customization.group == "*" && customization.kind == "*"
        };
        self.all
            .iter()
            .filter(exact)
            .chain(self.all.iter().filter(all_kinds))
            .flat_map(|customization| &customization.fields.managed_fields_managers)
    }
}

/// `apps_Deployment` as `apps/Deployment`, `all` as `*/*`; `None` if it is neither.
fn override_key(name: &str) -> Option<String> {
    match name.split('_').collect::<Vec<_>>()[..] {
        ["all"] => Some("*/*".to_owned()),
        [kind] if !kind.is_empty() => Some(kind.to_owned()),
        [group, kind] => Some(format!("{group}/{kind}")),
        _ => None,
    }
}
