//! What people do with `argocd`: argocd-server writes it for them.

use std::fs;

use anyhow::{Context, Result};
use harness::succeed;
use serde_json::Value;

use crate::support::{DENIED, Turn};

const NAME: &str = "search-by-argocd";
const LOCAL: &str = "search-by-local-sync";
const KUSTOMIZATION: &str = "configMapGenerator: [{ name: search, literals: [language=de] }]";
const DENIES: &str = "admission webhook \"applications.kubectl-gitops.io\" denied the request: ";
const UPDATING: &str = "error validating and updating app: error updating application: ";

#[tokio::test]
async fn refusals_say_why_and_ordinary_syncs_pass() -> Result<()> {
    let fleet = Turn::take().await?;
    let repository = fleet.repository();
    let url = repository.url();
    let create = [
        &["create", NAME, "--project", "shop-production"][..],
        &["--repo", &url, "--path", "search", "--revision", "v1.0.0"],
        &["--dest-name", "production", "--dest-namespace", "shop"],
        &[
            "--annotations",
            "kubectl-gitops.io/autoscaled=false",
            "--set-finalizer",
        ],
    ]
    .concat();
    let automated = &["--sync-policy", "automated"];

    refused(
        &fleet,
        &[&create[..], automated].concat(),
        &format!("error creating application: {DENIED}"),
    )
    .await?;

    passes(&fleet, &create).await?;

    refused(
        &fleet,
        &[&["set", NAME], &automated[..]].concat(),
        &format!("{UPDATING}{DENIED}"),
    )
    .await?;
    refused(
        &fleet,
        &["set", NAME, "--project", "default"],
        &format!(
            "{UPDATING}{DENIES}default-project: spec.project: the project `default` permits everything \
             unless cut down; name your team's AppProject for this environment"
        ),
    )
    .await?;

    passes(&fleet, &["sync", NAME]).await?;
    passes(&fleet, &["sync", NAME, "--revision", "v1.0.0"]).await?;

    fleet.delete("application", NAME).await
}

#[tokio::test]
async fn local_manifests_are_refused_and_another_revision_is_left_to_argo_cds_own_rbac()
-> Result<()> {
    let fleet = Turn::take().await?;
    let application = fleet.search(LOCAL);
    let create = fleet.admin().kubectl(["create", "--filename", "-"]);
    succeed(create.input(application.to_string())).await?;
    fleet.compared(LOCAL).await?;
    let folder = fleet.devops().control_plane().folder().join("by-hand");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("kustomization.yaml"), KUSTOMIZATION)?;
    let local = folder.to_string_lossy();

    refused(
        &fleet,
        &["sync", LOCAL, "--local", &local],
        &format!(
            "error setting app operation: error updating application \"{LOCAL}\": {DENIES}project-scope: \
             operation.sync.manifests: literal manifests come from no repository that the AppProject permits; \
             commit them, then sync the Application as it is | operation-override: operation.sync.manifests: applies \
             literal manifests to production in place of the spec's source; commit them, then sync the Application as it is"
        ),
    )
    .await?;

    let repository = fleet.repository();
    repository.write("notes.txt", "Search is to come")?;
    let commit = repository.commit("Take notes")?;
    passes(&fleet, &["sync", LOCAL, "--revision", &commit]).await?;
    let status = &fleet.application(LOCAL).await?.data["status"];
    assert_eq!(status["operationState"]["syncResult"]["revision"], *commit);

    repository.remove("notes.txt")?;
    repository.commit("Throw the notes away")?;
    fleet.delete("application", LOCAL).await
}

/// `argocd app` with these arguments fails as it always does, and its last words are these.
async fn refused(fleet: &Turn, arguments: &[&str], message: &str) -> Result<()> {
    let output = fleet.argo_cd().run([&["app"], arguments].concat()).await?;

    assert_eq!(output.status.code(), Some(20), "{arguments:?}");
    let last = output.stderr.lines().next_back().unwrap_or_default();
    let last: Value = serde_json::from_str(last).with_context(|| output.stderr.clone())?;
    assert_eq!(last["level"], "fatal");
    assert_eq!(
        last["msg"],
        format!("rpc error: code = PermissionDenied desc = {message}")
    );
    Ok(())
}

async fn passes(fleet: &Turn, arguments: &[&str]) -> Result<()> {
    fleet.argocd([&["app"], arguments].concat()).await.map(drop)
}
