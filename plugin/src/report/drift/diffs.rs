//! Drift as objects that differ, each with a name that tells it from those of other Applications.

use std::collections::HashSet;

use crate::drift::{ApplicationDrift, Drift, ResourceDrift};
use crate::report::ObjectDiff;

/// How long the name of a file may be, in bytes, with room for a number.
const LONGEST: usize = 240;

pub(super) fn of(drift: &Drift) -> Vec<ObjectDiff> {
    let mut diffs = Vec::new();
    let mut names = HashSet::new();
    for application in &drift.applications {
        for resource in &application.resources {
            let Some(sides) = &resource.sides else {
                continue;
            };
            let place = diffs.len();
            let mut name = name(application, resource, place);
            // One object may be there twice, with what a sync changes and what it does not.
            if !names.insert(name.clone()) {
                name = format!("{name}.{place}");
            }
            diffs.push(ObjectDiff {
                name,
                live: sides.live(),
                merged: sides.desired(),
            });
        }
    }
    diffs
}

/// kubectl's name of an object, behind that of its Application (kubectl 1.36, `InfoObject.Name`).
fn name(application: &ApplicationDrift, resource: &ResourceDrift, place: usize) -> String {
    let overview = &application.overview;
    let parts = [
        overview.namespace.as_str(),
        &overview.name,
        &resource.group,
        resource.version.as_deref().unwrap_or_default(),
        &resource.kind,
        &resource.namespace,
        &resource.name,
    ];
    let known = parts.into_iter().filter(|part| !part.is_empty());
    let name = known.collect::<Vec<_>>().join(".");
    let is_safe = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '\\');
    let safe: String = name
        .chars()
        .map(|c| if is_safe(c) { c } else { '_' })
        .collect();
    if safe.len() > LONGEST || safe != name {
        let cut: String = safe.chars().take(LONGEST).collect();
        return format!("{cut}.{place}");
    }
    safe
}
