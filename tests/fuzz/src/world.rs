//! The fleets in which inputs are judged.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use argocd::application::EnabledField;
use argocd::cluster::Cluster;
use argocd::fleet::Parts;
use argocd::repository::ScopedRepository;
use argocd::settings::Settings;
use argocd::{AppProject, ApplicationSet, Fleet};
use policy::{Completeness, GitOpsPolicySpec, Inventory};
use serde_json::{Value, json};

/// The world of the recorded requests, once as the webhook knows it and without a policy, once as
/// files tell it and with a policy that says all that one can say.
pub(crate) static INVENTORIES: LazyLock<[Inventory; 2]> = LazyLock::new(|| {
    let webhook = Inventory::new(
        Fleet::new(parts()),
        Completeness::Complete,
        EnabledField::Supported,
        GitOpsPolicySpec::default(),
    );
    let files = Inventory::new(
        Fleet::new(Parts {
            settings: settings(),
            ..parts()
        }),
        Completeness::Partial,
        EnabledField::Dropped,
        serde_json::from_value(policy()).unwrap(),
    );
    let mut inventories = [webhook.unwrap(), files.unwrap()];
    for inventory in &mut inventories {
        inventory.application_sets = [Arc::new(application_set())].into();
    }
    inventories
});

/// Projects and clusters, without settings.
pub(crate) fn parts() -> Parts {
    let everywhere = json!([{"server": "*", "namespace": "*"}]);
    Parts {
        control_plane_namespace: "argocd".to_owned(),
        projects: vec![
            project(
                "default",
                &json!({"sourceRepos": ["*"], "destinations": everywhere}),
            ),
            project(
                "team-shop",
                &json!({
                    "sourceRepos": ["https://git.example.com/platform/*", "!https://git.example.com/platform/secret*"],
                    "destinations": [
                        {"name": "staging", "namespace": "shop-*"},
                        {"name": "prod", "namespace": "shop-*"},
                        {"server": "!https://prod.k8s.example.com", "namespace": "kube-system"},
                    ],
                    "sourceNamespaces": ["/^team-(a|aa)+$/", "shop-*"],
                }),
            ),
            project(
                "scoped",
                &json!({"sourceRepos": [], "destinations": everywhere, "permitOnlyProjectScopedClusters": true}),
            ),
        ],
        clusters: ["staging", "prod"].map(cluster).into(),
        repositories: vec![ScopedRepository {
            url: "https://git.example.com/scoped.git".to_owned(),
            project: "scoped".to_owned(),
        }],
        settings: Settings::default(),
    }
}

fn project(name: &str, spec: &Value) -> AppProject {
    let labels = json!({"tier": name});
    serde_json::from_value(
        json!({"metadata": {"name": name, "namespace": "argocd", "labels": labels}, "spec": spec}),
    )
    .unwrap()
}

fn cluster(name: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        server: format!("https://{name}.k8s.example.com"),
        labels: BTreeMap::from([("environment".to_owned(), name.to_owned())]),
        project: if name == "staging" { "scoped" } else { "" }.to_owned(),
        ..Cluster::default()
    }
}

/// One Application for each cluster.
fn application_set() -> ApplicationSet<'static> {
    let json = json!({
        "metadata": {"name": "agents", "namespace": "argocd"},
        "spec": {
            "goTemplate": true,
            "generators": [{"clusters": {"selector": {"matchExpressions": [{"key": "environment", "operator": "Exists"}]}}}],
            "template": {
                "metadata": {"name": "agent-{{ .name }}"},
                "spec": {
                    "project": "default",
                    "source": {"repoURL": "https://git.example.com/platform/agent.git", "path": "deploy"},
                    "destination": {"name": "{{ .name }}", "namespace": "agent"},
                },
            },
        },
    })
    .to_string();
    let set: ApplicationSet<'_> = serde_json::from_str(&json).unwrap();
    set.into_owned()
}

fn settings() -> Settings {
    let entries = [
        (
            "globalProjects",
            r"[{labelSelector: {matchExpressions: [{key: tier, operator: In, values: [team-shop]}]}, projectName: default}]",
        ),
        (
            "resource.customizations.ignoreDifferences.apps_StatefulSet",
            "jqPathExpressions: [.spec.replicas]",
        ),
        (
            "resource.customizations.ignoreDifferences.all",
            "managedFieldsManagers: [vertical-pod-autoscaler]",
        ),
    ];
    let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Settings::from_config_map(&BTreeMap::from(entries))
}

fn policy() -> Value {
    let exempt = json!([{
        "projects": ["legacy-*"],
        "applications": ["argocd/old-*"],
        "clusters": ["staging"],
        "reason": "being moved",
    }]);
    json!({
        "environments": [
            {
                "name": "production",
                "production": true,
                "match": {
                    "clusters": {"matchLabels": {"environment": "prod"}},
                    "applications": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
                    "destinations": ["prod-*"],
                    "projects": ["*-prod"],
                    "namespaces": ["live"],
                },
            },
            {"name": "staging", "match": {"destinations": ["staging"]}},
        ],
        "rules": {
            "project-scope": {"exempt": exempt},
            "prod-auto-sync": {"action": "Warn"},
            "replicas-ignored": {"require": "WhenAutoscaled", "environments": ["production", "staging"]},
            "operation-override": {"exempt": exempt},
            "cluster-credentials": {"environments": ["production"], "allowExec": ["argocd-k8s-auth"]},
        },
    })
}
