//! The charts that a chart is made of, fetched into its folder by Helm.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use golang::json::null_as_default;
use serde::Deserialize;

use super::program::{self, Program, ProgramError};
use crate::temporary;

/// The charts that a chart is made of cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DependencyError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: it does not say what a chart is", .0.display())]
    Definition(PathBuf),
    #[error("no folder for temporary files can be made")]
    Scratch(#[source] io::Error),
    #[error("the chart's dependencies cannot be fetched")]
    Fetch(#[from] ProgramError),
}

/// What `Chart.yaml` says of them.
#[derive(Deserialize)]
struct Definition {
    #[serde(default, deserialize_with = "null_as_default")]
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    #[serde(default, deserialize_with = "null_as_default")]
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    repository: String,
}

impl Dependency {
    /// Whether the folder has the chart, as an archive or as files.
    fn is_in(&self, folder: &Path) -> bool {
        let charts = fs::read_dir(folder.join("charts"));
        let names = charts.into_iter().flatten().flatten();
        let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.any(|name| {
            let rest = name.strip_prefix(&*self.name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }

    /// Whether it is fetched by a URL that Helm must have been told of.
    fn is_of_repository(&self) -> bool {
        ["http://", "https://"]
            .iter()
            .any(|scheme| self.repository.starts_with(scheme))
    }
}

/// Whether a chart is made of others that its folder does not have.
///
/// # Errors
/// Its `Chart.yaml` cannot be read.
pub(crate) fn are_missing(folder: &Path) -> Result<bool, DependencyError> {
    let dependencies = definition(folder)?.dependencies;
    Ok(dependencies.iter().any(|one| !one.is_in(folder)))
}

fn definition(folder: &Path) -> Result<Definition, DependencyError> {
    let path = folder.join("Chart.yaml");
    let text = fs::read_to_string(&path).map_err(|source| DependencyError::Read {
        path: path.clone(),
        source,
    })?;
    let value =
        golang::yaml::value(&text).map_err(|_| DependencyError::Definition(path.clone()))?;
    serde_json::from_value(value).map_err(|_| DependencyError::Definition(path))
}

/// Fetches the charts that a chart is made of into its folder, by its `Chart.lock` (Argo CD 3.6,
/// `DependencyBuild`). Registries are those that the user has logged in to; repositories are known
/// for the time being alone.
///
/// # Errors
/// One cannot be had, or the lock is not that of the chart.
pub(crate) async fn fetch(folder: &Path) -> Result<(), DependencyError> {
    let home = temporary::folder("kubectl-gitops-").map_err(DependencyError::Scratch)?;
    let dependencies = definition(folder)?.dependencies;
    let fetched = dependencies.iter().filter(|one| one.is_of_repository());
    for (number, dependency) in fetched.enumerate() {
        let name = format!("repository-{number}");
        let add = ["repo", "add", &name, &dependency.repository];
        run(&add, folder, home.path()).await?;
    }
    run(
        &["dependency", "build", "--skip-refresh"],
        folder,
        home.path(),
    )
    .await?;
    Ok(())
}

async fn run(arguments: &[&str], folder: &Path, home: &Path) -> Result<(), ProgramError> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let file = |name: &str| home.join(name).into_os_string();
    let variables = [
        ("HELM_CACHE_HOME", file("cache")),
        ("HELM_DATA_HOME", file("data")),
        ("HELM_REPOSITORY_CACHE", file("repositories")),
        ("HELM_REPOSITORY_CONFIG", file("repositories.yaml")),
    ];
    program::run_with(Program::Helm, &arguments, folder, variables).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(definition: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Chart.yaml"), definition).unwrap();
        folder
    }

    #[test]
    fn what_a_chart_is_made_of_is_in_its_folder_or_missing() {
        let plain = chart("name: dns\nversion: 1.2.3\n");
        assert!(!are_missing(plain.path()).unwrap());
        let wrapper = chart("name: dns\ndependencies: [{name: external-dns, version: 1.2.3}]\n");
        assert!(are_missing(wrapper.path()).unwrap());
        fs::create_dir(wrapper.path().join("charts")).unwrap();
        fs::write(wrapper.path().join("charts/external-dns-1.2.3.tgz"), "").unwrap();
        assert!(!are_missing(wrapper.path()).unwrap());
        let folder = chart("name: dns\ndependencies: [{name: external-dns}]\n");
        fs::create_dir_all(folder.path().join("charts/external-dns")).unwrap();
        assert!(!are_missing(folder.path()).unwrap());
    }

    #[test]
    fn what_is_not_a_chart_is_named() {
        for text in ["[", "- a", "dependencies: {a: b}", "dependencies: [1]"] {
            let folder = chart(text);
            let error = are_missing(folder.path()).unwrap_err().to_string();
            assert!(
                error.ends_with("it does not say what a chart is"),
                "{error}"
            );
        }
        let nowhere = are_missing(Path::new("/nowhere")).unwrap_err();
        assert_eq!(nowhere.to_string(), "cannot read /nowhere/Chart.yaml");
    }
}
