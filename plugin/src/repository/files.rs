//! Which files are read.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, WalkBuilder};

use super::kustomize::Patches;
use super::problem::Problem;

/// The path that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// A file to read.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// As users see it.
    pub(crate) name: Arc<str>,
    pub(crate) location: Location,
    pub(crate) role: Role,
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// One whose objects are whole.
    Manifest,
    /// One among the templates of a Helm chart, which may need no rendering.
    Template,
    /// One that Kustomize merges into other objects.
    Patch,
}

/// Where a file is.
#[derive(Debug)]
pub(crate) enum Location {
    Path(PathBuf),
    StandardInput,
}

/// The files that are meant by paths: a file itself, whatever its name; in a folder, all below it
/// that end in `.yaml`, `.yml` or `.json`, without what is hidden or what Git ignores. Each is
/// there once, and they are in order.
pub(crate) fn find(paths: &[impl AsRef<Path>]) -> (Vec<SourceFile>, Vec<Problem>) {
    let mut finder = Finder::default();
    for path in paths {
        finder.add(path.as_ref());
    }
    finder.files()
}

#[derive(Default)]
struct Finder {
    /// By what the file is whatever it is called: its path without links and detours. Of two names
    /// the first counts.
    files: HashMap<PathBuf, SourceFile>,
    problems: Vec<Problem>,
    patches: Patches,
    /// Whether a folder has the templates of a chart.
    templates: HashMap<PathBuf, bool>,
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
                },
            );
            return;
        }
        if let Err(error) = path.metadata() {
            self.problems.push(Problem::read(&name_of(path), error));
            return;
        }
        let walk = WalkBuilder::new(path)
            .standard_filters(false)
            .hidden(true)
            .git_ignore(true)
            .require_git(false)
            .parents(true)
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
        if let Ok(absolute) = std::path::absolute(&path)
            && let Some(folder) = absolute.parent()
        {
            self.patches.look_in(folder);
            if self.is_templates(folder) {
                role = Role::Template;
            }
        }
        let file = SourceFile {
            name: name_of(&path).into(),
            location: Location::Path(path),
            role,
        };
        self.files.insert(identity, file);
    }

    /// What was found, in order. Only now all patches are known.
    fn files(self) -> (Vec<SourceFile>, Vec<Problem>) {
        let patches = self.patches;
        let mut files: Vec<SourceFile> = self
            .files
            .into_iter()
            .map(|(identity, file)| SourceFile {
                role: if patches.contains(&identity) {
                    Role::Patch
                } else {
                    file.role
                },
                ..file
            })
            .collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        (files, self.problems)
    }

    fn is_templates(&mut self, folder: &Path) -> bool {
        if let Some(known) = self.templates.get(folder) {
            return *known;
        }
        let parent = folder.parent();
        let is = folder.file_name().is_some_and(|name| name == "templates")
            && parent.is_some_and(|chart| chart.join("Chart.yaml").is_file());
        let is = is || parent.is_some_and(|parent| self.is_templates(parent));
        self.templates.insert(folder.to_owned(), is);
        is
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

/// A path as users see it.
pub(super) fn name_of(path: &Path) -> String {
    path.strip_prefix(".")
        .ok()
        .filter(|rest| !rest.as_os_str().is_empty())
        .unwrap_or(path)
        .display()
        .to_string()
}
