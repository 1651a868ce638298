//! Which files are read.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, WalkBuilder};

use super::problem::Problem;

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// A file to read.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// As users see it.
    pub(crate) name: Arc<str>,
    pub(crate) location: Location,
    /// Whether it is among the templates of a Helm chart.
    pub(crate) in_templates: bool,
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
    finder.files.sort_by(|a, b| a.name.cmp(&b.name));
    finder.files.dedup_by(|a, b| a.name == b.name);
    (finder.files, finder.problems)
}

#[derive(Default)]
struct Finder {
    files: Vec<SourceFile>,
    problems: Vec<Problem>,
    /// Whether a folder has the templates of a chart.
    templates: HashMap<PathBuf, bool>,
}

impl Finder {
    fn add(&mut self, path: &Path) {
        if path == Path::new(STANDARD_INPUT) {
            self.files.push(SourceFile {
                name: "<stdin>".into(),
                location: Location::StandardInput,
                in_templates: false,
            });
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
            .build();
        for entry in walk {
            match entry {
                Ok(entry) if is_wanted(&entry) => self.push(entry.into_path()),
                Ok(_) => {}
                Err(error) => self.problems.push(Problem::Walk(error)),
            }
        }
    }

    fn push(&mut self, path: PathBuf) {
        let in_templates = std::path::absolute(&path)
            .ok()
            .and_then(|path| Some(self.is_templates(path.parent()?)));
        self.files.push(SourceFile {
            name: name_of(&path).into(),
            in_templates: in_templates.unwrap_or(false),
            location: Location::Path(path),
        });
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

fn name_of(path: &Path) -> String {
    path.strip_prefix(".")
        .ok()
        .filter(|rest| !rest.as_os_str().is_empty())
        .unwrap_or(path)
        .display()
        .to_string()
}
