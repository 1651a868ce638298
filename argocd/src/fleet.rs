//! What Argo CD's controllers know: projects, clusters, settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Cluster, Clusters};
use crate::project::{AppProject, EffectiveProject, GlobalProject, Permissions, ProjectReading};
use crate::repository::ScopedRepository;
use crate::settings::Settings;

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
    reading: ProjectReading,
    /// What it is made of, to make another one of.
    parts: Arc<Parts>,
}

impl Fleet {
    /// Puts the parts together as Argo CD does (Argo CD 3.5, `GetAppProjectByName`): project-scoped
    /// repositories and clusters widen their project, then global projects do.
    pub fn new(parts: Parts) -> Self {
        Fleet::read_by(parts, ProjectReading::UpTo35)
    }

    /// The same with projects as a version of Argo CD reads them.
    pub fn read_by(parts: Parts, reading: ProjectReading) -> Self {
        let own = parts.own_projects();
        let projects = own
            .values()
            .map(|project| {
                let effective = parts.effective(project, &own);
                let permissions = Permissions::read(&effective.spec, reading);
                (project.metadata.name.clone(), permissions)
            })
            .collect();
        Fleet {
            clusters: Clusters::new(parts.clusters.clone(), parts.settings.in_cluster_enabled),
            control_plane_namespace: parts.control_plane_namespace.clone(),
            settings: parts.settings.clone(),
            projects,
            reading,
            parts: Arc::new(parts),
        }
    }

    /// The same with one cluster as it would be: `old` gone, `new` there.
    #[must_use]
    pub fn replacing_cluster(&self, old: Option<&Cluster>, new: Option<Cluster>) -> Self {
        let mut parts = (*self.parts).clone();
        // What is known may be older than the request.
        let same = |cluster: &Cluster| {
            old.is_some_and(|old| cluster.name == old.name && cluster.server == old.server)
        };
        let exact = parts
            .clusters
            .iter()
            .position(|cluster| Some(cluster) == old);
        if let Some(index) = exact.or_else(|| parts.clusters.iter().position(same)) {
            parts.clusters.remove(index);
        }
        parts.clusters.extend(new);
        Fleet::read_by(parts, self.reading)
    }

    /// What a project permits, or `None` if there is no such project.
    pub fn project(&self, name: &str) -> Option<&Permissions> {
        self.projects.get(name)
    }

    /// How projects are read.
    pub fn project_reading(&self) -> ProjectReading {
        self.reading
    }

    /// A project as it would be put together if it were as given.
    pub fn effective(&self, project: &AppProject) -> EffectiveProject {
        self.parts.effective(project, &self.parts.own_projects())
    }

    /// All other projects that a project, as given, is part of as a global project, put together
    /// with it.
    pub fn widened_by(&self, project: &AppProject) -> Vec<EffectiveProject> {
        let name = &project.metadata.name;
        let is_global = |global: &GlobalProject| global.project_name == *name;
        let is_read = self.parts.is_own(project);
        if !is_read || !self.settings.global_projects.iter().any(is_global) {
            return Vec::new();
        }
        let mut own = self.parts.own_projects();
        own.insert(name, project);
        let others = own.values().filter(|other| other.metadata.name != *name);
        others
            .map(|other| self.parts.effective(other, &own))
            .filter(|other| other.includes_global(name))
            .collect()
    }

    /// The names of all projects.
    pub fn project_names(&self) -> impl Iterator<Item = &str> {
        self.projects.keys().map(String::as_str)
    }

    /// The clusters that belong to a project.
    pub fn clusters_of<'f>(&'f self, project: &'f str) -> impl Iterator<Item = &'f Cluster> {
        self.clusters
            .iter()
            .filter(move |cluster| cluster.project == project)
    }
}

impl Parts {
    /// Projects of other namespaces are never read.
    fn is_own(&self, project: &AppProject) -> bool {
        let namespace = &project.metadata.namespace;
        namespace.is_empty() || *namespace == self.control_plane_namespace
    }

    fn own_projects(&self) -> BTreeMap<&str, &AppProject> {
        let own = self.projects.iter().filter(|project| self.is_own(project));
        own.map(|project| (project.metadata.name.as_str(), project))
            .collect()
    }

    fn effective(
        &self,
        project: &AppProject,
        projects: &BTreeMap<&str, &AppProject>,
    ) -> EffectiveProject {
        let mut effective = EffectiveProject::new(project);
        effective.add_scoped(&self.repositories, &self.clusters);
        effective.add_global(&self.settings.global_projects, projects);
        effective
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::ResourceScope;

    fn parts(global_projects: &str) -> Parts {
        let project = |json: &str| serde_json::from_str::<AppProject>(json).unwrap();
        let data = [("globalProjects".to_owned(), global_projects.to_owned())];
        Parts {
            control_plane_namespace: "argocd".to_owned(),
            projects: vec![
                project(r#"{"metadata":{"name":"web","labels":{"team":"web"}}}"#),
                project(
                    r#"{"metadata":{"name":"first"},"spec":{"sourceRepos":["https://h/first"]}}"#,
                ),
                project(
                    r#"{"metadata":{"name":"last"},"spec":{"sourceRepos":["https://h/last"]}}"#,
                ),
            ],
            settings: Settings::from_config_map(&data.into()),
            ..Parts::default()
        }
    }

    /// Which global projects widen the project `web`.
    fn widened_by(global_projects: &str) -> Vec<&'static str> {
        let fleet = Fleet::new(parts(global_projects));
        let web = fleet.project("web").unwrap();
        let widens = |name: &&str| web.permits_source(&format!("https://h/{name}"));
        ["first", "last"].into_iter().filter(widens).collect()
    }

    #[test]
    fn an_invalid_selector_ends_the_global_projects_when_it_is_reached() {
        for invalid in [
            "matchExpressions: [{key: team, operator: Is, values: [web]}]",
            "matchExpressions: [{key: team, operator: In}]",
            "matchLabels: {team: not a value}",
        ] {
            let entry = |project: &str, selector: &str| {
                format!("- projectName: {project}\n  labelSelector: {{{selector}}}\n")
            };
            let [first, last] = ["first", "last"].map(|name| entry(name, ""));
            let middle = entry("absent", invalid);
            assert_eq!(widened_by(&format!("{first}{middle}{last}")), ["first"]);
            // The selector of the project itself is never looked at.
            let own = entry("web", invalid);
            assert_eq!(
                widened_by(&format!("{first}{own}{last}")),
                ["first", "last"]
            );
        }
    }

    #[test]
    fn scalars_in_global_projects_are_texts() {
        let fleet = fleet(
            &[
                r#"{"metadata":{"name":"web","labels":{"live":"true","tier":"1"}}}"#,
                r#"{"metadata":{"name":"7"},"spec":{"sourceRepos":["*"]}}"#,
            ],
            "[{projectName: 7, labelSelector: {matchLabels: {live: yes}, matchExpressions: [{key: tier, operator: In, values: [1]}]}}]",
        );
        assert!(fleet.project("web").unwrap().permits_source("https://h/a"));
    }

    #[test]
    fn global_projects_that_do_not_parse_are_none() {
        for globals in ["[", "first", "[first]", "{projectName: first}", "", "null"] {
            assert!(widened_by(globals).is_empty(), "{globals}");
        }
        assert_eq!(widened_by("[{projectName: first}]"), ["first"]);
    }

    #[test]
    fn a_global_project_that_does_not_exist_ends_them_only_where_it_is_selected() {
        let around = |selector: &str| {
            format!(
                "- projectName: first\n- projectName: absent\n  labelSelector: {selector}\n- projectName: last\n"
            )
        };
        assert_eq!(widened_by(&around("{matchLabels: {team: web}}")), ["first"]);
        let other = around("{matchLabels: {team: other}}");
        assert_eq!(widened_by(&other), ["first", "last"]);
    }

    fn fleet(projects: &[&str], globals: &str) -> Fleet {
        let data = [("globalProjects".to_owned(), globals.to_owned())];
        let projects = projects.iter();
        Fleet::new(Parts {
            projects: projects
                .map(|json| serde_json::from_str(json).unwrap())
                .collect(),
            settings: Settings::from_config_map(&data.into()),
            ..parts("")
        })
    }

    #[test]
    fn the_lists_of_a_global_project_are_appended() {
        let deployment = |fleet: &Fleet| {
            let web = fleet.project("web").unwrap();
            web.permits_resource("apps", "Deployment", ResourceScope::Namespaced)
        };
        let namespace = |fleet: &Fleet| {
            let web = fleet.project("web").unwrap();
            web.permits_resource("", "Namespace", ResourceScope::Cluster { name: "web" })
        };
        let web = r#"{"metadata":{"name":"web"}}"#;
        let widened = |spec: &str| {
            let global = format!(r#"{{"metadata":{{"name":"global"}},"spec":{spec}}}"#);
            fleet(&[web, &global], "[{projectName: global}]")
        };
        assert!(deployment(&widened("{}")));
        assert!(!namespace(&widened("{}")));
        assert!(namespace(&widened(
            r#"{"clusterResourceWhitelist":[{"group":"","kind":"Namespace"}]}"#
        )));
        assert!(!namespace(&widened(
            r#"{"clusterResourceWhitelist":[{"group":"*","kind":"*"}],"clusterResourceBlacklist":[{"group":"*","kind":"N*"}]}"#
        )));
        assert!(!deployment(&widened(
            r#"{"namespaceResourceBlacklist":[{"group":"apps","kind":"*"}]}"#
        )));
        // All kinds become only these, unless nothing is appended.
        assert!(!deployment(&widened(
            r#"{"namespaceResourceWhitelist":[{"group":"","kind":"ConfigMap"}]}"#
        )));
        assert!(deployment(&widened(r#"{"namespaceResourceWhitelist":[]}"#)));
    }

    #[test]
    fn the_exclusions_of_a_global_project_deny_too() {
        let fleet = fleet(
            &[
                r#"{"metadata":{"name":"web"},"spec":{"sourceRepos":["*"],"destinations":[{"server":"*","namespace":"*"}]}}"#,
                r#"{"metadata":{"name":"global"},"spec":{"sourceRepos":["!https://h/secret"],"destinations":[{"server":"*","namespace":"!kube-system"}]}}"#,
            ],
            "[{projectName: global}]",
        );
        let web = fleet.project("web").unwrap();
        assert!(web.permits_source("https://h/a"));
        assert!(!web.permits_source("https://h/secret"));
        let cluster = fleet.clusters.iter().next().unwrap();
        let permits = |namespace| web.permits_destination(cluster, namespace, std::iter::empty());
        assert!(permits("web"));
        assert!(!permits("kube-system"));
    }

    #[test]
    fn what_belongs_to_a_project_widens_it() {
        let cluster = |name: &str, namespaces: &[&str]| Cluster {
            name: name.to_owned(),
            server: format!("https://{name}"),
            project: "web".to_owned(),
            namespaces: namespaces.iter().map(|&n| n.to_owned()).collect(),
            ..Cluster::default()
        };
        let fleet = Fleet::new(Parts {
            clusters: vec![cluster("all", &[]), cluster("some", &["a", "b-*"])],
            repositories: vec![ScopedRepository {
                url: "https://h/own".to_owned(),
                project: "web".to_owned(),
            }],
            ..parts("")
        });
        let web = fleet.project("web").unwrap();
        let permits = |name: &str, namespace: &str| {
            let clusters = fleet.clusters.iter();
            let mut named = clusters.filter(|cluster| cluster.name == name);
            web.permits_destination(named.next().unwrap(), namespace, fleet.clusters_of("web"))
        };
        assert!(permits("all", "anything"));
        assert!(permits("some", "a") && permits("some", "b-1"));
        assert!(!permits("some", "c"));
        assert!(!permits("in-cluster", "a"));
        assert!(web.permits_source("https://h/own.git"));
        let first = fleet.project("first").unwrap();
        assert!(!first.permits_source("https://h/own.git"));
    }

    #[test]
    fn projects_of_other_namespaces_are_never_read() {
        let fleet = fleet(
            &[
                r#"{"metadata":{"name":"web","namespace":"argocd"}}"#,
                r#"{"metadata":{"name":"away","namespace":"team"},"spec":{"sourceRepos":["*"]}}"#,
            ],
            "[{projectName: away}]",
        );
        assert!(fleet.project("away").is_none());
        assert!(!fleet.project("web").unwrap().permits_source("https://h/a"));
    }
}
