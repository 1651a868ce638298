//! What Kustomize merges into other objects: it looks like an object and is only a part of one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use argocd::yaml;
use serde_json::Value;

/// The names that Kustomize looks for.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The files that kustomizations name as patches.
#[derive(Default)]
pub(super) struct Patches {
    seen: HashSet<PathBuf>,
    /// Without links and detours.
    files: HashSet<PathBuf>,
}

impl Patches {
    /// Adds what the kustomizations in a folder and above it name.
    pub(super) fn look_in(&mut self, folder: &Path) {
        for folder in folder.ancestors() {
            if !self.seen.insert(folder.to_owned()) {
                return;
            }
            self.files.extend(patches_of(folder));
        }
    }

    /// Whether a file, by its path without links and detours, is a patch.
    pub(super) fn contains(&self, file: &Path) -> bool {
        self.files.contains(file)
    }
}

/// The files that a folder's kustomization names as patches. One that cannot be read names none,
/// and is reported if it is to be judged.
fn patches_of(folder: &Path) -> Vec<PathBuf> {
    KUSTOMIZATIONS
        .into_iter()
        .filter_map(|name| std::fs::read_to_string(folder.join(name)).ok())
        .filter_map(|text| yaml::value(&text).ok())
        .flat_map(|kustomization| {
            paths_in(&kustomization)
                .filter_map(|path| folder.join(path).canonicalize().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What stands where a kustomization names patches; some of it may be a patch itself.
fn paths_in(kustomization: &Value) -> impl Iterator<Item = &str> {
    let items = |key| kustomization.get(key).and_then(Value::as_array);
    let with_path = [items("patches"), items("patchesJson6902")];
    let paths = with_path
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|patch| patch.get("path"));
    let merged = items("patchesStrategicMerge").into_iter().flatten();
    paths.chain(merged).filter_map(Value::as_str)
}
