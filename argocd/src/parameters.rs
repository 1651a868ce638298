//! How Argo CD's programs were started.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::application_set::ControllerParameters;

/// The ConfigMap `argocd-cmd-params-cm` as it is stored: flags of Argo CD's programs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct ParametersConfigMap {
    #[serde(deserialize_with = "go_map")]
    data: BTreeMap<String, String>,
}

impl ParametersConfigMap {
    /// `application.namespaces`, as it is written.
    pub fn application_namespaces(&self) -> &str {
        self.value("application.namespaces")
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

/// To Go `null` is an empty text, and an empty map.
fn go_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let data: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    let values = data.unwrap_or_default().into_iter();
    Ok(values
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}
