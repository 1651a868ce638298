//! What a command found, in all the forms that it has: a document for programs, a table for people,
//! names.
//!
//! One module a kind of report: the fields of its document (a versioned type) and the columns of
//! its table. How a form looks is for [`crate::render`].

pub(crate) mod addon_diff;
pub(crate) mod addon_status;
pub(crate) mod addon_terraform;
pub(crate) mod addons;
mod age;
pub(crate) mod break_glass;
pub(crate) mod check;
pub(crate) mod cluster_plan;
pub(crate) mod cluster_verification;
pub(crate) mod clusters;
mod diff;
pub(crate) mod drift;
pub(crate) mod fix;
mod metric;
mod place;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod promotion;
pub(crate) mod rules;
mod suite;
mod table;
pub(crate) mod versions;

use policy::Level;
use serde::Serialize;

pub(crate) use self::diff::ObjectDiff;
pub(crate) use self::metric::{Gauge, Sample};
pub(crate) use self::place::{Located, Log, RuleOfLog, Severity};
pub(crate) use self::suite::{Case, Outcome, Suite};
pub(crate) use self::table::{Cell, Notes, Page, Row, Table, Tone};

use crate::check::Unread;
use crate::repository::manifest::ObjectReference;

/// The version of everything in JSON and YAML.
const API_VERSION: &str = "kubectl-gitops.io/v1alpha1";

/// What a command found.
pub(crate) trait Report {
    /// What programs read. Keys are always there; what does not apply is null.
    fn document(&self) -> impl Serialize;

    /// What people read.
    fn page(&self, detail: Detail) -> Page;

    /// The names of the objects that it is about, as kubectl writes them. None where it is about no
    /// objects: the command then has no `-o name`.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a build server shows as tests. None where the command has no `-o junit`.
    fn suites(&self) -> Vec<Suite> {
        Vec::new()
    }

    /// What a monitoring system keeps. None where the command has no `-o openmetrics`.
    fn gauges(&self) -> Vec<Gauge> {
        Vec::new()
    }

    /// The objects that differ. None where the command has no `-o diff`.
    fn diffs(&self) -> Vec<ObjectDiff> {
        Vec::new()
    }

    /// What code scanning is told. Empty where the command has no `-o sarif`.
    fn log(&self) -> Log {
        Log::default()
    }

    /// How a page of its document shows it.
    fn view(&self) -> View {
        View::Document
    }
}

/// How a page shows a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum View {
    /// As it is written.
    Document,
    /// Drift by Application, with filters, and as a matrix.
    Drift,
}

/// How much people are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Detail {
    Table,
    Wide,
}

/// An object, as the file or the cluster has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'r> {
    api_version: &'r str,
    kind: &'r str,
    namespace: Option<&'r str>,
    name: Option<&'r str>,
}

/// What could not be read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'r> {
    /// Null where it is in no file.
    file: Option<&'r str>,
    /// Null where it is the whole file, or in no file.
    line: Option<usize>,
    message: &'r str,
}

impl<'r> Object<'r> {
    fn new(reference: &'r ObjectReference) -> Self {
        Object {
            api_version: &reference.api_version,
            kind: &reference.kind,
            namespace: reference.namespace.as_deref(),
            name: reference.name.as_deref(),
        }
    }
}

impl<'r> Problem<'r> {
    fn new(unread: &'r Unread) -> Self {
        Problem {
            file: non_empty(&unread.file),
            line: (unread.line > 0).then_some(unread.line),
            message: &unread.message,
        }
    }
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn tone_of(level: Level) -> Tone {
    match level {
        Level::Deny => Tone::Denied,
        Level::Warn => Tone::Attention,
        Level::Undecided => Tone::Unknown,
    }
}
