//! Why a command could not do its work, and what may help.

use std::error::Error;
use std::fmt::Write as _;

use crate::exit_status::ExitStatus;
use crate::streams::{Streams, WriteError};

/// An error at the boundary of a command.
#[derive(Debug)]
pub(crate) struct CommandError {
    source: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
}

impl CommandError {
    /// A command that cannot go on.
    pub(crate) fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        CommandError {
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
    pub(crate) fn report(&self, streams: &Streams) -> ExitStatus {
        streams.error(&chain(&*self.source));
        for hint in &self.hints {
            streams.hint(hint);
        }
        ExitStatus::Failed
    }
}

impl From<WriteError> for CommandError {
    fn from(error: WriteError) -> Self {
        CommandError::new(error)
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
    use std::io;

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
}
