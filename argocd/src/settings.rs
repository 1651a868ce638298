//! Argo CD's settings in the ConfigMap `argocd-cm`: the part that decides on scope and diffs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::diff::{ComparisonError, IgnoreRule};
use crate::kubernetes::{InvalidSelector, LabelSelector, Selector};
use golang::json::members;
use golang::json::{null_as_default, object, objects};
use golang::yaml;

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
            [GLOBAL_PROJECTS, IN_CLUSTER_ENABLED, COMPARE_OPTIONS].contains(&key.as_str())
                || key.starts_with(LEGACY)
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
/// `resource.customizations.ignoreDifferences.*`. They are compiled once, and clones share them.
#[derive(Clone, Debug)]
pub struct Customizations(Arc<Result<Vec<IgnoreRule>, ComparisonError>>);

impl Default for Customizations {
    /// None.
    fn default() -> Self {
        Customizations(Arc::new(Ok(Vec::new())))
    }
}

/// What one customization ignores.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct IgnoredFields {
    /// JSON Pointers.
    pub(crate) json_pointers: Vec<String>,
    /// jq paths.
    pub(crate) jq_path_expressions: Vec<String>,
    /// Field managers.
    pub(crate) managed_fields_managers: Vec<String>,
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
const COMPARE_OPTIONS: &str = "resource.compareoptions";

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

impl Customizations {
    /// Follows Argo CD 3.5, `SettingsManager.GetResourceOverrides`.
    fn new(data: &BTreeMap<String, String>) -> Self {
        Customizations(Arc::new(rules(data)))
    }

    /// What is ignored.
    ///
    /// # Errors
    /// A customization cannot be read, or a jq path in it does not compile.
    pub(crate) fn rules(&self) -> Result<&[IgnoreRule], ComparisonError> {
        match &*self.0 {
            Ok(rules) => Ok(rules),
            Err(error) => Err(error.clone()),
        }
    }
}

fn rules(data: &BTreeMap<String, String>) -> Result<Vec<IgnoreRule>, ComparisonError> {
    let mut fields = BTreeMap::new();
    let invalid = |key: &str| InvalidCustomization {
        key: key.to_owned(),
    };
    if let Some(text) = data.get(LEGACY) {
        fields = legacy(text).ok_or_else(|| invalid(LEGACY))?;
    }
    for (key, text) in data.iter().filter(|(key, _)| key.starts_with(LEGACY)) {
        // `resource.customizations.<type>.<group_kind>`; what has fewer parts is not looked at.
        let parts: Vec<&str> = key.splitn(4, '.').collect();
        let [_, _, kind_of, name] = parts[..] else {
            continue;
        };
        let own = match kind_of {
            "ignoreDifferences" => Some(ignored_fields(text).ok_or_else(|| invalid(key))?),
            _ if is_readable(kind_of, text) => None,
            _ => return Err(invalid(key).into()),
        };
        let name = override_key(name).ok_or_else(|| invalid(key))?;
        if let Some(own) = own {
            fields.insert(name, own);
        }
    }
    if let Some(text) = data.get(COMPARE_OPTIONS) {
        are_compare_options(text).ok_or_else(|| invalid(COMPARE_OPTIONS))?;
    }
    fields
        .into_iter()
        .map(|(key, fields)| IgnoreRule::of_all_applications(&key, fields))
        .collect()
}

/// The customizations of all kinds in one text.
fn legacy(text: &str) -> Option<BTreeMap<String, IgnoredFields>> {
    let kinds = members(yaml::value(text).ok()?)?;
    let read = |(kind, customization)| {
        let fields = members(customization)?;
        let mut ignored = IgnoredFields::default();
        for (name, value) in fields {
            let field = [
                "ignoreDifferences",
                "ignoreResourceUpdates",
                "health.lua",
                "actions",
            ];
            let others = ["health.lua.useOpenLibs", "knownTypeFields"];
            let known = members::fold(&name, &field).or_else(|| members::fold(&name, &others));
            match known.map(|(field, _)| field) {
                Some("ignoreDifferences") => ignored = ignored_fields(&scalar(value)?)?,
                Some("ignoreResourceUpdates") => {
                    ignored_fields(&scalar(value)?)?;
                }
                Some("health.lua" | "actions") => {
                    scalar(value)?;
                }
                Some("health.lua.useOpenLibs") => {
                    matches!(value, Value::Bool(_) | Value::Null).then_some(())?;
                }
                Some("knownTypeFields") => are_known_type_fields(value)?,
                _ => {}
            }
        }
        Some((kind, ignored))
    };
    kinds.into_iter().map(read).collect()
}

/// Whether Argo CD can read a customization that ignores no differences. It must know the type.
fn is_readable(kind_of: &str, text: &str) -> bool {
    match kind_of {
        "ignoreResourceUpdates" => ignored_fields(text).is_some(),
        "health" | "actions" => true,
        // Go's `strconv.ParseBool`.
        "useOpenLibs" => [
            "1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False",
        ]
        .contains(&text),
        "knownTypeFields" => {
            let fields = yaml::value(text).ok();
            fields.and_then(are_known_type_fields).is_some()
        }
        _ => false,
    }
}

fn ignored_fields(text: &str) -> Option<IgnoredFields> {
    let mut ignored = IgnoredFields::default();
    for (name, value) in members(yaml::value(text).ok()?)? {
        let names = ["jsonPointers", "jqPathExpressions", "managedFieldsManagers"];
        match members::fold(&name, &names).map(|(field, _)| field) {
            Some("jsonPointers") => ignored.json_pointers = scalars(value)?,
            Some("jqPathExpressions") => ignored.jq_path_expressions = scalars(value)?,
            Some("managedFieldsManagers") => ignored.managed_fields_managers = scalars(value)?,
            _ => {}
        }
    }
    Some(ignored)
}

fn are_known_type_fields(value: Value) -> Option<()> {
    for item in items(value)? {
        for (name, value) in members(item)? {
            if members::fold(&name, &["field", "type"]).is_some() {
                scalar(value)?;
            }
        }
    }
    Some(())
}

fn are_compare_options(text: &str) -> Option<()> {
    for (name, value) in members(yaml::value(text).ok()?)? {
        let booleans = [
            "ignoreAggregatedRoles",
            "ignoreDifferencesOnResourceUpdates",
        ];
        if members::fold(&name, &booleans).is_some() {
            matches!(value, Value::Bool(_) | Value::Null).then_some(())?;
        } else if members::fold(&name, &["ignoreResourceStatusField"]).is_some() {
            scalar(value)?;
        }
    }
    Some(())
}

/// The members of a map, of which null has none.
fn members(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Null => Some(Map::new()),
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// The items of a list likewise.
fn items(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// A text, which a number or a boolean is as well where one is wanted (sigs.k8s.io/yaml).
fn scalar(value: Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn scalars(value: Value) -> Option<Vec<String>> {
    let items = items(value)?;
    items.into_iter().map(scalar).collect()
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
