//! The demo tells its story, and the story is true: it ends with success only if every step came out as it says.
//!
//! The README shows what it printed. `UPDATE_DOCS=1` writes that anew.

use std::process::Stdio;
use std::{env, fs};

use anyhow::{Context, Result};
use gitops_system_tests::path;
use tokio::process::Command;

const BEGIN: &str = "```console\n";
const END: &str = "```\n<!-- /demo -->";

#[tokio::test]
async fn every_step_comes_out_as_the_story_in_the_readme_says() -> Result<()> {
    let demo = Command::new(env!("CARGO_BIN_EXE_gitops-demo"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;

    let stderr = String::from_utf8_lossy(&demo.stderr);
    let story = String::from_utf8(demo.stdout)?;
    assert!(demo.status.success(), "{stderr}\n{story}");

    let file = path("../../README.md");
    let readme = fs::read_to_string(&file)?;
    let (before, rest) = readme
        .split_once(BEGIN)
        .context("no transcript in the README")?;
    let (shown, after) = rest.split_once(END).context("the transcript has no end")?;
    let story = story.trim_start();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, format!("{before}{BEGIN}{story}{END}{after}"))?;
    } else {
        assert_eq!(
            shown, story,
            "run: UPDATE_DOCS=1 cargo test -p gitops-system-tests demo"
        );
    }
    Ok(())
}
