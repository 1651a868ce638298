//! `-o name`.

use std::collections::BTreeSet;

use policy::Level;

use super::printable;
use crate::report::Report;

/// The names of what is denied, each once, in the order of the report.
pub(super) fn denied(report: &Report, counts_as_denied: impl Fn(Level) -> bool) -> String {
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for located in &report.findings {
        if counts_as_denied(located.finding.level) && seen.insert(&located.object) {
            text.push_str(&printable(&located.object.qualified()));
            text.push('\n');
        }
    }
    text
}
