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
//!                 └─> answers: conditions(), Clusters::resolve(), AutomatedSync, IgnoredDifferences
//! ```
//!
//! It is pure: no I/O, no clock, no judgement about what is good. What it cannot know from its
//! input it reports as an error or an unknown, never as a guess.

pub mod application;
pub mod application_set;
pub mod breadth;
pub mod cluster;
pub mod conditions;
pub mod definition;
pub mod destination;
pub mod diff;
pub mod fleet;
pub mod git_url;
pub mod glob;
pub mod go_json;
pub mod go_template;
pub mod known_fields;
pub mod kubernetes;
pub mod limited;
pub mod names;
pub mod namespaces;
mod overlap;
pub mod parameters;
pub mod path_glob;
pub mod project;
pub mod repository;
pub mod revision;
pub mod settings;
pub mod sync_options;
pub mod text;
pub mod yaml;

pub use application::Application;
pub use application_set::ApplicationSet;
pub use cluster::{Cluster, ClusterSecret};
pub use fleet::Fleet;
pub use namespaces::Namespaces;
pub use project::AppProject;
pub use repository::RepositorySecret;
