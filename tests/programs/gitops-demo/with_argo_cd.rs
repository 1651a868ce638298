//! The story that `cargo xtask demo --with-argo-cd` tells: the real Argo CD deploys a fleet, and
//! what the gate refuses is told in Argo CD's own words.

use anyhow::{Context, Result, ensure};
use harness::argo_cd::{Fleet, Guard, Release};
use harness::demo::{Outcome, Shell, progress, say, title};

/// An Application that syncs production by itself.
const SEARCH: &str = include_str!("../../demo/search.yaml");
const APPLICATION: &str = "search-production";
const RULE: &str = "prod-auto-sync";
const APPLICATIONS: &str = "kubectl get applications --namespace argocd";
const FAILED_SYNC: &str = "argocd app get root --show-operation | grep -E '^Sync Status|^Phase|^Message|^argoproj.io .*search-production'";
/// What Argo CD's UI shows of the resources in the last sync.
const FAILED_RESOURCES: &str = r#"kubectl get application root --namespace argocd --output jsonpath='{range .status.operationState.syncResult.resources[?(@.status=="SyncFailed")]}{.kind} {.name}: {.status}{"\n"}{end}'"#;

pub(crate) async fn tell() -> Result<()> {
    progress("starting three clusters, Argo CD and gitops-webhook");
    let fleet = Fleet::start(Guard::Webhook).await?;
    progress("waiting until all is deployed");
    fleet.deployed().await?;
    let shell = fleet.shell()?;
    let shell = shell.hiding("file://", "<folder>", "/platform.git");
    let shell = shell.hiding("main (", "<revision>", ")");
    let shell = shell.hiding(r#""time":""#, "<time>", "\"");

    title(&format!(
        "A fleet that Argo CD {} deploys, behind the gate: staging by itself, production when a person says so",
        Release::chosen()?.version()
    ))?;
    shell.succeeds(APPLICATIONS)?;

    title("A person cannot have Argo CD sync production by itself")?;
    shell.is_refused(
        "argocd app set shop-production --sync-policy automated",
        RULE,
    )?;

    title("A commit adds an Application that would")?;
    fleet.repository().write("apps/search.yaml", SEARCH)?;
    shell.succeeds("cat apps/search.yaml")?;
    shell.succeeds("git add apps && git commit --quiet --message 'Add search'")?;

    title("Argo CD deploys the commit as far as it may, and says what the gate says")?;
    is_synced(&fleet, "Failed").await?;
    let line = format!("denied the request: Application argocd/{APPLICATION}: {RULE}: ");
    shows(&shell, FAILED_SYNC, &line)?;
    let row = format!("Application {APPLICATION}: SyncFailed");
    shows(&shell, FAILED_RESOURCES, &row)?;

    title(
        "The same verdict on the files, with no cluster: what the pull request would have been told",
    )?;
    let Outcome { status, text } = shell
        .clone()
        .offline()
        .run("kubectl gitops check apps/search.yaml --facts apps")?;
    ensure!(
        status.code() == Some(1) && text.contains(RULE),
        "the verdict should have been that of the API server"
    );

    title("The commit that corrects it goes through")?;
    shell.succeeds("sed -i 's/automated: {}/automated: { enabled: false }/' apps/search.yaml")?;
    shell.succeeds("git commit --quiet --all --message 'Leave production to people'")?;
    is_synced(&fleet, "Succeeded").await?;
    fleet.synced_and_healthy(&["root"]).await?;
    let sync = "argocd app get root --show-operation | grep -E '^Sync Status|^Phase|^Message'";
    shows(&shell, sync, "Synced to main")?;

    title("A person syncs production")?;
    fleet.compared(APPLICATION).await?;
    let sync = format!("argocd app sync {APPLICATION} | grep -E '^Phase|^Message'");
    shows(&shell, &sync, "Succeeded")?;
    fleet.synced_and_healthy(&[APPLICATION]).await?;
    shell.succeeds(APPLICATIONS)?;

    title("Next")?;
    say("manifests/README.md             says how to install the gate on a cluster")?;
    say("cargo xtask test argo-cd        shows more of what Argo CD does behind it")
}

/// Has Argo CD look at the repository, which it would do within three minutes, and waits for how
/// its root's sync ends.
async fn is_synced(fleet: &Fleet, phase: &str) -> Result<()> {
    progress("waiting for Argo CD");
    let revision = fleet.repository().head()?;
    fleet.argocd(["app", "get", "root", "--refresh"]).await?;
    let what = format!("the sync of the root has {phase}");
    fleet
        .eventually(&what, |applications| {
            let root = applications.get("root").ok_or("root does not exist")?;
            let operation = &root.data["status"]["operationState"];
            let is_new = operation["syncResult"]["revision"] == *revision;
            let has_ended = is_new && operation["phase"] == phase;
            has_ended.then_some(()).ok_or_else(|| operation.to_string())
        })
        .await
        .context("Argo CD should have synced the commit")
}

fn shows(shell: &Shell, line: &str, expected: &str) -> Result<()> {
    let outcome = shell.succeeds(line)?;
    ensure!(
        outcome.text.contains(expected),
        "this should have shown {expected:?}: {line}"
    );
    Ok(())
}
