//! The webhook and the API of the Argo CD that is installed, which may come later, be old, and be upgraded.

use std::time::Duration;

use anyhow::{Context, Result};
use control_plane::{ControlPlane, argo_cd_crds, eventually};
use gitops_system_tests::{Overlay, Webhook, expose, install, path, succeed};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::support::{Answer, Base, Session};

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
    succeed(admin.kubectl(["apply", "-f"]).arguments([path("fleet")])).await?;
    let switched_off = Base::Production.with(
        "switched-off",
        "spec: { syncPolicy: { automated: { enabled: false } } }",
    )?;
    let admin = Session::of(admin).await?;
    let message = admin.create(&switched_off).await?.refusal();
    assert!(
        message.starts_with("prod-auto-sync: spec.syncPolicy.automated: "),
        "{message}"
    );

    control_plane.install_crds(&crds).await?;
    eventually(WITHIN, "`enabled: false` counts", async || {
        match admin.create(&switched_off).await {
            Ok(Answer::Admitted) => Ok(()),
            Ok(Answer::Refused(message)) => Err(message),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
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
    // Of an answer that is no verdict the API server repeats nothing but what its status code means.
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
