//! A repository of manifests: its files, the objects in them, and what these say about the fleet.

pub(crate) mod files;
mod kustomize;
pub(crate) mod manifest;
pub(crate) mod problem;
pub(crate) mod work_trees;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argocd::yaml;

use self::files::{Location, Role, SourceFile};
use self::manifest::Manifest;
use self::problem::Problem;
use crate::parallel;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// The objects that are judged or say something about the fleet, by file and place in it.
    pub(crate) manifests: Vec<Manifest>,
    /// How many files were looked at.
    pub(crate) files: usize,
    /// How many of them hold no object of Kubernetes, or are templates or patches.
    pub(crate) skipped: usize,
    /// What could not be read.
    pub(crate) problems: Vec<Problem>,
}

impl Repository {
    /// Reads files and folders. Objects without a namespace count as being in the one given.
    pub(crate) fn read(paths: &[impl AsRef<Path>], namespace: &str) -> Self {
        Self::of_files(files::find(paths), namespace)
    }

    /// The same, without files that are below one of some others, and the names of these.
    pub(crate) fn read_without(
        paths: &[impl AsRef<Path>],
        others: &[impl AsRef<Path>],
        namespace: &str,
    ) -> (Self, Vec<Arc<str>>) {
        let (files, problems) = files::find(paths);
        let others: Vec<PathBuf> = others
            .iter()
            .filter_map(|other| other.as_ref().canonicalize().ok())
            .collect();
        let (left_out, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.is_below(&others));
        let names = left_out.into_iter().map(|file| file.name).collect();
        (Self::of_files((files, problems), namespace), names)
    }

    /// Whether Applications come and go with an object in it.
    pub(crate) fn fans_out(&self) -> bool {
        self.manifests
            .iter()
            .any(|manifest| manifest.kind.fans_out())
    }

    fn of_files((files, problems): (Vec<SourceFile>, Vec<Problem>), namespace: &str) -> Self {
        let contents = parallel::map("reading", &files, |file| Contents::read(file, namespace));
        let mut repository = Repository {
            files: files.len(),
            problems,
            ..Repository::default()
        };
        for file in contents {
            repository.skipped += usize::from(file.is_nothing());
            repository.manifests.extend(file.manifests);
            repository.problems.extend(file.problem);
        }
        repository
    }
}

/// What one file holds.
#[derive(Default)]
struct Contents {
    manifests: Vec<Manifest>,
    /// How many objects of Kubernetes there are, of whatever kind.
    objects: usize,
    problem: Option<Problem>,
}

impl Contents {
    fn is_nothing(&self) -> bool {
        self.objects == 0 && self.problem.is_none()
    }

    fn read(file: &SourceFile, namespace: &str) -> Self {
        if file.role == Role::Patch {
            return Contents::default();
        }
        match text_of(file) {
            Ok(text) if file.role == Role::Template && text.contains("{{") => Contents::default(),
            Ok(text) => Contents::parse(file, &text, namespace),
            Err(problem) => Contents {
                problem: Some(problem),
                ..Contents::default()
            },
        }
    }

    fn parse(file: &SourceFile, text: &str, namespace: &str) -> Self {
        let mut contents = Contents::default();
        for document in yaml::documents(text) {
            match document {
                Ok(document) => {
                    contents.objects +=
                        manifest::collect(&file.name, document, namespace, &mut contents.manifests);
                }
                Err(error) => contents.problem = Some(Problem::syntax(&file.name, error)),
            }
        }
        contents
    }
}

fn text_of(file: &SourceFile) -> Result<String, Problem> {
    let read = match &file.location {
        Location::Path(path) => std::fs::read(path),
        Location::StandardInput => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
    };
    let bytes = read.map_err(|source| Problem::read(&file.name, source))?;
    String::from_utf8(bytes).map_err(|_| Problem::not_text(&file.name))
}
