//! A Git repository that Argo CD deploys from.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The branch that staging follows.
const BRANCH: &str = "main";
/// What files of a fixture call the repository that they are in.
const OWN_URL: &str = "https://git.example.com/shop/platform.git";

/// A Git repository in a folder, with the files of its last commit. Argo CD reads it by a `file://`
/// URL.
#[derive(Debug)]
pub struct Repository(PathBuf);

impl Repository {
    /// Makes one of the files of a folder, in which its own URL stands for `OWN_URL`, with one
    /// commit.
    pub fn of(fixture: &Path, folder: PathBuf) -> Result<Self> {
        let repository = Self(folder);
        fs::create_dir_all(&repository.0).context("cannot make a folder for a repository")?;
        repository.git(["init", "--quiet", "--initial-branch", BRANCH])?;
        repository.git(["config", "user.name", "alice"])?;
        repository.git(["config", "user.email", "alice@example.com"])?;
        repository.add(fixture, Path::new(""))?;
        repository.commit("Begin")?;
        Ok(repository)
    }

    /// As an Application names it.
    pub fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    /// Its files.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Writes a file, without a commit.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) -> Result<()> {
        let path = self.0.join(path);
        let cannot = || format!("cannot write {}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(&self.0)).with_context(cannot)?;
        fs::write(&path, text.replace(OWN_URL, &self.url())).with_context(cannot)
    }

    /// Reads a file as it is.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = self.0.join(path);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Removes a file, without a commit.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = self.0.join(path);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Commits all that is there, and returns the commit's full name.
    pub fn commit(&self, message: &str) -> Result<String> {
        self.git(["add", "--all"])?;
        self.git(["commit", "--quiet", "--message", message])?;
        self.head()
    }

    /// The last commit's full name.
    pub fn head(&self) -> Result<String> {
        Ok(self.git(["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Makes its own URL that of its remote `origin`, as where somebody has cloned it.
    pub fn set_origin(&self) -> Result<()> {
        let url = self.url();
        for (name, value) in [
            ("remote.origin.url", &*url),
            ("branch.main.remote", "origin"),
            ("branch.main.merge", "refs/heads/main"),
        ] {
            self.git(["config", name, value])?;
        }
        Ok(())
    }

    /// Gives the last commit a name that stays.
    pub fn tag(&self, name: &str) -> Result<()> {
        self.git(["tag", name]).map(drop)
    }

    fn add(&self, fixture: &Path, folder: &Path) -> Result<()> {
        let source = fixture.join(folder);
        let cannot = || format!("cannot read {}", source.display());
        for entry in fs::read_dir(&source).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let path = folder.join(entry.file_name());
            if entry.file_type().with_context(cannot)?.is_dir() {
                self.add(fixture, &path)?;
            } else {
                self.write(
                    &path,
                    &fs::read_to_string(entry.path()).with_context(cannot)?,
                )?;
            }
        }
        Ok(())
    }

    /// Nothing that the caller has set for Git counts.
    fn git<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.0)
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("GIT_CONFIG_NOSYSTEM", "true")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::null())
            .output()
            .context("cannot run git")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git failed: {complaint}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_names_itself_where_its_fixture_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let fixture = folder.path().join("fixture");
        fs::create_dir_all(fixture.join("apps")).unwrap();
        fs::write(
            fixture.join("apps/shop.yaml"),
            format!("repoURL: {OWN_URL}\n"),
        )
        .unwrap();

        let repository = Repository::of(&fixture, folder.path().join("platform.git")).unwrap();

        let url = repository.url();
        assert_eq!(
            repository.read("apps/shop.yaml").unwrap(),
            format!("repoURL: {url}\n")
        );
        assert!(url.starts_with("file:///"), "{url}");
        assert_eq!(repository.git(["status", "--porcelain"]).unwrap(), "");
    }
}
