//! A release, written into a repository so that Argo CD deploys the same.
//!
//! ```text
//!   config of each cluster ──> split: what all share, what each has beside
//!   chart as it is stored ───> chart: its files
//!                              yaml: as Helm reads it, by whatever version of YAML
//!   both, rendered ──────────> evidence: the release's own manifest, object by object
//!   what no file may hold ───> secret_values
//!   what Argo CD does else ──> inventory
//! ```

pub(crate) mod application_set;
pub(crate) mod chart;
pub(crate) mod evidence;
pub(crate) mod inventory;
pub(crate) mod secret_values;
pub(crate) mod split;
pub(crate) mod yaml;

use self::split::Values;
use crate::releases::Release;

/// A cluster that has the release.
#[derive(Debug)]
pub(crate) struct OnCluster {
    /// Its name in Argo CD.
    pub(crate) cluster: String,
    pub(crate) release: Release,
}

/// Where the files of an addon are, from the top of the repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'n> {
    /// The name of the addon.
    pub(crate) name: &'n str,
}

impl Places<'_> {
    /// The folder of the chart.
    pub(crate) fn chart(self) -> String {
        format!("charts/{}", self.name)
    }

    /// What all clusters share, within the folder of the chart. The chart's own defaults are in
    /// `values.yaml` there.
    pub(crate) const SHARED: &'static str = "values-shared.yaml";

    /// What a cluster has beside.
    pub(crate) fn override_of(self, cluster: &str) -> String {
        format!("cluster-overrides/{cluster}/{}.yaml", self.name)
    }

    pub(crate) fn application_set(self) -> String {
        format!("applicationsets/{}.yaml", self.name)
    }
}

/// The text of the shared values, with a comment that says where they came from.
pub(crate) fn shared_text(values: &Values, clusters: &[&OnCluster]) -> String {
    let names: Vec<_> = clusters.iter().map(|one| &*one.cluster).collect();
    let comment = match clusters.first() {
        Some(first) => format!(
            "# What the release {} in namespace {} was given on all of these clusters:\n# {}.\n",
            first.release.name,
            first.release.namespace,
            names.join(", ")
        ),
        None => String::new(),
    };
    comment + &yaml::mapping(values)
}

/// The text of what a cluster has beside, with a comment that says where it came from.
pub(crate) fn override_text(values: &Values, one: &OnCluster) -> String {
    let release = &one.release;
    format!(
        "# What revision {} of the release {} in namespace {} was given on {} alone.\n{}",
        release.revision,
        release.name,
        release.namespace,
        one.cluster,
        yaml::mapping(values)
    )
}
