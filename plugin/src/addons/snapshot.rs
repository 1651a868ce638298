//! Objects and Pods before a takeover and after it: what tells that none was replaced or restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;
use crate::kubernetes::{AccessError, ApiServer, Objects, resource};

/// How many objects are read at once.
const AT_ONCE: usize = 8;

/// The objects of an addon on a cluster, and the Pods of its workloads.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    pub(crate) objects: Vec<ObjectState>,
    pub(crate) pods: Vec<PodState>,
}

/// What a ticket shows of an object or a Pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) generation: Option<i64>,
    pub(crate) template: Option<String>,
    pub(crate) restarts: Option<i64>,
}

/// What tells an object from another of its name, and whether it was changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectState {
    group: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    #[serde(with = "instant")]
    created: Option<Timestamp>,
    generation: Option<i64>,
    /// SHA-256 of its spec without the number of replicas. The API server counts a new annotation of
    /// a Deployment as a generation, too.
    spec: Option<String>,
    /// How many replicas were wanted.
    replicas: Option<i64>,
    /// By which template its Pods are made: the newest of a Deployment's `ReplicaSets`, or what
    /// a `StatefulSet` is updated to.
    template: Option<Template>,
}

/// A version of a Pod template.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Template {
    hash: String,
    #[serde(with = "instant")]
    created: Option<Timestamp>,
}

/// A Pod, and how often its containers were started anew.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodState {
    namespace: String,
    name: String,
    uid: String,
    #[serde(with = "instant")]
    created: Option<Timestamp>,
    /// `kind/name` of what it is a Pod of.
    workload: String,
    template_hash: Option<String>,
    restarts: i64,
    /// When the last of its containers was started.
    #[serde(with = "instant")]
    started: Option<Timestamp>,
}

impl ObjectState {
    /// The same as [`PodState::row`].
    pub(crate) fn row(&self) -> Row {
        Row {
            what: self.workload(),
            namespace: self.namespace.clone(),
            uid: self.uid.clone(),
            generation: self.generation,
            template: self.template.as_ref().map(|template| template.hash.clone()),
            restarts: None,
        }
    }

    fn of(key: &Key, object: &Value) -> Self {
        let metadata = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ObjectState {
            group: key.group.clone(),
            kind: key.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            uid: text(&metadata["uid"]),
            created: time(&metadata["creationTimestamp"]),
            generation: metadata["generation"].as_i64(),
            spec: object.get("spec").map(digest),
            replicas: object.pointer("/spec/replicas").and_then(Value::as_i64),
            template: object
                .pointer("/status/updateRevision")
                .and_then(Value::as_str)
                .map(|hash| Template {
                    hash: hash.to_owned(),
                    created: None,
                }),
        }
    }

    /// `deployment/dns in namespace dns`.
    fn words(&self) -> String {
        let place = match &*self.namespace {
            "" => String::new(),
            namespace => format!(" in namespace {namespace}"),
        };
        format!("{}{place}", self.workload())
    }

    fn workload(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.group == other.group
            && self.kind == other.kind
            && self.namespace == other.namespace
            && self.name == other.name
    }
}

impl PodState {
    /// `pod/dns-1` with what tells whether it is another one or was restarted.
    pub(crate) fn row(&self) -> Row {
        Row {
            what: format!("pod/{}", self.name),
            namespace: self.namespace.clone(),
            uid: self.uid.clone(),
            generation: None,
            template: self.template_hash.clone(),
            restarts: Some(self.restarts),
        }
    }

    fn of(workload: &str, pod: &Value) -> Self {
        let metadata = &pod["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let labels = &metadata["labels"];
        let hash = ["pod-template-hash", "controller-revision-hash"]
            .into_iter()
            .find_map(|label| labels[label].as_str());
        let containers = ["initContainerStatuses", "containerStatuses"]
            .into_iter()
            .filter_map(|list| pod["status"][list].as_array())
            .flatten();
        let restarts = containers
            .clone()
            .filter_map(|one| one["restartCount"].as_i64());
        let started = containers.filter_map(|one| time(&one["state"]["running"]["startedAt"]));
        PodState {
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
            uid: text(&metadata["uid"]),
            created: time(&metadata["creationTimestamp"]),
            workload: workload.to_owned(),
            template_hash: hash.map(str::to_owned),
            restarts: restarts.sum(),
            started: started.max(),
        }
    }

    fn words(&self) -> String {
        format!("pod/{} in namespace {}", self.name, self.namespace)
    }
}

/// Times as texts, as Kubernetes writes them.
pub(crate) mod instant {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands a field over like this")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let time = text.map(|text| text.parse().map_err(D::Error::custom));
        time.transpose()
    }
}

fn digest(spec: &Value) -> String {
    let mut spec = spec.clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("replicas");
    }
    let digest = Sha256::digest(spec.to_string());
    let mut text = String::new();
    for byte in &digest {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

impl Snapshot {
    /// Reads objects, and the Pods of those that have some. What is not there is left out.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) async fn read(
        server: &ApiServer,
        kinds: &Cluster,
        keys: &[Key],
    ) -> Result<Self, AccessError> {
        let read = futures::stream::iter(keys)
            .map(|key| of_key(server, kinds, key))
            .buffered(AT_ONCE);
        let read: Vec<_> = read.collect().await;
        let mut snapshot = Snapshot::default();
        for one in read {
            if let Some((object, pods)) = one? {
                snapshot.objects.push(object);
                snapshot.pods.extend(pods);
            }
        }
        Ok(snapshot)
    }

    /// What was replaced or restarted since; nothing is the proof. That somebody, or an autoscaler,
    /// has scaled a workload is no restart of what stays.
    pub(crate) fn changes(&self, after: &Snapshot) -> Vec<String> {
        let mut changes = Vec::new();
        let mut scaled: BTreeMap<String, i64> = BTreeMap::new();
        for before in &self.objects {
            let words = before.words();
            let Some(now) = after.objects.iter().find(|now| now.is_same(before)) else {
                changes.push(format!("{words} is gone"));
                continue;
            };
            let difference = now.replicas.unwrap_or_default() - before.replicas.unwrap_or_default();
            scaled.insert(before.workload(), difference);
            if now.uid != before.uid {
                changes.push(format!("{words} was replaced"));
                continue;
            }
            if now.generation != before.generation && now.spec != before.spec {
                let number = |of: Option<i64>| of.map_or("none".to_owned(), |of| of.to_string());
                let (old, new) = (number(before.generation), number(now.generation));
                changes.push(format!(
                    "{words} was changed: generation {old} became {new}"
                ));
            }
            if let (Some(old), Some(new)) = (&before.template, &now.template)
                && old.hash != new.hash
            {
                let (old, new) = (&old.hash, &new.hash);
                changes.push(format!(
                    "the Pod template of {words} was changed: {old} became {new}"
                ));
            }
        }
        changes.extend(self.changes_of_pods(after, &scaled));
        changes
    }

    fn changes_of_pods(&self, after: &Snapshot, scaled: &BTreeMap<String, i64>) -> Vec<String> {
        let difference = |pod: &PodState| scaled.get(&pod.workload).copied().unwrap_or_default();
        let uids = |pods: &[PodState]| -> BTreeSet<String> {
            pods.iter().map(|pod| pod.uid.clone()).collect()
        };
        let mut changes = Vec::new();
        for before in &self.pods {
            let words = before.words();
            match after.pods.iter().find(|now| now.uid == before.uid) {
                None if difference(before) < 0 => {}
                None => changes.push(format!("{words} is gone")),
                Some(now) if now.restarts > before.restarts => {
                    let (old, new) = (before.restarts, now.restarts);
                    changes.push(format!(
                        "{words} was restarted: {old} restarts became {new}"
                    ));
                }
                Some(_) => {}
            }
        }
        let known = uids(&self.pods);
        let new = after.pods.iter().filter(|pod| !known.contains(&pod.uid));
        let new = new.filter(|pod| difference(pod) <= 0);
        changes.extend(new.map(|pod| format!("{} was created", pod.words())));
        changes
    }

    /// What was made or started since a time, where nobody has looked before.
    pub(crate) fn changes_since(&self, since: Timestamp) -> Vec<String> {
        let at = |time: Option<Timestamp>| time.filter(|time| *time >= since);
        let mut changes = Vec::new();
        for object in &self.objects {
            let words = object.words();
            if let Some(created) = at(object.created) {
                changes.push(format!("{words} was created at {created}"));
            }
            let template = object.template.as_ref();
            if let Some(created) = at(template.and_then(|template| template.created)) {
                changes.push(format!(
                    "the Pod template of {words} was changed at {created}"
                ));
            }
        }
        for pod in &self.pods {
            let words = pod.words();
            if let Some(created) = at(pod.created) {
                changes.push(format!("{words} was created at {created}"));
            } else if let Some(started) = at(pod.started) {
                changes.push(format!("{words} was restarted at {started}"));
            }
        }
        changes
    }
}

/// The kinds that have Pods by a selector.
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

async fn of_key(
    server: &ApiServer,
    kinds: &Cluster,
    key: &Key,
) -> Result<Option<(ObjectState, Vec<PodState>)>, AccessError> {
    let Some(resource_of_key) = kinds.resource(&key.group, &key.kind) else {
        return Ok(None);
    };
    let namespace = Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty());
    let objects = Objects {
        resource: resource_of_key.clone(),
        namespace: namespace.clone(),
    };
    // Nothing but what tells it from others is kept: it may be a Secret.
    let read = |json: &str| {
        let object: Value = serde_json::from_str(json).unwrap_or_default();
        (ObjectState::of(key, &object), selector(&object))
    };
    let Some((mut state, selector)) = server.get(&objects, &key.name, read).await? else {
        return Ok(None);
    };
    let selector =
        selector.filter(|_| key.group == "apps" && WORKLOADS.iter().any(|kind| *kind == key.kind));
    let Some(selector) = selector else {
        return Ok(Some((state, Vec::new())));
    };
    let workload = state.workload();
    let pods = Objects {
        resource: resource("", "v1", "Pod", "pods"),
        namespace: namespace.clone(),
    };
    let read = |json: &str| {
        let pod: Value = serde_json::from_str(json).unwrap_or_default();
        PodState::of(&workload, &pod)
    };
    let pods = server.list(&pods, Some(&selector), read).await?;
    if key.kind == "Deployment" {
        let sets = Objects {
            resource: resource("apps", "v1", "ReplicaSet", "replicasets"),
            namespace,
        };
        let read = |json: &str| newest(&serde_json::from_str(json).unwrap_or_default(), &state.uid);
        let sets = server.list(&sets, Some(&selector), read).await?;
        let newest = sets
            .into_iter()
            .flatten()
            .max_by_key(|(revision, _)| *revision);
        state.template = newest.map(|(_, template)| template);
    }
    Ok(Some((state, pods)))
}

/// The labels of a workload's Pods.
fn selector(object: &Value) -> Option<String> {
    let labels = object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let labels = labels
        .iter()
        .map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let labels: Option<Vec<String>> = labels.collect();
    labels
        .map(|labels| labels.join(","))
        .filter(|labels| !labels.is_empty())
}

/// The revision and the template of a `ReplicaSet`, if a Deployment owns it.
fn newest(set: &Value, deployment: &str) -> Option<(u64, Template)> {
    let metadata = &set["metadata"];
    let mut owners = metadata["ownerReferences"].as_array()?.iter();
    owners.find(|owner| owner["uid"] == deployment)?;
    let revision = metadata["annotations"]["deployment.kubernetes.io/revision"].as_str();
    Some((
        revision
            .and_then(|revision| revision.parse().ok())
            .unwrap_or_default(),
        Template {
            hash: metadata["labels"]["pod-template-hash"].as_str()?.to_owned(),
            created: time(&metadata["creationTimestamp"]),
        },
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BEFORE: &str = "2026-12-01T09:00:00Z";
    const SYNC: &str = "2026-12-01T10:00:00Z";
    const AFTER: &str = "2026-12-01T10:00:05Z";

    fn deployment(more: &Value) -> ObjectState {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "dns", "namespace": "dns", "uid": "a", "generation": 3,
                "creationTimestamp": BEFORE,
            },
            "spec": {"replicas": 2},
        });
        json_patch::merge(&mut object, more);
        ObjectState::of(&Key::of(&object), &object)
    }

    fn pod(uid: &str, more: &Value) -> PodState {
        let mut pod = json!({
            "metadata": {
                "name": format!("dns-{uid}"), "namespace": "dns", "uid": uid,
                "creationTimestamp": BEFORE, "labels": {"pod-template-hash": "1"},
            },
            "status": {"containerStatuses": [
                {"restartCount": 1, "state": {"running": {"startedAt": BEFORE}}},
            ]},
        });
        json_patch::merge(&mut pod, more);
        PodState::of("deployment/dns", &pod)
    }

    fn snapshot(object: ObjectState, pods: Vec<PodState>) -> Snapshot {
        Snapshot {
            objects: vec![object],
            pods,
        }
    }

    fn untouched() -> Snapshot {
        snapshot(
            deployment(&json!({})),
            vec![pod("p", &json!({})), pod("q", &json!({}))],
        )
    }

    #[test]
    fn what_stays_as_it_is_is_no_change() {
        assert_eq!(untouched().changes(&untouched()), Vec::<String>::new());
        let since = SYNC.parse().unwrap();
        assert_eq!(untouched().changes_since(since), Vec::<String>::new());
        let kept = serde_json::to_string(&untouched()).unwrap();
        assert_eq!(
            serde_json::from_str::<Snapshot>(&kept).unwrap(),
            untouched()
        );
    }

    #[test]
    fn each_replacement_and_restart_is_told() {
        let pods = || untouched().pods;
        for (after, expected) in [
            (
                snapshot(deployment(&json!({"metadata": {"uid": "b"}})), pods()),
                "deployment/dns in namespace dns was replaced",
            ),
            (
                snapshot(
                    deployment(&json!({"metadata": {"generation": 4}, "spec": {"paused": true}})),
                    pods(),
                ),
                "deployment/dns in namespace dns was changed: generation 3 became 4",
            ),
            (
                Snapshot {
                    pods: pods(),
                    ..Snapshot::default()
                },
                "deployment/dns in namespace dns is gone",
            ),
            (
                snapshot(
                    deployment(&json!({})),
                    vec![
                        pod(
                            "p",
                            &json!({"status": {"containerStatuses": [{"restartCount": 2}]}}),
                        ),
                        pod("q", &json!({})),
                    ],
                ),
                "pod/dns-p in namespace dns was restarted: 1 restarts became 2",
            ),
            (
                snapshot(deployment(&json!({})), vec![pod("p", &json!({}))]),
                "pod/dns-q in namespace dns is gone",
            ),
        ] {
            assert_eq!(untouched().changes(&after), [expected]);
        }
        let replaced = snapshot(
            deployment(&json!({})),
            vec![pod("p", &json!({})), pod("r", &json!({}))],
        );
        assert_eq!(
            untouched().changes(&replaced),
            [
                "pod/dns-q in namespace dns is gone",
                "pod/dns-r in namespace dns was created"
            ]
        );
    }

    #[test]
    fn another_template_is_told() {
        let with = |hash: &str| {
            let mut object = deployment(&json!({}));
            object.template = Some(Template {
                hash: hash.to_owned(),
                created: SYNC.parse().ok(),
            });
            snapshot(object, Vec::new())
        };
        assert_eq!(
            with("1").changes(&with("2")),
            ["the Pod template of deployment/dns in namespace dns was changed: 1 became 2"]
        );
        assert_eq!(
            with("1").changes_since(SYNC.parse().unwrap()),
            [format!(
                "the Pod template of deployment/dns in namespace dns was changed at {SYNC}"
            )]
        );
    }

    /// It had been believed that a generation is a change of the spec.
    #[test]
    fn a_mark_on_a_deployment_is_a_generation_and_no_change() {
        let more = json!({"metadata": {
            "generation": 4, "annotations": {"argocd.argoproj.io/tracking-id": "prod-dns:a"},
        }});
        let marked = snapshot(deployment(&more), untouched().pods);
        assert_eq!(untouched().changes(&marked), Vec::<String>::new());
    }

    #[test]
    fn what_an_autoscaler_does_is_no_restart() {
        let scaled = |replicas: i64, pods| {
            let more = json!({"metadata": {"generation": 4}, "spec": {"replicas": replicas}});
            snapshot(deployment(&more), pods)
        };
        let more = vec![
            pod("p", &json!({})),
            pod("q", &json!({})),
            pod("r", &json!({})),
        ];
        assert!(untouched().changes(&scaled(3, more)).is_empty());
        let fewer = vec![pod("p", &json!({}))];
        assert!(untouched().changes(&scaled(1, fewer)).is_empty());
    }

    /// So it is known where the command was cut off, and nobody has kept what was before.
    #[test]
    fn what_was_made_since_the_sync_is_known_by_its_time() {
        let since: Timestamp = SYNC.parse().unwrap();
        let created = json!({"metadata": {"creationTimestamp": AFTER}});
        let after = snapshot(deployment(&created), vec![pod("p", &created)]);
        assert_eq!(
            after.changes_since(since),
            [
                format!("deployment/dns in namespace dns was created at {AFTER}"),
                format!("pod/dns-p in namespace dns was created at {AFTER}"),
            ]
        );
        let started = json!({"status": {"containerStatuses": [
            {"restartCount": 2, "state": {"running": {"startedAt": AFTER}}},
        ]}});
        let after = snapshot(deployment(&json!({})), vec![pod("p", &started)]);
        assert_eq!(
            after.changes_since(since),
            [format!(
                "pod/dns-p in namespace dns was restarted at {AFTER}"
            )]
        );
    }

    #[test]
    fn pods_are_those_of_the_selector() {
        let of = |selector: Value| self::selector(&json!({"spec": {"selector": selector}}));
        assert_eq!(
            of(json!({"matchLabels": {"a": "1", "b": "2"}})).as_deref(),
            Some("a=1,b=2")
        );
        // A Service has a selector of another form.
        assert_eq!(of(json!({"app": "dns"})), None);
    }
}
