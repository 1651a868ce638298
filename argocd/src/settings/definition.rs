//! The CustomResourceDefinition of Application: which of the fields that matter the API server
//! keeps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::application::EnabledField;
use crate::names::VERSION;
use crate::project::ProjectReading;

/// Why a definition tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// It does not have the form of one.
    #[error("it is not a CustomResourceDefinition")]
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

/// What the definition of Application says of the Argo CD that is installed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InstalledApi {
    /// Whether `spec.syncPolicy.automated.enabled` is kept.
    pub enabled_field: EnabledField,
    /// How AppProjects are read. Their own definition is the same in 3.5 and 3.6.
    pub project_reading: ProjectReading,
}

impl InstalledApi {
    /// Reads the definition of Application, in JSON.
    ///
    /// # Errors
    /// It is not a definition, or has no schema.
    pub fn of_definition(json: &str) -> Result<Self, DefinitionError> {
        let definition: Definition<'_> = serde_json::from_str(json)?;
        let mut versions = definition.spec.versions.into_iter();
        let version = versions.find(|version| version.name == VERSION);
        let schema = version
            .and_then(|version| version.schema)
            .ok_or(DefinitionError::NoSchema)?;
        let enabled = ["spec", "syncPolicy", "automated", "enabled"];
        // 3.6.0 is the first version with this field.
        let of_3_6 = ["spec", "source", "directory", "disableExtensionFilter"];
        Ok(InstalledApi {
            enabled_field: match field(schema.open_api, &enabled)? {
                Field::Defined | Field::KeptUndefined => EnabledField::Supported,
                Field::Dropped => EnabledField::Dropped,
            },
            project_reading: match field(schema.open_api, &of_3_6)? {
                Field::Defined => ProjectReading::Since36,
                // A schema that keeps everything tells nothing.
                Field::KeptUndefined | Field::Dropped => ProjectReading::UpTo35,
            },
        })
    }
}

impl EnabledField {
    /// Whether the definition of Application, in JSON, has `spec.syncPolicy.automated.enabled`.
    ///
    /// # Errors
    /// It is not a definition, or has no schema.
    pub fn of_definition(json: &str) -> Result<Self, DefinitionError> {
        InstalledApi::of_definition(json).map(|installed| installed.enabled_field)
    }
}

/// What becomes of a field of an object as it is stored.
enum Field {
    /// It is in the schema.
    Defined,
    /// It is not, but the schema keeps what it does not know.
    KeptUndefined,
    Dropped,
}

fn field(schema: &RawValue, path: &[&str]) -> Result<Field, serde_json::Error> {
    #[derive(Deserialize)]
    struct Schema<'a> {
        // Only one branch is looked at, in what is one of the largest definitions there are.
        #[serde(borrow, default)]
        properties: BTreeMap<Cow<'a, str>, &'a RawValue>,
        #[serde(rename = "x-kubernetes-preserve-unknown-fields", default)]
        preserves_unknown_fields: bool,
    }
    let [name, rest @ ..] = path else {
        return Ok(Field::Defined);
    };
    let schema: Schema<'_> = serde_json::from_str(schema.get())?;
    match schema.properties.get(*name) {
        Some(property) => field(property, rest),
        None if schema.preserves_unknown_fields => Ok(Field::KeptUndefined),
        None => Ok(Field::Dropped),
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

    fn project_reading(source: &Value) -> ProjectReading {
        let spec = json!({"properties": {"source": source}});
        let definition = json!({"spec": {"versions": [{
            "name": "v1alpha1",
            "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}},
        }]}});
        let installed = InstalledApi::of_definition(&definition.to_string()).unwrap();
        installed.project_reading
    }

    #[test]
    fn the_definition_tells_how_projects_are_read() {
        let directory =
            |fields: Value| json!({"properties": {"directory": {"properties": fields}}});
        let new = directory(json!({"exclude": {}, "disableExtensionFilter": {"type": "boolean"}}));
        assert_eq!(project_reading(&new), ProjectReading::Since36);
        let old = directory(json!({"exclude": {}}));
        assert_eq!(project_reading(&old), ProjectReading::UpTo35);
        let open = json!({"x-kubernetes-preserve-unknown-fields": true});
        assert_eq!(project_reading(&open), ProjectReading::UpTo35);
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
