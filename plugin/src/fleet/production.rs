//! Which clusters count as production, said in one line.

use policy::environment::ClustersByEnvironment;

use crate::text::{counted, listed};

/// The most names that are listed of one kind.
const NAMED: usize = 8;

/// `production: 2 of 12 clusters (prod-eu, prod-us); unknown to the policy: prd-1`; nothing where
/// no cluster is known.
pub(crate) fn production(clusters: &ClustersByEnvironment) -> Option<String> {
    if clusters.count == 0 {
        return None;
    }
    let production = match clusters.production.as_slice() {
        [] => String::new(),
        known => format!(" ({})", listed(known, NAMED)),
    };
    let unknown = match clusters.unknown.as_slice() {
        [] => String::new(),
        others => format!("; unknown to the policy: {}", listed(others, NAMED)),
    };
    Some(format!(
        "production: {} of {}{production}{unknown}",
        clusters.production.len(),
        counted(clusters.count, "cluster")
    ))
}
