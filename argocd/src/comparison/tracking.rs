//! The marks by which Argo CD tracks what belongs to an Application.

use serde_json::{Map, Value};

use super::object::{kind_of, texts};
use super::settings::ComparisonSettings;
use super::verdict::Generation;

const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

/// Makes a live object that was tracked by a label look as if it had the annotation of its
/// manifest (Argo CD 3.5 `resourceTracking.Normalize`, `SetAppInstanceAnnotation`). Since 3.6 one
/// that has the annotation keeps its own.
///
/// Nothing is done where labels or annotations are not all texts, which Go cannot read.
pub(super) fn normalize(desired: &Value, live: &mut Value, settings: &ComparisonSettings) {
    let key = settings.tracking.label_key();
    let (version, kind) = kind_of(live);
    let is_definition =
        version.starts_with("apiextensions.k8s.io/") && kind == "CustomResourceDefinition";
    if settings.tracking.is_by_label()
        || is_definition
        || mark(live, "labels", key).is_none_or(str::is_empty)
    {
        return;
    }
    let Some(id) = mark(desired, "annotations", TRACKING_ID).map(str::to_owned) else {
        return;
    };
    let own = mark(live, "annotations", TRACKING_ID);
    let keeps_own =
        settings.generation == Generation::Since36 && own.is_some_and(|own| !own.is_empty());
    if !keeps_own && !annotate(live, id) {
        return;
    }
    if mark(desired, "labels", key).is_some_and(str::is_empty)
        && let Some(Value::Object(metadata)) = live.get_mut("metadata")
        && let Some(Value::Object(labels)) = metadata.get_mut("labels")
    {
        labels.remove(key);
        if labels.is_empty() {
            metadata.remove("labels");
        }
    }
}

/// Whether the annotation could be set.
fn annotate(live: &mut Value, id: String) -> bool {
    let Some(Value::Object(metadata)) = live.get_mut("metadata") else {
        return false;
    };
    let annotations = metadata.entry("annotations").or_insert(Value::Null);
    if annotations.is_null() {
        *annotations = Value::Object(Map::new());
    }
    match annotations {
        Value::Object(annotations) if annotations.values().all(Value::is_string) => {
            annotations.insert(TRACKING_ID.to_owned(), Value::String(id));
            true
        }
        _ => false,
    }
}

/// A label or annotation, empty if it is not there; `None` if they cannot be read.
fn mark<'o>(object: &'o Value, name: &str, key: &str) -> Option<&'o str> {
    if object.get("metadata")?.get(name).is_none_or(Value::is_null) {
        return Some("");
    }
    let found = texts(object, name)?.get(key);
    Some(found.and_then(Value::as_str).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tracking::Tracking;

    const METHOD: &str = "application.resourceTrackingMethod";

    /// Marked by annotation, or by a label alone.
    fn normalized(desired: &Value, live: Value, method: &str) -> Value {
        let settings = ComparisonSettings {
            tracking: Tracking::of(|key| (key == METHOD).then_some(method)),
            ..ComparisonSettings::default()
        };
        let mut live = live;
        normalize(desired, &mut live, &settings);
        live
    }

    #[test]
    fn a_live_object_that_a_label_tracks_gets_the_annotation_of_its_manifest() {
        let label = json!({"app.kubernetes.io/instance": "x", "a": "b"});
        let desired = json!({"metadata": {"annotations": {TRACKING_ID: "app:/Secret:n/s"}}});
        let live = json!({"metadata": {"labels": label, "annotations": null}});
        assert_eq!(
            normalized(&desired, live.clone(), "annotation"),
            json!({"metadata": {
                "labels": {"a": "b"},
                "annotations": {TRACKING_ID: "app:/Secret:n/s"},
            }})
        );
        assert_eq!(normalized(&desired, live.clone(), "label"), live);
        let kept = json!({"metadata": {"labels": label}});
        assert_eq!(
            normalized(&kept, live.clone(), "annotation")["metadata"]["labels"],
            label
        );
        let mut definition = live;
        definition["apiVersion"] = "apiextensions.k8s.io/v1".into();
        definition["kind"] = "CustomResourceDefinition".into();
        assert_eq!(
            normalized(&desired, definition.clone(), "annotation"),
            definition
        );
    }

    #[test]
    fn without_a_label_or_with_unreadable_ones_nothing_is_done() {
        let desired = json!({"metadata": {"annotations": {TRACKING_ID: "x"}}});
        for live in [
            json!({"metadata": {}}),
            json!({"metadata": {"labels": {"app.kubernetes.io/instance": "x", "n": 1}}}),
            json!({"metadata": {
                "labels": {"app.kubernetes.io/instance": "x"},
                "annotations": {"n": 1},
            }}),
        ] {
            assert_eq!(normalized(&desired, live.clone(), "annotation"), live);
        }
    }

    #[test]
    fn since_36_an_annotation_that_is_there_is_kept() {
        let desired = json!({"metadata": {"annotations": {TRACKING_ID: "new:/Secret:n/s"}}});
        let live = json!({"metadata": {
            "labels": {"app.kubernetes.io/instance": "x"},
            "annotations": {TRACKING_ID: "old:/Secret:n/s"},
        }});
        for (generation, expected) in [
            (Generation::UpTo35, "new:/Secret:n/s"),
            (Generation::Since36, "old:/Secret:n/s"),
        ] {
            let settings = ComparisonSettings {
                generation,
                ..ComparisonSettings::default()
            };
            let mut live = live.clone();
            normalize(&desired, &mut live, &settings);
            assert_eq!(live["metadata"]["annotations"][TRACKING_ID], expected);
            assert_eq!(live["metadata"].get("labels"), None);
        }
    }
}
