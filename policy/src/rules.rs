//! The rules, one file each, in folders by what they judge.

mod application;
mod cluster;
mod consequence;
pub(crate) mod inherited_override;
mod project;
pub mod registry;
pub mod rule;
pub(crate) mod run;
mod unknown_fields;

pub use application::*;
pub use cluster::*;
pub use consequence::*;
pub use project::*;
pub use unknown_fields::UnknownFields;
