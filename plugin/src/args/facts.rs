//! Where facts come from besides the files that a command is about.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};

use super::FACTS;

/// More facts than those of the files.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = FACTS)]
pub(crate) struct FactsArgs {
    /// More facts: files, or `live` for the cluster's
    ///
    /// Projects, clusters, settings and policy to judge by, in a file or folder or, by `live`, in
    /// the cluster. It can be given several times. They are not judged themselves. Those of files
    /// override all others; those of the cluster are overridden by all files. A folder that is
    /// called `live` is ./live.
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

    /// The files and folders that have some.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        let sources = self.facts.iter();
        sources
            .filter_map(|source| match source {
                FactsSource::Live => None,
                FactsSource::Path(path) => Some(path.as_path()),
            })
            .collect()
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
