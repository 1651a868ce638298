//! What a workload cluster is: its version, its kinds, and which of them are read.

use std::collections::{BTreeSet, HashMap};

use kube::discovery::{ApiCapabilities, ApiResource, Scope};

use crate::kubernetes::{ApiServer, DiscoveryError};
use crate::manifest_generation::Capabilities;

/// What a cluster has.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// The URL by which Argo CD knows it; empty where that is not known.
    pub(crate) server: String,
    pub(crate) capabilities: Capabilities,
    kinds: HashMap<(String, String), Kind>,
}

/// A kind, in the version that the cluster prefers.
#[derive(Debug)]
struct Kind {
    resource: ApiResource,
    is_namespaced: bool,
}

impl Cluster {
    /// Asks a cluster what it has: two or three requests, whatever its size.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn discover(server: &ApiServer) -> Result<Self, DiscoveryError> {
        let discovery = server.discover().await?;
        let mut api_versions = BTreeSet::new();
        let mut kinds = HashMap::new();
        for group in discovery.groups() {
            let preferred = group.preferred_version_or_latest();
            for version in group.versions() {
                for (resource, capabilities) in group.versioned_resources(version) {
                    if !is_watched(&capabilities) {
                        continue;
                    }
                    api_versions.insert(resource.api_version.clone());
                    api_versions.insert(format!("{}/{}", resource.api_version, resource.kind));
                    let key = (resource.group.clone(), resource.kind.clone());
                    if version == preferred || !kinds.contains_key(&key) {
                        let is_namespaced = capabilities.scope == Scope::Namespaced;
                        let kind = Kind {
                            resource,
                            is_namespaced,
                        };
                        kinds.insert(key, kind);
                    }
                }
            }
        }
        Ok(Cluster {
            server: String::new(),
            capabilities: Capabilities {
                kube_version: server.version().await?,
                api_versions: api_versions.into_iter().collect(),
            },
            kinds,
        })
    }

    /// The same, by the URL by which Argo CD knows it.
    pub(crate) fn known_by(self, server: Option<&str>) -> Self {
        Cluster {
            server: server.unwrap_or_default().to_owned(),
            ..self
        }
    }

    /// A kind, if the cluster has it.
    pub(crate) fn resource(&self, group: &str, kind: &str) -> Option<&ApiResource> {
        Some(&self.kind(group, kind)?.resource)
    }

    /// Whether the objects of a kind are in namespaces; None where the cluster has no such kind.
    pub(crate) fn is_namespaced(&self, group: &str, kind: &str) -> Option<bool> {
        Some(self.kind(group, kind)?.is_namespaced)
    }

    fn kind(&self, group: &str, kind: &str) -> Option<&Kind> {
        self.kinds.get(&(group.to_owned(), kind.to_owned()))
    }
}

/// Whether Argo CD would watch a kind (gitops-engine, `GetAPIResources`).
fn is_watched(capabilities: &ApiCapabilities) -> bool {
    let supports = |verb: &str| capabilities.operations.iter().any(|own| own == verb);
    supports("list") && supports("watch")
}
