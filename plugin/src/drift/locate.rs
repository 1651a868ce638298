//! Where a checkout has a resource that differs: the file, and the lines of its fields.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use argocd::application_set::{Checkout, Checkouts};
use argocd::comparison::counterpart;
use golang::yaml::{self, Lines};
use serde_json::Value;

use super::{Drift, ResourceDrift, Sides, SourceFolder};

/// A line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    /// Its path from the top of its repository, with `/`.
    pub(crate) file: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// An object in a file.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Its path from the top of its repository, with `/`.
    pub(crate) file: String,
    pub(crate) object: Value,
    /// Where it is in its document, which is a `List` where that is not empty.
    pub(crate) pointer: String,
}

/// An object as a file of a checkout has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// Its path from the top of its repository, with `/`.
    pub(crate) file: String,
    /// None where the file is what the object is made from.
    manifest: Option<Arc<Manifest>>,
}

#[derive(Debug, PartialEq)]
struct Manifest {
    object: Value,
    lines: Lines,
    /// Where it is in its document, which is a `List` where that is not empty.
    pointer: String,
}

impl Written {
    /// An object at a place of a document with these lines.
    pub(crate) fn new(file: String, object: Value, lines: Lines, pointer: String) -> Self {
        let manifest = Manifest {
            object,
            lines,
            pointer,
        };
        Written {
            file,
            manifest: Some(Arc::new(manifest)),
        }
    }

    /// Where a field of the live object is in its manifest, as far as that has it.
    pub(super) fn pointer_of(&self, field: &str, sides: Option<&Sides>) -> Option<String> {
        let manifest = self.manifest.as_ref()?;
        Some(pointer_in(&manifest.object, field, sides))
    }

    /// The manifest, to be edited.
    pub(super) fn target(&self) -> Option<Target> {
        let manifest = self.manifest.as_ref()?;
        Some(Target {
            file: self.file.clone(),
            object: manifest.object.clone(),
            pointer: manifest.pointer.clone(),
        })
    }

    /// The line of a field of the live object, or of what is nearest above it.
    pub(crate) fn place_of(&self, field: &str, sides: Option<&Sides>) -> Place {
        let line = self.manifest.as_ref().map(|manifest| {
            let pointer = pointer_in(&manifest.object, field, sides);
            manifest
                .lines
                .line_of(&format!("{}{pointer}", manifest.pointer))
        });
        Place {
            file: self.file.clone(),
            line: line.unwrap_or(1),
        }
    }
}

/// Where a field of the live object is in a manifest.
fn pointer_in(manifest: &Value, field: &str, sides: Option<&Sides>) -> String {
    let has = |object: &Value| object.pointer(field).is_some();
    let live = sides.and_then(Sides::live).filter(has);
    let known = live.or_else(|| sides.and_then(Sides::desired).filter(has));
    match known {
        Some(known) => counterpart(field, &known, manifest),
        None => field.to_owned(),
    }
}

/// Tells of each resource that differs where the checkouts have it.
pub(crate) fn locate(drift: &mut Drift, checkouts: &dyn Checkouts) {
    let mut read = HashMap::new();
    for application in &mut drift.applications {
        if application.resources.is_empty() {
            continue;
        }
        let sources = application.overview.sources.clone();
        for source in &sources {
            let checkout = checkouts.checkout(&source.repository, &source.revision);
            if let Some(checkout) = checkout {
                let key = (source.repository.clone(), source.path.clone());
                let folder = read
                    .entry(key)
                    .or_insert_with(|| Folder::read(checkout, source));
                for resource in &mut application.resources {
                    folder.tell(resource);
                }
            }
        }
    }
}

/// Group, kind and name.
type Named = (String, String, String);

/// The objects in the folder of a source, and in those that its kustomization names.
pub(super) struct Folder {
    objects: HashMap<Named, Vec<(String, Arc<Manifest>)>>,
    /// The file that all else is made by, if there is one.
    made_by: Option<String>,
}

/// Names that Kustomize knows its file by.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

impl Folder {
    /// All objects of a checkout, whatever they are applied by.
    pub(super) fn whole(checkout: &dyn Checkout) -> Self {
        let mut folder = Folder {
            objects: HashMap::new(),
            made_by: None,
        };
        for file in checkout.files().iter().filter(|file| is_yaml(file)) {
            folder.take_in(checkout, file);
        }
        folder
    }

    fn read(checkout: &dyn Checkout, source: &SourceFolder) -> Self {
        let files = checkout.files();
        let mut folder = Folder {
            objects: HashMap::new(),
            made_by: None,
        };
        let top = normal("", &source.path);
        let own = |name: &str| {
            let path = normal(&top, name);
            files.contains(&path).then_some(path)
        };
        let made_by = ["Chart.yaml"].into_iter().chain(KUSTOMIZATIONS);
        folder.made_by = made_by.into_iter().find_map(own);
        let mut folders = BTreeSet::new();
        with_bases(checkout, &files, &top, &mut folders, &mut BTreeSet::new());
        for file in &files {
            let is_below = folders.iter().any(|folder| is_in(file, folder));
            if is_below && is_yaml(file) {
                folder.take_in(checkout, file);
            }
        }
        folder
    }

    fn take_in(&mut self, checkout: &dyn Checkout, file: &str) {
        let Some(text) = checkout.read(file) else {
            return;
        };
        for document in yaml::documents(&text).map_while(Result::ok) {
            let yaml::Document { value, lines } = document;
            for (pointer, object) in flatten(value, String::new()) {
                let Some(key) = key_of(&object) else {
                    continue;
                };
                let manifest = Manifest {
                    object,
                    lines: lines.clone(),
                    pointer,
                };
                let known = self.objects.entry(key).or_default();
                known.push((file.to_owned(), Arc::new(manifest)));
            }
        }
    }

    fn tell(&self, resource: &mut ResourceDrift) {
        let is_known = |written: &Written| written.manifest.is_some();
        if resource.written.as_ref().is_some_and(is_known) {
            return;
        }
        let made_by = || {
            let file = self.made_by.clone()?;
            Some(Written {
                file,
                manifest: None,
            })
        };
        let ResourceDrift {
            group,
            kind,
            namespace,
            name,
            ..
        } = &*resource;
        let found = self.find(group, kind, namespace, name).or_else(made_by);
        resource.written = found.or(resource.written.take());
    }

    /// The one manifest of an object: with its namespace, or with none.
    pub(super) fn find(
        &self,
        group: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Written> {
        let key = (group.to_owned(), kind.to_owned(), name.to_owned());
        let namespace_of = |manifest: &Manifest| {
            let namespace = manifest.object.pointer("/metadata/namespace");
            let namespace = namespace.and_then(Value::as_str).unwrap_or_default();
            namespace.to_owned()
        };
        let of = |namespace: &str| {
            let all = self.objects.get(&key)?.iter();
            let mut found = all.filter(|(_, manifest)| namespace_of(manifest) == namespace);
            let first = found.next()?;
            found.next().is_none().then_some(first)
        };
        let (file, manifest) = of(namespace).or_else(|| of(""))?;
        Some(Written {
            file: file.clone(),
            manifest: Some(Arc::clone(manifest)),
        })
    }
}

/// A folder, or the files that its kustomization names, and those of its bases.
fn with_bases(
    checkout: &dyn Checkout,
    files: &[String],
    folder: &str,
    found: &mut BTreeSet<String>,
    visited: &mut BTreeSet<String>,
) {
    if !visited.insert(folder.to_owned()) {
        return;
    }
    let mut names = KUSTOMIZATIONS.iter().map(|name| normal(folder, name));
    let Some(own) = names.find(|name| files.contains(name)) else {
        found.insert(folder.to_owned());
        return;
    };
    let text = checkout.read(&own).unwrap_or_default();
    let Some(Ok(document)) = yaml::documents(&text).next() else {
        return;
    };
    for field in ["resources", "bases", "components"] {
        let items = document.value.get(field).and_then(Value::as_array);
        let items = items.into_iter().flatten().filter_map(Value::as_str);
        for item in items.filter(|item| !item.contains("://")) {
            let path = normal(folder, item);
            if files.contains(&path) {
                found.insert(path);
            } else {
                with_bases(checkout, files, &path, found, visited);
            }
        }
    }
}

/// A path from a folder, without `.` and `..`.
fn normal(folder: &str, path: &str) -> String {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a file is below a folder, or is it.
fn is_in(file: &str, folder: &str) -> bool {
    let rest = file.strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_yaml(file: &str) -> bool {
    [".yaml", ".yml", ".json"]
        .iter()
        .any(|end| file.ends_with(end))
}

fn flatten(value: Value, pointer: String) -> Vec<(String, Value)> {
    let is_list = value
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"));
    match value.get("items") {
        Some(Value::Array(items)) if is_list => items
            .iter()
            .enumerate()
            .flat_map(|(place, item)| flatten(item.clone(), format!("{pointer}/items/{place}")))
            .collect(),
        _ => vec![(pointer, value)],
    }
}

fn key_of(object: &Value) -> Option<Named> {
    let version = object.get("apiVersion")?.as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = object.get("kind")?.as_str()?;
    let name = object.pointer("/metadata/name")?.as_str()?;
    Some((group.to_owned(), kind.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::drift::Cause;

    /// Files of a repository, by their paths.
    struct Files(BTreeMap<&'static str, &'static str>);

    impl Checkout for Files {
        fn directories(&self) -> Vec<String> {
            Vec::new()
        }

        fn files(&self) -> Vec<String> {
            self.0.keys().map(|path| (*path).to_owned()).collect()
        }

        fn read(&self, path: &str) -> Option<String> {
            self.0.get(path).map(|text| (*text).to_owned())
        }
    }

    fn found(path: &str, name: &str, field: &str) -> Option<(String, usize)> {
        let settings = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  color: red
";
        let files = Files(BTreeMap::from([
            (
                "base/kustomization.yaml",
                "resources: [settings.yaml, https://git.example.com/a]\n",
            ),
            ("base/settings.yaml", settings),
            ("base/not-named.yaml", settings),
            (
                "overlay/kustomization.yml",
                "resources:\n  - ../base\n  - ../overlay\n",
            ),
            ("chart/Chart.yaml", "name: chart\n"),
            (
                "chart/templates/a.yaml",
                "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n",
            ),
            ("chart/templates/b.yaml", settings),
            ("twice/a.yaml", settings),
            ("twice/b.yaml", settings),
            (
                "list/a.yaml",
                "kind: List\nitems:\n  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: settings}\n    data:\n      color: red\n",
            ),
        ]));
        let source = SourceFolder {
            repository: String::new(),
            path: path.to_owned(),
            revision: String::new(),
        };
        let folder = Folder::read(&files, &source);
        let mut resource = ResourceDrift {
            group: String::new(),
            version: None,
            kind: "ConfigMap".to_owned(),
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            cause: Cause::Unknown,
            effect: None,
            refusal: None,
            fields: Vec::new(),
            sides: None,
            written: None,
        };
        folder.tell(&mut resource);
        let place = resource.place_of(field)?;
        Some((place.file, place.line))
    }

    #[test]
    fn the_line_is_the_one_of_the_field_or_of_what_is_above_it() {
        let at = |file: &str, line| Some((file.to_owned(), line));
        assert_eq!(found("base", "settings", ""), at("base/settings.yaml", 1));
        assert_eq!(
            found("overlay", "settings", "/data/color"),
            at("base/settings.yaml", 6)
        );
        assert_eq!(
            found("chart", "settings", "/data/color"),
            at("chart/templates/b.yaml", 6)
        );
        assert_eq!(
            found("chart", "settings", "/data/other"),
            at("chart/templates/b.yaml", 5)
        );
        assert_eq!(
            found("./list/", "settings", "/data/color"),
            at("list/a.yaml", 7)
        );
    }

    #[test]
    fn what_is_made_is_found_by_what_it_is_made_of() {
        let at = |file: &str, line| Some((file.to_owned(), line));
        assert_eq!(
            found("chart", "made", "/data/color"),
            at("chart/Chart.yaml", 1)
        );
        assert_eq!(
            found("overlay", "made", "/data/color"),
            at("overlay/kustomization.yml", 1)
        );
        // Which of both it is nobody can tell.
        assert_eq!(found("twice", "settings", "/data/color"), None);
        assert_eq!(found("nowhere", "settings", "/data/color"), None);
    }
}
