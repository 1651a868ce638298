//! Where Argo CD and what it runs come from.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use control_plane::{GoPrograms, ModuleFile};

/// The release of Argo CD. v3.2.12 does not compile, and newer ones require a module that is only a folder of their
/// repository.
pub const ARGO_CD_VERSION: &str = "v3.2.11";

const GO_MOD: &str = include_str!("../binaries/go.mod");
const GO_SUM: &str = include_str!("../binaries/go.sum");

/// All of Argo CD is one program, which goes by its name.
const PACKAGES: [(&str, &str); 3] = [
    ("argocd", "github.com/argoproj/argo-cd/v3/cmd"),
    ("helm", "helm.sh/helm/v3/cmd/helm"),
    ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
];
const FILES: [ModuleFile; 1] = [ModuleFile {
    name: "install.yaml",
    module: "github.com/argoproj/argo-cd/v3",
    path: "manifests/install.yaml",
}];

/// Programs that the harness runs.
#[derive(Clone, Debug)]
pub struct Programs {
    built: PathBuf,
    redis_server: PathBuf,
    controller_manager: PathBuf,
}

impl Programs {
    /// Finds what the system must have, and builds the rest, once for a user. The build takes minutes, tells on standard
    /// error how it gets on, and blocks.
    pub fn locate() -> Result<Self> {
        let redis_server =
            system_program("redis-server", "on Debian: apt-get install redis-server")?;
        system_program("git", "on Debian: apt-get install git")?;
        Ok(Self {
            built: go_programs()
                .built_once()
                .context("cannot build Argo CD, Helm and kustomize")?,
            redis_server,
            controller_manager: control_plane::kube_controller_manager()?,
        })
    }

    /// The folder of `argocd`, `helm` and `kustomize`.
    pub(crate) fn folder(&self) -> &Path {
        &self.built
    }

    pub(crate) fn argocd(&self) -> PathBuf {
        self.built.join("argocd")
    }

    /// Argo CD's install manifests.
    pub(crate) fn install_manifests(&self) -> PathBuf {
        self.built.join("install.yaml")
    }

    pub(crate) fn redis_server(&self) -> &Path {
        &self.redis_server
    }

    pub(crate) fn controller_manager(&self) -> &Path {
        &self.controller_manager
    }
}

fn go_programs() -> GoPrograms {
    GoPrograms {
        cache: "argo-cd",
        go_mod: GO_MOD,
        go_sum: GO_SUM,
        linker_flags: format!(
            "-s -w -X github.com/argoproj/argo-cd/v3/common.version={}",
            ARGO_CD_VERSION.trim_start_matches('v')
        ),
        packages: &PACKAGES,
        files: &FILES,
    }
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
    fn the_version_is_the_one_that_go_mod_requires() {
        let required = format!("github.com/argoproj/argo-cd/v3 {ARGO_CD_VERSION}");

        assert!(GO_MOD.contains(&required));
    }

    #[test]
    fn the_version_is_the_one_that_the_page_about_versions_names() {
        let page = include_str!("../../../docs/argo-cd-versions.md");
        let row = page
            .lines()
            .find(|line| line.starts_with("| running Argo CD:"));

        assert!(row.is_some_and(|row| row.contains(&format!("| {ARGO_CD_VERSION} |"))));
    }

    #[test]
    fn a_program_that_is_not_installed_is_named_with_the_way_to_get_it() {
        let error = system_program("no-such-program", "apt-get install it").unwrap_err();

        assert_eq!(
            error.to_string(),
            "the tests with Argo CD need no-such-program, which is not installed (apt-get install it)"
        );
    }
}
