//! What behaves differently under Argo CD than under Helm.

use std::collections::BTreeSet;

use serde_json::Value;

use super::OnCluster;
use super::evidence::Evidence;
use crate::releases::Hook;

/// What behaves differently, in one sentence each.
pub(crate) fn inventory(
    one: &OnCluster,
    objects: &[Value],
    evidence: &Evidence,
) -> BTreeSet<String> {
    let mut told: BTreeSet<String> = one.release.hooks.iter().map(of_hook).collect();
    told.extend(objects.iter().filter_map(kept));
    told.extend(objects.iter().filter_map(of_webhook));
    if !evidence.definitions.is_empty() {
        let names: Vec<_> = evidence.definitions.iter().map(String::as_str).collect();
        told.insert(format!(
            "CustomResourceDefinitions of crds/ are kept up to date by Argo CD, and were left alone \
             by Helm: {}",
            names.join(", ")
        ));
    }
    if one.release.has_notes {
        told.insert("NOTES.txt of the chart is not shown by Argo CD".to_owned());
    }
    told
}

/// What Argo CD makes of a hook (Argo CD 3.6, `hook.Types`, gitops-engine `helm.Types`).
fn of_hook(hook: &Hook) -> String {
    let mut phases: BTreeSet<&str> = BTreeSet::new();
    let mut dropped: BTreeSet<&str> = BTreeSet::new();
    for event in &hook.events {
        match event.as_str() {
            "crd-install" => phases.insert("an object as any other"),
            "pre-install" | "pre-upgrade" => phases.insert("PreSync at every sync"),
            "post-install" | "post-upgrade" => phases.insert("PostSync at every sync"),
            "pre-delete" => phases.insert("PreDelete"),
            "post-delete" => phases.insert("PostDelete"),
            other => dropped.insert(other),
        };
    }
    let what = format!("hook {}/{}", hook.kind.to_lowercase(), hook.name);
    let join = |words: BTreeSet<&str>| words.into_iter().collect::<Vec<_>>().join(", ");
    let policies = if hook.delete_policies.is_empty() {
        "before-hook-creation".to_owned()
    } else {
        hook.delete_policies.join(", ")
    };
    match (phases.is_empty(), dropped.is_empty()) {
        (false, true) => format!("{what} becomes {} ({policies})", join(phases)),
        (false, false) => format!(
            "{what} becomes {} ({policies}), and is not run on {}",
            join(phases),
            join(dropped)
        ),
        (true, _) => format!("{what} is left out: Argo CD has no {}", join(dropped)),
    }
}

fn annotation<'o>(object: &'o Value, name: &str) -> Option<&'o str> {
    object
        .get("metadata")?
        .get("annotations")?
        .get(name)?
        .as_str()
}

fn named(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default().to_lowercase();
    format!("{kind}/{}", text("/metadata/name").unwrap_or_default())
}

fn kept(object: &Value) -> Option<String> {
    let policy = annotation(object, "helm.sh/resource-policy")?;
    (policy == "keep").then(|| {
        format!(
            "{} has helm.sh/resource-policy: keep: it stays when the Application is deleted, and is \
             pruned all the same when it leaves Git",
            named(object)
        )
    })
}

fn of_webhook(object: &Value) -> Option<String> {
    const KINDS: [&str; 2] = [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    ];
    let is_one = KINDS.contains(&object.get("kind")?.as_str()?);
    is_one.then(|| {
        format!(
            "{}: a caBundle that somebody else injects is not in Git; server-side diff leaves it \
             alone, unless the chart writes one",
            named(object)
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hook(events: &[&str], policies: &[&str]) -> String {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        of_hook(&Hook {
            name: "migrate".to_owned(),
            kind: "Job".to_owned(),
            events: own(events),
            delete_policies: own(policies),
            manifest: crate::releases::Hidden::default(),
        })
    }

    #[test]
    fn hooks_are_what_argo_cd_makes_of_them() {
        assert_eq!(
            hook(&["pre-install", "pre-upgrade"], &["hook-succeeded"]),
            "hook job/migrate becomes PreSync at every sync (hook-succeeded)"
        );
        assert_eq!(
            hook(&["post-install", "post-rollback"], &[]),
            "hook job/migrate becomes PostSync at every sync (before-hook-creation), and is not run \
             on post-rollback"
        );
        assert_eq!(
            hook(&["test"], &[]),
            "hook job/migrate is left out: Argo CD has no test"
        );
    }

    #[test]
    fn what_helm_keeps_is_told() {
        let object = |policy: &str| {
            json!({
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data", "annotations": {"helm.sh/resource-policy": policy}},
            })
        };
        let told = kept(&object("keep")).unwrap();
        assert!(told.starts_with("persistentvolumeclaim/data has helm.sh/resource-policy: keep"));
        assert_eq!(kept(&object("delete")), None);
    }
}
