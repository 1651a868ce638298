//! The Go types behind an Application, as far as decoding goes: which fields there are, and what
//! they hold.
//!
//! What a template renders to, and what a patch makes of it, Argo CD reads back into these types:
//! fields that they do not have vanish, and a value of another type is an error. The fields are
//! those of Argo CD 3.6's CustomResourceDefinition of Application; an older API drops the newer
//! ones from the ApplicationSet before they get here.

use serde_json::{Map, Value};

use golang::json::members;

/// What a field holds.
pub(super) enum Schema {
    Text,
    Boolean,
    Integer,
    IntegerOrText,
    /// Free JSON, kept as it is.
    Free,
    Map(&'static Schema),
    List(&'static Schema),
    /// A list of texts that a strategic merge patch adds to instead of replacing it.
    MergedList,
    Struct(&'static [(&'static str, Schema)]),
}

use Schema::{Boolean, Free, Integer, IntegerOrText, List, MergedList, Struct, Text};

const TEXTS: Schema = List(&Text);
const TEXT_MAP: Schema = Schema::Map(&Text);

/// `metadata` of an Application, as far as it can be templated and patched.
const METADATA: Schema = Struct(&[
    ("annotations", TEXT_MAP),
    ("finalizers", MergedList),
    ("generateName", Text),
    ("labels", TEXT_MAP),
    ("name", Text),
    ("namespace", Text),
]);

const DESTINATION: Schema = Struct(&[("name", Text), ("namespace", Text), ("server", Text)]);

const HELM: Schema = Struct(&[
    ("apiVersions", TEXTS),
    (
        "fileParameters",
        List(&Struct(&[("name", Text), ("path", Text)])),
    ),
    ("ignoreMissingValueFiles", Boolean),
    ("kubeVersion", Text),
    ("namespace", Text),
    (
        "parameters",
        List(&Struct(&[
            ("forceString", Boolean),
            ("name", Text),
            ("value", Text),
        ])),
    ),
    ("passCredentials", Boolean),
    ("releaseName", Text),
    ("skipCrds", Boolean),
    ("skipSchemaValidation", Boolean),
    ("skipTests", Boolean),
    ("valueFiles", TEXTS),
    ("values", Text),
    ("valuesObject", Free),
    ("version", Text),
]);

const KUSTOMIZE: Schema = Struct(&[
    ("apiVersions", TEXTS),
    ("commonAnnotations", TEXT_MAP),
    ("commonAnnotationsEnvsubst", Boolean),
    ("commonLabels", TEXT_MAP),
    ("components", TEXTS),
    ("forceCommonAnnotations", Boolean),
    ("forceCommonLabels", Boolean),
    ("ignoreMissingComponents", Boolean),
    ("images", TEXTS),
    ("kubeVersion", Text),
    ("labelIncludeTemplates", Boolean),
    ("labelWithoutSelector", Boolean),
    ("namePrefix", Text),
    ("nameSuffix", Text),
    ("namespace", Text),
    (
        "patches",
        List(&Struct(&[
            ("options", Schema::Map(&Boolean)),
            ("patch", Text),
            ("path", Text),
            (
                "target",
                Struct(&[
                    ("annotationSelector", Text),
                    ("group", Text),
                    ("kind", Text),
                    ("labelSelector", Text),
                    ("name", Text),
                    ("namespace", Text),
                    ("version", Text),
                ]),
            ),
        ])),
    ),
    (
        "replicas",
        List(&Struct(&[("count", IntegerOrText), ("name", Text)])),
    ),
    ("version", Text),
]);

const JSONNET_VARIABLES: Schema = List(&Struct(&[
    ("code", Boolean),
    ("name", Text),
    ("value", Text),
]));

const DIRECTORY: Schema = Struct(&[
    ("disableExtensionFilter", Boolean),
    ("exclude", Text),
    ("include", Text),
    (
        "jsonnet",
        Struct(&[
            ("extVars", JSONNET_VARIABLES),
            ("libs", TEXTS),
            ("tlas", JSONNET_VARIABLES),
        ]),
    ),
    ("recurse", Boolean),
]);

const PLUGIN: Schema = Struct(&[
    ("env", List(&Struct(&[("name", Text), ("value", Text)]))),
    ("name", Text),
    (
        "parameters",
        List(&Struct(&[
            ("array", TEXTS),
            ("map", TEXT_MAP),
            ("name", Text),
            ("string", Text),
        ])),
    ),
]);

const SOURCE: Schema = Struct(&[
    ("chart", Text),
    ("directory", DIRECTORY),
    ("helm", HELM),
    ("kustomize", KUSTOMIZE),
    ("name", Text),
    ("path", Text),
    ("plugin", PLUGIN),
    ("ref", Text),
    ("repoURL", Text),
    ("tagPrefix", Text),
    ("targetRevision", Text),
]);

const SOURCE_HYDRATOR: Schema = Struct(&[
    (
        "drySource",
        Struct(&[
            ("directory", DIRECTORY),
            ("helm", HELM),
            ("kustomize", KUSTOMIZE),
            ("path", Text),
            ("plugin", PLUGIN),
            ("repoURL", Text),
            ("targetRevision", Text),
        ]),
    ),
    ("hydrateTo", Struct(&[("targetBranch", Text)])),
    (
        "syncSource",
        Struct(&[("path", Text), ("repoURL", Text), ("targetBranch", Text)]),
    ),
]);

const SYNC_POLICY: Schema = Struct(&[
    (
        "automated",
        Struct(&[
            ("allowEmpty", Boolean),
            ("enabled", Boolean),
            ("prune", Boolean),
            ("selfHeal", Boolean),
        ]),
    ),
    (
        "managedNamespaceMetadata",
        Struct(&[("annotations", TEXT_MAP), ("labels", TEXT_MAP)]),
    ),
    (
        "retry",
        Struct(&[
            (
                "backoff",
                Struct(&[
                    ("duration", Text),
                    ("factor", Integer),
                    ("maxDuration", Text),
                ]),
            ),
            ("limit", Integer),
            ("refresh", Boolean),
        ]),
    ),
    ("syncOptions", TEXTS),
]);

const SPEC: Schema = Struct(&[
    ("destination", DESTINATION),
    (
        "ignoreDifferences",
        List(&Struct(&[
            ("group", Text),
            ("jqPathExpressions", TEXTS),
            ("jsonPointers", TEXTS),
            ("kind", Text),
            ("managedFieldsManagers", TEXTS),
            ("name", Text),
            ("namespace", Text),
        ])),
    ),
    ("info", List(&Struct(&[("name", Text), ("value", Text)]))),
    ("project", Text),
    ("revisionHistoryLimit", Integer),
    ("source", SOURCE),
    ("sourceHydrator", SOURCE_HYDRATOR),
    ("sources", List(&SOURCE)),
    ("syncPolicy", SYNC_POLICY),
]);

/// An Application without what a template cannot have: `operation` and `status`.
pub(super) const APPLICATION: Schema = Struct(&[("metadata", METADATA), ("spec", SPEC)]);

/// A value of another type than its field has.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {expected}")]
pub(super) struct Mismatch {
    /// JSON Pointer to the field.
    pub(super) field: String,
    pub(super) expected: &'static str,
}

impl Mismatch {
    fn below(mut self, segment: &str) -> Self {
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        self.field.insert_str(0, &escaped);
        self.field.insert(0, '/');
        self
    }
}

/// How field names are matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Names {
    /// Exactly, as a Kubernetes client does.
    Exact,
    /// Whatever their case, as Go's `encoding/json` does.
    AnyCase,
}

impl Schema {
    fn expected(&self) -> &'static str {
        match self {
            Schema::Text => "a string",
            Schema::Boolean => "a boolean",
            Schema::Integer => "an integer",
            Schema::IntegerOrText => "an integer or a string",
            Schema::Free => "anything",
            Schema::List(_) | Schema::MergedList => "a list",
            Schema::Map(_) | Schema::Struct(_) => "an object",
        }
    }

    /// The field of a name, of a struct.
    pub(super) fn field(&self, name: &str) -> Option<&'static Schema> {
        let Schema::Struct(fields) = self else {
            return None;
        };
        let found = fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, schema)| schema)
    }

    /// The value as it comes back from the Go type: without fields that the type does not have and
    /// without nulls. `None` is the type's zero value.
    pub(super) fn conform(&self, value: Value, names: Names) -> Result<Option<Value>, Mismatch> {
        let conformed = match (self, value) {
            (_, Value::Null) => return Ok(None),
            (Schema::Free, value)
            | (Schema::Text | Schema::IntegerOrText, value @ Value::String(_))
            | (Schema::Boolean, value @ Value::Bool(_)) => value,
            (Schema::Integer | Schema::IntegerOrText, Value::Number(number)) if number.is_i64() => {
                Value::Number(number)
            }
            (Schema::Struct(fields), Value::Object(members)) => {
                Value::Object(conform_struct(fields, members, names)?)
            }
            (Schema::Map(schema), Value::Object(members)) => {
                Value::Object(conform_map(schema, members, names)?)
            }
            (Schema::List(schema), Value::Array(items)) => {
                Value::Array(conform_list(schema, items, names)?)
            }
            (Schema::MergedList, Value::Array(items)) => {
                Value::Array(conform_list(&Schema::Text, items, names)?)
            }
            _ => {
                return Err(Mismatch {
                    field: String::new(),
                    expected: self.expected(),
                });
            }
        };
        Ok(Some(conformed))
    }

    /// What Go has where a document says `null`.
    fn zero(&self) -> Value {
        match self {
            Schema::Text | Schema::IntegerOrText => Value::from(""),
            Schema::Boolean => Value::from(false),
            Schema::Integer => Value::from(0),
            Schema::Free => Value::Null,
            Schema::List(_) | Schema::MergedList => Value::Array(Vec::new()),
            Schema::Map(_) | Schema::Struct(_) => Value::Object(Map::new()),
        }
    }
}

fn conform_struct(
    fields: &'static [(&'static str, Schema)],
    members: Map<String, Value>,
    names: Names,
) -> Result<Map<String, Value>, Mismatch> {
    let mut conformed = Map::new();
    for (name, value) in members {
        let Some((field, schema)) = find(fields, &name, names) else {
            continue;
        };
        let is_null = value.is_null();
        let value = schema
            .conform(value, names)
            .map_err(|mismatch| mismatch.below(&name))?;
        match value {
            Some(value) => decode_into(conformed.entry(*field).or_insert(Value::Null), value),
            // `null` clears pointers, lists and maps, and leaves everything else.
            None if is_null
                && !matches!(schema, Schema::Text | Schema::Boolean | Schema::Integer) =>
            {
                conformed.remove(*field);
            }
            None => {}
        }
    }
    Ok(conformed)
}

fn find(
    fields: &'static [(&'static str, Schema)],
    name: &str,
    names: Names,
) -> Option<&'static (&'static str, Schema)> {
    let exact = fields.iter().find(|(field, _)| *field == name);
    match names {
        Names::Exact => exact,
        Names::AnyCase => exact.or_else(|| {
            fields
                .iter()
                .find(|(field, _)| members::folds_to(name, field))
        }),
    }
}

/// Decodes a second value for a field into the first, as Go does where two names fold to one field:
/// objects are merged, anything else is replaced.
fn decode_into(present: &mut Value, value: Value) {
    match (present, value) {
        (Value::Object(present), Value::Object(members)) => {
            for (name, value) in members {
                decode_into(present.entry(name).or_insert(Value::Null), value);
            }
        }
        (present, value) => *present = value,
    }
}

fn conform_map(
    schema: &'static Schema,
    members: Map<String, Value>,
    names: Names,
) -> Result<Map<String, Value>, Mismatch> {
    members
        .into_iter()
        .map(|(key, value)| {
            let value = schema
                .conform(value, names)
                .map_err(|mismatch| mismatch.below(&key))?;
            Ok((key, value.unwrap_or_else(|| schema.zero())))
        })
        .collect()
}

fn conform_list(
    schema: &'static Schema,
    items: Vec<Value>,
    names: Names,
) -> Result<Vec<Value>, Mismatch> {
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            let item = schema
                .conform(item, names)
                .map_err(|mismatch| mismatch.below(&index.to_string()))?;
            Ok(item.unwrap_or_else(|| schema.zero()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conform(value: Value, names: Names) -> Result<Value, Mismatch> {
        APPLICATION
            .conform(value, names)
            .map(Option::unwrap_or_default)
    }

    #[test]
    fn unknown_fields_and_nulls_vanish() {
        let value = json!({"spec": {"project": "shop", "colour": "red", "source": null}});
        assert_eq!(
            conform(value, Names::Exact),
            Ok(json!({"spec": {"project": "shop"}}))
        );
    }

    #[test]
    fn what_only_newer_versions_of_argo_cd_have_stays() {
        let source = json!({"directory": {"disableExtensionFilter": true}, "tagPrefix": "v"});
        let value = json!({"spec": {"source": source.clone(), "sources": [source]}});

        assert_eq!(conform(value.clone(), Names::Exact), Ok(value));
    }

    #[test]
    fn free_json_stays_as_it_is() {
        let value =
            json!({"spec": {"source": {"helm": {"valuesObject": {"a": null, "b": [1.5]}}}}});
        assert_eq!(conform(value.clone(), Names::Exact), Ok(value));
    }

    #[test]
    fn a_wrong_type_is_told_with_its_place() {
        let value = json!({"spec": {"sources": [{}, {"helm": {"skipCrds": "yes"}}]}});
        assert_eq!(
            conform(value, Names::Exact),
            Err(Mismatch {
                field: "/spec/sources/1/helm/skipCrds".to_owned(),
                expected: "a boolean",
            })
        );
        let fraction = json!({"spec": {"revisionHistoryLimit": 1.5}});
        assert!(conform(fraction, Names::Exact).is_err());
    }

    #[test]
    fn names_fold_only_where_go_decodes_plain_json() {
        let value = json!({"spec": {"SyncPolicy": {"Automated": {}}, "syncPolicy": {"syncOptions": ["A=b"]}}});
        assert_eq!(
            conform(value.clone(), Names::Exact),
            Ok(json!({"spec": {"syncPolicy": {"syncOptions": ["A=b"]}}}))
        );
        assert_eq!(
            conform(value, Names::AnyCase),
            Ok(json!({"spec": {"syncPolicy": {"automated": {}, "syncOptions": ["A=b"]}}}))
        );
    }
}
