//! Pages whose commands are run, with what they print.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use gitops_documentation::{Page, pages, root};
use harness::demo::Shell;
use tokio::task::spawn_blocking;

pub(crate) const MARK: &str = "<!-- walk-through: written by ";
pub(crate) const BEGIN: &str = "```console\n";
pub(crate) const END: &str = "```\n";

/// A page of which the commands are run block by block.
pub(crate) struct WalkThrough {
    shell: Shell,
    page: Page,
    /// The end of the last block in the text of the page.
    at: usize,
    /// The page so far, with what the commands printed.
    written: String,
}

impl WalkThrough {
    /// One of a page, in a shell.
    pub(crate) fn of(path: &str, shell: Shell) -> Result<Self> {
        Ok(Self {
            shell,
            page: page(path)?,
            at: 0,
            written: String::new(),
        })
    }

    /// Runs the commands of the next block, each of which must end with its status. Returns what
    /// they printed.
    pub(crate) async fn next<const N: usize>(&mut self, statuses: [i32; N]) -> Result<String> {
        let rest = self.page.text.get(self.at..).unwrap_or_default();
        let (before, marked) = rest.split_once(MARK).context("there is no further block")?;
        let (mark, block) = marked.split_once(BEGIN).context("there is no block")?;
        let (block, after) = block.split_once(END).context("a block has no end")?;
        let lines: Vec<String> = commands(block).collect();
        ensure!(lines.len() == N, "{N} commands were expected: {block}");
        let mut transcripts = Vec::new();
        for (line, expected) in lines.into_iter().zip(statuses) {
            let (shell, command) = (self.shell.clone(), line.clone());
            let outcome = spawn_blocking(move || shell.run(&command)).await??;
            let transcript = format!("$ {line}\n{}", outcome.text);
            let transcript = format!("{}\n", transcript.trim_end());
            ensure!(outcome.status.code() == Some(expected), transcript);
            transcripts.push(transcript);
        }
        let printed = transcripts.join("\n");
        self.written
            .extend([before, MARK, mark, BEGIN, &printed, END]);
        self.at = self.page.text.len() - after.len();
        Ok(printed)
    }

    /// Compares what was written with the page, once all of its commands were run.
    pub(crate) fn end(self) -> Result<()> {
        let rest = self.page.text.get(self.at..).unwrap_or_default();
        ensure!(!rest.contains(MARK), "not all of the page was run: {rest}");
        compare(&self.page, &(self.written + rest))
    }
}

pub(crate) fn page(path: &str) -> Result<Page> {
    let mut pages = pages(&root())?.into_iter();
    let page = pages.find(|page| page.path == Path::new(path));
    page.with_context(|| format!("there is no {path}"))
}
/// What stands behind `$`, on one line or several.
pub(crate) fn commands(block: &str) -> impl Iterator<Item = String> {
    let mut lines = block.lines();
    std::iter::from_fn(move || {
        let mut command = lines.find_map(|line| line.strip_prefix("$ "))?.to_owned();
        while command.ends_with('\\') {
            command = format!("{command}\n{}", lines.next()?);
        }
        Some(command)
    })
}

/// Compares a page with what is to be in it, or writes that if it is asked for.
pub(crate) fn compare(page: &Page, written: &str) -> Result<()> {
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(&page.path), written)?;
        return Ok(());
    }
    ensure!(
        page.text == written,
        "{} says:\n{}\nUPDATE_DOCS=1 writes:\n{written}",
        page.path.display(),
        page.text
    );
    Ok(())
}
