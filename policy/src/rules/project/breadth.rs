//! How wide a project is: which of its entries permit what nobody thought of.
//!
//! Whether a pattern permits anything whatever is asked of its language, not of its spelling, by
//! repositories, clusters and kinds that nobody has heard of (`probes`): it does if it matches a
//! good part of those of one shape. That sees through every way to write "everything": `*`, `**`,
//! `https://**`, `[!u]*`, `{a*,*}`, and many entries that permit a part each.
//!
//! What is excluded makes no difference to that as long as anything of it is left: what excludes is
//! a list of what somebody did think of.

mod probes;

use argocd::Cluster;
use argocd::project::{
    ClusterPattern, DestinationPattern, Negatable, Permissions, ProjectDestination, ResourceScope,
    SourcePattern,
};

use self::probes::PROBES;

/// What matches one in so many of a shape permits anything.
const ONE_IN: usize = 8;

/// What of a list permits anything whatever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Breadth {
    /// Nothing.
    Bounded,
    /// These entries, by their places. There may be more than were asked for.
    Entries(Vec<usize>),
    /// No entry by itself, but all of them together.
    Together,
}

/// What of `sourceRepos` permits any repository whatever; at most so many entries. An exclusion
/// permits what it does not exclude.
pub(crate) fn of_sources(permissions: &Permissions, most: usize) -> Breadth {
    let all = || PROBES.repositories.iter().flatten();
    let is_left = |url: &String| permissions.permits_normalized_source(url);
    if !all().chain(&PROBES.sparse_repositories).any(is_left) {
        return Breadth::Bounded;
    }
    let matches = |pattern: &SourcePattern, url: &String| match pattern {
        SourcePattern::Include(glob) => glob.matches(url),
        pattern => pattern.permits_the_rest(),
    };
    breadth(permissions.sources(), &PROBES.repositories, matches, most)
}

/// What of `destinations` permits any cluster whatever, in some namespace; at most so many entries.
pub(crate) fn of_destinations(permissions: &Permissions, most: usize) -> Breadth {
    let items = permissions.destinations();
    let by_name = |one: &DestinationPattern, name: &String| one.name.matches(name);
    let by_server = |one: &DestinationPattern, server: &String| one.server.matches(server);
    let of_names = breadth(items, &PROBES.names, by_name, most);
    let of_servers = breadth(items, &PROBES.servers, by_server, most);
    let breadth = of_names.and(of_servers, most);
    if breadth == Breadth::Bounded || leaves_no_cluster(permissions) {
        return Breadth::Bounded;
    }
    breadth
}

/// Whether nothing is left of clusters that nobody has heard of.
fn leaves_no_cluster(permissions: &Permissions) -> bool {
    let reach = permissions.reach();
    let names = PROBES.names.iter().flatten();
    let servers = PROBES.servers.iter().flatten();
    let pairs = names.zip(servers);
    let sparse = PROBES.sparse_clusters.iter();
    let mut all = pairs.chain(sparse.map(|[name, server]| (name, server)));
    !all.any(|(name, server)| {
        reach.includes(&Cluster {
            name: name.clone(),
            server: server.clone(),
            ..Cluster::default()
        })
    })
}

/// What of `clusterResourceWhitelist` permits any kind whatever, under any name; at most so many
/// entries.
pub(crate) fn of_cluster_resources(permissions: &Permissions, most: usize) -> Breadth {
    let is_left = |[group, kind, name]: &[String; 3]| {
        permissions.permits_resource(group, kind, ResourceScope::Cluster { name })
    };
    if !PROBES.resources.iter().flatten().any(is_left) {
        return Breadth::Bounded;
    }
    let matches =
        |one: &ClusterPattern, [group, kind, name]: &[String; 3]| one.matches(group, kind, name);
    let whitelist = permissions.cluster_resource_whitelist();
    breadth(whitelist, &PROBES.resources, matches, most)
}

impl Breadth {
    fn and(self, other: Self, most: usize) -> Self {
        match (self, other) {
            (Breadth::Entries(some), Breadth::Entries(others)) => {
                let mut all: Vec<usize> = some.into_iter().chain(others).collect();
                all.sort_unstable();
                all.dedup();
                all.truncate(most);
                Breadth::Entries(all)
            }
            (Breadth::Entries(some), _) | (_, Breadth::Entries(some)) => Breadth::Entries(some),
            (Breadth::Together, _) | (_, Breadth::Together) => Breadth::Together,
            (Breadth::Bounded, Breadth::Bounded) => Breadth::Bounded,
        }
    }
}

/// Which entries match a good part of the texts of some shape.
fn breadth<E, T>(
    entries: &[E],
    shapes: &[Vec<T>],
    matches: impl Fn(&E, &T) -> bool,
    most: usize,
) -> Breadth {
    let is_much = |count: usize, shape: &[T]| count * ONE_IN >= shape.len();
    let together = shapes.iter().any(|shape| {
        let is_matched = |text: &&T| entries.iter().any(|entry| matches(entry, text));
        is_much(shape.iter().filter(is_matched).count(), shape)
    });
    if !together {
        return Breadth::Bounded;
    }
    let is_wide = |(_, entry): &(usize, &E)| {
        shapes.iter().any(|shape| {
            let count = shape.iter().filter(|text| matches(entry, text)).count();
            is_much(count, shape)
        })
    };
    let wide = entries.iter().enumerate().filter(is_wide);
    let wide: Vec<usize> = wide.map(|(index, _)| index).take(most).collect();
    if wide.is_empty() {
        Breadth::Together
    } else {
        Breadth::Entries(wide)
    }
}

/// Whether an entry of `destinations` permits any namespace whatever.
pub(crate) fn is_of_any_namespace(destination: &ProjectDestination) -> bool {
    let pattern = Negatable::new(&destination.namespace);
    PROBES.namespaces.iter().any(|shape| {
        let matched = shape.iter().filter(|text| pattern.matches(text)).count();
        matched * ONE_IN >= shape.len()
    })
}

#[cfg(test)]
mod tests {
    use argocd::project::{AppProjectSpec, ClusterResourceRestrictionItem};

    use super::*;

    const MOST: usize = 8;

    fn sources(patterns: &[&str]) -> Breadth {
        let spec = AppProjectSpec {
            source_repos: patterns.iter().map(|&pattern| pattern.to_owned()).collect(),
            ..AppProjectSpec::default()
        };
        of_sources(&Permissions::new(&spec), MOST)
    }

    fn destination(server: &str, name: &str, namespace: &str) -> ProjectDestination {
        ProjectDestination {
            server: server.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    fn clusters(destinations: &[ProjectDestination]) -> Breadth {
        let spec = AppProjectSpec {
            destinations: destinations.to_vec(),
            ..AppProjectSpec::default()
        };
        of_destinations(&Permissions::new(&spec), MOST)
    }

    fn first() -> Breadth {
        Breadth::Entries(vec![0])
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
            "*/*",
            "*/*/*",
            "?*/**",
            "[!u]**",
            "https://*.com/**",
            "https://*:443/**",
            "h**",
            "**e**",
        ] {
            assert_eq!(sources(&[pattern]), first(), "{pattern}");
        }
        let bounded = [
            "https://git.example.com/**",
            "https://*.example.com/**",
            "https://*/platform/gitops.git",
            "git@git.example.com:*",
            "https://g*/**",
            "https://*git*/**",
            "https://git.example.com/shop-[!a]*",
            "{https://git.example.com/*}",
            "*@git.example.com:**",
            "!**",
            "[",
            "",
        ];
        for pattern in bounded {
            assert_eq!(sources(&[pattern]), Breadth::Bounded, "{pattern}");
        }
        assert_eq!(sources(&bounded[..8]), Breadth::Bounded);
        assert_eq!(
            sources(&[bounded[0], "!https://git.example.com/old/**"]),
            Breadth::Entries(vec![1])
        );
    }

    #[test]
    fn what_is_excluded_leaves_it_as_wide_until_nothing_is_left() {
        let letters = |letters: &str| -> Vec<String> {
            letters
                .chars()
                .map(|letter| format!("!**{letter}**"))
                .collect()
        };
        for exclusions in [
            vec!["!**unheard-of.invalid**".to_owned()],
            letters("aeiou"),
            letters("abcdefghijklm"),
            vec!["!https://**".to_owned()],
            vec!["!*".to_owned()],
        ] {
            let patterns: Vec<&str> = std::iter::once("*")
                .chain(exclusions.iter().map(String::as_str))
                .collect();
            let found = sources(&patterns);
            assert!(
                matches!(&found, Breadth::Entries(entries) if entries.contains(&0)),
                "{patterns:?}"
            );
        }
        assert_eq!(sources(&["*", "!**"]), Breadth::Bounded);
        assert_eq!(sources(&["https://**", "!**"]), Breadth::Bounded);
    }

    #[test]
    fn many_that_permit_a_part_each_permit_everything_together() {
        let letters = || ('a'..='z').chain('0'..='9');
        let each: Vec<String> = letters().map(|one| format!("https://{one}**")).collect();
        let patterns: Vec<&str> = each.iter().map(String::as_str).collect();
        assert_eq!(sources(&patterns), Breadth::Together);
        let each: Vec<ProjectDestination> = letters()
            .map(|one| destination("", &format!("{one}*"), "web"))
            .collect();
        assert_eq!(clusters(&each), Breadth::Together);
        assert_eq!(clusters(&each[..3]), Breadth::Bounded);
        let one = each.iter().map(|item| item.name.as_str());
        let alternatives = format!("{{{}}}", one.collect::<Vec<_>>().join(","));
        assert_eq!(clusters(&[destination("", &alternatives, "web")]), first());
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
            ("", "[!u]*"),
            ("", "?*"),
            ("", "{a*,*}"),
            ("", "{a,{b,{c*,[!c]*}}}"),
            ("", "*-*"),
            ("", "*[0-9]"),
            ("", "*/*"),
            ("", "[a-z]*"),
            ("", "[0-9]*"),
            ("*/*", ""),
            ("*.*", ""),
            ("https://*:6443", ""),
            ("https://*.com", ""),
            ("https://[!1]*", ""),
            ("https://[0-9]*", ""),
            ("h*", ""),
        ] {
            let item = destination(server, name, "web");
            assert_eq!(clusters(&[item]), first(), "{server} {name}");
        }
        for (server, name) in [
            ("https://prod", "prod-*"),
            ("https://*.example.com", ""),
            ("https://10.0.*", ""),
            ("", "*-prod"),
            ("", "*prod*"),
            ("", "p*"),
            ("", "[ps]*"),
            ("", "eu-[0-9]"),
            ("", "["),
            ("", ""),
        ] {
            let item = destination(server, name, "*");
            assert_eq!(clusters(&[item]), Breadth::Bounded, "{server} {name}");
        }
        for namespace in [
            "*",
            "**",
            "!kube-system",
            "[!u]*",
            "?*",
            "{a*,*}",
            "!*-unheard-of*",
        ] {
            let item = destination("", "prod", namespace);
            assert!(is_of_any_namespace(&item), "{namespace}");
        }
        for namespace in ["web-*", "*-web", "[w]*", ""] {
            let item = destination("", "prod", namespace);
            assert!(!is_of_any_namespace(&item), "{namespace}");
        }
    }

    #[test]
    fn exclusions_leave_any_cluster_as_it_is_until_none_is_left() {
        let everything = || destination("*", "", "*");
        for exclusion in [
            destination("", "!prod", "*"),
            destination("", "!unheard-of*", "*"),
            destination("!https://*.invalid", "", "*"),
            destination("!https://prod", "", "web"),
            destination("*", "", "!*-*"),
        ] {
            let Breadth::Entries(entries) = clusters(&[everything(), exclusion.clone()]) else {
                panic!("{exclusion:?}");
            };
            assert!(entries.contains(&0));
        }
        for exclusion in [
            destination("", "!*", "*"),
            destination("*", "", "!*"),
            destination("!*", "", "?*"),
        ] {
            let mut items = vec![everything(), exclusion.clone()];
            if exclusion.namespace == "?*" {
                items[0].namespace = "?*".to_owned();
            }
            assert_eq!(clusters(&items), Breadth::Bounded, "{exclusion:?}");
        }
    }

    #[test]
    fn kinds_without_a_name_of_their_own_are_everything() {
        let permits = |group: &str, kind: &str, name: &str| {
            let item = ClusterResourceRestrictionItem {
                group: group.to_owned(),
                kind: kind.to_owned(),
                name: name.to_owned(),
            };
            let spec = AppProjectSpec {
                cluster_resource_whitelist: vec![item],
                ..AppProjectSpec::default()
            };
            of_cluster_resources(&Permissions::new(&spec), MOST) == first()
        };
        for (group, kind) in [
            ("*", "*"),
            ("**", "?*"),
            ("*", "[^a]*"),
            ("[^u]*", "*"),
            ("*", "[A-Z]*"),
            ("*.*", "*[a-z]"),
            ("?*", "*"),
        ] {
            assert!(permits(group, kind, ""), "{group} {kind}");
        }
        assert!(permits("*", "*", "*"));
        assert!(permits("*", "*", "[^u]*"));
        for (group, kind) in [
            ("*", "Namespace"),
            ("*", "Cluster*"),
            ("rbac.authorization.k8s.io", "*"),
            ("*.k8s.io", "*"),
            ("", "*"),
            // As Go has it, these are letters, or nothing.
            ("*", "{A*,*}"),
            ("*", "[!a]*"),
            ("*", "*/*"),
            ("*", "!Namespace"),
        ] {
            assert!(!permits(group, kind, ""), "{group} {kind}");
        }
        assert!(!permits("*", "*", "shop-*"));
    }

    #[test]
    fn a_blacklist_leaves_any_kind_as_it_is_until_none_is_left() {
        let breadth = |denied: (&str, &str)| {
            let item = |(group, kind): (&str, &str)| ClusterResourceRestrictionItem {
                group: group.to_owned(),
                kind: kind.to_owned(),
                name: String::new(),
            };
            let spec = AppProjectSpec {
                cluster_resource_whitelist: vec![item(("*", "*"))],
                cluster_resource_blacklist: vec![item(denied)],
                ..AppProjectSpec::default()
            };
            of_cluster_resources(&Permissions::new(&spec), MOST)
        };
        assert_eq!(breadth(("*", "Unheard*")), first());
        assert_eq!(breadth(("rbac.*", "*")), first());
        assert_eq!(breadth(("*", "*")), Breadth::Bounded);
    }
}
