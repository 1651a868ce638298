//! The clusters of a live Argo CD.

use std::collections::BTreeMap;

use argocd::cluster::config::AwsAuthConfig;
use argocd::{Application, ApplicationSet, Cluster, ClusterSecret};
use jiff::Timestamp;
use policy::environment::environments_of_cluster;
use policy::{Inventory, Kind};
use serde::Deserialize;
use serde_json::json;

use super::generated::servers_of;
use super::login::{Credential, Login};
use super::{Registration, Usage, VERIFIED};
use crate::error::{CommandError, chain};
use crate::fleet::Facts;
use crate::kubernetes::{AccessError, ApiServer, Objects, objects_of, resource_of};

/// What only its Secret says of a cluster.
struct Registered {
    created: Option<Timestamp>,
    login: Login,
    aws: Option<AwsAuthConfig>,
    credentials: Vec<Credential>,
}

/// The clusters of an Argo CD.
pub(crate) struct Clusters {
    pub(crate) all: Vec<Registration>,
    /// What is known of the fleet.
    pub(crate) inventory: Inventory,
    /// What is not known, as one sentence each.
    pub(crate) lacking: Vec<String>,
}

/// Reads the clusters of an Argo CD.
///
/// # Errors
/// Something cannot be read for another reason than that it is forbidden, or the policy makes no
/// sense.
pub(crate) async fn read(server: &ApiServer, namespace: &str) -> Result<Clusters, CommandError> {
    let mut secrets = BTreeMap::new();
    let see = |json: &str| secrets.extend(registered(json));
    let (mut facts, lacking) = Facts::of_cluster_with_secrets(server, namespace, see).await?;
    let lacking = facts.what_lacks(lacking);
    let inventory = facts.inventory()?;
    Ok(Clusters {
        all: registrations(&inventory, secrets),
        inventory,
        lacking,
    })
}

impl Clusters {
    /// Reads what is on them. What is not known of that is added to what is lacking.
    ///
    /// # Errors
    /// Applications cannot be listed for another reason than that it is forbidden.
    pub(crate) async fn usage(
        &mut self,
        server: &ApiServer,
        namespace: &str,
    ) -> Result<Usage, AccessError> {
        let mut usage = Usage {
            applications: applications(server, namespace, &self.inventory, &mut self.lacking)
                .await?,
            application_sets: BTreeMap::new(),
            undecided_application_sets: Vec::new(),
        };
        usage.add_application_sets(&self.inventory);
        Ok(usage)
    }
}

/// Notes in the Secret of a cluster that its login was proven, and when. Nothing else is changed.
///
/// # Errors
/// It is not changed.
pub(crate) async fn record_proof(
    server: &ApiServer,
    namespace: &str,
    secret: &str,
    now: Timestamp,
) -> Result<(), AccessError> {
    let secrets = objects_of(Kind::ClusterSecret, namespace);
    let change = json!({"metadata": {"annotations": {VERIFIED: now.to_string()}}});
    server.patch(&secrets, secret, &change, false, |_| ()).await
}

fn if_permitted<T>(read: Result<T, AccessError>) -> Result<Option<T>, AccessError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_forbidden() => Ok(None),
        Err(error) => Err(error),
    }
}

/// None for a Secret of which the facts say already that it cannot be read.
fn registered(json: &str) -> Option<(String, Registered)> {
    #[derive(Deserialize)]
    struct Created {
        metadata: CreationTimestamp,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct CreationTimestamp {
        creation_timestamp: Option<Timestamp>,
    }
    let secret: ClusterSecret<'_> = serde_json::from_str(json).ok()?;
    let cluster = secret.cluster().ok()?;
    let created: Option<Created> = serde_json::from_str(json).ok();
    let (login, credentials) = Login::of(&secret, &cluster.server);
    let registered = Registered {
        created: created.and_then(|created| created.metadata.creation_timestamp),
        login,
        aws: secret.config().ok().and_then(|config| config.aws.clone()),
        credentials,
    };
    Some((cluster.secret_name, registered))
}

/// How many Applications there are for each server; None where they may not be listed.
async fn applications(
    server: &ApiServer,
    namespace: &str,
    inventory: &Inventory,
    lacking: &mut Vec<String>,
) -> Result<Option<BTreeMap<String, usize>>, AccessError> {
    let clusters = &inventory.fleet.clusters;
    let read = |json: &str| {
        let application = Application::from_json(json).ok()?;
        let destination = &application.spec.destination;
        Some(clusters.resolve(destination).ok()?.server.clone())
    };
    let all = Objects {
        resource: resource_of(Kind::Application),
        namespace: None,
    };
    let listed = match server.list(&all, None, read).await {
        Err(error) if error.is_forbidden() => {
            lacking.push(format!(
                "{}: only those in namespace {namespace} are counted",
                chain(&error)
            ));
            let own = objects_of(Kind::Application, namespace);
            if_permitted(server.list(&own, None, read).await)?
        }
        listed => Some(listed?),
    };
    let Some(listed) = listed else {
        lacking.push("Applications may not be listed: they are not counted".to_owned());
        return Ok(None);
    };
    let mut by_server = BTreeMap::new();
    for server in listed.into_iter().flatten() {
        *by_server.entry(server).or_default() += 1;
    }
    Ok(Some(by_server))
}

fn registrations(
    inventory: &Inventory,
    mut secrets: BTreeMap<String, Registered>,
) -> Vec<Registration> {
    let clusters = &inventory.fleet.clusters;
    let built_in = clusters.iter().filter(|cluster| is_built_in(cluster));
    let all = clusters.secrets().chain(built_in).map(|cluster| {
        let registered = secrets.remove(&cluster.secret_name);
        let registered = registered.unwrap_or_else(|| Registered {
            created: None,
            login: if is_built_in(cluster) {
                Login::InCluster
            } else {
                Login::Unknown
            },
            aws: None,
            credentials: Vec::new(),
        });
        let environments = environments_of_cluster(cluster, inventory).environments;
        Registration {
            created: registered.created,
            environments: environments
                .iter()
                .map(|environment| environment.environment.to_owned())
                .collect(),
            login: registered.login,
            aws: registered.aws,
            credentials: registered.credentials,
            cluster: cluster.clone(),
        }
    });
    let mut all: Vec<Registration> = all.collect();
    all.sort_by(|a, b| {
        let key = |one: &Registration| (one.cluster.name.clone(), one.cluster.secret_name.clone());
        key(a).cmp(&key(b))
    });
    all
}

/// Whether no Secret describes it.
fn is_built_in(cluster: &Cluster) -> bool {
    cluster.secret_name.is_empty()
}

impl Usage {
    fn add_application_sets(&mut self, inventory: &Inventory) {
        for set in &*inventory.application_sets {
            let name = name_of(set, inventory);
            let generated = servers_of(set, &inventory.fleet.clusters, &*inventory.checkouts);
            for server in generated.servers {
                let names = self.application_sets.entry(server).or_default();
                names.insert(name.clone());
            }
            if !generated.is_known {
                self.undecided_application_sets.push(name);
            }
        }
    }
}

/// The name of an ApplicationSet, with its namespace where that is another than Argo CD's.
fn name_of(set: &ApplicationSet<'_>, inventory: &Inventory) -> String {
    let (namespace, name) = (&set.metadata.namespace, &set.metadata.name);
    if **namespace == *inventory.fleet.control_plane_namespace {
        name.to_string()
    } else {
        format!("{namespace}/{name}")
    }
}
