//! Paths as they are typed and shown.

use std::path::Path;

/// The path that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// A path as users see it.
pub(super) fn name_of(path: &Path) -> String {
    path.strip_prefix(".")
        .ok()
        .filter(|rest| !rest.as_os_str().is_empty())
        .unwrap_or(path)
        .display()
        .to_string()
}
