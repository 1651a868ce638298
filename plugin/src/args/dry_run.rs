//! `--dry-run`.

use clap::ValueEnum;

/// Whether something is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum DryRun {
    /// It is
    #[default]
    None,
    /// Nothing is sent
    Client,
    /// The API server and the webhook say what they would do
    Server,
}

impl DryRun {
    /// What stands behind the name of an object that was written, as kubectl has it.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}
