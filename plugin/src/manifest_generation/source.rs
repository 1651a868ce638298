//! A source with the options of the tool that renders it, and what the folder overrides of them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use golang::json::null_as_default;
use serde::Deserialize;
use serde_json::Value;

/// What of a source decides how it is rendered (Argo CD 3.6, `ApplicationSource`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Source {
    #[serde(rename = "repoURL", deserialize_with = "null_as_default")]
    pub(crate) repo_url: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) path: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) chart: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) target_revision: String,
    #[serde(rename = "ref", deserialize_with = "null_as_default")]
    pub(crate) reference: String,
    pub(crate) helm: Option<Helm>,
    pub(crate) kustomize: Option<Kustomize>,
    pub(crate) directory: Option<Directory>,
    pub(crate) plugin: Option<Value>,
}

/// `source.helm`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Helm {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) value_files: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) ignore_missing_value_files: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) parameters: Vec<Parameter>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) file_parameters: Vec<FileParameter>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) release_name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) values: String,
    pub(crate) values_object: Option<Value>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) skip_crds: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) skip_tests: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) skip_schema_validation: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) kube_version: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) api_versions: Vec<String>,
}

/// A value that is set by itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameter {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) value: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) force_string: bool,
}

/// A value that is the content of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FileParameter {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) path: String,
}

/// `source.kustomize`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Kustomize {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) name_prefix: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) name_suffix: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) namespace: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) images: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) replicas: Vec<Replicas>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) common_labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) force_common_labels: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) label_without_selector: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) label_include_templates: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) common_annotations: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) force_common_annotations: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) common_annotations_envsubst: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) patches: Vec<Value>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) components: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) ignore_missing_components: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) kube_version: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) api_versions: Vec<String>,
}

/// How many replicas a workload is to have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Replicas {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) name: String,
    /// A number, or a text that is one.
    pub(crate) count: Value,
}

/// `source.directory`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Directory {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) recurse: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) include: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) exclude: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) disable_extension_filter: bool,
}

/// What renders a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tool {
    Helm,
    Kustomize,
    Directory,
    Plugin,
}

/// A source cannot be read, or not as one that a single tool renders.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("the source is not as Argo CD has it")]
    Decode(#[source] serde_json::Error),
    #[error("the source has options of several tools, of which Argo CD takes one: {0}")]
    SeveralTools(String),
    #[error("{}: cannot be read", file.display())]
    Read {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: it is not YAML", file.display())]
    Override {
        file: PathBuf,
        #[source]
        source: golang::yaml::Error,
    },
    #[error("{}: the source with what it overrides is not as Argo CD has it", file.display())]
    Overridden {
        file: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

impl Source {
    /// Reads a source, with what `.argocd-source.yaml` and `.argocd-source-NAME.yaml` in its folder
    /// override (Argo CD 3.6, `mergeSourceParameters`). Repository, path, chart and revision stay.
    pub(crate) fn read(
        source: &Value,
        folder: &Path,
        application: &str,
    ) -> Result<Self, SourceError> {
        let written = Source::deserialize(source).map_err(SourceError::Decode)?;
        let mut merged = source.clone();
        let mut last = None;
        let own = format!(".argocd-source-{application}.yaml");
        for name in [".argocd-source.yaml", &own] {
            let file = folder.join(name);
            let Some(patch) = read_override(&file)? else {
                continue;
            };
            json_patch::merge(&mut merged, &patch);
            last = Some(file);
        }
        let Some(file) = last else {
            return Ok(written);
        };
        let overridden = Source::deserialize(&merged)
            .map_err(|source| SourceError::Overridden { file, source })?;
        Ok(Source {
            repo_url: written.repo_url,
            path: written.path,
            chart: written.chart,
            target_revision: written.target_revision,
            ..overridden
        })
    }

    /// What renders the source: the tool whose options it has, or else the one that its folder is
    /// made for (Argo CD 3.6, `GetAppSourceType` and `discovery.AppType`).
    pub(crate) fn tool(&self, folder: &Path) -> Result<Tool, SourceError> {
        let explicit = [
            (self.kustomize.is_some(), "kustomize", Tool::Kustomize),
            (self.helm.is_some(), "helm", Tool::Helm),
            (self.directory.is_some(), "directory", Tool::Directory),
            (self.plugin.is_some(), "plugin", Tool::Plugin),
        ];
        let given: Vec<_> = explicit.iter().filter(|(is_there, ..)| *is_there).collect();
        match given.as_slice() {
            [] => Ok(discover(folder)),
            [(_, _, tool)] => Ok(*tool),
            several => {
                let names: Vec<_> = several.iter().map(|(_, name, _)| *name).collect();
                Err(SourceError::SeveralTools(names.join(", ")))
            }
        }
    }
}

/// The files by which Kustomize knows its folder, in its order.
pub(super) const KUSTOMIZATIONS: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Argo CD goes through the folder in order of names, and the last file that it knows decides.
fn discover(folder: &Path) -> Tool {
    let Ok(entries) = fs::read_dir(folder) else {
        return Tool::Directory;
    };
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let known = |name: &String| {
        if KUSTOMIZATIONS.contains(&name.as_str()) {
            return Some(Tool::Kustomize);
        }
        name.ends_with("Chart.yaml").then_some(Tool::Helm)
    };
    let last = names.iter().rev().find_map(known);
    last.unwrap_or(Tool::Directory)
}

fn read_override(file: &Path) -> Result<Option<Value>, SourceError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) if file.is_dir() => return Ok(None),
        Err(source) => {
            let file = file.to_owned();
            return Err(SourceError::Read { file, source });
        }
    };
    let patch = golang::yaml::value(&text).map_err(|source| SourceError::Override {
        file: file.to_owned(),
        source,
    })?;
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn a_tool_is_known_by_its_options_or_by_its_folder() {
        let of = |source: Value, files: &[(&str, &str)]| {
            let folder = folder(files);
            let source = Source::read(&source, folder.path(), "orders").unwrap();
            source
                .tool(folder.path())
                .map_err(|error| error.to_string())
        };
        let chart = ("Chart.yaml", "name: orders\n");
        let kustomization = ("kustomization.yaml", "resources: []\n");

        assert_eq!(of(json!({}), &[]), Ok(Tool::Directory));
        assert_eq!(of(json!({}), &[chart]), Ok(Tool::Helm));
        assert_eq!(of(json!({"directory": {}}), &[chart]), Ok(Tool::Directory));
        assert_eq!(of(json!({"directory": null}), &[chart]), Ok(Tool::Helm));
        // The last one that Argo CD comes to decides.
        assert_eq!(of(json!({}), &[chart, kustomization]), Ok(Tool::Kustomize));
        let upper = ("Kustomization", "resources: []\n");
        assert_eq!(of(json!({}), &[chart, upper]), Ok(Tool::Kustomize));
        assert_eq!(
            of(json!({"helm": {}, "kustomize": {}}), &[]),
            Err(
                "the source has options of several tools, of which Argo CD takes one: \
                 kustomize, helm"
                    .to_owned()
            )
        );
    }

    #[test]
    fn the_folder_overrides_options_and_not_where_the_source_is() {
        let folder = folder(&[
            (
                ".argocd-source.yaml",
                "path: elsewhere\nhelm:\n  parameters: [{name: a, value: b}]\n",
            ),
            (
                ".argocd-source-orders.yaml",
                "helm:\n  releaseName: other\n  values: null\n",
            ),
            (".argocd-source-cart.yaml", "helm: [not, this, one]\n"),
        ]);
        let written =
            json!({"path": "charts/orders", "helm": {"values": "a: 1", "skipCrds": true}});

        let source = Source::read(&written, folder.path(), "orders").unwrap();

        assert_eq!(source.path, "charts/orders");
        let helm = source.helm.unwrap();
        assert_eq!(helm.parameters[0].name, "a");
        assert_eq!(helm.release_name, "other");
        assert_eq!(helm.values, "");
        assert!(helm.skip_crds);

        let error = Source::read(&written, folder.path(), "cart").unwrap_err();
        assert!(
            error.to_string().contains(".argocd-source-cart.yaml"),
            "{error}"
        );
    }
}
