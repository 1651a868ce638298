//! Syncs that somebody asks for by writing an Application's `operation`.

use anyhow::Result;
use harness::objects::{Answer, Base, Session, Writer};
use harness::shared;
use serde_json::{Value, json};

const OWN_SOURCE: &str = "https://git.example.com/shop/orders.git";

const OTHER_SOURCE: &str = "https://git.example.com/shop/other.git";

/// Sets the operation of a production Application with which nothing is wrong.
async fn operation(writer: Writer, name: &str, sync: Value) -> Result<Answer> {
    operation_on(writer, name, "{}", sync).await
}

/// The same of one that differs from the others by a JSON Merge Patch.
async fn operation_on(writer: Writer, name: &str, change: &str, sync: Value) -> Result<Answer> {
    let session = Session::of(&writer.log_in(shared().await?).await?).await?;
    session
        .create(&Base::Production.with(name, change)?)
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
            message.starts_with("project-scope: operation.sync.manifests: "),
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

#[tokio::test]
async fn another_branch_is_refused_even_to_argo_cds_server() -> Result<()> {
    let branch = json!({"revision": "hotfix"});

    let message = operation(Writer::Server, "sync-branch", branch)
        .await?
        .refusal();

    assert!(
        message.starts_with("operation-override: operation.sync.revision: "),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn a_name_like_argo_cds_is_not_argo_cd() -> Result<()> {
    let commit = json!({"revision": "0123456789012345678901234567890123456789"});

    let answer = operation(Writer::ImageUpdater, "sync-image-updater", commit).await?;

    let message = answer.refusal();
    assert!(
        message.starts_with("operation-override: operation.sync.revision: "),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn what_counts_is_the_source_that_argo_cd_would_deploy() -> Result<()> {
    const SOURCES: &str = "
        spec:
          source: { repoURL: https://git.example.com/shop/other.git, path: deploy, targetRevision: v1.4.0 }
          sources:
            - { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }
            - { repoURL: https://git.example.com/shop/values.git, path: prod, targetRevision: v2.0.0 }
    ";
    const HYDRATED: &str = "
        spec:
          source: { repoURL: https://git.example.com/shop/other.git, path: deploy, targetRevision: v1.4.0 }
          sourceHydrator:
            drySource: { repoURL: https://git.example.com/shop/orders.git, path: deploy, targetRevision: main }
            syncSource: { targetBranch: hydrated, path: orders }
    ";
    let source = |repository, revision| json!({"repoURL": repository, "path": "deploy", "targetRevision": revision});
    // The same as the spec's source, which does not count beside the others.
    let other = source(OTHER_SOURCE, "v1.4.0");
    let own = source(OWN_SOURCE, "v1.4.0");
    for (name, spec, sync, field) in [
        (
            "sources-source",
            SOURCES,
            json!({"source": other}),
            "source",
        ),
        (
            "sources-sources",
            SOURCES,
            json!({"sources": [own]}),
            "sources",
        ),
        (
            "sources-revisions",
            SOURCES,
            json!({"revisions": ["v1.4.0", "hotfix"]}),
            "revisions[1]",
        ),
        (
            "hydrated-source",
            HYDRATED,
            json!({"source": other}),
            "source",
        ),
        (
            "hydrated-sources",
            HYDRATED,
            json!({"sources": [own]}),
            "sources",
        ),
        (
            "hydrated-revision",
            HYDRATED,
            json!({"revision": "v1.4.0"}),
            "revision",
        ),
    ] {
        let message = operation_on(Writer::Developer, name, spec, sync)
            .await?
            .refusal();
        let field = format!("operation-override: operation.sync.{field}: ");
        assert!(message.contains(&field), "{name}: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn the_running_operation_is_argo_cds_to_write() -> Result<()> {
    let installation = shared().await?;
    let state = json!({"status": {"operationState": {
        "phase": "Running", "startedAt": "2026-01-01T00:00:00Z",
        "operation": {"sync": {"source": {"repoURL": OTHER_SOURCE, "path": "deploy"}}},
    }}});
    let session = Session::of(&Writer::Developer.log_in(installation).await?).await?;
    session
        .create(&Base::Production.with("state-written", "{}")?)
        .await?
        .admitted();

    let message = session
        .patch("Application", "state-written", &state)
        .await?
        .refusal();

    assert!(
        message.contains("project-scope: status.operationState: "),
        "{message}"
    );
    let controller = Writer::ApplicationController.log_in(installation).await?;
    Session::of(&controller)
        .await?
        .patch("Application", "state-written", &state)
        .await?
        .admitted();
    Ok(())
}

/// Whoever hands it on: it comes from Git or from a caller of Argo CD's API.
#[tokio::test]
async fn no_application_is_created_with_a_running_operation() -> Result<()> {
    let installation = shared().await?;
    for writer in [
        Writer::Developer,
        Writer::Server,
        Writer::ApplicationController,
    ] {
        let session = Session::of(&writer.log_in(installation).await?).await?;
        let name = format!("state-created-{writer}");
        let mut application = Base::Production.with(&name, "{}")?;
        application["operation"] = json!({"sync": {}});
        application["status"] = json!({"operationState": {
            "phase": "Running", "startedAt": "2026-01-01T00:00:00Z",
            "operation": {"sync": {"manifests": ["{}"]}},
        }});

        let message = session.create(&application).await?.refusal();

        for rule in ["project-scope", "operation-override"] {
            let field = format!("{rule}: status.operationState: ");
            assert!(message.contains(&field), "{writer}: {message}");
        }
    }
    Ok(())
}
