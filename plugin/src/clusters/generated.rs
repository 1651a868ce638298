//! For which clusters ApplicationSets generate.

use std::collections::BTreeSet;

use argocd::ApplicationSet;
use argocd::application_set::{Checkouts, Generated, Limits};
use argocd::cluster::Clusters;

/// The servers that what an ApplicationSet generates is for.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    pub(crate) servers: BTreeSet<String>,
    /// Whether these are all.
    pub(crate) is_known: bool,
}

/// Works out what an ApplicationSet generates with these clusters, and for which.
pub(crate) fn servers_of(
    set: &ApplicationSet<'_>,
    clusters: &Clusters,
    checkouts: &dyn Checkouts,
) -> Servers {
    let mut servers = Servers::default();
    servers.is_known = add(&mut servers.servers, set, clusters, checkouts).unwrap_or(false);
    servers
}

/// Whether they are all; None where Argo CD fails on it, or it is beyond the limits.
fn add(
    servers: &mut BTreeSet<String>,
    set: &ApplicationSet<'_>,
    clusters: &Clusters,
    checkouts: &dyn Checkouts,
) -> Option<bool> {
    let expansion = set.expand(clusters, checkouts, &Limits::default()).ok()?;
    let mut is_known = expansion.undecided.is_empty();
    for generated in expansion.applications() {
        let Generated::Application(generated) = generated.ok()? else {
            is_known = false;
            continue;
        };
        let application = generated.application().ok()?;
        if let Ok(cluster) = clusters.resolve(&application.spec.destination) {
            servers.insert(cluster.server.clone());
        }
    }
    Some(is_known)
}
