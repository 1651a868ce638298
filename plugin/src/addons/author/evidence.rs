//! Whether what was rendered is what Helm has applied, object by object.

use std::collections::{BTreeMap, BTreeSet};

use argocd::comparison::differences;
use serde_json::Value;

use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;

/// What Helm has applied beside what Argo CD would apply.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Evidence {
    /// How many objects are the same.
    pub(crate) same: usize,
    pub(crate) mismatches: Vec<Mismatch>,
    /// Objects that two renderings of the same values do not have in common, with the fields.
    pub(crate) generated: Vec<Mismatch>,
    /// Definitions of custom resources that come with the chart. Helm does not note them.
    pub(crate) definitions: BTreeSet<String>,
}

/// An object that is not the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mismatch {
    /// `deployment/dns in namespace dns`.
    pub(crate) object: String,
    pub(crate) what: What,
}

/// In what it is not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// The release does not have it.
    Added,
    /// What was rendered does not have it.
    Missing,
    /// Fields, as JSON Pointers. No values: they may be secrets.
    Fields(Vec<String>),
}

impl What {
    /// What it is, in a sentence about the object.
    pub(crate) fn words(&self) -> String {
        match self {
            What::Added => "is rendered, and the release does not have it".to_owned(),
            What::Missing => "is in the release, and is not rendered".to_owned(),
            What::Fields(fields) => format!("is rendered otherwise in {}", fields.join(", ")),
        }
    }
}

impl Evidence {
    /// Compares a release's objects, hooks as well, with two renderings.
    pub(crate) fn of(
        release: Vec<Value>,
        rendered: [Vec<Value>; 2],
        cluster: &Cluster,
        namespace: &str,
    ) -> Self {
        let by_key = |objects: Vec<Value>| by_key(objects, cluster, namespace);
        let applied = by_key(release);
        let [first, second] = rendered.map(by_key);
        let mut evidence = Evidence::default();
        let generated = mismatches(&first, &second);
        evidence.generated = generated.into_iter().map(|(_, one)| one).collect();
        for (key, mismatch) in mismatches(&first, &applied) {
            let is_added = mismatch.what == What::Added;
            if is_added && is_definition(key) {
                evidence.definitions.insert(key.name.clone());
            } else {
                evidence.mismatches.push(mismatch);
            }
        }
        evidence.same = first.len() - evidence.definitions.len();
        let changed = evidence.mismatches.iter();
        let changed = changed.filter(|one| one.what != What::Missing).count();
        evidence.same -= changed;
        evidence
    }

    /// Whether Argo CD would apply what Helm has applied.
    pub(crate) fn is_proof(&self) -> bool {
        self.mismatches.is_empty() && self.generated.is_empty()
    }
}

fn is_definition(key: &Key) -> bool {
    key.group == "apiextensions.k8s.io" && key.kind == "CustomResourceDefinition"
}

/// Objects by what names them, each with the namespace that it goes to; of several the last.
fn by_key(objects: Vec<Value>, cluster: &Cluster, namespace: &str) -> BTreeMap<Key, Value> {
    let keyed = objects.into_iter().map(|object| {
        let mut key = Key::of(&object);
        match cluster.is_namespaced(&key.group, &key.kind) {
            Some(false) => key.namespace.clear(),
            _ if key.namespace.is_empty() => namespace.clone_into(&mut key.namespace),
            _ => {}
        }
        (key, object)
    });
    keyed.collect()
}

fn mismatches<'o>(
    rendered: &'o BTreeMap<Key, Value>,
    applied: &'o BTreeMap<Key, Value>,
) -> Vec<(&'o Key, Mismatch)> {
    let keys: BTreeSet<_> = rendered.keys().chain(applied.keys()).collect();
    let found = keys.into_iter().filter_map(|key| {
        let what = match (rendered.get(key), applied.get(key)) {
            (Some(rendered), Some(applied)) if rendered == applied => return None,
            (Some(rendered), Some(applied)) => What::Fields(fields(rendered, applied)?),
            (Some(_), None) => What::Added,
            (None, _) => What::Missing,
        };
        let object = named(key);
        Some((key, Mismatch { object, what }))
    });
    found.collect()
}

/// The fields that differ; None where only the way differs in which nothing is written.
fn fields(rendered: &Value, applied: &Value) -> Option<Vec<String>> {
    let found = differences(rendered, applied);
    let fields: Vec<_> = found.into_iter().map(|one| one.pointer).collect();
    (!fields.is_empty()).then_some(fields)
}

/// `deployment/dns in namespace dns`.
fn named(key: &Key) -> String {
    let kind = key.kind.to_lowercase();
    match &*key.namespace {
        "" => format!("{kind}/{}", key.name),
        namespace => format!("{kind}/{} in namespace {namespace}", key.name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(name: &str, data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
    }

    fn evidence(release: Vec<Value>, first: Vec<Value>, second: Vec<Value>) -> Evidence {
        Evidence::of(release, [first, second], &Cluster::default(), "dns")
    }

    #[test]
    fn what_is_the_same_is_counted() {
        let objects = vec![config("a", &json!({"x": "1"})), config("b", &json!({}))];
        let found = evidence(objects.clone(), objects.clone(), objects);
        assert_eq!(found.same, 2);
        assert!(found.is_proof());
    }

    #[test]
    fn what_is_not_is_named_without_values() {
        let release = vec![
            config("a", &json!({"x": "hunter2"})),
            config("gone", &json!({})),
        ];
        let rendered = vec![config("a", &json!({"x": "y"})), config("new", &json!({}))];
        let found = evidence(release, rendered.clone(), rendered);
        let told: Vec<_> = found
            .mismatches
            .iter()
            .map(|one| format!("{} {}", one.object, one.what.words()))
            .collect();
        assert_eq!(
            told,
            [
                "configmap/a in namespace dns is rendered otherwise in /data/x",
                "configmap/gone in namespace dns is in the release, and is not rendered",
                "configmap/new in namespace dns is rendered, and the release does not have it",
            ]
        );
        assert_eq!(found.same, 0);
        assert!(!found.is_proof());
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn what_two_renderings_do_not_have_in_common_is_generated() {
        let release = vec![config("a", &json!({"x": "1"}))];
        let second = vec![config("a", &json!({"x": "2"}))];
        let found = evidence(release.clone(), release, second);
        assert!(found.mismatches.is_empty());
        assert_eq!(
            found.generated[0].what,
            What::Fields(vec!["/data/x".to_owned()])
        );
        assert!(!found.is_proof());
    }

    #[test]
    fn definitions_come_with_the_chart_and_not_with_the_release() {
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "zones.dns.example.com"},
        });
        let found = evidence(vec![], vec![definition.clone()], vec![definition]);
        assert!(found.is_proof());
        assert!(found.definitions.contains("zones.dns.example.com"));
        assert_eq!(found.same, 0);
    }
}
