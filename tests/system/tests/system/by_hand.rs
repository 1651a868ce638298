//! Syncs that somebody asks for by writing an Application's `operation`.

use anyhow::Result;
use serde_json::{Value, json};

use crate::support::{Answer, Base, Session, Writer, shared};

const OWN_SOURCE: &str = "https://git.example.com/shop/orders.git";

/// Sets the operation of a production Application with which nothing is wrong.
async fn operation(writer: Writer, name: &str, sync: Value) -> Result<Answer> {
    let session = Session::of(&writer.log_in(shared().await?).await?).await?;
    session
        .create(&Base::Production.with(name, "{}")?)
        .await?
        .admitted();
    let change = json!({"operation": {"initiatedBy": {"username": "alice"}, "sync": sync}});
    session.patch("Application", name, &change).await
}

#[tokio::test]
async fn an_ordinary_sync_passes() -> Result<()> {
    let source = json!({"repoURL": OWN_SOURCE, "path": "deploy", "targetRevision": "v1.4.0"});
    for (name, sync) in [
        ("sync-bare", json!({})),
        (
            "sync-pruning",
            json!({"prune": true, "syncStrategy": {"hook": {}}}),
        ),
        (
            "sync-as-specified",
            json!({"revision": "v1.4.0", "source": source}),
        ),
    ] {
        operation(Writer::Developer, name, sync).await?.admitted();
    }
    Ok(())
}

#[tokio::test]
async fn another_source_is_refused() -> Result<()> {
    let source = json!({"repoURL": "https://git.example.com/evil/x.git", "path": "."});

    let message = operation(Writer::Developer, "sync-foreign", json!({"source": source}))
        .await?
        .refusal();

    assert_eq!(
        message,
        "project-scope: operation.sync.source.repoURL: AppProject shop-prod does not permit \
         https://git.example.com/evil/x.git; use a repository of its sourceRepos | \
         operation-override: operation.sync.source: syncs another source than the spec's to production; \
         sync the Application as it is, or change its spec"
    );
    Ok(())
}

#[tokio::test]
async fn literal_manifests_are_refused_even_to_argo_cds_server() -> Result<()> {
    for writer in [Writer::Developer, Writer::Server] {
        let name = format!("sync-literal-{writer}");
        let message = operation(writer, &name, json!({"manifests": ["{}"]}))
            .await?
            .refusal();
        assert!(
            message.starts_with("operation-override: operation.sync.manifests: "),
            "{message}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn another_revision_is_refused_to_people_and_left_to_argo_cds_own_rbac() -> Result<()> {
    let commit = json!({"revision": "0123456789012345678901234567890123456789"});

    let by_developer = operation(Writer::Developer, "sync-commit", commit.clone()).await?;
    let by_server = operation(Writer::Server, "sync-commit-server", commit).await?;

    assert_eq!(
        by_developer.refusal(),
        "operation-override: operation.sync.revision: syncs revision 0123456789012345678901234567890123456789 \
         to production, the spec says v1.4.0; leave it out, or change targetRevision"
    );
    by_server.admitted();
    Ok(())
}
