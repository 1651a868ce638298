//! The ApplicationSet of an addon: without automation, so that nothing happens before somebody has
//! looked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Places, yaml};
use crate::addons::gate::RUN_HOOKS;

/// What an ApplicationSet is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'f> {
    pub(crate) places: Places<'f>,
    /// The namespace that Argo CD runs in.
    pub(crate) argocd_namespace: &'f str,
    pub(crate) fan_out: FanOut<'f>,
    pub(crate) project: &'f str,
    pub(crate) repository: &'f str,
    pub(crate) target_revision: &'f str,
    pub(crate) release: &'f str,
    pub(crate) namespace: &'f str,
    /// Objects that an autoscaler scales.
    pub(crate) scaled: &'f [Scaled],
    /// Hooks that may run at every sync, as `KIND/NAME`.
    pub(crate) run_hooks: &'f [String],
}

/// For which clusters it generates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FanOut<'f> {
    /// Those whose Secrets have these labels.
    Labels(&'f BTreeMap<String, String>),
    /// Those of these names in Argo CD.
    Names(&'f [&'f str]),
}

impl FanOut<'_> {
    fn generator(self) -> Value {
        match self {
            FanOut::Labels(labels) => json!({"clusters": {"selector": {"matchLabels": labels}}}),
            FanOut::Names(names) => json!({
                "clusters": {},
                "selector": {
                    "matchExpressions": [{"key": "name", "operator": "In", "values": names}],
                },
            }),
        }
    }
}

/// An object of which an autoscaler sets the replicas.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Scaled {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// The objects that autoscalers of a release scale.
pub(crate) fn scaled(objects: &[Value]) -> Vec<Scaled> {
    let autoscalers = objects.iter().filter(|object| {
        object["kind"] == "HorizontalPodAutoscaler" || object["kind"] == "ScaledObject"
    });
    let mut scaled: Vec<_> = autoscalers
        .filter_map(|autoscaler| {
            let target = autoscaler.pointer("/spec/scaleTargetRef")?;
            let text = |field: &str| target.get(field).and_then(Value::as_str);
            // KEDA's default is a Deployment.
            let version = text("apiVersion").unwrap_or("apps/v1");
            let group = version.split_once('/').map_or("", |(group, _)| group);
            Some(Scaled {
                group: group.to_owned(),
                kind: text("kind").unwrap_or("Deployment").to_owned(),
                name: text("name")?.to_owned(),
            })
        })
        .collect();
    scaled.sort();
    scaled.dedup();
    scaled
}

/// The name of the Application on a cluster.
pub(crate) fn application(name: &str, cluster: &str) -> String {
    format!("{cluster}-{name}")
}

/// The source of an Application on a cluster, which is what the template generates.
pub(crate) fn source(facts: &Facts<'_>, cluster: &str) -> Value {
    let places = facts.places;
    json!({
        "repoURL": facts.repository,
        "targetRevision": facts.target_revision,
        "path": places.chart(),
        "helm": {
            "releaseName": facts.release,
            "ignoreMissingValueFiles": true,
            "valueFiles": [
                Places::SHARED,
                format!("../../{}", places.override_of(cluster)),
            ],
        },
    })
}

/// The text of the ApplicationSet.
pub(crate) fn text(facts: &Facts<'_>) -> String {
    let name = facts.places.name;
    let mut spec = json!({
        "project": facts.project,
        "source": source(facts, "{{ .name }}"),
        "destination": {"name": "{{ .name }}", "namespace": facts.namespace},
        "syncPolicy": {"syncOptions": ["ServerSideApply=true"]},
    });
    let ignored = facts.scaled.iter().map(|one| {
        json!({
            "group": one.group,
            "kind": one.kind,
            "name": one.name,
            "jsonPointers": ["/spec/replicas"],
        })
    });
    let ignored: Vec<Value> = ignored.collect();
    if !ignored.is_empty() {
        spec["ignoreDifferences"] = ignored.into();
        spec["syncPolicy"]["syncOptions"] =
            json!(["ServerSideApply=true", "RespectIgnoreDifferences=true"]);
    }
    let mut metadata = json!({
        "name": "{{ .nameNormalized }}-".to_owned() + name,
        "labels": {"addon": name},
        "annotations": {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"},
    });
    if facts.scaled.is_empty() {
        metadata["annotations"]["kubectl-gitops.io/autoscaled"] = "false".into();
    }
    if !facts.run_hooks.is_empty() {
        metadata["annotations"][RUN_HOOKS] = facts.run_hooks.join(",").into();
    }
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": facts.argocd_namespace},
        "spec": {
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [facts.fan_out.generator()],
            "syncPolicy": {
                "applicationsSync": "create-update",
                "preserveResourcesOnDeletion": true,
            },
            "template": {"metadata": metadata, "spec": spec},
        },
    });
    let comment = format!(
        "# The release {} in namespace {}, as Helm has installed it. Nothing is synced before a \
         person does it:\n# there is no spec.syncPolicy.automated, as an empty one would switch it \
         on.\n",
        facts.release, facts.namespace
    );
    let set = set.as_object().cloned().unwrap_or_default();
    comment + &yaml::mapping(&set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'f>(fan_out: FanOut<'f>, scaled: &'f [Scaled]) -> Facts<'f> {
        Facts {
            places: Places { name: "dns" },
            argocd_namespace: "argocd",
            fan_out,
            project: "platform",
            repository: "https://git.example.com/platform/fleet.git",
            target_revision: "main",
            release: "external-dns",
            namespace: "kube-system",
            scaled,
            run_hooks: &[],
        }
    }

    #[test]
    fn it_has_no_automation_and_keeps_what_runs() {
        let text = text(&facts(FanOut::Names(&["prod", "staging"]), &[]));
        let set = golang::yaml::value(&text).unwrap();
        let spec = &set["spec"];
        assert_eq!(spec["syncPolicy"]["preserveResourcesOnDeletion"], true);
        let template = &spec["template"]["spec"];
        assert_eq!(template["syncPolicy"].get("automated"), None);
        assert_eq!(template["source"]["helm"]["releaseName"], "external-dns");
        assert_eq!(template["source"]["helm"]["ignoreMissingValueFiles"], true);
        assert_eq!(
            template["source"]["helm"]["valueFiles"],
            json!([
                "values-shared.yaml",
                "../../cluster-overrides/{{ .name }}/dns.yaml"
            ])
        );
        assert_eq!(
            spec["generators"][0]["selector"]["matchExpressions"][0]["values"],
            json!(["prod", "staging"])
        );
        assert_eq!(template.get("ignoreDifferences"), None);
    }

    #[test]
    fn replicas_of_what_an_autoscaler_scales_are_ignored() {
        let objects = [
            json!({
                "kind": "HorizontalPodAutoscaler",
                "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "dns"}},
            }),
            json!({"kind": "ScaledObject", "spec": {"scaleTargetRef": {"name": "dns"}}}),
            json!({"kind": "Deployment"}),
        ];
        let scaled = scaled(&objects);
        assert_eq!(scaled.len(), 1);
        let text = text(&facts(FanOut::Names(&["prod"]), &scaled));
        let set = golang::yaml::value(&text).unwrap();
        let spec = &set["spec"]["template"]["spec"];
        assert_eq!(
            spec["ignoreDifferences"][0]["jsonPointers"],
            json!(["/spec/replicas"])
        );
        let options = spec["syncPolicy"]["syncOptions"].as_array().unwrap();
        assert!(options.contains(&json!("RespectIgnoreDifferences=true")));
    }

    #[test]
    fn hooks_that_may_run_are_named_in_an_annotation() {
        let hooks = ["job/migrate".to_owned(), "job/check".to_owned()];
        let facts = Facts {
            run_hooks: &hooks,
            ..facts(FanOut::Names(&["prod"]), &[])
        };
        let set = golang::yaml::value(&text(&facts)).unwrap();
        let annotations = &set["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(annotations[RUN_HOOKS], "job/migrate,job/check");
    }

    #[test]
    fn clusters_are_those_of_the_labels() {
        let labels = BTreeMap::from([("environment".to_owned(), "staging".to_owned())]);
        let text = text(&facts(FanOut::Labels(&labels), &[]));
        let set = golang::yaml::value(&text).unwrap();
        assert_eq!(
            set["spec"]["generators"],
            json!([{"clusters": {"selector": {"matchLabels": {"environment": "staging"}}}}])
        );
    }
}
