//! Where `etcd`, `kube-apiserver` and `kubectl` come from.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::{env, fmt::Write as _, io};

use thiserror::Error;

use crate::control_plane::envtest::{Archive, EnvtestError, Patience};
use crate::go_programs::{GoPrograms, GoProgramsError, ModuleFile, cache, lock};

/// The environment variable that names a folder with all three binaries; the same that
/// controller-runtime's envtest reads, so that one setting serves both.
pub const KUBEBUILDER_ASSETS: &str = "KUBEBUILDER_ASSETS";

const GO_MOD: &str = include_str!("binaries/go.mod");
const GO_SUM: &str = include_str!("binaries/go.sum");

const PACKAGES: [(&str, &str); 3] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
];

/// Of the same modules, and built apart: most tests do without it.
const CONTROLLER_MANAGER: [(&str, &str); 1] = [(
    "kube-controller-manager",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
)];

/// The three programs of the control plane.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

/// A binary of the control plane is neither there nor can it be built.
#[derive(Debug, Error)]
pub enum BinariesError {
    /// The folder that the user named lacks one.
    #[error("KUBEBUILDER_ASSETS names {}, which has no file {name}", folder.display())]
    NotInAssets {
        /// The folder.
        folder: PathBuf,
        /// The missing file.
        name: &'static str,
    },
    /// go.mod requires no version of Kubernetes.
    #[error("the go.mod of the binaries requires no version of k8s.io/kubernetes")]
    NoVersion,
    /// It is not known where they can be downloaded.
    #[error(transparent)]
    Index(#[from] EnvtestError),
    /// They cannot be built.
    #[error(
        "cannot build etcd, kubectl and kube-apiserver (the other way is to let KUBEBUILDER_ASSETS name a folder with them)"
    )]
    Build(#[from] GoProgramsError),
    /// The controller manager cannot be built.
    #[error("cannot build kube-controller-manager")]
    BuildControllerManager(#[source] GoProgramsError),
}

impl Binaries {
    /// Takes the binaries from the folder named by `KUBEBUILDER_ASSETS`; if it is unset, from a
    /// cache of the user, for which they are downloaded once, or built with `go` where they cannot
    /// be. The build takes some minutes. Both tell on standard error how they get on, and block.
    pub fn locate() -> Result<Self, BinariesError> {
        match env::var_os(KUBEBUILDER_ASSETS) {
            Some(folder) if !folder.is_empty() => Self::in_assets(PathBuf::from(folder)),
            _ => Self::in_cache(),
        }
    }

    fn in_cache() -> Result<Self, BinariesError> {
        let programs = programs()?;
        let Some(archive) = Archive::of_this_machine()? else {
            let folder = programs.built_once()?;
            return Ok(Self { folder });
        };
        let downloaded = cache("envtest")?.join(archive.key());
        // Without a `go`, nothing was built.
        let there = || match programs.missing(&downloaded) {
            None => Some(downloaded.clone()),
            Some(_) => programs.built().ok().flatten(),
        };
        let folder = if let Some(folder) = there() {
            folder
        } else {
            let _lock = lock(
                &downloaded,
                "the download of etcd, kubectl and kube-apiserver",
            )?;
            match there() {
                Some(folder) => folder,
                None => downloaded_or(
                    || programs.built_once(),
                    &archive,
                    &downloaded,
                    Patience::default(),
                    &mut io::stderr(),
                )?,
            }
        };
        Ok(Self { folder })
    }

    /// The folder that has all three.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of `etcd`.
    pub fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    /// The path of `kube-apiserver`.
    pub fn kube_apiserver(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }

    /// The path of `kubectl`.
    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }

    pub(crate) fn in_assets(folder: PathBuf) -> Result<Self, BinariesError> {
        match programs()?.missing(&folder) {
            Some(name) => Err(BinariesError::NotInAssets { folder, name }),
            None => Ok(Self { folder }),
        }
    }
}

/// Downloads an archive into a folder. If that fails for whatever reason, it says so in a line, and
/// builds.
fn downloaded_or(
    build: impl FnOnce() -> Result<PathBuf, GoProgramsError>,
    archive: &Archive,
    folder: &Path,
    patience: Patience,
    stderr: &mut impl io::Write,
) -> Result<PathBuf, GoProgramsError> {
    let Err(error) = archive.unpack_to(folder, patience) else {
        return Ok(folder.to_owned());
    };
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let why = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    let why = why.replace('\n', " ");
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(
        stderr,
        "cannot download Kubernetes {}, so it is built: {why}",
        archive.version
    );
    build()
}

/// The path of `kube-controller-manager`, of the API server's version. It is built once with `go`,
/// in about a minute if the API server was built before; this blocks.
pub fn kube_controller_manager() -> Result<PathBuf, BinariesError> {
    let programs = GoPrograms {
        cache: "controller-manager",
        packages: &CONTROLLER_MANAGER,
        ..programs()?
    };
    let folder = programs.built_once();
    let folder = folder.map_err(BinariesError::BuildControllerManager)?;
    Ok(folder.join("kube-controller-manager"))
}

/// The program that prints Kubernetes' Go types, and the OpenAPI document that it is given: what
/// `argocd/src/comparison/scheme/types.txt` is written with. It takes a minute to build; this
/// blocks.
pub fn kubernetes_types() -> Result<(PathBuf, PathBuf), GoProgramsError> {
    let programs = GoPrograms {
        cache: "kubernetes-types",
        go_mod: GO_MOD,
        go_sum: GO_SUM,
        sources: &[("main.go", include_str!("binaries/kubernetes_types.go"))],
        linker_flags: "-s -w".to_owned(),
        packages: &[(
            "kubernetes-types",
            "kubectl-gitops.io/tests/control-plane/binaries",
        )],
        files: &[ModuleFile {
            name: "swagger.json",
            module: "k8s.io/kubernetes",
            path: "api/openapi-spec/swagger.json",
            executable: false,
        }],
    };
    let folder = programs.built_once()?;
    Ok((folder.join("kubernetes-types"), folder.join("swagger.json")))
}

/// The version of Kubernetes that all of them are of.
pub fn kubernetes_version() -> Result<&'static str, BinariesError> {
    required_version("k8s.io/kubernetes", GO_MOD).ok_or(BinariesError::NoVersion)
}

fn programs() -> Result<GoPrograms, BinariesError> {
    Ok(GoPrograms {
        cache: "control-plane",
        go_mod: GO_MOD,
        go_sum: GO_SUM,
        sources: &[],
        linker_flags: linker_flags()?,
        packages: &PACKAGES,
        files: &[],
    })
}

/// A release build of Kubernetes is told its own version by the linker; without this it calls
/// itself v0.0.0-master. Without the debugger's tables it links faster and is smaller.
fn linker_flags() -> Result<String, BinariesError> {
    let version = kubernetes_version()?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    );
    let mut flags = "-s -w".to_owned();
    for package in [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
    ] {
        for (variable, value) in [
            ("gitVersion", version),
            ("gitMajor", major),
            ("gitMinor", minor),
        ] {
            let _ = write!(flags, " -X {package}.{variable}={value}");
        }
    }
    Ok(flags)
}

fn required_version<'a>(module: &str, go_mod: &'a str) -> Option<&'a str> {
    let mut requirements = go_mod.lines().map(str::split_whitespace);
    requirements.find_map(|mut words| (words.next()? == module).then(|| words.next())?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::control_plane::envtest::tests::{Answer, PATIENT, Server, WHOLE, archive_of};

    #[test]
    fn an_assets_folder_without_a_binary_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etcd", "kube-apiserver"] {
            fs::write(folder.path().join(name), "").unwrap();
        }

        let error = Binaries::in_assets(folder.path().to_owned())
            .unwrap_err()
            .to_string();

        assert!(error.starts_with("KUBEBUILDER_ASSETS names /"), "{error}");
        assert!(error.ends_with(", which has no file kubectl"), "{error}");
    }

    #[test]
    fn what_can_be_downloaded_is_not_built() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive_of(&WHOLE);
        let server = Server::start(vec![Answer::found(&archive)]);
        let mut said = Vec::new();

        let downloaded = downloaded_or(
            || panic!("it was built"),
            &server.archive(&archive),
            &folder.path().join("programs"),
            PATIENT,
            &mut said,
        );

        let binaries = Binaries::in_assets(downloaded.unwrap()).unwrap();
        assert_eq!(binaries.folder(), folder.path().join("programs"));
        assert_eq!(said, b"");
    }

    #[test]
    fn what_cannot_be_downloaded_is_built_and_that_is_told_in_a_line() {
        let archive = archive_of(&WHOLE);
        let cut_off = format!("200 OK\r\nContent-Length: {}", archive.len());
        for (answer, why) in [
            (Answer::new("503 Service Unavailable", b""), "503"),
            (Answer::new(&cut_off, &archive[..50]), "cut off"),
            (Answer::found(&archive_of(&WHOLE[..2])), "SHA-512"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let server = Server::start(vec![answer]);
            let mut said = Vec::new();

            let built = downloaded_or(
                || Ok(PathBuf::from("built")),
                &server.archive(&archive),
                &folder.path().join("programs"),
                PATIENT,
                &mut said,
            );

            assert_eq!(built.unwrap(), Path::new("built"));
            let said = String::from_utf8(said).unwrap();
            let begin = "cannot download Kubernetes v1.2.3, so it is built: http://127.0.0.1:";
            assert!(said.starts_with(begin) && said.contains(why), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(folder.path().read_dir().unwrap().next().is_none());
        }
    }

    /// Otherwise tests would show one thing here and another there.
    #[test]
    fn what_is_downloaded_is_of_the_minor_version_that_is_built() {
        let built = required_version("k8s.io/kubernetes", GO_MOD).unwrap();
        let downloaded = Archive::of_this_machine().unwrap().unwrap().version;

        let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
        assert_eq!(minor(&downloaded), minor(built));
    }

    #[test]
    fn the_version_is_the_one_that_go_mod_requires() {
        let flags = linker_flags().unwrap();

        assert!(
            flags.contains(" -X k8s.io/component-base/version.gitVersion=v1.36.1 "),
            "{flags}"
        );
        assert!(
            flags.contains(" -X k8s.io/client-go/pkg/version.gitMinor=36"),
            "{flags}"
        );
        assert_eq!(required_version("k8s.io/other", GO_MOD), None);
    }
}
