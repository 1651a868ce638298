//! `git`: one parameter set a folder or file of a Git repository.

mod path_spec;

use std::collections::{BTreeMap, BTreeSet};

use golang::json::{null_as_default, objects, string_map};
use golang::path::PathGlob;
use golang::yaml;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::path_spec::PathSpec;
use super::{Known, Outside, Parameters, Template, visit_values};
use crate::application_set::dialect::Visited;
use crate::application_set::error::ExpansionError;
use crate::application_set::functions::sanitize_name;
use crate::application_set::lack::Lack;
use crate::application_set::limits::ALIASES;
use crate::application_set::parameters::{ParameterSet, flatten};
use crate::application_set::template::size;

/// The Git repositories whose content is at hand.
pub trait Checkouts {
    /// The content of a repository at a revision, if it is at hand.
    fn checkout(&self, repository: &str, revision: &str) -> Option<&dyn Checkout>;
}

/// The content of a Git repository at one revision. Paths are relative to its root, with `/`.
pub trait Checkout {
    /// All folders, without those that are hidden, in the order of their paths.
    fn directories(&self) -> Vec<String>;
    /// All files that Git knows, in the order of their paths.
    fn files(&self) -> Vec<String>;
    /// The text of a file; `None` if it cannot be read as one.
    fn read(&self, path: &str) -> Option<String>;
}

/// No repository is at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCheckouts;

impl Checkouts for NoCheckouts {
    fn checkout(&self, _: &str, _: &str) -> Option<&dyn Checkout> {
        None
    }
}

/// The `git` generator.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::application_set) struct GitGenerator {
    #[serde(rename = "repoURL", deserialize_with = "null_as_default")]
    repo_url: String,
    #[serde(deserialize_with = "null_as_default")]
    revision: String,
    #[serde(deserialize_with = "objects")]
    directories: Vec<PathItem>,
    #[serde(deserialize_with = "objects")]
    files: Vec<PathItem>,
    #[serde(deserialize_with = "null_as_default")]
    path_param_prefix: String,
    #[serde(deserialize_with = "string_map")]
    values: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) template: Template,
}

/// An entry of `directories` or `files`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct PathItem {
    #[serde(deserialize_with = "null_as_default")]
    path: String,
    #[serde(deserialize_with = "null_as_default")]
    exclude: bool,
}

impl GitGenerator {
    /// Shows all that may have placeholders, with the fields where it stands.
    pub(super) fn visit_texts(&self, at: &str, visit: &mut dyn FnMut(&str, Visited<'_>)) {
        visit(&format!("{at}/repoURL"), Visited::Text(&self.repo_url));
        visit(&format!("{at}/revision"), Visited::Text(&self.revision));
        for (name, items) in [("directories", &self.directories), ("files", &self.files)] {
            for (index, item) in items.iter().enumerate() {
                visit(
                    &format!("{at}/{name}/{index}/path"),
                    Visited::Text(&item.path),
                );
            }
        }
        visit_values(&self.values, at, visit);
    }

    /// Follows Argo CD 3.5, `GitGenerator.GenerateParams`: folders if any are asked for, else
    /// files.
    pub(super) fn parameters(&self, known: &Known<'_>) -> Result<Parameters, ExpansionError> {
        if self.directories.is_empty() && self.files.is_empty() {
            return Err(ExpansionError::fails(
                "/git",
                "one of directories and files is required",
            ));
        }
        let Some(checkout) = known.checkouts.checkout(&self.repo_url, &self.revision) else {
            return Ok(Parameters::Undecided(outside(Lack::Repository {
                url: self.repo_url.clone(),
                revision: self.revision.clone(),
            })));
        };
        if self.directories.is_empty() {
            self.file_sets(checkout, known)
        } else {
            self.directory_sets(checkout, known).map(Parameters::Sets)
        }
    }

    fn directory_sets(
        &self,
        checkout: &dyn Checkout,
        known: &Known<'_>,
    ) -> Result<Vec<ParameterSet>, ExpansionError> {
        let patterns: Vec<(PathGlob, bool)> = self
            .directories
            .iter()
            .map(|item| (PathGlob::new(&item.path), item.exclude))
            .collect();
        let matches = |path: &str, exclude: bool| {
            patterns
                .iter()
                .any(|(glob, excludes)| *excludes == exclude && glob.matches(path))
        };
        let mut sets = Vec::new();
        for path in checkout.directories() {
            if !matches(&path, false) || matches(&path, true) {
                continue;
            }
            let mut set = ParameterSet::new(self.path_values(&path, None, known));
            known.append_values("git", &self.values, &mut set)?;
            known.admit(sets.len(), &set)?;
            sets.push(set);
        }
        Ok(sets)
    }

    fn file_sets(
        &self,
        checkout: &dyn Checkout,
        known: &Known<'_>,
    ) -> Result<Parameters, ExpansionError> {
        let mut sets = Vec::new();
        for path in self.selected_files(checkout) {
            let Some(text) = checkout.read(&path) else {
                return Ok(Parameters::Undecided(outside(Lack::Other(format!(
                    "the file {path}"
                )))));
            };
            for values in objects_of(&path, &text, known)? {
                let values = self.file_values(values, &path, known)?;
                let mut set = ParameterSet::new(values);
                known.append_values("git", &self.values, &mut set)?;
                known.admit(sets.len(), &set)?;
                sets.push(set);
            }
        }
        Ok(Parameters::Sets(sets))
    }

    fn selected_files(&self, checkout: &dyn Checkout) -> BTreeSet<String> {
        let files = checkout.files();
        let selected = |exclude: bool| -> BTreeSet<String> {
            let patterns: Vec<PathSpec> = self
                .files
                .iter()
                .filter(|item| item.exclude == exclude)
                .map(|item| PathSpec::new(&item.path))
                .collect();
            let matches = |path: &&String| patterns.iter().any(|pattern| pattern.matches(path));
            files.iter().filter(matches).cloned().collect()
        };
        let excluded = selected(true);
        selected(false).difference(&excluded).cloned().collect()
    }

    fn file_values(
        &self,
        content: Map<String, Value>,
        path: &str,
        known: &Known<'_>,
    ) -> Result<Map<String, Value>, ExpansionError> {
        let (folder, file) = path.rsplit_once('/').unwrap_or((".", path));
        let mut values = if known.language.is_go() {
            content
        } else {
            let flat = flatten(&content, known.language.work())?;
            let texts = flat.into_iter().map(|(key, text)| (key, Value::from(text)));
            texts.collect()
        };
        values.extend(self.path_values(folder, Some(file), known));
        Ok(values)
    }

    /// What a path is called: `path`, `path.basename` and so on, behind `pathParamPrefix`.
    fn path_values(
        &self,
        folder: &str,
        file: Option<&str>,
        known: &Known<'_>,
    ) -> Map<String, Value> {
        let basename = folder.rsplit('/').next().unwrap_or_default();
        let mut named = vec![
            ("basename", basename.to_owned()),
            ("basenameNormalized", sanitize_name(basename)),
        ];
        if let Some(file) = file {
            named.push(("filename", file.to_owned()));
            named.push(("filenameNormalized", sanitize_name(file)));
        }
        let segments = folder.split('/');
        if known.language.is_go() {
            let mut path: Map<String, Value> = named
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .collect();
            path.insert("path".to_owned(), Value::from(folder));
            path.insert("segments".to_owned(), segments.collect());
            let path = Map::from_iter([("path".to_owned(), Value::Object(path))]);
            if self.path_param_prefix.is_empty() {
                path
            } else {
                Map::from_iter([(self.path_param_prefix.clone(), Value::Object(path))])
            }
        } else {
            let name = if self.path_param_prefix.is_empty() {
                "path".to_owned()
            } else {
                format!("{}.path", self.path_param_prefix)
            };
            let mut flat: Map<String, Value> = named
                .into_iter()
                .map(|(suffix, value)| (format!("{name}.{suffix}"), Value::from(value)))
                .collect();
            let indexed = segments
                .enumerate()
                .filter(|(_, segment)| !segment.is_empty())
                .map(|(index, segment)| (format!("{name}[{index}]"), Value::from(segment)));
            flat.extend(indexed);
            flat.insert(name.clone(), Value::from(folder));
            flat
        }
    }
}

fn outside(lacks: Lack) -> Outside {
    Outside {
        generator: "git".to_owned(),
        lacks,
        perhaps_misspelt: false,
    }
}

/// The objects of a file: one, or a list of them.
fn objects_of(
    path: &str,
    text: &str,
    known: &Known<'_>,
) -> Result<Vec<Map<String, Value>>, ExpansionError> {
    const FIELD: &str = "/git/files";
    let value = yaml::value_within(text, ALIASES)
        .map_err(|error| ExpansionError::fails(FIELD, format_args!("{path}: {error}")))?;
    let work = u64::try_from(size(&value)).unwrap_or(u64::MAX);
    known.language.work().spend(work)?;
    let object = |value| match value {
        Value::Object(members) => Ok(members),
        Value::Null => Ok(Map::new()),
        _ => Err(ExpansionError::fails(
            FIELD,
            format_args!("{path}: expected an object or a list of objects"),
        )),
    };
    match value {
        Value::Array(items) => items.into_iter().map(object).collect(),
        value => Ok(vec![object(value)?]),
    }
}
