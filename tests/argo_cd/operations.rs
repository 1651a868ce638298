//! Syncs that a person asks for by hand, by writing an Application's `operation`.

use anyhow::Result;
use harness::{KubectlOutput, User};
use serde_json::{Value, json};

use crate::support::Turn;

const FOREIGN: &str = "https://git.example.com/evil/x.git";
const MANIFEST: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"by-hand","namespace":"addons"}}"#;
/// A commit that is in no repository.
const COMMIT: &str = "0123456789012345678901234567890123456789";

const LITERAL: &str = "project-scope: operation.sync.manifests: literal manifests come from no repository that the AppProject \
    permits; commit them, then sync the Application as it is";

#[tokio::test]
async fn an_ordinary_sync_is_admitted_and_argo_cd_carries_it_out() -> Result<()> {
    let fleet = Turn::take().await?;
    let alice = fleet.developer().await?;
    for name in ["reporter-staging", "reporter-production"] {
        let source = fleet.application(name).await?.data["spec"]["source"].clone();
        let as_specified = json!({"revision": source["targetRevision"], "source": source});
        for (ticket, sync) in [("bare", json!({})), ("as specified", as_specified)] {
            let info = json!([{"name": "ticket", "value": ticket}]);

            let written = operate(&alice, name, &json!({"info": info, "sync": sync})).await?;

            let KubectlOutput { status, stderr, .. } = written;
            assert!(status.success(), "{name}, {ticket}: {stderr}");
            let what = format!("Argo CD has synced {name} ({ticket})");
            let carried_out = fleet.eventually(&what, |applications| {
                let application = applications.get(name).ok_or("it does not exist")?;
                let state = &application.data["status"]["operationState"];
                if state["operation"]["info"] == info && state["phase"] == "Succeeded" {
                    Ok(())
                } else {
                    Err(state.to_string())
                }
            });
            carried_out.await?;
        }
        fleet.synced_and_healthy(&[name]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_no_project_permits_is_refused_on_staging_too() -> Result<()> {
    let source = json!({"repoURL": FOREIGN, "path": "deploy", "targetRevision": "main"});
    refused_to_a_person(
        "reporter-staging",
        &[
            (
                json!({"source": source}),
                "project-scope: operation.sync.source.repoURL: AppProject addons-staging does not permit \
                 https://git.example.com/evil/x.git; use a repository of its sourceRepos",
            ),
            (
                json!({"sources": [source]}),
                "project-scope: operation.sync.sources[0].repoURL: AppProject addons-staging does not permit \
                 https://git.example.com/evil/x.git; use a repository of its sourceRepos",
            ),
            (json!({"manifests": [MANIFEST]}), LITERAL),
        ],
    )
    .await
}

#[tokio::test]
async fn anything_but_the_spec_is_refused_on_production() -> Result<()> {
    let source = json!({"repoURL": FOREIGN, "path": "deploy", "targetRevision": "main"});
    refused_to_a_person(
        "reporter-production",
        &[
            (
                json!({"source": source}),
                "project-scope: operation.sync.source.repoURL: AppProject addons-production does not permit \
                 https://git.example.com/evil/x.git; use a repository of its sourceRepos | \
                 operation-override: operation.sync.source: syncs another source than the spec's to production; \
                 sync the Application as it is, or change its spec",
            ),
            (
                json!({"sources": [source]}),
                "project-scope: operation.sync.sources[0].repoURL: AppProject addons-production does not permit \
                 https://git.example.com/evil/x.git; use a repository of its sourceRepos | \
                 operation-override: operation.sync.sources: syncs another source than the spec's to production; \
                 sync the Application as it is, or change its spec",
            ),
            (
                json!({"manifests": [MANIFEST]}),
                &format!(
                    "{LITERAL} | operation-override: operation.sync.manifests: applies literal manifests to production \
                     in place of the spec's source; commit them, then sync the Application as it is"
                ),
            ),
            (
                json!({"revision": "main"}),
                "operation-override: operation.sync.revision: syncs revision main to production, \
                 the spec says v1.0.0; leave it out, or change targetRevision",
            ),
            (
                json!({"revision": COMMIT}),
                "operation-override: operation.sync.revision: \
                 syncs revision 0123456789012345678901234567890123456789 to production, \
                 the spec says v1.0.0; leave it out, or change targetRevision",
            ),
        ],
    )
    .await
}

/// Each of these syncs is refused with its message, and Argo CD does nothing about it.
async fn refused_to_a_person(name: &str, syncs: &[(Value, &str)]) -> Result<()> {
    let fleet = Turn::take().await?;
    let alice = fleet.developer().await?;
    let before = fleet.application(name).await?.data["status"].clone();
    for (sync, message) in syncs {
        let written = operate(&alice, name, &json!({"sync": sync})).await?;

        assert_eq!(written.status.code(), Some(1), "{sync}");
        assert_eq!(
            written.stderr,
            format!(
                "Error from server (Forbidden): admission webhook \"applications.kubectl-gitops.io\" \
                 denied the request: {message}\n"
            )
        );
        let after = fleet.application(name).await?.data;
        let status = &after["status"];
        assert_eq!(after["operation"], Value::Null);
        assert_eq!(status["operationState"], before["operationState"]);
        assert_eq!(status["history"], before["history"]);
    }
    Ok(())
}

/// Sets the operation with `kubectl patch`.
async fn operate(person: &User, name: &str, operation: &Value) -> Result<KubectlOutput> {
    let patch = json!({"operation": operation}).to_string();
    let arguments = ["patch", "application", name, "--namespace", "argocd"];
    let patch = ["--type", "merge", "--patch", &patch];
    Ok(person.kubectl(arguments).arguments(patch).run().await?)
}
