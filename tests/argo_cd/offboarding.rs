//! A cluster leaves a fleet that the real Argo CD drives: what runs there stays, or goes, as it was
//! said.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use harness::argo_cd::{Fleet, Guard, WorkloadCluster};
use harness::eventually;
use harness::plugin::plugin_as;
use serde_json::{Value, json};

use crate::support::WITHIN;

async fn offboard(fleet: &Fleet, cluster: &str, how: &str) -> Result<Output> {
    let offboard = ["cluster", "offboard", cluster, how, "--yes", "-o", "json"];
    Ok(plugin_as(fleet.admin())?.args(offboard).output().await?)
}

/// Each step and what became of it.
fn results(output: &Output) -> Result<Value> {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).context(told)?;
    let steps = report["steps"].as_array().context("steps")?;
    let row = |step: &Value| json!([step["step"], step["result"]]);
    Ok(steps.iter().map(row).collect())
}

/// The names of all Deployments, with their namespaces.
async fn deployments(cluster: &WorkloadCluster) -> Result<String> {
    let columns = "custom-columns=:metadata.namespace,:metadata.name";
    let get = [
        "get",
        "deployments",
        "--all-namespaces",
        "--output",
        columns,
    ];
    let output = cluster.control_plane().admin().kubectl(get).run().await?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(output.stdout)
}

#[tokio::test]
async fn what_runs_on_a_cluster_that_leaves_stays_or_goes_as_it_was_said() -> Result<()> {
    let fleet = Fleet::start(Guard::None).await?;
    fleet.deployed().await?;
    let before = deployments(fleet.production()).await?;
    assert!(before.contains("reporter"), "{before}");

    // Its Secret goes first, so that what is deleted leaves everything where it is.
    let orphaned = offboard(&fleet, "production", "--orphan").await?;
    assert_eq!(
        results(&orphaned)?,
        json!([
            ["secret/cluster-production", "done"],
            ["application/reporter-production in argocd", "done"],
            ["application/shop-production in argocd", "byHand"],
        ]),
        "{}",
        fleet.state()
    );
    assert_eq!(deployments(fleet.production()).await?, before);

    // What the root deploys, it would deploy again.
    let refused = offboard(&fleet, "staging", "--delete-applications").await?;
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("application/shop-staging on cluster staging"),
        "{told}"
    );
    fleet.repository().remove("apps/shop.yaml")?;
    fleet.repository().commit("Close the shop")?;
    fleet
        .argocd(["app", "sync", "root", "--prune", "--timeout", "120"])
        .await?;
    fleet
        .eventually("the shop is gone", |applications| {
            let is_left = |name: &&String| name.starts_with("shop-");
            match applications.keys().find(is_left) {
                None => Ok(()),
                Some(left) => Err(format!("{left} is there")),
            }
        })
        .await?;
    assert_eq!(deployments(fleet.production()).await?, before);

    let deleted = offboard(&fleet, "staging", "--delete-applications").await?;
    assert_eq!(
        results(&deleted)?,
        json!([
            ["labels of secret/cluster-staging", "done"],
            ["application/reporter-staging in argocd", "done"],
            ["secret/cluster-staging", "done"],
        ]),
        "{}",
        fleet.state()
    );
    let gone = eventually(
        WITHIN,
        "nothing is deployed on staging",
        async || match deployments(fleet.staging()).await {
            Ok(left) if left.trim().is_empty() => Ok(()),
            Ok(left) => Err(left),
            Err(error) => Err(format!("{error:#}")),
        },
    );
    gone.await?;
    Ok(())
}
