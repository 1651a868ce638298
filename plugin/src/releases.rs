//! What Helm has installed, as it keeps it in a cluster, read without the helm binary.
//!
//! ```text
//!   metadata of Secrets and ConfigMaps ──> stored: which revisions there are, who wrote them
//!   one of them as a whole ──────────────> decode: base64, gzip, JSON ──> Release
//! ```
//!
//! Values, templates and manifests of a release may hold secrets. They are [`Hidden`], so that no
//! error, log or table can have them by mistake.

mod decode;
mod hidden;
mod manifest;
mod stored;

use jiff::Timestamp;
use serde_json::{Map, Value};

pub(crate) use self::decode::{DecodeError, decode};
pub(crate) use self::hidden::Hidden;
pub(crate) use self::manifest::ManifestError;
pub(crate) use self::stored::{Driver, Stored, StoredError, StoredRevision, latest_of_each};

/// A revision of a release.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) revision: u64,
    /// When it was deployed; None where Helm does not say.
    pub(crate) last_deployed: Option<Timestamp>,
    pub(crate) chart: Chart,
    /// What it was given for its chart: not the chart's own defaults.
    pub(crate) config: Hidden<Map<String, Value>>,
    /// What Helm applied: documents of YAML, without hooks and without definitions of `crds/`.
    pub(crate) manifest: Hidden<String>,
    pub(crate) hooks: Vec<Hook>,
    /// Whether the chart tells something to whoever has installed it.
    pub(crate) has_notes: bool,
}

/// A chart, as Helm keeps it: without the charts that it is made of.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) metadata: ChartMetadata,
    /// What `Chart.yaml` says.
    pub(crate) definition: Value,
    pub(crate) templates: Vec<ChartFile>,
    /// All other files, such as those in `crds/`.
    pub(crate) files: Vec<ChartFile>,
    /// Its defaults.
    pub(crate) values: Hidden<Map<String, Value>>,
    /// What `values.schema.json` says.
    pub(crate) schema: Option<Vec<u8>>,
}

/// A file of a chart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ChartFile {
    /// From the folder of the chart.
    pub(crate) name: String,
    pub(crate) data: Hidden<Vec<u8>>,
}

/// What a chart says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ChartMetadata {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Empty where it does not say.
    pub(crate) app_version: String,
}

/// An object that Helm runs instead of keeping.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hook {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// When it runs: `pre-install`, `test`.
    pub(crate) events: Vec<String>,
    /// When it is deleted: `hook-succeeded`.
    pub(crate) delete_policies: Vec<String>,
    pub(crate) manifest: Hidden<String>,
}

/// How far Helm has come with a revision (Helm 4.3, `pkg/release/common`; Helm 3 has the same).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Status {
    Unknown,
    Deployed,
    Uninstalled,
    Superseded,
    Failed,
    Uninstalling,
    PendingInstall,
    PendingUpgrade,
    PendingRollback,
}

impl Status {
    const ALL: [Status; 9] = [
        Status::Unknown,
        Status::Deployed,
        Status::Uninstalled,
        Status::Superseded,
        Status::Failed,
        Status::Uninstalling,
        Status::PendingInstall,
        Status::PendingUpgrade,
        Status::PendingRollback,
    ];

    /// As Helm writes it. What Helm does not write is unknown.
    pub(crate) fn of(text: &str) -> Self {
        let mut all = Status::ALL.into_iter();
        let known = all.find(|status| status.as_str() == text);
        known.unwrap_or(Status::Unknown)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Unknown => "unknown",
            Status::Deployed => "deployed",
            Status::Uninstalled => "uninstalled",
            Status::Superseded => "superseded",
            Status::Failed => "failed",
            Status::Uninstalling => "uninstalling",
            Status::PendingInstall => "pending-install",
            Status::PendingUpgrade => "pending-upgrade",
            Status::PendingRollback => "pending-rollback",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_helm_writes_it() {
        for status in Status::ALL {
            assert_eq!(Status::of(status.as_str()), status);
        }
        assert_eq!(Status::of("Deployed"), Status::Unknown);
        assert_eq!(Status::of(""), Status::Unknown);
    }
}
