//! Runs Terraform or OpenTofu: what it shows of a state, and the commands that change one.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde::Deserialize;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::document::State;
use super::error::ReadError;
use crate::text::printable;

/// How much of what it complains of is told, in characters.
const COMPLAINT: usize = 2_000;

/// Terraform or OpenTofu in a folder with a configuration. It has the caller's own environment: its
/// credentials and its workspace are there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runner<'r> {
    pub(crate) program: &'r OsStr,
    pub(crate) folder: &'r Path,
}

/// A state as Terraform keeps it, which has secrets.
pub(crate) struct Pulled {
    pub(crate) text: Zeroizing<String>,
    /// How often it was changed.
    pub(crate) serial: u64,
}

/// It did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("{0} is not on the PATH")]
    Missing(String),
    #[error("{command} cannot be run in {folder}")]
    Run {
        command: String,
        folder: String,
        #[source]
        source: io::Error,
    },
    #[error("{command}: {status}: {complaint}")]
    Failed {
        command: String,
        status: ExitStatus,
        complaint: String,
    },
    #[error("what {0} printed is not UTF-8")]
    NotText(String),
    #[error("what {command} printed")]
    Read {
        command: String,
        #[source]
        source: ReadError,
    },
    #[error("what {0} printed is not a state: there is none there")]
    NoState(String),
}

impl Runner<'_> {
    /// What is managed now.
    ///
    /// # Errors
    /// It cannot be run, or shows something else.
    pub(crate) async fn state(&self) -> Result<State, RunError> {
        let arguments = ["show", "-json", "-no-color"];
        let text = self.run(&arguments).await?;
        State::read(&text).map_err(|source| RunError::Read {
            command: self.command(&arguments),
            source,
        })
    }

    /// The state as a whole, wherever it is kept.
    ///
    /// # Errors
    /// It cannot be run, or there is no state.
    pub(crate) async fn pull(&self) -> Result<Pulled, RunError> {
        #[derive(Deserialize)]
        struct Head {
            serial: u64,
        }
        let arguments = ["state", "pull"];
        let text = self.run(&arguments).await?;
        let head = serde_json::from_str::<Head>(&text);
        let head = head.map_err(|_| RunError::NoState(self.command(&arguments)))?;
        Ok(Pulled {
            text,
            serial: head.serial,
        })
    }

    /// Forgets a resource, which stays as it is.
    ///
    /// # Errors
    /// It cannot be run, or does not have it.
    pub(crate) async fn forget(&self, address: &str) -> Result<(), RunError> {
        self.run(&["state", "rm", "-no-color", address]).await?;
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> String {
        let program = Path::new(self.program).display();
        format!("{program} {}", arguments.join(" "))
    }

    async fn run(&self, arguments: &[&str]) -> Result<Zeroizing<String>, RunError> {
        let command = self.command(arguments);
        let mut process = Command::new(self.program);
        process
            .args(arguments)
            .current_dir(self.folder)
            .env("TF_IN_AUTOMATION", "true")
            .stdin(Stdio::null());
        let output = process.output().await.map_err(|source| {
            // A folder that is not there is not found, either.
            if source.kind() == io::ErrorKind::NotFound && self.folder.is_dir() {
                return RunError::Missing(Path::new(self.program).display().to_string());
            }
            RunError::Run {
                command: command.clone(),
                folder: self.folder.display().to_string(),
                source,
            }
        })?;
        let text = String::from_utf8(output.stdout).map(Zeroizing::new);
        if !output.status.success() {
            return Err(RunError::Failed {
                command,
                status: output.status,
                complaint: summary(&output.stderr),
            });
        }
        text.map_err(|_| RunError::NotText(command))
    }
}

/// What it complains of, on one line and not without end.
fn summary(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.collect();
    let short: String = lines.join("; ").chars().take(COMPLAINT).collect();
    printable(&short)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    fn program(folder: &Path, script: &str) -> io::Result<PathBuf> {
        let path = folder.join("terraform");
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let failing = program(folder.path(), "echo 'Error: locked' >&2; exit 1").unwrap();
        let runner = |program| Runner {
            program,
            folder: folder.path(),
        };
        let told = |error: RunError| crate::error::chain(&error);
        let path = failing.display().to_string();
        let error = runner(failing.as_os_str()).forget("helm_release.x").await;
        assert_eq!(
            told(error.unwrap_err()),
            format!("{path} state rm -no-color helm_release.x: exit status: 1: Error: locked")
        );
        let none = runner(OsStr::new("no-such-terraform")).state().await;
        assert_eq!(
            told(none.unwrap_err()),
            "no-such-terraform is not on the PATH"
        );
        let empty = program(folder.path(), "exit 0").unwrap();
        let error = runner(empty.as_os_str()).pull().await.err().unwrap();
        assert_eq!(
            told(error),
            format!("what {path} state pull printed is not a state: there is none there")
        );
    }

    #[tokio::test]
    async fn the_serial_of_a_state_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let state = r#"{"version": 4, "serial": 7, "lineage": "x"}"#;
        let program = program(folder.path(), &format!("echo '{state}'")).unwrap();
        let runner = Runner {
            program: program.as_os_str(),
            folder: folder.path(),
        };
        let pulled = runner.pull().await.unwrap();
        assert_eq!((pulled.serial, pulled.text.trim()), (7, state));
    }
}
