//! What a sync would do about a difference.

use serde::Deserialize;

/// What it would do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Effect {
    /// Nothing: it does not write the field, or does not prune.
    Nothing,
    /// Change the object, and nothing else.
    InPlace,
    /// Change a Pod template, so that Pods are replaced.
    Restart,
    /// Fail on a field that cannot be changed, unless the object is replaced.
    Replace,
    /// Create the object.
    Create,
    /// Delete the object.
    Delete,
    /// Fail, as the webhook refuses it.
    Refused,
}

impl Effect {
    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Effect::Nothing => "nothing",
            Effect::InPlace => "in-place",
            Effect::Restart => "restart",
            Effect::Replace => "replace",
            Effect::Create => "create",
            Effect::Delete => "delete",
            Effect::Refused => "refused",
        }
    }

    /// What it would do to an object of a kind, of which these fields differ. `has_rollout` says
    /// that its Pods follow its template by themselves.
    pub(crate) fn of_fields<'f>(
        group: &str,
        kind: &str,
        fields: impl Iterator<Item = &'f str>,
        has_rollout: bool,
    ) -> Self {
        let effects = fields.map(|pointer| of_field(group, kind, pointer, has_rollout));
        effects.max().unwrap_or(Effect::InPlace)
    }
}

/// Kinds whose Pods are replaced when their template changes.
const TEMPLATES: [(&str, &str); 5] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("argoproj.io", "Rollout"),
    ("apps.openshift.io", "DeploymentConfig"),
];

/// Fields that the API server does not let anybody change, by kind (Kubernetes 1.36,
/// `pkg/apis/*/validation`).
const IMMUTABLE: [(&str, &str, &[&str]); 14] = [
    ("apps", "Deployment", &["/spec/selector"]),
    ("apps", "ReplicaSet", &["/spec/selector"]),
    ("apps", "DaemonSet", &["/spec/selector"]),
    (
        "apps",
        "StatefulSet",
        &[
            "/spec/selector",
            "/spec/serviceName",
            "/spec/podManagementPolicy",
            "/spec/volumeClaimTemplates",
        ],
    ),
    (
        "batch",
        "Job",
        &["/spec/selector", "/spec/template", "/spec/completionMode"],
    ),
    ("", "Service", &["/spec/clusterIP", "/spec/clusterIPs"]),
    (
        "",
        "PersistentVolumeClaim",
        &[
            "/spec/accessModes",
            "/spec/selector",
            "/spec/storageClassName",
            "/spec/volumeMode",
            "/spec/volumeName",
        ],
    ),
    ("", "Secret", &["/type"]),
    (
        "",
        "Pod",
        &["/spec/containers", "/spec/volumes", "/spec/nodeName"],
    ),
    (
        "storage.k8s.io",
        "StorageClass",
        &[
            "/parameters",
            "/provisioner",
            "/reclaimPolicy",
            "/volumeBindingMode",
        ],
    ),
    ("rbac.authorization.k8s.io", "RoleBinding", &["/roleRef"]),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        &["/roleRef"],
    ),
    ("scheduling.k8s.io", "PriorityClass", &["/value"]),
    ("node.k8s.io", "RuntimeClass", &["/handler"]),
];

fn of_field(group: &str, kind: &str, pointer: &str, has_rollout: bool) -> Effect {
    let is_below = |top: &str| {
        let rest = pointer.strip_prefix(top);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // A container's image is the one thing that can be changed in a Pod, and restarts it.
    if (group, kind) == ("", "Pod") && pointer.ends_with("/image") {
        return Effect::Restart;
    }
    let immutable = IMMUTABLE.iter();
    let immutable = immutable.filter(|(of, named, _)| (*of, *named) == (group, kind));
    let mut immutable = immutable.flat_map(|(_, _, fields)| fields.iter());
    if immutable.any(|field| is_below(field)) {
        return Effect::Replace;
    }
    if is_below("/status") {
        return Effect::Nothing;
    }
    if has_rollout && TEMPLATES.contains(&(group, kind)) && is_below("/spec/template") {
        return Effect::Restart;
    }
    Effect::InPlace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effect_follows_from_kind_and_field() {
        for (group, kind, pointer, effect) in [
            ("apps", "Deployment", "/spec/replicas", Effect::InPlace),
            (
                "apps",
                "Deployment",
                "/spec/template/spec/containers/0/image",
                Effect::Restart,
            ),
            ("apps", "Deployment", "/spec/templates", Effect::InPlace),
            (
                "apps",
                "Deployment",
                "/spec/selector/matchLabels/app",
                Effect::Replace,
            ),
            ("apps", "Deployment", "/metadata/labels/a", Effect::InPlace),
            (
                "argoproj.io",
                "Rollout",
                "/spec/template/metadata",
                Effect::Restart,
            ),
            (
                "batch",
                "CronJob",
                "/spec/jobTemplate/spec/template",
                Effect::InPlace,
            ),
            ("batch", "Job", "/spec/template/spec", Effect::Replace),
            ("", "Service", "/spec/clusterIP", Effect::Replace),
            ("", "Service", "/spec/ports/0/port", Effect::InPlace),
            ("", "Pod", "/spec/containers/0/image", Effect::Restart),
            ("", "Pod", "/spec/containers/0/env", Effect::Replace),
            ("example.com", "Widget", "/status/x", Effect::Nothing),
            // Of another group, and so another kind.
            (
                "example.com",
                "Deployment",
                "/spec/selector",
                Effect::InPlace,
            ),
        ] {
            assert_eq!(
                Effect::of_fields(group, kind, [pointer].into_iter(), true),
                effect,
                "{group}/{kind} {pointer}"
            );
        }
    }

    #[test]
    fn the_gravest_effect_of_several_fields_counts() {
        let fields = [
            "/metadata/labels/a",
            "/spec/template/spec",
            "/spec/selector",
        ];
        let of = |fields: &[&'static str], has_rollout| {
            Effect::of_fields("apps", "StatefulSet", fields.iter().copied(), has_rollout)
        };
        assert_eq!(of(&fields, true), Effect::Replace);
        assert_eq!(of(&fields[..2], true), Effect::Restart);
        // With `updateStrategy: {type: OnDelete}` Pods stay until somebody deletes them.
        assert_eq!(of(&fields[..2], false), Effect::InPlace);
    }
}
