//! With server-side diff, Argo CD has its application controller write each child of an app-of-apps
//! as a dry run, to see what would come of it. A refusal there would leave nothing of the whole
//! app-of-apps compared, so the webhook only warns.

use anyhow::{Context, Result};
use harness::{eventually, succeed};
use serde_json::{Value, json};

use crate::support::{Request, Turn, WITHIN, commit, denied_to_a_controller};

const APPLICATION_CONTROLLER: &str = "system:serviceaccount:argocd:argocd-application-controller";
const GOOD: &str = "search-staging";
const BAD: &str = "search-production";
/// With nothing wrong yet.
const CHILDREN: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: search-staging, annotations: { kubectl-gitops.io/autoscaled: "false" } }
spec:
  project: shop-staging
  source: { repoURL: https://git.example.com/shop/platform.git, path: search, targetRevision: main }
  destination: { name: staging, namespace: shop }
  revisionHistoryLimit: 10
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: search-production, annotations: { kubectl-gitops.io/autoscaled: "false" } }
spec:
  project: shop-production
  source: { repoURL: https://git.example.com/shop/platform.git, path: search, targetRevision: v1.0.0 }
  destination: { name: production, namespace: shop }
  syncPolicy: {}
"#;

#[tokio::test]
async fn a_child_that_would_be_refused_leaves_its_parent_and_its_siblings_compared() -> Result<()> {
    let fleet = Turn::take().await?;
    let repository = fleet.repository();
    annotate_root(
        &fleet,
        "argocd.argoproj.io/compare-options=ServerSideDiff=true",
    )
    .await?;
    repository.write("apps/search.yaml", CHILDREN)?;
    commit(&fleet, "Add search", "root").await?;
    fleet.synced_and_healthy(&["root"]).await?;

    let bad = CHILDREN
        .replace("revisionHistoryLimit: 10", "revisionHistoryLimit: 5")
        .replace("syncPolicy: {}", "syncPolicy: { automated: {} }");
    repository.write("apps/search.yaml", &bad)?;
    let revision = commit(&fleet, "Sync search by itself", "root").await?;

    let status = failed_and_compared(&fleet, &revision).await?;
    let result = &status["operationState"]["syncResult"]["resources"];
    let (refused, applied) = (row(result, BAD)?, row(result, GOOD)?);
    assert_eq!(refused["status"], "SyncFailed");
    // After the name of a file that was to be applied.
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.ends_with(&denied_to_a_controller(BAD)), "{message}");
    assert_eq!(applied["status"], "Synced");
    for (name, expected) in [
        (GOOD, "Synced"),
        (BAD, "OutOfSync"),
        ("shop-staging", "Synced"),
        ("shop-production", "Synced"),
        ("addons", "Synced"),
    ] {
        assert_eq!(
            row(&status["resources"], name)?["status"],
            expected,
            "{name}"
        );
    }
    dry_runs_were_told_what_the_write_was_refused_for(&fleet)?;

    // Whoever wants the refusal loses all of that.
    answer_controllers(&fleet, "Deny").await?;
    refreshed_until(&fleet, "nothing of root is compared", |status| {
        let conditions = status["conditions"].to_string();
        status["sync"]["status"] == "Unknown"
            && conditions.contains("ComparisonError")
            && conditions.contains(&format!("Application/{BAD}: "))
    })
    .await?;
    answer_controllers(&fleet, "Warn").await?;
    refreshed_until(&fleet, "root is compared again", |status| {
        status["sync"]["status"] == "OutOfSync"
    })
    .await?;

    repository.write("apps/search.yaml", CHILDREN)?;
    commit(&fleet, "Have a person sync search", "root").await?;
    fleet.synced_and_healthy(&["root"]).await?;

    repository.remove("apps/search.yaml")?;
    annotate_root(&fleet, "argocd.argoproj.io/compare-options-").await?;
    commit(&fleet, "Remove search", "root").await?;
    fleet.deployed().await
}

async fn annotate_root(fleet: &Turn, annotation: &str) -> Result<()> {
    let annotate = ["annotate", "application/root", "--namespace=argocd"];
    succeed(fleet.admin().kubectl(annotate).arguments([annotation])).await
}

/// The root's status once it has failed to sync this revision, and is compared with it. It is
/// compared all the time.
async fn failed_and_compared(fleet: &Turn, revision: &str) -> Result<Value> {
    let mut uncompared = None;
    let what = "root has failed to sync, and is compared";
    let status = fleet.eventually(what, |applications| {
        let status = &applications.get("root").ok_or("root does not exist")?.data["status"];
        if status["sync"]["status"] == "Unknown" {
            uncompared = Some(status.clone());
        }
        let operation = &status["operationState"];
        let has_failed = operation["syncResult"]["revision"] == revision
            && operation["phase"] == "Failed"
            && status["sync"]["revision"] == revision
            && status["reconciledAt"].as_str() >= operation["finishedAt"].as_str();
        has_failed
            .then(|| status.clone())
            .ok_or_else(|| status.to_string())
    });
    let status = status.await?;
    assert_eq!(uncompared, None);
    assert_eq!(status["sync"]["status"], "OutOfSync");
    assert_eq!(conditions(&status), ["SyncError"]);
    Ok(status)
}

fn conditions(status: &Value) -> Vec<&str> {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let kinds = conditions.filter_map(|condition| condition["type"].as_str());
    kinds.collect()
}

/// What a list says of an object.
fn row<'l>(list: &'l Value, name: &str) -> Result<&'l Value> {
    let mut rows = list.as_array().into_iter().flatten();
    let row = rows.find(|row| row["name"] == name);
    row.with_context(|| format!("{name} is not in {list}"))
}

fn dry_runs_were_told_what_the_write_was_refused_for(fleet: &Turn) -> Result<()> {
    let mut requests = Request::by_argo_cd(fleet.devops().control_plane())?;
    requests.retain(|request| {
        request.user() == APPLICATION_CONTROLLER
            && request.object_name() == BAD
            && request.rules().eq(["prod-auto-sync"])
    });
    let (dry_runs, writes): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| request.is_dry_run());
    let told = |request: &&Request| !request.is_refused() && request.verdict() == Some("admitted");
    let refused = |request: &&Request| request.is_refused() && request.verdict() == Some("denied");
    assert!(
        !dry_runs.is_empty() && dry_runs.iter().all(told),
        "{dry_runs:#?}"
    );
    assert!(
        !writes.is_empty() && writes.iter().all(refused),
        "{writes:#?}"
    );
    Ok(())
}

/// Has the policy say how dry runs of Argo CD's controllers are answered that would be refused.
async fn answer_controllers(fleet: &Turn, answer: &str) -> Result<()> {
    let patch = json!({"spec": {"admission": {"controllerDryRun": answer}}}).to_string();
    let policy = [
        "patch",
        "gitopspolicy",
        "default",
        "--type=merge",
        "--patch",
    ];
    succeed(fleet.admin().kubectl(policy).arguments([patch])).await
}

/// Has Argo CD compare the root again and again: it may be ahead of the webhook, which hears of its
/// policy a moment later.
async fn refreshed_until(fleet: &Turn, what: &str, is: impl Fn(&Value) -> bool) -> Result<()> {
    let refreshed = eventually(WITHIN, what, async || {
        let status = refreshed(fleet).await;
        let status = status.map_err(|error| format!("{error:#}"))?;
        is(&status).then_some(()).ok_or_else(|| status.to_string())
    });
    Ok(refreshed.await?)
}

async fn refreshed(fleet: &Turn) -> Result<Value> {
    fleet.argocd(["app", "get", "root", "--refresh"]).await?;
    Ok(fleet.application("root").await?.data["status"].take())
}
