//! Applications that are right, or wrong in one known way.

use fastrand::Rng;
use serde_json::{Value, json};

use super::TIME;
use crate::fleet::{ARGOCD_NAMESPACE, Environment, Project, WorkloadCluster};

/// How an Application is wrong.
///
/// An unknown project is not among them: before it is denied the webhook waits up to a second for
/// news of it, which would say nothing about the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Violation {
    /// Production is synced automatically.
    AutoSync,
    /// The replicas of a workload on production are not ignored.
    ReplicasNotIgnored,
    /// Its repository is not one of the project's.
    ForeignRepository,
    /// Its namespace is not one of the project's.
    ForeignNamespace,
}

impl Violation {
    /// The violation of a number, which may be any.
    pub fn numbered(number: usize) -> Self {
        match number % 4 {
            0 => Violation::AutoSync,
            1 => Violation::ReplicasNotIgnored,
            2 => Violation::ForeignRepository,
            _ => Violation::ForeignNamespace,
        }
    }

    /// Whether it is one on production alone.
    fn is_of_production(self) -> bool {
        matches!(self, Violation::AutoSync | Violation::ReplicasNotIgnored)
    }
}

pub(super) struct Application {
    number: usize,
    project: Project,
    cluster: WorkloadCluster,
    violation: Option<Violation>,
}

impl Application {
    pub(super) fn new(number: usize, violation: Option<Violation>) -> Self {
        let project = if violation.is_some_and(Violation::is_of_production) {
            Project::numbered(number | 1)
        } else {
            Project::numbered(number)
        };
        Application {
            number,
            project,
            cluster: WorkloadCluster::of(project.environment(), number / 2),
            violation,
        }
    }

    fn has(&self, violation: Violation) -> bool {
        self.violation == Some(violation)
    }

    fn name(&self) -> String {
        format!("{}-service-{:05}", self.project.team(), self.number)
    }

    fn namespace(&self) -> String {
        if self.has(Violation::ForeignNamespace) {
            "kube-system".to_owned()
        } else {
            format!("{}-shop", self.project.team())
        }
    }

    fn project_name(&self) -> String {
        self.project.name()
    }

    fn repository(&self) -> String {
        let team = self.project.team();
        if self.has(Violation::ForeignRepository) {
            format!("https://git.example.org/{team}/charts.git")
        } else {
            format!("https://git.example.com/{team}/charts.git")
        }
    }

    fn source(&self, release: u32) -> Value {
        let number = self.number;
        json!({
            "helm": {
                "releaseName": self.name(),
                "valueFiles": ["values.yaml", format!("values-{}.yaml", self.cluster.name())],
                "valuesObject": {
                    "image": {"repository": "registry.example.com/shop/service", "tag": format!("1.{number}.{release}")},
                    "ingress": {"enabled": true, "host": format!("service-{number}.shop.example.com")},
                    "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "250m", "memory": "256Mi"}},
                },
            },
            "path": format!("charts/service-{number:05}"),
            "repoURL": self.repository(),
            "targetRevision": format!("v1.{number}.{release}"),
        })
    }

    fn sync_policy(&self) -> Value {
        let options = json!([
            "CreateNamespace=true",
            "RespectIgnoreDifferences=true",
            "ServerSideApply=true"
        ]);
        let automated = match self.project.environment() {
            Environment::Staging => true,
            Environment::Prod => self.has(Violation::AutoSync),
        };
        if automated {
            json!({"automated": {"prune": true, "selfHeal": true}, "syncOptions": options})
        } else {
            json!({"syncOptions": options})
        }
    }

    /// `spec` with this release to be deployed.
    pub(super) fn spec(&self, release: u32) -> Value {
        let mut spec = json!({
            "destination": {"name": self.cluster.name(), "namespace": self.namespace()},
            "ignoreDifferences": [
                {"group": "apps", "jsonPointers": ["/spec/replicas"], "kind": "Deployment"},
            ],
            "project": self.project_name(),
            "revisionHistoryLimit": 5,
            "source": self.source(release),
            "syncPolicy": self.sync_policy(),
        });
        if self.has(Violation::ReplicasNotIgnored) {
            spec["ignoreDifferences"] = json!([
                {"group": "apps", "jsonPointers": ["/spec/paused"], "kind": "Deployment"},
            ]);
        }
        spec
    }

    /// As somebody writes it.
    pub(super) fn manifest(&self) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "labels": {"app.kubernetes.io/part-of": "shop", "team": self.project.team()},
                "name": self.name(),
                "namespace": ARGOCD_NAMESPACE,
            },
            "spec": self.spec(1),
        })
    }

    /// As the API server has it when it is about to be created.
    pub(super) fn created(&self, random: &mut Rng) -> Value {
        let mut object = self.manifest();
        object["metadata"]["annotations"] = json!({
            "kubectl.kubernetes.io/last-applied-configuration": format!("{}\n", self.manifest()),
        });
        store(&mut object, "kubectl-client-side-apply", random);
        object
    }

    /// As Argo CD keeps it, with a status of 20 to 60 KB.
    pub(super) fn living(&self, release: u32, random: &mut Rng) -> Value {
        let mut object = self.manifest();
        object["spec"] = self.spec(release);
        store(&mut object, "argocd-application-controller", random);
        object["metadata"]["generation"] = json!(7);
        object["metadata"]["resourceVersion"] = json!(random.u32(100_000..).to_string());
        let size = random.usize(19_700..59_700);
        object["status"] = self.status(size, random);
        object
    }

    /// A status of at least this size, with as many resources as it takes.
    fn status(&self, size: usize, random: &mut Rng) -> Value {
        let revision = revision(random);
        let images = (0..4).map(|image| {
            format!(
                "registry.example.com/shop/image-{image}:1.{}.1",
                self.number
            )
        });
        let mut status = json!({
            "controllerNamespace": ARGOCD_NAMESPACE,
            "health": {"lastTransitionTime": TIME, "status": "Healthy"},
            "history": (0..5).map(|id| self.history_entry(id, random)).collect::<Value>(),
            "operationState": {
                "finishedAt": TIME,
                "message": "successfully synced (all tasks run)",
                "operation": {
                    "initiatedBy": {"automated": true},
                    "retry": {"limit": 5},
                    "sync": {"prune": true, "revision": revision},
                },
                "phase": "Succeeded",
                "startedAt": TIME,
                "syncResult": {"resources": [], "revision": revision, "source": self.source(1)},
            },
            "reconciledAt": TIME,
            "resourceHealthSource": "appTree",
            "resources": [],
            "sourceHydrator": {},
            "sourceType": "Helm",
            "summary": {"images": images.collect::<Value>()},
            "sync": {
                "comparedTo": {
                    "destination": {"name": self.cluster.name(), "namespace": self.namespace()},
                    "source": self.source(1),
                },
                "revision": revision,
                "status": "Synced",
            },
        });
        // All of a kind are as long as the first.
        let lengths: [usize; RESOURCES.len()] = std::array::from_fn(|number| {
            let (resource, result) = self.resource(number);
            resource.to_string().len() + result.to_string().len() + 2
        });
        let (mut resources, mut results) = (Vec::new(), Vec::new());
        let mut written = status.to_string().len();
        while written < size {
            let number = resources.len();
            let (resource, result) = self.resource(number);
            written += lengths[number % lengths.len()];
            resources.push(resource);
            results.push(result);
        }
        status["resources"] = Value::Array(resources);
        status["operationState"]["syncResult"]["resources"] = Value::Array(results);
        status
    }

    fn history_entry(&self, id: u32, random: &mut Rng) -> Value {
        json!({
            "deployStartedAt": TIME,
            "deployedAt": TIME,
            "id": id,
            "initiatedBy": {"automated": true},
            "revision": revision(random),
            "source": self.source(id),
        })
    }

    /// What the status says of a resource: how it is, and how its last sync went.
    fn resource(&self, number: usize) -> (Value, Value) {
        let (group, version, kind, verb) = RESOURCES[number % RESOURCES.len()];
        let name = format!("{}-part-{number:03}", self.name());
        let namespace = self.namespace();
        let message = format!("{}.{group}/{name} {verb}", kind.to_lowercase());
        let mut resource = json!({
            "group": group,
            "kind": kind,
            "name": name,
            "namespace": namespace,
            "status": "Synced",
            "version": version,
        });
        if kind == "Deployment" {
            resource["health"] = json!({"status": "Healthy"});
        }
        let result = json!({
            "group": group,
            "hookPhase": "Running",
            "kind": kind,
            "message": message,
            "name": name,
            "namespace": namespace,
            "status": "Synced",
            "syncPhase": "Sync",
            "version": version,
        });
        (resource, result)
    }
}

/// Adds what the API server does.
fn store(object: &mut Value, manager: &str, random: &mut Rng) {
    let metadata = &mut object["metadata"];
    metadata["creationTimestamp"] = json!(TIME);
    metadata["generation"] = json!(1);
    metadata["managedFields"] = managed_fields(manager);
    metadata["uid"] = json!(super::uid(random));
}

const RESOURCES: [(&str, &str, &str, &str); 6] = [
    ("apps", "v1", "Deployment", "serverside-applied"),
    ("", "v1", "Service", "serverside-applied"),
    ("", "v1", "ConfigMap", "serverside-applied"),
    ("networking.k8s.io", "v1", "Ingress", "serverside-applied"),
    ("", "v1", "ServiceAccount", "unchanged"),
    ("policy", "v1", "PodDisruptionBudget", "serverside-applied"),
];

fn revision(random: &mut Rng) -> String {
    format!("{:032x}{:08x}", random.u128(..), random.u32(..))
}

/// What the API server notes about who wrote which field.
pub(super) fn managed_fields(manager: &str) -> Value {
    json!([
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/part-of": {}, "f:team": {}}},
                "f:spec": {
                    ".": {},
                    "f:destination": {".": {}, "f:name": {}, "f:namespace": {}},
                    "f:ignoreDifferences": {},
                    "f:project": {},
                    "f:revisionHistoryLimit": {},
                    "f:source": {
                        ".": {},
                        "f:helm": {".": {}, "f:releaseName": {}, "f:valueFiles": {}, "f:valuesObject": {}},
                        "f:path": {},
                        "f:repoURL": {},
                        "f:targetRevision": {},
                    },
                    "f:syncPolicy": {".": {}, "f:syncOptions": {}},
                },
            },
            "manager": "kubectl-client-side-apply",
            "operation": "Update",
            "time": TIME,
        },
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:status": {
                ".": {},
                "f:controllerNamespace": {},
                "f:health": {".": {}, "f:lastTransitionTime": {}, "f:status": {}},
                "f:history": {},
                "f:operationState": {
                    ".": {},
                    "f:finishedAt": {},
                    "f:message": {},
                    "f:operation": {},
                    "f:phase": {},
                    "f:startedAt": {},
                    "f:syncResult": {".": {}, "f:resources": {}, "f:revision": {}, "f:source": {}},
                },
                "f:reconciledAt": {},
                "f:resources": {},
                "f:sourceType": {},
                "f:summary": {".": {}, "f:images": {}},
                "f:sync": {".": {}, "f:comparedTo": {}, "f:revision": {}, "f:status": {}},
            }},
            "manager": manager,
            "operation": "Update",
            "time": TIME,
        },
    ])
}
