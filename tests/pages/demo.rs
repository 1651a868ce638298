//! The demo tells its story, and the story is true: it ends with success only if every step came
//! out as it says.

use anyhow::Result;
use harness::{path, told_as_written};
use tokio::process::Command;

#[tokio::test]
async fn every_step_comes_out_as_the_tutorial_says() -> Result<()> {
    let demo = Command::new(env!("CARGO_BIN_EXE_gitops-demo"));

    told_as_written(demo, &path("../docs/src/tutorial.md")).await
}
