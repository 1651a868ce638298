//! The `go` command.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::progress::Progress;

/// How many lines of a failed command are worth showing: Go puts the reason last.
const SHOWN_LINES: usize = 30;
const TICK: Duration = Duration::from_millis(250);

/// The `go` command could not do its part.
#[derive(Debug, Error)]
pub enum GoError {
    /// There is no `go`.
    #[error("there is no `go` command: install Go 1.26 or newer")]
    Missing,
    /// There is a `go`, but it cannot be run.
    #[error("cannot run `{command}`")]
    Run {
        /// The command line.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ran and failed.
    #[error("`{command}` failed ({status}):\n{output}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it printed.
        output: String,
    },
}

/// A `go` command in `folder` that no setting of the caller's workspace or vendor folder reaches.
/// If go.mod asks for a newer Go than is installed, Go fetches that, as any other module.
pub(crate) fn command(folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(folder)
        .env("GO111MODULE", "on")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "auto")
        .stdin(Stdio::null());
    go
}

/// Runs a `go` command, shows on standard error how it gets on, and returns what it printed.
pub(crate) fn run(mut go: Command, what: &str) -> Result<Vec<u8>, GoError> {
    let line = command_line(&go);
    let cannot_run = |source| GoError::Run {
        command: line.clone(),
        source,
    };
    let mut child = go
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => GoError::Missing,
            _ => cannot_run(source),
        })?;
    let stdout = child
        .stdout
        .take()
        .map(|pipe| thread::spawn(move || read(pipe)));
    let mut tail = Tail::default();
    if let Some(stderr) = child.stderr.take() {
        follow(stderr, &mut Progress::new(what), &mut tail);
    }
    let status = child.wait().map_err(cannot_run)?;
    let stdout = stdout
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default();
    if status.success() {
        return Ok(stdout);
    }
    stdout
        .split(|byte| *byte == b'\n')
        .for_each(|line| tail.push(&String::from_utf8_lossy(line)));
    Err(GoError::Failed {
        command: line,
        status,
        output: tail.0.join("\n"),
    })
}

fn command_line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn read(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read until then is still worth having; that the command failed is in its status.
    let _ = pipe.read_to_end(&mut bytes);
    bytes
}

/// Reads lines until the end of input, and keeps the progress moving while none come.
fn follow(stderr: impl Read + Send + 'static, progress: &mut Progress, tail: &mut Tail) {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => {
                progress.line(&line);
                tail.push(&line);
            }
            Err(RecvTimeoutError::Timeout) => progress.show(),
            Err(RecvTimeoutError::Disconnected) => break progress.finish(),
        }
    }
}

/// The last lines of an output.
#[derive(Default)]
struct Tail(Vec<String>);

impl Tail {
    fn push(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.0.len() == SHOWN_LINES {
            self.0.remove(0);
        }
        self.0.push(line.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_with_what_go_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut go = command(folder.path());
        go.args(["build", "./nowhere"]);

        let error = run(go, "building nothing").unwrap_err().to_string();

        assert!(
            error.starts_with("`go build ./nowhere` failed (exit status: 1):\n"),
            "{error}"
        );
        assert!(error.contains("go.mod"), "{error}");
    }

    #[test]
    fn a_missing_go_says_what_to_install() {
        let missing = Command::new("/nonexistent/go");

        let error = run(missing, "building nothing").unwrap_err();

        assert!(matches!(error, GoError::Missing));
        assert!(error.to_string().contains("Go 1.26"), "{error}");
    }
}
