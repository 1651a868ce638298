//! Files that are left out because the command line says so.

use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// What leaves files out.
#[derive(Debug)]
pub(crate) struct Exclusions {
    globs: Gitignore,
}

impl Exclusions {
    /// Globs as they count in the current folder. Each was tried by [`parse_glob`].
    pub(crate) fn of(globs: &[String]) -> Self {
        let folder = std::env::current_dir().unwrap_or_default();
        let mut builder = GitignoreBuilder::new(folder);
        for glob in globs {
            let _ = builder.add_line(None, glob);
        }
        Exclusions {
            globs: builder.build().unwrap_or_else(|_| Gitignore::empty()),
        }
    }

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

/// Reads a glob.
///
/// # Errors
/// It is none.
pub(crate) fn parse_glob(glob: &str) -> Result<String, String> {
    let mut builder = GitignoreBuilder::new("");
    match builder.add_line(None, glob) {
        Ok(_) => Ok(glob.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
