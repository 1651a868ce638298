//! What Argo CD writes all the time passes, whatever else is wrong with the object; and the change
//! of anything that a rule reads does not.

use anyhow::{Context, Result};
use harness::objects::{Answer, Base, Session, Writer};
use harness::shared;
use kube::ResourceExt;
use serde_json::{Value, json};

async fn controller() -> Result<Session> {
    Session::of(
        &Writer::ApplicationController
            .log_in(shared().await?)
            .await?,
    )
    .await
}

async fn patch(name: &str, change: Value) -> Result<Answer> {
    controller()
        .await?
        .patch("Application", name, &change)
        .await
}

#[tokio::test]
async fn reconciling_an_old_violation_passes() -> Result<()> {
    let status = json!({"status": {
        "health": {"status": "Healthy"},
        "sync": {"status": "Synced", "revision": "0123456789012345678901234567890123456789"},
        "resources": [{"group": "apps", "kind": "Deployment", "name": "orders", "status": "Synced"}],
    }});
    let refresh = |value: Option<&str>| json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": value}}});
    for change in [
        status,
        refresh(Some("hard")),
        refresh(None),
        json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}),
        json!({"metadata": {"finalizers": null}}),
        json!({"operation": {"initiatedBy": {"automated": true}, "sync": {"revision": "HEAD"}}}),
        json!({"operation": null}),
    ] {
        patch("living-reconciled", change).await?.admitted();
    }
    Ok(())
}

#[tokio::test]
async fn changing_the_spec_of_an_old_violation_passes_if_it_makes_nothing_worse() -> Result<()> {
    let change = json!({"spec": {"source": {"path": "elsewhere"}}});
    patch("living-changed", change).await?.admitted();
    let worse = json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}});

    let message = patch("living-changed", worse).await?.refusal();

    assert!(
        message.starts_with("Application argocd/living-changed: prod-auto-sync: "),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn an_old_violation_can_be_put_right() -> Result<()> {
    let session = controller().await?;

    let put_right = session
        .replace(&Base::Production.with("living-put-right", "{}")?)
        .await?;

    put_right.admitted();
    Ok(())
}

#[tokio::test]
async fn an_old_violation_can_be_deleted() -> Result<()> {
    let session = controller().await?;
    session
        .delete("Application", "living-deleted")
        .await?
        .admitted();
    let terminating = session.get("Application", "living-deleted").await?;
    let terminating = terminating.context("its finalizer keeps it")?;
    assert!(terminating.metadata.deletion_timestamp.is_some());

    for change in [
        json!({"metadata": {"labels": {"seen": "yes"}}}),
        json!({"status": {"health": {"status": "Missing"}}}),
        json!({"metadata": {"finalizers": null}}),
    ] {
        patch("living-deleted", change).await?.admitted();
    }

    let gone = session.get("Application", "living-deleted").await?;
    assert!(gone.is_none(), "{:?}", gone.map(|object| object.name_any()));
    Ok(())
}

/// The ApplicationSet controller fills in an empty template at each generator. It is not an
/// Application in the project `default`.
#[tokio::test]
async fn an_application_set_with_an_empty_override_passes() -> Result<()> {
    let template = Base::Staging.with("orders-{{name}}", "{}")?;
    let empty = json!({"metadata": {}, "spec": {"destination": {}, "project": ""}});
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "orders", "namespace": "argocd"},
        "spec": {
            "generators": [{"clusters": {
                "selector": {"matchLabels": {"environment": "staging"}},
                "template": empty,
            }}],
            "template": {"metadata": {"name": "orders-{{name}}"}, "spec": template["spec"]},
        },
    });
    let controller = Writer::ApplicationSetController
        .log_in(shared().await?)
        .await?;

    Session::of(&controller)
        .await?
        .create(&set)
        .await?
        .admitted();
    Ok(())
}

/// The API server sends the object and the old object, so that the review is twice as large.
#[tokio::test]
async fn a_very_large_application_is_judged() -> Result<()> {
    let session = controller().await?;
    // kubectl's annotation would hold it a third time, and is limited to 256 KiB.
    let values: serde_json::Map<String, Value> = (0..6000)
        .map(|number| (format!("key-{number}"), Value::from("x".repeat(100))))
        .collect();
    let large = |project: &str| {
        let change = json!({
            "spec": {"project": project, "source": {"helm": {"valuesObject": values}}},
            "status": {"summary": {"images": vec!["i".repeat(1000); 600]}},
        });
        Base::Staging.with("very-large", &change.to_string())
    };
    session.create(&large("shop-staging")?).await?.admitted();

    let refused = session.replace(&large("default")?).await?.refusal();
    let mut changed = large("shop-staging")?;
    changed["spec"]["source"]["path"] = "elsewhere".into();
    let admitted = session.replace(&changed).await?;

    assert!(
        refused.starts_with("Application argocd/very-large: default-project: "),
        "{refused}"
    );
    admitted.admitted();
    let stored = session
        .get("Application", "very-large")
        .await?
        .context("it is stored")?;
    let review = 2 * serde_json::to_vec(&stored)?.len();
    assert!(
        review > 2_500_000,
        "a review of {review} bytes is not large"
    );
    Ok(())
}
