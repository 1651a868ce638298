//! What `argocd-cm` says of comparing.

use std::collections::BTreeMap;

use golang::json::members::fold;
use golang::yaml;
use serde_json::Value;

use super::ignore::Customizations;
use super::verdict::Generation;
use crate::tracking::Tracking;

const COMPARE_OPTIONS: &str = "resource.compareoptions";
const CUSTOMIZATIONS: &str = "resource.customizations";

/// How an installation of Argo CD compares objects.
#[derive(Clone, Debug)]
pub struct ComparisonSettings {
    /// Differences that are ignored in every Application.
    pub customizations: Customizations,
    /// Whose `status` does not count.
    pub status: IgnoredStatus,
    /// Whether the rules of aggregated cluster roles do not count.
    pub ignore_aggregated_roles: bool,
    /// Fields of custom resources that hold values of Kubernetes' own types.
    pub known_types: Vec<KnownTypeField>,
    /// How it marks what belongs to an Application.
    pub tracking: Tracking,
    /// Which Argo CD it is.
    pub generation: Generation,
}

/// Whose `status` does not count (`ignoreResourceStatusField`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IgnoredStatus {
    /// That of every object.
    #[default]
    All,
    /// That of custom resource definitions.
    Definitions,
    /// None.
    None,
}

/// A field of a kind whose values are read as a type of Kubernetes, and so written in one way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownTypeField {
    /// The group of the kind.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The names on the way to the field; lists are passed through.
    pub path: Vec<String>,
    /// The type, as Argo CD names it, such as `core/v1/PodSpec`.
    pub type_name: String,
}

impl Default for ComparisonSettings {
    /// The settings of an empty `argocd-cm`.
    fn default() -> Self {
        ComparisonSettings {
            customizations: Customizations::default(),
            status: IgnoredStatus::default(),
            ignore_aggregated_roles: false,
            known_types: Vec::new(),
            tracking: Tracking::default(),
            generation: Generation::default(),
        }
    }
}

impl ComparisonSettings {
    /// Reads the data of `argocd-cm` (Argo CD 3.5 `SettingsManager`: `GetResourceOverrides`,
    /// `GetResourceCompareOptions`, `GetAppInstanceLabelKey`, `GetTrackingMethod`). What cannot be
    /// read is told when something is compared.
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        let mut settings = ComparisonSettings {
            customizations: Customizations::from_config_map(data),
            known_types: known_types(data),
            ..ComparisonSettings::default()
        };
        let text = |key: &str| {
            data.get(key)
                .map(String::as_str)
                .filter(|text| !text.is_empty())
        };
        settings.tracking = Tracking::of(text);
        if let Some(Value::Object(options)) =
            text(COMPARE_OPTIONS).and_then(|text| yaml::value(text).ok())
        {
            for (name, value) in options {
                let known = ["ignoreAggregatedRoles", "ignoreResourceStatusField"];
                match fold(&name, &known).map(|(field, _)| field) {
                    Some("ignoreAggregatedRoles") => {
                        settings.ignore_aggregated_roles = value == Value::Bool(true);
                    }
                    Some("ignoreResourceStatusField") => settings.status = status(&value),
                    _ => {}
                }
            }
        }
        settings
    }
}

/// An unknown word is as good as `all`, and YAML 1.1 reads `off` as a boolean.
fn status(value: &Value) -> IgnoredStatus {
    match value {
        Value::String(text) => match text.as_str() {
            "crd" => IgnoredStatus::Definitions,
            "none" | "off" | "false" => IgnoredStatus::None,
            _ => IgnoredStatus::All,
        },
        Value::Bool(false) => IgnoredStatus::None,
        _ => IgnoredStatus::All,
    }
}

fn known_types(data: &BTreeMap<String, String>) -> Vec<KnownTypeField> {
    let mut fields: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    if let Some(Value::Object(kinds)) = data
        .get(CUSTOMIZATIONS)
        .and_then(|text| yaml::value(text).ok())
    {
        for (key, customization) in kinds {
            let Value::Object(members) = customization else {
                continue;
            };
            for (name, value) in members {
                if fold(&name, &["knownTypeFields"]).is_some() {
                    fields.insert(key.clone(), entries(&value));
                }
            }
        }
    }
    for (key, text) in data {
        let parts: Vec<&str> = key.splitn(4, '.').collect();
        if let ["resource", "customizations", "knownTypeFields", name] = parts[..]
            && let Ok(value) = yaml::value(text)
        {
            fields.insert(name.replacen('_', "/", 1), entries(&value));
        }
    }
    fields
        .into_iter()
        .flat_map(|(key, entries)| {
            let (group, kind) = key.split_once('/').unwrap_or(("", &key));
            let (group, kind) = (group.to_owned(), kind.to_owned());
            entries
                .into_iter()
                .map(move |(path, type_name)| KnownTypeField {
                    group: group.clone(),
                    kind: kind.clone(),
                    path: path.split('.').map(str::to_owned).collect(),
                    type_name,
                })
        })
        .collect()
}

fn entries(value: &Value) -> Vec<(String, String)> {
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(|item| {
            let mut found = (String::new(), String::new());
            for (name, value) in item.as_object()? {
                let text = value.as_str().unwrap_or_default().to_owned();
                match fold(name, &["field", "type"]).map(|(field, _)| field) {
                    Some("field") => found.0 = text,
                    Some("type") => found.1 = text,
                    _ => {}
                }
            }
            Some(found)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(data: &[(&str, &str)]) -> ComparisonSettings {
        let data = data
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
        ComparisonSettings::from_config_map(&data.collect())
    }

    #[test]
    fn the_status_that_does_not_count_is_told_in_several_spellings() {
        for (text, expected) in [
            ("", IgnoredStatus::All),
            ("ignoreResourceStatusField: all", IgnoredStatus::All),
            ("ignoreResourceStatusField: ''", IgnoredStatus::All),
            ("ignoreResourceStatusField: bogus", IgnoredStatus::All),
            ("ignoreResourceStatusField: crd", IgnoredStatus::Definitions),
            ("IgnoreResourceStatusField: none", IgnoredStatus::None),
            ("ignoreResourceStatusField: off", IgnoredStatus::None),
            ("ignoreResourceStatusField: 'false'", IgnoredStatus::None),
            ("ignoreAggregatedRoles: true", IgnoredStatus::All),
        ] {
            let settings = settings(&[(COMPARE_OPTIONS, text)]);
            assert_eq!(settings.status, expected, "{text}");
            assert_eq!(settings.ignore_aggregated_roles, text.contains("Roles"));
        }
    }

    #[test]
    fn known_types_are_read_from_both_places_and_the_key_of_its_own_counts() {
        let settings = settings(&[
            (
                CUSTOMIZATIONS,
                "a.io/A: {knownTypeFields: [{field: spec.x, type: core/v1/PodSpec}]}\n\
                 a.io/B: {knownTypeFields: [{field: spec, type: core/Quantity}]}",
            ),
            (
                "resource.customizations.knownTypeFields.a.io_A",
                "[{field: spec.y, type: meta/v1/Duration}]",
            ),
        ]);
        let found: Vec<_> = settings
            .known_types
            .iter()
            .map(|field| (&*field.kind, field.path.join("."), &*field.type_name))
            .collect();
        assert_eq!(
            found,
            [
                ("A", "spec.y".to_owned(), "meta/v1/Duration"),
                ("B", "spec".to_owned(), "core/Quantity")
            ]
        );
    }
}
