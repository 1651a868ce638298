//! What an update changes of what rules read.

use argocd::cluster::ClusterSecret;
use argocd::{Application, Cluster};

use super::inventory::Inventory;
use super::subject::{Request, RequestRef, SubjectRef};

/// The parts of an object that rules read, and whether an update changes them.
///
/// Argo CD writes to its own objects all the time. What such a write does not change is not
/// judged again: an operation that starts a sync says nothing about the spec, and the other way
/// round.
#[expect(clippy::struct_excessive_bools, reason = "each part changes by itself")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Changes {
    /// `operation`.
    operation: bool,
    /// `status.operationState`, by somebody else than Argo CD.
    operation_state: bool,
    /// Where to, in which project, with which labels. A pending operation is taken along.
    place: bool,
    /// What ApplicationSets generate for a cluster.
    pub(crate) fan_out: bool,
    /// Everything else.
    pub(crate) rest: bool,
}

impl Changes {
    pub(crate) const NOTHING: Self = Changes {
        operation: false,
        operation_state: false,
        place: false,
        fan_out: false,
        rest: false,
    };
    const EVERYTHING: Self = Changes {
        operation: true,
        operation_state: true,
        place: true,
        fan_out: true,
        rest: true,
    };

    pub(crate) fn of(subject: SubjectRef<'_>, inventory: &Inventory) -> Self {
        match subject.request {
            RequestRef::ClusterSecret(Request::Delete(..)) => Changes {
                fan_out: inventory.generates_by_clusters(),
                ..Changes::NOTHING
            },
            // What was a cluster until now takes along what is generated for it.
            RequestRef::ClusterSecret(request) if !request.object().is_cluster() => Changes {
                fan_out: request.old().is_some_and(|old| old.is_cluster())
                    && inventory.generates_by_clusters(),
                ..Changes::NOTHING
            },
            RequestRef::Application(Request::Update { new, old }) => {
                let by_argo_cd = inventory.is_argo_cd(subject.requester);
                let annotations = inventory.rules.annotations();
                let changes = Changes::of_application(new, old, by_argo_cd, annotations);
                Changes {
                    rest: changes.rest || is_detached(subject),
                    ..changes
                }
            }
            RequestRef::AppProject(Request::Update { new, old }) => {
                let place = new.metadata.labels != old.metadata.labels;
                Changes {
                    place,
                    rest: place || new.spec != old.spec,
                    ..Changes::NOTHING
                }
            }
            RequestRef::ClusterSecret(Request::Update { new, old }) => {
                Changes::of_secret(new, old, inventory)
            }
            RequestRef::ApplicationSet(Request::Update { new, old })
                if new.spec.same_meaning(&old.spec) =>
            {
                Changes::NOTHING
            }
            _ => Changes::EVERYTHING,
        }
    }

    fn of_application(
        new: &Application<'_>,
        old: &Application<'_>,
        by_argo_cd: bool,
        annotations: &[&str],
    ) -> Self {
        let place = new.metadata.labels != old.metadata.labels
            || new.spec.destination != old.spec.destination
            || new.spec.project() != old.spec.project();
        let state = new.running_operation();
        let annotation_differs =
            |key: &str| new.metadata.annotations.get(key) != old.metadata.annotations.get(key);
        Changes {
            operation: new.operation.is_some() && new.operation != old.operation,
            operation_state: !by_argo_cd && state.is_some() && state != old.running_operation(),
            place,
            fan_out: false,
            rest: place
                || new.metadata.namespace != old.metadata.namespace
                || annotations.iter().any(|key| annotation_differs(key))
                || !new.spec.same_meaning(&old.spec),
        }
    }

    /// Labels are read as evidence of an environment: by `engine-isolation`, and wherever the
    /// policy limits what else a Secret must not hold to environments.
    fn of_secret(new: &ClusterSecret<'_>, old: &ClusterSecret<'_>, inventory: &Inventory) -> Self {
        let is_new = !old.is_cluster();
        let place = is_new || new.metadata.labels != old.metadata.labels;
        let is_limited = inventory.rules.limit_what_reads_cluster_secrets();
        Changes {
            place: place && inventory.policy().engine.environment.is_some(),
            fan_out: inventory.generates_by_clusters()
                && declared_cluster(new) != declared_cluster(old),
            rest: is_new || !new.same_data(old) || (place && is_limited),
            ..Changes::NOTHING
        }
    }

    /// Whether a finding on this field is about something that changed.
    pub(crate) fn touch(self, field: &str) -> bool {
        if field.starts_with("/status") {
            self.operation_state
        } else if field.starts_with("/metadata/labels") {
            self.place || self.rest
        } else if field.starts_with("/operation") {
            self.operation || self.place
        } else {
            self.rest
        }
    }
}

/// Whether an Application is taken from the ApplicationSet that generates it, by somebody else than
/// the garbage collector, which does so where its ApplicationSet is deleted alone.
pub(crate) fn is_detached(subject: SubjectRef<'_>) -> bool {
    let RequestRef::Application(Request::Update { new, old }) = subject.request else {
        return false;
    };
    let generator = |application: &Application<'_>| {
        let owner = application.metadata.application_set();
        owner.map(|owner| (owner.name.to_string(), owner.uid.to_string()))
    };
    let before = generator(old);
    before.is_some() && before != generator(new) && !subject.requester.is_collector()
}

/// The cluster that a Secret declares, if it does.
pub(crate) fn declared_cluster(secret: &ClusterSecret<'_>) -> Option<Cluster> {
    secret.is_cluster().then(|| secret.cluster().ok()).flatten()
}
