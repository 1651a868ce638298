//! A repository of manifests: its files, the objects in them, and what these say about the fleet.

pub(crate) mod exclusions;
pub(crate) mod files;
mod kustomize;
pub(crate) mod manifest;
mod path;
pub(crate) mod problem;
mod repository_url;
pub(crate) mod revisions;
pub(crate) mod skipped;
mod text;
pub(crate) mod work_trees;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use golang::yaml;
use policy::Kind;

use self::exclusions::Exclusions;
use self::files::{Location, Role, SourceFile};
use self::manifest::Manifest;
use self::problem::Problem;
use self::skipped::{Reason, Skipped};
use crate::namespaces::Namespaces;
use crate::parallel;
use crate::progress::Progress;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// The objects that are judged or say something about the fleet, by file and place in it.
    pub(crate) manifests: Vec<Manifest>,
    /// How many files were looked at.
    pub(crate) files: usize,
    /// Those of them that are not judged.
    pub(crate) skipped: Vec<Skipped>,
    /// What could not be read.
    pub(crate) problems: Vec<Problem>,
    /// Objects that look misspelt, and names that the API server refuses, in one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'r> {
    /// Which are left out.
    pub(crate) exclusions: &'r Arc<Exclusions>,
    /// Where objects count as being that name no namespace.
    pub(crate) namespaces: Namespaces<'r>,
    /// Who watches.
    pub(crate) progress: Progress,
}

impl Reader<'_> {
    /// Reads files and folders.
    pub(crate) fn read(self, paths: &[impl AsRef<Path>]) -> Repository {
        self.of_files(files::find(paths, self.exclusions))
    }

    /// The same, without files that are below one of some others, and the names of these.
    pub(crate) fn read_without(
        self,
        paths: &[impl AsRef<Path>],
        others: &[impl AsRef<Path>],
    ) -> (Repository, Vec<Arc<str>>) {
        let (files, problems) = files::find(paths, self.exclusions);
        let others: Vec<PathBuf> = others
            .iter()
            .filter_map(|other| other.as_ref().canonicalize().ok())
            .collect();
        let (left_out, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.is_below(&others));
        let names = left_out.into_iter().map(|file| file.name).collect();
        (self.of_files((files, problems)), names)
    }

    fn of_files(self, (files, problems): (Vec<SourceFile>, Vec<Problem>)) -> Repository {
        let contents = parallel::map(self.progress, "reading", &files, |file| {
            contents_of(file, self.namespaces)
        });
        let mut repository = Repository {
            files: files.len(),
            problems,
            ..Repository::default()
        };
        for (file, contents) in files.iter().zip(contents) {
            match contents {
                Contents::Skipped(reason) => repository.skipped.push(Skipped {
                    reason,
                    file: Arc::clone(&file.name),
                }),
                Contents::Read {
                    manifests,
                    warnings,
                    problem,
                } => {
                    repository.manifests.extend(manifests);
                    repository.warnings.extend(warnings);
                    repository.problems.extend(problem);
                }
            }
        }
        repository
    }
}

/// The objects in a text that is in no file, but has a name.
pub(crate) fn manifests_of(name: &str, text: &str, namespaces: Namespaces<'_>) -> Vec<Manifest> {
    let file = SourceFile {
        name: name.into(),
        location: Location::StandardInput,
        role: Role::Manifest,
        applied_by: BTreeSet::new(),
    };
    match parse(&file, text, namespaces) {
        Contents::Read { manifests, .. } => manifests,
        Contents::Skipped(_) => Vec::new(),
    }
}

impl Repository {
    /// The namespaces that have AppProjects.
    pub(crate) fn with_projects(&self) -> impl Iterator<Item = &str> {
        let projects = self.manifests.iter();
        projects
            .filter(|manifest| manifest.kind == Kind::AppProject)
            .map(|manifest| manifest.namespace.as_str())
    }

    /// Leaves out what is nothing to any Argo CD where it is.
    pub(crate) fn keep_what_counts(&mut self, is_argo_cds: impl Fn(&str) -> bool) {
        self.manifests.retain(|manifest| {
            !manifest.kind.is_of_argo_cds_namespace() || is_argo_cds(&manifest.namespace)
        });
    }

    /// Whether Applications come and go with an object in it.
    pub(crate) fn fans_out(&self) -> bool {
        self.manifests
            .iter()
            .any(|manifest| manifest.kind.fans_out())
    }
}

/// What one file holds.
enum Contents {
    Skipped(Reason),
    Read {
        manifests: Vec<Manifest>,
        warnings: Vec<String>,
        problem: Option<Problem>,
    },
}

impl Contents {
    fn unreadable(problem: Problem) -> Self {
        Contents::Read {
            manifests: Vec::new(),
            warnings: Vec::new(),
            problem: Some(problem),
        }
    }
}

fn contents_of(file: &SourceFile, namespaces: Namespaces<'_>) -> Contents {
    if file.role == Role::Patch {
        return Contents::Skipped(Reason::Patch);
    }
    let bytes = match bytes_of(file) {
        Ok(bytes) => bytes,
        Err(problem) => return Contents::unreadable(problem),
    };
    match text::decode(&bytes) {
        Some(text) => contents_of_text(file, &text, namespaces),
        None if skipped::looks_like_objects(&String::from_utf8_lossy(&bytes)) => {
            Contents::unreadable(Problem::not_text(&file.name))
        }
        None => Contents::Skipped(Reason::NotText),
    }
}

fn contents_of_text(file: &SourceFile, text: &str, namespaces: Namespaces<'_>) -> Contents {
    if skipped::is_marked(text) {
        return Contents::Skipped(Reason::Marked);
    }
    if let Role::Template { chart } = &file.role
        && text.contains("{{")
    {
        return Contents::Skipped(if skipped::looks_like_objects(text) {
            Reason::TemplateWithObjects {
                chart: chart.clone(),
            }
        } else {
            Reason::Template
        });
    }
    if !skipped::may_hold_objects(text) {
        return Contents::Skipped(match yaml::check_syntax(text) {
            Ok(()) => without_object(file, text),
            Err(_) => Reason::Unparsable,
        });
    }
    parse(file, text, namespaces)
}

fn parse(file: &SourceFile, text: &str, namespaces: Namespaces<'_>) -> Contents {
    let mut manifests = Vec::new();
    let mut warnings = Vec::new();
    for document in yaml::documents(text) {
        match document {
            Ok(document) => {
                manifest::collect(
                    &file.name,
                    document,
                    namespaces,
                    &mut manifests,
                    &mut warnings,
                );
            }
            Err(error) if !manifests.is_empty() || skipped::looks_like_objects(text) => {
                return Contents::Read {
                    manifests,
                    warnings,
                    problem: Some(Problem::syntax(&file.name, error)),
                };
            }
            Err(_) => return Contents::Skipped(Reason::Unparsable),
        }
    }
    if manifests.is_empty() && warnings.is_empty() {
        Contents::Skipped(without_object(file, text))
    } else {
        let overlay: Option<Arc<str>> = match &file.role {
            Role::Base { overlay } => Some(overlay.display().to_string().into()),
            _ => None,
        };
        let applied_by = Arc::new(file.applied_by.clone());
        for manifest in &mut manifests {
            manifest.overlay.clone_from(&overlay);
            manifest.applied_by = Arc::clone(&applied_by);
        }
        Contents::Read {
            manifests,
            warnings,
            problem: None,
        }
    }
}

/// Why a file without objects is skipped that is YAML or JSON.
fn without_object(file: &SourceFile, text: &str) -> Reason {
    match &file.location {
        Location::Path(path) if skipped::holds_values(text) => Reason::ValuesWithObjects {
            chart: files::chart_of_values(path),
        },
        _ => Reason::WithoutObject,
    }
}

fn bytes_of(file: &SourceFile) -> Result<Vec<u8>, Problem> {
    let read = match &file.location {
        Location::Path(path) => std::fs::read(path),
        Location::StandardInput => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
    };
    read.map_err(|source| Problem::read(&file.name, source))
}
