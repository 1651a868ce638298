//! The sync options that Argo CD knows. Any other is ignored without a word.
//!
//! Follows Argo CD 3.6: `SyncAppState` in `controller/sync.go`, and `pkg/sync/common/types.go` of
//! its gitops-engine. A test with their source proves that none is missing.

use crate::known_fields::nearest;

/// The annotation by which one resource has options of its own, separated by commas.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";

/// What a sync option is set on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetOn {
    /// An Application, in `spec.syncPolicy.syncOptions`, compared as it is.
    Application,
    /// A resource, in its annotation.
    Resource,
}

/// What is wrong with a sync option.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unknown {
    /// Argo CD has no such option, and this is what may have been meant.
    Name(Option<String>),
    /// It has no such value, but these.
    Value(&'static [&'static str]),
    /// It counts only in the other place.
    Misplaced,
    /// It is right but for spaces, or for `:` in place of `=`.
    Spelling(String),
}

/// An option, its values, and where it counts.
#[derive(Debug)]
pub struct SyncOption {
    /// Its name.
    pub name: &'static str,
    values: &'static [&'static str],
    application: bool,
    resource: bool,
}

const BOOLEAN: &[&str] = &["true", "false"];
const CONFIRMED: &[&str] = &["true", "false", "confirm"];
const PROPAGATION: &[&str] = &["foreground", "background", "orphan"];

const fn option(
    name: &'static str,
    values: &'static [&'static str],
    application: bool,
    resource: bool,
) -> SyncOption {
    SyncOption {
        name,
        values,
        application,
        resource,
    }
}

/// All of them.
pub static ALL: [SyncOption; 14] = [
    option("ApplyOutOfSyncOnly", BOOLEAN, true, true),
    option("ClientSideApplyMigration", BOOLEAN, true, true),
    option("CreateNamespace", BOOLEAN, true, false),
    option("Delete", CONFIRMED, true, true),
    option("FailOnSharedResource", BOOLEAN, true, false),
    option("Force", BOOLEAN, false, true),
    option("Prune", CONFIRMED, true, true),
    option("PruneLast", BOOLEAN, true, true),
    option("PrunePropagationPolicy", PROPAGATION, true, false),
    option("Replace", BOOLEAN, true, true),
    option("RespectIgnoreDifferences", BOOLEAN, true, false),
    option("ServerSideApply", BOOLEAN, true, true),
    option("SkipDryRunOnMissingResource", BOOLEAN, true, true),
    option("Validate", BOOLEAN, true, true),
];

/// What is wrong with an option, if anything is. One with a placeholder is not known yet.
pub fn unknown(written: &str, set_on: SetOn) -> Option<Unknown> {
    if written.contains("{{") {
        return None;
    }
    let (name, value) = written.split_once('=').unwrap_or((written, ""));
    let find = |name: &str| ALL.iter().find(|option| option.name == name);
    if let Some(option) = find(name) {
        let counts = match set_on {
            SetOn::Application => option.application,
            SetOn::Resource => option.resource,
        };
        return if !option.values.contains(&value) {
            let trimmed = value.trim();
            let is_right = option.values.contains(&trimmed);
            Some(if is_right {
                Unknown::Spelling(format!("{name}={trimmed}"))
            } else {
                Unknown::Value(option.values)
            })
        } else if counts {
            None
        } else {
            Some(Unknown::Misplaced)
        };
    }
    let (name, value) = written.split_once(['=', ':']).unwrap_or((written, ""));
    let (name, value) = (name.trim(), value.trim());
    if let Some(option) = find(name).filter(|option| option.values.contains(&value)) {
        return Some(Unknown::Spelling(format!("{}={value}", option.name)));
    }
    let meant = nearest(name, ALL.iter().map(|option| option.name));
    Some(Unknown::Name(meant.map(|name| {
        let known = find(name).is_some_and(|option| option.values.contains(&value));
        let value = if known { value } else { "true" };
        format!("{name}={value}")
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_options_are_told_with_the_nearest() {
        let name = |text: &str| Some(Unknown::Name(Some(text.to_owned())));
        let spelling = |text: &str| Some(Unknown::Spelling(text.to_owned()));
        for (written, expected) in [
            ("CreateNamespaces=true", name("CreateNamespace=true")),
            ("createNamespace=true", name("CreateNamespace=true")),
            ("ServersideApply=true", name("ServerSideApply=true")),
            (
                "SkipDryRunOnMissingResources=true",
                name("SkipDryRunOnMissingResource=true"),
            ),
            ("Prune=flase", Some(Unknown::Value(CONFIRMED))),
            ("Prune=False", Some(Unknown::Value(CONFIRMED))),
            (
                "PrunePropagationPolicy=Foreground",
                Some(Unknown::Value(PROPAGATION)),
            ),
            ("CreateNamespace", Some(Unknown::Value(BOOLEAN))),
            ("CreateNamespace = true", spelling("CreateNamespace=true")),
            ("CreateNamespace=true ", spelling("CreateNamespace=true")),
            (" CreateNamespace=true", spelling("CreateNamespace=true")),
            ("CreateNamespace: true", spelling("CreateNamespace=true")),
            ("Force=true", Some(Unknown::Misplaced)),
            ("Quickly=true", Some(Unknown::Name(None))),
            ("", Some(Unknown::Name(None))),
            ("CreateNamespace=true", None),
            ("CreateNamespace=false", None),
            ("Delete=confirm", None),
            ("PrunePropagationPolicy=orphan", None),
            ("{{ .option }}", None),
        ] {
            assert_eq!(unknown(written, SetOn::Application), expected, "{written}");
        }
        assert_eq!(unknown("Force=true", SetOn::Resource), None);
        assert_eq!(
            unknown("CreateNamespace=true", SetOn::Resource),
            Some(Unknown::Misplaced)
        );
    }
}
