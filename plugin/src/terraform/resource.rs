//! A resource of a state, as it is shown.

use serde::Deserialize;
use serde_json::Value;

/// A resource, whose values may be secret.
#[derive(Deserialize)]
pub(super) struct Resource {
    pub(super) address: String,
    #[serde(default)]
    pub(super) mode: String,
    #[serde(default)]
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) provider_name: String,
    #[serde(default)]
    pub(super) values: Value,
    #[serde(default)]
    pub(super) sensitive_values: Value,
    pub(super) depends_on: Option<Vec<String>>,
    pub(super) tainted: Option<bool>,
    pub(super) deposed_key: Option<String>,
}
