//! Where Argo CD and what it runs come from.

use std::env;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::argo_cd::releases::Release;
use crate::control_plane::kube_controller_manager;
use crate::go_programs::{GoPrograms, GoProgramsError};

/// What Argo CD's one program is, by the name that it is run by.
const PARTS: [&str; 5] = [
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-k8s-auth",
    "argocd-repo-server",
    "argocd-server",
];

/// Programs that the harness runs.
#[derive(Clone, Debug)]
pub struct Programs {
    release: &'static Release,
    /// Argo CD's own folder.
    argo_cd: PathBuf,
    /// The folders of all that Argo CD runs, and its own.
    folders: Vec<PathBuf>,
    redis: PathBuf,
    controller_manager: PathBuf,
}

impl Programs {
    /// Finds what the system must have, and builds the rest, once for a user: the release of Argo
    /// CD that is [chosen](Release::chosen), and what it needs. The build takes minutes, tells on
    /// standard error how it gets on, and blocks.
    pub fn locate() -> Result<Self> {
        let release = Release::chosen()?;
        system_program("git", "on Debian: apt-get install git")?;
        let redis = redis().context("cannot build miniredis")?;
        let version = release.version();
        let built = release.built_once();
        let folders = built.with_context(|| {
            format!("cannot build Argo CD {version}, its Helm and its kustomize")
        })?;
        let argo_cd = folders.first().context("nothing was built")?.clone();
        Ok(Self {
            release,
            argo_cd,
            folders,
            redis,
            controller_manager: kube_controller_manager()?,
        })
    }

    /// Of which Argo CD they are.
    pub fn release(&self) -> &'static Release {
        self.release
    }

    /// Makes a folder's `argocd`, `helm`, `kustomize` and whatever else Argo CD looks for on its
    /// `PATH` the built ones, with `argocd` under its other names as in Argo CD's image.
    pub(crate) fn link_into(&self, folder: &Path) -> io::Result<()> {
        for part in PARTS {
            symlink(self.argo_cd.join("argocd"), folder.join(part))?;
        }
        for built in &self.folders {
            for program in built.read_dir()? {
                let program = program?;
                symlink(program.path(), folder.join(program.file_name()))?;
            }
        }
        Ok(())
    }

    /// Argo CD's install manifests.
    pub(crate) fn install_manifests(&self) -> PathBuf {
        self.argo_cd.join("install.yaml")
    }

    /// What serves Argo CD's cache.
    pub(crate) fn redis(&self) -> &Path {
        &self.redis
    }

    pub(crate) fn controller_manager(&self) -> &Path {
        &self.controller_manager
    }
}

/// The server for Argo CD's cache, which takes seconds to build; this blocks.
pub fn redis() -> Result<PathBuf, GoProgramsError> {
    let programs = GoPrograms {
        cache: "redis",
        go_mod: include_str!("binaries/redis/go.mod"),
        go_sum: include_str!("binaries/redis/go.sum"),
        sources: &[("main.go", include_str!("binaries/redis/main.go"))],
        linker_flags: "-s -w".to_owned(),
        packages: &[("redis", "kubectl-gitops.io/tests/argo-cd/binaries/redis")],
        files: &[],
    };
    Ok(programs.built_once()?.join("redis"))
}

fn system_program(name: &str, remedy: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    match env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
    {
        Some(program) => Ok(program),
        None => bail!("the tests with Argo CD need {name}, which is not installed ({remedy})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_installed_is_named_with_the_way_to_get_it() {
        let error = system_program("no-such-program", "apt-get install it").unwrap_err();

        assert_eq!(
            error.to_string(),
            "the tests with Argo CD need no-such-program, which is not installed (apt-get install it)"
        );
    }
}
