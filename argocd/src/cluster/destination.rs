//! Which cluster a destination means.

use crate::application::ApplicationDestination;
use crate::cluster::Cluster;
use crate::names::{IN_CLUSTER_NAME, IN_CLUSTER_SERVER};

/// The clusters that Argo CD knows, in a stable order.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// Of the cluster Secrets.
    secrets: Vec<Cluster>,
    /// Whether the cluster that Argo CD runs in may be a destination.
    in_cluster_enabled: bool,
    /// The cluster that Argo CD runs in, where no Secret describes it and it is enabled.
    built_in: Option<Cluster>,
}

/// A destination that means no cluster. The texts are Argo CD's own, so that they can be searched
/// for (Argo CD 3.5, `GetDestinationServer` and `GetDestinationCluster`).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DestinationError {
    /// Both `name` and `server` are set.
    #[error("application destination can't have both name and server defined: {name} {server}")]
    NameAndServer {
        /// `destination.name`.
        name: String,
        /// `destination.server`.
        server: String,
    },
    /// Neither is set.
    #[error("Destination server missing from app spec")]
    Missing,
    /// No cluster has this server, which is as it is written.
    #[error(
        "error getting cluster by server {written:?}: rpc error: code = NotFound desc = cluster {server:?} not found",
        written = .0,
        server = .0.trim_end_matches('/')
    )]
    ServerNotFound(String),
    /// No cluster has this name.
    #[error("there are no clusters with this name: {0}")]
    NameNotFound(String),
    /// Several cluster Secrets have this name.
    #[error("there are {} clusters with the same name: [{}]", .servers.len(), .servers.join(" "))]
    NameAmbiguous {
        /// `destination.name`.
        name: String,
        /// The servers of all of them.
        servers: Vec<String>,
    },
    /// The cluster that Argo CD runs in, while `cluster.inClusterEnabled` is `false`.
    #[error(
        "error getting cluster by server {IN_CLUSTER_SERVER:?}: rpc error: code = NotFound desc = cluster {IN_CLUSTER_SERVER:?} is disabled"
    )]
    InClusterDisabled,
}

impl Clusters {
    pub(crate) fn new(secrets: Vec<Cluster>, in_cluster_enabled: bool) -> Self {
        let mut clusters = Clusters {
            secrets,
            in_cluster_enabled,
            built_in: None,
        };
        let described = clusters
            .known()
            .any(|cluster| cluster.server == IN_CLUSTER_SERVER);
        clusters.built_in = (in_cluster_enabled && !described).then(|| Cluster {
            name: IN_CLUSTER_NAME.to_owned(),
            server: IN_CLUSTER_SERVER.to_owned(),
            ..Cluster::default()
        });
        clusters
    }

    /// The clusters of all cluster Secrets, as ApplicationSets see them: also those that are no
    /// destination.
    pub fn secrets(&self) -> impl Iterator<Item = &Cluster> {
        self.secrets.iter()
    }

    /// The cluster Secret that has a name or server, but is not a destination: Argo CD cannot read
    /// its `config`, or not everything is known of it.
    pub fn no_destination(&self, name_or_server: &str) -> Option<&Cluster> {
        let server = name_or_server.trim_end_matches('/');
        let is_meant = |cluster: &&Cluster| {
            (cluster.has_unreadable_config || cluster.unknown.is_some())
                && (!cluster.name.is_empty() && cluster.name == name_or_server
                    || !cluster.server.is_empty() && cluster.server == server)
        };
        self.secrets.iter().find(is_meant)
    }

    /// The clusters of Secrets of which it is not known which clusters they are.
    pub fn unknown(&self) -> impl Iterator<Item = &Cluster> {
        let secrets = self.secrets.iter();
        secrets.filter(|cluster| cluster.unknown.is_some())
    }

    /// The clusters of Secrets that are destinations.
    fn known(&self) -> impl Iterator<Item = &Cluster> {
        self.secrets.iter().filter(|cluster| {
            !cluster.has_unreadable_config
                && cluster.unknown.is_none()
                && (self.in_cluster_enabled || cluster.server != IN_CLUSTER_SERVER)
        })
    }

    /// All clusters that can be destinations, the built-in one last.
    pub fn iter(&self) -> impl Iterator<Item = &Cluster> {
        self.known().chain(&self.built_in)
    }

    /// All clusters that have the server that a destination means; none if it means none. Which of
    /// several Argo CD uses is not defined.
    pub fn candidates(
        &self,
        destination: &ApplicationDestination<'_>,
    ) -> impl Iterator<Item = &Cluster> {
        let resolved = self.resolve(destination).ok();
        resolved
            .into_iter()
            .flat_map(|cluster| self.iter().filter(|other| other.server == cluster.server))
    }

    /// All clusters that a destination may mean: its candidates, or where it is none or several,
    /// all that have its name or server.
    pub fn meant(
        &self,
        destination: &ApplicationDestination<'_>,
    ) -> impl Iterator<Item = &Cluster> {
        let resolved = self.resolve(destination).map(|cluster| &cluster.server);
        let (name, server) = (
            destination.name.to_string(),
            destination.server.trim_end_matches('/').to_owned(),
        );
        self.iter().filter(move |cluster| match resolved {
            Ok(server) => cluster.server == *server,
            Err(_) => {
                !name.is_empty() && cluster.name == name
                    || !server.is_empty() && cluster.server == server
            }
        })
    }

    /// The cluster that a destination means.
    ///
    /// # Errors
    /// It means none, or more than one.
    pub fn resolve(
        &self,
        destination: &ApplicationDestination<'_>,
    ) -> Result<&Cluster, DestinationError> {
        let name = destination.name.as_str();
        match (name, destination.server.as_str()) {
            ("", "") => Err(DestinationError::Missing),
            ("", server) => self.by_server(server),
            (_, "") => self.by_name(name),
            _ => Err(DestinationError::NameAndServer {
                name: name.to_owned(),
                server: destination.server.to_string(),
            }),
        }
    }

    fn by_server(&self, written: &str) -> Result<&Cluster, DestinationError> {
        let server = written.trim_end_matches('/');
        let found = self.iter().find(|cluster| cluster.server == server);
        found.ok_or_else(|| {
            if server == IN_CLUSTER_SERVER {
                DestinationError::InClusterDisabled
            } else {
                DestinationError::ServerNotFound(written.to_owned())
            }
        })
    }

    fn by_name(&self, name: &str) -> Result<&Cluster, DestinationError> {
        let mut named = self.known().filter(|cluster| cluster.name == name);
        match (named.next(), named.next()) {
            (Some(cluster), None) => self.by_server(&cluster.server),
            // Two Secrets count as two clusters even if they have the same server as well.
            (Some(first), Some(second)) => Err(DestinationError::NameAmbiguous {
                name: name.to_owned(),
                servers: [first, second]
                    .into_iter()
                    .chain(named)
                    .map(|cluster| cluster.server.clone())
                    .collect(),
            }),
            (None, _) if name == IN_CLUSTER_NAME => self
                .by_server(IN_CLUSTER_SERVER)
                .map_err(|_| DestinationError::NameNotFound(name.to_owned())),
            (None, _) => Err(DestinationError::NameNotFound(name.to_owned())),
        }
    }
}
