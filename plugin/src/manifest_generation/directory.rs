//! Reads a folder of plain manifests as Argo CD does.

use std::fs::{self, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use argocd::pattern::{Glob, Separators};
use ignore::WalkBuilder;
use serde_json::Value;

use super::objects::{self, ObjectError};
use super::source::Directory;

/// The most that the manifests of a folder may take together, in bytes: Argo CD's default
/// (`reposerver.max.combined.directory.manifests.size`, `10M`).
const COMBINED_SIZE: u64 = 10_000_000;

/// The files that are manifests by their names.
const EXTENSIONS: [&str; 4] = ["yaml", "yml", "json", "jsonnet"];

/// A file with this text in it is not read.
const SKIP_MARKER: &str = "+argocd:skip-file-rendering";

/// A folder cannot be read as manifests.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("{file}: cannot be read")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("the folder cannot be walked through")]
    Walk(#[source] ignore::Error),
    #[error("{file}: it is a link that leads out of the repository")]
    Outside { file: String },
    #[error("{file}: it is Jsonnet, which is not evaluated here")]
    Jsonnet { file: String },
    #[error("{file}: it is not a manifest")]
    NotOne {
        file: String,
        #[source]
        source: ObjectError,
    },
    #[error(
        "the manifests take more than {} MB together, which is more than Argo CD reads",
        COMBINED_SIZE / 1_000_000
    )]
    TooLarge,
}

/// The objects of a folder, in order of its files' names (Argo CD 3.6, `findManifests`).
pub(super) fn objects(
    folder: &Path,
    top: &Path,
    options: &Directory,
) -> Result<Vec<Value>, DirectoryError> {
    let mut found = Vec::new();
    let mut size = 0;
    for manifest in manifests(folder, top, options)? {
        size += manifest.size;
        if size > COMBINED_SIZE {
            return Err(DirectoryError::TooLarge);
        }
        found.extend(manifest.objects()?);
    }
    Ok(found)
}

/// A file that may be a manifest.
struct Manifest {
    name: String,
    size: u64,
    text: String,
}

fn manifests(
    folder: &Path,
    top: &Path,
    options: &Directory,
) -> Result<Vec<Manifest>, DirectoryError> {
    let pattern = |text: &str| (!text.is_empty()).then(|| Glob::new(text, Separators::None));
    let (include, exclude) = (pattern(&options.include), pattern(&options.exclude));
    let mut walk = WalkBuilder::new(folder);
    walk.standard_filters(false)
        .max_depth((!options.recurse).then_some(1))
        .sort_by_file_name(Ord::cmp);
    let mut manifests = Vec::new();
    for entry in walk.build() {
        let entry = entry.map_err(DirectoryError::Walk)?;
        if entry.file_type().is_none_or(|kind| kind.is_dir()) {
            continue;
        }
        let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let name = below.to_string_lossy().into_owned();
        if !options.disable_extension_filter && !has_extension(&name, &EXTENSIONS) {
            continue;
        }
        let kind = entry.file_type();
        let Some(metadata) = metadata(entry.path(), kind, top, &name)? else {
            continue;
        };
        let is_excluded = exclude.as_ref().is_some_and(|glob| glob.matches(&name));
        if is_excluded || include.as_ref().is_some_and(|glob| !glob.matches(&name)) {
            continue;
        }
        if let Some(manifest) = Manifest::read(entry.path(), name, metadata.len())? {
            manifests.push(manifest);
        }
    }
    Ok(manifests)
}

/// Written so, and not otherwise.
fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| extensions.contains(&extension))
}

/// What a regular file is, or the regular file that a link leads to within the repository; nothing
/// else is read.
fn metadata(
    path: &Path,
    kind: Option<FileType>,
    top: &Path,
    name: &str,
) -> Result<Option<Metadata>, DirectoryError> {
    let failed = |source| DirectoryError::Read {
        file: name.to_owned(),
        source,
    };
    let real: PathBuf = if kind.is_some_and(|kind| kind.is_symlink()) {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !real.starts_with(top.canonicalize().map_err(failed)?) {
            let file = name.to_owned();
            return Err(DirectoryError::Outside { file });
        }
        real
    } else {
        path.to_owned()
    };
    let metadata = fs::metadata(real).map_err(failed)?;
    Ok(metadata.is_file().then_some(metadata))
}

impl Manifest {
    /// Reads a file, unless it asks to be left out.
    fn read(path: &Path, name: String, size: u64) -> Result<Option<Self>, DirectoryError> {
        if has_extension(&name, &["jsonnet"]) {
            return Err(DirectoryError::Jsonnet { file: name });
        }
        if size > COMBINED_SIZE {
            return Err(DirectoryError::TooLarge);
        }
        let text = fs::read(path).map_err(|source| DirectoryError::Read {
            file: name.clone(),
            source,
        })?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let is_read = !text.contains(SKIP_MARKER);
        Ok(is_read.then_some(Manifest { name, size, text }))
    }

    fn objects(self) -> Result<Vec<Value>, DirectoryError> {
        let mut found = Vec::new();
        for object in objects::of(&self.text) {
            match object {
                Ok(object) => found.push(object),
                Err(_) if found.is_empty() && !self.looks_like_a_manifest() => return Ok(found),
                Err(source) => {
                    let file = self.name;
                    return Err(DirectoryError::NotOne { file, source });
                }
            }
        }
        if has_extension(&self.name, &["json"]) && found.len() > 1 {
            return Err(DirectoryError::NotOne {
                file: self.name,
                source: ObjectError::Several,
            });
        }
        Ok(found)
    }

    /// What cannot be read as objects is only told if it seems to be meant as some. Of a file with
    /// the name of JSON it always is.
    fn looks_like_a_manifest(&self) -> bool {
        has_extension(&self.name, &["json"])
            || ["apiVersion:", "kind:", "metadata:"]
                .iter()
                .all(|part| self.text.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the objects that are read of files.
    fn read(files: &[(&str, &str)], options: &Directory) -> Result<Vec<String>, String> {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("deploy");
        for (name, text) in files {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let found = objects(&folder, top.path(), options);
        let found = found.map_err(|error| crate::error::chain(&error))?;
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
        Ok(found.iter().map(name).collect())
    }

    fn object(name: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
    }

    #[test]
    fn files_are_read_by_their_names_in_order() {
        let (a, b, c) = (object("a"), object("b"), object("c"));
        let list = format!("{b}---\n---\n# nothing\n---\n{c}");
        let files = [
            ("z.yml", a.as_str()),
            ("b.yaml", &list),
            ("notes.txt", "nothing: {"),
            ("values.yaml", "a: [not, objects]\n"),
            ("broken.yaml", "{{ template }}: x: y\n"),
            ("skipped.yaml", "# +argocd:skip-file-rendering\nkind: {\n"),
            ("below/d.yaml", &c),
        ];
        assert_eq!(
            read(&files, &Directory::default()).unwrap(),
            ["b", "c", "a"]
        );
        let recurse = Directory {
            recurse: true,
            exclude: "b.*".to_owned(),
            ..Directory::default()
        };
        assert_eq!(read(&files, &recurse).unwrap(), ["c", "a"]);
        let include = Directory {
            include: "{b,z}*".to_owned(),
            ..Directory::default()
        };
        assert_eq!(read(&files, &include).unwrap(), ["b", "c", "a"]);
    }

    #[test]
    fn what_is_meant_as_an_object_and_is_none_is_told() {
        let broken = format!("{}  labels: {{\n", object("a"));
        let half = format!("{}---\nkind: [\n", object("a"));
        for (name, text, expected) in [
            ("a.yaml", broken.as_str(), "a.yaml: it is not a manifest"),
            ("b.yaml", &half, "b.yaml: it is not a manifest"),
            ("c.json", "{}", "c.json: it is not a manifest"),
            ("d.jsonnet", "{}", "d.jsonnet: it is Jsonnet"),
        ] {
            let error = read(&[(name, text)], &Directory::default()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_in_the_repository() {
        let top = tempfile::tempdir().unwrap();
        let other = tempfile::NamedTempFile::new().unwrap();
        let folder = top.path().join("deploy");
        fs::create_dir(&folder).unwrap();
        fs::write(top.path().join("shared"), object("shared")).unwrap();
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
        };
        link(Path::new("../shared"), "a.yaml");
        link(Path::new("nowhere"), "b.yaml");
        link(&folder, "c.yaml");
        let found = objects(&folder, top.path(), &Directory::default()).unwrap();
        assert_eq!(found.len(), 1);

        link(other.path(), "d.yaml");
        let error = objects(&folder, top.path(), &Directory::default()).unwrap_err();
        let expected = "d.yaml: it is a link that leads out of the repository";
        assert_eq!(error.to_string(), expected);
    }
}
