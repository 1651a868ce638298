//! Which files are read.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, WalkBuilder};

use super::exclusions::Exclusions;
use super::kustomize::Kustomizations;
use super::path::{STANDARD_INPUT, name_of};
use super::problem::Problem;

/// A file to read.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// As users see it.
    pub(crate) name: Arc<str>,
    pub(crate) location: Location,
    pub(crate) role: Role,
    /// The folders of the kustomizations, or of the chart, by which it is applied; none where it is
    /// applied as it is.
    pub(crate) applied_by: BTreeSet<PathBuf>,
}

impl SourceFile {
    /// Whether it is one of some files, or in one of some folders, which are without links.
    pub(super) fn is_below(&self, others: &[PathBuf]) -> bool {
        let Location::Path(path) = &self.location else {
            return false;
        };
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        others.iter().any(|other| path.starts_with(other))
    }
}

/// What a file is by its place in the repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// One whose objects are whole.
    Manifest,
    /// One among the templates of a Helm chart, which may need no rendering.
    Template {
        /// The folder of the chart.
        chart: PathBuf,
    },
    /// One that Kustomize merges into other objects.
    Patch,
    /// One whose objects Kustomize changes before they are applied.
    Base {
        /// The folder of a kustomization that changes them.
        overlay: PathBuf,
    },
}

/// Where a file is.
#[derive(Debug)]
pub(crate) enum Location {
    Path(PathBuf),
    StandardInput,
}

/// The files that are meant by paths: a file itself, whatever its name; in a folder, all below it
/// that end in `.yaml`, `.yml` or `.json`, without what is hidden, what Git ignores and what is
/// excluded. Each is there once, and they are in order.
pub(crate) fn find(
    paths: &[impl AsRef<Path>],
    exclusions: &Arc<Exclusions>,
) -> (Vec<SourceFile>, Vec<Problem>) {
    let mut finder = Finder {
        files: HashMap::new(),
        problems: Vec::new(),
        kustomizations: Kustomizations::default(),
        charts: HashMap::new(),
        exclusions: Arc::clone(exclusions),
    };
    for path in paths {
        finder.add(path.as_ref());
    }
    finder.files()
}

struct Finder {
    /// By what the file is whatever it is called: its path without links and detours. Of two names
    /// the first counts.
    files: HashMap<PathBuf, SourceFile>,
    problems: Vec<Problem>,
    kustomizations: Kustomizations,
    /// The chart of which a folder has templates, if there is one.
    charts: HashMap<PathBuf, Option<PathBuf>>,
    exclusions: Arc<Exclusions>,
}

impl Finder {
    fn add(&mut self, path: &Path) {
        if path == Path::new(STANDARD_INPUT) {
            self.files.insert(
                path.to_owned(),
                SourceFile {
                    name: "<stdin>".into(),
                    location: Location::StandardInput,
                    role: Role::Manifest,
                    applied_by: BTreeSet::new(),
                },
            );
            return;
        }
        if let Err(error) = path.metadata() {
            self.problems.push(Problem::read(&name_of(path), error));
            return;
        }
        if self.exclusions.exclude_with_parents(path) {
            return;
        }
        let exclusions = Arc::clone(&self.exclusions);
        let walk = WalkBuilder::new(path)
            .standard_filters(false)
            .hidden(true)
            .git_ignore(true)
            .git_exclude(true)
            .require_git(false)
            .parents(true)
            .filter_entry(move |entry| {
                let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
                entry.depth() == 0 || !exclusions.exclude(entry.path(), is_folder)
            })
            .sort_by_file_name(Ord::cmp)
            .build();
        for entry in walk {
            match entry {
                Ok(entry) if is_wanted(&entry) => self.push(entry.into_path()),
                Ok(_) => {}
                Err(error) => self.problems.push(Problem::walk(error)),
            }
        }
    }

    fn push(&mut self, path: PathBuf) {
        let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.files.contains_key(&identity) {
            return;
        }
        let mut role = Role::Manifest;
        if let Some(folder) = path.parent() {
            if let Ok(absolute) = folder.canonicalize() {
                self.kustomizations.look_in(&absolute);
            }
            if let Some(chart) = self.chart_with_templates(folder) {
                role = Role::Template { chart };
            }
        }
        let file = SourceFile {
            name: name_of(&path).into(),
            location: Location::Path(path),
            role,
            applied_by: BTreeSet::new(),
        };
        self.files.insert(identity, file);
    }

    /// What was found, in order. Only now all kustomizations are known.
    fn files(self) -> (Vec<SourceFile>, Vec<Problem>) {
        let roles = self.kustomizations.roles();
        let mut files: Vec<SourceFile> = self
            .files
            .into_iter()
            .map(|(identity, file)| {
                let role = match (file.role, roles.changed_by(&identity)) {
                    _ if roles.is_patch(&identity) => Role::Patch,
                    (Role::Manifest, Some(overlay)) => Role::Base {
                        overlay: from_here(overlay),
                    },
                    (role, _) => role,
                };
                let mut applied_by = roles.applied_by(&identity);
                if let Role::Template { chart } = &role {
                    applied_by.insert(chart.clone());
                }
                SourceFile {
                    role,
                    applied_by,
                    ..file
                }
            })
            .collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        (files, self.problems)
    }

    /// The chart of which a folder has templates, as a path like the folder's.
    fn chart_with_templates(&mut self, folder: &Path) -> Option<PathBuf> {
        if let Some(known) = self.charts.get(folder) {
            return known.clone();
        }
        // A relative path ends before the file system does.
        let absolute = std::path::absolute(folder).ok()?;
        let is_templates = absolute.file_name().is_some_and(|name| name == "templates");
        let parent = match folder.parent() {
            Some(parent) if folder.file_name().is_some() => parent.to_owned(),
            _ => absolute.parent()?.to_owned(),
        };
        let chart = if is_templates && parent.join(CHART).is_file() {
            Some(parent)
        } else {
            self.chart_with_templates(&parent)
        };
        self.charts.insert(folder.to_owned(), chart.clone());
        chart
    }
}

/// The file that makes a folder a Helm chart.
const CHART: &str = "Chart.yaml";

/// The chart in which a file lies, as a path like the file's, where the file is one of its values.
pub(super) fn chart_of_values(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    folder.join(CHART).is_file().then(|| folder.to_owned())
}

/// A path from the current folder, where that is possible.
fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let below = here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    match below {
        Some(below) if below.as_os_str().is_empty() => PathBuf::from("."),
        Some(below) => below,
        None => path.to_owned(),
    }
}

/// Whether an entry is a file that was named itself, or one that looks like a manifest.
fn is_wanted(entry: &DirEntry) -> bool {
    if entry.depth() == 0 {
        return !entry.path().is_dir();
    }
    let extension = entry.path().extension().and_then(OsStr::to_str);
    matches!(extension, Some("yaml" | "yml" | "json")) && entry.path().is_file()
}
