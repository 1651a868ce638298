//! What an ApplicationSet costs: 100 clusters times 50 addons make 5,000 Applications, and the
//! throughput is that of generated Applications. And what a label costs that is put on one of the
//! clusters and changes nothing.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::application_set::{ApplicationSet, Generated, Limits, NoCheckouts};
use argocd::fleet::{Fleet, Parts};
use argocd::{AppProject, Cluster};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy::{Completeness, FanOut, GitOpsPolicySpec, Inventory, Object, Subject, evaluate};
use serde_json::{Value, json};

const CLUSTERS: usize = 100;
const ADDONS: usize = 50;

fn cluster(index: usize) -> Cluster {
    let environment = if index.is_multiple_of(4) {
        "prod"
    } else {
        "staging"
    };
    Cluster {
        name: format!("cluster-{index}"),
        server: format!("https://cluster-{index}.example.com"),
        labels: BTreeMap::from(
            [
                ("argocd.argoproj.io/secret-type", "cluster"),
                ("environment", environment),
                ("region", "eu-west-1"),
                ("workload-cluster", "true"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        ),
        ..Cluster::default()
    }
}

fn inventory() -> Inventory {
    let project: AppProject = serde_json::from_value(json!({
        "metadata": {"name": "addons", "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["https://git.example.com/platform/*"],
            "destinations": [{"name": "cluster-*", "namespace": "*"}],
        },
    }))
    .expect("a project");
    let fleet = Fleet::new(Parts {
        control_plane_namespace: "argocd".to_owned(),
        projects: vec![project],
        clusters: (0..CLUSTERS).map(cluster).collect(),
        ..Parts::default()
    });
    Inventory::new(
        fleet,
        Completeness::Complete,
        EnabledField::Supported,
        GitOpsPolicySpec::default(),
    )
    .expect("the defaults are consistent")
}

/// An ordinary addon template, in either language.
fn application_set(go_template: bool) -> String {
    let addons: Vec<Value> = (0..ADDONS)
        .map(|index| json!({"addon": format!("addon-{index}"), "revision": "v1.2.3"}))
        .collect();
    let dot = if go_template { "." } else { "" };
    let of = |name: &str| format!("{{{{ {dot}{name} }}}}");
    let template = json!({
        "metadata": {
            "name": format!("{}-{}", of("nameNormalized"), of("addon")),
            "labels": {"addon": of("addon"), "environment": of("metadata.labels.environment")},
        },
        "spec": {
            "project": "addons",
            "source": {
                "repoURL": "https://git.example.com/platform/fleet.git",
                "path": format!("charts/{}", of("addon")),
                "targetRevision": of("revision"),
                "helm": {
                    "releaseName": of("addon"),
                    "valueFiles": ["values.yaml", format!("../../clusters/{}.yaml", of("name"))],
                },
            },
            "destination": {"name": of("name"), "namespace": of("addon")},
            "ignoreDifferences": [
                {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]},
            ],
            "syncPolicy": {"syncOptions": ["CreateNamespace=true", "RespectIgnoreDifferences=true"]},
        },
    });
    let selector = json!({"matchLabels": {"workload-cluster": "true"}});
    json!({
        "metadata": {"name": "addons", "namespace": "argocd"},
        "spec": {
            "goTemplate": go_template,
            "generators": [{"matrix": {"generators": [
                {"clusters": {"selector": selector}},
                {"list": {"elements": addons}},
            ]}}],
            "template": template,
        },
    })
    .to_string()
}

fn expansion(criterion: &mut Criterion) {
    let mut inventory = inventory();
    let mut group = criterion.benchmark_group("expansion");
    group.sample_size(10);
    group.throughput(Throughput::Elements((CLUSTERS * ADDONS) as u64));
    for (language, go_template) in [("plain", false), ("goTemplate", true)] {
        let json = application_set(go_template);
        let set = ApplicationSet::from_json(&json).expect("an ApplicationSet");
        group.bench_function(format!("expand/{language}"), |bencher| {
            bencher.iter(|| {
                let limits = Limits::default();
                let expansion = set
                    .expand(&inventory.fleet.clusters, &NoCheckouts, &limits)
                    .expect("it expands");
                for generated in expansion.applications() {
                    let Ok(Generated::Application(application)) = generated else {
                        panic!("each of them is an Application");
                    };
                    black_box(application.json());
                }
            });
        });
        group.bench_function(format!("judge/{language}"), |bencher| {
            bencher.iter(|| {
                let set = ApplicationSet::from_json(&json).expect("an ApplicationSet");
                let subject = Subject::new(Object::ApplicationSet(Box::new(set)));
                black_box(evaluate(&subject, &inventory));
            });
        });
        let owned = Arc::new(set.clone().into_owned());
        inventory.application_sets = [owned].into();
        let (old, mut new) = (cluster(0), cluster(0));
        new.labels.insert("team".to_owned(), "shop".to_owned());
        group.bench_function(format!("label/{language}"), |bencher| {
            bencher.iter(|| {
                let new = Some(new.clone());
                black_box(FanOut::of_cluster(Some(&old), new, &inventory));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, expansion);
criterion_main!(benches);
