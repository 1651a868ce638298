//! What an AppProject says.

use golang::json::{null_as_default, objects, optional_objects, strings};
use serde::Deserialize;

/// How many bytes the patterns of a project may have that are more than a text with `*` behind it.
/// Each is tried on hundreds of texts, and takes its length times that of the text.
const COSTLY_LIMIT: usize = 8 << 10;

/// `spec` of an AppProject.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectSpec {
    /// Globs on repositories; `!` excludes.
    #[serde(deserialize_with = "strings")]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces.
    #[serde(deserialize_with = "objects")]
    pub destinations: Vec<ProjectDestination>,
    /// Namespaces, besides the control plane's, whose Applications may use the project.
    #[serde(deserialize_with = "strings")]
    pub source_namespaces: Vec<String>,
    /// Destinations must be clusters that belong to the project.
    #[serde(deserialize_with = "null_as_default")]
    pub permit_only_project_scoped_clusters: bool,
    /// Cluster-scoped kinds that are permitted; none if there are none.
    #[serde(deserialize_with = "objects")]
    pub cluster_resource_whitelist: Vec<ClusterResourceRestrictionItem>,
    /// Cluster-scoped kinds that are denied all the same.
    #[serde(deserialize_with = "objects")]
    pub cluster_resource_blacklist: Vec<ClusterResourceRestrictionItem>,
    /// Namespaced kinds that are permitted. Absent is all kinds, an empty list is none; but a
    /// client that writes Go's type back drops an empty list.
    #[serde(deserialize_with = "optional_objects")]
    pub namespace_resource_whitelist: Option<Vec<GroupKind>>,
    /// Namespaced kinds that are denied all the same.
    #[serde(deserialize_with = "objects")]
    pub namespace_resource_blacklist: Vec<GroupKind>,
}

impl AppProjectSpec {
    /// What argocd-server creates the project `default` with where it is not there (Argo CD 3.5,
    /// `initializeDefaultProject`).
    pub fn of_default_project() -> Self {
        let everything = || "*".to_owned();
        AppProjectSpec {
            source_repos: vec![everything()],
            destinations: vec![ProjectDestination {
                server: everything(),
                namespace: everything(),
                ..ProjectDestination::default()
            }],
            cluster_resource_whitelist: vec![ClusterResourceRestrictionItem {
                group: everything(),
                kind: everything(),
                ..ClusterResourceRestrictionItem::default()
            }],
            ..AppProjectSpec::default()
        }
    }

    /// Whether its patterns take more work than is bounded. Of such a project it is better not to
    /// ask anything else here.
    pub fn has_costly_patterns(&self) -> bool {
        let of_destinations = self
            .destinations
            .iter()
            .flat_map(|item| [&item.server, &item.name, &item.namespace]);
        let of_kinds = self
            .cluster_resource_whitelist
            .iter()
            .chain(&self.cluster_resource_blacklist)
            .flat_map(|item| [&item.group, &item.kind, &item.name]);
        let patterns = self
            .source_repos
            .iter()
            .chain(of_destinations)
            .chain(of_kinds);
        let is_costly = |pattern: &&String| {
            let text = pattern.trim_end_matches('*');
            text.contains(['*', '?', '[', '{', '\\'])
        };
        patterns.filter(is_costly).map(String::len).sum::<usize>() > COSTLY_LIMIT
    }

    /// Adds what a global project says (Argo CD 3.5, `mergeVirtualProject`). Its exclusions deny,
    /// and a whitelist of namespaced kinds makes of "all kinds" "only these".
    pub(super) fn merge(&mut self, global: &AppProjectSpec) {
        let AppProjectSpec {
            source_repos,
            destinations,
            source_namespaces: _,
            permit_only_project_scoped_clusters: _,
            cluster_resource_whitelist,
            cluster_resource_blacklist,
            namespace_resource_whitelist,
            namespace_resource_blacklist,
        } = global;
        self.source_repos.extend_from_slice(source_repos);
        self.destinations.extend_from_slice(destinations);
        self.cluster_resource_whitelist
            .extend_from_slice(cluster_resource_whitelist);
        self.cluster_resource_blacklist
            .extend_from_slice(cluster_resource_blacklist);
        // In Go, what appends nothing to an absent list leaves it absent.
        if let Some(whitelist) = namespace_resource_whitelist
            && !whitelist.is_empty()
        {
            self.namespace_resource_whitelist
                .get_or_insert_default()
                .extend_from_slice(whitelist);
        }
        self.namespace_resource_blacklist
            .extend_from_slice(namespace_resource_blacklist);
    }
}

/// An entry of `spec.destinations`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct ProjectDestination {
    /// Glob on the cluster's server.
    #[serde(deserialize_with = "null_as_default")]
    pub server: String,
    /// Glob on the cluster's name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Glob on the namespace.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
}

/// An entry of `namespaceResourceWhitelist` or `namespaceResourceBlacklist`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct GroupKind {
    /// Glob on the API group; empty for the core group.
    #[serde(deserialize_with = "null_as_default")]
    pub group: String,
    /// Glob on the kind.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
}

/// An entry of `clusterResourceWhitelist` or `clusterResourceBlacklist`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct ClusterResourceRestrictionItem {
    /// Glob on the API group; empty for the core group.
    #[serde(deserialize_with = "null_as_default")]
    pub group: String,
    /// Glob on the kind.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
    /// Glob on the object's name; empty for any name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
}

/// How Argo CD reads a project where its versions differ.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ProjectReading {
    /// Argo CD 3.5 and older: a destination that excludes by `name` does so in every namespace, and
    /// `//` among `sourceNamespaces` permits every one (until the last patches of 3.3, 3.4 and 3.5,
    /// which no definition tells from those before).
    #[default]
    UpTo35,
    /// Argo CD 3.6 and newer: an exclusion holds only where the entry's own namespace matches, and
    /// `//` permits no namespace.
    Since36,
}

impl ProjectReading {
    /// The first version that reads a project in this way, or the last one.
    pub fn versions(self) -> &'static str {
        match self {
            ProjectReading::UpTo35 => "Argo CD up to 3.5",
            ProjectReading::Since36 => "Argo CD 3.6",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(server: &str, name: &str, namespace: &str) -> ProjectDestination {
        ProjectDestination {
            server: server.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    #[test]
    fn costly_patterns_are_told_apart_from_long_lists() {
        let spec = |pattern: &str, count: usize| AppProjectSpec {
            destinations: vec![destination(pattern, "", "*"); count],
            ..AppProjectSpec::default()
        };
        assert!(!spec("https://cluster.example.com", 50_000).has_costly_patterns());
        assert!(!spec("https://cluster-*", 50_000).has_costly_patterns());
        assert!(spec("https://*.example.com", 1_000).has_costly_patterns());
    }
}
