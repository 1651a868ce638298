//! What is on a cluster, and doing what it takes for it to leave.

use std::collections::BTreeSet;
use std::time::Duration;

use argocd::names::RESOURCES_FINALIZER;
use argocd::{Application, Cluster};
use policy::{Inventory, Kind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Action, Generator, Named, OnCluster};
use crate::clusters::generated::servers_of;
use crate::kubernetes::{AccessError, ApiServer, Objects, objects_of, resource_of};
use crate::plan::Outcome;
use crate::wait::Wait;

/// How long Argo CD may take to delete an Application with all that it deploys.
const DELETION: Duration = Duration::from_mins(10);

/// How often it is looked whether that is done.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why a step is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(
        "application/{name} in {namespace} is still there after {} min: `kubectl describe application {name} -n {namespace}` says what keeps it",
        DELETION.as_secs() / 60
    )]
    StillThere { namespace: String, name: String },
    #[error("secret/{0} is gone, or another one has its name")]
    NoSecret(String),
}

/// The Applications on a cluster.
///
/// # Errors
/// They cannot be listed, in any namespace.
pub(crate) async fn applications_on(
    server: &ApiServer,
    cluster: &Cluster,
    inventory: &Inventory,
) -> Result<Vec<OnCluster>, AccessError> {
    let all = Objects {
        resource: resource_of(Kind::Application),
        namespace: None,
    };
    let any = selecting_any(cluster, inventory);
    let read = |json: &str| on_cluster(json, cluster, inventory, &any);
    let listed = server.list(&all, None, read).await?;
    Ok(listed.into_iter().flatten().collect())
}

fn on_cluster(
    json: &str,
    cluster: &Cluster,
    inventory: &Inventory,
    any: &BTreeSet<String>,
) -> Option<OnCluster> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Deployed {
        status: Status,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        resources: Vec<Map<String, Value>>,
    }
    let application = Application::from_json(json).ok()?;
    let destination = inventory
        .fleet
        .clusters
        .resolve(&application.spec.destination);
    if destination.ok()?.server != cluster.server {
        return None;
    }
    let deployed: Deployed = serde_json::from_str(json).unwrap_or_default();
    let metadata = &application.metadata;
    let generator = metadata.application_set().map(|owner| {
        let sets = inventory.application_sets.iter();
        let mut own = sets.filter(|set| {
            set.metadata.name == owner.name && set.metadata.namespace == metadata.namespace
        });
        let controller = inventory.application_set_controller;
        Generator {
            name: owner.name.to_string(),
            deletes: own
                .next()
                .is_none_or(|set| controller.applications_sync(&set.spec).deletes()),
            selects_any: any.contains(owner.name.as_str()),
        }
    });
    Some(OnCluster {
        namespace: metadata.namespace.to_string(),
        name: metadata.name.to_string(),
        uid: metadata.uid.to_string(),
        generator,
        parent: parent(&application),
        resources: deployed.status.resources.len(),
        finalizers: metadata
            .finalizers
            .iter()
            .map(ToString::to_string)
            .collect(),
    })
}

/// The Application that deploys this one, by Argo CD's tracking annotation
/// (`<application>:<group>/<kind>:<namespace>/<name>`).
fn parent(application: &Application<'_>) -> Option<String> {
    let id = application
        .metadata
        .annotations
        .get("argocd.argoproj.io/tracking-id")?;
    let (parent, _) = id.split_once(':')?;
    Some(parent.to_owned())
}

/// The ApplicationSets that generate for the cluster also if it has no labels.
fn selecting_any(cluster: &Cluster, inventory: &Inventory) -> BTreeSet<String> {
    let bare = Cluster {
        labels: cluster
            .labels
            .iter()
            .filter(|(key, _)| *key == argocd::names::LABEL_SECRET_TYPE)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
        ..cluster.clone()
    };
    let fleet = inventory.fleet.replacing_cluster(Some(cluster), Some(bare));
    let sets = inventory.application_sets.iter();
    let generates = sets.filter(|set| {
        let generated = servers_of(set, &fleet.clusters, &*inventory.checkouts);
        // What is not known may be.
        !generated.is_known || generated.servers.contains(&cluster.server)
    });
    generates.map(|set| set.metadata.name.to_string()).collect()
}

/// What does the steps.
pub(crate) struct Offboarding<'o> {
    pub(crate) server: &'o ApiServer,
    pub(crate) argocd_namespace: &'o str,
}

impl Offboarding<'_> {
    /// Does one of them, or only asks.
    ///
    /// # Errors
    /// It is not done.
    pub(crate) async fn act(&self, action: &Action, only_ask: bool) -> Result<Outcome, Failure> {
        match action {
            Action::TakeLabels { secret, keys } => self.take_labels(secret, keys, only_ask).await?,
            Action::DeleteApplication(one) => {
                self.change_finalizers(one, &with_cascade(&one.finalizers), only_ask)
                    .await?;
                self.delete_application(one, only_ask).await?;
                if !only_ask {
                    self.gone(one).await?;
                }
            }
            Action::ReleaseApplication(one) => {
                self.change_finalizers(one, &[], only_ask).await?;
                self.delete_application(one, only_ask).await?;
            }
            Action::AwaitDeletion(_) if only_ask => return Ok(Outcome::NotAsked),
            Action::AwaitDeletion(one) => self.gone(one).await?,
            Action::DeleteSecret { secret } => self.delete_secret(secret, only_ask).await?,
        }
        Ok(if only_ask {
            Outcome::WouldBeDone
        } else {
            Outcome::Done
        })
    }

    fn secrets(&self) -> Objects {
        objects_of(Kind::ClusterSecret, self.argocd_namespace)
    }

    async fn take_labels(
        &self,
        secret: &str,
        keys: &[String],
        only_ask: bool,
    ) -> Result<(), AccessError> {
        let labels = keys.iter().map(|key| (key.clone(), Value::Null));
        let labels: Map<_, _> = labels.collect();
        let change = json!({"metadata": {"labels": labels}});
        let secrets = self.secrets();
        self.server
            .patch(&secrets, secret, &change, only_ask, |_| ())
            .await
    }

    async fn change_finalizers(
        &self,
        one: &Named,
        finalizers: &[String],
        only_ask: bool,
    ) -> Result<(), AccessError> {
        if one.finalizers == finalizers {
            return Ok(());
        }
        let change = json!({"metadata": {"uid": one.uid, "finalizers": finalizers}});
        let objects = applications(one);
        self.server
            .patch(&objects, &one.name, &change, only_ask, |_| ())
            .await
    }

    async fn delete_application(&self, one: &Named, only_ask: bool) -> Result<(), AccessError> {
        self.server
            .delete(&applications(one), &one.name, &one.uid, only_ask)
            .await
    }

    /// Waits until an Application is gone, or another one has its name.
    async fn gone(&self, one: &Named) -> Result<(), Failure> {
        let mut wait = Wait::up_to(DELETION, INTERVAL);
        let objects = applications(one);
        loop {
            let uid = self.server.get(&objects, &one.name, uid_of).await?;
            if uid.is_none_or(|uid| uid != one.uid) {
                return Ok(());
            }
            if !wait.goes_on().await {
                return Err(Failure::StillThere {
                    namespace: one.namespace.clone(),
                    name: one.name.clone(),
                });
            }
        }
    }

    async fn delete_secret(&self, secret: &str, only_ask: bool) -> Result<(), Failure> {
        let secrets = self.secrets();
        let uid = self.server.get(&secrets, secret, uid_of).await?;
        let uid = uid.ok_or_else(|| Failure::NoSecret(secret.to_owned()))?;
        Ok(self.server.delete(&secrets, secret, &uid, only_ask).await?)
    }
}

fn applications(one: &Named) -> Objects {
    objects_of(Kind::Application, &one.namespace)
}

fn uid_of(json: &str) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Metadata {
        uid: String,
    }
    serde_json::from_str::<Object>(json)
        .unwrap_or_default()
        .metadata
        .uid
}

/// With the finalizer by which Argo CD deletes what the Application deploys.
fn with_cascade(finalizers: &[String]) -> Vec<String> {
    let mut finalizers = finalizers.to_vec();
    if !finalizers
        .iter()
        .any(|one| argocd::names::RESOURCES_FINALIZERS.contains(&one.as_str()))
    {
        finalizers.push(RESOURCES_FINALIZER.to_owned());
    }
    finalizers
}
