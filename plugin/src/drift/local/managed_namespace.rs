//! The Namespace of an Application's destination, where the Application says what its labels and
//! annotations are to be (`managedNamespaceMetadata`).

use serde_json::{Value, json};

use super::Key;

const METADATA: &str = "/syncPolicy/managedNamespaceMetadata";
const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";

/// What the Namespace is compared with, unless a manifest describes it (Argo CD 3.6,
/// `syncNamespace`, `isManagedNamespace`).
pub(crate) fn desired(spec: &Value, namespace: &str, others: &[Value]) -> Option<Value> {
    let metadata = spec.pointer(METADATA)?.as_object()?;
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace},
    });
    let key = Key::of(&object);
    if namespace.is_empty() || others.iter().any(|other| Key::of(other) == key) {
        return None;
    }
    let mut annotations = json!({});
    if let Some(Value::Object(written)) = metadata.get("annotations") {
        annotations = Value::Object(written.clone());
    }
    annotations[SYNC_OPTIONS] = json!("ServerSideApply=true");
    object["metadata"]["annotations"] = annotations;
    if let Some(labels @ Value::Object(_)) = metadata.get("labels") {
        object["metadata"]["labels"] = labels.clone();
    }
    Some(object)
}

/// Whether it is otherwise than it was at the last sync, which makes the Application out of sync by
/// itself (Argo CD 3.6, `HasChangedManagedNamespaceMetadata`). `synced` is the result of that sync.
pub(crate) fn has_changed(spec: &Value, synced: Option<&Value>) -> bool {
    let now = spec.pointer(METADATA).filter(|value| !value.is_null());
    let is_as_before = |synced: &Value| synced.get("managedNamespaceMetadata") == now;
    now.is_some() && synced.is_some_and(|synced| !is_as_before(synced))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(metadata: &Value) -> Value {
        json!({"syncPolicy": {"managedNamespaceMetadata": metadata}})
    }

    #[test]
    fn a_namespace_is_desired_as_the_application_describes_it() {
        let metadata = json!({"labels": {"team": "shop"}, "annotations": {"a": "b"}});
        let spec = spec(&metadata);
        assert_eq!(
            desired(&spec, "shop", &[]),
            Some(json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {
                    "name": "shop",
                    "labels": {"team": "shop"},
                    "annotations": {"a": "b", SYNC_OPTIONS: "ServerSideApply=true"},
                },
            }))
        );
        assert_eq!(desired(&spec, "", &[]), None);
        assert_eq!(desired(&json!({}), "shop", &[]), None);
        let in_git = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        assert_eq!(desired(&spec, "shop", &[in_git]), None);
    }

    #[test]
    fn what_was_synced_otherwise_is_out_of_sync() {
        let metadata = json!({"labels": {"team": "shop"}});
        let other = json!({"labels": {"team": "other"}});
        let synced = |metadata: &Value| json!({"managedNamespaceMetadata": metadata});
        for (synced, expected) in [
            (None, false),
            (Some(synced(&metadata)), false),
            (Some(synced(&other)), true),
            (Some(json!({"revision": "abc"})), true),
        ] {
            let synced = synced.as_ref();
            assert_eq!(
                has_changed(&spec(&metadata), synced),
                expected,
                "{synced:?}"
            );
            assert!(!has_changed(&spec(&Value::Null), synced), "{synced:?}");
        }
    }
}
