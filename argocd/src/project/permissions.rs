//! What a project permits.

use super::destinations::{DestinationPattern, permit};
use super::resources::{ClusterPattern, ResourceLists, ResourceScope};
use super::source_namespace::NamespacePattern;
use super::sources::{self, SourcePattern};
use super::spec::{AppProjectSpec, ProjectDestination, ProjectReading};
use crate::cluster::Cluster;
use crate::repository::git_url;

/// What an AppProject permits, compiled.
#[derive(Clone, Debug)]
pub struct Permissions {
    pub(super) sources: Vec<SourcePattern>,
    /// The entries of `sources` as they are written.
    pub(super) source_texts: Vec<Box<str>>,
    pub(super) destinations: Vec<DestinationPattern>,
    pub(super) destination_texts: Vec<ProjectDestination>,
    source_namespaces: Vec<NamespacePattern>,
    pub(super) permit_only_project_scoped_clusters: bool,
    pub(super) resources: ResourceLists,
    pub(super) reading: ProjectReading,
}

impl Permissions {
    /// Compiles what a project says, as Argo CD 3.5 reads it. Global projects and project-scoped
    /// objects are already in `spec`.
    pub fn new(spec: &AppProjectSpec) -> Self {
        Permissions::read(spec, ProjectReading::UpTo35)
    }

    /// The same as a version of Argo CD reads it.
    pub fn read(spec: &AppProjectSpec, reading: ProjectReading) -> Self {
        Permissions {
            sources: spec
                .source_repos
                .iter()
                .map(|pattern| SourcePattern::new(pattern))
                .collect(),
            source_texts: spec
                .source_repos
                .iter()
                .map(|text| text.as_str().into())
                .collect(),
            destinations: spec
                .destinations
                .iter()
                .map(DestinationPattern::new)
                .collect(),
            destination_texts: spec.destinations.clone(),
            source_namespaces: spec
                .source_namespaces
                .iter()
                .map(|pattern| NamespacePattern::new(pattern, reading))
                .collect(),
            permit_only_project_scoped_clusters: spec.permit_only_project_scoped_clusters,
            resources: ResourceLists::new(spec),
            reading,
        }
    }

    /// Whether a repository may be used (Argo CD 3.5, `AppProject.IsSourcePermitted`).
    ///
    /// An exclusion that hits decides at once; one that does not hit *permits*, as if it were
    /// `*`. A list of exclusions alone therefore permits everything else.
    pub fn permits_source(&self, repository: &str) -> bool {
        self.permits_normalized_source(&git_url::normalize(repository))
    }

    /// The same of a repository that is normalised already.
    pub fn permits_normalized_source(&self, url: &str) -> bool {
        sources::permit(&self.sources, url)
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

    pub(super) fn lists_destination(&self, cluster: &Cluster, namespace: &str) -> bool {
        let items = self.destinations.iter();
        permit(items.map(|item| item.effect_on(cluster, namespace, self.reading)))
    }

    /// Whether Applications of a namespace other than the control plane's may use the project
    /// (Argo CD 3.5, `AppProject.IsAppNamespacePermitted`).
    pub fn permits_source_namespace(&self, namespace: &str) -> bool {
        self.source_namespaces
            .iter()
            .any(|pattern| pattern.matches(namespace))
    }

    /// Whether a kind of resource may be deployed (Argo CD 3.5,
    /// `AppProject.IsGroupKindNamePermitted`).
    pub fn permits_resource(&self, group: &str, kind: &str, scope: ResourceScope<'_>) -> bool {
        self.resources.permit(group, kind, scope)
    }

    /// The entries of `sourceRepos`.
    pub fn sources(&self) -> &[SourcePattern] {
        &self.sources
    }

    /// The entries of `destinations`.
    pub fn destinations(&self) -> &[DestinationPattern] {
        &self.destinations
    }

    /// The entries of `clusterResourceWhitelist`.
    pub fn cluster_resource_whitelist(&self) -> &[ClusterPattern] {
        &self.resources.cluster_whitelist
    }

    /// Whether an entry of `destinations`, by its place, is about a cluster, in some namespace: by
    /// its name or by its server.
    pub fn entry_is_about(&self, index: usize, cluster: &Cluster) -> bool {
        self.destinations.get(index).is_some_and(|item| {
            let matches = item.matches_of(cluster, false);
            matches.name || matches.server
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::pattern::{Glob, Separators};

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
    fn a_pattern_counts_as_it_is_once_normalised() {
        for everything in ["*", " *", "*.git", "ssh://*"] {
            assert!(permits(&[everything], "https://h/a/b"), "{everything}");
            assert!(permits(&[everything], ""), "{everything}");
        }
        for exclusion in [" !**", "ssh://!**"] {
            assert!(!permits(&["*", exclusion], "https://h/a/b"), "{exclusion}");
        }
        assert!(permits(&["!!**"], "https://h/a/b"), "only one `!` excludes");
    }

    #[test]
    fn an_unparsable_pattern_permits_an_unparsable_url() {
        assert!(permits(&["https://{a,b}/c"], "https://h:port/x"));
        assert!(!permits(&["https://{a,b}/c"], "https://a/c"));
        assert!(!permits(&["!https://{a,b}/c"], "https://h:port/x"));
    }

    #[test]
    fn either_the_server_or_the_name_of_an_item_suffices() {
        let items = [("https://c", "other", "*")];
        assert!(permits_destination(&items, ("https://c", "c"), "web"));
        assert!(permits_destination(&items, ("https://d", "other"), "web"));
        assert!(!permits_destination(&items, ("https://d", "d"), "web"));
    }

    #[test]
    fn a_server_exclusion_holds_only_in_its_namespaces() {
        let items = [("*", "", "*"), ("!https://c", "", "web")];
        assert!(!permits_destination(&items, ("https://c", "c"), "web"));
        assert!(permits_destination(&items, ("https://c", "c"), "shop"));
        let alone = [("!https://c", "", "*")];
        assert!(permits_destination(&alone, ("https://d", "d"), "web"));
    }

    #[test]
    fn a_namespace_exclusion_needs_its_server() {
        let by_server = [("*", "", "*"), ("https://c", "", "!kube-system")];
        let by_name = [("*", "", "*"), ("", "c", "!kube-system")];
        let c = ("https://c", "c");
        assert!(!permits_destination(&by_server, c, "kube-system"));
        assert!(permits_destination(&by_name, c, "kube-system"));
        assert!(permits_destination(&by_name[1..], c, "web"));
        assert!(!permits_destination(&by_name[1..], c, "kube-system"));
    }

    #[test]
    fn a_malformed_exclusion_of_a_destination_permits_everything() {
        assert!(permits_destination(
            &[("![", "", "*")],
            ("https://c", "c"),
            "web"
        ));
    }

    #[test]
    fn only_clusters_of_the_project_may_be_all_that_is_permitted() {
        let permissions = Permissions::new(&AppProjectSpec {
            destinations: vec![ProjectDestination {
                server: "*".to_owned(),
                namespace: "*".to_owned(),
                ..ProjectDestination::default()
            }],
            permit_only_project_scoped_clusters: true,
            ..AppProjectSpec::default()
        });
        let cluster = |server: &str, name: &str| Cluster {
            server: server.to_owned(),
            name: name.to_owned(),
            ..Cluster::default()
        };
        let own = cluster("https://own", "own");
        let permits =
            |other: &Cluster| permissions.permits_destination(other, "web", std::iter::once(&own));
        assert!(permits(&own));
        assert!(permits(&cluster("https://own", "alias")), "the same server");
        assert!(permits(&cluster("https://alias", "own")), "the same name");
        assert!(!permits(&cluster(
            "https://kubernetes.default.svc",
            "in-cluster"
        )));
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

    /// `IsSourcePermitted`, written down once more as it reads.
    fn naive_source(patterns: &[String], url: &str) -> bool {
        let url = git_url::normalize(url);
        let glob =
            |pattern: &str| pattern == "*" || Glob::new(pattern, Separators::Slash).matches(&url);
        let mut any = false;
        for pattern in patterns {
            let pattern = match pattern.strip_prefix('!') {
                Some(rest) => format!("!{}", git_url::normalize(rest)),
                None => git_url::normalize(pattern),
            };
            match pattern.strip_prefix('!') {
                Some(rest) if Glob::new(rest, Separators::Slash).matches(&url) => return false,
                Some(_) => any = true,
                None => any = any || glob(&pattern),
            }
        }
        any
    }

    /// `IsDestinationPermitted` without the clusters of the project, written down once more as it
    /// reads.
    fn naive_destination(items: &[(&str, &str, &str)], cluster: (&str, &str), ns: &str) -> bool {
        let matches = |pattern: &str, value: &str| match pattern.strip_prefix('!') {
            Some(rest) => !Glob::new(rest, Separators::None).matches(value),
            None => pattern == "*" || Glob::new(pattern, Separators::None).matches(value),
        };
        let mut any = false;
        for &(server, name, namespace) in items {
            let name_ok = !cluster.1.is_empty() && matches(name, cluster.1);
            let server_ok = !cluster.0.is_empty() && matches(server, cluster.0);
            let namespace_ok = matches(namespace, ns);
            let excluded = (!name_ok && name.starts_with('!'))
                || (!server_ok && server.starts_with('!') && namespace_ok)
                || (!namespace_ok && namespace.starts_with('!') && server_ok);
            match (server_ok || name_ok) && namespace_ok {
                true => any = true,
                false if excluded => return false,
                false => {}
            }
        }
        any
    }

    proptest! {
        #[test]
        fn sources_are_permitted_as_it_reads(
            patterns in proptest::collection::vec(
                "!{0,2}(\\*|\\*\\*|https://h/\\*|https://h/[ab]/\\*\\*|git@h:[ab]/\\*|\\[|\\{a| |)(\\.git)?",
                0..4,
            ),
            url in "(https://h/|git@h:|ssh://git@h/)[abAB](/[ab])?(\\.git)?|\\*|",
        ) {
            let patterns_as_str: Vec<&str> = patterns.iter().map(String::as_str).collect();
            prop_assert_eq!(permits(&patterns_as_str, &url), naive_source(&patterns, &url));
        }

        #[test]
        fn destinations_are_permitted_as_it_reads(
            items in proptest::collection::vec(
                (
                    select(&["", "*", "https://c", "https://*", "!https://c", "!*", "!["][..]),
                    select(&["", "*", "c", "c*", "!c", "!*"][..]),
                    select(&["", "*", "web", "w*", "!web", "!*", "!["][..]),
                ),
                0..4,
            ),
            server in select(&["", "https://c", "https://d"][..]),
            name in select(&["", "c", "d"][..]),
            namespace in select(&["", "web", "shop"][..]),
        ) {
            prop_assert_eq!(
                permits_destination(&items, (server, name), namespace),
                naive_destination(&items, (server, name), namespace)
            );
        }
    }
}
