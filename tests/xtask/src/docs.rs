//! The documentation: whether its links lead somewhere, and the book.

use std::process::Command;

use anyhow::{Result, ensure};
use gitops_documentation::{broken_links, root};

use crate::run::{run, say, succeeds};

/// Checks all links, and builds the book where mdBook is installed.
pub(crate) fn docs() -> Result<()> {
    say("checking the links");
    let broken = broken_links(&root())?;
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    if succeeds(Command::new("mdbook").arg("--version")) {
        let mut build = Command::new("mdbook");
        build.arg("build").arg(root().join("docs"));
        run("building the book into target/book", &mut build)
    } else {
        say("not building the book: mdbook is not installed (cargo install mdbook)");
        Ok(())
    }
}
