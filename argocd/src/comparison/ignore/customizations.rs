//! The differences that are ignored in every Application, as `argocd-cm` has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use golang::json::members::fold;
use golang::yaml;
use serde_json::{Map, Value};

use super::ComparisonError;
use super::rule::{IgnoreRule, IgnoredFields};

const LEGACY: &str = "resource.customizations";
const COMPARE_OPTIONS: &str = "resource.compareoptions";

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

/// A customization that Argo CD cannot read; it then compares nothing at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{key} of argocd-cm cannot be read")]
pub struct InvalidCustomization {
    /// The key in `argocd-cm`.
    pub key: String,
}

impl Customizations {
    /// Whether a key of `argocd-cm` has any of them.
    pub(crate) fn are_in(key: &str) -> bool {
        key == COMPARE_OPTIONS || key.starts_with(LEGACY)
    }

    /// Reads the data of `argocd-cm` (Argo CD 3.5, `SettingsManager.GetResourceOverrides`).
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        Customizations(Arc::new(rules(data)))
    }

    /// What is ignored.
    ///
    /// # Errors
    /// A customization cannot be read, or a jq path in it does not compile.
    pub(super) fn rules(&self) -> Result<&[IgnoreRule], ComparisonError> {
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
            let known = fold(&name, &field).or_else(|| fold(&name, &others));
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
        match fold(&name, &names).map(|(field, _)| field) {
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
            if fold(&name, &["field", "type"]).is_some() {
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
        if fold(&name, &booleans).is_some() {
            matches!(value, Value::Bool(_) | Value::Null).then_some(())?;
        } else if fold(&name, &["ignoreResourceStatusField"]).is_some() {
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
