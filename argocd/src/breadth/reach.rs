//! Which clusters a project lets its Applications go to.

use std::collections::{HashMap, HashSet};

use crate::cluster::Cluster;
use crate::overlap::{Overlap, Pattern, Texts, overlaps};
use crate::project::{DestinationPattern, Effect, Matches, Permissions, ProjectReading, permit};

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
