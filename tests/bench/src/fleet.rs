//! A fleet: 25 teams with a project for staging and one for production, 20 clusters.

use std::collections::BTreeMap;

use argocd::application::EnabledField;
use argocd::fleet::Parts;
use argocd::settings::Settings;
use argocd::{AppProject, Cluster, Fleet};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::gitops_policy::InvalidPolicy;
use policy::{Completeness, GitOpsPolicySpec, Inventory};
use serde_json::{Value, json};

/// The namespace that Argo CD runs in.
pub const ARGOCD_NAMESPACE: &str = "argocd";
/// AppProjects: two a team.
pub const PROJECTS: usize = 50;
/// Clusters: half of them are production.
pub const CLUSTERS: usize = 20;

/// Where something belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Environment {
    /// Not production.
    Staging,
    /// Production.
    Prod,
}

impl Environment {
    fn of(number: usize) -> Self {
        if number.is_multiple_of(2) {
            Environment::Staging
        } else {
            Environment::Prod
        }
    }

    /// Its name, which is also the value of the clusters' label `environment`.
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Staging => "staging",
            Environment::Prod => "prod",
        }
    }
}

/// One of the AppProjects, by its number below [`PROJECTS`].
#[derive(Clone, Copy, Debug)]
pub struct Project(usize);

impl Project {
    /// The project of a number, which may be any.
    pub fn numbered(number: usize) -> Self {
        Project(number % PROJECTS)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Project> {
        (0..PROJECTS).map(Project)
    }

    /// Where it deploys to.
    pub fn environment(self) -> Environment {
        Environment::of(self.0)
    }

    /// The team that owns it.
    pub fn team(self) -> String {
        format!("team-{:02}", self.0 / 2)
    }

    /// Its name.
    pub fn name(self) -> String {
        format!("{}-{}", self.team(), self.environment().as_str())
    }

    /// The glob of its repositories.
    pub fn repositories(self) -> String {
        format!("https://git.example.com/{}/*", self.team())
    }

    fn destinations(self) -> Value {
        let team = self.team();
        let clusters = format!("{}-*", self.environment().as_str());
        json!([
            {"name": clusters, "namespace": team},
            {"name": clusters, "namespace": format!("{team}-*")},
        ])
    }

    /// The AppProject as an API server has it.
    pub fn app_project(self) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": self.name(), "namespace": ARGOCD_NAMESPACE},
            "spec": {
                "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
                "description": format!("What {} runs on {}", self.team(), self.environment().as_str()),
                "destinations": self.destinations(),
                "namespaceResourceBlacklist": [{"group": "", "kind": "ResourceQuota"}],
                "sourceRepos": [self.repositories()],
            },
        })
    }
}

/// One of the clusters.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadCluster(usize);

impl WorkloadCluster {
    /// The cluster of an environment and a number, which may be any.
    pub fn of(environment: Environment, number: usize) -> Self {
        let number = number % (CLUSTERS / 2) * 2;
        match environment {
            Environment::Staging => WorkloadCluster(number),
            Environment::Prod => WorkloadCluster(number + 1),
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = WorkloadCluster> {
        (0..CLUSTERS).map(WorkloadCluster)
    }

    /// Where it belongs.
    pub fn environment(self) -> Environment {
        Environment::of(self.0)
    }

    /// Its name.
    pub fn name(self) -> String {
        format!("{}-{:02}", self.environment().as_str(), self.0 / 2)
    }

    /// Its API server.
    pub fn server(self) -> String {
        format!("https://{:032X}.gr7.eu-central-1.eks.example.com", self.0)
    }

    /// The labels of its Secret.
    pub fn labels(self) -> BTreeMap<String, String> {
        [
            ("argocd.argoproj.io/secret-type", "cluster"),
            ("environment", self.environment().as_str()),
            ("workload-cluster", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The `data` of its Secret, with this `config`.
    pub fn data(self, config: &Value) -> BTreeMap<&'static str, String> {
        let encode = |text: String| STANDARD.encode(text);
        BTreeMap::from([
            ("config", encode(config.to_string())),
            ("name", encode(self.name())),
            ("server", encode(self.server())),
        ])
    }

    /// A login without anything that is worth stealing.
    pub fn aws_config(self) -> Value {
        json!({
            "awsAuthConfig": {
                "clusterName": self.name(),
                "roleARN": "arn:aws:iam::111122223333:role/argocd-deployer",
            },
            "tlsClientConfig": {"caData": STANDARD.encode([b'c'; 1100]), "insecure": false},
        })
    }

    /// The Secret as one writes it.
    pub fn secret(self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": format!("cluster-{}", self.name()),
                "namespace": ARGOCD_NAMESPACE,
                "labels": self.labels(),
            },
            "data": self.data(&self.aws_config()),
        })
    }
}

/// The fleet as the rules know it.
///
/// # Errors
/// The built-in policy contradicts itself.
pub fn inventory() -> Result<Inventory, InvalidPolicy> {
    let fleet = Fleet::new(Parts {
        control_plane_namespace: ARGOCD_NAMESPACE.to_owned(),
        projects: Project::all().map(app_project).collect(),
        clusters: WorkloadCluster::all().map(cluster).collect(),
        repositories: Vec::new(),
        settings: Settings::default(),
    });
    Inventory::new(
        fleet,
        Completeness::Complete,
        EnabledField::Supported,
        GitOpsPolicySpec::default(),
    )
}

fn app_project(project: Project) -> AppProject {
    let destinations = serde_json::from_value(project.destinations());
    let mut app_project = AppProject::default();
    app_project.metadata.name = project.name();
    ARGOCD_NAMESPACE.clone_into(&mut app_project.metadata.namespace);
    app_project.spec.source_repos = vec![project.repositories()];
    app_project.spec.destinations = destinations.unwrap_or_default();
    app_project
}

fn cluster(cluster: WorkloadCluster) -> Cluster {
    Cluster {
        name: cluster.name(),
        server: cluster.server(),
        labels: cluster.labels(),
        ..Cluster::default()
    }
}

/// The fleet as the peer's policy reads it, under `data.fleet`.
pub fn peer_data() -> Value {
    let projects = Project::all().map(|project| {
        let permits = json!({
            "sourceRepos": [project.repositories()],
            "destinations": project.destinations(),
        });
        (project.name(), permits)
    });
    let clusters = WorkloadCluster::all().map(|cluster| {
        let labels = json!({"labels": cluster.labels()});
        (cluster.name(), labels)
    });
    json!({"fleet": {
        "projects": projects.collect::<serde_json::Map<_, _>>(),
        "clusters": clusters.collect::<serde_json::Map<_, _>>(),
    }})
}
