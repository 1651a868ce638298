//! Which objects a sync runs as hooks, or leaves alone; neither is compared.

use serde_json::Value;

const HOOK: &str = "argocd.argoproj.io/hook";
const HELM_HOOK: &str = "helm.sh/hook";

/// Whether an object is a hook of Argo CD's or Helm's, or one to be skipped (Argo CD 3.6, gitops-
/// engine `hook.IsHook`, `hook.Skip`). What Helm calls a hook to install definitions is none.
pub(super) fn is_left_out(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    let annotation = |name: &str| annotations?.get(name)?.as_str();
    if annotation(HOOK).is_some() {
        return true;
    }
    annotation(HELM_HOOK).is_some_and(|value| value != "crd-install")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hooks_are_known_by_their_annotations() {
        let with = |name: &str, value: &str| json!({"metadata": {"annotations": {name: value}}});
        assert!(is_left_out(&with(HOOK, "PreSync")));
        assert!(is_left_out(&with(HOOK, "Skip")));
        assert!(is_left_out(&with(HELM_HOOK, "post-install")));
        assert!(!is_left_out(&with(HELM_HOOK, "crd-install")));
        assert!(!is_left_out(&with("other", "PreSync")));
        assert!(!is_left_out(&json!({"metadata": {}})));
    }
}
