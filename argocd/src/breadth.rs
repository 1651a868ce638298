//! How wide a project is: which of its patterns permit what nobody thought of.
//!
//! A pattern is asked about a repository, a cluster and a kind that cannot exist. That sees through
//! every way to write "everything": `*`, `**`, `https://**`, `?*`, and lists that only exclude.

use crate::cluster::Cluster;
use crate::project::{
    AppProjectSpec, ClusterResourceRestrictionItem, Negatable, Permissions, ProjectDestination,
};

/// Repositories of each sort that Argo CD reads. Names under `.invalid` are nobody's (RFC 2606).
const REPOSITORIES: [&str; 7] = [
    "https://unheard-of.invalid",
    "https://unheard-of.invalid/charts",
    "https://unheard-of.invalid/some/repository",
    "https://unheard-of.invalid/some/other/repository",
    "git@unheard-of.invalid:some/repository",
    "oci://unheard-of.invalid/some/artifact",
    "unheard-of.invalid/charts",
];
const CLUSTER_NAME: &str = "unheard-of";
const CLUSTER_SERVER: &str = "https://unheard-of.invalid";
const NAMESPACE: &str = "unheard-of";
const GROUP: &str = "unheard-of.invalid";
const KIND: &str = "UnheardOf";

/// How many bytes the patterns of a project may have that are more than a text with `*` behind it.
/// Each is tried on each cluster, and takes its length times that of the name.
const COSTLY_LIMIT: usize = 16 << 10;

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

    /// Whether its patterns take more work than is bounded. Of such a project it is better not to ask
    /// anything else here.
    pub fn is_beyond_measure(&self) -> bool {
        let of_destinations = self
            .destinations
            .iter()
            .flat_map(|item| [&item.server, &item.name, &item.namespace]);
        let of_kinds = self
            .cluster_resource_whitelist
            .iter()
            .flat_map(|item| [&item.group, &item.kind]);
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

    /// The places of the entries of `sourceRepos` that permit any repository whatever. An exclusion
    /// permits what it does not exclude.
    pub fn boundless_source_repos(&self) -> impl Iterator<Item = usize> {
        let all = Permissions::new(self);
        let permitted: Vec<&str> = REPOSITORIES
            .into_iter()
            .filter(|repository| all.permits_source(repository))
            .collect();
        let is_boundless = move |pattern: &String| {
            !permitted.is_empty() && {
                let alone = Permissions::new(&AppProjectSpec {
                    source_repos: vec![pattern.clone()],
                    ..AppProjectSpec::default()
                });
                permitted
                    .iter()
                    .any(|repository| alone.permits_source(repository))
            }
        };
        let places = self.source_repos.iter().enumerate();
        places
            .filter(move |(_, pattern)| is_boundless(pattern))
            .map(|(index, _)| index)
    }

    /// Which clusters can be deployed to, in some namespace, compiled.
    pub fn reach(&self) -> Reach {
        let excludes = |item: &ProjectDestination| {
            item.name.starts_with('!')
                || item.server.starts_with('!') && item.permits_any_namespace()
        };
        let items = self.destinations.iter();
        Reach(
            items
                .map(|item| (item.clusters(), excludes(item)))
                .collect(),
        )
    }
}

/// The clusters that a project lets its Applications go to.
#[derive(Clone, Debug)]
pub struct Reach(Vec<(ClusterPattern, bool)>);

impl Reach {
    /// Whether a cluster is among them. Only what shuts it out of every namespace counts as shutting
    /// it out.
    pub fn includes(&self, cluster: &Cluster) -> bool {
        let mut included = false;
        for (pattern, excludes_others) in &self.0 {
            if pattern.matches(cluster) {
                included = true;
            } else if *excludes_others {
                return false;
            }
        }
        included
    }
}

/// The clusters that one destination of a project is about.
#[derive(Clone, Debug)]
pub struct ClusterPattern {
    name: Negatable,
    server: Negatable,
}

impl ClusterPattern {
    /// Whether a cluster is one of them: by its name or by its server.
    pub fn matches(&self, cluster: &Cluster) -> bool {
        let is = |pattern: &Negatable, text: &str| !text.is_empty() && pattern.matches(text);
        is(&self.name, &cluster.name) || is(&self.server, &cluster.server)
    }
}

impl ProjectDestination {
    /// Whether it permits any cluster whatever.
    pub fn permits_any_cluster(&self) -> bool {
        matches(&self.name, CLUSTER_NAME) || matches(&self.server, CLUSTER_SERVER)
    }

    /// Whether it permits any namespace whatever.
    pub fn permits_any_namespace(&self) -> bool {
        matches(&self.namespace, NAMESPACE)
    }

    /// Whether it takes something away from what others permit.
    pub fn excludes(&self) -> bool {
        [&self.name, &self.server, &self.namespace]
            .iter()
            .any(|pattern| pattern.starts_with('!'))
    }

    /// Which clusters it permits, in some namespace.
    pub fn clusters(&self) -> ClusterPattern {
        ClusterPattern {
            name: Negatable::new(&self.name),
            server: Negatable::new(&self.server),
        }
    }
}

impl ClusterResourceRestrictionItem {
    /// Whether it permits any kind whatever, under any name.
    pub fn permits_any_kind(&self) -> bool {
        matches(&self.group, GROUP)
            && matches(&self.kind, KIND)
            && (self.name.is_empty() || matches(&self.name, NAMESPACE))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    Negatable::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundless(patterns: &[&str]) -> Vec<usize> {
        let spec = AppProjectSpec {
            source_repos: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
            ..AppProjectSpec::default()
        };
        spec.boundless_source_repos().collect()
    }

    fn destination(server: &str, name: &str, namespace: &str) -> ProjectDestination {
        ProjectDestination {
            server: server.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    #[test]
    fn every_way_to_write_every_repository_is_seen() {
        for pattern in [
            "*",
            "**",
            "?**",
            "https://**",
            "https://*",
            "https://*/**",
            "https://*/*",
            "https://*/*/*",
            "oci://**",
            "git@*:**",
            "ssh://**",
            "!https://git.example.com/**",
            "!*",
        ] {
            assert_eq!(boundless(&[pattern]), [0], "{pattern}");
        }
        let bounded = [
            "https://git.example.com/**",
            "https://*.example.com/**",
            "https://*/platform/gitops.git",
            "git@git.example.com:*",
            "",
        ];
        assert_eq!(boundless(&bounded), [] as [usize; 0]);
        assert_eq!(
            boundless(&[bounded[0], "!https://git.example.com/old/**"]),
            [1]
        );
        // Nothing is left of it.
        assert_eq!(boundless(&["*", "!**"]), [] as [usize; 0]);
    }

    #[test]
    fn a_destination_is_boundless_by_name_or_by_server() {
        for (server, name) in [
            ("*", ""),
            ("", "*"),
            ("https://*", ""),
            ("https://prod", "**"),
            ("!https://prod", ""),
            ("", "!prod"),
        ] {
            assert!(
                destination(server, name, "web").permits_any_cluster(),
                "{server} {name}"
            );
        }
        for (server, name) in [
            ("https://prod", "prod-*"),
            ("https://*.example.com", ""),
            ("", ""),
        ] {
            assert!(
                !destination(server, name, "*").permits_any_cluster(),
                "{server} {name}"
            );
        }
        for namespace in ["*", "**", "!kube-system"] {
            assert!(destination("", "prod", namespace).permits_any_namespace());
        }
        assert!(!destination("", "prod", "web-*").permits_any_namespace());
    }

    #[test]
    fn what_is_excluded_everywhere_is_not_reached() {
        let reaches = |items: &[ProjectDestination]| {
            let spec = AppProjectSpec {
                destinations: items.to_vec(),
                ..AppProjectSpec::default()
            };
            spec.reach().includes(&Cluster {
                name: "prod".to_owned(),
                server: "https://prod".to_owned(),
                ..Cluster::default()
            })
        };
        let everything = destination("*", "", "*");
        assert!(reaches(std::slice::from_ref(&everything)));
        assert!(!reaches(&[
            everything.clone(),
            destination("", "!prod", "other")
        ]));
        assert!(!reaches(&[
            everything.clone(),
            destination("!https://prod", "", "*")
        ]));
        assert!(reaches(&[
            everything,
            destination("!https://prod", "", "other")
        ]));
        assert!(reaches(&[destination("", "!staging", "web")]));
        assert!(!reaches(&[destination("", "staging", "*")]));
    }

    #[test]
    fn kinds_without_a_name_of_their_own_are_everything() {
        let permits = |group: &str, kind: &str, name: &str| {
            ClusterResourceRestrictionItem {
                group: group.to_owned(),
                kind: kind.to_owned(),
                name: name.to_owned(),
            }
            .permits_any_kind()
        };
        assert!(permits("*", "*", ""));
        assert!(permits("*", "*", "*"));
        assert!(permits("**", "?*", ""));
        assert!(!permits("*", "Namespace", ""));
        assert!(!permits("rbac.authorization.k8s.io", "*", ""));
        assert!(!permits("*", "*", "shop-*"));
    }

    #[test]
    fn patterns_without_measure_are_told_apart_from_long_lists() {
        let spec = |pattern: &str, count: usize| AppProjectSpec {
            destinations: vec![destination(pattern, "", "*"); count],
            ..AppProjectSpec::default()
        };
        assert!(!spec("https://cluster.example.com", 50_000).is_beyond_measure());
        assert!(!spec("https://cluster-*", 50_000).is_beyond_measure());
        assert!(spec("https://*.example.com", 1_000).is_beyond_measure());
    }
}
