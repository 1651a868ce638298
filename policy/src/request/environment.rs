//! Environments: which ones a subject belongs to, by what is known of it and of the clusters.

use std::borrow::Cow;

use argocd::application::ApplicationDestination;
use argocd::cluster::DestinationError;
use argocd::project::{EffectiveProject, Permissions, ProjectDestination};
use argocd::{AppProject, Application, Cluster, Fleet};

use super::inventory::{Completeness, Inventory};
use super::subject::RequestRef;
use crate::terms::environment::{Attributes, Holds, Unresolved, has_placeholder, has_word};
pub use crate::terms::environment::{Evidence, InEnvironment, InEnvironments, Membership};

/// What makes a pattern of a text that Argo CD matches by globs.
const GLOB_CHARACTERS: [char; 5] = ['*', '?', '[', '{', '\\'];

/// Where an Application belongs: all environments that anything is evidence of, not only those that
/// some rule holds in.
pub fn environments_of_application<'i>(
    application: &Application<'_>,
    inventory: &'i Inventory,
) -> InEnvironments<'i> {
    let attributes = Attributes::of_application(application, inventory);
    inventory.environments.all_of(&attributes)
}

/// Where a cluster belongs.
pub fn environments_of_cluster<'i>(
    cluster: &Cluster,
    inventory: &'i Inventory,
) -> InEnvironments<'i> {
    let attributes = Attributes::of_cluster(cluster);
    inventory.environments.all_of(&attributes)
}

/// Which clusters count as production.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClustersByEnvironment {
    /// How many cluster Secrets there are.
    pub count: usize,
    /// Names of those that are production.
    pub production: Vec<String>,
    /// Names of those that belong to no environment of a policy that has others than production;
    /// else of those of them that look like production by their name or a label.
    pub unknown: Vec<String>,
}

impl ClustersByEnvironment {
    /// Sorts the clusters that several Argo CDs know.
    pub fn of_all<'i>(inventories: impl Iterator<Item = &'i Inventory>) -> Self {
        let mut all = ClustersByEnvironment::default();
        for one in inventories.map(ClustersByEnvironment::of) {
            all.count += one.count;
            all.production.extend(one.production);
            all.unknown.extend(one.unknown);
        }
        all
    }

    /// Sorts the clusters that are known.
    pub fn of(inventory: &Inventory) -> Self {
        let has_others = inventory.environments.have_others_than_production();
        let mut sorted = ClustersByEnvironment::default();
        for cluster in inventory.fleet.clusters.secrets() {
            sorted.count += 1;
            let environments = environments_of_cluster(cluster, inventory).environments;
            // Name and server may be encrypted.
            let names = [&cluster.name, &cluster.server, &cluster.secret_name];
            let name = names.into_iter().find(|name| !name.is_empty());
            let name = name.unwrap_or(&cluster.secret_name);
            if environments.iter().any(|found| found.production) {
                sorted.production.push(name.clone());
            } else if environments.is_empty() && (has_others || looks_like_production(cluster)) {
                sorted.unknown.push(name.clone());
            }
        }
        sorted
    }
}

/// Whether people would take a cluster for production by its name, or by a label that tells the
/// environment.
fn looks_like_production(cluster: &Cluster) -> bool {
    let is_word = |word: &str| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        LIKE_PRODUCTION
            .iter()
            .any(|like| word.eq_ignore_ascii_case(like))
    };
    let is_like = |text: &str| has_word(text, is_word);
    let tells_environment = |key: &str| {
        let name = key.rsplit('/').next().unwrap_or(key);
        TELLS_ENVIRONMENT.contains(&name)
    };
    let mut labels = cluster.labels.iter();
    is_like(&cluster.name) || labels.any(|(key, value)| tells_environment(key) && is_like(value))
}

/// Words by which people name production.
const LIKE_PRODUCTION: [&str; 5] = ["prod", "production", "prd", "live", "productive"];

/// Names of labels in which people say which environment it is.
const TELLS_ENVIRONMENT: [&str; 5] = ["environment", "env", "stage", "tier", "landscape"];

/// The server of the cluster that an Application deploys to, or what its destination says where it
/// means none.
pub(crate) fn target_of<'t>(application: &'t Application<'_>, inventory: &'t Inventory) -> &'t str {
    let destination = &application.spec.destination;
    match inventory.fleet.clusters.resolve(destination) {
        Ok(cluster) => &cluster.server,
        Err(_) if destination.server.is_empty() => &destination.name,
        Err(_) => &destination.server,
    }
}

/// Whether an object belongs to the environments that a rule holds in.
pub(crate) fn membership(
    request: RequestRef<'_>,
    holds: &Holds,
    inventory: &Inventory,
) -> Membership {
    if matches!(holds, Holds::Everywhere) {
        return Membership::Everywhere;
    }
    match request {
        RequestRef::Application(request) => {
            let application = *request.object();
            let mut attributes = Attributes::of_application(application, inventory);
            if request.is_deletion() {
                attributes.add_children(application, inventory);
                // Argo CD takes nothing along with an Application whose destination is not a
                // cluster.
                if !matches!(attributes.unresolved, Unresolved::Elsewhere(_)) {
                    attributes.unresolved = Unresolved::Nothing;
                }
            }
            inventory.environments.find(holds, &attributes)
        }
        RequestRef::ClusterSecret(request) => match request.object().cluster() {
            Ok(cluster) => inventory
                .environments
                .find(holds, &Attributes::of_cluster(&cluster)),
            // What cannot be read may be anything.
            Err(_) => Membership::MayBeAnywhere,
        },
        RequestRef::AppProject(request) => {
            membership_of_project(request.object(), holds, inventory)
        }
        // Where an ApplicationSet belongs depends on what it generates; see `FanOut::membership`.
        RequestRef::ApplicationSet(_) => Membership::NotIn,
    }
}

/// A project belongs wherever it, or one that it widens as a global project, lets Applications go.
fn membership_of_project(project: &AppProject, holds: &Holds, inventory: &Inventory) -> Membership {
    let fleet = &inventory.fleet;
    let own = membership_of_effective(&fleet.effective(project), holds, inventory);
    if matches!(own, Membership::In { .. }) {
        return own;
    }
    let mut unknown = own;
    for other in fleet.widened_by(project) {
        match membership_of_effective(&other, holds, inventory) {
            found @ Membership::In { .. } => return found,
            found @ Membership::Unknown { .. } => unknown = found,
            Membership::Everywhere | Membership::MayBeAnywhere | Membership::NotIn => {}
        }
    }
    unknown
}

/// Where a project belongs by itself, as it is put together.
pub(crate) fn membership_of_effective(
    project: &EffectiveProject,
    holds: &Holds,
    inventory: &Inventory,
) -> Membership {
    if matches!(holds, Holds::Everywhere) {
        return Membership::Everywhere;
    }
    inventory
        .environments
        .find(holds, &Attributes::of_project(project, inventory))
}

impl<'w> Attributes<'w> {
    fn of_application(application: &'w Application<'w>, inventory: &'w Inventory) -> Self {
        let ApplicationDestination {
            name,
            server,
            namespace,
        } = &application.spec.destination;
        let resolved = inventory
            .fleet
            .clusters
            .resolve(&application.spec.destination);
        let mut destinations: Vec<&str> = [name.as_str(), server.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        // In the template of an ApplicationSet that could not be expanded.
        let placeholder = [name, server, namespace]
            .map(golang::json::Text::as_str)
            .into_iter()
            .chain([application.spec.project()])
            .find(|text| has_placeholder(text));
        let described = [name, server]
            .into_iter()
            .find_map(|text| inventory.fleet.clusters.no_destination(text));
        let is_described = described.is_some() && inventory.completeness != Completeness::Complete;
        let written = destinations.first().copied().unwrap_or_default();
        let unresolved = match (placeholder, &resolved) {
            (Some(text), _) => Unresolved::Elsewhere(text),
            (None, Ok(_)) => Unresolved::Nothing,
            // Its Secret is there, and has labels, though not everything of it can be read.
            (None, Err(_)) if is_described => Unresolved::Nothing,
            (
                None,
                Err(DestinationError::NameNotFound(_) | DestinationError::ServerNotFound(_)),
            ) => {
                if inventory.completeness.has_all_clusters() {
                    Unresolved::Missing(written)
                } else {
                    Unresolved::Elsewhere(written)
                }
            }
            (None, Err(_)) => Unresolved::Ambiguous(written),
        };
        let clusters: Vec<&Cluster> = inventory
            .fleet
            .clusters
            .meant(&application.spec.destination)
            .chain(described.filter(|_| resolved.is_err()))
            .collect();
        for cluster in &clusters {
            destinations.extend([cluster.name.as_str(), cluster.server.as_str()]);
        }
        Attributes {
            labels: Some(Cow::Borrowed(&application.metadata.labels)),
            clusters,
            unresolved,
            destinations,
            projects: vec![application.spec.project()],
            namespaces: vec![namespace],
        }
    }

    /// What an app-of-apps takes along when it is deleted. Where its Applications are is not known
    /// here, so they may be anywhere.
    fn add_children(&mut self, application: &Application<'_>, inventory: &'w Inventory) {
        if !application.manages_applications() {
            return;
        }
        let Fleet { clusters, .. } = &inventory.fleet;
        self.clusters.extend(clusters.iter());
        let names = |cluster: &'w Cluster| [cluster.name.as_str(), cluster.server.as_str()];
        self.destinations.extend(clusters.iter().flat_map(names));
        self.projects.extend(inventory.fleet.project_names());
    }

    /// A project belongs wherever it lets Applications go. What it excludes is not evidence, and a
    /// pattern counts as the text that it is: `prod-*` speaks of production without any such
    /// cluster.
    fn of_project(project: &'w EffectiveProject, inventory: &'w Inventory) -> Self {
        let EffectiveProject { metadata, spec, .. } = project;
        let is_scoped = |cluster: &Cluster| cluster.project == metadata.name;
        // Nobody can say that it does not.
        let reaches_all = spec.has_costly_patterns();
        let permissions = Permissions::read(spec, inventory.fleet.project_reading());
        let reach = (!reaches_all).then(|| permissions.reach());
        let may_reach = |cluster: &Cluster| {
            reaches_all
                || is_scoped(cluster)
                || !spec.permit_only_project_scoped_clusters
                    && reach.as_ref().is_some_and(|reach| reach.includes(cluster))
        };
        let all = &inventory.fleet.clusters;
        let clusters: Vec<&Cluster> = all.iter().filter(|cluster| may_reach(cluster)).collect();
        let includes = |pattern: &&str| !pattern.is_empty() && !pattern.starts_with('!');
        let patterns = || {
            let both = |item: &'w ProjectDestination| [item.name.as_str(), item.server.as_str()];
            spec.destinations.iter().flat_map(both)
        };
        let is_known = |pattern: &str| {
            let is = |cluster: &Cluster| cluster.name == pattern || cluster.server == pattern;
            all.iter().any(is)
        };
        let unresolved = if inventory.completeness.has_all_clusters() {
            // One that names a cluster which is not there is for whatever that becomes.
            let names_one = |text: &&str| includes(text) && !text.contains(GLOB_CHARACTERS);
            let missing = patterns().find(|text| names_one(text) && !is_known(text));
            missing.map_or(Unresolved::Nothing, Unresolved::Missing)
        } else {
            let elsewhere = patterns().find(|text| !text.is_empty() && !is_known(text));
            elsewhere.map_or(Unresolved::Nothing, Unresolved::Elsewhere)
        };
        let known = clusters
            .iter()
            .flat_map(|cluster| [cluster.name.as_str(), cluster.server.as_str()]);
        let namespaces = spec.destinations.iter().map(|item| item.namespace.as_str());
        Attributes {
            labels: Some(Cow::Owned(
                metadata
                    .labels
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
                    .collect(),
            )),
            destinations: known.chain(patterns().filter(includes)).collect(),
            clusters,
            projects: vec![&metadata.name],
            namespaces: namespaces.filter(includes).collect(),
            unresolved,
        }
    }

    fn of_cluster(cluster: &'w Cluster) -> Self {
        Attributes {
            labels: None,
            clusters: vec![cluster],
            destinations: vec![&cluster.name, &cluster.server],
            projects: Vec::new(),
            namespaces: Vec::new(),
            unresolved: Unresolved::Nothing,
        }
    }
}
