//! `spec.sourceRepos`: which repositories.

use crate::pattern::{Glob, Separators};
use crate::repository::git_url;

/// An entry, compiled.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SourcePattern {
    /// `*` alone.
    Everything,
    /// What it matches is permitted.
    Include(Glob),
    /// What it matches is excluded, and the rest permitted.
    Exclude(Glob),
}

impl SourcePattern {
    /// What counts is what is left once the pattern is normalised: ` *`, `ssh://*` and `*.git`
    /// also are `*`, which stands for everything, and ` !a` excludes.
    pub(super) fn new(pattern: &str) -> Self {
        let normalized = normalize(pattern);
        let glob = |pattern| Glob::new(pattern, Separators::Slash);
        match normalized.strip_prefix('!') {
            Some(excluded) => SourcePattern::Exclude(glob(excluded)),
            None if normalized == "*" => SourcePattern::Everything,
            None => SourcePattern::Include(glob(&normalized)),
        }
    }

    /// Whether it permits what nothing else says anything about: an exclusion permits what it does
    /// not exclude.
    pub fn permits_the_rest(&self) -> bool {
        !matches!(self, SourcePattern::Include(_))
    }

    pub(super) fn excludes(&self) -> bool {
        matches!(self, SourcePattern::Exclude(_))
    }
}

/// A pattern as it is compared, with the `!` that excludes.
pub(super) fn normalize(pattern: &str) -> String {
    match pattern.strip_prefix('!') {
        Some(excluded) => format!("!{}", git_url::normalize(excluded)),
        None => git_url::normalize(pattern),
    }
}

/// Whether an entry permits, or excludes, just the URLs that cannot be parsed, as it cannot be
/// parsed itself.
pub fn is_unparsable(pattern: &str) -> bool {
    let url = pattern.strip_prefix('!').unwrap_or(pattern);
    !url.trim().is_empty() && git_url::normalize(url).is_empty()
}

/// Whether a repository, normalised, may be used by entries of this list.
pub(super) fn permit<'p>(patterns: impl IntoIterator<Item = &'p SourcePattern>, url: &str) -> bool {
    let mut permitted = false;
    for pattern in patterns {
        match pattern {
            SourcePattern::Exclude(glob) if glob.matches(url) => return false,
            SourcePattern::Everything | SourcePattern::Exclude(_) => permitted = true,
            SourcePattern::Include(glob) => permitted |= glob.matches(url),
        }
    }
    permitted
}
