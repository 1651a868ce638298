//! Another program that runs while this one does something else.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};

use crate::run::say;

/// A running program, whose complaints are shown only if it fails. It is killed when this is
/// dropped before its end.
pub(crate) struct Background {
    what: &'static str,
    child: Child,
    complaints: Option<JoinHandle<String>>,
}

impl Background {
    pub(crate) fn start(what: &'static str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let line = format!("{command:?}");
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {line}"))?;
        let complaints = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                // What was read until then is still worth showing.
                let _ = stderr.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Self {
            what,
            child,
            complaints,
        })
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            say(&format!("waiting for the end of {}", self.what));
        }
        let status = self.child.wait().context("cannot wait for a program")?;
        let complaints = self.complaints.take().map(JoinHandle::join);
        if status.success() {
            return Ok(());
        }
        let complaints = complaints.and_then(Result::ok).unwrap_or_default();
        bail!("{} failed ({status}):\n{complaints}", self.what)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Background {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Background::start("a script", command).unwrap()
    }

    #[test]
    fn what_fails_is_told_with_its_complaints() {
        let error = shell("echo no disk >&2; exit 3").finish().unwrap_err();

        assert_eq!(
            error.to_string(),
            "a script failed (exit status: 3):\nno disk\n"
        );
    }

    #[test]
    fn what_succeeds_is_not_told() {
        shell("echo at work >&2").finish().unwrap();
    }
}
