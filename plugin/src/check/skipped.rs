//! Which files were not judged and why, in one line for each kind.

use std::collections::BTreeMap;
use std::path::Path;

use super::Files;
use crate::repository::skipped::{Reason, Skipped, quoted};
use crate::text::{counted, listed};

/// How many files of a kind are named.
const NAMED: usize = 3;

/// What is told of files that were not judged, or not as they are applied.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Remark {
    /// What is good to know.
    Note(String),
    /// What may hide objects.
    Warning(String),
}

/// What is told of files. What may hide objects comes last.
pub(crate) fn remarks(files: &Files) -> Vec<Remark> {
    let mut kinds: BTreeMap<&Reason, Vec<&Skipped>> = BTreeMap::new();
    for skipped in &files.skipped {
        kinds.entry(&skipped.reason).or_default().push(skipped);
    }
    let skipped = kinds.into_iter().map(|(reason, skipped)| {
        let line = line(reason, &skipped);
        if reason.hides_objects() {
            Remark::Warning(line)
        } else {
            Remark::Note(line)
        }
    });
    let changed = files.overlays.iter().map(|(overlay, objects)| {
        Remark::Warning(format!(
            "{} of a Kustomize base, which {overlay} changes: what would be denied is undecided. Judge what is \
             rendered: kubectl kustomize {} | kubectl gitops check -",
            counted(*objects, "object"),
            quoted(Path::new(&**overlay)),
        ))
    });
    skipped.chain(changed).collect()
}

fn line(reason: &Reason, skipped: &[&Skipped]) -> String {
    let count = counted(skipped.len(), "file");
    let one = skipped.len() == 1;
    let either = |singular, plural| if one { singular } else { plural };
    let holds = either("holds", "hold");
    let is = either("is", "are");
    let names = names(skipped);
    match reason {
        Reason::WithoutObject => format!("skipped {count} without an object of Argo CD"),
        Reason::Unparsable => format!(
            "skipped {count} that {is} neither YAML nor JSON and {holds} no object of Argo CD: {names}"
        ),
        Reason::NotText => format!("skipped {count} that {is} not text: {names}"),
        Reason::Marked => {
            format!("skipped {count} with the mark +argocd:skip-file-rendering: {names}")
        }
        Reason::Patch => {
            format!("skipped {count} that Kustomize merges into other objects: {names}")
        }
        Reason::Template => format!("skipped {count} among the templates of Helm charts"),
        Reason::TemplateWithObjects { .. } => format!(
            "not judged: {count} with objects of Argo CD, as {} of a Helm chart: {names}. Judge what is \
             rendered: {}",
            either("a template", "templates"),
            reason.command().unwrap_or_default(),
        ),
        Reason::ValuesWithObjects { .. } => format!(
            "not judged: {count} with values from which a Helm chart makes objects of Argo CD: {names}. Judge \
             what is rendered: {}",
            reason.command().unwrap_or_default(),
        ),
    }
}

fn names(skipped: &[&Skipped]) -> String {
    let names: Vec<&str> = skipped.iter().map(|skipped| &*skipped.file).collect();
    listed(&names, NAMED)
}
