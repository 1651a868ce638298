//! `-o name`.

use crate::text::printable;

/// A line for each name.
pub(super) fn lines(names: &[String]) -> String {
    names.iter().map(|name| printable(name) + "\n").collect()
}
