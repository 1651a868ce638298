//! The types of the built-in kinds that `argocd` compares by are Kubernetes' own.
//!
//! `UPDATE_GENERATED=1 cargo test -p gitops-tests --test control_plane kubernetes_types` writes
//! them anew.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use harness::control_plane;
use harness::path;
use tokio::task::spawn_blocking;

#[tokio::test]
async fn the_types_are_those_of_the_api_server() -> Result<()> {
    let (program, document) = spawn_blocking(control_plane::kubernetes_types).await??;
    let output = Command::new(program).arg(document).output()?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "no types are printed: {problem}");
    let types = String::from_utf8(output.stdout).context("types are text")?;
    let version = control_plane::kubernetes_version()?;
    let text = format!(
        "# Generated from the Go types of Kubernetes {version} by\n\
         # UPDATE_GENERATED=1 cargo test -p gitops-tests --test control_plane kubernetes_types\n\
         {types}"
    );
    let file = path("../argocd/src/comparison/scheme/types.txt");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&file, &text)?;
    }
    assert_eq!(fs::read_to_string(&file)?, text);
    Ok(())
}
