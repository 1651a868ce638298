//! The real `argocd`.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// `argocd`, logged in as Argo CD's administrator.
#[derive(Debug)]
pub(crate) struct CommandLine {
    program: PathBuf,
    home: PathBuf,
}

/// What an `argocd` that has ended left behind.
#[derive(Clone, Debug)]
pub struct CommandOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl CommandLine {
    /// Logs in, and keeps in `home` what for.
    pub(crate) async fn log_in(
        program: PathBuf,
        home: &Path,
        server: SocketAddr,
        password: &str,
    ) -> Result<Self> {
        let command_line = Self {
            program,
            home: home.to_owned(),
        };
        let server = server.to_string();
        let login = [
            "login",
            &server,
            "--plaintext",
            "--username",
            "admin",
            "--password",
            password,
        ];
        let output = command_line.run(login).await?;
        // The command line, with the password, is in no message.
        ensure!(
            output.status.success(),
            "cannot log in to Argo CD: {}",
            output.stderr
        );
        Ok(command_line)
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// In which it is logged in.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) async fn run<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<CommandOutput> {
        let output = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", self.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run argocd")?;
        Ok(CommandOutput {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Helm and kustomize are beside it, for `argocd app sync --local`.
    fn path(&self) -> OsString {
        let mut path = OsString::from(self.program.parent().unwrap_or(Path::new("")));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    }
}
