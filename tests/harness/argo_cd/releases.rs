//! The releases of Argo CD that the tests can run.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::go_programs::{GoPrograms, GoProgramsError, ModuleFile};

/// The environment variable that names a release other than the newest.
pub const GITOPS_TEST_ARGO_CD: &str = "GITOPS_TEST_ARGO_CD";

const ARGO_CD: &str = "github.com/argoproj/argo-cd/v3";
/// All of Argo CD is one program, which goes by its name.
const ARGOCD: (&str, &str) = ("argocd", "github.com/argoproj/argo-cd/v3/cmd");
const KUSTOMIZE: (&str, &str) = ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5");
const INSTALL_MANIFESTS: ModuleFile = ModuleFile {
    name: "install.yaml",
    module: ARGO_CD,
    path: "manifests/install.yaml",
    executable: false,
};
/// Since v3.6 the repo server runs it for each commit, also where no signature is asked for.
const GIT_VERIFY_WRAPPER: ModuleFile = ModuleFile {
    name: "git-verify-wrapper.sh",
    module: ARGO_CD,
    path: "hack/git-verify-wrapper.sh",
    executable: true,
};

/// The newest is first. v3.2.12 does not compile, and of v3.3 to v3.5 a module is only a folder of
/// their repository.
pub static RELEASES: [Release; 2] = [
    Release {
        version: "v3.6.1",
        // It has a default, with which the server refuses to do without TLS.
        repo_server_flags: &["--client-ca-path="],
        argo_cd: Module {
            cache: "argo-cd",
            go_mod: include_str!("binaries/v3.6.1/argo-cd/go.mod"),
            go_sum: include_str!("binaries/v3.6.1/argo-cd/go.sum"),
            packages: &[ARGOCD],
            files: &[INSTALL_MANIFESTS, GIT_VERIFY_WRAPPER],
        },
        // Apart, because Helm would have Argo CD built with other versions of its dependencies than
        // it was released with.
        renderers: Some(Module {
            cache: "helm-and-kustomize",
            go_mod: include_str!("binaries/v3.6.1/renderers/go.mod"),
            go_sum: include_str!("binaries/v3.6.1/renderers/go.sum"),
            packages: &[("helm", "helm.sh/helm/v4/cmd/helm"), KUSTOMIZE],
            files: &[],
        }),
    },
    Release {
        version: "v3.2.11",
        repo_server_flags: &[],
        argo_cd: Module {
            cache: "argo-cd",
            go_mod: include_str!("binaries/v3.2.11/go.mod"),
            go_sum: include_str!("binaries/v3.2.11/go.sum"),
            packages: &[ARGOCD, ("helm", "helm.sh/helm/v3/cmd/helm"), KUSTOMIZE],
            files: &[INSTALL_MANIFESTS],
        },
        renderers: None,
    },
];

/// A release of Argo CD, with Helm and kustomize.
#[derive(Debug)]
pub struct Release {
    version: &'static str,
    /// What its repo server has to be told in addition.
    repo_server_flags: &'static [&'static str],
    argo_cd: Module,
    /// That of Helm and kustomize, if it is not the same.
    renderers: Option<Module>,
}

/// A Go module that requires some of the programs.
#[derive(Debug)]
struct Module {
    cache: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    packages: &'static [(&'static str, &'static str)],
    files: &'static [ModuleFile],
}

impl Release {
    /// The release that [`GITOPS_TEST_ARGO_CD`] names, with or without its `v`; the newest unless
    /// it is set.
    pub fn chosen() -> Result<&'static Self> {
        match env::var(GITOPS_TEST_ARGO_CD) {
            Ok(version) if !version.is_empty() => Self::named(&version),
            _ => Ok(Self::newest()),
        }
    }

    /// The release that the tests run unless another is chosen.
    fn newest() -> &'static Self {
        let [newest, ..] = &RELEASES;
        newest
    }

    /// Whether it is the one that the documentation shows.
    pub fn is_newest(&self) -> bool {
        self.version == Self::newest().version
    }

    /// Its tag.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Whether Argo CD is built from a Go module, among others.
    pub fn requires(&self, module: &str) -> bool {
        let mut lines = self.argo_cd.go_mod.lines();
        lines.any(|line| line.split_whitespace().next() == Some(module))
    }

    /// The folder of a Go module that Argo CD is built from; this blocks, and needs the network if
    /// it is not there yet.
    pub fn module(&self, module: &str) -> Result<PathBuf, GoProgramsError> {
        self.go_programs(&self.argo_cd).module(module)
    }

    pub(crate) fn repo_server_flags(&self) -> &'static [&'static str] {
        self.repo_server_flags
    }

    /// Its Helm. It is built if it is not there; this blocks.
    pub fn helm(&self) -> Result<PathBuf, GoProgramsError> {
        let module = self.renderers.as_ref().unwrap_or(&self.argo_cd);
        Ok(self.go_programs(module).built_once()?.join("helm"))
    }

    /// The folders of its programs, Argo CD's first. What is not there is built; this blocks.
    pub(crate) fn built_once(&self) -> Result<Vec<PathBuf>, GoProgramsError> {
        let modules = [&self.argo_cd].into_iter().chain(&self.renderers);
        modules
            .map(|module| self.go_programs(module).built_once())
            .collect()
    }

    fn named(version: &str) -> Result<&'static Self> {
        let number = version.trim_start_matches('v');
        let mut releases = RELEASES.iter();
        let found = releases.find(|release| release.version.trim_start_matches('v') == number);
        found.ok_or_else(|| {
            let versions = RELEASES.each_ref().map(Self::version).join(", ");
            anyhow!("there are no tests with Argo CD {version:?}: {versions} can be run")
        })
    }

    fn go_programs(&self, module: &Module) -> GoPrograms {
        GoPrograms {
            cache: module.cache,
            go_mod: module.go_mod,
            go_sum: module.go_sum,
            sources: &[],
            linker_flags: format!(
                "-s -w -X github.com/argoproj/argo-cd/v3/common.version={}",
                self.version.trim_start_matches('v')
            ),
            packages: module.packages,
            files: module.files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_the_version_that_its_go_mod_requires() {
        for release in &RELEASES {
            let required = format!("{ARGO_CD} {}", release.version);

            assert!(
                release.argo_cd.go_mod.contains(&required),
                "{}",
                release.version
            );
        }
    }

    #[test]
    fn the_page_about_versions_names_each() {
        let page = include_str!("../../../docs/src/argo-cd-versions.md");
        let row = page
            .lines()
            .find(|line| line.starts_with("| running Argo CD:"));
        let versions = row.and_then(|row| row.split(" | ").nth(1));

        let tried = RELEASES.each_ref().map(Release::version).join(", ");
        assert_eq!(versions, Some(&*tried));
    }

    #[test]
    fn a_release_goes_by_its_tag_and_by_its_number() {
        for name in ["v3.2.11", "3.2.11"] {
            assert_eq!(Release::named(name).unwrap().version(), "v3.2.11");
        }
    }

    #[test]
    fn a_release_that_is_not_there_is_refused_with_those_that_are() {
        let error = Release::named("3.3.0").unwrap_err();

        assert_eq!(
            error.to_string(),
            "there are no tests with Argo CD \"3.3.0\": v3.6.1, v3.2.11 can be run"
        );
    }
}
