//! How Argo CD's programs were started.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::application_set::ControllerParameters;

const APPLICATION_NAMESPACES: &str = "application.namespaces";

/// The ConfigMap `argocd-cmd-params-cm` as it is stored: flags of Argo CD's programs, as many as
/// are read.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct ParametersConfigMap {
    #[serde(deserialize_with = "read_values")]
    data: BTreeMap<String, String>,
}

impl ParametersConfigMap {
    /// `application.namespaces`, as it is written.
    pub fn application_namespaces(&self) -> &str {
        self.value(APPLICATION_NAMESPACES)
    }

    /// `applicationsetcontroller.namespaces`, as it is written.
    pub fn application_set_namespaces(&self) -> &str {
        self.value("applicationsetcontroller.namespaces")
    }

    /// What it says about the ApplicationSet controller.
    pub fn application_set_controller(&self) -> ControllerParameters {
        ControllerParameters::from_config_map(&self.data)
    }

    fn value(&self, key: &str) -> &str {
        self.data.get(key).map_or("", String::as_str)
    }
}

/// What is read of the flags. To Go `null` is an empty text, which is not a value of any of them.
fn read_values<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let data: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    let is_read =
        |key: &str| key == APPLICATION_NAMESPACES || key.starts_with("applicationsetcontroller.");
    Ok(data
        .unwrap_or_default()
        .into_iter()
        .filter(|(key, _)| is_read(key))
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}
