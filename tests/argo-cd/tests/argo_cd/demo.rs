//! The demo with Argo CD tells its story, and the story is true: it ends with success only if every step came out as it says.

use std::path::Path;

use anyhow::Result;
use gitops_argo_cd_tests::Release;
use gitops_system_tests::{path, told, told_as_written};

#[tokio::test]
async fn every_step_comes_out_as_the_story_says() -> Result<()> {
    let demo = Path::new(env!("CARGO_BIN_EXE_gitops-demo-with-argo-cd"));

    if Release::chosen()?.is_newest() {
        told_as_written(demo, &path("../../docs/src/demo-with-argo-cd.md")).await
    } else {
        told(demo).await.map(drop)
    }
}
