//! What counts of one of Argo CD's own objects.

use serde_json::{Map, Value, json};

/// Annotations that Argo CD and its companions write while they work.
const WRITTEN_BY_ARGO_CD: [&str; 7] = [
    "argocd.argoproj.io/application-set-refresh",
    "argocd.argoproj.io/hydrate",
    "argocd.argoproj.io/installation-id",
    "argocd.argoproj.io/refresh",
    "argocd.argoproj.io/tracking-id",
    "kubectl.kubernetes.io/last-applied-configuration",
    "notified.notifications.argoproj.io",
];

/// Finalizers that the application controller adds for hooks (Argo CD 3.6, `PostDeleteFinalizerName`).
const FINALIZERS_OF_HOOKS: [&str; 2] = [
    "post-delete-finalizer.argocd.argoproj.io",
    "pre-delete-finalizer.argocd.argoproj.io",
];

/// The label by which Argo CD may mark what it applies.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// Options of a source that Argo CD takes away where they are empty (Argo CD 3.6,
/// `NormalizeApplicationSpec`).
const EMPTY_IS_ABSENT: [&str; 4] = ["helm", "kustomize", "directory", "jsonnet"];

/// What has members of anybody's choice.
const FREE: [&str; 4] = ["valuesObject", "elements", "values", "parameters"];

/// Labels, annotations, finalizers and spec, without what Argo CD writes by itself unless Git says
/// it, and without values that mean nothing, which whoever writes by Argo CD's types leaves out.
pub(super) fn counted(object: &Value, git: &Value) -> Value {
    let metadata = |name: &str| object.pointer(&format!("/metadata/{name}"));
    let in_git = |name: &str, key: &str| {
        let members = git.pointer(&format!("/metadata/{name}"));
        members.is_some_and(|members| members.get(key).is_some())
    };
    let map = |name: &str, is_own: fn(&str) -> bool| {
        let members = metadata(name).and_then(Value::as_object);
        let members = members.into_iter().flatten();
        let kept = members.filter(|(key, _)| !is_own(key) || in_git(name, key));
        let kept: Map<String, Value> = kept
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        kept
    };
    let git_finalizers = git
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    let is_in_git = |value: &Value| git_finalizers.is_some_and(|all| all.contains(value));
    let finalizers = metadata("finalizers").and_then(Value::as_array);
    let finalizers = finalizers.into_iter().flatten();
    let finalizers: Vec<&Value> = finalizers
        .filter(|value| !is_of_hook(value) || is_in_git(value))
        .collect();
    let mut spec = object.get("spec").cloned().unwrap_or_default();
    let is_application = object.get("kind").and_then(Value::as_str) == Some("Application");
    simplify(&mut spec);
    if is_application
        && let Some(members) = spec.as_object_mut()
        && !members.contains_key("project")
    {
        members.insert("project".to_owned(), "default".into());
    }
    let mut counted = json!({
        "metadata": {
            "labels": map("labels", |key| key == INSTANCE),
            "annotations": map("annotations", |key| WRITTEN_BY_ARGO_CD.contains(&key)),
            "finalizers": finalizers,
        },
        "spec": spec,
    });
    for name in ["apiVersion", "kind"] {
        if let Some(value) = object.get(name) {
            counted[name] = value.clone();
        }
    }
    if let Some(metadata) = counted["metadata"].as_object_mut() {
        metadata.retain(|_, value| !is_empty(value));
    }
    for name in ["name", "namespace"] {
        if let Some(value) = metadata(name) {
            counted["metadata"][name] = value.clone();
        }
    }
    counted
}

fn is_of_hook(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    FINALIZERS_OF_HOOKS
        .iter()
        .any(|start| text.starts_with(start))
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// Takes out what is the same as being absent: null, false and empty text, but for
/// `automated.enabled`, which is true where it is absent.
fn simplify(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if !FREE.contains(&name.as_str()) {
                    simplify(value);
                }
            }
            members.retain(|name, value| {
                let means_nothing = match value {
                    Value::Null => true,
                    Value::Bool(value) => !*value && name != "enabled",
                    Value::String(text) => text.is_empty(),
                    Value::Object(members) => {
                        members.is_empty() && EMPTY_IS_ABSENT.contains(&name.as_str())
                    }
                    _ => false,
                };
                !means_nothing
            });
        }
        Value::Array(elements) => elements.iter_mut().for_each(simplify),
        _ => {}
    }
}
