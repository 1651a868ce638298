//! What cleans up after this process, however it ends.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::control_plane::error::{Error, context};

const SCRIPT: &str = include_str!("supervise.sh");

/// A temporary folder that is removed, after the servers in it are killed, when this is dropped or
/// this process ends.
pub(crate) struct Supervisor {
    process: Child,
    folder: PathBuf,
}

/// Comes when kube-apiserver ends.
pub(crate) struct ServerEnd(pipe::Receiver);

impl Supervisor {
    /// Puts a folder under supervision. `prepare` fills it and returns what to run: etcd, then
    /// kube-apiserver with its flags, or nothing.
    pub(crate) fn spawn(
        prepare: impl FnOnce(&Path) -> Result<Vec<OsString>, Error>,
    ) -> Result<(Self, ServerEnd), Error> {
        let folder = tempfile::Builder::new().prefix("control-plane-").tempdir();
        let folder = folder.map_err(context("cannot make a temporary folder"))?;
        let servers = prepare(folder.path())?;
        let process = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "supervise.sh"])
            .arg(folder.path())
            .args(servers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A Ctrl-C in the terminal is for the test process; the supervisor must outlive it to
            // clean up.
            .process_group(0)
            .spawn();
        let mut supervisor = Self {
            process: process.map_err(context("cannot start the supervisor, /bin/sh"))?,
            // From here on the supervisor removes it.
            folder: folder.keep(),
        };
        let end = supervisor
            .end()
            .map_err(context("cannot watch the supervisor"))?;
        Ok((supervisor, end))
    }

    /// The folder, which only its owner may enter.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn end(&mut self) -> std::io::Result<ServerEnd> {
        let missing = || std::io::Error::other("it has no standard output");
        let stdout = self.process.stdout.take().ok_or_else(missing)?;
        pipe::Receiver::from_owned_fd(OwnedFd::from(stdout)).map(ServerEnd)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Waiting closes the supervisor's standard input first, which is what it waits for. Should
        // it be gone already, there is nothing left to do and nobody to tell.
        let _ = self.process.wait();
    }
}

impl ServerEnd {
    pub(crate) async fn reached(mut self) {
        // Nothing is ever written: whatever this returns, the other end is closed.
        let _ = self.0.read(&mut [0]).await;
    }
}
