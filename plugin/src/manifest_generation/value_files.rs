//! Where the value files of a Helm source are.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use ignore::WalkBuilder;

use super::environment::BuildEnvironment;

/// Checkouts that files may be in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkouts<'a> {
    /// The folder of the source.
    pub(crate) folder: &'a Path,
    /// The top of the checkout that the folder is in.
    pub(crate) top: &'a Path,
    /// The tops of those that sources of the Application name by `ref`, by `$name`; None where
    /// there is no such checkout here. Empty where the Application has one source only.
    pub(crate) references: &'a BTreeMap<String, Option<PathBuf>>,
}

/// A file that a source names cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueFileError {
    #[error("{0}: it would be fetched from a network, which is not done here")]
    Remote(String),
    #[error("{0}: it is outside of the repository")]
    Outside(String),
    #[error("{0}: it means the repository as a whole")]
    Top(String),
    #[error("{0}: no source of the Application has this ref")]
    NoReference(String),
    #[error("{0}: the repository of this ref is not checked out here")]
    NotHere(String),
    #[error("{0}: no file matches, and ignoreMissingValueFiles is not set")]
    NothingMatches(String),
    #[error("{pattern}: it is not a pattern")]
    Pattern {
        pattern: String,
        #[source]
        source: globset::Error,
    },
    #[error("{file}: cannot be looked for")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
}

/// The value files in the order in which they are given to Helm (Argo CD 3.6,
/// `getResolvedValueFiles`): each once; a pattern stands for what matches it in order of names,
/// without what is named by itself. One that is not there is left out only with
/// `ignoreMissingValueFiles`; else Helm tells of it.
pub(super) fn resolve(
    written: &[String],
    ignore_missing: bool,
    checkouts: Checkouts<'_>,
    environment: &BuildEnvironment,
) -> Result<Vec<PathBuf>, ValueFileError> {
    let resolved: Vec<_> = written
        .iter()
        .map(|file| (file, resolve_one(file, checkouts, environment)))
        .collect();
    let explicit: HashSet<PathBuf> = resolved
        .iter()
        .filter_map(|(_, file)| file.as_ref().ok())
        .filter(|file| !is_pattern(&file.path))
        .map(|file| file.path.clone())
        .collect();
    let mut files = Vec::new();
    for (written, file) in resolved {
        let file = file?;
        if is_pattern(&file.path) {
            let matches = matching(written, &file)?;
            if matches.is_empty() && !ignore_missing {
                return Err(ValueFileError::NothingMatches(written.clone()));
            }
            files.extend(matches.into_iter().filter(|file| !explicit.contains(file)));
        } else if !ignore_missing || file.path.exists() {
            files.push(file.path);
        }
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    Ok(files)
}

/// A path, with the checkout that it may not leave.
pub(super) struct Resolved {
    pub(super) path: PathBuf,
    top: PathBuf,
}

/// Where a file is that a source names: relative to its folder, from the top of its checkout if it
/// begins with a slash, or in another source's checkout if it begins with its `$ref` (Argo CD 3.6,
/// `ResolveValueFilePathOrUrl`, `getResolvedRefValueFile`).
pub(super) fn resolve_one(
    written: &str,
    checkouts: Checkouts<'_>,
    environment: &BuildEnvironment,
) -> Result<Resolved, ValueFileError> {
    let first = written.split('/').next().unwrap_or_default();
    let (folder, top, named) = match checkouts.references.get(first) {
        Some(Some(top)) => {
            let rest = &written[first.len()..];
            let named = environment.substitute(rest);
            (top.as_path(), top.as_path(), format!("/{named}"))
        }
        Some(None) => return Err(ValueFileError::NotHere(written.to_owned())),
        None if first.starts_with('$') && !checkouts.references.is_empty() => {
            return Err(ValueFileError::NoReference(written.to_owned()));
        }
        None => {
            let named = environment.substitute(written);
            (checkouts.folder, checkouts.top, named)
        }
    };
    if golang::url::has_scheme(&named) {
        return Err(ValueFileError::Remote(written.to_owned()));
    }
    let path = if named.starts_with('/') {
        top.join(named.trim_start_matches('/'))
    } else {
        folder.join(&named)
    };
    let path = follow(&lexically_clean(&path)).map_err(|source| ValueFileError::Read {
        file: written.to_owned(),
        source,
    })?;
    if path == top {
        return Err(ValueFileError::Top(written.to_owned()));
    }
    if !path.starts_with(top) {
        return Err(ValueFileError::Outside(written.to_owned()));
    }
    let top = top.to_owned();
    Ok(Resolved { path, top })
}

/// A path without `.` and `..`, as Go's `filepath.Join` gives it.
fn lexically_clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// The number of links that are followed from a file to a file.
const LINKS: usize = 10;

/// Follows a file that is a link, as often as it is one; folders on the way stay as they are
/// written (`resolveSymbolicLinkRecursive`).
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = path.read_link() else {
            return Ok(path);
        };
        let folder = path.parent().unwrap_or(Path::new("/"));
        path = lexically_clean(&folder.join(target));
    }
    Err(io::Error::other("links lead to links without end"))
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

/// What matches a pattern, in order of names. A match that a link leads out of the checkout with is
/// refused as Argo CD refuses it.
fn matching(written: &str, pattern: &Resolved) -> Result<Vec<PathBuf>, ValueFileError> {
    let matcher = glob(&pattern.path).map_err(|source| ValueFileError::Pattern {
        pattern: written.to_owned(),
        source,
    })?;
    let literal: PathBuf = pattern
        .path
        .components()
        .take_while(|component| !is_pattern(Path::new(component)))
        .collect();
    let mut found = Vec::new();
    for entry in WalkBuilder::new(&literal).standard_filters(false).build() {
        // A folder that cannot be read has no matches for Argo CD either.
        let Ok(entry) = entry else { continue };
        if entry.path().is_dir() || !matcher.is_match(entry.path()) {
            continue;
        }
        let real = entry.path().canonicalize().unwrap_or_default();
        let top = pattern.top.canonicalize().unwrap_or_default();
        if !real.starts_with(&top) {
            return Err(ValueFileError::Outside(written.to_owned()));
        }
        found.push(entry.into_path());
    }
    found.sort_unstable();
    Ok(found)
}

fn glob(path: &Path) -> Result<GlobMatcher, globset::Error> {
    let glob = GlobBuilder::new(&path.to_string_lossy())
        .literal_separator(true)
        .build()?;
    Ok(glob.compile_matcher())
}
