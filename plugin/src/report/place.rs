//! What code scanning shows at a line of a file.

use crate::drift::Place;

/// Something that was found, with where.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    /// What it is about, from the outside to the inside.
    pub(crate) object: Vec<String>,
    /// The field, as a JSON Pointer; empty for the whole object.
    pub(crate) field: String,
    /// None where it is in no file that is at hand.
    pub(crate) place: Option<Place>,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Severity {
    Error,
    Warning,
    Note,
}

/// A kind of what can be found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleOfLog {
    pub(crate) id: &'static str,
    /// A sentence.
    pub(crate) description: &'static str,
}

/// What code scanning is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) rules: Vec<RuleOfLog>,
    pub(crate) results: Vec<Located>,
    /// What could not be seen.
    pub(crate) unseen: Vec<String>,
}
