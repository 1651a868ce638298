//! Objects as two texts that can be compared.

use serde_json::Value;

/// An object that differs.
#[derive(Clone, Debug)]
pub(crate) struct ObjectDiff {
    /// What it is called, as the name of a file.
    pub(crate) name: String,
    /// What it is; None where it is not there.
    pub(crate) live: Option<Value>,
    /// What it would be; None where it is not to be there.
    pub(crate) merged: Option<Value>,
}
