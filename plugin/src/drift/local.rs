//! Drift by a checkout and the workload clusters themselves, without Argo CD's own comparison.
//!
//! ```text
//!   checkout ──> desired (manifests, marked as the Application's) ─┐
//!                                                                  ├─> reconcile ─> ManagedResource
//!   cluster (kinds, version) ──> lists, page by page ──────────────┘
//! ```

pub(crate) mod cluster;
pub(crate) mod desired;
mod hooks;
pub(crate) mod managed_namespace;
pub(crate) mod permitted;
pub(crate) mod reconcile;

use serde::Deserialize;
use serde_json::Value;

/// What names an object in a cluster.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) group: String,
    pub(crate) kind: String,
    /// Empty for an object of the whole cluster.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn of(object: &Value) -> Self {
        let (group, kind) = desired::group_and_kind(object);
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        Key {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: text("/metadata/namespace").unwrap_or_default().to_owned(),
            name: text("/metadata/name").unwrap_or_default().to_owned(),
        }
    }
}

/// As much of an object as decides whether it is read as a whole.
#[derive(Deserialize)]
struct Head {
    metadata: HeadMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMetadata {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    labels: Option<Value>,
    #[serde(default)]
    annotations: Option<Value>,
    #[serde(default)]
    owner_references: Option<Vec<serde::de::IgnoredAny>>,
}

impl Head {
    /// The marks alone, as an object.
    fn marks(&mut self) -> Value {
        serde_json::json!({"metadata": {
            "labels": self.metadata.labels.take(),
            "annotations": self.metadata.annotations.take(),
        }})
    }
}
