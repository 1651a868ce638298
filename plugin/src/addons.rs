//! What Helm has installed on the clusters of a fleet, and who manages it.

pub(crate) mod author;
pub(crate) mod automation;
pub(crate) mod checkout;
pub(crate) mod evidence;
pub(crate) mod gate;
pub(crate) mod live;
pub(crate) mod owners;
pub(crate) mod read;
pub(crate) mod remedy;
pub(crate) mod said;
pub(crate) mod snapshot;
mod state;
pub(crate) mod status;
pub(crate) mod terraform_gate;

use crate::releases::{ChartMetadata, Stored};

pub(crate) use self::owners::Owners;

/// A release on a cluster.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The name of the cluster in Argo CD.
    pub(crate) cluster: String,
    pub(crate) stored: Stored,
    /// What the newest revision says; None where it cannot be read.
    pub(crate) content: Option<Content>,
    pub(crate) owners: Owners,
}

/// What is told of a revision.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) chart: ChartMetadata,
    /// When it was deployed; None where Helm does not say.
    pub(crate) last_deployed: Option<jiff::Timestamp>,
    /// How many objects it has.
    pub(crate) objects: usize,
    /// How many hooks it has.
    pub(crate) hooks: usize,
}

/// Something that could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Problem {
    /// The name of the cluster in Argo CD.
    pub(crate) cluster: String,
    pub(crate) message: String,
}
