//! `-o json`.

use serde::Serialize;

use crate::error::CommandError;
use crate::text::escaped;

/// A value in JSON, in a line.
pub(super) fn line(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string(value).map_err(CommandError::new)?;
    Ok(escaped(text + "\n"))
}

/// A value in JSON as kubectl prints it.
pub(super) fn document(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(CommandError::new)?;
    Ok(escaped(text + "\n"))
}
