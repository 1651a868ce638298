//! The rules, one file each.

mod cluster_credentials;
mod default_project;
mod operation_override;
mod prod_auto_sync;
mod project_scope;
pub(crate) mod replicas_ignored;

pub use cluster_credentials::ClusterCredentials;
pub use default_project::DefaultProject;
pub use operation_override::OperationOverride;
pub use prod_auto_sync::ProdAutoSync;
pub use project_scope::ProjectScope;
pub use replicas_ignored::ReplicasIgnored;
