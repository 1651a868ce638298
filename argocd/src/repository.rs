//! Repositories: how one is named, and which belong to a project.

pub mod git_url;
mod secret;

pub use self::secret::{RepositorySecret, RepositorySecretError, ScopedRepository};
