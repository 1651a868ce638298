//! Argo CD's own `CustomResourceDefinition`s.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;
use thiserror::Error;

use crate::go::{self, GoError};

/// The release of Argo CD whose API the tests use.
pub const ARGO_CD_VERSION: &str = "v3.5.7";

const MODULE: &str = "github.com/argoproj/argo-cd/v3";
/// What go.sum would say, had this module a go.mod that can require it.
const SUM: &str = "h1:Xm1BF+I5OgDKUG3SDK49vn2/Y5AMyaNVko+/JT08gj0=";
const FILES: [&str; 3] = [
    "application-crd.yaml",
    "appproject-crd.yaml",
    "applicationset-crd.yaml",
];

/// Argo CD's `CustomResourceDefinition`s cannot be had.
#[derive(Debug, Error)]
pub enum ArgoCdError {
    /// Its Go module cannot be downloaded.
    #[error("cannot get Argo CD's Go module, which holds its CustomResourceDefinitions")]
    Download(#[from] GoError),
    /// `go` answers in another form than expected.
    #[error("cannot read what `go mod download` says")]
    Answer(#[source] serde_json::Error),
    /// What was downloaded is not what was published.
    #[error("{MODULE}@{ARGO_CD_VERSION} has the checksum {found}, not {SUM}")]
    Checksum {
        /// The checksum of what was downloaded.
        found: String,
    },
    /// The temporary folder or a file of the module cannot be used.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the module is not a `CustomResourceDefinition`.
    #[error("{} is not a CustomResourceDefinition", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<serde_saphyr::Error>,
    },
}

/// The definitions of Application, `AppProject` and `ApplicationSet`, as Argo CD's release has
/// them.
///
/// They come from Go's module cache, and from the network if they are not there yet; this blocks.
/// They are read once in a process.
pub fn argo_cd_crds() -> Result<Arc<[CustomResourceDefinition]>, ArgoCdError> {
    static READ: Mutex<Option<Arc<[CustomResourceDefinition]>>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(crds) = &*read {
        return Ok(Arc::clone(crds));
    }
    let folder = download()?.join("manifests").join("crds");
    let crds = FILES
        .iter()
        .map(|name| parse(&folder.join(name)))
        .collect::<Result<Arc<[_]>, _>>()?;
    Ok(Arc::clone(read.insert(crds)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
    sum: String,
}

/// Outside any module: one that requires Argo CD cannot be resolved, because Argo CD replaces a
/// module by a folder of its own; its zip alone can be had.
fn download() -> Result<PathBuf, ArgoCdError> {
    let empty = tempfile::tempdir().map_err(|source| ArgoCdError::Read {
        path: std::env::temp_dir(),
        source,
    })?;
    let mut go = go::command(empty.path());
    go.args([
        "mod",
        "download",
        "-json",
        &format!("{MODULE}@{ARGO_CD_VERSION}"),
    ]);
    let answer = go::run(go, "downloading Argo CD's module")?;
    let Downloaded { dir, sum } = serde_json::from_slice(&answer).map_err(ArgoCdError::Answer)?;
    if sum == SUM {
        Ok(dir)
    } else {
        Err(ArgoCdError::Checksum { found: sum })
    }
}

fn parse(path: &Path) -> Result<CustomResourceDefinition, ArgoCdError> {
    let text = fs::read_to_string(path).map_err(|source| ArgoCdError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_saphyr::from_str(&text).map_err(|source| ArgoCdError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}
