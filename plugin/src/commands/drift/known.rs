//! What is known before differences are asked for.

use std::collections::BTreeMap;

use crate::drift::refusal::Webhook;
use crate::drift::{ControllerSettings, Overview, Problem};

/// Applications, and what of them could not be read.
pub(super) struct Known<T = Overview> {
    pub(super) applications: Vec<T>,
    pub(super) problems: Vec<Problem>,
    /// None where there is none, or that is not known.
    pub(super) webhook: Option<Webhook>,
}

/// What Argo CD's `ConfigMap`s say; None of one that may not be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Configuration {
    /// `argocd-cm`.
    pub(super) settings: Option<BTreeMap<String, String>>,
    /// `argocd-cmd-params-cm`.
    pub(super) parameters: Option<BTreeMap<String, String>>,
    /// The version of Argo CD; None where that is not known.
    pub(super) version: Option<String>,
}

impl Configuration {
    /// A setting of `argocd-cm`; empty where there is none.
    pub(super) fn setting(&self, key: &str) -> &str {
        let value = self.settings.as_ref().and_then(|data| data.get(key));
        value.map_or("", String::as_str)
    }

    /// A setting of `argocd-cmd-params-cm`; empty where there is none.
    pub(super) fn parameter(&self, key: &str) -> &str {
        let value = self.parameters.as_ref().and_then(|data| data.get(key));
        value.map_or("", String::as_str)
    }

    /// What it says of the application controller.
    pub(super) fn of_controller(&self) -> ControllerSettings {
        let default = ControllerSettings::default();
        ControllerSettings {
            period: match &self.settings {
                Some(_) => ControllerSettings::period_of(self.setting("timeout.reconciliation")),
                None => default.period,
            },
            server_side_diff: self
                .parameters
                .is_some()
                .then(|| self.parameter("controller.diff.server.side") == "true"),
            generation: match &self.version {
                Some(version) => ControllerSettings::generation_of(version),
                None => default.generation,
            },
        }
    }
}

/// An Application with what is known of it beside.
pub(super) trait HasOverview {
    fn overview(&self) -> &Overview;
}

impl HasOverview for Overview {
    fn overview(&self) -> &Overview {
        self
    }
}

impl HasOverview for Found {
    fn overview(&self) -> &Overview {
        &self.overview
    }
}

/// An Application, as it is known and as it is written.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) overview: Overview,
    pub(super) json: String,
}
