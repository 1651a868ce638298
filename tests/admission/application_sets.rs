//! ApplicationSets are judged by what they generate with the clusters that there are, and a
//! cluster's label by what it sets off.

use std::time::Duration;

use anyhow::Result;
use harness::objects::{Answer, kubectl_apply};
use harness::{Alone, KubectlOutput, Overlay, User, eventually};
use serde_json::{Value, json};

/// The webhook hears of a label within milliseconds; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(20);

/// An installation of which these tests change the clusters' labels.
static ALONE: Alone = Alone::with(Overlay::ProdDevops);

/// An addon that syncs itself on every cluster with a label.
fn addon(name: &str, label: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"clusters": {"selector": {"matchLabels": {label: "true"}}}}],
            "template": {
                "metadata": {
                    "name": format!("{name}-{{{{ .name }}}}"),
                    "annotations": {"kubectl-gitops.io/autoscaled": "false"},
                },
                "spec": {
                    "project": "shop-{{ .name }}",
                    "source": {
                        "repoURL": "https://git.example.com/shop/addon.git",
                        "path": "deploy",
                        "targetRevision": "v1.0.0",
                    },
                    "destination": {"name": "{{ .name }}", "namespace": "shop"},
                    "syncPolicy": {"automated": {"selfHeal": true}},
                },
            },
        },
    })
}

async fn label(user: &User, cluster: &str, label: &str, flags: &[&str]) -> Result<KubectlOutput> {
    let secret = format!("cluster-{cluster}");
    let command = [
        "label",
        "secret",
        "--overwrite",
        "--namespace",
        "argocd",
        &secret,
        label,
    ];
    Ok(user.kubectl(command).arguments(flags).run().await?)
}

async fn labelled(user: &User, cluster: &str, text: &str) -> Result<()> {
    let output = label(user, cluster, text, &[]).await?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

/// Waits until a dry run of a label is answered with a warning.
async fn warned(user: &User, cluster: &str, text: &str, warning: &str) -> Result<()> {
    let what = format!("labelling {cluster} with {text} warns of {warning:?}");
    let wait = eventually(WITHIN, &what, async || {
        let output = label(user, cluster, text, &["--dry-run=server"]).await;
        let said = output.map_err(|error| error.to_string())?.stderr;
        if said.contains(warning) {
            Ok(())
        } else {
            Err(said)
        }
    });
    Ok(wait.await?)
}

/// Waits until a dry run of an ApplicationSet gets the answer that is looked for.
async fn answered(user: &User, set: &Value, matches: impl Fn(&Answer) -> bool) -> Result<Answer> {
    let wait = eventually(WITHIN, "the ApplicationSet is answered", async || {
        let answer = kubectl_apply(user, set, &["--dry-run=server"]).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if matches(&answer) {
            Ok(answer)
        } else {
            Err(format!("{answer:?}"))
        }
    });
    Ok(wait.await?)
}

#[tokio::test]
async fn a_set_is_refused_once_production_has_the_label_that_it_fans_out_by() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let admin = installation.admin();
    labelled(admin, "staging", "fan-out=true").await?;
    let set = addon("fan-out", "fan-out");

    kubectl_apply(admin, &set, &[]).await?.admitted();

    let production = "will be refused (prod-auto-sync), fan-out-prod on prod";
    warned(
        admin,
        "prod",
        "fan-out=true",
        "blast-radius: metadata.labels: creates 1 Application (prod 1)",
    )
    .await?;
    warned(admin, "prod", "fan-out=true", production).await?;
    labelled(admin, "prod", "fan-out=true").await?;
    let refused = |answer: &Answer| matches!(answer, Answer::Refused(_));
    let mut again = set;
    again["metadata"]["name"] = "fan-out-again".into();
    let message = answered(admin, &again, refused).await?.refusal();
    assert!(
        message.starts_with(
            "prod-auto-sync: spec.template.spec.syncPolicy.automated: 1 of 2 generated Applications, \
             fan-out-prod on prod: auto-syncs production"
        ),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn a_label_that_takes_a_cluster_out_is_warned_of() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let admin = installation.admin();
    labelled(admin, "staging", "goes=true").await?;
    kubectl_apply(admin, &addon("goes", "goes"), &[])
        .await?
        .admitted();

    warned(admin, "staging", "goes-", "deletes 1 Application").await
}

#[tokio::test]
async fn a_set_on_which_argo_cd_would_fail_is_refused() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let admin = installation.admin();
    labelled(admin, "staging", "fails=true").await?;
    let mut set = addon("fails", "fails");
    set["spec"]["template"]["spec"]["source"]["path"] = "{{ .metadata.labels.nowhere }}".into();

    let refused = |answer: &Answer| matches!(answer, Answer::Refused(_));
    let message = answered(admin, &set, refused).await?.refusal();

    assert!(
        message.starts_with(
            "generated-applications: spec.template.spec.source.path: Argo CD fails on it"
        ),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn deletions_beyond_the_policys_ceiling_are_refused() -> Result<()> {
    let (installation, _turn) = ALONE.turn().await?;
    let admin = installation.admin();
    let mut set = addon("ceiling", "ceiling");
    set["spec"]["template"]["spec"]["syncPolicy"] = json!({});
    labelled(admin, "prod", "ceiling=true").await?;
    kubectl_apply(admin, &set, &[]).await?.admitted();
    let policy = json!({
        "apiVersion": "kubectl-gitops.io/v1alpha1",
        "kind": "GitOpsPolicy",
        "metadata": {"name": "default"},
        "spec": {"rules": {"blast-radius": {"maxDeletions": {"prod": 0}}}},
    });
    let apply = admin
        .kubectl(["apply", "-f", "-"])
        .input(policy.to_string());
    let applied = apply.run().await?;
    assert!(applied.status.success(), "{applied:?}");

    let denied = "denied the request: blast-radius: metadata.labels: deletes 1 Application";
    warned(admin, "prod", "ceiling-", denied).await?;
    let deletion = [
        "delete",
        "applicationset",
        "ceiling",
        "--namespace",
        "argocd",
    ];
    let deleted = admin.kubectl(deletion).run().await?;
    assert!(!deleted.status.success(), "{deleted:?}");
    assert!(deleted.stderr.contains("blast-radius: "), "{deleted:?}");
    // Nobody is there to take off the finalizer with which the API server answers.
    let orphaned = admin
        .kubectl(deletion)
        .arguments(["--cascade=orphan", "--wait=false"])
        .run()
        .await?;
    assert!(orphaned.status.success(), "{orphaned:?}");
    Ok(())
}
