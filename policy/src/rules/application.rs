//! Rules on Applications, and on what ApplicationSets generate.

mod default_project;
mod image_updater;
mod operation_override;
mod prod_auto_sync;
mod project_scope;
mod replicas_ignored;
mod unpinned_revision;

pub use default_project::DefaultProject;
pub use image_updater::ImageUpdater;
pub use operation_override::OperationOverride;
pub use prod_auto_sync::ProdAutoSync;
pub use project_scope::ProjectScope;
pub use replicas_ignored::ReplicasIgnored;
pub use unpinned_revision::UnpinnedRevision;
