//! Overrides in what an ApplicationSet generates.

use crate::finding::{About, BREAK_GLASS, Finding, Findings};
use crate::request::object::ObjectRef;
use crate::terms::annotations::{OVERRULED, Written, field};

/// That an override stands in the template of an ApplicationSet, where it would be copied to
/// everything that is generated.
pub(crate) fn inherited(generated: ObjectRef<'_>) -> Vec<Finding> {
    let mut found = Findings::new(BREAK_GLASS, About::State);
    if !Written::on(generated).is_empty() {
        found.deny(
            field(OVERRULED),
            "an override is not inherited",
            "put it on the ApplicationSet itself",
        );
    }
    found.into_inner()
}
