//! What would be needed to work out what an ApplicationSet generates.

use std::fmt;

use crate::cluster::UnknownValues;

/// A fact that is not known here, without which a part of an ApplicationSet is not worked out.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Lack {
    /// Clusters that are declared elsewhere.
    OtherClusters,
    /// What the Secrets of clusters hold beside their labels: their names, and why it is not known.
    ClusterSecrets(Vec<(String, UnknownValues)>),
    /// The content of a Git repository.
    Repository {
        /// As the generator has it, with user information if it has some.
        url: String,
        /// As the generator has it.
        revision: String,
    },
    /// Anything else, as it is said.
    Other(String),
}

/// A text in which no URL is.
impl fmt::Display for Lack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::OtherClusters => formatter.write_str("the clusters that it selects"),
            Lack::ClusterSecrets(secrets) => {
                formatter.write_str("the values of Secret")?;
                if let Some((name, why)) = secrets.first() {
                    write!(formatter, " {name} ({why})")?;
                }
                match secrets.len().saturating_sub(1) {
                    0 => Ok(()),
                    others => write!(formatter, " and {others} more"),
                }
            }
            Lack::Repository { .. } => formatter.write_str("the repository's content"),
            Lack::Other(text) => formatter.write_str(text),
        }
    }
}
