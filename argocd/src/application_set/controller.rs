//! How Argo CD's ApplicationSet controller was started.

use std::collections::BTreeMap;

use super::{ApplicationSetSpec, ApplicationsSync};

/// What decides on generated Applications beside the ApplicationSet itself. The default is what
/// holds where nothing is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ControllerParameters {
    /// `--policy`, if it is set.
    policy: Option<ApplicationsSync>,
    /// `--enable-policy-override`, if it is set.
    enable_policy_override: Option<bool>,
    /// `--enable-progressive-syncs`.
    pub progressive_syncs: ProgressiveSyncs,
}

/// Whether the controller starts syncs by itself, as `strategy` of an ApplicationSet says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ProgressiveSyncs {
    /// Nobody knows.
    #[default]
    Unknown,
    /// `argocd-cmd-params-cm` does not enable them. A flag of the Deployment may.
    NotEnabled,
    /// They are enabled.
    Enabled,
}

impl ControllerParameters {
    /// Follows the environment variables of Argo CD 3.5's `argocd-applicationset-controller`, which
    /// are taken from this ConfigMap.
    pub(crate) fn from_config_map(data: &BTreeMap<String, String>) -> Self {
        let value = |key: &str| data.get(&format!("applicationsetcontroller.{key}"));
        let boolean = |key: &str| match value(key)?.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        ControllerParameters {
            // With a policy that there is not, the controller does not start.
            policy: value("policy")
                .filter(|policy| !policy.is_empty())
                .map(|policy| ApplicationsSync::of(policy).unwrap_or(ApplicationsSync::Sync)),
            enable_policy_override: boolean("enable.policy.override"),
            progressive_syncs: match boolean("enable.progressive.syncs") {
                Some(true) => ProgressiveSyncs::Enabled,
                _ => ProgressiveSyncs::NotEnabled,
            },
        }
    }

    /// What becomes of Applications that change or are no longer generated (Argo CD 3.5,
    /// `DefaultPolicy`): the controller's own policy, unless the ApplicationSet may and does say
    /// another.
    pub fn applications_sync(&self, spec: &ApplicationSetSpec) -> ApplicationsSync {
        let may_override = self.enable_policy_override.unwrap_or(self.policy.is_none());
        spec.written_applications_sync()
            .filter(|_| may_override)
            .or(self.policy)
            .unwrap_or(ApplicationsSync::Sync)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ApplicationSet;
    use super::*;

    fn sync(data: &[(&str, &str)], written: &str) -> ApplicationsSync {
        let data = data
            .iter()
            .map(|(key, value)| {
                (
                    format!("applicationsetcontroller.{key}"),
                    (*value).to_owned(),
                )
            })
            .collect();
        let set = format!(r#"{{"spec":{{"syncPolicy":{{"applicationsSync":"{written}"}}}}}}"#);
        let set = ApplicationSet::from_json(&set).unwrap();
        ControllerParameters::from_config_map(&data).applications_sync(&set.spec)
    }

    #[test]
    fn the_controllers_policy_counts_unless_it_may_be_overridden() {
        use ApplicationsSync::{CreateOnly, CreateUpdate, Sync};
        for (data, written, expected) in [
            (&[][..], "", Sync),
            (&[], "create-only", CreateOnly),
            (&[("policy", "create-update")], "", CreateUpdate),
            (&[("policy", "sync")], "create-only", Sync),
            (&[("policy", "")], "create-only", CreateOnly),
            (
                &[("policy", "sync"), ("enable.policy.override", "true")],
                "create-only",
                CreateOnly,
            ),
            (&[("enable.policy.override", "FALSE")], "create-only", Sync),
            (
                &[("enable.policy.override", "perhaps")],
                "create-only",
                CreateOnly,
            ),
        ] {
            assert_eq!(sync(data, written), expected, "{data:?} {written}");
        }
    }

    #[test]
    fn progressive_syncs_are_on_where_they_are_enabled() {
        let read = |value: &str| {
            let key = "applicationsetcontroller.enable.progressive.syncs".to_owned();
            ControllerParameters::from_config_map(&BTreeMap::from([(key, value.to_owned())]))
                .progressive_syncs
        };
        assert_eq!(read("True"), ProgressiveSyncs::Enabled);
        assert_eq!(read("false"), ProgressiveSyncs::NotEnabled);
        assert_eq!(read("yes"), ProgressiveSyncs::NotEnabled);
        let unknown = ControllerParameters::default().progressive_syncs;
        assert_eq!(unknown, ProgressiveSyncs::Unknown);
    }
}
