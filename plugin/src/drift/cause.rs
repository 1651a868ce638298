//! What kind of drift a difference is.

use serde::Deserialize;

/// What kind of drift it is. Of the fields of a resource the first of these counts that there is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// A person, or a program that a person or a pipeline runs, wrote it.
    ChangedByHand,
    /// A controller wrote it, or a webhook changed what Argo CD wrote.
    ChangedByController,
    /// Nobody can tell, as of a field that is gone.
    Unknown,
    /// Git has moved on since the last sync.
    NotSyncedYet,
    /// An autoscaler set it.
    Autoscaled,
    /// The object is not in Git.
    Extra,
    /// The object is not there.
    Missing,
}

impl Cause {
    /// All that there are.
    pub(crate) const ALL: [Cause; 7] = [
        Cause::ChangedByHand,
        Cause::ChangedByController,
        Cause::Unknown,
        Cause::NotSyncedYet,
        Cause::Autoscaled,
        Cause::Extra,
        Cause::Missing,
    ];

    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Cause::ChangedByHand => "changed-by-hand",
            Cause::ChangedByController => "changed-by-controller",
            Cause::Unknown => "unknown",
            Cause::NotSyncedYet => "not-synced-yet",
            Cause::Autoscaled => "autoscaled",
            Cause::Extra => "extra",
            Cause::Missing => "missing",
        }
    }
}
