//! Whether one project permits nothing that another does not.
//!
//! What is permitted is compared, not how it is written: `shop-*` is within `*`, and `https://**`
//! within `**`. Where that takes too much work, it is not within.

use std::collections::HashSet;
use std::hash::Hash;

use golang::path::PathGlob;

use super::destinations::{DestinationPattern, Effect, Matches, permit};
use super::permissions::Permissions;
use super::resources::ClusterPattern;
use super::sources::SourcePattern;
use crate::pattern::Glob;
use crate::pattern::overlap::{Overlap, Pattern, Texts, overlaps};

/// How many steps of patterns a comparison may take.
const WORK: usize = 2_000_000;

impl Permissions {
    /// Whether each repository that it permits is permitted by another as well.
    pub fn sources_are_within(&self, other: &Permissions) -> bool {
        Sources::of(self, other).is_within()
    }

    /// Whether each cluster and namespace that it permits is permitted by another as well.
    pub fn destinations_are_within(&self, other: &Permissions) -> bool {
        self.is_scoped_as(other) && Destinations::of(self, other).are_within(Part::Namespaces)
    }

    /// Whether each cluster that it permits, in some namespace, is permitted by another as well.
    pub fn clusters_are_within(&self, other: &Permissions) -> bool {
        self.is_scoped_as(other) && Destinations::of(self, other).are_within(Part::Clusters)
    }

    /// Whether each cluster-scoped resource that it permits is permitted by another as well.
    pub fn cluster_resources_are_within(&self, other: &Permissions) -> bool {
        Resources::of(self, other).are_within()
    }

    fn is_scoped_as(&self, other: &Permissions) -> bool {
        self.permit_only_project_scoped_clusters || !other.permit_only_project_scoped_clusters
    }
}

fn are_all_among<'p, T: Eq + Hash + 'p>(
    some: impl IntoIterator<Item = &'p T>,
    others: impl IntoIterator<Item = &'p T>,
) -> bool {
    let others: HashSet<&T> = others.into_iter().collect();
    some.into_iter().all(|one| others.contains(one))
}

/// Each pattern once.
struct Distinct<'p, T>(Vec<&'p T>);

impl<'p, T: Eq + Hash> Distinct<'p, T>
where
    Pattern: From<&'p T>,
{
    fn of(patterns: impl IntoIterator<Item = &'p T>) -> Self {
        let mut seen = HashSet::new();
        let patterns = patterns.into_iter();
        Distinct(patterns.filter(|&pattern| seen.insert(pattern)).collect())
    }

    fn overlaps(&self, texts: Texts, work: &mut usize) -> Option<HashSet<Overlap>> {
        let patterns: Vec<Pattern> = self.0.iter().map(|&one| Pattern::from(one)).collect();
        overlaps(&patterns, texts, work)
    }

    /// The place of a pattern in an overlap.
    fn place(&self, pattern: &T) -> Option<usize> {
        self.0.iter().position(|one| *one == pattern)
    }
}

struct Sources<'p> {
    own: &'p [SourcePattern],
    others: &'p [SourcePattern],
}

impl<'p> Sources<'p> {
    fn of(own: &'p Permissions, other: &'p Permissions) -> Self {
        Sources {
            own: &own.sources,
            others: &other.sources,
        }
    }

    fn is_within(&self) -> bool {
        self.is_within_as_written() || self.is_within_by_effect().unwrap_or(false)
    }

    fn is_within_as_written(&self) -> bool {
        let excludes = |one: &&SourcePattern| one.excludes();
        let excludes_as_much = are_all_among(
            self.others.iter().filter(excludes),
            self.own.iter().filter(excludes),
        );
        let permits_the_rest =
            |list: &[SourcePattern]| list.iter().any(SourcePattern::permits_the_rest);
        excludes_as_much
            && (permits_the_rest(self.others)
                || !permits_the_rest(self.own) && are_all_among(self.own, self.others))
    }

    fn is_within_by_effect(&self) -> Option<bool> {
        let globs = self.own.iter().chain(self.others).filter_map(glob_of);
        let distinct = Distinct::of(globs);
        let places = |list: &[SourcePattern]| -> Vec<Option<usize>> {
            let place = |one| glob_of(one).and_then(|glob| distinct.place(glob));
            list.iter().map(place).collect()
        };
        let mut work = WORK.checked_sub(distinct.0.len() * (self.own.len() + self.others.len()))?;
        let (own, others) = (places(self.own), places(self.others));
        let permits = |list: &[SourcePattern], places: &[Option<usize>], overlap: &Overlap| {
            let mut permitted = false;
            for (pattern, place) in list.iter().zip(places) {
                let matches = place.is_some_and(|place| overlap[place]);
                match pattern {
                    SourcePattern::Exclude(_) if matches => return false,
                    SourcePattern::Everything | SourcePattern::Exclude(_) => permitted = true,
                    SourcePattern::Include(_) => permitted |= matches,
                }
            }
            permitted
        };
        let found = distinct.overlaps(Texts::All, &mut work)?;
        work.checked_sub(found.len().checked_mul(own.len() + others.len())?)?;
        Some(found.iter().all(|overlap| {
            !permits(self.own, &own, overlap) || permits(self.others, &others, overlap)
        }))
    }
}

fn glob_of(pattern: &SourcePattern) -> Option<&Glob> {
    match pattern {
        SourcePattern::Everything => None,
        SourcePattern::Include(glob) | SourcePattern::Exclude(glob) => Some(glob),
    }
}

/// What of destinations is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    /// Each namespace of each cluster.
    Namespaces,
    /// Clusters that can be deployed to at all.
    Clusters,
}

struct Destinations<'p> {
    own: &'p Permissions,
    others: &'p Permissions,
}

/// The places of the patterns of an entry.
struct Placed<'p> {
    pattern: &'p DestinationPattern,
    name: usize,
    server: usize,
    namespace: usize,
}

impl Placed<'_> {
    fn matches(&self, name: Option<&Overlap>, server: &Overlap, namespace: &Overlap) -> Matches {
        let pattern = self.pattern;
        Matches {
            name: name.is_some_and(|name| pattern.name.turned(name[self.name])),
            server: pattern.server.turned(server[self.server]),
            namespace: pattern.namespace.turned(namespace[self.namespace]),
        }
    }
}

impl<'p> Destinations<'p> {
    fn of(own: &'p Permissions, others: &'p Permissions) -> Self {
        Destinations { own, others }
    }

    fn are_within(&self, part: Part) -> bool {
        self.are_within_as_written() || self.are_within_by_effect(part).unwrap_or(false)
    }

    fn are_within_as_written(&self) -> bool {
        let excludes = |one: &&DestinationPattern| {
            one.name.excludes || one.server.excludes || one.namespace.excludes
        };
        let (own, others) = (&self.own.destinations, &self.others.destinations);
        self.own.reading == self.others.reading
            && are_all_among(own, others)
            && are_all_among(others.iter().filter(excludes), own)
    }

    fn are_within_by_effect(&self, part: Part) -> Option<bool> {
        let all = || {
            self.own
                .destinations
                .iter()
                .chain(&self.others.destinations)
        };
        let names = Distinct::of(all().map(|one| &one.name.glob));
        let servers = Distinct::of(all().map(|one| &one.server.glob));
        let namespaces = Distinct::of(all().map(|one| &one.namespace.glob));
        let distinct = names.0.len() + servers.0.len() + namespaces.0.len();
        let mut work = WORK.checked_sub(all().count().checked_mul(distinct)?)?;
        let placed = |list: &'p [DestinationPattern]| -> Option<Vec<Placed<'p>>> {
            let placed = |pattern: &'p DestinationPattern| {
                Some(Placed {
                    pattern,
                    name: names.place(&pattern.name.glob)?,
                    server: servers.place(&pattern.server.glob)?,
                    namespace: namespaces.place(&pattern.namespace.glob)?,
                })
            };
            list.iter().map(placed).collect()
        };
        let own = placed(&self.own.destinations)?;
        let others = placed(&self.others.destinations)?;
        let names = names.overlaps(Texts::Clusters, &mut work)?;
        let servers = servers.overlaps(Texts::Clusters, &mut work)?;
        let namespaces = namespaces.overlaps(Texts::Namespaces, &mut work)?;
        let permits = |permissions: &Permissions,
                       list: &[Placed<'_>],
                       name: Option<&Overlap>,
                       server: &Overlap,
                       namespace: &Overlap| {
            permit(list.iter().map(|one| -> Effect {
                let matches = one.matches(name, server, namespace);
                one.pattern.effect(matches, permissions.reading)
            }))
        };
        // A cluster may have no name.
        let names: Vec<Option<&Overlap>> = names.iter().map(Some).chain([None]).collect();
        for &name in &names {
            for server in &servers {
                let cost = namespaces.len().checked_mul(own.len() + others.len())?;
                work = work.checked_sub(cost)?;
                let of_own = |one: &&Overlap| permits(self.own, &own, name, server, one);
                let of_others = |one: &&Overlap| permits(self.others, &others, name, server, one);
                let is_within = match part {
                    Part::Namespaces => namespaces.iter().filter(of_own).all(|one| of_others(&one)),
                    Part::Clusters => {
                        !namespaces.iter().any(|one| of_own(&one))
                            || namespaces.iter().any(|one| of_others(&one))
                    }
                };
                if !is_within {
                    return Some(false);
                }
            }
        }
        Some(true)
    }
}

/// The places of the group, the kind and the name of an entry.
type Places = (usize, usize, Option<usize>);

struct Resources<'p> {
    own: Lists<'p>,
    others: Lists<'p>,
}

#[derive(Clone, Copy)]
struct Lists<'p> {
    white: &'p [ClusterPattern],
    black: &'p [ClusterPattern],
}

impl<'p> Lists<'p> {
    fn of(permissions: &'p Permissions) -> Self {
        Lists {
            white: &permissions.resources.cluster_whitelist,
            black: &permissions.resources.cluster_blacklist,
        }
    }

    fn all(self) -> impl Iterator<Item = &'p ClusterPattern> {
        self.white.iter().chain(self.black)
    }
}

impl<'p> Resources<'p> {
    fn of(own: &'p Permissions, other: &'p Permissions) -> Self {
        Resources {
            own: Lists::of(own),
            others: Lists::of(other),
        }
    }

    fn are_within(&self) -> bool {
        self.are_within_as_written() || self.are_within_by_effect().unwrap_or(false)
    }

    fn are_within_as_written(&self) -> bool {
        are_all_among(self.own.white, self.others.white)
            && are_all_among(self.others.black, self.own.black)
    }

    fn are_within_by_effect(&self) -> Option<bool> {
        let all = || self.own.all().chain(self.others.all());
        let groups = Distinct::of(all().map(|one| &one.kind.group));
        let kinds = Distinct::of(all().map(|one| &one.kind.kind));
        let names = Distinct::of(all().filter_map(|one| one.name.as_ref()));
        let distinct = groups.0.len() + kinds.0.len() + names.0.len();
        let count = all().count();
        let mut work = WORK.checked_sub(count.checked_mul(distinct)?)?;
        let places = |list: &[ClusterPattern]| -> Option<Vec<Places>> {
            let place = |one: &ClusterPattern| {
                let name: Option<&PathGlob> = one.name.as_ref();
                Some((
                    groups.place(&one.kind.group)?,
                    kinds.place(&one.kind.kind)?,
                    name.and_then(|name| names.place(name)),
                ))
            };
            list.iter().map(place).collect()
        };
        let own = (places(self.own.white)?, places(self.own.black)?);
        let others = (places(self.others.white)?, places(self.others.black)?);
        let groups = groups.overlaps(Texts::Resources, &mut work)?;
        let kinds = kinds.overlaps(Texts::Resources, &mut work)?;
        let names = names.overlaps(Texts::Resources, &mut work)?;
        for group in &groups {
            for kind in &kinds {
                work = work.checked_sub(names.len().checked_mul(count)?)?;
                for name in &names {
                    let is = |&(of_group, of_kind, of_name): &Places| {
                        group[of_group] && kind[of_kind] && of_name.is_none_or(|place| name[place])
                    };
                    let permits = |(white, black): &(Vec<Places>, Vec<Places>)| {
                        white.iter().any(is) && !black.iter().any(is)
                    };
                    if permits(&own) && !permits(&others) {
                        return Some(false);
                    }
                }
            }
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::project::ProjectReading;

    fn permissions(spec: &Value) -> Permissions {
        Permissions::new(&serde_json::from_value(spec.clone()).unwrap())
    }

    fn sources(own: &[&str], others: &[&str]) -> bool {
        let of = |list: &[&str]| permissions(&json!({"sourceRepos": list}));
        of(own).sources_are_within(&of(others))
    }

    #[test]
    fn repositories_are_within_by_what_is_permitted() {
        for (narrow, wide) in [
            (&["https://**"][..], &["*"][..]),
            (&["https://h/**"], &["https://**"]),
            (&["https://h/a/*"], &["https://h/**"]),
            (&["*"], &["**"]),
            (&["https://h/a", "https://h/b"], &["https://h/*"]),
            (&["*", "!https://h/**"], &["*"]),
            (&["!https://h/**"], &["!https://h/a/*"]),
            (&["{https://a/*,https://b/*}"], &["*"]),
        ] {
            assert!(sources(narrow, wide), "{narrow:?} {wide:?}");
        }
        for (wide, narrow) in [
            (&["*"][..], &["https://**"][..]),
            (&["https://**"], &["https://*"]),
            (&["*"], &["*", "!https://h/**"]),
            // An exclusion beside nothing but entries permits everything else.
            (&["https://h/a", "!https://h/b"], &["https://h/a"]),
            (&["!https://h/a/*"], &["!https://h/**"]),
            (&["https://h/*"], &["https://h/a", "https://h/b"]),
        ] {
            assert!(!sources(wide, narrow), "{wide:?} {narrow:?}");
        }
    }

    fn destinations(items: &Value) -> Permissions {
        permissions(&json!({"destinations": items}))
    }

    #[test]
    fn destinations_are_within_by_what_is_permitted() {
        let everywhere = json!([{"server": "*", "namespace": "*"}]);
        let within = |own: &Value, others: &Value| {
            destinations(own).destinations_are_within(&destinations(others))
        };
        for narrow in [
            json!([{"server": "*", "namespace": "shop-*"}]),
            json!([{"server": "https://**", "namespace": "*"}]),
            json!([{"name": "*", "namespace": "*"}]),
            json!([{"name": "!prod", "namespace": "*"}, {"server": "*", "namespace": "*"}]),
            json!([{"server": "*", "namespace": "!kube-system"}]),
        ] {
            assert!(within(&narrow, &everywhere), "{narrow}");
            assert!(!within(&everywhere, &narrow), "{narrow}");
        }
        let moved = json!([{"server": "*", "namespace": "cart-*"}]);
        let shop = json!([{"server": "*", "namespace": "shop-*"}]);
        assert!(!within(&moved, &shop));
        assert!(destinations(&moved).clusters_are_within(&destinations(&shop)));
        let one = json!([{"name": "eu-1", "namespace": "*"}]);
        assert!(!destinations(&shop).clusters_are_within(&destinations(&one)));
    }

    #[test]
    fn a_reading_may_make_a_project_wider() {
        let spec = serde_json::from_value(json!({"destinations": [
            {"server": "*", "namespace": "*"}, {"name": "!prod"},
        ]}))
        .unwrap();
        let [old, new] = [ProjectReading::UpTo35, ProjectReading::Since36]
            .map(|reading| Permissions::read(&spec, reading));
        assert!(old.destinations_are_within(&new));
        assert!(!new.destinations_are_within(&old));
    }

    #[test]
    fn only_clusters_of_the_project_are_fewer() {
        let item = json!([{"server": "*", "namespace": "*"}]);
        let all = destinations(&item);
        let scoped =
            permissions(&json!({"destinations": item, "permitOnlyProjectScopedClusters": true}));
        assert!(scoped.destinations_are_within(&all));
        assert!(!all.destinations_are_within(&scoped));
        assert!(!all.clusters_are_within(&scoped));
    }

    #[test]
    fn resources_are_within_by_what_is_permitted() {
        let of = |white: Value, black: Value| {
            permissions(
                &json!({"clusterResourceWhitelist": white, "clusterResourceBlacklist": black}),
            )
        };
        let everything = || of(json!([{"group": "*", "kind": "*"}]), json!([]));
        for narrow in [
            of(json!([{"group": "*", "kind": "[A-Z]*"}]), json!([])),
            of(
                json!([{"group": "*", "kind": "*", "name": "shop-*"}]),
                json!([]),
            ),
            of(
                json!([{"group": "*", "kind": "*"}]),
                json!([{"group": "rbac.*", "kind": "*"}]),
            ),
        ] {
            assert!(narrow.cluster_resources_are_within(&everything()));
            assert!(!everything().cluster_resources_are_within(&narrow));
        }
        let rbac = |kind: &str| json!([{"group": "rbac.*", "kind": kind}]);
        let all = || json!([{"group": "*", "kind": "*"}]);
        assert!(of(all(), rbac("*")).cluster_resources_are_within(&of(all(), rbac("Cluster*"))));
        assert!(!of(all(), rbac("Cluster*")).cluster_resources_are_within(&of(all(), rbac("*"))));
    }
}
