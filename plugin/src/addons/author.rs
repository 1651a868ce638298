//! A release, written into a repository so that Argo CD deploys the same.
//!
//! ```text
//!   config of each cluster ──> split: what all share, what each has beside
//!   chart as it is stored ───> chart: its files
//!                              wrapper: one that has it as a dependency
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
pub(crate) mod wrapper;
pub(crate) mod yaml;

use serde_json::Value;

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

    /// The folder of what single clusters have beside.
    pub(crate) const OVERRIDES: &'static str = "cluster-overrides";

    /// What a cluster has beside.
    pub(crate) fn override_of(self, cluster: &str) -> String {
        format!("{}/{cluster}/{}.yaml", Self::OVERRIDES, self.name)
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

/// What a cluster was given.
#[derive(Clone, Copy)]
pub(crate) struct Given<'g> {
    pub(crate) on: &'g OnCluster,
    pub(crate) values: &'g Values,
}

/// The text of what a cluster has beside, with comments that say where it came from and what the
/// others have.
pub(crate) fn override_text(values: &Values, one: &OnCluster, all: &[Given<'_>]) -> String {
    let release = &one.release;
    let own = all.iter().find(|given| given.on.cluster == one.cluster);
    let others = all.iter().filter(|given| given.on.cluster != one.cluster);
    let others: Vec<&Given<'_>> = others.collect();
    let comment = |path: &[String]| {
        let value = at(values, path)?;
        if value.as_object().is_some_and(|inner| !inner.is_empty()) {
            return None;
        }
        beside(at(own?.values, path), &others, path)
    };
    format!(
        "# What revision {} of the release {} in namespace {} was given on {} alone.\n{}",
        release.revision,
        release.name,
        release.namespace,
        one.cluster,
        yaml::commented(values, &comment)
    )
}

/// What the others have where one has a value; None where there are none.
fn beside(own: Option<&Value>, others: &[&Given<'_>], path: &[String]) -> Option<String> {
    let (mut same, mut otherwise, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for given in others {
        let name = &*given.on.cluster;
        match at(given.values, path) {
            None => nothing.push(name),
            value if value == own => same.push(name),
            Some(_) => otherwise.push(name),
        }
    }
    let parts = [
        ("the same on", same),
        ("another on", otherwise),
        ("none on", nothing),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = parts
        .map(|(words, names)| format!("{words} {}", names.join(", ")))
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The value at the end of some keys.
fn at<'v>(values: &'v Values, path: &[String]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let mut value = values.get(first)?;
    for key in rest {
        value = value.as_object()?.get(key)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::releases::{Chart, ChartMetadata, Hidden};

    fn on(cluster: &str) -> OnCluster {
        let chart = Chart {
            metadata: ChartMetadata::default(),
            definition: Value::Null,
            templates: Vec::new(),
            files: Vec::new(),
            values: Hidden::default(),
            schema: None,
        };
        OnCluster {
            cluster: cluster.to_owned(),
            release: Release {
                name: "dns".to_owned(),
                namespace: "kube-system".to_owned(),
                revision: 7,
                last_deployed: None,
                chart,
                config: Hidden::default(),
                manifest: Hidden::default(),
                hooks: Vec::new(),
                has_notes: false,
            },
        }
    }

    #[test]
    fn what_the_others_have_stands_above_each_value() {
        let values = [
            json!({"a": {"x": 1, "list": [1]}, "only": {"b": true}}),
            json!({"a": {"x": 1, "list": [2]}}),
            json!({"a": {"x": 2}}),
        ];
        let clusters = ["prod", "staging", "dev"].map(on);
        let all: Vec<Given<'_>> = clusters
            .iter()
            .zip(&values)
            .map(|(on, values)| Given {
                on,
                values: values.as_object().unwrap(),
            })
            .collect();
        let text = override_text(all[0].values, &clusters[0], &all);
        assert_eq!(
            text,
            "\
# What revision 7 of the release dns in namespace kube-system was given on prod alone.
a:
  # another on staging; none on dev
  list:
    - 1
  # the same on staging; another on dev
  x: 1
only:
  # none on staging, dev
  b: true
"
        );
        let alone = override_text(all[0].values, &clusters[0], &all[..1]);
        assert_eq!(alone.matches('#').count(), 1, "{alone}");
    }
}
