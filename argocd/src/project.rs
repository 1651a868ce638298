//! AppProject: what it says, and what it permits once Argo CD has put it together.
//!
//! The object in the cluster is not what Argo CD judges by: project-scoped repositories and
//! clusters, and global projects, widen it first ([`EffectiveProject`]). [`Permissions`] is the
//! result, with every pattern compiled, because a project is read on every admission and written
//! hardly ever.

mod comparison;
mod destinations;
mod global;
mod permissions;
mod reach;
mod refusal;
mod resources;
mod source_namespace;
mod sources;
mod spec;

use std::collections::BTreeMap;

use golang::json::{null_as_default, object, string_map};
use serde::Deserialize;

pub use self::destinations::{DestinationPattern, Negatable};
pub use self::global::{EffectiveProject, GlobalProject, List, Origin};
pub use self::permissions::Permissions;
pub use self::reach::Reach;
pub use self::refusal::{DestinationRefusal, Difference, SourceRefusal};
pub use self::resources::{ClusterPattern, KindPattern, ResourceScope};
pub(crate) use self::source_namespace::NamespacePattern;
pub use self::sources::{SourcePattern, is_unparsable};
pub use self::spec::{
    AppProjectSpec, ClusterResourceRestrictionItem, GroupKind, ProjectDestination, ProjectReading,
};

/// An AppProject, the part that is read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct AppProject {
    /// Name, namespace, labels.
    #[serde(deserialize_with = "object")]
    pub metadata: ProjectMetadata,
    /// What it permits.
    #[serde(deserialize_with = "object")]
    pub spec: AppProjectSpec,
}

/// `metadata` of an AppProject.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct ProjectMetadata {
    /// The project's name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// Projects outside of the control-plane namespace are never read by Argo CD.
    #[serde(deserialize_with = "null_as_default")]
    pub namespace: String,
    /// Global projects select on these.
    #[serde(deserialize_with = "string_map")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "string_map")]
    pub annotations: BTreeMap<String, String>,
    /// What tells it from an earlier project of its name; empty in a manifest.
    #[serde(deserialize_with = "null_as_default")]
    pub uid: String,
    /// When it was asked to go; empty as long as it was not.
    #[serde(rename = "deletionTimestamp", deserialize_with = "null_as_default")]
    pub deletion_timestamp: String,
}
