//! AppProject: what it says, and what it permits once Argo CD has put it together.
//!
//! The object in the cluster is not what Argo CD judges by: project-scoped repositories and
//! clusters, and global projects, widen it first (see [`crate::fleet`]). [`Permissions`] is the
//! result, with every pattern compiled, because a project is read on every admission and written
//! hardly ever.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cluster::Cluster;
use crate::git_url;
use crate::glob::{Glob, Separators};
use crate::text::{null_as_default, object, objects};

/// An AppProject, the part that is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AppProject {
    /// Name, namespace, labels.
    #[serde(deserialize_with = "object")]
    pub metadata: ProjectMetadata,
    /// What it permits.
    #[serde(deserialize_with = "object")]
    pub spec: AppProjectSpec,
}

/// `metadata` of an AppProject.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProjectMetadata {
    /// The project's name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Projects outside of the control-plane namespace are never read by Argo CD.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    /// Global projects select on these.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
}

/// `spec` of an AppProject.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectSpec {
    /// Globs on repositories; `!` excludes.
    #[serde(deserialize_with = "null_as_default")]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces.
    #[serde(deserialize_with = "objects")]
    pub destinations: Vec<ProjectDestination>,
    /// Namespaces, besides the control plane's, whose Applications may use the project.
    #[serde(deserialize_with = "null_as_default")]
    pub source_namespaces: Vec<String>,
    /// Destinations must be clusters that belong to the project.
    #[serde(deserialize_with = "null_as_default")]
    pub permit_only_project_scoped_clusters: bool,
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

/// What an AppProject permits, compiled.
#[derive(Clone, Debug)]
pub struct Permissions {
    sources: Vec<SourcePattern>,
    destinations: Vec<DestinationPattern>,
    source_namespaces: Vec<NamespacePattern>,
    permit_only_project_scoped_clusters: bool,
}

impl Permissions {
    /// Compiles what a project says. Global projects and project-scoped objects are already in
    /// `spec`.
    pub fn new(spec: &AppProjectSpec) -> Self {
        Permissions {
            sources: spec
                .source_repos
                .iter()
                .map(|pattern| SourcePattern::new(pattern))
                .collect(),
            destinations: spec
                .destinations
                .iter()
                .map(DestinationPattern::new)
                .collect(),
            source_namespaces: spec
                .source_namespaces
                .iter()
                .map(|pattern| NamespacePattern::new(pattern))
                .collect(),
            permit_only_project_scoped_clusters: spec.permit_only_project_scoped_clusters,
        }
    }

    /// Whether a repository may be used (Argo CD 3.5, `AppProject.IsSourcePermitted`).
    ///
    /// An exclusion that hits decides at once; one that does not hit *permits*, as if it were
    /// `*`. A list of exclusions alone therefore permits everything else.
    pub fn permits_source(&self, repository: &str) -> bool {
        let url = git_url::normalize(repository);
        let mut permitted = false;
        for pattern in &self.sources {
            match pattern {
                SourcePattern::Exclude(glob) if glob.matches(&url) => return false,
                SourcePattern::Everything | SourcePattern::Exclude(_) => permitted = true,
                SourcePattern::Include(glob) => permitted |= glob.matches(&url),
            }
        }
        permitted
    }

    /// Whether a cluster and namespace may be deployed to (Argo CD 3.5,
    /// `AppProject.IsDestinationPermitted`).
    ///
    /// `scoped` are the clusters that belong to the project.
    pub fn permits_destination<'c>(
        &self,
        cluster: &Cluster,
        namespace: &str,
        mut scoped: impl Iterator<Item = &'c Cluster>,
    ) -> bool {
        self.lists_destination(cluster, namespace)
            && (!self.permit_only_project_scoped_clusters
                || scoped.any(|own| own.name == cluster.name || own.server == cluster.server))
    }

    fn lists_destination(&self, cluster: &Cluster, namespace: &str) -> bool {
        let mut permitted = false;
        for item in &self.destinations {
            let name = !cluster.name.is_empty() && item.name.matches(&cluster.name);
            let server = !cluster.server.is_empty() && item.server.matches(&cluster.server);
            let in_namespace = item.namespace.matches(namespace);
            if (server || name) && in_namespace {
                permitted = true;
            } else if (!name && item.name.excludes)
                || (!server && item.server.excludes && in_namespace)
                || (!in_namespace && item.namespace.excludes && server)
            {
                // Unlike the others, an exclusion by name holds in every namespace.
                return false;
            }
        }
        permitted
    }

    /// Whether Applications of a namespace other than the control plane's may use the project
    /// (Argo CD 3.5, `AppProject.IsAppNamespacePermitted`).
    pub fn permits_source_namespace(&self, namespace: &str) -> bool {
        self.source_namespaces
            .iter()
            .any(|pattern| pattern.matches(namespace))
    }
}

#[derive(Clone, Debug)]
enum SourcePattern {
    Everything,
    Include(Glob),
    Exclude(Glob),
}

impl SourcePattern {
    fn new(pattern: &str) -> Self {
        let glob = |pattern| Glob::new(&git_url::normalize(pattern), Separators::Slash);
        match pattern.strip_prefix('!') {
            Some(excluded) => SourcePattern::Exclude(glob(excluded)),
            None if pattern == "*" => SourcePattern::Everything,
            None => SourcePattern::Include(glob(pattern)),
        }
    }
}

#[derive(Clone, Debug)]
struct DestinationPattern {
    server: Negatable,
    name: Negatable,
    namespace: Negatable,
}

impl DestinationPattern {
    fn new(destination: &ProjectDestination) -> Self {
        DestinationPattern {
            server: Negatable::new(&destination.server),
            name: Negatable::new(&destination.name),
            namespace: Negatable::new(&destination.namespace),
        }
    }
}

/// A glob that a leading `!` turns round.
#[derive(Clone, Debug)]
struct Negatable {
    excludes: bool,
    glob: Glob,
}

impl Negatable {
    fn new(pattern: &str) -> Self {
        let (excludes, pattern) = match pattern.strip_prefix('!') {
            Some(excluded) => (true, excluded),
            None => (false, pattern),
        };
        Negatable {
            excludes,
            glob: Glob::new(pattern, Separators::None),
        }
    }

    fn matches(&self, text: &str) -> bool {
        self.glob.matches(text) != self.excludes
    }
}

/// How often a regular expression of a project may try again before it counts as not matching.
/// Namespace names have 63 characters at most, so an expression that needs more is pathological.
const BACKTRACK_LIMIT: usize = 20_000;

/// A glob, or a regular expression between slashes.
#[derive(Clone, Debug)]
struct NamespacePattern {
    expression: Option<fancy_regex::Regex>,
    glob: Glob,
}

impl NamespacePattern {
    fn new(pattern: &str) -> Self {
        let expression = pattern
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'))
            .and_then(|expression| {
                fancy_regex::RegexBuilder::new(expression)
                    .backtrack_limit(BACKTRACK_LIMIT)
                    .build()
                    .ok()
            });
        NamespacePattern {
            expression,
            glob: Glob::new(pattern, Separators::None),
        }
    }

    fn matches(&self, namespace: &str) -> bool {
        let by_expression = self
            .expression
            .as_ref()
            .is_some_and(|expression| expression.is_match(namespace).unwrap_or(false));
        by_expression || self.glob.matches(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(repositories: &[&str], url: &str) -> bool {
        Permissions::new(&AppProjectSpec {
            source_repos: repositories.iter().map(|&r| r.to_owned()).collect(),
            ..AppProjectSpec::default()
        })
        .permits_source(url)
    }

    fn permits_destination(items: &[(&str, &str, &str)], cluster: (&str, &str), ns: &str) -> bool {
        let destinations = items
            .iter()
            .map(|&(server, name, namespace)| ProjectDestination {
                server: server.to_owned(),
                name: name.to_owned(),
                namespace: namespace.to_owned(),
            })
            .collect();
        let cluster = Cluster {
            server: cluster.0.to_owned(),
            name: cluster.1.to_owned(),
            ..Cluster::default()
        };
        Permissions::new(&AppProjectSpec {
            destinations,
            ..AppProjectSpec::default()
        })
        .permits_destination(&cluster, ns, std::iter::empty())
    }

    #[test]
    fn only_exclusions_permit_the_rest() {
        assert!(permits(&["!https://h/x/*"], "https://h/a/b"));
        assert!(!permits(&["!https://h/x/*"], "https://h/x/b"));
        assert!(!permits(&["*", "!https://h/x/*"], "https://h/x/b"));
        assert!(!permits(&[], "https://h/a/b"));
    }

    #[test]
    fn an_exclusion_of_everything_is_not_special() {
        assert!(permits(&["!*"], "https://h/a/b"));
        assert!(!permits(&["!**"], "https://h/a/b"));
        assert!(permits(&["![", "!https://h/["], "https://h/a/b"));
    }

    #[test]
    fn a_name_exclusion_ignores_the_namespace() {
        let items = [("*", "", "*"), ("", "!c", "other")];
        assert!(!permits_destination(&items, ("https://c", "c"), "any"));
        assert!(permits_destination(&items, ("https://d", "d"), "other"));
    }

    #[test]
    fn a_cluster_without_a_name_is_denied_by_any_name_exclusion() {
        let items = [("*", "", "*"), ("", "!c", "*")];
        assert!(!permits_destination(&items, ("https://d", ""), "any"));
    }

    #[test]
    fn an_absent_namespace_matches_only_an_empty_one() {
        assert!(!permits_destination(
            &[("*", "", "")],
            ("https://c", "c"),
            "web"
        ));
        assert!(permits_destination(
            &[("*", "", "")],
            ("https://c", "c"),
            ""
        ));
    }

    #[test]
    fn a_runaway_expression_does_not_match() {
        let expression = r"^(a|aa)+\1$";
        let pattern = NamespacePattern::new(&format!("/{expression}/"));
        let namespace = format!("{}b", "a".repeat(60));
        assert!(!pattern.matches(&namespace));
        // It ends at the limit, not because it has been tried to its end.
        let limited = pattern.expression.as_ref().unwrap();
        assert!(limited.is_match(&namespace).is_err());
    }
}
