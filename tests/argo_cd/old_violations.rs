//! The webhook comes to a fleet on whose production nothing is as it should be, and Argo CD does
//! not notice.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use harness::argo_cd::{Fleet, Guard};
use harness::succeed;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::{Request, commit, greeting, service_is_put_back};

/// Of the root: an app-of-apps in the project `default`.
const OLD: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: old }
spec:
  project: default
  source: { repoURL: https://git.example.com/shop/platform.git, path: old, targetRevision: main }
  destination: { server: https://kubernetes.default.svc, namespace: argocd }
  syncPolicy:
    automated: { prune: true, selfHeal: true }
    retry: { limit: 1, backoff: { duration: 1s } }
";
/// Of the app-of-apps: each follows whatever is newest, by itself, and keeps nothing of what an
/// autoscaler does.
const SHOP: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: old-shop, finalizers: [resources-finalizer.argocd.argoproj.io] }
spec:
  project: default
  source:
    repoURL: https://git.example.com/shop/platform.git
    path: charts/shop
    helm: { valueFiles: [values/old.yaml] }
  destination: { name: production, namespace: old-shop }
  syncPolicy:
    automated: { prune: true, selfHeal: true }
    syncOptions: [CreateNamespace=true]
";
const SEARCH: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: old-search, finalizers: [resources-finalizer.argocd.argoproj.io] }
spec:
  project: default
  source: { repoURL: https://git.example.com/shop/platform.git, path: search }
  destination: { name: production, namespace: old-search }
  syncPolicy:
    automated: { prune: true, selfHeal: true }
    syncOptions: [CreateNamespace=true]
";
const ADDONS: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: { name: old-addons }
spec:
  goTemplate: true
  generators:
    - clusters: { selector: { matchLabels: { environment: production } } }
  template:
    metadata: { name: "old-reporter-{{ .name }}" }
    spec:
      project: default
      source: { repoURL: https://git.example.com/shop/platform.git, path: addons/reporter/overlays/production }
      destination: { name: "{{ .name }}", namespace: old-addons }
      syncPolicy:
        automated: { prune: true, selfHeal: true }
        syncOptions: [CreateNamespace=true]
"#;
/// The autoscaler wants what Git says, or it and Argo CD would never come to an end.
const VALUES: &str = "greeting: welcome to the old shop\nautoscaler: { min: 1, max: 1 }\n";
/// What a person has made with `argocd`.
const BY_HAND: &str = "old-by-hand";
const APPLICATIONS: [&str; 6] = [
    "root",
    "old",
    "old-shop",
    "old-search",
    "old-reporter-production",
    BY_HAND,
];

#[tokio::test]
async fn argo_cd_does_not_notice_that_the_webhook_comes_to_a_fleet_full_of_violations() -> Result<()>
{
    let mut fleet = Fleet::start(Guard::None).await?;
    fleet.deployed().await?;
    violate_everything(&fleet).await?;
    let before = Request::by_argo_cd(fleet.devops().control_plane())?.len();

    fleet.install_webhook().await?;

    people_work_with_argocd(&fleet).await?;
    commits_are_deployed(&fleet).await?;
    drift_is_healed(&fleet).await?;
    everything_is_refreshed_and_synced(&fleet).await?;
    children_change_with_git(&fleet).await?;
    applications_are_deleted(&fleet).await?;
    fleet.deployed().await?;

    let since = || -> Result<_> {
        Ok(Request::by_argo_cd(fleet.devops().control_plane())?.split_off(before))
    };
    let requests = since()?;
    let refused: Vec<_> = requests.iter().filter(|write| write.is_refused()).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let rules: BTreeSet<_> = requests.iter().flat_map(Request::rules).collect();
    for violated in [
        "default-project",
        "prod-auto-sync",
        "replicas-ignored",
        "cluster-credentials",
        "project-too-wide",
        "unpinned-revision",
    ] {
        assert!(rules.contains(violated), "{rules:?}");
    }

    a_new_one_of_the_kind_is_refused(&fleet).await?;
    let requests = since()?;
    let refused = requests.iter().filter(|write| write.is_refused());
    let refused: BTreeSet<_> = refused.map(Request::object_name).collect();
    assert_eq!(refused, BTreeSet::from(["new-shop"]));
    Ok(())
}

async fn violate_everything(fleet: &Fleet) -> Result<()> {
    let repository = fleet.repository();
    for (path, text) in [
        ("apps/old.yaml", OLD),
        ("old/shop.yaml", SHOP),
        ("old/search.yaml", SEARCH),
        ("old/addons.yaml", ADDONS),
        ("charts/shop/values/old.yaml", VALUES),
    ] {
        repository.write(path, text)?;
    }
    commit(fleet, "Begin as everybody does", "root").await?;
    let url = repository.url();
    let create = [
        &["app", "create", BY_HAND, "--project", "default"][..],
        &[
            "--repo",
            &url,
            "--path",
            "charts/shop",
            "--values",
            "values/old.yaml",
        ],
        &["--dest-name", "production", "--dest-namespace", BY_HAND],
        &[
            "--sync-policy",
            "automated",
            "--self-heal",
            "--set-finalizer",
        ],
        &["--sync-option", "CreateNamespace=true"],
    ];
    fleet.argocd(create.concat()).await?;
    log_in_with_a_token(fleet).await?;
    fleet.synced_and_healthy(&APPLICATIONS).await
}

/// Has Argo CD log in to production with another token from now on.
async fn log_in_with_a_token(fleet: &Fleet) -> Result<()> {
    let config = fleet.production().config_with_token().await?;
    let patch = json!({"stringData": {"config": config}}).to_string();
    let secret = [
        "patch",
        "secret",
        "cluster-production",
        "--namespace=argocd",
    ];
    let patch = ["--type=merge", "--patch", &patch];
    succeed(fleet.admin().kubectl(secret).arguments(patch)).await
}

async fn people_work_with_argocd(fleet: &Fleet) -> Result<()> {
    let parameter = ["app", "set", BY_HAND, "--parameter", "greeting=set by hand"];
    fleet.argocd(parameter).await?;
    greeting(fleet.production(), BY_HAND, "set by hand").await?;
    // These replace all labels that it has.
    let labels = ["--label", "environment=production", "--label", "team=shop"];
    let set = [&["cluster", "set", "production"][..], &labels].concat();
    fleet.argocd(set).await?;
    let server = "https://kubernetes.default.svc";
    fleet
        .argocd(["proj", "add-destination", "default", server, "shop"])
        .await?;
    log_in_with_a_token(fleet).await
}

async fn commits_are_deployed(fleet: &Fleet) -> Result<()> {
    let values = VALUES.replace("welcome to the old shop", "hello");
    let path = "charts/shop/values/old.yaml";
    fleet.repository().write(path, &values)?;
    commit(fleet, "Greet shorter", "old-shop").await?;
    greeting(fleet.production(), "old-shop", "hello").await
}

async fn drift_is_healed(fleet: &Fleet) -> Result<()> {
    let production = fleet.production();
    service_is_put_back(production, "old-shop").await?;
    let client = production.control_plane().admin().client().await?;
    let settings = Api::<ConfigMap>::namespaced(client, "old-shop");
    let drift = Patch::Merge(json!({"data": {"greeting": "drifted"}}));
    settings
        .patch("shop", &PatchParams::default(), &drift)
        .await?;
    greeting(production, "old-shop", "hello").await
}

async fn everything_is_refreshed_and_synced(fleet: &Fleet) -> Result<()> {
    for name in APPLICATIONS {
        fleet.argocd(["app", "get", name, "--refresh"]).await?;
        fleet.argocd(["app", "get", name, "--hard-refresh"]).await?;
        let sync = ["app", "sync", name, "--timeout", "120"];
        fleet.argocd(sync).await?;
    }
    fleet.synced_and_healthy(&APPLICATIONS).await
}

/// By the syncs of the root and of the app-of-apps, and by the ApplicationSet controller.
async fn children_change_with_git(fleet: &Fleet) -> Result<()> {
    const LABELS: &str = "labels: { team: shop }";
    let repository = fleet.repository();
    let labelled = |text: &str, name: &str| {
        let name = format!("name: {name}");
        text.replace(&name, &format!("{name}, {LABELS}"))
    };
    let parameter =
        "valueFiles: [values/old.yaml], parameters: [{ name: greeting, value: from Git }]";
    let shop = labelled(SHOP, "old-shop").replace("valueFiles: [values/old.yaml]", parameter);
    let addons = labelled(ADDONS, "\"old-reporter-{{ .name }}\"").replace(
        "      syncPolicy:\n",
        "      revisionHistoryLimit: 5\n      syncPolicy:\n",
    );
    repository.write("apps/old.yaml", &labelled(OLD, "old"))?;
    repository.write("old/shop.yaml", &shop)?;
    repository.write("old/addons.yaml", &addons)?;
    commit(fleet, "Name the team", "root").await?;
    fleet.argocd(["app", "get", "old", "--refresh"]).await?;

    greeting(fleet.production(), "old-shop", "from Git").await?;
    let what = "all are labelled";
    fleet
        .eventually(what, |applications| {
            let is_labelled = |name: &&str| {
                let labels = applications.get(*name)?.metadata.labels.as_ref()?;
                labels.get("team").filter(|team| *team == "shop")
            };
            let mut names = ["old", "old-shop", "old-reporter-production"].iter();
            match names.find(|name| is_labelled(name).is_none()) {
                None => Ok(()),
                Some(name) => Err(format!("{name} is not")),
            }
        })
        .await?;
    let reporter = fleet.applications().await?;
    let reporter = reporter.get("old-reporter-production").await?;
    assert_eq!(reporter.data["spec"]["revisionHistoryLimit"], 5);
    fleet.synced_and_healthy(&APPLICATIONS).await
}

/// With all that they have deployed.
async fn applications_are_deleted(fleet: &Fleet) -> Result<()> {
    fleet.repository().remove("old/search.yaml")?;
    commit(fleet, "Remove search", "old").await?;
    fleet.argocd(["app", "delete", BY_HAND, "--yes"]).await?;
    let deleted = ["old-search", BY_HAND];
    fleet
        .eventually("two are deleted", |applications| {
            match deleted
                .iter()
                .find(|name| applications.contains_key(**name))
            {
                None => Ok(()),
                Some(name) => Err(format!("{name} is there")),
            }
        })
        .await?;
    let client = fleet.production().control_plane().admin().client().await?;
    for (namespace, name) in [("old-search", "search"), (BY_HAND, "shop")] {
        let settings = Api::<ConfigMap>::namespaced(client.clone(), namespace);
        assert!(settings.get_opt(name).await?.is_none(), "{namespace}");
    }
    Ok(())
}

async fn a_new_one_of_the_kind_is_refused(fleet: &Fleet) -> Result<()> {
    let new = SHOP.replace("old-shop", "new-shop");
    fleet.repository().write("old/new.yaml", &new)?;
    let revision = commit(fleet, "Open another shop", "old").await?;

    let failed = fleet.eventually("old has failed to sync", |applications| {
        let old = applications.get("old").ok_or("old does not exist")?;
        let operation = &old.data["status"]["operationState"];
        let result = &operation["syncResult"];
        let has_failed = result["revision"] == *revision && operation["phase"] == "Failed";
        has_failed
            .then(|| result["resources"].clone())
            .ok_or_else(|| operation.to_string())
    });
    let rows = failed.await?;
    let mut rows = rows.as_array().into_iter().flatten();
    let row = rows.find(|row| row["name"] == "new-shop");
    let row = row.context("new-shop is not in the sync's result")?;
    assert_eq!(row["status"], "SyncFailed");
    let message = row["message"].as_str().unwrap_or_default();
    let (_, denials) = message
        .split_once(" denied the request: Application argocd/new-shop: ")
        .with_context(|| message.to_owned())?;
    let rules: Vec<_> = denials
        .split(" | ")
        .filter_map(|denial| denial.split(':').next())
        .collect();
    assert_eq!(
        rules,
        [
            "default-project",
            "prod-auto-sync",
            "replicas-ignored",
            "unpinned-revision",
        ]
    );
    Ok(())
}
