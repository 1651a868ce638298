//! The way back from each difference.

use serde::Serialize;
use serde_json::Value;

use super::{API_VERSION, Cell, Detail, Page, Report, Row, Table, non_empty};
use crate::drift::fix::{Fix, Way};
use crate::text::printable;

/// What is proposed.
pub(crate) struct FixReport<'f> {
    pub(crate) fixes: &'f [Fix<'f>],
    /// What is written, or would be.
    pub(crate) diffs: &'f [FileDiff],
    pub(crate) is_applied: bool,
}

/// A file of a checkout that is edited.
#[derive(Debug)]
pub(crate) struct FileDiff {
    /// Its path from the top of the repository.
    pub(crate) file: String,
    pub(crate) unified: String,
}

impl Report for FixReport<'_> {
    fn document(&self) -> impl Serialize {
        Document {
            api_version: API_VERSION,
            kind: "DriftFixReport",
            fixes: self.fixes.iter().map(FixDocument::new).collect(),
            files: self
                .diffs
                .iter()
                .map(|one| FileDocument {
                    file: &one.file,
                    diff: &one.unified,
                    written: self.is_applied,
                })
                .collect(),
        }
    }

    /// A row for each difference with its ways back, and the diffs of files.
    fn page(&self, _: Detail) -> Page {
        let rows = self.fixes.iter().map(|fix| Row {
            cells: vec![
                Cell::or_none(&fix.application.overview.name),
                Cell::from(fix.resource.short()),
                Cell::or_none(fix.field.map_or("", |field| &field.pointer)),
            ],
            paragraphs: fix.ways.iter().map(line).collect(),
        });
        let lines = self.diffs.iter().flat_map(|one| one.unified.lines());
        Page {
            table: Table {
                header: vec!["APPLICATION", "RESOURCE", "FIELD"],
                rows: rows.collect(),
            },
            text: lines.map(|line| printable(line) + "\n").collect(),
            ..Page::default()
        }
    }
}

fn line(way: &Way) -> String {
    match way {
        Way::Adopt(edit) => format!("have Git say what is there: {}", edit.file()),
        Way::Ignore { entry, edit } => {
            let place = edit.as_ref().map(|edit| format!(" in {}", edit.file()));
            format!("ignore it{}: {}", place.unwrap_or_default(), entry.value())
        }
        Way::Sync(command) => format!("have the cluster be as Git says: {command}"),
    }
}

/// `kind: DriftFixReport`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'f> {
    api_version: &'static str,
    kind: &'static str,
    fixes: Vec<FixDocument<'f>>,
    files: Vec<FileDocument<'f>>,
}

#[derive(Serialize)]
struct FixDocument<'f> {
    application: ApplicationDocument<'f>,
    resource: ResourceDocument<'f>,
    /// Null for the whole object.
    path: Option<&'f str>,
    /// Where Git can be made to say what is there; null where that is not found.
    adopt: Option<&'f str>,
    /// An entry of `ignoreDifferences`; null where none hides this field alone.
    ignore: Option<&'f Value>,
    /// Null where a sync would not help.
    sync: Option<&'f str>,
}

#[derive(Serialize)]
struct ApplicationDocument<'f> {
    namespace: &'f str,
    name: &'f str,
}

#[derive(Serialize)]
struct ResourceDocument<'f> {
    /// Empty for the core group.
    group: &'f str,
    kind: &'f str,
    /// Null for one of the whole cluster.
    namespace: Option<&'f str>,
    name: &'f str,
}

#[derive(Serialize)]
struct FileDocument<'f> {
    file: &'f str,
    /// Unified.
    diff: &'f str,
    written: bool,
}

impl<'f> FixDocument<'f> {
    fn new(fix: &'f Fix<'f>) -> Self {
        let overview = &fix.application.overview;
        let resource = fix.resource;
        let mut document = FixDocument {
            application: ApplicationDocument {
                namespace: &overview.namespace,
                name: &overview.name,
            },
            resource: ResourceDocument {
                group: &resource.group,
                kind: &resource.kind,
                namespace: non_empty(&resource.namespace),
                name: &resource.name,
            },
            path: fix.field.map(|field| field.pointer.as_str()),
            adopt: None,
            ignore: None,
            sync: None,
        };
        for way in &fix.ways {
            match way {
                Way::Adopt(edit) => document.adopt = Some(edit.file()),
                Way::Ignore { entry, .. } => document.ignore = Some(entry.value()),
                Way::Sync(command) => document.sync = Some(command),
            }
        }
        document
    }
}
