//! Files that are left out because the command line says so.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Which files are left out.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ExclusionArgs {
    /// Files and folders to leave out, as a line of .gitignore in the current folder; can be given several times
    #[arg(
        long = "exclude",
        value_name = "GLOB",
        value_parser = parse_glob,
        value_hint = ValueHint::AnyPath
    )]
    globs: Vec<String>,
}

/// What leaves files out.
#[derive(Debug)]
pub(crate) struct Exclusions {
    globs: Gitignore,
}

impl ExclusionArgs {
    /// Globs as they count in the current folder.
    pub(crate) fn exclusions(&self) -> Exclusions {
        let folder = std::env::current_dir().unwrap_or_default();
        let mut builder = GitignoreBuilder::new(folder);
        for glob in &self.globs {
            // Each was tried when it was read.
            let _ = builder.add_line(None, glob);
        }
        Exclusions {
            globs: builder.build().unwrap_or_else(|_| Gitignore::empty()),
        }
    }
}

impl Exclusions {
    /// Whether a path is left out; what is below a folder that is left out is not asked about.
    pub(super) fn exclude(&self, path: &Path, is_folder: bool) -> bool {
        let absolute = absolute(path);
        self.globs.matched(absolute, is_folder).is_ignore()
    }

    /// Whether a path is left out, or a folder above it.
    pub(super) fn exclude_with_parents(&self, path: &Path) -> bool {
        let absolute = absolute(path);
        let mut parents = absolute.ancestors().skip(1);
        self.exclude(path, path.is_dir()) || parents.any(|folder| self.exclude(folder, true))
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn parse_glob(glob: &str) -> Result<String, String> {
    let mut builder = GitignoreBuilder::new("");
    match builder.add_line(None, glob) {
        Ok(_) => Ok(glob.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
