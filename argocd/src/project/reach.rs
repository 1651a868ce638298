//! Which clusters a project lets its Applications go to.

use std::collections::{HashMap, HashSet};

use super::destinations::{DestinationPattern, Effect, Matches, permit};
use super::permissions::Permissions;
use super::spec::ProjectReading;
use crate::cluster::Cluster;
use crate::pattern::overlap::{Overlap, Pattern, Texts, overlaps};

/// How many steps the namespaces of a project may take to be told apart.
const WORK: usize = 500_000;

/// How many entries may be asked about all namespaces that are told apart, for each cluster.
const ASKED: usize = 100_000;

/// The clusters that a project lets its Applications go to, in some namespace.
pub struct Reach<'p> {
    items: &'p [DestinationPattern],
    reading: ProjectReading,
    /// The place of each entry's namespace among those that are told apart.
    places: Vec<usize>,
    /// Of all namespaces which patterns match them. `None` if that took too much work.
    namespaces: Option<HashSet<Overlap>>,
}

impl Permissions {
    /// Which clusters can be deployed to, in some namespace.
    pub fn reach(&self) -> Reach<'_> {
        let mut distinct = Vec::new();
        let mut known = HashMap::new();
        let places = self
            .destinations
            .iter()
            .map(|item| {
                *known.entry(&item.namespace.glob).or_insert_with(|| {
                    distinct.push(Pattern::from(&item.namespace.glob));
                    distinct.len() - 1
                })
            })
            .collect();
        Reach {
            items: &self.destinations,
            reading: self.reading,
            places,
            namespaces: overlaps(&distinct, Texts::Namespaces, &mut { WORK }),
        }
    }
}

impl Reach<'_> {
    /// Whether a cluster is among them. Where that takes too much work it is.
    pub fn includes(&self, cluster: &Cluster) -> bool {
        let mut told = Vec::new();
        for (item, &place) in self.items.iter().zip(&self.places) {
            let [there, elsewhere] = [true, false].map(|namespace| {
                let matches: Matches = item.matches_of(cluster, namespace);
                item.effect(matches, self.reading)
            });
            match (there, elsewhere) {
                (Effect::Excludes, Effect::Excludes) => return false,
                (Effect::Nothing, Effect::Nothing) => {}
                _ => told.push((place, item, there, elsewhere)),
            }
        }
        let may_permit =
            |(_, _, there, elsewhere): &(usize, &DestinationPattern, Effect, Effect)| {
                [there, elsewhere].contains(&&Effect::Permits)
            };
        if !told.iter().any(may_permit) {
            return false;
        }
        let Some(namespaces) = &self.namespaces else {
            return true;
        };
        if namespaces.len().saturating_mul(told.len()) > ASKED {
            return true;
        }
        namespaces.iter().any(|namespace| {
            permit(told.iter().map(|&(place, item, there, elsewhere)| {
                if item.namespace.turned(namespace[place]) {
                    there
                } else {
                    elsewhere
                }
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{AppProjectSpec, ProjectDestination};

    fn destination(server: &str, name: &str, namespace: &str) -> ProjectDestination {
        ProjectDestination {
            server: server.to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    fn permissions(destinations: &[ProjectDestination], reading: ProjectReading) -> Permissions {
        let spec = AppProjectSpec {
            destinations: destinations.to_vec(),
            ..AppProjectSpec::default()
        };
        Permissions::read(&spec, reading)
    }

    fn reaches(items: &[ProjectDestination], reading: ProjectReading) -> bool {
        permissions(items, reading).reach().includes(&Cluster {
            name: "prod".to_owned(),
            server: "https://prod".to_owned(),
            ..Cluster::default()
        })
    }

    #[test]
    fn what_is_excluded_everywhere_is_not_reached() {
        let reaches = |items: &[ProjectDestination]| reaches(items, ProjectReading::UpTo35);
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

    /// An exclusion of a single namespace, of which it was believed that it shuts out the cluster.
    #[test]
    fn a_cluster_is_reached_by_the_namespaces_that_are_left() {
        let reaches = |items: &[ProjectDestination]| reaches(items, ProjectReading::UpTo35);
        let excluded = |namespace: &str| destination("!https://prod", "", namespace);
        let everything = || destination("*", "", "*");
        assert!(reaches(&[everything(), excluded("unheard-of")]));
        assert!(reaches(&[everything(), excluded("[!u]*"), excluded("un*")]));
        assert!(!reaches(&[
            everything(),
            excluded("[!u]*"),
            excluded("u*"),
            excluded("")
        ]));
        assert!(!reaches(&[destination("*", "", "shop"), excluded("sh*")]));
        assert!(reaches(&[
            destination("*", "", "shop-*"),
            excluded("shop-[a-z]*")
        ]));
        assert!(!reaches(&[
            destination("*", "", "shop-*"),
            excluded("shop-"),
            excluded("shop-?*"),
        ]));
        assert!(!reaches(&[
            everything(),
            destination("https://prod", "", "!**")
        ]));
        assert!(!reaches(&[destination("*", "", "[")]));
    }

    #[test]
    fn since_argo_cd_3_6_a_name_is_excluded_in_its_namespaces_only() {
        let items = [destination("*", "", "*"), destination("", "!prod", "other")];
        assert!(!reaches(&items, ProjectReading::UpTo35));
        assert!(reaches(&items, ProjectReading::Since36));
        let everywhere = [destination("*", "", "*"), destination("", "!prod", "*")];
        assert!(!reaches(&everywhere, ProjectReading::Since36));
    }
}
