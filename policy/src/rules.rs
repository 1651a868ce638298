//! The rules, one file each.

mod blast_radius;
mod cascade_delete;
mod cluster_credentials;
mod default_project;
mod engine_isolation;
mod generated_applications;
mod image_updater;
mod operation_override;
pub(crate) mod prod_auto_sync;
mod project_scope;
mod project_too_wide;
pub(crate) mod replicas_ignored;
mod unknown_fields;
mod unpinned_revision;

pub use blast_radius::BlastRadius;
pub use cascade_delete::CascadeDelete;
pub use cluster_credentials::ClusterCredentials;
pub use default_project::DefaultProject;
pub use engine_isolation::EngineIsolation;
pub use generated_applications::GeneratedApplications;
pub(crate) use generated_applications::GeneratedMetadata;
pub use image_updater::ImageUpdater;
pub use operation_override::OperationOverride;
pub use prod_auto_sync::ProdAutoSync;
pub use project_scope::ProjectScope;
pub use project_too_wide::ProjectTooWide;
pub use replicas_ignored::ReplicasIgnored;
pub use unknown_fields::UnknownFields;
pub use unpinned_revision::UnpinnedRevision;
