//! Argo CD as data and semantics.
//!
//! Everything that the rules, and later the previews and drift, need to know about Argo CD lives
//! here and follows Argo CD 3.5: what its objects say, what a project permits, how a destination
//! is resolved, what a cluster Secret logs in with, which differences are ignored.
//!
//! ```text
//!   bytes ──> wire types (Application, AppProject, ClusterSecret, …)   borrowed, only what is read
//!                 │
//!                 ├─> Fleet: projects, clusters, settings, as Argo CD's controllers know them
//!                 └─> answers: conditions(), Clusters::resolve(), AutomatedSync, IgnoreRules
//! ```
//!
//! It is pure: no I/O, no clock, no judgement about what is good. What it cannot know from its
//! input it reports as an error or an unknown, never as a guess.

pub mod application;
pub mod application_set;
pub mod cluster;
pub mod comparison;
pub mod conditions;
pub mod fleet;
pub mod known_fields;
pub mod kubernetes;
pub mod limited;
pub mod names;
pub mod pattern;
pub mod project;
pub mod repository;
pub mod settings;
pub mod sync_options;
pub mod tracking;

pub use application::Application;
pub use application_set::ApplicationSet;
pub use cluster::{Cluster, ClusterSecret};
pub use fleet::Fleet;
pub use project::AppProject;
pub use repository::RepositorySecret;
pub use settings::Namespaces;
