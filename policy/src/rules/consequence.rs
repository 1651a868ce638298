//! Rules on what becomes of Applications with a change of something else, or with a deletion.

mod blast_radius;
mod cascade_delete;
mod generated_applications;

pub use blast_radius::BlastRadius;
pub use cascade_delete::CascadeDelete;
pub use generated_applications::GeneratedApplications;
