//! Which objects of a cluster are meant.

use super::SCOPE;

/// Those of one namespace or of all, and of these the ones with some labels.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = SCOPE)]
pub(crate) struct ScopeArgs {
    /// The objects of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,

    /// Label selector, as for `kubectl get`
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
}
