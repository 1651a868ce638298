//! Repositories at their revisions: the work tree as it is, and what Git has beside it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::work_trees::WorkTrees;
use crate::temporary;

/// The files of a repository at a revision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Checkout {
    pub(crate) top: PathBuf,
    /// The commit, with changes that are not committed or without; empty where Git cannot tell.
    pub(crate) commit: String,
}

/// Where files of revisions are found. What Git has at a tag or a commit is written to a folder for
/// temporary files, once; the work tree and its repository stay as they are.
#[derive(Debug)]
pub(crate) struct Revisions {
    trees: WorkTrees,
    folder: TempDir,
    written: RefCell<HashMap<(PathBuf, String), Option<Checkout>>>,
    /// The commits that work trees are at, each asked for once.
    heads: RefCell<HashMap<PathBuf, String>>,
}

impl Revisions {
    /// Those of some work trees.
    ///
    /// # Errors
    /// There is no place for temporary files.
    pub(crate) fn of(trees: WorkTrees) -> io::Result<Self> {
        let folder = temporary::folder("kubectl-gitops-")?;
        Ok(Revisions {
            trees,
            folder,
            written: RefCell::default(),
            heads: RefCell::default(),
        })
    }

    /// A repository at a revision: a work tree that is what the revision would be once it is
    /// merged, or else what Git has there under this name.
    pub(crate) fn checkout(&self, repository: &str, revision: &str) -> Option<Checkout> {
        if let Some(top) = self.trees.top_of_repository(repository, revision) {
            return Some(Checkout {
                top: top.to_owned(),
                commit: self.head(top),
            });
        }
        let top = self.trees.top_of(repository)?.to_owned();
        let key = (top, revision.to_owned());
        if let Some(known) = self.written.borrow().get(&key) {
            return known.clone();
        }
        let written = self.write(&key.0, revision);
        self.written.borrow_mut().insert(key, written.clone());
        written
    }

    fn head(&self, top: &Path) -> String {
        let mut heads = self.heads.borrow_mut();
        let head = heads.entry(top.to_owned());
        let ask = || commit(top, "HEAD").unwrap_or_default();
        head.or_insert_with(ask).clone()
    }

    /// Writes a commit's files, by an index of its own.
    fn write(&self, top: &Path, revision: &str) -> Option<Checkout> {
        let commit = commit(top, revision)?;
        let folder = self
            .folder
            .path()
            .join(self.written.borrow().len().to_string());
        let index = self.folder.path().join("index");
        let mut prefix = folder.clone().into_os_string();
        prefix.push("/");
        let mut option = std::ffi::OsString::from("--prefix=");
        option.push(prefix);
        let read = git(top)
            .env("GIT_INDEX_FILE", &index)
            .args(["read-tree", &commit])
            .status();
        let write = || {
            git(top)
                .env("GIT_INDEX_FILE", &index)
                .args(["checkout-index", "--all", "--force"])
                .arg(option)
                .status()
        };
        let is_written = read.is_ok_and(|status| status.success())
            && write().is_ok_and(|status| status.success());
        is_written.then_some(Checkout {
            top: folder,
            commit,
        })
    }
}

/// Git in a work tree, whoever it belongs to, without a word.
fn git(top: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*"])
        .current_dir(top)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    git
}

/// The commit of a revision; None where Git has none of this name. A name that begins with a dash
/// is none.
fn commit(top: &Path, revision: &str) -> Option<String> {
    if revision.starts_with('-') {
        return None;
    }
    let output = git(top)
        .args(["rev-parse", "--verify", "--quiet"])
        .arg(format!("{revision}^{{commit}}"))
        .stdout(Stdio::piped())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const URL: &str = "https://git.example.com/shop/services.git";

    fn run(folder: &Path, arguments: &[&str]) {
        let output = git(folder)
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}");
    }

    #[test]
    fn a_tag_is_what_git_has_and_a_branch_is_the_work_tree() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &["init", "--quiet", "--initial-branch=main"]);
        run(folder.path(), &["remote", "add", "origin", URL]);
        fs::write(folder.path().join("a.yaml"), "old").unwrap();
        run(folder.path(), &["add", "."]);
        run(folder.path(), &["commit", "--quiet", "--message=old"]);
        run(folder.path(), &["tag", "v1.0.0"]);
        fs::write(folder.path().join("a.yaml"), "new").unwrap();

        let trees = WorkTrees::of(&[folder.path()], None).unwrap();
        let revisions = Revisions::of(trees).unwrap();
        let read = |revision: &str| {
            let checkout = revisions.checkout(URL, revision)?;
            fs::read_to_string(checkout.top.join("a.yaml")).ok()
        };
        assert_eq!(read("main").as_deref(), Some("new"));
        assert_eq!(read("v1.0.0").as_deref(), Some("old"));
        assert_eq!(read("v1.0.0").as_deref(), Some("old"));
        assert_eq!(read("v2.0.0"), None);
        assert_eq!(
            revisions.checkout("https://git.example.com/other.git", "v1.0.0"),
            None
        );
        let short = revisions.checkout(URL, "v1.0.0").unwrap().commit;
        assert_eq!(read(&short[..12]).as_deref(), Some("old"));
    }
}
