//! What a demo printed, in a document.

use std::path::Path;
use std::process::Stdio;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

const MARK: &str = "<!-- demo: ";
const BEGIN: &str = "```console\n";
const END: &str = "```\n<!-- /demo -->";

/// Runs a demo, which must tell its story to the end, and compares that with the transcript in a
/// document. With `UPDATE_DOCS=1` in the environment it writes the transcript instead.
pub async fn told_as_written(demo: Command, document: &Path) -> Result<()> {
    let story = told(demo).await?;
    let cannot = || format!("cannot read {}", document.display());
    let text = fs::read_to_string(document).with_context(cannot)?;
    let mark = text.find(MARK).context("there is no mark for it")?;
    let begin = text[mark..].find(BEGIN).context("there is no transcript")?;
    let (before, rest) = text.split_at(mark + begin + BEGIN.len());
    let (written, after) = rest.split_once(END).context("the transcript has no end")?;
    let story = story.trim_start();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(document, format!("{before}{story}{END}{after}"))?;
    } else {
        ensure!(
            written == story,
            "{} says:\n{written}\nThe demo says, and UPDATE_DOCS=1 writes:\n{story}",
            document.display()
        );
    }
    Ok(())
}

/// Runs a demo, which must tell its story to the end, and returns what it told.
pub async fn told(mut demo: Command) -> Result<String> {
    let demo = demo
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let stderr = String::from_utf8_lossy(&demo.stderr);
    let story = String::from_utf8(demo.stdout)?;
    ensure!(demo.status.success(), "{stderr}\n{story}");
    Ok(story)
}
