//! Files that are left out because the command line says so.

use clap::ValueHint;

use super::SCOPE;
use crate::repository::exclusions::{Exclusions, parse_glob};

/// Which files are left out.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = SCOPE)]
pub(crate) struct ExclusionArgs {
    /// Files to leave out, as a line of .gitignore
    ///
    /// It counts for files and folders, as in a .gitignore of the current folder, and can be given
    /// several times.
    #[arg(
        long = "exclude",
        value_name = "GLOB",
        value_parser = parse_glob,
        value_hint = ValueHint::AnyPath
    )]
    globs: Vec<String>,
}

impl ExclusionArgs {
    /// The globs as they count in the current folder.
    pub(crate) fn exclusions(&self) -> Exclusions {
        Exclusions::of(&self.globs)
    }
}
