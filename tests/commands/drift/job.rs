//! The example of an Indexed Job: the API server takes it, and what its Pods run with its rights is
//! what one run finds.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use harness::plugin::plugin;
use harness::programs::Programs;
use harness::{path, succeed};
use serde_json::Value;
use tokio::process::Command;

use super::{Fleet, all, report};

const MANIFEST: &str = "../manifests/examples/drift-indexed-job.yaml";

/// The Job of the manifest.
fn job(text: &str) -> Result<Value> {
    for document in text.split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document)?;
        if object["kind"] == "Job" {
            return Ok(object);
        }
    }
    anyhow::bail!("there is no Job")
}

#[tokio::test]
async fn the_example_of_an_indexed_job_finds_what_one_run_finds() -> Result<()> {
    let fleet = Fleet::start().await?;
    let admin = fleet.control_plane.admin();
    let account = fleet
        .control_plane
        .service_account("argocd", "gitops-drift")
        .await?;
    let apply = admin.kubectl(["apply", "--validate=strict", "--filename"]);
    succeed(apply.arguments([path(MANIFEST)])).await?;

    let job = job(&fs::read_to_string(path(MANIFEST))?)?;
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    assert_eq!(spec["completions"], spec["parallelism"]);
    let count = spec["completions"].as_u64().context("completions")?;
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], serde_json::json!(["sh", "-c"]));
    let script = container["args"][0].as_str().context("args")?;

    let folder = tempfile::tempdir()?;
    let reports = folder.path().display().to_string();
    let programs = Programs::locate()?;
    for index in 0..count {
        // What Kubernetes does of a container's arguments.
        let script = script.replace("$(JOB_COMPLETION_INDEX)", &index.to_string());
        let ran = Command::new("sh")
            .args(["-c", &script.replace("/reports", &reports)])
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", programs.folder().display()),
            )
            .env("KUBECONFIG", account.kubeconfig())
            .env("ARGOCD_SERVER", "argocd-server.argocd.svc")
            .stdin(Stdio::null())
            .output()
            .await?;
        ensure!(ran.status.success(), "{}", all(&ran));
        // Nothing may not be read but what is told.
        assert!(!all(&ran).contains("may not"), "{}", all(&ran));
    }
    let mut files: Vec<_> = fs::read_dir(folder.path())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    assert_eq!(files.len() as u64, count, "{files:?}");

    let merged = plugin()?
        .args(["drift", "merge", "-o", "json"])
        .args(&files)
        .output()
        .await?;
    let whole = fleet.drift(&["--source", "status", "-o", "json"]).await?;
    assert_eq!(report(&merged)?, report(&whole)?);
    assert_eq!(merged.status.code(), whole.status.code());
    Ok(())
}
