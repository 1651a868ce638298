//! What a workload cluster is: its version, its kinds, and which of them are read.

use std::collections::{BTreeSet, HashMap};

use kube::discovery::{ApiCapabilities, ApiResource, Scope};

use super::scope::Scopes;
use crate::kubernetes::{ApiServer, DiscoveryError};
use crate::manifest_generation::Capabilities;

/// What a cluster has.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) capabilities: Capabilities,
    pub(crate) scopes: Scopes,
    /// Each kind in the version that the cluster prefers.
    kinds: HashMap<(String, String), ApiResource>,
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
        let mut scopes = Vec::new();
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
                    let is_namespaced = capabilities.scope == Scope::Namespaced;
                    scopes.push((key.0.clone(), key.1.clone(), is_namespaced));
                    if version == preferred || !kinds.contains_key(&key) {
                        kinds.insert(key, resource);
                    }
                }
            }
        }
        Ok(Cluster {
            capabilities: Capabilities {
                kube_version: server.version().await?,
                api_versions: api_versions.into_iter().collect(),
            },
            scopes: Scopes::new(scopes),
            kinds,
        })
    }

    /// A kind, if the cluster has it.
    pub(crate) fn kind(&self, group: &str, kind: &str) -> Option<&ApiResource> {
        self.kinds.get(&(group.to_owned(), kind.to_owned()))
    }
}

/// Whether Argo CD would watch a kind (gitops-engine, `GetAPIResources`).
fn is_watched(capabilities: &ApiCapabilities) -> bool {
    let supports = |verb: &str| capabilities.operations.iter().any(|own| own == verb);
    supports("list") && supports("watch")
}
