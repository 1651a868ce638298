//! Why a command could not do its work, and what may help.

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use crate::exit_status::ExitStatus;
use crate::output;

/// Who can do something about an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// The user: the command line or an input is wrong.
    User,
    /// Nobody has to: the reader of the output has seen enough.
    BrokenPipe,
    /// The system that the command runs on.
    System,
}

/// An error at the boundary of a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    source: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
}

impl CommandError {
    /// Something that the user can put right.
    pub(crate) fn user(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        CommandError {
            kind: Kind::User,
            source: source.into(),
            hints: Vec::new(),
        }
    }

    /// Adds what may help.
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Tells the user and says how the process ends.
    pub(crate) fn report(&self) -> ExitStatus {
        if self.kind == Kind::BrokenPipe {
            return ExitStatus::Clean;
        }
        output::error(&chain(&*self.source));
        for hint in &self.hints {
            output::hint(hint);
        }
        ExitStatus::Failed
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        CommandError {
            kind: match error.kind() {
                io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
                _ => Kind::System,
            },
            source: error.into(),
            hints: Vec::new(),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read a.yaml")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_chain_reads_from_the_outside_to_the_cause() {
        let inner = io::Error::other("the disk is on fire");
        assert_eq!(
            chain(&Outer(inner)),
            "cannot read a.yaml: the disk is on fire"
        );
    }

    #[test]
    fn a_broken_pipe_is_no_failure() {
        let error = CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.report(), ExitStatus::Clean);
    }
}
