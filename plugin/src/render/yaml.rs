//! `-o yaml`.

use serde::Serialize;

use super::json;
use crate::error::CommandError;
use crate::text::is_fit;

/// A value in YAML. Where characters need to be escaped that cannot be in block style, it is the
/// JSON, which is YAML, too.
pub(crate) fn document(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_saphyr::to_string(value).map_err(CommandError::new)?;
    if text.chars().all(is_fit) {
        Ok(text)
    } else {
        json::document(value)
    }
}
