//! How and when an Application is synced.

use golang::json::{Text, null_as_default, optional_object};
use serde::Deserialize;

use crate::names::RESPECT_IGNORE_DIFFERENCES;

/// `spec.syncPolicy`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy<'a> {
    /// Present, even if empty, it switches automated sync on; see [`SyncPolicy::automated_sync`].
    #[serde(deserialize_with = "optional_object")]
    pub automated: Option<Automated>,
    /// Options; compared as whole strings, unknown ones are ignored by Argo CD.
    #[serde(borrow, deserialize_with = "null_as_default")]
    pub sync_options: Vec<Text<'a>>,
}

/// `spec.syncPolicy.automated`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Automated {
    /// Known since Argo CD 3.1; an older CRD drops it as it is stored.
    pub enabled: Option<bool>,
    prune: Option<bool>,
    self_heal: Option<bool>,
    allow_empty: Option<bool>,
}

impl Automated {
    /// Delete what is no longer in Git.
    pub fn prune(&self) -> bool {
        self.prune.unwrap_or_default()
    }

    /// Sync again when the live state drifts.
    pub fn self_heal(&self) -> bool {
        self.self_heal.unwrap_or_default()
    }

    /// Let pruning delete everything.
    pub fn allow_empty(&self) -> bool {
        self.allow_empty.unwrap_or_default()
    }

    /// Whether `prune` or `selfHeal` is written, whatever its value.
    pub fn writes_prune_or_self_heal(&self) -> bool {
        self.prune.is_some() || self.self_heal.is_some()
    }

    fn meaning(&self) -> (Option<bool>, bool, bool, bool) {
        (
            self.enabled,
            self.prune(),
            self.self_heal(),
            self.allow_empty(),
        )
    }
}

impl PartialEq for Automated {
    /// Equal in meaning: Argo CD's rewrites drop what is `false`.
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

/// Whether Argo CD syncs an Application by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AutomatedSync {
    /// There is no `automated`.
    Off,
    /// `automated.enabled` is `false`.
    Disabled,
    /// Every new commit is applied.
    On {
        /// Deletes what is no longer in Git.
        prune: bool,
        /// Also puts back what drifted.
        self_heal: bool,
    },
}

/// Whether the installed Application CRD has `syncPolicy.automated.enabled`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EnabledField {
    /// Argo CD 3.1 and newer.
    #[default]
    Supported,
    /// Older: the field is dropped when the object is stored, which leaves `automated: {}`, on.
    Dropped,
}

impl SyncPolicy<'_> {
    /// Argo CD's own test for automated sync: `automated` is there and `enabled` is not `false`
    /// (Argo CD 3.5, `IsAutomatedSyncEnabled`). The values of `prune` and `selfHeal` play no part.
    pub fn automated_sync(&self, enabled_field: EnabledField) -> AutomatedSync {
        let Some(automated) = &self.automated else {
            return AutomatedSync::Off;
        };
        if automated.enabled == Some(false) && enabled_field == EnabledField::Supported {
            return AutomatedSync::Disabled;
        }
        AutomatedSync::On {
            prune: automated.prune(),
            self_heal: automated.self_heal(),
        }
    }

    /// Whether a sync leaves ignored fields as they are. Without it an ignored difference is only
    /// hidden, and still written by every sync.
    pub fn respects_ignore_differences(&self) -> bool {
        self.sync_options
            .iter()
            .any(|option| *option == RESPECT_IGNORE_DIFFERENCES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automated_sync_is_on_as_soon_as_automated_is_there() {
        for (policy, expected) in [
            (r"{}", AutomatedSync::Off),
            (r#"{"automated":null}"#, AutomatedSync::Off),
            (
                r#"{"automated":{"enabled":false,"prune":true}}"#,
                AutomatedSync::Disabled,
            ),
            (
                r#"{"automated":{"prune":false,"selfHeal":false}}"#,
                AutomatedSync::On {
                    prune: false,
                    self_heal: false,
                },
            ),
            (
                r#"{"automated":{"enabled":null,"selfHeal":true}}"#,
                AutomatedSync::On {
                    prune: false,
                    self_heal: true,
                },
            ),
        ] {
            let parsed: SyncPolicy<'_> = serde_json::from_str(policy).unwrap();
            assert_eq!(
                parsed.automated_sync(EnabledField::Supported),
                expected,
                "{policy}"
            );
        }
    }

    #[test]
    fn enabled_false_does_not_count_where_the_crd_drops_it() {
        let policy: SyncPolicy<'_> =
            serde_json::from_str(r#"{"automated":{"enabled":false}}"#).unwrap();
        assert_eq!(
            policy.automated_sync(EnabledField::Dropped),
            AutomatedSync::On {
                prune: false,
                self_heal: false,
            }
        );
    }
}
