//! `spec.destinations`: which clusters and namespaces.

use crate::cluster::Cluster;
use crate::pattern::{Glob, Separators};

use super::spec::{ProjectDestination, ProjectReading};

/// A glob that a leading `!` turns round.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Negatable {
    pub(super) excludes: bool,
    pub(super) glob: Glob,
}

impl Negatable {
    /// Compiles it.
    pub fn new(pattern: &str) -> Self {
        let (excludes, pattern) = match pattern.strip_prefix('!') {
            Some(excluded) => (true, excluded),
            None => (false, pattern),
        };
        Negatable {
            excludes,
            glob: Glob::new(pattern, Separators::None),
        }
    }

    /// Whether it matches, turned round where it excludes.
    pub fn matches(&self, text: &str) -> bool {
        self.turned(self.glob.matches(text))
    }

    /// What it says of a text that its glob matches, or not.
    pub(super) fn turned(&self, matches: bool) -> bool {
        matches != self.excludes
    }
}

/// An entry, compiled.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DestinationPattern {
    /// The cluster's server.
    pub server: Negatable,
    /// The cluster's name.
    pub name: Negatable,
    /// The namespace.
    pub namespace: Negatable,
}

/// Whether the three patterns of an entry match. A cluster without a name matches none for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Matches {
    pub(super) name: bool,
    pub(super) server: bool,
    pub(super) namespace: bool,
}

/// What an entry says of a cluster and a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    Permits,
    /// Whatever others permit.
    Excludes,
    Nothing,
}

impl DestinationPattern {
    pub(super) fn new(destination: &ProjectDestination) -> Self {
        DestinationPattern {
            server: Negatable::new(&destination.server),
            name: Negatable::new(&destination.name),
            namespace: Negatable::new(&destination.namespace),
        }
    }

    /// Whether it is about a cluster, as far as that decides.
    pub(super) fn matches_of(&self, cluster: &Cluster, namespace: bool) -> Matches {
        let is = |pattern: &Negatable, text: &str| !text.is_empty() && pattern.matches(text);
        Matches {
            name: is(&self.name, &cluster.name),
            server: is(&self.server, &cluster.server),
            namespace,
        }
    }

    /// What follows from what matches (Argo CD 3.5 and 3.6, `isDestinationMatched`).
    pub(super) fn effect(&self, matches: Matches, reading: ProjectReading) -> Effect {
        let Matches {
            name,
            server,
            namespace,
        } = matches;
        let by_name = !name && self.name.excludes;
        let by_server = !server && self.server.excludes;
        let excludes_cluster = match reading {
            // An exclusion by name holds in every namespace, unlike one by server.
            ProjectReading::UpTo35 => by_name || by_server && namespace,
            ProjectReading::Since36 => (by_name || by_server) && namespace,
        };
        if (server || name) && namespace {
            Effect::Permits
        } else if excludes_cluster || !namespace && self.namespace.excludes && server {
            Effect::Excludes
        } else {
            Effect::Nothing
        }
    }

    /// The same of a cluster and a namespace.
    pub(super) fn effect_on(
        &self,
        cluster: &Cluster,
        namespace: &str,
        reading: ProjectReading,
    ) -> Effect {
        let matches = self.matches_of(cluster, self.namespace.matches(namespace));
        self.effect(matches, reading)
    }
}

/// Whether what all entries say comes to permission: one permits, and none excludes.
pub(super) fn permit(effects: impl IntoIterator<Item = Effect>) -> bool {
    let mut permitted = false;
    for effect in effects {
        match effect {
            Effect::Permits => permitted = true,
            Effect::Excludes => return false,
            Effect::Nothing => {}
        }
    }
    permitted
}
