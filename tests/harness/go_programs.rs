//! Programs that are built from Go modules, once for a user.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::go::{self, GoError};
use crate::progress::Progress;

/// Programs, and all that decides what is built.
#[derive(Clone, Debug)]
pub struct GoPrograms {
    /// The folder of the cache that the builds are kept in.
    pub cache: &'static str,
    /// The module that requires what the programs are made of.
    pub go_mod: &'static str,
    /// Its checksums.
    pub go_sum: &'static str,
    /// Go files of the module's own, by their names.
    pub sources: &'static [(&'static str, &'static str)],
    /// What the linker is told.
    pub linker_flags: String,
    /// The programs' names and packages.
    pub packages: &'static [(&'static str, &'static str)],
    /// What else is wanted of the modules.
    pub files: &'static [ModuleFile],
}

/// A file of a Go module, to lie beside the programs.
#[derive(Clone, Copy, Debug)]
pub struct ModuleFile {
    /// The name that it is given.
    pub name: &'static str,
    /// The module.
    pub module: &'static str,
    /// Where the module has it.
    pub path: &'static str,
    /// Whether it is to be executed; a Go module has no such files.
    pub executable: bool,
}

/// What `go mod download` says of a module.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}

/// A program is neither there nor can it be built.
#[derive(Debug, Error)]
pub enum GoProgramsError {
    /// There is no home directory to put a cache into.
    #[error("there is no home directory for the cache of built binaries")]
    NoCache(#[source] etcetera::HomeDirError),
    /// The cache cannot be read or written.
    #[error("cannot use the cache of built binaries at {}", path.display())]
    Cache {
        /// The file or folder in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The build failed.
    #[error("the build failed")]
    Go(#[from] GoError),
    /// `go` answers in another form than expected.
    #[error("cannot read what `go mod download` says")]
    Answer(#[source] serde_json::Error),
}

impl GoPrograms {
    /// The folder that has all of them, in a cache of the user, where they are built once with
    /// `go`. The build takes some minutes, tells on standard error how it gets on, and blocks.
    ///
    /// The folder's name is the hash of all that decides what is built, so that a change makes a
    /// new one and what is there is never out of date.
    pub fn built_once(&self) -> Result<PathBuf, GoProgramsError> {
        let folder = self.folder()?;
        if self.missing(&folder).is_some() {
            let names: Vec<_> = self.packages.iter().map(|(name, _)| *name).collect();
            let _lock = lock(&folder, &format!("the build of {}", names.join(", ")))?;
            if self.missing(&folder).is_some() {
                self.build(&folder)?;
            }
        }
        Ok(folder)
    }

    /// The folder that has all of them, if they were built before.
    pub(crate) fn built(&self) -> Result<Option<PathBuf>, GoProgramsError> {
        let folder = self.folder()?;
        Ok(self.missing(&folder).is_none().then_some(folder))
    }

    fn folder(&self) -> Result<PathBuf, GoProgramsError> {
        let version = go_version()?;
        let mut parts = vec![
            &*version,
            self.linker_flags.as_str(),
            self.go_mod,
            self.go_sum,
        ];
        parts.extend(self.sources.iter().flat_map(|(name, text)| [*name, *text]));
        Ok(cache(self.cache)?.join(key(&parts)))
    }

    /// The folder of a module that this one requires, from Go's module cache, or from the network
    /// if it is not there; this blocks.
    pub fn module(&self, module: &str) -> Result<PathBuf, GoProgramsError> {
        let folder = tempfile::tempdir().map_err(in_cache(&env::temp_dir()))?;
        self.write_module(folder.path())?;
        downloaded(folder.path(), module)
    }

    /// A program that a folder lacks, if it lacks one.
    pub(crate) fn missing(&self, folder: &Path) -> Option<&'static str> {
        let programs = self.packages.iter().map(|(name, _)| *name);
        let mut names = programs.chain(self.files.iter().map(|file| file.name));
        names.find(|name| !folder.join(name).is_file())
    }

    /// Builds into a folder beside and renames it, so that a build that is cut short leaves nothing
    /// that looks finished. What it does leave, the next one removes.
    fn build(&self, folder: &Path) -> Result<(), GoProgramsError> {
        let workspace = folder.with_extension("building");
        let (module, output) = (workspace.join("module"), workspace.join("bin"));
        remove(&workspace)?;
        for path in [&module, &output] {
            fs::create_dir_all(path).map_err(in_cache(path))?;
        }
        self.write_module(&module)?;
        for (number, (name, package)) in (1..).zip(self.packages) {
            let mut go = go::command(&module);
            go.arg("build")
                .args(["-trimpath", "-v"])
                .args(["-ldflags", &self.linker_flags, "-o"]);
            go.arg(output.join(name)).arg(package);
            go::run(
                go,
                &format!("building {name} ({number} of {})", self.packages.len()),
            )?;
        }
        for file in self.files {
            let source = downloaded(&module, file.module)?.join(file.path);
            let copy = output.join(file.name);
            fs::copy(&source, &copy).map_err(in_cache(&source))?;
            if file.executable {
                let permissions = fs::Permissions::from_mode(0o755);
                fs::set_permissions(&copy, permissions).map_err(in_cache(&copy))?;
            }
        }
        remove(folder)?;
        fs::rename(&output, folder).map_err(in_cache(folder))?;
        remove(&workspace)
    }

    fn write_module(&self, folder: &Path) -> Result<(), GoProgramsError> {
        let own = [("go.mod", self.go_mod), ("go.sum", self.go_sum)];
        for (name, text) in own.iter().chain(self.sources) {
            let path = folder.join(name);
            fs::write(&path, text).map_err(in_cache(&path))?;
        }
        Ok(())
    }
}

/// A folder in the user's cache.
pub(crate) fn cache(name: &str) -> Result<PathBuf, GoProgramsError> {
    let strategy = etcetera::base_strategy::choose_native_strategy();
    let strategy = strategy.map_err(GoProgramsError::NoCache)?;
    Ok(strategy.cache_dir().join("kubectl-gitops").join(name))
}

/// Waits until no other process makes the same folder. The lock ends with the file, so also with a
/// process that is killed.
pub(crate) fn lock(folder: &Path, what: &str) -> Result<File, GoProgramsError> {
    let path = folder.with_extension("lock");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(in_cache(parent))?;
    }
    let file = File::create(&path).map_err(in_cache(&path))?;
    if file.try_lock().is_err() {
        Progress::new(&format!("waiting for {what} that is under way")).announce();
        file.lock().map_err(in_cache(&path))?;
    }
    Ok(file)
}

/// The folder of a module that the module in `folder` requires, once its checksum is what go.sum
/// says.
fn downloaded(folder: &Path, module: &str) -> Result<PathBuf, GoProgramsError> {
    let mut go = go::command(folder);
    go.args(["mod", "download", "-json", module]);
    let answer = go::run(go, &format!("downloading {module}"))?;
    let Downloaded { dir } = serde_json::from_slice(&answer).map_err(GoProgramsError::Answer)?;
    Ok(dir)
}

fn in_cache(path: &Path) -> impl FnOnce(io::Error) -> GoProgramsError {
    let path = path.to_owned();
    |source| GoProgramsError::Cache { path, source }
}

fn go_version() -> Result<String, GoError> {
    let mut go = go::command(&env::temp_dir());
    go.arg("version");
    let output = go::run(go, "asking go for its version")?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}

fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn remove(folder: &Path) -> Result<(), GoProgramsError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(in_cache(folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_apart_what_the_parts_join_to() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }

    #[test]
    fn a_program_can_be_built_from_a_file_of_the_module() {
        let folder = tempfile::tempdir().unwrap();
        let programs = GoPrograms {
            cache: "unused",
            go_mod: "module example.com/greeting\n\ngo 1.21\n",
            go_sum: "",
            sources: &[(
                "main.go",
                "package main\n\nfunc main() { print(\"hello\") }\n",
            )],
            linker_flags: "-s -w".to_owned(),
            packages: &[("greet", "example.com/greeting")],
            files: &[],
        };

        programs.build(&folder.path().join("greeting")).unwrap();

        let program = folder.path().join("greeting").join("greet");
        let output = std::process::Command::new(program).output().unwrap();
        assert_eq!(output.stderr, b"hello");
    }
}
