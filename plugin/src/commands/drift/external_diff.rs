//! The program that shows diffs instead of us, as kubectl calls it (kubectl 1.36, `DiffProgram`).

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tempfile::TempDir;
use tokio::process::Command;
use tokio::signal;

use crate::error::CommandError;
use crate::kubernetes::block_on;
use crate::render::yaml;
use crate::report::ObjectDiff;
use crate::streams::Streams;
use crate::temporary;

const VARIABLE: &str = "KUBECTL_EXTERNAL_DIFF";

/// A program with its arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ExternalDiff {
    program: String,
    arguments: Vec<String>,
    /// What kubectl does not hand on.
    left_out: Vec<String>,
}

/// What a program made of two folders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Compared {
    Same,
    Different,
}

/// A program does not show the diffs.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExternalDiffError {
    #[error("no folder for temporary files can be made")]
    Scratch(#[source] io::Error),
    #[error("{VARIABLE}: cannot run {program:?}")]
    Run {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{VARIABLE}: {program:?} failed: {status}")]
    Failed { program: String, status: ExitStatus },
    #[error("interrupted")]
    Interrupted,
}

impl ExternalDiff {
    /// What the environment asks for.
    pub(super) fn of_environment() -> Option<Self> {
        ExternalDiff::of(&env::var(VARIABLE).ok()?)
    }

    /// The words of a text, between single blanks. Of the arguments kubectl takes those that have
    /// letters, digits, `-` and `=` only.
    fn of(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let program = words.next().filter(|_| !text.is_empty())?;
        let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '=');
        let others = words.filter(|word| !word.is_empty());
        let (arguments, left_out) = others.partition(|word: &&str| word.chars().all(is_taken));
        let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
        Some(ExternalDiff {
            program: program.to_owned(),
            arguments: owned(arguments),
            left_out: owned(left_out),
        })
    }

    /// Runs it on two folders, which nobody else may read and which are removed afterwards, also
    /// after an interrupt.
    ///
    /// # Errors
    /// It cannot be run, or says that it failed.
    pub(super) fn run(
        &self,
        diffs: &[ObjectDiff],
        streams: &Streams,
    ) -> Result<Compared, CommandError> {
        for word in &self.left_out {
            streams.note(&format!(
                "{VARIABLE}: the argument {word:?} is left out, as kubectl does: it takes letters, \
                 digits, - and = only"
            ));
        }
        let [live, merged] = ["LIVE-", "MERGED-"].map(folder);
        let (live, merged) = (live?, merged?);
        for diff in diffs {
            for (folder, object) in [(&live, &diff.live), (&merged, &diff.merged)] {
                if let Some(object) = object {
                    let text = yaml(object)?;
                    write(folder.path(), &diff.name, &text).map_err(ExternalDiffError::Scratch)?;
                }
            }
        }
        let compared = block_on(async { Ok(self.compare(live.path(), merged.path()).await) })?;
        Ok(compared?)
    }

    async fn compare(&self, live: &Path, merged: &Path) -> Result<Compared, ExternalDiffError> {
        let program = || self.program.clone();
        let run = |source| ExternalDiffError::Run {
            program: program(),
            source,
        };
        let mut child = Command::new(&self.program)
            .args([live, merged])
            .args(&self.arguments)
            .stdin(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(run)?;
        let status = tokio::select! {
            status = child.wait() => status.map_err(run)?,
            () = interrupted() => return Err(ExternalDiffError::Interrupted),
        };
        match status.code() {
            Some(0) => Ok(Compared::Same),
            Some(1) => Ok(Compared::Different),
            _ => Err(ExternalDiffError::Failed {
                program: program(),
                status,
            }),
        }
    }
}

impl From<ExternalDiffError> for CommandError {
    fn from(error: ExternalDiffError) -> Self {
        CommandError::new(error)
    }
}

/// Until somebody ends the process.
async fn interrupted() {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let mut signals: Vec<_> = kinds
            .into_iter()
            .filter_map(|kind| signal(kind).ok())
            .collect();
        let received = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        let received: Vec<_> = received.collect();
        if !received.is_empty() {
            futures::future::select_all(received).await;
            return;
        }
    }
    #[cfg(not(unix))]
    if signal::ctrl_c().await.is_ok() {
        return;
    }
    std::future::pending::<()>().await;
}

fn folder(prefix: &str) -> Result<TempDir, ExternalDiffError> {
    temporary::folder(prefix).map_err(ExternalDiffError::Scratch)
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.join(name))?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_that_kubectl_takes() {
        let of = |text| {
            let found = ExternalDiff::of(text)?;
            Some((
                found.program,
                found.arguments.join(","),
                found.left_out.join(","),
            ))
        };
        let read = |program: &str, arguments: &str, left_out: &str| {
            Some((
                program.to_owned(),
                arguments.to_owned(),
                left_out.to_owned(),
            ))
        };
        assert_eq!(of("colordiff -N -u"), read("colordiff", "-N,-u", ""));
        assert_eq!(of("/usr/bin/diff"), read("/usr/bin/diff", "", ""));
        assert_eq!(
            of("diff  --color=always"),
            read("diff", "--color=always", "")
        );
        assert_eq!(
            of("diff -u ;reboot $(x) a/b"),
            read("diff", "-u", ";reboot,$(x),a/b")
        );
        assert_eq!(of(""), None);
    }
}
