//! Which repository files are of.

use super::FACTS;

/// Which repository the files are of, as far as they do not tell.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = FACTS)]
pub(crate) struct RepositoryArgs {
    /// URL of the Git repository that the files are of
    ///
    /// It is needed where no remote of their work tree says so.
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
}

impl RepositoryArgs {
    /// The URL, where one is given.
    pub(crate) fn url(&self) -> Option<&str> {
        self.repository.as_deref()
    }
}
