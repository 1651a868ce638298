//! What Kustomize makes of files: those that it merges into other objects look like objects and are
//! parts of one, and those that it changes are not what is applied.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use golang::yaml;
use serde_json::Value;

/// The names that Kustomize looks for.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The kustomizations of the folders that were looked in.
#[derive(Default)]
pub(super) struct Kustomizations {
    seen: HashSet<PathBuf>,
    folders: HashMap<PathBuf, Kustomization>,
}

/// What Kustomize does to files.
#[derive(Default)]
pub(super) struct Roles {
    /// What is merged into other objects, without links and detours.
    patches: HashSet<PathBuf>,
    /// What is changed before it is applied, and the folder of the kustomization that changes it.
    bases: HashMap<PathBuf, PathBuf>,
    /// What is applied by kustomizations that are part of no other, and the folders of these.
    applied: HashMap<PathBuf, BTreeSet<PathBuf>>,
}

impl Roles {
    /// Whether a file, by its path without links and detours, is a patch.
    pub(super) fn is_patch(&self, file: &Path) -> bool {
        self.patches.contains(file)
    }

    /// The folder of a kustomization that changes objects of a file, by its path without links and
    /// detours.
    pub(super) fn changed_by(&self, file: &Path) -> Option<&Path> {
        self.bases.get(file).map(PathBuf::as_path)
    }

    /// The folders of the kustomizations that apply a file, by its path without links and detours.
    /// Those that are part of another are not among them.
    pub(super) fn applied_by(&self, file: &Path) -> BTreeSet<PathBuf> {
        self.applied.get(file).cloned().unwrap_or_default()
    }
}

impl Kustomizations {
    /// Reads the kustomizations in a folder and above it.
    pub(super) fn look_in(&mut self, folder: &Path) {
        for folder in folder.ancestors() {
            if !self.seen.insert(folder.to_owned()) {
                return;
            }
            if let Some(kustomization) = Kustomization::read(folder) {
                self.folders.insert(folder.to_owned(), kustomization);
            }
        }
    }

    /// What all of them together do to files.
    pub(super) fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        let mut folders: Vec<_> = self.folders.iter().collect();
        folders.sort_by_key(|(folder, _)| *folder);
        let parts: HashSet<&PathBuf> = folders
            .iter()
            .flat_map(|(_, kustomization)| &kustomization.resources)
            .collect();
        for (folder, kustomization) in folders {
            roles.patches.extend(kustomization.patches.iter().cloned());
            let is_whole = !parts.contains(folder);
            if !is_whole && !kustomization.changes_objects {
                continue;
            }
            let mut visited = HashSet::new();
            for resource in &kustomization.resources {
                self.visit(resource, &mut visited);
            }
            for resource in visited {
                if kustomization.changes_objects {
                    let by = roles.bases.entry(resource.clone());
                    by.or_insert_with(|| folder.clone());
                }
                if is_whole {
                    let by = roles.applied.entry(resource).or_default();
                    by.insert(folder.clone());
                }
            }
        }
        roles
    }

    /// Visits a file, or all that the kustomization of a folder takes in.
    fn visit(&self, resource: &Path, visited: &mut HashSet<PathBuf>) {
        if !visited.insert(resource.to_owned()) || !resource.is_dir() {
            return;
        }
        let known = self.folders.get(resource);
        let read = known
            .is_none()
            .then(|| Kustomization::read(resource))
            .flatten();
        for resource in known
            .or(read.as_ref())
            .into_iter()
            .flat_map(|inner| &inner.resources)
        {
            self.visit(resource, visited);
        }
    }
}

/// What counts of a kustomization. Paths are without links and detours.
struct Kustomization {
    patches: Vec<PathBuf>,
    /// Files and folders.
    resources: Vec<PathBuf>,
    /// Whether it may change what a rule reads of an object of Argo CD. Labels, annotations and the
    /// namespace that it adds to everything do not count: they are in most kustomizations, which
    /// would leave little to judge.
    changes_objects: bool,
}

/// Fields by which a kustomization changes objects of any kind.
const CHANGES: [&str; 6] = [
    "components",
    "namePrefix",
    "nameSuffix",
    "replacements",
    "transformers",
    "vars",
];

impl Kustomization {
    /// None where a folder has none. One that cannot be read is reported if it is to be judged.
    fn read(folder: &Path) -> Option<Self> {
        let text = KUSTOMIZATIONS
            .into_iter()
            .find_map(|name| std::fs::read_to_string(folder.join(name)).ok())?;
        let value = yaml::value(&text).ok()?;
        let path = |path: &str| folder.join(path).canonicalize().ok();
        let changes_objects = CHANGES.iter().any(|field| is_there(value.get(field)))
            || patches_in(&value).any(|patch| patch.may_change_objects(folder));
        Some(Kustomization {
            patches: patches_in(&value)
                .filter_map(|patch| path(patch.path?))
                .collect(),
            resources: ["resources", "bases"]
                .into_iter()
                .flat_map(|field| items(&value, field))
                .filter_map(|resource| path(resource.as_str()?))
                .collect(),
            changes_objects,
        })
    }
}

fn is_there(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

fn items<'v>(kustomization: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    let items = kustomization.get(field).and_then(Value::as_array);
    items.into_iter().flatten()
}

/// Something that stands where a kustomization names patches.
struct Patch<'k> {
    path: Option<&'k str>,
    text: Option<&'k str>,
    /// The kind that it is for, if it says so outside of itself.
    target: Option<&'k str>,
}

fn patches_in(kustomization: &Value) -> impl Iterator<Item = Patch<'_>> {
    let with_target = ["patches", "patchesJson6902"]
        .into_iter()
        .flat_map(|field| items(kustomization, field))
        .map(|patch| Patch {
            path: patch.get("path").and_then(Value::as_str),
            text: patch.get("patch").and_then(Value::as_str),
            target: patch.pointer("/target/kind").and_then(Value::as_str),
        });
    // Either a file or the patch itself, which no file is called.
    let merged = items(kustomization, "patchesStrategicMerge")
        .filter_map(Value::as_str)
        .map(|text| Patch {
            path: Some(text),
            text: Some(text),
            target: None,
        });
    with_target.chain(merged)
}

impl Patch<'_> {
    /// Whether it may be for an object of Argo CD: the kind is one, or a pattern, or cannot be
    /// told.
    fn may_change_objects(&self, folder: &Path) -> bool {
        if let Some(kind) = self.target {
            return may_be_ours(kind);
        }
        let file = self
            .path
            .and_then(|path| std::fs::read_to_string(folder.join(path)).ok());
        let text = file.as_deref().or(self.text).unwrap_or_default();
        yaml::documents(text).any(|document| {
            let kind = document.ok().and_then(|document| {
                let kind = document.value.get("kind")?;
                kind.as_str().map(may_be_ours)
            });
            kind.unwrap_or(true)
        })
    }
}

/// Kustomize takes the kind of a target for a regular expression.
fn may_be_ours(kind: &str) -> bool {
    kind.is_empty()
        || !kind.chars().all(|c| c.is_ascii_alphanumeric())
        || matches!(
            kind,
            "Application"
                | "ApplicationSet"
                | "AppProject"
                | "GitOpsPolicy"
                | "Secret"
                | "ConfigMap"
        )
}
