//! The files of an addon in a checkout, with the charts that its chart is made of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::author::Places;
use super::author::split::Values;
use crate::manifest_generation::dependencies::{self, DependencyError};
use crate::temporary;

/// Where the files of an addon are. It is a copy where charts had to be fetched: a checkout is not
/// written to.
#[derive(Debug)]
pub(crate) struct Checkout {
    top: PathBuf,
    _copy: Option<TempDir>,
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckoutError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the files of the addon cannot be copied")]
    Copy(#[source] io::Error),
    #[error(transparent)]
    Dependency(#[from] DependencyError),
}

impl Checkout {
    /// The files of an addon. What its chart is made of and its folder does not have is fetched by
    /// Helm, as Argo CD does.
    ///
    /// # Errors
    /// They cannot be read, or a chart cannot be fetched.
    pub(crate) async fn of(repo: &Path, places: Places<'_>) -> Result<Self, CheckoutError> {
        let top = repo.canonicalize().map_err(|source| CheckoutError::Read {
            path: repo.to_owned(),
            source,
        })?;
        let folder = top.join(places.chart());
        if !folder.join("Chart.yaml").is_file() || !dependencies::are_missing(&folder)? {
            return Ok(Checkout { top, _copy: None });
        }
        let copy = temporary::folder("kubectl-gitops-").map_err(CheckoutError::Copy)?;
        let copied = copy.path().canonicalize().map_err(CheckoutError::Copy)?;
        copy_files(&top, &copied, places).map_err(CheckoutError::Copy)?;
        dependencies::fetch(&copied.join(places.chart())).await?;
        Ok(Checkout {
            top: copied,
            _copy: Some(copy),
        })
    }

    /// The top of the repository.
    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    /// The version of the chart; None where it does not say.
    pub(crate) fn chart_version(&self, places: Places<'_>) -> Option<String> {
        let definition = self.values(&format!("{}/Chart.yaml", places.chart()));
        definition.get("version")?.as_str().map(str::to_owned)
    }

    /// The values of a file; nothing where there is no such file, or nothing that is values.
    pub(crate) fn values(&self, file: &str) -> Values {
        let text = fs::read_to_string(self.top.join(file)).unwrap_or_default();
        match golang::yaml::value(&text) {
            Ok(serde_json::Value::Object(values)) => values,
            _ => Values::new(),
        }
    }
}

/// Copies what an addon has: its chart, and what single clusters have beside.
fn copy_files(from: &Path, to: &Path, places: Places<'_>) -> io::Result<()> {
    let chart = places.chart();
    copy_folder(&from.join(&chart), &to.join(&chart))?;
    let Ok(clusters) = fs::read_dir(from.join(Places::OVERRIDES)) else {
        return Ok(());
    };
    for cluster in clusters {
        let Ok(cluster) = cluster?.file_name().into_string() else {
            continue;
        };
        let file = places.override_of(&cluster);
        if from.join(&file).is_file() {
            fs::create_dir_all(to.join(Places::OVERRIDES).join(&cluster))?;
            fs::copy(from.join(&file), to.join(&file))?;
        }
    }
    Ok(())
}

/// Copies files and folders; links lead out of what is copied, and are left out.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_addon_has_is_copied_and_nothing_else() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for file in [
            "charts/dns/Chart.yaml",
            "charts/dns/templates/a.yaml",
            "charts/other/Chart.yaml",
            "cluster-overrides/prod/dns.yaml",
            "cluster-overrides/prod/other.yaml",
        ] {
            let path = from.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        copy_files(from.path(), to.path(), Places { name: "dns" }).unwrap();
        for (file, is_there) in [
            ("charts/dns/Chart.yaml", true),
            ("charts/dns/templates/a.yaml", true),
            ("cluster-overrides/prod/dns.yaml", true),
            ("cluster-overrides/prod/other.yaml", false),
            ("charts/other/Chart.yaml", false),
        ] {
            assert_eq!(to.path().join(file).exists(), is_there, "{file}");
        }
    }
}
