//! The story that `cargo xtask demo` tells: a real API server turns bad objects away, and
//! `kubectl gitops check` would have said so before.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::demo::{Outcome, Shell, progress, say, title};
use harness::{ARGO_CD_VERSION, ControlPlane, TestClock, argo_cd_crds, eventually, serve_by};
use jiff::SignedDuration;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use tokio::task::spawn_blocking;

/// How much of a rule's page is shown.
const SHOWN_PAGE_LINES: usize = 20;

/// The four that do not go in: what is wrong, the file, and the rule that says so.
const BAD: [(&str, &str, &str); 4] = [
    (
        "An Application that leaves its project's scope is refused",
        "out-of-scope.yaml",
        "project-scope",
    ),
    (
        "One that syncs production by itself is refused, though its author believed to have turned that off",
        "auto-sync.yaml",
        "prod-auto-sync",
    ),
    (
        "One that takes the autoscaler's replicas back at every sync is refused",
        "replicas.yaml",
        "replicas-ignored",
    ),
    (
        "A cluster Secret with a token that never expires is refused",
        "bearer-token.yaml",
        "cluster-credentials",
    ),
];

pub(crate) async fn tell() -> Result<()> {
    progress("starting etcd and kube-apiserver");
    let control_plane = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    control_plane
        .service_account("argocd", "argocd-server")
        .await?;
    let shell = Shell::new(&control_plane)?;

    title(&format!(
        "A devops cluster with the API of Argo CD {ARGO_CD_VERSION}, two workload clusters and their projects"
    ))?;
    shell.succeeds("kubectl apply -f tests/demo/fleet")?;

    title("The gate is installed")?;
    shell.succeeds("kubectl apply -k manifests/crds")?;
    shell.succeeds(
        "kubectl wait --for=condition=Established crd/gitopspolicies.kubectl-gitops.io",
    )?;
    shell.succeeds("kubectl apply -k manifests/overlays/prod-devops")?;
    // There is no kubelet to run the Deployment's Pods.
    progress("starting gitops-webhook");
    let clock = TestClock::new(control_plane.folder())?;
    let _webhook = serve_by(&control_plane, &clock).await?;

    title("An Application with which nothing is wrong goes in")?;
    shell.succeeds("kubectl apply -f tests/demo/changes/orders.yaml")?;
    for (what, file, rule) in BAD {
        title(what)?;
        shell.is_refused(&format!("kubectl apply -f tests/demo/changes/{file}"), rule)?;
    }
    title("What is there")?;
    shell.succeeds("kubectl get applications --namespace argocd")?;

    title(
        "The same verdicts on the files, with no cluster: what a pull request would have been told",
    )?;
    finds_the_same(
        &shell.clone().offline(),
        "kubectl gitops check tests/demo/changes --facts tests/demo/fleet",
    )?;
    title("Why")?;
    shell.begins("kubectl gitops explain prod-auto-sync", SHOWN_PAGE_LINES)?;

    break_glass(&shell.hiding_times(), &control_plane, &clock).await?;

    title("Next")?;
    say("kubectl gitops check FOLDER     judges your own repository")?;
    say("kubectl gitops explain          lists the rules")?;
    say("manifests/README.md             says how to install the gate on a cluster")
}

/// Grants an override to a production Application, for two hours.
const GRANT: &str = "kubectl gitops break-glass grant orders --rule prod-auto-sync --for 2h --reason 'INC-7: prices are wrong'";
const AUTOMATE: &str = r#"kubectl patch application orders --namespace argocd --type merge --patch '{"spec": {"syncPolicy": {"automated": {}}}}'"#;
const PRUNE: &str = r#"kubectl patch application orders --namespace argocd --type merge --patch '{"spec": {"syncPolicy": {"automated": {"prune": true}}}}'"#;
const EVENTS: &str = "kubectl get events.events.k8s.io --namespace argocd --field-selector regarding.name=orders --sort-by .eventTime --output custom-columns=TYPE:.type,REASON:.reason,NOTE:.note";
const CAROL: &str = "--as carol --as-group developers";
const BOB: &str = "--as bob --as-group developers --as-group on-call";
/// An Event is there a moment after what it tells.
const TOLD_WITHIN: Duration = Duration::from_secs(20);

/// The gate is overruled, on the record, until time is up.
async fn break_glass(shell: &Shell, control_plane: &ControlPlane, clock: &TestClock) -> Result<()> {
    title(
        "Three in the morning: production has to sync by itself for two hours. The administrators have said beforehand who may overrule the gate",
    )?;
    shell.succeeds("kubectl apply -f tests/demo/access.yaml -f tests/demo/readers.yaml")?;
    shell.succeeds("kubectl create clusterrolebinding on-call --clusterrole=gitops-break-glass --group=on-call")?;
    shell.succeeds(&format!(
        "kubectl gitops break-glass why prod-auto-sync {BOB}"
    ))?;

    title("Whoever may not overrules nothing")?;
    let refused = shell.run(&format!("{GRANT} {CAROL}"))?;
    ensure!(!refused.status.success(), "carol overruled a rule");

    title("Whoever may does")?;
    shell.succeeds(&format!("{GRANT} {BOB}"))?;
    shell.succeeds(&format!("{AUTOMATE} {BOB}"))?;

    title("It is on the record")?;
    told(control_plane, "BreakGlassAllowed", 2).await?;
    shell.succeeds(EVENTS)?;

    title("Two hours later it is over, and what it let pass counts as a violation again")?;
    clock.set_on(SignedDuration::from_hours(2))?;
    told(control_plane, "BreakGlassExpired", 1).await?;
    shell.succeeds(EVENTS)?;
    shell.is_refused(&format!("{PRUNE} {BOB}"), "prod-auto-sync")
}

/// Waits for as many Events with this reason.
async fn told(control_plane: &ControlPlane, reason: &str, count: usize) -> Result<()> {
    let events = Api::<Event>::namespaced(control_plane.admin().client().await?, "argocd");
    let what = format!("{count} Events say {reason}");
    let told = eventually(TOLD_WITHIN, &what, async || {
        let listed = events.list(&ListParams::default()).await;
        let listed = listed.map_err(|error| error.to_string())?.items;
        let says = |event: &&Event| event.reason.as_deref() == Some(reason);
        match listed.iter().filter(says).count() {
            found if found == count => Ok(()),
            found => Err(format!("{found} do")),
        }
    });
    Ok(told.await?)
}

fn finds_the_same(shell: &Shell, line: &str) -> Result<()> {
    let Outcome { status, text } = shell.run(line)?;
    let found = |(_, file, rule): &(&str, &str, &str)| {
        text.lines()
            .any(|line| line.contains(file) && line.contains(rule))
    };
    ensure!(
        status.code() == Some(1) && BAD.iter().all(found) && !text.contains("changes/orders.yaml"),
        "the verdicts should have been those of the API server: {line}"
    );
    Ok(())
}
