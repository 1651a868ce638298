//! Reads the releases of a cluster, and what tells who manages them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use argocd::comparison::Ownership;
use argocd::tracking::Tracking;
use futures::StreamExt as _;
use serde_json::Value;

use super::owners::{LiveObject, Owners};
use super::{Content, Installed, Problem};
use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;
use crate::error::chain;
use crate::kubernetes::{AccessError, ApiServer, DiscoveryError, Objects};
use crate::releases::{
    DecodeError, Driver, ManifestError, Release, Status, Stored, StoredError, StoredRevision,
    decode, latest_of_each,
};

/// How many releases of a cluster are read at once.
const RELEASES_AT_ONCE: usize = 8;
/// How many kinds of a cluster are listed at once.
const LISTS_AT_ONCE: usize = 8;

/// The releases of a cluster cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
}

/// A release cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("{object} in namespace {namespace} is gone")]
    Gone { object: String, namespace: String },
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("revision {revision} of release {release} in namespace {namespace}")]
    Manifest {
        revision: u64,
        release: String,
        namespace: String,
        #[source]
        source: ManifestError,
    },
}

/// A release, with the objects that it has.
struct Opened {
    content: Content,
    objects: Vec<Key>,
}

/// Reads the releases of a cluster, of one namespace or of all. What cannot be read of them is a
/// problem, and does not hide the others.
///
/// # Errors
/// The API server does not answer, or Secrets may not be listed.
pub(crate) async fn installed(
    server: &ApiServer,
    cluster: &str,
    namespace: Option<&str>,
    tracking: &Tracking,
) -> Result<(Vec<Installed>, Vec<Problem>), ReadError> {
    let mut problems = Vec::new();
    let mut problem = |message: String| {
        problems.push(Problem {
            cluster: cluster.to_owned(),
            message,
        });
    };
    let mut revisions = Vec::new();
    for driver in Driver::ALL {
        let (labels, fields) = driver.selectors();
        let read = |json: &str| StoredRevision::of(driver, json);
        let objects = objects_of(driver, namespace);
        let listed = server.list_metadata(&objects, Some(labels), fields, read);
        for revision in listed.await? {
            match revision {
                Ok(revision) => revisions.push(revision),
                Err(error) => problem(error.to_string()),
            }
        }
    }
    let releases = latest_of_each(revisions);
    let kinds = Cluster::discover(server).await?;
    let opened = futures::stream::iter(&releases)
        .map(|stored| opened(server, &kinds, stored))
        .buffered(RELEASES_AT_ONCE);
    let opened: Vec<_> = opened.collect().await;
    let mut wanted: BTreeSet<Key> = BTreeSet::new();
    for release in opened.iter().flatten() {
        wanted.extend(release.objects.iter().cloned());
    }
    let (live, unread) = live(server, &kinds, &wanted, tracking).await;
    for message in unread {
        problem(message);
    }
    let mut installed = Vec::with_capacity(releases.len());
    for (stored, opened) in releases.into_iter().zip(opened) {
        let opened = match opened {
            Ok(opened) => Some(opened),
            Err(error) => {
                problem(chain(&error));
                None
            }
        };
        let keys = opened.iter().flat_map(|opened| &opened.objects);
        let newest = &stored.newest;
        let objects = keys.map(|key| live.get(key));
        let owners = Owners::of(newest.revision, &newest.managers, objects);
        installed.push(Installed {
            cluster: cluster.to_owned(),
            owners,
            content: opened.map(|opened| opened.content),
            stored,
        });
    }
    Ok((installed, problems))
}

fn objects_of(driver: Driver, namespace: Option<&str>) -> Objects {
    Objects {
        resource: driver.resource(),
        namespace: namespace.map(str::to_owned),
    }
}

async fn opened(
    server: &ApiServer,
    kinds: &Cluster,
    stored: &Stored,
) -> Result<Opened, ReleaseError> {
    let release = release(server, &stored.newest).await?;
    let objects = release.objects().map_err(|source| ReleaseError::Manifest {
        revision: release.revision,
        release: release.name.clone(),
        namespace: release.namespace.clone(),
        source,
    })?;
    let objects = objects.iter();
    let objects: Vec<Key> = objects
        .map(|object| placed(object, kinds, &release.namespace))
        .collect();
    Ok(Opened {
        content: Content {
            chart: release.chart.metadata,
            last_deployed: release.last_deployed,
            objects: objects.len(),
            hooks: release.hooks.len(),
        },
        objects,
    })
}

/// What names an object on a cluster, where it goes to a namespace that it may not name.
fn placed(object: &Value, kinds: &Cluster, namespace: &str) -> Key {
    let mut key = Key::of(object);
    match kinds.is_namespaced(&key.group, &key.kind) {
        Some(false) => key.namespace.clear(),
        _ if key.namespace.is_empty() => namespace.clone_into(&mut key.namespace),
        _ => {}
    }
    key
}

/// Who writes the objects of a release, as far as they are there. The second value says what could
/// not be listed.
pub(crate) async fn live_objects(
    server: &ApiServer,
    kinds: &Cluster,
    objects: &[Value],
    namespace: &str,
    tracking: &Tracking,
) -> (BTreeMap<Key, LiveObject>, Vec<String>) {
    let keys = objects.iter().map(|one| placed(one, kinds, namespace));
    let (found, unread) = live(server, kinds, &keys.collect(), tracking).await;
    (found.into_iter().collect(), unread)
}

/// The kinds of autoscalers.
const AUTOSCALERS: [(&str, &str); 2] = [
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("keda.sh", "ScaledObject"),
];

/// The autoscalers of a namespace, whoever has made them. The second value says what could not be
/// listed.
pub(crate) async fn autoscalers(
    server: &ApiServer,
    kinds: &Cluster,
    namespace: &str,
) -> (Vec<Value>, Vec<String>) {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for (group, kind) in AUTOSCALERS {
        let Some(resource) = kinds.resource(group, kind) else {
            continue;
        };
        let objects = Objects {
            resource: resource.clone(),
            namespace: Some(namespace.to_owned()),
        };
        // The items of a list do not say of which kind they are.
        let read = |json: &str| {
            let mut object = serde_json::from_str::<Value>(json).ok()?;
            object
                .as_object_mut()?
                .insert("kind".to_owned(), kind.into());
            Some(object)
        };
        match server.list(&objects, None, read).await {
            Ok(listed) => found.extend(listed.into_iter().flatten()),
            Err(error) => unread.push(chain(&error)),
        }
    }
    (found, unread)
}

/// Reads a revision as a whole.
async fn release(server: &ApiServer, revision: &StoredRevision) -> Result<Release, ReleaseError> {
    let objects = objects_of(revision.driver, Some(&revision.namespace));
    let read = |json: &str| decode(revision, json);
    let found = server.get(&objects, &revision.object, read).await?;
    let release = found.ok_or_else(|| ReleaseError::Gone {
        object: format!("{}/{}", revision.driver, revision.object),
        namespace: revision.namespace.clone(),
    })?;
    Ok(release?)
}

/// A release cannot be brought under Argo CD as it is, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OneError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Stored(#[from] StoredError),
    #[error(
        "there is no release {release} in namespace {namespace}; one that is too large for a \
         Secret, or that Helm keeps in a database, is not seen"
    )]
    None { release: String, namespace: String },
    #[error(
        "there are two releases {release} in namespace {namespace}, one in Secrets and one in \
         ConfigMaps"
    )]
    Two { release: String, namespace: String },
    #[error(
        "revision {revision} of the release {release} in namespace {namespace} is {}, and not \
         deployed: what Helm has applied of it is not known",
        .status.as_str()
    )]
    NotDeployed {
        release: String,
        namespace: String,
        revision: u64,
        status: Status,
    },
    #[error(transparent)]
    Release(#[from] Box<ReleaseError>),
}

/// Reads a release that Helm has deployed.
///
/// # Errors
/// There is none of this name, or two, or its newest revision is not deployed or cannot be read.
pub(crate) async fn one(
    server: &ApiServer,
    name: &str,
    namespace: &str,
) -> Result<Release, OneError> {
    let mut revisions = Vec::new();
    for driver in Driver::ALL {
        let (labels, fields) = driver.selectors();
        let labels = format!("{labels},name={name}");
        let read = |json: &str| StoredRevision::of(driver, json);
        let objects = objects_of(driver, Some(namespace));
        let listed = server.list_metadata(&objects, Some(&labels), fields, read);
        for revision in listed.await? {
            revisions.push(revision?);
        }
    }
    let (release, namespace) = (name.to_owned(), namespace.to_owned());
    let mut found = latest_of_each(revisions).into_iter();
    let newest = match (found.next(), found.next()) {
        (None, _) => return Err(OneError::None { release, namespace }),
        (Some(_), Some(_)) => return Err(OneError::Two { release, namespace }),
        (Some(only), None) => only.newest,
    };
    if newest.status != Status::Deployed {
        return Err(OneError::NotDeployed {
            release,
            namespace,
            revision: newest.revision,
            status: newest.status,
        });
    }
    Ok(self::release(server, &newest).await.map_err(Box::new)?)
}

/// What the live objects tell of who manages them: each kind is listed once, its metadata alone.
/// The second value says which kinds could not be listed.
async fn live(
    server: &ApiServer,
    kinds: &Cluster,
    wanted: &BTreeSet<Key>,
    tracking: &Tracking,
) -> (HashMap<Key, LiveObject>, Vec<String>) {
    let mut by_kind: BTreeMap<(&str, &str), BTreeSet<&Key>> = BTreeMap::new();
    for key in wanted {
        let kind = (&*key.group, &*key.kind);
        by_kind.entry(kind).or_default().insert(key);
    }
    let lists = by_kind.into_iter().filter_map(|((group, kind), wanted)| {
        let objects = Objects {
            resource: kinds.resource(group, kind)?.clone(),
            // One namespace need not be asked for those of all.
            namespace: only_namespace(&wanted),
        };
        Some(async move {
            let read = |json: &str| {
                let mut object: Value = serde_json::from_str(json).ok()?;
                object["apiVersion"] = objects.resource.api_version.clone().into();
                object["kind"] = kind.into();
                let key = Key::of(&object);
                let live = live_object(&object, &key, tracking);
                wanted.contains(&key).then_some((key, live))
            };
            server.list_metadata(&objects, None, None, read).await
        })
    });
    let lists = futures::stream::iter(lists).buffered(LISTS_AT_ONCE);
    let lists: Vec<_> = lists.collect().await;
    let (mut live, mut unread) = (HashMap::new(), Vec::new());
    for list in lists {
        match list {
            Ok(objects) => live.extend(objects.into_iter().flatten()),
            Err(error) => unread.push(chain(&error)),
        }
    }
    (live, unread)
}

/// The namespace that all objects are in, if it is one.
fn only_namespace(keys: &BTreeSet<&Key>) -> Option<String> {
    let mut namespaces = keys.iter().map(|key| &key.namespace);
    let first = namespaces.next().filter(|first| !first.is_empty())?;
    namespaces
        .all(|other| other == first)
        .then(|| first.clone())
}

fn live_object(object: &Value, key: &Key, tracking: &Tracking) -> LiveObject {
    let ownership = Ownership::of(object);
    let writers = ownership
        .managers()
        .filter(|one| one.subresource != "status");
    let managers: BTreeSet<String> = writers.map(|one| one.manager.to_owned()).collect();
    // The label is Helm's own as well, and says nothing where Argo CD never wrote.
    let is_written = managers.iter().any(|name| name.starts_with("argocd-"));
    let application = tracking
        .application(object)
        .filter(|_| is_written || !tracking.is_by_label())
        .filter(|_| tracking.is_by_label() || is_marked_as_itself(object, key));
    LiveObject {
        application: application.map(str::to_owned),
        managers,
    }
}

/// Whether a tracking id names the object that has it. One that names another was copied with its
/// manifest (Argo CD 3.6, `isSelfReferencedObj`). An object of the whole cluster has the namespace
/// of the destination in its id.
fn is_marked_as_itself(object: &Value, key: &Key) -> bool {
    let id = object.pointer("/metadata/annotations/argocd.argoproj.io~1tracking-id");
    let mut parts = id
        .and_then(Value::as_str)
        .unwrap_or_default()
        .splitn(3, ':');
    let (kind, name) = (parts.nth(1), parts.next());
    let own = format!("{}/{}", key.namespace, key.name);
    let is_named = |name: &str| {
        let (_, plain) = name.split_once('/').unwrap_or_default();
        name == own || key.namespace.is_empty() && plain == key.name
    };
    kind == Some(&format!("{}/{}", key.group, key.kind)) && name.is_some_and(is_named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marked(tracking: &Tracking, id: &str, manager: &str) -> Option<String> {
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "orders",
                "namespace": "shop",
                "labels": {"app.kubernetes.io/instance": "orders"},
                "annotations": {"argocd.argoproj.io/tracking-id": id},
                "managedFields": [
                    {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {}}},
                ],
            },
        });
        live_object(&object, &Key::of(&object), tracking).application
    }

    #[test]
    fn an_application_is_known_by_the_tracking_id_of_the_object_itself() {
        let tracking = Tracking::default();
        let of = |id| marked(&tracking, id, "helm");
        let own = "dns:apps/Deployment:shop/orders";
        assert_eq!(of(own).as_deref(), Some("dns"));
        assert_eq!(of("dns:apps/Deployment:shop/other"), None);
        assert_eq!(of("dns:/Service:shop/orders"), None);
        assert_eq!(of("dns"), None);
    }

    #[test]
    fn a_label_counts_only_where_argo_cd_wrote() {
        let method = |key: &str| (key == "application.resourceTrackingMethod").then_some("label");
        let tracking = Tracking::of(method);
        assert_eq!(marked(&tracking, "", "helm"), None);
        let by_argo_cd = marked(&tracking, "", "argocd-controller");
        assert_eq!(by_argo_cd.as_deref(), Some("orders"));
    }

    #[test]
    fn an_object_of_the_whole_cluster_has_the_namespace_of_the_destination_in_its_id() {
        let id = "dns:rbac.authorization.k8s.io/ClusterRole:shop/reader";
        let object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "reader", "annotations": {"argocd.argoproj.io/tracking-id": id}},
        });
        assert!(is_marked_as_itself(&object, &Key::of(&object)));
    }
}
