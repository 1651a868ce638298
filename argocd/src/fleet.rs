//! What Argo CD's controllers know: projects, clusters, settings.

use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::destination::Clusters;
use crate::project::{AppProject, AppProjectSpec, Permissions, ProjectDestination};
use crate::settings::Settings;

/// A repository Secret that belongs to a project.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScopedRepository {
    /// `data.url`.
    pub url: String,
    /// `data.project`.
    pub project: String,
}

/// The objects that a [`Fleet`] is made of.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The namespace that Argo CD runs in. Only AppProjects in it count.
    pub control_plane_namespace: String,
    /// AppProjects; those of other namespaces are left out.
    pub projects: Vec<AppProject>,
    /// Clusters of the cluster Secrets in the control-plane namespace.
    pub clusters: Vec<Cluster>,
    /// Repositories that belong to a project.
    pub repositories: Vec<ScopedRepository>,
    /// `argocd-cm`.
    pub settings: Settings,
}

/// What Argo CD's controllers know, ready to be asked.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The namespace that Argo CD runs in.
    pub control_plane_namespace: String,
    /// Clusters.
    pub clusters: Clusters,
    /// `argocd-cm`.
    pub settings: Settings,
    projects: BTreeMap<String, Permissions>,
}

impl Fleet {
    /// Puts the parts together as Argo CD does (Argo CD 3.5, `GetAppProjectByName`): project-scoped
    /// repositories and clusters widen their project, then global projects do.
    pub fn new(parts: Parts) -> Self {
        let own: BTreeMap<&str, &AppProject> = parts
            .projects
            .iter()
            .filter(|project| {
                let namespace = &project.metadata.namespace;
                namespace.is_empty() || *namespace == parts.control_plane_namespace
            })
            .map(|project| (project.metadata.name.as_str(), project))
            .collect();
        let projects = own
            .values()
            .map(|project| {
                let mut spec = project.spec.clone();
                add_scoped(&mut spec, &project.metadata.name, &parts);
                add_global(&mut spec, project, &own, &parts.settings);
                (project.metadata.name.clone(), Permissions::new(&spec))
            })
            .collect();
        Fleet {
            clusters: Clusters::new(parts.clusters, parts.settings.in_cluster_enabled),
            control_plane_namespace: parts.control_plane_namespace,
            settings: parts.settings,
            projects,
        }
    }

    /// What a project permits, or `None` if there is no such project.
    pub fn project(&self, name: &str) -> Option<&Permissions> {
        self.projects.get(name)
    }

    /// The clusters that belong to a project.
    pub fn clusters_of<'f>(&'f self, project: &'f str) -> impl Iterator<Item = &'f Cluster> {
        self.clusters
            .iter()
            .filter(move |cluster| cluster.project == project)
    }
}

fn add_scoped(spec: &mut AppProjectSpec, project: &str, parts: &Parts) {
    let repositories = parts
        .repositories
        .iter()
        .filter(|repository| repository.project == project)
        .map(|repository| repository.url.clone());
    spec.source_repos.extend(repositories);
    let own = parts
        .clusters
        .iter()
        .filter(|cluster| cluster.project == project);
    for cluster in own {
        let destination = |namespace: &str| ProjectDestination {
            server: cluster.server.clone(),
            name: String::new(),
            namespace: namespace.to_owned(),
        };
        if cluster.namespaces.is_empty() {
            spec.destinations.push(destination("*"));
        }
        let namespaces = cluster.namespaces.iter();
        spec.destinations
            .extend(namespaces.map(|namespace| destination(namespace)));
    }
}

fn add_global(
    spec: &mut AppProjectSpec,
    project: &AppProject,
    projects: &BTreeMap<&str, &AppProject>,
    settings: &Settings,
) {
    for global in &settings.global_projects {
        let label = |key: &str| project.metadata.labels.get(key).map(String::as_str);
        let itself = global.project_name == project.metadata.name;
        if itself || !global.label_selector.matches(label) {
            continue;
        }
        // Argo CD stops at the first global project that does not exist.
        let Some(wider) = projects.get(global.project_name.as_str()) else {
            return;
        };
        spec.source_repos
            .extend(wider.spec.source_repos.iter().cloned());
        spec.destinations
            .extend(wider.spec.destinations.iter().cloned());
    }
}
