//! Where facts come from besides the files that a command is about.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};

use crate::namespaces::Namespaces;
use crate::repository::Repository;
use crate::repository::exclusions::Exclusions;

/// More facts than those of the files.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FactsArgs {
    /// More projects, clusters, settings and policy to judge by: a file or folder, or `live` for the
    /// cluster's; can be given several times
    ///
    /// They are not judged themselves. Those of files override all others; those of the cluster are
    /// overridden by all files. A folder that is called `live` is ./live.
    #[arg(
        long,
        visible_alias = "policy",
        value_name = "live|PATH",
        value_parser = PathBufValueParser::new().map(FactsSource::from),
        add = ArgValueCompleter::new(candidates)
    )]
    facts: Vec<FactsSource>,
}

/// What `live` stands for, or a file or folder. One of that name is `./live`.
#[derive(Clone, Debug, Eq, PartialEq)]
enum FactsSource {
    Live,
    Path(PathBuf),
}

const LIVE: &str = "live";

impl From<PathBuf> for FactsSource {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == LIVE {
            FactsSource::Live
        } else {
            FactsSource::Path(path)
        }
    }
}

impl FactsArgs {
    /// Whether a cluster is asked for facts.
    pub(crate) fn are_live(&self) -> bool {
        self.facts.contains(&FactsSource::Live)
    }

    /// Reads the files and folders.
    pub(crate) fn read(
        &self,
        exclusions: &Arc<Exclusions>,
        namespaces: Namespaces<'_>,
    ) -> Repository {
        let paths = self.facts.iter().filter_map(|source| match source {
            FactsSource::Live => None,
            FactsSource::Path(path) => Some(path),
        });
        Repository::read(&paths.collect::<Vec<_>>(), exclusions, namespaces)
    }
}

fn candidates(word: &OsStr) -> Vec<CompletionCandidate> {
    let live = CompletionCandidate::new(LIVE).help(Some("what the cluster knows".into()));
    let live = word
        .to_str()
        .is_some_and(|word| LIVE.starts_with(word))
        .then_some(live);
    let paths = PathCompleter::any().complete(word);
    live.into_iter().chain(paths).collect()
}
