//! The files of a chart, as Helm keeps it.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde_json::Value;

use super::yaml;
use crate::bootstrap::File;
use crate::releases::{Chart, ChartFile, Release};

/// A chart cannot be written as files. Nothing of it is quoted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ChartError {
    #[error(
        "chart {chart} is made of other charts ({}), which Helm does not keep with a release",
        .subcharts.join(", ")
    )]
    Subcharts {
        chart: String,
        subcharts: Vec<String>,
    },
    #[error("chart {chart}: {file} would be outside of its folder")]
    Outside { chart: String, file: String },
    #[error("chart {chart}: {file} is not a text")]
    NotText { chart: String, file: String },
    #[error("chart {chart} has no templates, so that Helm did not keep it")]
    Nothing { chart: String },
}

/// The files of a release's chart, in a folder: `Chart.yaml`, its defaults, its templates and all else.
///
/// # Errors
/// Helm did not keep all of it, or a file is not one that can be written.
pub(crate) fn files(release: &Release, folder: &str) -> Result<Vec<File>, ChartError> {
    let chart = &release.chart;
    let mut subcharts = subcharts(&chart.definition);
    subcharts.extend(release.rendered_subcharts());
    if !subcharts.is_empty() {
        return Err(ChartError::Subcharts {
            chart: chart.metadata.name.clone(),
            subcharts: subcharts.into_iter().collect(),
        });
    }
    files_of(chart, folder)
}

fn files_of(chart: &Chart, folder: &str) -> Result<Vec<File>, ChartError> {
    let name = || chart.metadata.name.clone();
    if chart.templates.is_empty() {
        return Err(ChartError::Nothing { chart: name() });
    }
    let definition = chart.definition.as_object().cloned().unwrap_or_default();
    let mut files = vec![
        File {
            path: format!("{folder}/Chart.yaml"),
            text: yaml::mapping(&definition),
        },
        File {
            path: format!("{folder}/values.yaml"),
            text: yaml::mapping(chart.values.expose()),
        },
    ];
    for ChartFile { name: file, data } in chart.templates.iter().chain(&chart.files) {
        let is_inside = Path::new(file)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        if !is_inside || file.is_empty() {
            return Err(ChartError::Outside {
                chart: name(),
                file: file.clone(),
            });
        }
        let text = String::from_utf8(data.expose().clone());
        let text = text.map_err(|_| ChartError::NotText {
            chart: name(),
            file: file.clone(),
        })?;
        files.push(File {
            path: format!("{folder}/{file}"),
            text,
        });
    }
    if let Some(schema) = &chart.schema {
        let file = "values.schema.json";
        let text = String::from_utf8(schema.clone()).map_err(|_| ChartError::NotText {
            chart: name(),
            file: file.to_owned(),
        })?;
        files.push(File {
            path: format!("{folder}/{file}"),
            text,
        });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The charts that a chart says that it is made of (Helm 3.18 and 4.3, `chart.Chart`, whose
/// `dependencies` are not part of its JSON).
fn subcharts(definition: &Value) -> BTreeSet<String> {
    let dependencies = definition.get("dependencies").and_then(Value::as_array);
    let names = dependencies.into_iter().flatten();
    names
        .filter_map(|one| one.get("name")?.as_str().map(str::to_owned))
        .collect()
}

/// Whether it is the same chart: what is rendered with the same values is the same.
pub(crate) fn is_same(one: &Chart, other: &Chart) -> bool {
    let parts = |chart: &Chart| {
        let mut files: Vec<_> = chart
            .templates
            .iter()
            .chain(&chart.files)
            .cloned()
            .collect();
        files.sort_by(|one, other| one.name.cmp(&other.name));
        (chart.definition.clone(), chart.values.clone(), files)
    };
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::releases::{ChartMetadata, Hidden};

    fn chart(templates: &[(&str, &[u8])]) -> Chart {
        Chart {
            metadata: ChartMetadata {
                name: "dns".to_owned(),
                version: "1.2.3".to_owned(),
                app_version: String::new(),
            },
            definition: json!({"apiVersion": "v2", "name": "dns", "version": "1.2.3"}),
            templates: templates
                .iter()
                .map(|(name, data)| ChartFile {
                    name: (*name).to_owned(),
                    data: Hidden::new(data.to_vec()),
                })
                .collect(),
            files: Vec::new(),
            values: Hidden::new(json!({"port": 53}).as_object().unwrap().clone()),
            schema: Some(b"{}".to_vec()),
        }
    }

    fn release(chart: &Chart, manifest: &str) -> Release {
        Release {
            name: "dns".to_owned(),
            namespace: "dns".to_owned(),
            revision: 1,
            last_deployed: None,
            chart: chart.clone(),
            config: Hidden::default(),
            manifest: Hidden::new(manifest.to_owned()),
            hooks: Vec::new(),
            has_notes: false,
        }
    }

    /// It had been believed that `Chart.yaml` names all of them.
    #[test]
    fn charts_that_are_not_declared_are_known_by_what_they_have_rendered() {
        let chart = chart(&[("templates/a.yaml", b"kind: A\n")]);
        let manifest = "---\n# Source: dns/templates/a.yaml\nkind: A\n\
                        ---\n# Source: dns/charts/redis/templates/b.yaml\nkind: B\n";
        let error = files(&release(&chart, manifest), "charts/dns").unwrap_err();
        assert_eq!(
            error.to_string(),
            "chart dns is made of other charts (redis), which Helm does not keep with a release"
        );
        assert!(files(&release(&chart, "---\nkind: A\n"), "charts/dns").is_ok());
    }

    #[test]
    fn a_chart_is_written_as_it_is_kept() {
        let chart = chart(&[("templates/a.yaml", b"kind: A\n")]);
        let files = files_of(&chart, "charts/dns").unwrap();
        let told: Vec<_> = files.iter().map(|one| (&*one.path, &*one.text)).collect();
        assert_eq!(
            told,
            [
                (
                    "charts/dns/Chart.yaml",
                    "apiVersion: v2\nname: dns\nversion: \"1.2.3\"\n"
                ),
                ("charts/dns/templates/a.yaml", "kind: A\n"),
                ("charts/dns/values.schema.json", "{}"),
                ("charts/dns/values.yaml", "port: 53\n"),
            ]
        );
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let error = |chart: &Chart| {
            files(&release(chart, ""), "charts/dns")
                .unwrap_err()
                .to_string()
        };
        for file in ["../outside", "/etc/passwd", "templates/../../x", ""] {
            let text = error(&chart(&[(file, b"")]));
            assert_eq!(
                text,
                format!("chart dns: {file} would be outside of its folder")
            );
        }
        let binary = chart(&[("templates/a.bin", b"\xff\xfe")]);
        assert_eq!(error(&binary), "chart dns: templates/a.bin is not a text");
        let mut umbrella = chart(&[("templates/a.yaml", b"")]);
        umbrella.definition["dependencies"] = json!([{"name": "redis"}]);
        assert_eq!(
            error(&umbrella),
            "chart dns is made of other charts (redis), which Helm does not keep with a release"
        );
        assert_eq!(
            error(&chart(&[])),
            "chart dns has no templates, so that Helm did not keep it"
        );
    }

    #[test]
    fn charts_of_one_version_may_differ() {
        let one = chart(&[("templates/a.yaml", b"kind: A\n")]);
        let other = chart(&[("templates/a.yaml", b"kind: B\n")]);
        assert!(is_same(&one, &one));
        assert!(!is_same(&one, &other));
    }
}
