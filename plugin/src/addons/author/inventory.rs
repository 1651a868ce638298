//! What behaves differently under Argo CD than under Helm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::OnCluster;
use crate::addons::owners::LiveObject;
use crate::drift::Effect;
use crate::drift::local::Key;
use crate::releases::{Chart, Hook};

/// What is known of a release on a cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'k> {
    pub(crate) on: &'k OnCluster,
    /// What Helm has applied, and its hooks.
    pub(crate) objects: &'k [Value],
    /// What is there of it.
    pub(crate) live: &'k BTreeMap<Key, LiveObject>,
    /// Definitions of custom resources that come with the chart.
    pub(crate) definitions: &'k BTreeSet<String>,
}

/// What behaves differently, in one sentence each.
pub(crate) fn inventory(known: &Known<'_>) -> BTreeSet<String> {
    let release = &known.on.release;
    let mut told: BTreeSet<String> = release.hooks.iter().map(of_hook).collect();
    told.extend(known.objects.iter().filter_map(kept));
    told.extend(known.objects.iter().filter_map(of_webhook));
    told.extend(known.objects.iter().filter_map(immutable));
    told.extend(known.live.iter().flat_map(of_owners));
    told.extend(unrepeatable(&release.chart));
    if !known.definitions.is_empty() {
        let names: Vec<_> = known.definitions.iter().map(String::as_str).collect();
        told.insert(format!(
            "CustomResourceDefinitions of crds/ are kept up to date by Argo CD, and were left alone \
             by Helm: {}",
            names.join(", ")
        ));
    }
    if release.has_notes {
        told.insert("NOTES.txt of the chart is not shown by Argo CD".to_owned());
    }
    told
}

static CALLS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"\b(lookup|getHostByName|now|uuidv4|shuffle|bcrypt|htpasswd|encryptAES|derivePassword",
        r"|rand(?:AlphaNum|Alpha|Ascii|Numeric|Bytes|Int)",
        r"|gen(?:PrivateKey|CA|CAWithKey|SelfSignedCert|SelfSignedCertWithKey|SignedCert",
        r"|SignedCertWithKey))\b",
    ))
    .ok()
});

/// The templates of a chart that call what is made anew at each rendering, or what asks the
/// cluster, which Argo CD's rendering cannot; one sentence each.
pub(crate) fn unrepeatable(chart: &Chart) -> BTreeSet<String> {
    let Some(calls) = &*CALLS else {
        return BTreeSet::new();
    };
    let mut told = BTreeSet::new();
    for file in &chart.templates {
        let text = String::from_utf8_lossy(file.data.expose());
        let actions = text.split("{{").skip(1);
        let actions = actions.filter_map(|action| Some(action.split_once("}}")?.0));
        let actions = actions.filter(|action| {
            !action
                .trim_start_matches('-')
                .trim_start()
                .starts_with("/*")
        });
        let names: BTreeSet<&str> = actions
            .flat_map(|action| calls.find_iter(action))
            .map(|name| name.as_str())
            .collect();
        told.extend(names.into_iter().map(|name| {
            let what = match name {
                "lookup" => "finds nothing under Argo CD",
                _ => "is made anew at each rendering of Argo CD's",
            };
            format!("{} calls {name}, which {what}", file.name)
        }));
    }
    told
}

/// Who owns fields of an object beside those who install it, and whose it is already.
fn of_owners((key, live): (&Key, &LiveObject)) -> Vec<String> {
    let object = format!("{}/{}", key.kind.to_lowercase(), key.name);
    let others: Vec<&str> = live.others().collect();
    let mut told = Vec::new();
    if !others.is_empty() {
        told.push(format!(
            "{object} has fields of {}: Argo CD takes over those that the chart sets",
            others.join(", ")
        ));
    }
    if let Some(application) = &live.application {
        told.push(format!(
            "{object} belongs to the Application {application} already: two that have one object \
             fight over it"
        ));
    }
    told
}

/// The fields of an object that nobody can change.
fn immutable(object: &Value) -> Option<String> {
    const FIELDS: [&str; 10] = [
        "/spec/selector",
        "/spec/serviceName",
        "/spec/volumeClaimTemplates",
        "/spec/template",
        "/spec/clusterIP",
        "/spec/storageClassName",
        "/parameters",
        "/provisioner",
        "/roleRef",
        "/value",
    ];
    let key = Key::of(object);
    let of_kind = |pointer: &&str| {
        let fields = std::iter::once(*pointer);
        Effect::of_fields(&key.group, &key.kind, fields, true) == Effect::Replace
    };
    let there = FIELDS
        .iter()
        .filter(|pointer| object.pointer(pointer).is_some());
    let there: Vec<&str> = there.copied().filter(|pointer| of_kind(pointer)).collect();
    (!there.is_empty()).then(|| {
        format!(
            "{}: {} cannot be changed later unless the object is replaced",
            named(object),
            there.join(", ")
        )
    })
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

    fn chart(template: &str) -> Chart {
        let data = crate::releases::Hidden::new(template.as_bytes().to_vec());
        Chart {
            metadata: crate::releases::ChartMetadata::default(),
            definition: json!({}),
            templates: vec![crate::releases::ChartFile {
                name: "templates/a.yaml".to_owned(),
                data,
            }],
            files: Vec::new(),
            values: crate::releases::Hidden::default(),
            schema: None,
        }
    }

    #[test]
    fn templates_that_cannot_be_rendered_twice_alike_are_named() {
        assert!(CALLS.is_some());
        for (template, expected) in [
            ("{{ randAlphaNum 8 | b64enc }}", vec!["randAlphaNum"]),
            (
                "{{- $ca := genCA \"a\" 1 }}{{ if lookup \"v1\" \"Secret\" \"a\" \"b\" }}",
                vec!["genCA", "lookup"],
            ),
            ("lookup: {{ .Values.lookup1 }} now", vec![]),
            (
                "{{/* lookup is not called */}}{{- /* nor here: now */ -}}",
                vec![],
            ),
        ] {
            let told = unrepeatable(&chart(template));
            let names = told.iter().map(|text| {
                let rest = text.strip_prefix("templates/a.yaml calls ").unwrap();
                rest.split(',').next().unwrap().to_owned()
            });
            assert_eq!(names.collect::<Vec<_>>(), expected, "{template}");
        }
    }

    #[test]
    fn what_cannot_be_changed_later_is_told() {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "dns"},
            "spec": {"selector": {}, "serviceName": "dns", "template": {}},
        });
        assert_eq!(
            immutable(&object).unwrap(),
            "statefulset/dns: /spec/selector, /spec/serviceName cannot be changed later unless the \
             object is replaced"
        );
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"},
            "spec": {"selector": {}},
        });
        assert_eq!(immutable(&service), None);
    }

    #[test]
    fn second_owners_are_told() {
        let key =
            Key::of(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}}));
        let live = |managers: &[&str], application: Option<&str>| LiveObject {
            managers: managers.iter().map(|name| (*name).to_owned()).collect(),
            application: application.map(str::to_owned),
        };
        let told = of_owners((&key, &live(&["helm", "kubectl-edit"], None)));
        assert_eq!(
            told,
            [
                "service/dns has fields of kubectl-edit: Argo CD takes over those that the chart sets"
            ]
        );
        assert!(of_owners((&key, &live(&["Helm"], None))).is_empty());
        let told = of_owners((&key, &live(&["helm"], Some("other"))));
        assert!(told[0].starts_with("service/dns belongs to the Application other already"));
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
