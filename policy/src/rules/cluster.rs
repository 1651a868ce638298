//! Rules on clusters: what their Secrets hold, and which of them this Argo CD drives.

mod cluster_credentials;
mod engine_isolation;
mod possible_credential;

pub use cluster_credentials::ClusterCredentials;
pub use engine_isolation::EngineIsolation;
