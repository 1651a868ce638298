//! The Git repository of a checkout: what of it is not committed, commits, and pushes.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::Command;

use crate::text::printable;

/// A work tree of Git.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkTree<'r>(&'r Path);

/// Git did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum GitError {
    #[error("git cannot be run")]
    Run(#[source] std::io::Error),
    #[error("git {command}: {status}: {complaint}")]
    Failed {
        command: String,
        status: ExitStatus,
        complaint: String,
    },
}

impl<'r> WorkTree<'r> {
    /// The one that a folder is in, if it is in one.
    pub(super) async fn of(folder: &'r Path) -> Option<Self> {
        let tree = WorkTree(folder);
        let told = tree.run(&["rev-parse", "--is-inside-work-tree"]).await;
        (told.ok()?.trim() == "true").then_some(tree)
    }

    /// Whether files are not as they were committed.
    ///
    /// # Errors
    /// Git cannot tell.
    pub(super) async fn is_changed(&self, paths: &[String]) -> Result<bool, GitError> {
        let mut arguments = vec!["status", "--porcelain", "--untracked-files=all", "--"];
        arguments.extend(paths.iter().map(String::as_str));
        Ok(!self.run(&arguments).await?.trim().is_empty())
    }

    /// Whether there is somewhere to push to.
    pub(super) async fn has_remote(&self) -> bool {
        let remotes = self.run(&["remote"]).await;
        remotes.is_ok_and(|remotes| !remotes.trim().is_empty())
    }

    /// Whether there are commits that nobody else has.
    pub(super) async fn is_ahead(&self) -> bool {
        let count = self
            .run(&["rev-list", "--count", "@{upstream}..HEAD"])
            .await;
        // Without an upstream nobody has them.
        count.map_or(true, |count| count.trim() != "0")
    }

    /// The name of the last commit.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn head(&self) -> Result<String, GitError> {
        let head = self.run(&["rev-parse", "HEAD"]).await?;
        Ok(head.trim().to_owned())
    }

    /// Commits these files, and nothing else that is changed.
    ///
    /// # Errors
    /// Git refuses.
    pub(super) async fn commit(&self, paths: &[String], message: &str) -> Result<(), GitError> {
        let paths = || paths.iter().map(String::as_str);
        let mut add = vec!["add", "--all", "--"];
        add.extend(paths());
        self.run(&add).await?;
        let mut commit = vec!["commit", "--quiet", "--message", message, "--"];
        commit.extend(paths());
        self.run(&commit).await?;
        Ok(())
    }

    /// Pushes the branch that is checked out.
    ///
    /// # Errors
    /// Git refuses.
    pub(super) async fn push(&self) -> Result<(), GitError> {
        self.run(&["push", "--quiet"]).await?;
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> Result<String, GitError> {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.0)
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(GitError::Run)?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(GitError::Failed {
                command: arguments.first().copied().unwrap_or_default().to_owned(),
                status: output.status,
                complaint: printable(complaint.trim()),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
