//! The CustomResourceDefinition of Application: which of the fields that matter the API server keeps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::application::EnabledField;
use crate::names::VERSION;

/// Why a definition tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// It does not have the form of one.
    #[error("it is no CustomResourceDefinition")]
    Form(#[from] serde_json::Error),
    /// It has no schema of the version that is read.
    #[error("there is no schema of version {VERSION}")]
    NoSchema,
}

#[derive(Deserialize)]
struct Definition<'a> {
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Deserialize)]
struct Spec<'a> {
    #[serde(borrow)]
    versions: Vec<Version<'a>>,
}

#[derive(Deserialize)]
struct Version<'a> {
    name: String,
    #[serde(borrow)]
    schema: Option<VersionSchema<'a>>,
}

#[derive(Deserialize)]
struct VersionSchema<'a> {
    #[serde(rename = "openAPIV3Schema", borrow)]
    open_api: &'a RawValue,
}

impl EnabledField {
    /// Whether the definition of Application, in JSON, has `spec.syncPolicy.automated.enabled`.
    ///
    /// # Errors
    /// It is no definition, or has no schema.
    pub fn of_definition(json: &str) -> Result<Self, DefinitionError> {
        let definition: Definition<'_> = serde_json::from_str(json)?;
        let mut versions = definition.spec.versions.into_iter();
        let version = versions.find(|version| version.name == VERSION);
        let schema = version
            .and_then(|version| version.schema)
            .ok_or(DefinitionError::NoSchema)?;
        let path = ["spec", "syncPolicy", "automated", "enabled"];
        Ok(if keeps(schema.open_api, &path)? {
            EnabledField::Supported
        } else {
            EnabledField::Dropped
        })
    }
}

/// Whether an object with this schema keeps a field, rather than dropping it as it is stored.
fn keeps(schema: &RawValue, path: &[&str]) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct Schema<'a> {
        // Only one branch is looked at, in what is one of the largest definitions there are.
        #[serde(borrow, default)]
        properties: BTreeMap<Cow<'a, str>, &'a RawValue>,
        #[serde(rename = "x-kubernetes-preserve-unknown-fields", default)]
        preserves_unknown_fields: bool,
    }
    let [field, rest @ ..] = path else {
        return Ok(true);
    };
    let schema: Schema<'_> = serde_json::from_str(schema.get())?;
    match schema.properties.get(*field) {
        Some(property) => keeps(property, rest),
        None => Ok(schema.preserves_unknown_fields),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(automated: &Value) -> EnabledField {
        let spec = json!({"properties": {"syncPolicy": {"properties": {"automated": automated}}}});
        let definition = json!({
            "metadata": {"name": "applications.argoproj.io"},
            "spec": {"versions": [{
                "name": "v1alpha1",
                "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}},
            }]},
        });
        EnabledField::of_definition(&definition.to_string()).unwrap()
    }

    #[test]
    fn the_definition_tells_whether_enabled_is_kept() {
        let known = json!({"properties": {"enabled": {"type": "boolean"}, "prune": {}}});
        assert_eq!(read(&known), EnabledField::Supported);
        assert_eq!(
            read(&json!({"properties": {"prune": {}}})),
            EnabledField::Dropped
        );
        let open = json!({"x-kubernetes-preserve-unknown-fields": true});
        assert_eq!(read(&open), EnabledField::Supported);
    }

    #[test]
    fn a_definition_without_a_schema_tells_nothing() {
        let definition = json!({"metadata": {"name": "x"}, "spec": {"versions": [{"name": "v1"}]}});
        assert!(matches!(
            EnabledField::of_definition(&definition.to_string()),
            Err(DefinitionError::NoSchema)
        ));
        assert!(matches!(
            EnabledField::of_definition("{}"),
            Err(DefinitionError::Form(_))
        ));
    }
}
