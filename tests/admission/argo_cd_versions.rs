//! The webhook and the API of the Argo CD that is installed, which may come later, be old, and be
//! upgraded.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::objects::{Answer, Base, Session};
use harness::{
    ARGO_CD_VERSION, ControlPlane, Overlay, Webhook, argo_cd_crds, eventually, expose, install,
    path, succeed,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

const AUTOMATED_ENABLED: &str = r#"gitops_webhook_argo_cd_features{feature="automated.enabled"}"#;
const IMAGE_UPDATER: &str = r#"gitops_webhook_argo_cd_features{feature="ImageUpdater"}"#;
/// A watch that failed is tried again after pauses of up to half a minute.
const WITHIN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn are_waited_for_believed_and_followed() -> Result<()> {
    let crds = spawn_blocking(argo_cd_crds).await??;
    let control_plane = ControlPlane::start().await?;
    control_plane
        .service_account("argocd", "argocd-server")
        .await?;
    install(&control_plane, Overlay::ProdDevops).await?;
    let webhook = Webhook::start(&control_plane).await?;
    expose(&control_plane, &webhook).await?;

    without_projects_nothing_is_judged(&control_plane, &webhook).await?;

    control_plane.install_crds(&without_enabled(&crds)?).await?;
    eventually(WITHIN, "the webhook is ready", async || {
        match webhook.get("/readyz").await {
            Ok((200, _)) => Ok(()),
            Ok((_, text)) => Err(text),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    let admin = control_plane.admin();
    succeed(
        admin
            .kubectl(["apply", "-f"])
            .arguments([path("demo/fleet")]),
    )
    .await?;
    let admin = Session::of(admin).await?;

    before_the_upgrade_switching_off_is_refused(&admin, &webhook).await?;
    control_plane.install_crds(&crds).await?;
    after_it_switching_off_is_admitted(&admin, &webhook).await?;

    control_plane
        .install_crds(&[image_updater_definition()?])
        .await?;
    the_image_updaters_own_kind_is_noticed(&admin, &webhook).await?;

    let told = told_features(&webhook)?;
    let image_updater = [json!(false), json!(false), json!(true)];
    let enabled = [json!(false), json!(true), json!(true)];
    assert_eq!(
        told,
        enabled.into_iter().zip(image_updater).collect::<Vec<_>>()
    );
    Ok(())
}

fn switched_off() -> Result<Value> {
    let change = "spec: { syncPolicy: { automated: { enabled: false } } }";
    Base::Production.with("switched-off", change)
}

async fn before_the_upgrade_switching_off_is_refused(
    admin: &Session,
    webhook: &Webhook,
) -> Result<()> {
    let message = admin.create(&switched_off()?).await?.refusal();
    assert_eq!(
        message,
        "prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster prod): \
         `automated: {}` is on, and this Argo CD drops `enabled: false`; remove `automated`"
    );
    assert_eq!(webhook.counter(AUTOMATED_ENABLED).await?, 0);
    Ok(())
}

async fn after_it_switching_off_is_admitted(admin: &Session, webhook: &Webhook) -> Result<()> {
    let switched_off = switched_off()?;
    eventually(WITHIN, "`enabled: false` counts", async || {
        match admin.create(&switched_off).await {
            Ok(Answer::Admitted) => Ok(()),
            Ok(Answer::Refused(message)) => Err(message),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    assert_eq!(webhook.counter(AUTOMATED_ENABLED).await?, 1);
    assert_eq!(webhook.counter(IMAGE_UPDATER).await?, 0);
    Ok(())
}

/// And changes no verdict.
async fn the_image_updaters_own_kind_is_noticed(admin: &Session, webhook: &Webhook) -> Result<()> {
    eventually(
        WITHIN,
        "the webhook knows of ImageUpdater",
        async || match webhook.counter(IMAGE_UPDATER).await {
            Ok(1) => Ok(()),
            Ok(other) => Err(format!("{IMAGE_UPDATER} {other}")),
            Err(error) => Err(format!("{error:#}")),
        },
    )
    .await?;
    let annotated = Base::Production.with(
        "image-updated",
        "metadata: { annotations: { argocd-image-updater.argoproj.io/image-list: r.example.com/orders } }",
    )?;
    let message = admin.create(&annotated).await?.refusal();
    assert!(message.starts_with("image-updater: "), "{message}");
    Ok(())
}

/// What the log says of `automated.enabled` and of `ImageUpdater`, a pair a line.
fn told_features(webhook: &Webhook) -> Result<Vec<(Value, Value)>> {
    let told = webhook.log().entries_of("features of the installed API")?;
    let pairs = told.into_iter().map(|mut entry| {
        let mut take = |field: &str| entry[field].take();
        (take("automated_enabled"), take("image_updater"))
    });
    Ok(pairs.collect())
}

/// As much of it as makes it one. The image updater installs its own.
fn image_updater_definition() -> Result<CustomResourceDefinition> {
    let definition = json!({
        "metadata": {"name": "imageupdaters.argocd-image-updater.argoproj.io"},
        "spec": {
            "group": "argocd-image-updater.argoproj.io",
            "names": {"kind": "ImageUpdater", "plural": "imageupdaters"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    });
    Ok(serde_json::from_value(definition)?)
}

#[test]
fn that_are_tried_are_those_that_the_page_about_them_names() -> Result<()> {
    let page = fs::read_to_string(path("../docs/src/argo-cd-versions.md"))?;
    for what in ["its API: ", "an API without `automated.enabled`"] {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| {what}")));
        let row = row.with_context(|| format!("there is no row {what:?}"))?;
        assert!(row.contains(&format!("| {ARGO_CD_VERSION} ")), "{row}");
    }
    Ok(())
}

async fn without_projects_nothing_is_judged(
    control_plane: &ControlPlane,
    webhook: &Webhook,
) -> Result<()> {
    let what = "the webhook says that it waits for AppProjects, and for nothing else";
    eventually(WITHIN, what, async || match webhook.get("/readyz").await {
        Ok((503, text)) if text.contains("AppProject") && !text.contains("Secret") => Ok(()),
        Ok((status, text)) => Err(format!("{status} {text}")),
        Err(error) => Err(error.to_string()),
    })
    .await?;
    let cluster = Base::Cluster.with("too-early", "{}")?.to_string();
    let applied = control_plane
        .admin()
        .kubectl(["apply", "-f", "-"])
        .input(cluster)
        .run()
        .await?;
    // Of an answer that is not a verdict the API server repeats nothing but what its status code
    // means.
    let refused = "failed calling webhook \"clusters.kubectl-gitops.io\": failed to call webhook: \
        the server is currently unable to handle the request";
    assert!(applied.stderr.contains(refused), "{applied:?}");
    assert_eq!(
        webhook
            .counter(r#"gitops_webhook_failures_total{reason="not-synced"}"#)
            .await?,
        1
    );
    Ok(())
}

/// The API as it was before `spec.syncPolicy.automated.enabled`.
fn without_enabled(crds: &[CustomResourceDefinition]) -> Result<Vec<CustomResourceDefinition>> {
    let mut removed = 0;
    let older = crds.iter().map(|crd| {
        let mut crd = serde_json::to_value(crd)?;
        remove_enabled(&mut crd, &mut removed);
        Ok(serde_json::from_value(crd)?)
    });
    let older = older.collect::<Result<_>>()?;
    (removed > 0)
        .then_some(older)
        .context("no definition has automated.enabled")
}

fn remove_enabled(value: &mut Value, removed: &mut usize) {
    if let Some(automated) = value
        .pointer_mut("/automated/properties")
        .and_then(Value::as_object_mut)
    {
        *removed += usize::from(automated.remove("enabled").is_some());
    }
    match value {
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| remove_enabled(field, removed)),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| remove_enabled(item, removed)),
        _ => {}
    }
}
