//! What cannot be read.

/// It cannot be read. Nothing of what it says is quoted: a state has secrets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not JSON.
    #[error("line {line}, column {column}: it is not JSON")]
    Json { line: usize, column: usize },
    /// A value has another type.
    #[error("{0}: it is not what `show -json` prints there")]
    Shape(String),
    /// Nothing says of which format it is.
    #[error("format_version: expected one, as `show -json` prints it")]
    NoFormat,
    /// The format is of a later major version.
    #[error("format_version {0}: expected 1 or older")]
    Format(String),
    /// It is what Terraform keeps, and not what it shows.
    #[error("it is a state file: expected what `show -json` prints of it")]
    StateFile,
    /// It is the other one.
    #[error("it is a plan: expected a state, as `show -json` prints it without a file")]
    Plan,
    /// It is the other one.
    #[error("it is a state: expected a plan, as `show -json PLAN` prints it")]
    State,
}
