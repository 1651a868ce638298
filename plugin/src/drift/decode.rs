//! JSON of others as a type, without quoting it where it is not.

use serde::Deserialize;

/// Reads a text.
///
/// # Errors
/// It is not JSON, or a value has another type: where, but not what it is, which may be a secret.
pub(super) fn decode<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let decoded = serde_path_to_error::deserialize(&mut deserializer);
    let decoded = decoded.map_err(|error| match error.inner().classify() {
        serde_json::error::Category::Data => {
            let path = error.path().to_string();
            let path = if path == "." { "it" } else { path.as_str() };
            format!("{path} is not what Argo CD writes there")
        }
        _ => "it is not JSON".to_owned(),
    })?;
    deserializer
        .end()
        .map_err(|_| "it is not JSON".to_owned())?;
    Ok(decoded)
}
