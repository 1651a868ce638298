//! Renders a chart as Argo CD does.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Request;
use super::environment::BuildEnvironment;
use super::source::{Helm, Parameter};
use super::value_files::{self, ValueFileError};

/// What `helm template` is to be given cannot be put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelmError {
    #[error("spec.source.helm.valueFiles")]
    ValueFile(#[source] ValueFileError),
    #[error("spec.source.helm.fileParameters: {name}")]
    FileParameter {
        name: String,
        #[source]
        source: ValueFileError,
    },
    #[error("the values of the source cannot be written for Helm")]
    Values(#[source] io::Error),
    #[error("the version of Kubernetes is not one: {0}")]
    KubeVersion(String),
}

/// The arguments of `helm template` in the folder of the chart (Argo CD 3.6, `helmTemplate` and
/// `Cmd.template`). Values of the source are written into a folder that goes with the rendering.
pub(super) fn arguments(
    request: &Request<'_>,
    helm: &Helm,
    environment: &BuildEnvironment,
    scratch: &Path,
) -> Result<Vec<OsString>, HelmError> {
    let mut arguments = Arguments::default();
    arguments.add(["template", "."]);
    let release = nonempty(&helm.release_name).unwrap_or(request.application.name);
    arguments.add(["--name-template", release]);
    let namespace = nonempty(&helm.namespace).unwrap_or(request.namespace);
    if !namespace.is_empty() {
        arguments.add(["--namespace", namespace]);
    }
    let version = nonempty(&helm.kube_version).unwrap_or(&request.capabilities.kube_version);
    if !version.is_empty() {
        arguments.add(["--kube-version", &kube_version(version)?]);
    }
    for (flag, forced) in [("--set", false), ("--set-string", true)] {
        for (name, value) in last_of_each(&helm.parameters, forced) {
            let value = escape_commas(&environment.substitute(value));
            arguments.add([flag, &format!("{name}={value}")]);
        }
    }
    for parameter in &helm.file_parameters {
        let file = value_files::resolve_one(&parameter.path, request.checkouts, environment);
        let file = file.map_err(|source| HelmError::FileParameter {
            name: parameter.name.clone(),
            source,
        })?;
        let path = escape_commas(&file.path.to_string_lossy());
        arguments.add(["--set-file", &format!("{}={path}", parameter.name)]);
    }
    let files = value_files::resolve(
        &helm.value_files,
        helm.ignore_missing_value_files,
        request.checkouts,
        environment,
    );
    for file in files.map_err(HelmError::ValueFile)? {
        arguments.add([OsString::from("--values"), file.into_os_string()]);
    }
    if let Some(file) = own_values(helm, scratch).map_err(HelmError::Values)? {
        arguments.add([OsString::from("--values"), file.into_os_string()]);
    }
    let own = &helm.api_versions;
    let live = &request.capabilities.api_versions;
    for version in if own.is_empty() { live } else { own } {
        arguments.add(["--api-versions", version]);
    }
    for (flag, is_set) in [
        ("--include-crds", !helm.skip_crds),
        ("--skip-schema-validation", helm.skip_schema_validation),
        ("--skip-tests", helm.skip_tests),
    ] {
        if is_set {
            arguments.add([flag]);
        }
    }
    Ok(arguments.0)
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<const N: usize, T: Into<OsString>>(&mut self, arguments: [T; N]) {
        self.0.extend(arguments.map(Into::into));
    }
}

fn nonempty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Parameters by name, of which the last of equal names counts. Argo CD gives them to Helm in no
/// order at all, so of two that overlap either may win there; here they are in order of names.
fn last_of_each(parameters: &[Parameter], forced: bool) -> impl Iterator<Item = (&str, &str)> {
    let chosen = parameters
        .iter()
        .filter(move |one| one.force_string == forced);
    let by_name = chosen.map(|one| (one.name.as_str(), one.value.as_str()));
    by_name
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_iter()
}

/// A value of which Helm makes no list where there are commas, unless it is written as a list
/// (`cleanSetParameters`).
fn escape_commas(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    let mut escaped = String::with_capacity(value.len());
    let mut before = None;
    for c in value.chars() {
        if c == ',' && before != Some('\\') {
            escaped.push('\\');
        }
        escaped.push(c);
        before = Some(c);
    }
    escaped
}

/// The file with the values of the source itself: `valuesObject`, or else `values`.
fn own_values(helm: &Helm, scratch: &Path) -> io::Result<Option<PathBuf>> {
    let text = match &helm.values_object {
        Some(object) => object.to_string(),
        None if helm.values.is_empty() => return Ok(None),
        None => helm.values.clone(),
    };
    let file = scratch.join("values.yaml");
    fs::write(&file, text)?;
    Ok(Some(file))
}

/// A version as Argo CD gives it to Helm (`parseKubeVersion`, Kubernetes' `ParseGeneric`): two
/// numbers or more, without what follows them.
pub(super) fn kube_version(version: &str) -> Result<String, HelmError> {
    let wrong = || HelmError::KubeVersion(version.to_owned());
    let text = version.trim_start();
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut numbers: Vec<u64> = Vec::new();
    for part in text.split('.') {
        let digits = part.split(|c: char| !c.is_ascii_digit()).next();
        let digits = digits.unwrap_or_default();
        if digits.is_empty() {
            break;
        }
        if numbers.is_empty() && digits.len() > 1 && digits.starts_with('0') {
            return Err(wrong());
        }
        numbers.push(digits.parse().map_err(|_| wrong())?);
        if digits.len() < part.len() {
            break;
        }
    }
    if numbers.len() < 2 {
        return Err(wrong());
    }
    let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
    Ok(numbers.join("."))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::source::Source;
    use super::super::{ApplicationFacts, Capabilities};
    use super::*;
    use crate::manifest_generation::value_files::Checkouts;

    /// The arguments for a source, in a checkout with the files that tests use.
    fn told(helm: &serde_json::Value) -> Result<Vec<String>, String> {
        let top = tempfile::tempdir().unwrap();
        let shared = tempfile::tempdir().unwrap();
        let folder = top.path().join("charts/orders");
        fs::create_dir_all(folder.join("overrides")).unwrap();
        for file in ["a.yaml", "b.yaml", "overrides/c.yaml"] {
            fs::write(folder.join(file), "").unwrap();
        }
        fs::write(top.path().join("shared.yaml"), "").unwrap();
        fs::write(shared.path().join("prod.yaml"), "").unwrap();
        let source = json!({"repoURL": "r", "path": "charts/orders", "helm": helm});
        let source = Source::read(&source, &folder, "orders").unwrap();
        let references = BTreeMap::from([
            ("$values".to_owned(), Some(shared.path().to_owned())),
            ("$away".to_owned(), None),
        ]);
        let capabilities = Capabilities {
            kube_version: "v1.33.2-eks-1234".to_owned(),
            api_versions: vec!["v1".to_owned(), "apps/v1".to_owned()],
        };
        let request = Request {
            application: ApplicationFacts {
                name: "orders",
                instance_name: "orders",
                project: "shop",
            },
            source: &source,
            namespace: "shop",
            revision: "0123456789",
            checkouts: Checkouts {
                folder: &folder,
                top: top.path(),
                references: &references,
            },
            capabilities: &capabilities,
            kustomize_build_options: "",
        };
        let environment = request.environment();
        let options = source.helm.as_ref().unwrap();
        let arguments = arguments(&request, options, &environment, Path::new("/nowhere"));
        let arguments = arguments.map_err(|error| crate::error::chain(&error))?;
        let short = |text: std::borrow::Cow<'_, str>| {
            text.replace(&*folder.to_string_lossy(), "CHART")
                .replace(&*top.path().to_string_lossy(), "TOP")
                .replace(&*shared.path().to_string_lossy(), "SHARED")
        };
        Ok(arguments
            .iter()
            .map(|argument| short(argument.to_string_lossy()))
            .collect())
    }

    /// The values of a flag, in order.
    fn of(flag: &str, arguments: &[String]) -> Vec<String> {
        let pairs = arguments.windows(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].clone()).collect()
    }

    #[test]
    fn a_chart_without_options_is_rendered_with_its_crds_for_its_cluster() {
        let arguments = told(&json!({})).unwrap();
        assert_eq!(
            arguments.join(" "),
            "template . --name-template orders --namespace shop --kube-version 1.33.2 \
             --api-versions v1 --api-versions apps/v1 --include-crds"
        );
    }

    #[test]
    fn the_source_may_say_all_of_that_itself() {
        let arguments = told(&json!({
            "releaseName": "old", "namespace": "other", "kubeVersion": "1.30",
            "apiVersions": ["monitoring.coreos.com/v1"], "skipCrds": true, "skipTests": true,
            "skipSchemaValidation": true,
        }))
        .unwrap();
        assert_eq!(
            arguments.join(" "),
            "template . --name-template old --namespace other --kube-version 1.30 \
             --api-versions monitoring.coreos.com/v1 --skip-schema-validation --skip-tests"
        );
    }

    #[test]
    fn value_files_stand_in_order_and_patterns_leave_out_what_is_named() {
        let arguments = told(&json!({"valueFiles": [
            "*.yaml", "a.yaml", "/shared.yaml", "$values/prod.yaml", "overrides/$ARGOCD_APP_NAME.yaml",
            "overrides/**/*.yaml", "missing.yaml",
        ]}))
        .unwrap();
        assert_eq!(
            of("--values", &arguments),
            [
                "CHART/b.yaml",
                "CHART/a.yaml",
                "TOP/shared.yaml",
                "SHARED/prod.yaml",
                "CHART/overrides/orders.yaml",
                "CHART/overrides/c.yaml",
                "CHART/missing.yaml",
            ]
        );
        let arguments = told(&json!({
            "valueFiles": ["none-*.yaml", "missing.yaml", "a.yaml", "a.yaml"],
            "ignoreMissingValueFiles": true,
        }))
        .unwrap();
        assert_eq!(of("--values", &arguments), ["CHART/a.yaml"]);
    }

    #[test]
    fn value_files_stay_in_their_checkout() {
        for (file, expected) in [
            ("../../../etc/passwd", "it is outside of the repository"),
            ("$values/../x", "it is outside of the repository"),
            (
                "https://example.com/x.yaml",
                "it would be fetched from a network",
            ),
            ("none-*.yaml", "no file matches"),
            ("/", "it means the repository as a whole"),
            ("$other/x.yaml", "no source of the Application has this ref"),
            (
                "$away/x.yaml",
                "the repository of this ref is not checked out here",
            ),
        ] {
            let error = told(&json!({"valueFiles": [file]})).unwrap_err();
            assert!(error.contains(expected), "{file}: {error}");
            assert!(
                error.starts_with("spec.source.helm.valueFiles: "),
                "{error}"
            );
            if !file.contains('*') {
                let parameters = json!({"fileParameters": [{"name": "x", "path": file}]});
                let error = told(&parameters).unwrap_err();
                assert!(error.contains(expected), "{file}: {error}");
            }
        }
    }

    #[test]
    fn parameters_are_substituted_escaped_and_taken_once() {
        let arguments = told(&json!({"parameters": [
            {"name": "b", "value": "1"},
            {"name": "a", "value": "x,y\\,z"},
            {"name": "list", "value": "{a,b}"},
            {"name": "b", "value": "$ARGOCD_APP_NAME"},
            {"name": "tag", "value": "1.0", "forceString": true},
        ], "fileParameters": [{"name": "c", "path": "a.yaml"}]}))
        .unwrap();
        assert_eq!(
            of("--set", &arguments),
            ["a=x\\,y\\,z", "b=orders", "list={a,b}"]
        );
        assert_eq!(of("--set-string", &arguments), ["tag=1.0"]);
        assert_eq!(of("--set-file", &arguments), ["c=CHART/a.yaml"]);
    }

    #[test]
    fn versions_of_kubernetes_are_numbers() {
        let of = |version| kube_version(version).map_err(|error| error.to_string());
        assert_eq!(of("v1.33.2-eks-1+x"), Ok("1.33.2".to_owned()));
        assert_eq!(of("1.08"), Ok("1.8".to_owned()));
        assert_eq!(of(" v1.2.3.4"), Ok("1.2.3.4".to_owned()));
        assert_eq!(of("1.33+"), Ok("1.33".to_owned()));
        for wrong in ["", "1", "x", "v", "01.2", "1..2", "1.99999999999999999999"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
