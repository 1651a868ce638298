//! Tests can run on a cluster that is already there.

use std::env;
use std::process::Stdio;

use anyhow::Context;
use harness::ControlPlane;
use harness::control_plane::Error;
use tokio::process::Command;

type Result<T = ()> = anyhow::Result<T>;

/// Set in the process whose environment names the existing cluster.
const ON_EXISTING: &str = "CONTROL_PLANE_TEST_ON_EXISTING";
/// Tells that process which version the cluster has.
const ITS_VERSION: &str = "CONTROL_PLANE_TEST_VERSION";

#[tokio::test]
async fn is_used_as_it_is() -> Result {
    let existing = ControlPlane::start().await?;

    let version = existing.admin().client().await?.apiserver_version().await?;

    let other_process = Command::new(env::current_exe()?)
        .args(["--exact", "existing_cluster::other_process", "--nocapture"])
        .env(ON_EXISTING, existing.url())
        .env(ITS_VERSION, version.git_version)
        .env("USE_EXISTING_CLUSTER", "true")
        .env("KUBECONFIG", existing.admin().kubeconfig())
        .stdin(Stdio::null())
        .output();

    let output = other_process.await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let created =
        existing
            .admin()
            .kubectl(["get", "serviceaccount", "-n", "argocd", "argocd-server"]);
    assert!(
        created.run().await?.status.success(),
        "the other process used another cluster"
    );
    Ok(())
}

/// Not a test, but what the test above executes in a process of its own, on a cluster that is
/// already there.
#[tokio::test]
async fn other_process() -> Result {
    let Ok(url) = env::var(ON_EXISTING) else {
        return Ok(());
    };
    let control_plane = ControlPlane::start().await?;
    let server = control_plane
        .service_account("argocd", "argocd-server")
        .await?;
    let version = server
        .client()
        .await?
        .apiserver_version()
        .await
        .context("the token is not accepted")?;

    assert_eq!(control_plane.url(), url);
    assert_eq!(control_plane.admin().name(), "admin");
    assert_eq!(version.git_version, env::var(ITS_VERSION)?);
    assert_lacks(&control_plane.user("alice@example.com", &[]));
    assert_lacks(&control_plane.audit_log());
    Ok(())
}

fn assert_lacks<T: std::fmt::Debug>(result: &std::result::Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::ExistingCluster { .. })),
        "{result:?}"
    );
}
