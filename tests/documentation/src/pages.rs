//! The files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Pages outside of the book.
const OUTSIDE: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "manifests/README.md",
];

/// Where the book's pages are.
pub(crate) const BOOK: &str = "docs/src";

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is, from the root of the repository.
    pub path: PathBuf,
    /// Its Markdown.
    pub text: String,
}

/// The root of this repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All pages below the root of a repository, those of the book last and by name.
pub fn pages(root: &Path) -> Result<Vec<Page>> {
    let mut paths: Vec<_> = OUTSIDE.iter().map(PathBuf::from).collect();
    add_below(root, Path::new(BOOK), &mut paths)?;
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(root.join(&path));
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            Ok(Page { path, text })
        })
        .collect()
}

fn add_below(root: &Path, folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let cannot = || format!("cannot list {}", folder.display());
    let entries = fs::read_dir(root.join(folder)).with_context(cannot)?;
    let mut entries = entries
        .collect::<Result<Vec<_>, _>>()
        .with_context(cannot)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = folder.join(entry.file_name());
        if entry.file_type().with_context(cannot)?.is_dir() {
            add_below(root, &path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    Ok(())
}
