//! Where the webhook says no, and where it must not.

use anyhow::{Context, Result};
use harness::argo_cd::{ArgoCd, Devops, Guard, Programs, Release};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::support::{Turn, denied_to_a_controller};

const CHILDREN: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: search-staging }
spec:
  project: shop-staging
  source: { repoURL: https://git.example.com/shop/platform.git, path: charts/shop, targetRevision: main }
  destination: { name: staging, namespace: shop }
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: search-production }
spec:
  project: shop-production
  source: { repoURL: https://git.example.com/shop/platform.git, path: charts/shop, targetRevision: v1.0.0 }
  destination: { name: production, namespace: shop }
  ignoreDifferences:
    - { group: apps, kind: Deployment, jsonPointers: [/spec/replicas] }
  syncPolicy:
    automated: {}
    syncOptions: [RespectIgnoreDifferences=true]
";

#[tokio::test]
async fn a_refused_child_fails_its_parent_with_our_line_and_stops_no_sibling() -> Result<()> {
    let fleet = Turn::take().await?;
    let repository = fleet.repository();
    repository.write("apps/search.yaml", CHILDREN)?;
    let revision = repository.commit("Add search")?;
    let refresh = ["app", "get", "root", "--refresh"];
    fleet.argocd(refresh).await?;

    let failed = fleet.eventually("root has failed to sync", |applications| {
        let root = applications.get("root").ok_or("root does not exist")?;
        let operation = &root.data["status"]["operationState"];
        let result = &operation["syncResult"];
        if result["revision"] == *revision && operation["phase"] == "Failed" {
            Ok(operation.clone())
        } else {
            Err(operation.to_string())
        }
    });
    let operation = failed.await?;

    let row = |name: &str| {
        let rows = operation["syncResult"]["resources"].as_array();
        let row = rows.into_iter().flatten().find(|row| row["name"] == name);
        row.with_context(|| format!("{name} is not in {operation}"))
    };
    let refused = row("search-production")?;
    let message = refused["message"].as_str().unwrap_or_default();
    assert_eq!(refused["status"], "SyncFailed");
    let denied = denied_to_a_controller("search-production");
    assert_eq!(message, denied);
    let said = operation["message"].as_str().unwrap_or_default();
    let failed = if Release::chosen()?.is_newest() {
        "one or more synchronization tasks completed unsuccessfully"
    } else {
        "one or more objects failed to apply"
    };
    let expected = format!("{failed}, reason: {denied}");
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(row("search-staging")?["status"], "Synced");

    repository.remove("apps/search.yaml")?;
    repository.commit("Remove search")?;
    fleet.argocd(refresh).await?;
    fleet.deployed().await
}

#[tokio::test]
async fn argocd_server_starts_on_an_empty_cluster_with_the_webhook() -> Result<()> {
    let programs = spawn_blocking(Programs::locate).await??;
    let devops = Devops::start(Guard::Webhook, &programs).await?;

    let _argo_cd = ArgoCd::start(devops.control_plane(), &programs, &[]).await?;

    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "AppProject");
    let client = devops.control_plane().admin().client().await?;
    let projects =
        Api::<DynamicObject>::namespaced_with(client, "argocd", &ApiResource::from_gvk(&kind));
    let project = projects.get("default").await?;
    assert_eq!(project.data["spec"]["sourceRepos"], Value::from(vec!["*"]));
    Ok(())
}
