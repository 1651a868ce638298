//! Which clusters count as production, said in one line.

use policy::Inventory;
use policy::environment::ClustersByEnvironment;

/// The most names that are listed of one kind.
const NAMED: usize = 8;

/// `production: 2 of 12 clusters (prod-eu, prod-us); unknown to the policy: prd-1`; nothing where no cluster is known.
pub(crate) fn production(inventory: &Inventory) -> Option<String> {
    let clusters = ClustersByEnvironment::of(inventory);
    if clusters.count == 0 {
        return None;
    }
    let production = match clusters.production.as_slice() {
        [] => String::new(),
        known => format!(" ({})", listed(known)),
    };
    let unknown = match clusters.unknown.as_slice() {
        [] => String::new(),
        others => format!("; unknown to the policy: {}", listed(others)),
    };
    let noun = if clusters.count == 1 {
        "cluster"
    } else {
        "clusters"
    };
    Some(format!(
        "production: {} of {} {noun}{production}{unknown}",
        clusters.production.len(),
        clusters.count
    ))
}

fn listed(names: &[String]) -> String {
    let mut listed: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| policy::finding::shorten(name, 40))
        .collect();
    if let Some(more) = names.len().checked_sub(NAMED + 1) {
        listed.push(format!("and {} more", more + 1));
    }
    listed.join(", ")
}
