//! What the project of an Application permits on its cluster.

use argocd::project::{Permissions, ResourceScope};
use argocd::{Cluster, Fleet};

use super::Key;

/// What it permits; everything where the project or the cluster is not known.
#[derive(Clone, Debug)]
pub(crate) struct Permitted<'f> {
    known: Option<(&'f Permissions, &'f Cluster)>,
    fleet: &'f Fleet,
    project: String,
}

impl<'f> Permitted<'f> {
    /// What a project permits on a cluster, by its URL or name.
    pub(crate) fn of(fleet: &'f Fleet, project: &str, cluster: Option<&'f Cluster>) -> Self {
        Permitted {
            known: fleet.project(project).zip(cluster),
            fleet,
            project: project.to_owned(),
        }
    }

    /// Whether an object may be there. What may not be is nothing to Argo CD (Argo CD 3.6,
    /// `AppProject.IsLiveResourcePermitted`).
    pub(crate) fn has(&self, key: &Key) -> bool {
        let Some((permissions, cluster)) = self.known else {
            return true;
        };
        let scope = match &*key.namespace {
            "" => ResourceScope::Cluster { name: &key.name },
            _ => ResourceScope::Namespaced,
        };
        permissions.permits_resource(&key.group, &key.kind, scope)
            && (key.namespace.is_empty()
                || permissions.permits_destination(
                    cluster,
                    &key.namespace,
                    self.fleet.clusters_of(&self.project),
                ))
    }
}
