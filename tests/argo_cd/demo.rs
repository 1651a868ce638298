//! The demo with Argo CD tells its story, and the story is true: it ends with success only if every
//! step came out as it says.

use anyhow::Result;
use harness::argo_cd::Release;
use harness::{path, told, told_as_written};
use tokio::process::Command;

#[tokio::test]
async fn every_step_comes_out_as_the_story_says() -> Result<()> {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_gitops-demo"));
    demo.arg("--with-argo-cd");

    if Release::chosen()?.is_newest() {
        told_as_written(demo, &path("../docs/src/demo-with-argo-cd.md")).await
    } else {
        told(demo).await.map(drop)
    }
}
