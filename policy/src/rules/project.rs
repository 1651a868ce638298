//! Rules on AppProjects.

mod breadth;
mod project_too_wide;

pub use project_too_wide::ProjectTooWide;
