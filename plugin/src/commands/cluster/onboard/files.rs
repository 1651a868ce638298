//! The files that are asked for. Nothing is written before all of them are known to be free, or as
//! they should be.

use std::io;
use std::path::{Path, PathBuf};

use golang::yaml;

use crate::error::CommandError;
use crate::onboarding::kustomization::{self, NotAdded};
use crate::onboarding::secret::SecretManifest;
use crate::onboarding::terraform::TerraformFile;

/// What is to be in files.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// None where it is as it should be.
    text: Option<String>,
    is_new: bool,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    #[error("{flag}: {lacking}")]
    Lacking { flag: &'static str, lacking: String },
    #[error("{} is there already and says something else, so nothing is written", .0.display())]
    Different(PathBuf),
    #[error("{} cannot be read, so nothing is written", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} cannot be added to, so nothing is written", .path.display())]
    Kustomization {
        path: PathBuf,
        #[source]
        source: NotAdded,
    },
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

impl Files {
    /// Adds a Secret, and its name in the kustomization of its folder.
    ///
    /// # Errors
    /// Another file is in the way.
    pub(super) fn add_secret(
        &mut self,
        folder: &Path,
        secret: &SecretManifest,
    ) -> Result<(), CommandError> {
        let name = format!("{}.yaml", secret.metadata.name);
        let text = secret.yaml();
        let is_same = |there: &str| {
            let read = |text: &str| yaml::value(text).ok();
            read(there).is_some_and(|there| Some(there) == read(&text))
        };
        self.add(folder.join(&name), text.clone(), is_same)?;
        self.add_to_kustomization(folder, &name)
    }

    /// Adds files of Terraform.
    ///
    /// # Errors
    /// Another file is in the way.
    pub(super) fn add_terraform(
        &mut self,
        folder: &Path,
        texts: Vec<TerraformFile>,
    ) -> Result<(), CommandError> {
        for TerraformFile { name, text } in texts {
            let is_same = |there: &str| there == text;
            self.add(folder.join(name), text.clone(), is_same)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: PathBuf,
        text: String,
        is_same: impl Fn(&str) -> bool,
    ) -> Result<(), CommandError> {
        let there = read(&path)?;
        let is_new = there.is_none();
        match there {
            Some(there) if !is_same(&there) => Err(CommandError::new(NotWritten::Different(path))
                .hinted("move it away to have it written anew, or write to another folder")),
            there => {
                let text = there.is_none().then_some(text);
                self.files.push(File { path, text, is_new });
                Ok(())
            }
        }
    }

    /// A folder that Argo CD reads as it is would be another one with a kustomization.
    fn add_to_kustomization(&mut self, folder: &Path, entry: &str) -> Result<(), CommandError> {
        for name in KUSTOMIZATIONS {
            let path = folder.join(name);
            let Some(there) = read(&path)? else {
                continue;
            };
            let text = kustomization::with_resource(&there, entry).map_err(|source| {
                let path = path.clone();
                CommandError::new(NotWritten::Kustomization { path, source })
            })?;
            self.files.push(File {
                path,
                text,
                is_new: false,
            });
            return Ok(());
        }
        if is_new(folder, entry) {
            self.files.push(File {
                path: folder.join(KUSTOMIZATIONS[0]),
                text: Some(kustomization::new(entry)),
                is_new: true,
            });
        }
        Ok(())
    }

    /// Writes what is to be written, and tells of each file what became of it.
    ///
    /// # Errors
    /// One cannot be written; those before it are.
    pub(super) fn write(&self) -> Result<Vec<String>, CommandError> {
        let mut told = Vec::new();
        for File { path, text, is_new } in &self.files {
            let became = match (text, is_new) {
                (None, _) => "unchanged",
                (Some(_), true) => "created",
                (Some(_), false) => "changed",
            };
            if let Some(text) = text {
                replace(path, text).map_err(|source| {
                    let path = path.clone();
                    CommandError::new(NotWritten::Write { path, source })
                })?;
            }
            told.push(format!("{} {became}", path.display()));
        }
        Ok(told)
    }
}

/// The text of a file; None where there is none.
fn read(path: &Path) -> Result<Option<String>, CommandError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CommandError::new(NotWritten::Unreadable {
            path: path.to_owned(),
            source,
        })),
    }
}

/// Whether a folder has nothing but perhaps this file. Git keeps no empty folder: one in which
/// there is anything else, such as a page for people, is there for somebody who reads it as it is.
fn is_new(folder: &Path, own: &str) -> bool {
    let Ok(mut entries) = std::fs::read_dir(folder) else {
        return true;
    };
    entries.all(|entry| entry.is_ok_and(|entry| entry.file_name() == own))
}

/// Writes a file beside, and puts it in its place at once.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}
