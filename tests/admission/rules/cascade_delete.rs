//! `cascade-delete`, which is about deletions.

use anyhow::{Context, Result};
use harness::objects::{Base, Session, Writer};
use harness::shared;
use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::json;

use super::is_same;

/// `cascade-delete`: whoever asks, and however. Without the finalizer it goes, and so does an
/// Application that takes none along.
#[tokio::test]
async fn an_app_of_apps_is_not_deleted_together_with_its_applications() -> Result<()> {
    let installation = shared().await?;
    let admin = Session::of(installation.admin()).await?;
    let with_resources = |name: &str, group: &str, kind: &str| {
        let change = json!({
            "metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
            "status": {"resources": [{"group": group, "version": "v1", "kind": kind, "name": "a", "namespace": "argocd"}]},
        });
        Base::Staging.with(name, &change.to_string())
    };
    let expected = "cascade-delete: metadata.finalizers: deletes its Applications and all they deploy (labels of cluster prod); \
        argocd app delete --cascade=false, or first remove the finalizer";
    let root = with_resources("app-of-apps", "argoproj.io", "Application")?;
    admin.create(&root).await?.admitted();

    for writer in Writer::ALL {
        let session = Session::of(&writer.log_in(installation).await?).await?;
        let refused = session.delete("Application", "app-of-apps").await?;
        let object = writer.told_of("Application", "app-of-apps");
        let refused = refused.refusal();
        let line = refused
            .strip_prefix(&object)
            .with_context(|| refused.clone())?;
        assert!(is_same(line, expected, &object), "{writer}: {refused}");
    }
    let refused = admin
        .delete_with("Application", "app-of-apps", &orphaning())
        .await?
        .refusal();
    assert!(refused.contains("whatever --cascade says"), "{refused}");
    let there = admin.get("Application", "app-of-apps").await?;
    let there = there.context("it is still there")?;
    assert!(there.metadata.deletion_timestamp.is_none());

    let bare = json!({"metadata": {"finalizers": null}});
    let removed = admin.patch("Application", "app-of-apps", &bare).await?;
    removed.admitted();
    let deleted = admin.delete("Application", "app-of-apps").await?;
    deleted.admitted();
    let gone = admin.get("Application", "app-of-apps").await?;
    assert!(gone.is_none());

    let leaf = with_resources("a-leaf", "apps", "Deployment")?;
    admin.create(&leaf).await?.admitted();
    admin.delete("Application", "a-leaf").await?.admitted();
    Ok(())
}

/// What `kubectl delete --cascade=orphan` asks for.
fn orphaning() -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    }
}
