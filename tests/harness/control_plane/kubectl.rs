//! The real `kubectl`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::control_plane::error::{Error, context};

/// A `kubectl` command as one user, which [`User::kubectl`](crate::User::kubectl) makes.
#[derive(Debug)]
#[must_use = "it does nothing until it is run"]
pub struct Kubectl {
    command: Command,
    input: Option<String>,
}

/// What a `kubectl` that has ended left behind.
#[derive(Debug, Clone)]
pub struct KubectlOutput {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about; an admission webhook's message is here.
    pub stderr: String,
}

impl Kubectl {
    /// In `home`, if there is one, where nothing but it is known: no kubeconfig, no preferences, no
    /// cache of the caller.
    pub(crate) fn new(program: &Path, kubeconfig: &Path, home: Option<&PathBuf>) -> Self {
        let mut command = Command::new(program);
        if let Some(home) = home {
            let path = std::env::var_os("PATH").unwrap_or_default();
            command.env_clear().env("PATH", path).env("HOME", home);
        }
        command
            .env_remove("KUBECONFIG")
            .env("KUBERC", "off")
            .kill_on_drop(true);
        command.arg("--kubeconfig").arg(kubeconfig);
        Self {
            command,
            input: None,
        }
    }

    /// Adds arguments.
    pub fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Gives it something to read on standard input, for `-f -`.
    pub fn input(mut self, manifest: impl Into<String>) -> Self {
        self.input = Some(manifest.into());
        self
    }

    /// The command itself, to run it in another way. It does not have the input.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end. That it failed is not an error, but in [`KubectlOutput::status`].
    pub async fn run(mut self) -> Result<KubectlOutput, Error> {
        let input = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let output = Stdio::piped;
        let mut child = (self
            .command
            .stdin(input)
            .stdout(output())
            .stderr(output())
            .spawn())
        .map_err(context("cannot run kubectl"))?;
        let stdin = child.stdin.take().zip(self.input);
        let write = async {
            match stdin {
                Some((mut stdin, input)) => stdin.write_all(input.as_bytes()).await,
                None => Ok(()),
            }
        };
        let (written, output) = tokio::join!(write, child.wait_with_output());
        // One that ends without reading all has said why.
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(context("cannot write to kubectl")(error));
        }
        let output = output.map_err(context("cannot read from kubectl"))?;
        Ok(KubectlOutput {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
