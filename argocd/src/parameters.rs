//! How Argo CD's programs were started.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::application_set::ControllerParameters;
use crate::text::null_as_default;

/// The ConfigMap `argocd-cmd-params-cm` as it is stored: flags of Argo CD's programs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct ParametersConfigMap {
    #[serde(deserialize_with = "null_as_default")]
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
