//! A project as Argo CD puts it together: what belongs to it and global projects widen it.

use std::collections::BTreeMap;

use super::spec::{AppProjectSpec, ProjectDestination};
use super::{AppProject, ProjectMetadata};
use crate::cluster::Cluster;
use crate::kubernetes::{InvalidSelector, Selector};
use crate::repository::ScopedRepository;

/// An entry of `globalProjects`.
#[derive(Clone, Debug)]
pub struct GlobalProject {
    /// Which projects are widened, by their labels. Argo CD notices that a selector is invalid
    /// when it comes to the entry; those before it count.
    pub selector: Result<Selector, InvalidSelector>,
    /// By which project.
    pub project_name: String,
}

/// A project as Argo CD puts it together: with what belongs to it, and with global projects.
#[derive(Clone, Debug)]
pub struct EffectiveProject {
    /// Its own name and labels.
    pub metadata: ProjectMetadata,
    /// What it says, all in all.
    pub spec: AppProjectSpec,
    /// How much of each list there was when something had been added, in that order.
    added: Vec<(Origin, Lengths)>,
}

/// Where an entry of a project comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// It is written in the project.
    Own,
    /// A Secret of a repository or a cluster that belongs to the project.
    Scoped,
    /// The global project of this name.
    Global(String),
}

/// A list of a project in which entries are told by their places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum List {
    /// `sourceRepos`.
    SourceRepos,
    /// `destinations`.
    Destinations,
    /// `clusterResourceWhitelist`.
    ClusterResourceWhitelist,
}

#[derive(Clone, Copy, Debug)]
struct Lengths {
    source_repos: usize,
    destinations: usize,
    cluster_resource_whitelist: usize,
}

impl Lengths {
    fn of(spec: &AppProjectSpec) -> Self {
        Lengths {
            source_repos: spec.source_repos.len(),
            destinations: spec.destinations.len(),
            cluster_resource_whitelist: spec.cluster_resource_whitelist.len(),
        }
    }

    fn of_list(self, list: List) -> usize {
        match list {
            List::SourceRepos => self.source_repos,
            List::Destinations => self.destinations,
            List::ClusterResourceWhitelist => self.cluster_resource_whitelist,
        }
    }
}

impl EffectiveProject {
    pub(crate) fn new(project: &AppProject) -> Self {
        EffectiveProject {
            metadata: project.metadata.clone(),
            spec: project.spec.clone(),
            added: vec![(Origin::Own, Lengths::of(&project.spec))],
        }
    }

    fn note(&mut self, origin: Origin) {
        self.added.push((origin, Lengths::of(&self.spec)));
    }

    /// Adds what belongs to the project.
    pub(crate) fn add_scoped(&mut self, repositories: &[ScopedRepository], clusters: &[Cluster]) {
        let project = &self.metadata.name;
        let spec = &mut self.spec;
        let repositories = repositories
            .iter()
            .filter(|repository| repository.project == *project)
            .map(|repository| repository.url.clone());
        spec.source_repos.extend(repositories);
        let own = clusters
            .iter()
            .filter(|cluster| cluster.project == *project && !cluster.has_unreadable_config);
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
        self.note(Origin::Scoped);
    }

    /// Adds the global projects that select the project.
    pub(crate) fn add_global(
        &mut self,
        global_projects: &[GlobalProject],
        projects: &BTreeMap<&str, &AppProject>,
    ) {
        for global in global_projects {
            if global.project_name == self.metadata.name {
                continue;
            }
            // Argo CD stops at the first selector that is invalid, and at the first selected global
            // project that does not exist.
            let Ok(selector) = &global.selector else {
                return;
            };
            let labels = &self.metadata.labels;
            if !selector.matches(|key| labels.get(key).map(String::as_str)) {
                continue;
            }
            let Some(wider) = projects.get(global.project_name.as_str()) else {
                return;
            };
            self.spec.merge(&wider.spec);
            self.note(Origin::Global(global.project_name.clone()));
        }
    }

    /// Where an entry of a list comes from, and its place there.
    pub fn origin(&self, list: List, index: usize) -> (&Origin, usize) {
        let mut start = 0;
        for (origin, lengths) in &self.added {
            let end = lengths.of_list(list);
            if index < end {
                return (origin, index - start);
            }
            start = end;
        }
        (&Origin::Own, index)
    }

    /// Whether a global project of this name is part of it.
    pub fn includes_global(&self, name: &str) -> bool {
        let is = |origin: &Origin| matches!(origin, Origin::Global(global) if global == name);
        self.added.iter().any(|(origin, _)| is(origin))
    }
}
