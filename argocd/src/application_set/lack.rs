//! What would be needed to work out what an ApplicationSet generates.

use std::fmt;

/// A fact that is not known here, without which a part of an ApplicationSet is not worked out.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Lack {
    /// Clusters that are declared elsewhere.
    OtherClusters,
    /// What the Secrets of clusters hold beside their labels.
    ClusterSecrets {
        /// The names of the Secrets.
        names: Vec<String>,
        /// Why the first of them is not known.
        why: Option<String>,
    },
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
            Lack::ClusterSecrets { names, why } => {
                let first = names.first().map(String::as_str).unwrap_or_default();
                write!(formatter, "the values of Secret {first}")?;
                if let Some(why) = why {
                    write!(formatter, " ({why})")?;
                }
                match names.len().saturating_sub(1) {
                    0 => Ok(()),
                    others => write!(formatter, " and {others} more"),
                }
            }
            Lack::Repository { .. } => formatter.write_str("the repository's content"),
            Lack::Other(text) => formatter.write_str(text),
        }
    }
}
