//! Git repositories whose content is at hand: the work trees that the files are in.
//!
//! Which repositories a work tree is of is asked only when somebody wants to know, so that most
//! runs never call Git.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use argocd::application::revision::{RepositoryKind, Revision};
use argocd::application_set::{Checkout, Checkouts};

use ignore::WalkBuilder;

use super::path::{STANDARD_INPUT, name_of};
use super::repository_url::RepositoryUrl;
use crate::error::chain;

/// The largest file that a generator is given, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// The work trees that contain the files which were given.
#[derive(Debug)]
pub(crate) struct WorkTrees {
    trees: Vec<WorkTree>,
}

/// More than one work tree, or none, which a URL could be of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepositoryError {
    #[error("--repository: the files are in no Git work tree")]
    None,
    #[error(
        "--repository: the files are in {0} Git work trees, and it is not clear which is meant"
    )]
    Several(usize),
}

impl WorkTrees {
    /// Those that contain paths. What comes from standard input counts as being in this folder.
    ///
    /// # Errors
    /// A repository is named, and it cannot be told which of them is its work tree.
    pub(crate) fn of(
        paths: &[impl AsRef<Path>],
        repository: Option<&str>,
    ) -> Result<Self, RepositoryError> {
        let tops: BTreeSet<PathBuf> = paths
            .iter()
            .filter_map(|path| top_of(path.as_ref()))
            .collect();
        let mut trees: Vec<WorkTree> = tops.into_iter().map(WorkTree::new).collect();
        if let Some(url) = repository {
            match &mut trees[..] {
                [] => return Err(RepositoryError::None),
                [tree] => tree.named = Some(RepositoryUrl::of(url)),
                several => return Err(RepositoryError::Several(several.len())),
            }
        }
        Ok(WorkTrees { trees })
    }

    /// Of which of them it is not known what they are of, if anybody has asked: one sentence each.
    pub(crate) fn unknown_remotes(&self) -> impl Iterator<Item = String> {
        self.problems()
            .map(|problem| format!("{}: name the repository with --repository", chain(problem)))
    }

    fn problems(&self) -> impl Iterator<Item = &RemotesError> {
        self.trees
            .iter()
            .filter_map(|tree| tree.remotes.get()?.as_ref().err())
    }
}

impl Checkouts for WorkTrees {
    fn checkout(&self, repository: &str, revision: &str) -> Option<&dyn Checkout> {
        let tree = self.tree_of(repository, revision)?;
        Some(tree as &dyn Checkout)
    }
}

impl WorkTrees {
    /// The top of the work tree of a repository that may be at a revision.
    pub(crate) fn top_of_repository(&self, repository: &str, revision: &str) -> Option<&Path> {
        Some(&self.tree_of(repository, revision)?.top)
    }

    /// The path of a file from the top of the work tree that it is in, with `/`.
    pub(crate) fn relative(&self, file: &Path) -> Option<String> {
        let file = file.canonicalize().ok()?;
        let mut trees = self.trees.iter();
        let below = trees.find_map(|tree| file.strip_prefix(&tree.top).ok())?;
        let parts = below.components().map(|part| part.as_os_str().to_str());
        let parts: Option<Vec<&str>> = parts.collect();
        Some(parts?.join("/"))
    }

    /// The top of the work tree of a repository, whatever it is at.
    pub(crate) fn top_of(&self, repository: &str) -> Option<&Path> {
        let wanted = RepositoryUrl::of(repository);
        let tree = self.trees.iter().find(|tree| tree.is_of(&wanted))?;
        Some(&tree.top)
    }

    fn tree_of(&self, repository: &str, revision: &str) -> Option<&WorkTree> {
        let wanted = RepositoryUrl::of(repository);
        let tree = self.trees.iter().find(|tree| tree.is_of(&wanted))?;
        tree.may_be_at(revision).then_some(tree)
    }
}

/// A work tree, with all that is in it as it would be committed.
#[derive(Debug)]
struct WorkTree {
    top: PathBuf,
    /// The repository that it is said to be of.
    named: Option<RepositoryUrl>,
    /// The repositories that it says itself to be of.
    remotes: OnceLock<Result<Vec<RepositoryUrl>, RemotesError>>,
    files: OnceLock<Vec<String>>,
}

/// Why the remotes of a work tree are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemotesError {
    #[error("the remotes of {} are not known: cannot run git", name_of(.top))]
    Run {
        top: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the remotes of {} are not known: git config ended with {status}", name_of(.top))]
    Git { top: PathBuf, status: ExitStatus },
}

impl WorkTree {
    fn new(top: PathBuf) -> Self {
        WorkTree {
            top,
            named: None,
            remotes: OnceLock::new(),
            files: OnceLock::new(),
        }
    }

    fn is_of(&self, repository: &RepositoryUrl) -> bool {
        let is_same = |own: &RepositoryUrl| own.is_same(repository);
        let remotes = || self.remotes.get_or_init(|| remotes_of(&self.top));
        self.named.as_ref().is_some_and(is_same)
            || remotes()
                .as_ref()
                .is_ok_and(|remotes| remotes.iter().any(is_same))
    }

    /// Whether a revision is what the work tree would be once it is merged: whatever is newest, or
    /// a branch. A tag or a commit is not.
    fn may_be_at(&self, revision: &str) -> bool {
        match Revision::of(revision, RepositoryKind::Git) {
            Revision::Newest | Revision::Branch => true,
            Revision::Exact | Revision::Range => false,
            Revision::Name => {
                !revision.starts_with("refs/")
                    && !is_short_commit(revision)
                    && !is_version(revision)
                    && !self.has_tag(revision)
            }
        }
    }

    fn has_tag(&self, name: &str) -> bool {
        let Some(folder) = git_folder(&self.top) else {
            return false;
        };
        let reference = format!("refs/tags/{name}");
        let packed = fs::read_to_string(folder.join("packed-refs")).unwrap_or_default();
        folder.join(&reference).is_file()
            || packed.lines().any(|line| {
                line.split_once(' ')
                    .is_some_and(|(_, name)| name == reference)
            })
    }
}

impl Checkout for WorkTree {
    fn directories(&self) -> Vec<String> {
        let is_hidden = |path: &str| path.split('/').any(|name| name.starts_with('.'));
        // Git knows no empty folders.
        let folders: BTreeSet<&str> = self
            .all_files()
            .iter()
            .flat_map(|file| folders_of(file))
            .filter(|folder| !is_hidden(folder))
            .collect();
        folders.into_iter().map(str::to_owned).collect()
    }

    fn files(&self) -> Vec<String> {
        self.all_files().to_vec()
    }

    fn read(&self, path: &str) -> Option<String> {
        // A link in a pull request must not lead to what is not in it.
        let path = self.top.join(path).canonicalize().ok()?;
        let is_inside = path.starts_with(&self.top);
        let is_small = is_inside && fs::metadata(&path).is_ok_and(|file| file.len() <= FILE_LIMIT);
        is_small.then(|| fs::read_to_string(path).ok()).flatten()
    }
}

impl WorkTree {
    fn all_files(&self) -> &[String] {
        self.files.get_or_init(|| files_in(&self.top))
    }
}

/// The folders that a path leads through: `a/b/c` through `a` and `a/b`.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// All files below the top that Git does not ignore, in the order of their paths.
fn files_in(top: &Path) -> Vec<String> {
    let walk = WalkBuilder::new(top)
        .standard_filters(false)
        .git_ignore(true)
        .git_exclude(true)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let files: BTreeSet<String> = walk
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| !kind.is_dir()))
        .filter_map(|entry| with_slashes(entry.path().strip_prefix(top).ok()?))
        .collect();
    files.into_iter().collect()
}

fn with_slashes(path: &Path) -> Option<String> {
    let names: Option<Vec<&str>> = path
        .components()
        .map(|component| component.as_os_str().to_str())
        .collect();
    Some(names?.join("/"))
}

/// What Argo CD would look for as a commit before it gives up.
fn is_short_commit(revision: &str) -> bool {
    revision.len() >= 7 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a name is a tag by the looks of it. A shallow clone has no tags that could tell.
fn is_version(revision: &str) -> bool {
    Revision::of(revision, RepositoryKind::Helm) == Revision::Exact
}

/// The top of the work tree that contains a path, without links.
fn top_of(path: &Path) -> Option<PathBuf> {
    let path = if path == Path::new(STANDARD_INPUT) {
        Path::new(".")
    } else {
        path
    };
    let path = path.canonicalize().ok()?;
    let top = path.ancestors().find(|folder| folder.join(".git").exists());
    top.map(Path::to_owned)
}

/// Where a repository keeps its configuration and tags. In a linked work tree `.git` is a file that
/// leads there.
fn git_folder(top: &Path) -> Option<PathBuf> {
    let git = top.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    let own = top.join(text.strip_prefix("gitdir:")?.trim());
    match fs::read_to_string(own.join("commondir")) {
        Ok(common) => Some(own.join(common.trim())),
        Err(_) => Some(own),
    }
}

/// What a work tree says it is of. Its configuration is named to Git, which otherwise reads none of
/// a folder that belongs to somebody else, as in a container.
fn remotes_of(top: &Path) -> Result<Vec<RepositoryUrl>, RemotesError> {
    let Some(folder) = git_folder(top) else {
        return Ok(Vec::new());
    };
    let output = Command::new("git")
        .args(["config", "--null", "--file"])
        .arg(folder.join("config"))
        .args(["--get-regexp", r"^remote\..*\.url$"])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| RemotesError::Run {
            top: top.to_owned(),
            source,
        })?;
    match output.status.code() {
        Some(0) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let entries = text.split('\0').filter_map(|entry| entry.split_once('\n'));
            Ok(entries.map(|(_, url)| RepositoryUrl::of(url)).collect())
        }
        // There is no such entry.
        Some(1) => Ok(Vec::new()),
        _ => Err(RemotesError::Git {
            top: top.to_owned(),
            status: output.status,
        }),
    }
}

/// The URL of the remote `origin` of the work tree that a folder is in, or would be in once it is
/// made. None where that is not known.
pub(crate) fn origin_of(folder: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).ok()?;
    let there = folder.ancestors().find(|folder| folder.is_dir())?;
    let config = git_folder(&top_of(there)?)?.join("config");
    let output = Command::new("git")
        .args(["config", "--file"])
        .arg(config)
        .args(["--get", "remote.origin.url"])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let url = String::from_utf8(output.stdout).ok()?;
    let url = url.trim();
    (output.status.success() && !url.is_empty()).then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const URL: &str = "https://git.example.com/shop/services.git";

    fn git(folder: &Path, arguments: &[&str]) {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("GIT_AUTHOR_NAME", "a")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "a")
            .env("GIT_COMMITTER_EMAIL", "a@example.com")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// A repository with files, of which nothing is committed.
    fn repository(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        git(folder.path(), &["init", "--quiet"]);
        git(folder.path(), &["remote", "add", "origin", URL]);
        folder
    }

    fn trees_of(path: &Path) -> WorkTrees {
        WorkTrees::of(&[path], None).unwrap()
    }

    fn is_at_hand(trees: &WorkTrees, url: &str, revision: &str) -> bool {
        trees.checkout(url, revision).is_some()
    }

    #[test]
    fn a_work_tree_is_of_the_repositories_that_its_remotes_name() {
        let folder = repository(&[("deep/down/a.yaml", "")]);
        git(
            folder.path(),
            &["remote", "add", "fork", "git@git.example.com:me/Services"],
        );
        for path in ["", "deep", "deep/down/a.yaml"] {
            let trees = trees_of(&folder.path().join(path));
            assert!(is_at_hand(&trees, URL, ""), "{path}");
            assert!(is_at_hand(
                &trees,
                "https://GIT.example.com/shop/services",
                ""
            ));
            assert!(is_at_hand(
                &trees,
                "ssh://git@git.example.com/me/services.git",
                ""
            ));
            assert!(!is_at_hand(
                &trees,
                "https://git.example.com/shop/other",
                ""
            ));
            assert!(!is_at_hand(&trees, "", ""));
        }
    }

    #[test]
    fn what_logs_in_is_no_part_of_a_repositorys_identity() {
        let folder = repository(&[]);
        let with_token = "https://ci:t0k3n@git.example.com/shop/billing.git";
        git(folder.path(), &["remote", "set-url", "origin", with_token]);
        let trees = trees_of(folder.path());
        assert!(is_at_hand(
            &trees,
            "https://git.example.com/shop/billing",
            ""
        ));
        assert!(!format!("{trees:?}").contains("t0k3n"));
    }

    #[test]
    fn a_linked_work_tree_has_the_remotes_of_its_repository() {
        let folder = repository(&[("main/a.yaml", "")]);
        git(
            folder.path(),
            &["commit", "--quiet", "--allow-empty", "-m", "first"],
        );
        git(folder.path(), &["tag", "stable"]);
        git(folder.path(), &["worktree", "add", "--quiet", "linked"]);
        let trees = trees_of(&folder.path().join("linked"));
        assert!(is_at_hand(&trees, URL, "main"));
        assert!(!is_at_hand(&trees, URL, "stable"));
    }

    #[test]
    fn a_repository_can_be_named() {
        let folder = repository(&[]);
        let other = repository(&[]);
        let named = Some("git@git.example.com:shop/services.git");
        let trees = WorkTrees::of(&[folder.path()], named).unwrap();
        assert!(is_at_hand(&trees, "git@git.example.com:shop/services", ""));
        assert!(is_at_hand(&trees, URL, ""));
        let several = WorkTrees::of(&[folder.path(), other.path()], named);
        assert!(matches!(several, Err(RepositoryError::Several(2))));
        let none = WorkTrees::of(&[] as &[&Path], named);
        assert!(matches!(none, Err(RepositoryError::None)));
    }

    #[test]
    fn branches_are_at_hand_and_tags_and_commits_are_not() {
        let folder = repository(&[]);
        git(
            folder.path(),
            &["commit", "--quiet", "--allow-empty", "-m", "first"],
        );
        git(folder.path(), &["tag", "stable"]);
        git(folder.path(), &["tag", "packed"]);
        git(folder.path(), &["pack-refs", "--all"]);
        git(folder.path(), &["tag", "loose"]);
        let trees = trees_of(folder.path());
        for revision in [
            "",
            "HEAD",
            "main",
            "env/prod",
            "refs/heads/main",
            "release-1.2",
        ] {
            assert!(is_at_hand(&trees, URL, revision), "{revision}");
        }
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for revision in [
            commit,
            &commit[..8],
            "v1.2.0",
            "1.x",
            "refs/tags/main",
            "refs/pull/1/head",
            "stable",
            "packed",
            "loose",
        ] {
            assert!(!is_at_hand(&trees, URL, revision), "{revision}");
        }
    }

    #[test]
    fn all_is_there_that_git_would_add() {
        let folder = repository(&[
            (".gitignore", "/out\n"),
            (".github/workflows/a.yaml", ""),
            ("apps/cart/values.yaml", "a: 1"),
            ("apps/.hidden/x/b.yaml", ""),
            ("out/c.yaml", ""),
            ("d.yaml", ""),
        ]);
        fs::create_dir(folder.path().join("empty")).unwrap();
        let trees = trees_of(folder.path());
        let checkout = trees.checkout(URL, "").unwrap();
        assert_eq!(
            checkout.files(),
            [
                ".github/workflows/a.yaml",
                ".gitignore",
                "apps/.hidden/x/b.yaml",
                "apps/cart/values.yaml",
                "d.yaml"
            ]
        );
        assert_eq!(checkout.directories(), ["apps", "apps/cart"]);
        assert_eq!(checkout.read("apps/cart/values.yaml").unwrap(), "a: 1");
    }

    #[test]
    fn nothing_is_read_outside_of_the_work_tree_or_beyond_the_limit() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "a: hunter2").unwrap();
        let folder = repository(&[("inside", "a: 1")]);
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        };
        link(&outside.path().join("secret"), "link");
        link(Path::new("inside"), "near");
        let large = "x".repeat(usize::try_from(FILE_LIMIT).unwrap() + 1);
        fs::write(folder.path().join("large"), large).unwrap();
        let trees = trees_of(folder.path());
        let checkout = trees.checkout(URL, "").unwrap();
        assert_eq!(checkout.read("link"), None);
        assert_eq!(checkout.read("large"), None);
        assert_eq!(checkout.read("../etc/passwd"), None);
        assert_eq!(checkout.read("near").unwrap(), "a: 1");
    }

    #[test]
    fn a_broken_configuration_is_told_only_if_it_was_asked_for() {
        let folder = repository(&[]);
        fs::write(folder.path().join(".git/config"), "[remote").unwrap();
        let trees = trees_of(folder.path());
        assert_eq!(trees.problems().count(), 0);
        assert!(!is_at_hand(&trees, URL, ""));
        let problems: Vec<String> = trees.problems().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("git config ended with"),
            "{problems:?}"
        );
    }
}
