//! One rule: which fields of which objects are ignored.

use serde_json::Value;

use super::ComparisonError;
use super::jq::JqPath;
use crate::pattern::{Glob, Separators};

/// What is spent on each byte of a pattern or pointer that is tried.
const TRIAL: u64 = 2;

/// What one customization ignores.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct IgnoredFields {
    /// JSON Pointers.
    pub(super) json_pointers: Vec<String>,
    /// jq paths.
    pub(super) jq_path_expressions: Vec<String>,
    /// Field managers.
    pub(super) managed_fields_managers: Vec<String>,
}

/// Fields of some objects that are ignored.
#[derive(Clone, Debug)]
pub(super) struct IgnoreRule {
    pub(super) group: Glob,
    pub(super) kind: Glob,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) pointers: Vec<String>,
    pub(super) jq_paths: Vec<JqPath>,
    pub(super) managers: Vec<String>,
    /// The one `group/kind` that the managers are trusted with, if it is not all that match.
    pub(super) managers_of: Option<String>,
    /// What trying it takes.
    pub(super) cost: u64,
}

/// Group, kind, namespace and name of an object.
pub(super) struct Identity {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Identity {
    pub(super) fn of(object: &Value) -> Self {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let group = text("/apiVersion").split_once('/');
        Identity {
            group: group.map_or("", |(group, _)| group).to_owned(),
            kind: text("/kind").to_owned(),
            namespace: text("/metadata/namespace").to_owned(),
            name: text("/metadata/name").to_owned(),
        }
    }
}

impl IgnoreRule {
    pub(super) fn new(
        group: &str,
        kind: &str,
        fields: IgnoredFields,
    ) -> Result<Self, ComparisonError> {
        let compile = |expression: &String| {
            JqPath::compile(expression).map_err(|source| ComparisonError::Jq {
                expression: expression.clone(),
                source,
            })
        };
        let jq_paths = fields.jq_path_expressions.iter().map(compile);
        let jq_paths = jq_paths.collect::<Result<_, _>>()?;
        let pointers: usize = fields.json_pointers.iter().map(String::len).sum();
        let length = group.len() + kind.len() + pointers + 1;
        Ok(IgnoreRule {
            group: Glob::new(group, Separators::None),
            kind: Glob::new(kind, Separators::None),
            name: String::new(),
            namespace: String::new(),
            pointers: fields.json_pointers,
            jq_paths,
            managers: fields.managed_fields_managers,
            managers_of: None,
            cost: (length as u64).saturating_mul(TRIAL),
        })
    }

    /// What a customization ignores, under its key in the settings: `group/kind`, or only a kind.
    ///
    /// Unlike pointers and jq paths, field managers are looked up by exactly that key, then for all
    /// kinds (Argo CD 3.5, `ignoreDifferencesConfig`).
    pub(super) fn of_all_applications(
        key: &str,
        fields: IgnoredFields,
    ) -> Result<Self, ComparisonError> {
        let (group, kind) = key.split_once('/').unwrap_or(("", key));
        let mut rule = IgnoreRule::new(group, kind, fields)?;
        rule.managers_of = Some(key.to_owned());
        Ok(rule)
    }

    pub(super) fn applies_to(&self, object: &Identity) -> bool {
        self.group.matches(&object.group)
            && self.kind.matches(&object.kind)
            && (self.name.is_empty() || self.name == object.name)
            && (self.namespace.is_empty() || self.namespace == object.namespace)
    }
}
