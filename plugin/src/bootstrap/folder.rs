//! The folder that a repository is laid out in: what is there, and writing what is not.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::File;
use crate::plan::{Change, Plan, Step};

/// A folder, which need not be there yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folder<'p>(pub(crate) &'p Path);

/// A file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: expected a file or nothing, and it is something else", .0.display())]
    NoFile(PathBuf),
}

impl Folder<'_> {
    /// What has to be written so that files are there. What is the same stays.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub(crate) fn plan(self, files: Vec<File>) -> Result<Plan<File>, FileError> {
        let steps = files.into_iter().map(|file| self.step(file));
        Ok(Plan {
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    fn step(self, file: File) -> Result<Step<File>, FileError> {
        let what = file.path.clone();
        let path = self.0.join(&file.path);
        let (is, should_be) = match read(&path)? {
            None => ("absent", "new"),
            Some(text) if text == file.text.as_bytes() => {
                return Ok(Step {
                    what,
                    is: "the same".to_owned(),
                    change: Change::None,
                });
            }
            Some(_) => (DIFFERENT, "overwritten"),
        };
        Ok(Step {
            what,
            is: is.to_owned(),
            change: Change::Make {
                should_be: should_be.to_owned(),
                action: file,
                how: Vec::new(),
                undo: Vec::new(),
            },
        })
    }

    /// Writes a file, wholly or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(self, file: &File) -> Result<(), FileError> {
        let path = self.0.join(&file.path);
        write(&path, &file.text).map_err(|source| FileError::Write { path, source })
    }
}

/// What a file is that somebody has changed.
const DIFFERENT: &str = "different";

/// The files of a plan that differ from what is there, which writing them would lose.
pub(crate) fn different(plan: &Plan<File>) -> impl Iterator<Item = &str> {
    let steps = plan.steps.iter();
    let steps = steps.filter(|step| step.is == DIFFERENT);
    steps.map(|step| step.what.as_str())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // A file where a folder should be, or a folder where a file should be.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotADirectory | ErrorKind::IsADirectory
            ) =>
        {
            Err(FileError::NoFile(path.to_owned()))
        }
        Err(source) => Err(FileError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// What a file ends with that is not whole yet, behind its own name and the process that writes it.
const UNFINISHED: &str = ".new";

/// Removes what a process has left of a file that was killed while it wrote: Helm would take it for
/// another file of the chart, and Git would keep it.
fn remove_unfinished(folder: &Path, name: &OsStr) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !is_unfinished(&entry.file_name(), name) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a file is what is written of the one of a name until that is whole.
fn is_unfinished(other: &OsStr, name: &OsStr) -> bool {
    let rest = other
        .as_encoded_bytes()
        .strip_prefix(name.as_encoded_bytes());
    let process = rest.and_then(|rest| rest.strip_prefix(b"."));
    let process = process.and_then(|process| process.strip_suffix(UNFINISHED.as_bytes()));
    process.is_some_and(|process| !process.is_empty() && process.iter().all(u8::is_ascii_digit))
}

/// Another file takes the place of this one once it is whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    // A link is written through, and stays one.
    let path = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    remove_unfinished(folder, name)?;
    let mut other = name.to_owned();
    other.push(format!(".{}{UNFINISHED}", std::process::id()));
    let other = folder.join(other);
    let written = fs::File::create_new(&other).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| {
        if let Ok(before) = fs::metadata(&path) {
            fs::set_permissions(&other, before.permissions())?;
        }
        fs::rename(&other, &path)
    });
    if moved.is_err() {
        let _ = fs::remove_file(&other);
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> File {
        File {
            path: path.to_owned(),
            text: "a: 1\n".to_owned(),
        }
    }

    fn states(plan: &Plan<File>) -> Vec<&str> {
        plan.steps.iter().map(|step| step.is.as_str()).collect()
    }

    #[test]
    fn what_a_process_that_was_killed_has_left_of_a_file_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let others = [
            "a.yaml.new",
            "a.yaml.old.new",
            "b.yaml.7.new",
            "a.yaml.7.new.bak",
        ];
        for name in others.iter().chain(&["a.yaml.7.new", "a.yaml.4711.new"]) {
            fs::write(folder.path().join(name), "a: ").unwrap();
        }

        Folder(folder.path()).write(&file("a.yaml")).unwrap();

        let left = fs::read_dir(folder.path()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = [&others[..], &["a.yaml"]].concat();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_is_there_is_told_apart_and_written_only_where_it_has_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder(folder.path());
        fs::write(folder.0.join("same.yaml"), "a: 1\n").unwrap();
        fs::write(folder.0.join("different.yaml"), "a: 2\n").unwrap();
        let files = ["same.yaml", "different.yaml", "deep/er/new.yaml"].map(file);

        let plan = folder.plan(files.to_vec()).unwrap();

        assert_eq!(states(&plan), ["the same", "different", "absent"]);
        assert_eq!(different(&plan).collect::<Vec<_>>(), ["different.yaml"]);
        for file in &files[1..] {
            folder.write(file).unwrap();
        }
        let plan = folder.plan(files.to_vec()).unwrap();
        assert_eq!(states(&plan), ["the same"; 3]);
        // Nothing is left beside them.
        let names = fs::read_dir(folder.0).unwrap();
        assert_eq!(names.count(), 3);
    }

    #[test]
    fn what_is_no_file_is_told_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder(folder.path());
        fs::create_dir(folder.0.join("a.yaml")).unwrap();
        fs::write(folder.0.join("b"), "").unwrap();
        for path in ["a.yaml", "b/c.yaml"] {
            let error = folder.plan(vec![file(path)]).unwrap_err();
            assert!(matches!(error, FileError::NoFile(_)), "{error}");
        }
    }
}
