//! `templatePatch`: a strategic merge patch over a rendered Application.
//!
//! Follows Argo CD 3.5, `applyTemplatePatch` in `applicationset/controllers/template/patch.go`, and
//! Kubernetes' `strategicpatch`. Of an Application's lists only `metadata.finalizers` is merged;
//! all others are replaced.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::schema::{APPLICATION, Mismatch, Names, Schema};

/// Why Argo CD cannot apply a patch.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum PatchError {
    /// The patch, or what it makes of the Application, is not an Application.
    #[error("templatePatch: {}: {mismatch}", mismatch.field)]
    Type {
        /// Where, and what was expected.
        mismatch: Mismatch,
    },
    /// It is not an object.
    #[error("templatePatch is not an object")]
    NotAnObject,
    /// `$patch` says something else than `replace`, `delete` or `merge`.
    #[error("templatePatch: unknown directive $patch: {0}")]
    Directive(String),
    /// Kubernetes looks for the schema of what is merged, and free JSON has none.
    #[error("templatePatch: {0} of a free-form object cannot be merged, only added")]
    FreeForm(String),
}

const DIRECTIVE: &str = "$patch";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";
const RETAIN_KEYS: &str = "$retainKeys";

/// Applies a patch. The project stays what it was: Argo CD does not let a patch change it.
pub(super) fn apply(application: &Value, patch: Value) -> Result<Value, PatchError> {
    let mismatch = |mismatch| PatchError::Type { mismatch };
    let Value::Object(patch) = patch else {
        return match patch {
            Value::Null => Ok(application.clone()),
            _ => Err(PatchError::NotAnObject),
        };
    };
    // Argo CD first reads the patch itself as an Application.
    APPLICATION
        .conform(Value::Object(patch.clone()), Names::AnyCase)
        .map_err(mismatch)?;
    let mut merged = application.as_object().cloned().unwrap_or_default();
    merge(&mut merged, patch, Some(&APPLICATION))?;
    let mut patched = APPLICATION
        .conform(Value::Object(merged), Names::AnyCase)
        .map_err(mismatch)?
        .unwrap_or_default();
    keep_project(&mut patched, application);
    Ok(patched)
}

fn keep_project(patched: &mut Value, application: &Value) {
    let project = application.pointer("/spec/project").cloned();
    if !patched.is_object() {
        *patched = Value::Object(Map::new());
    }
    let spec = &mut patched["spec"];
    if !spec.is_object() {
        *spec = Value::Object(Map::new());
    }
    match (project, spec.as_object_mut()) {
        (Some(project), Some(spec)) => {
            spec.insert("project".to_owned(), project);
        }
        (None, Some(spec)) => {
            spec.remove("project");
        }
        (_, None) => {}
    }
}

/// Merges a patch into an object of a known type, or of none within free JSON (Kubernetes,
/// `mergeMap`).
fn merge(
    original: &mut Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: Option<&'static Schema>,
) -> Result<(), PatchError> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) => match directive.as_str() {
            "replace" => {
                *original = patch;
                return Ok(());
            }
            "delete" => {
                original.clear();
                return Ok(());
            }
            "merge" => {}
            _ => return Err(PatchError::Directive(directive)),
        },
        Some(other) => return Err(PatchError::Directive(other.to_string())),
    }
    if let Some(Value::Array(kept)) = patch.remove(RETAIN_KEYS) {
        let kept: HashSet<&str> = kept.iter().filter_map(Value::as_str).collect();
        original.retain(|key, _| kept.contains(key.as_str()));
    }
    for (key, value) in patch {
        if key.starts_with(SET_ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_FROM_LIST) {
            delete_from(original.get_mut(list), &value);
            continue;
        }
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        merge_member(original, key, value, schema)?;
    }
    Ok(())
}

fn merge_member(
    original: &mut Map<String, Value>,
    key: String,
    value: Value,
    schema: Option<&'static Schema>,
) -> Result<(), PatchError> {
    let inner = match schema {
        Some(Schema::Map(inner)) => Some(*inner),
        Some(schema) => schema.field(&key),
        None => None,
    };
    match (original.get_mut(&key), value) {
        (Some(Value::Object(original)), Value::Object(patch)) => {
            let Some(inner) = inner else {
                return Err(PatchError::FreeForm(key));
            };
            merge(original, patch, Some(inner))?;
        }
        (Some(Value::Array(items)), Value::Array(added)) => match inner {
            Some(Schema::MergedList) => {
                let known: HashSet<Value> = items.iter().cloned().collect();
                items.extend(added.into_iter().filter(|item| !known.contains(item)));
            }
            Some(_) => *items = added,
            None => return Err(PatchError::FreeForm(key)),
        },
        (_, value) => {
            original.insert(key, value);
        }
    }
    Ok(())
}

fn delete_from(list: Option<&mut Value>, deleted: &Value) {
    if let (Some(Value::Array(items)), Value::Array(deleted)) = (list, deleted) {
        let deleted: HashSet<&Value> = deleted.iter().collect();
        items.retain(|item| !deleted.contains(item));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn application() -> Value {
        json!({
            "metadata": {"name": "web", "labels": {"a": "b"}, "finalizers": ["f"]},
            "spec": {
                "project": "shop",
                "source": {"repoURL": "r", "helm": {"valueFiles": ["a"], "valuesObject": {"m": {"x": 1}}}},
            },
        })
    }

    fn patched(patch: Value) -> Value {
        apply(&application(), patch).unwrap()
    }

    #[test]
    fn maps_merge_lists_are_replaced_and_null_removes() {
        let patched = patched(json!({
            "metadata": {"labels": {"c": "d"}},
            "spec": {"source": {"repoURL": null, "helm": {"valueFiles": ["b"]}}},
        }));
        assert_eq!(patched["metadata"]["labels"], json!({"a": "b", "c": "d"}));
        assert_eq!(
            patched["spec"]["source"]["helm"]["valueFiles"],
            json!(["b"])
        );
        assert_eq!(patched["spec"]["source"].get("repoURL"), None);
    }

    #[test]
    fn the_project_cannot_be_changed_in_any_spelling() {
        for project in ["project", "Project", "PROJECT"] {
            let patched = patched(json!({"spec": {project: "admin"}}));
            assert_eq!(patched["spec"]["project"], "shop");
        }
    }

    #[test]
    fn an_empty_spec_in_the_patch_takes_everything_but_the_project() {
        let patched = patched(json!({"spec": null}));
        assert_eq!(patched["spec"], json!({"project": "shop"}));
    }

    #[test]
    fn other_fields_can_be_changed_in_any_spelling() {
        let patched = patched(json!({"spec": {"SyncPolicy": {"automated": {}}}}));
        assert_eq!(patched["spec"]["syncPolicy"], json!({"automated": {}}));
    }

    #[test]
    fn finalizers_are_added_to() {
        let patched = patched(json!({"metadata": {"finalizers": ["g", "f"]}}));
        assert_eq!(patched["metadata"]["finalizers"], json!(["f", "g"]));
        let emptied = super::tests::patched(json!({
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["f"]},
        }));
        assert_eq!(emptied["metadata"]["finalizers"], json!([]));
    }

    #[test]
    fn directives_replace_and_delete() {
        let replaced =
            patched(json!({"metadata": {"labels": {"$patch": "replace", "only": "this"}}}));
        assert_eq!(replaced["metadata"]["labels"], json!({"only": "this"}));
        let deleted = patched(json!({"metadata": {"labels": {"$patch": "delete"}}}));
        assert_eq!(deleted["metadata"]["labels"], json!({}));
        let unknown = json!({"metadata": {"labels": {"$patch": "dance"}}});
        assert!(apply(&application(), unknown).is_err());
    }

    #[test]
    fn free_form_values_can_be_added_but_not_merged() {
        let added = patched(
            json!({"spec": {"source": {"helm": {"parameters": [{"name": "a", "value": "b"}]}}}}),
        );
        assert_eq!(
            added["spec"]["source"]["helm"]["valuesObject"],
            json!({"m": {"x": 1}})
        );
        let merged = json!({"spec": {"source": {"helm": {"valuesObject": {"m": {"y": 2}}}}}});
        assert_eq!(
            apply(&application(), merged),
            Err(PatchError::FreeForm("m".to_owned()))
        );
    }

    #[test]
    fn a_patch_of_another_type_is_an_error() {
        for patch in [
            json!([]),
            json!("text"),
            json!({"spec": {"revisionHistoryLimit": "many"}}),
        ] {
            assert!(apply(&application(), patch.clone()).is_err(), "{patch}");
        }
        assert_eq!(apply(&application(), Value::Null), Ok(application()));
    }
}
