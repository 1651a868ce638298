//! Renders a kustomization as Argo CD does.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use serde_json::Value;

use super::Request;
use super::environment::BuildEnvironment;
use super::helm::{self, HelmError};
use super::program::{self, Program, ProgramError};
use super::source::{KUSTOMIZATIONS, Kustomize};

/// A kustomization cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KustomizeError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("the checkout cannot be copied, which its options need")]
    Copy(#[source] io::Error),
    #[error("the folder has no kustomization.yaml to add spec.source.kustomize.patches to")]
    NoKustomization,
    #[error("{}: it is not a kustomization", file.display())]
    NotOne {
        file: PathBuf,
        #[source]
        source: Option<golang::yaml::Error>,
    },
    #[error("spec.source.kustomize.replicas: {0} is not a number of replicas")]
    Replicas(Value),
    #[error(transparent)]
    Version(#[from] HelmError),
}

/// Renders a kustomization with the options that the source adds to it (Argo CD 3.6,
/// `kustomize.Build`). Those are written into the kustomization, so that happens in a copy of the
/// checkout.
pub(super) async fn build(
    request: &Request<'_>,
    environment: &BuildEnvironment,
    scratch: &Path,
) -> Result<String, KustomizeError> {
    let default = Kustomize::default();
    let options = request.source.kustomize.as_ref().unwrap_or(&default);
    let edits = edits(options, environment, request.checkouts.folder)?;
    let (top, folder);
    if edits.is_empty() && options.patches.is_empty() {
        top = request.checkouts.top.to_owned();
        folder = request.checkouts.folder.to_owned();
    } else {
        top = scratch.join("checkout");
        copy(request.checkouts.top, &top).map_err(KustomizeError::Copy)?;
        let below = request.checkouts.folder.strip_prefix(request.checkouts.top);
        folder = top.join(below.unwrap_or(Path::new("")));
    }
    for edit in &edits {
        let arguments: Vec<OsString> = edit.iter().map(OsString::from).collect();
        program::run(
            Program::Kustomize,
            &arguments,
            &folder,
            scratch,
            environment,
        )
        .await?;
    }
    add_patches(&folder, &options.patches)?;
    let arguments = build_arguments(request, options, &folder)?;
    let run = program::run(Program::Kustomize, &arguments, &top, scratch, environment);
    Ok(run.await?)
}

/// The commands that write options into the kustomization, in Argo CD's order.
fn edits(
    options: &Kustomize,
    environment: &BuildEnvironment,
    folder: &Path,
) -> Result<Vec<Vec<String>>, KustomizeError> {
    let mut edits = Vec::new();
    let mut add = |command: &[&str], arguments: Vec<String>| {
        let words = ["edit"]
            .iter()
            .chain(command)
            .map(|word| (*word).to_owned());
        edits.push(words.chain(arguments).collect());
    };
    for (what, text) in [
        ("nameprefix", &options.name_prefix),
        ("namesuffix", &options.name_suffix),
    ] {
        if !text.is_empty() {
            add(&["set", what, "--"], vec![text.clone()]);
        }
    }
    if !options.images.is_empty() {
        let images = options.images.iter();
        let images = images.map(|image| environment.substitute(image));
        add(&["set", "image"], images.collect());
    }
    if !options.replicas.is_empty() {
        let replicas = options.replicas.iter().map(|one| {
            let count = count(&one.count)?;
            Ok(format!("{}={count}", one.name))
        });
        let replicas = replicas.collect::<Result<_, KustomizeError>>()?;
        add(&["set", "replicas"], replicas);
    }
    if !options.common_labels.is_empty() {
        let flags = [
            ("--force", options.force_common_labels),
            ("--without-selector", options.label_without_selector),
            ("--include-templates", options.label_include_templates),
        ];
        let flags = flags.into_iter().filter(|(_, is_set)| *is_set);
        let labels = options
            .common_labels
            .iter()
            .map(|(name, value)| format!("{name}:{}", environment.substitute(value)));
        let arguments = flags.map(|(flag, _)| flag.to_owned()).chain(labels);
        add(&["add", "label"], arguments.collect());
    }
    if !options.common_annotations.is_empty() {
        let force = options
            .force_common_annotations
            .then(|| "--force".to_owned());
        let annotations = options.common_annotations.iter().map(|(name, value)| {
            if options.common_annotations_envsubst {
                format!("{name}:{}", environment.substitute(value))
            } else {
                format!("{name}:{value}")
            }
        });
        add(
            &["add", "annotation"],
            force.into_iter().chain(annotations).collect(),
        );
    }
    if !options.namespace.is_empty() {
        add(&["set", "namespace", "--"], vec![options.namespace.clone()]);
    }
    let components = options.components.iter().filter(|component| {
        !options.ignore_missing_components || is_kustomization(&folder.join(component))
    });
    let components: Vec<_> = components.cloned().collect();
    if !components.is_empty() {
        add(&["add", "component"], components);
    }
    Ok(edits)
}

fn is_kustomization(folder: &Path) -> bool {
    kustomization_in(folder).is_some()
}

fn kustomization_in(folder: &Path) -> Option<PathBuf> {
    let files = KUSTOMIZATIONS.iter().map(|name| folder.join(name));
    files.into_iter().find(|file| file.is_file())
}

/// A number, or a text that is one (`KustomizeReplica.GetIntCount`).
fn count(count: &Value) -> Result<i64, KustomizeError> {
    let number = match count {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Null => Some(0),
        _ => None,
    };
    number.ok_or_else(|| KustomizeError::Replicas(count.clone()))
}

/// Adds patches to those of the kustomization, which `kustomize edit` has no command for that takes
/// them as they are.
fn add_patches(folder: &Path, patches: &[Value]) -> Result<(), KustomizeError> {
    if patches.is_empty() {
        return Ok(());
    }
    let file = kustomization_in(folder).ok_or(KustomizeError::NoKustomization)?;
    let text = fs::read_to_string(&file).map_err(KustomizeError::Copy)?;
    let not_one = |source| KustomizeError::NotOne {
        file: file.clone(),
        source,
    };
    let mut kustomization = golang::yaml::value(&text).map_err(|error| not_one(Some(error)))?;
    let fields = kustomization.as_object_mut().ok_or_else(|| not_one(None))?;
    let own = fields
        .entry("patches")
        .or_insert_with(|| Value::Array(Vec::new()));
    let own = own.as_array_mut().ok_or_else(|| not_one(None))?;
    own.extend_from_slice(patches);
    fs::write(&file, kustomization.to_string()).map_err(KustomizeError::Copy)
}

/// `kustomize build` with the options of `argocd-cm` (`kustomize.buildOptions`), and what charts in
/// it are to be rendered for (`parseKustomizeBuildOptions`).
fn build_arguments(
    request: &Request<'_>,
    options: &Kustomize,
    folder: &Path,
) -> Result<Vec<OsString>, KustomizeError> {
    let mut arguments = vec![OsString::from("build"), folder.into()];
    let build_options = request.kustomize_build_options;
    arguments.extend(build_options.split_whitespace().map(OsString::from));
    if !build_options.contains("--enable-helm") {
        return Ok(arguments);
    }
    let live = request.capabilities;
    let version = if options.kube_version.is_empty() {
        &live.kube_version
    } else {
        &options.kube_version
    };
    if !version.is_empty() {
        arguments.push("--helm-kube-version".into());
        arguments.push(helm::kube_version(version)?.into());
    }
    let own = &options.api_versions;
    for version in if own.is_empty() {
        &live.api_versions
    } else {
        own
    } {
        arguments.push("--helm-api-versions".into());
        arguments.push(version.into());
    }
    Ok(arguments)
}

/// Copies a checkout without Git's own folder. Links stay links, which Kustomize follows where they
/// stay in the checkout.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let is_content = |entry: &ignore::DirEntry| entry.file_name() != ".git";
    let walk = WalkBuilder::new(from)
        .standard_filters(false)
        .filter_entry(is_content)
        .build();
    for entry in walk {
        let entry = entry.map_err(io::Error::other)?;
        let below = entry.path().strip_prefix(from).map_err(io::Error::other)?;
        let target = to.join(below);
        match entry.file_type() {
            Some(kind) if kind.is_dir() => fs::create_dir_all(&target)?,
            Some(kind) if kind.is_symlink() => link(&fs::read_link(entry.path())?, &target)?,
            Some(kind) if kind.is_file() => {
                fs::copy(entry.path(), &target)?;
            }
            // Kustomize reads no sockets and pipes.
            _ => {}
        }
    }
    Ok(())
}

#[cfg(unix)]
fn link(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn link(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::json;

    use super::super::environment::EnvironmentFacts;
    use super::*;

    fn commands(options: Value) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("debug")).unwrap();
        fs::write(folder.path().join("debug/kustomization.yml"), "").unwrap();
        let options = Kustomize::deserialize(options).unwrap();
        let environment = BuildEnvironment::new(EnvironmentFacts {
            instance_name: "orders",
            namespace: "shop",
            project: "shop",
            revision: "0123456789",
            repository: "r",
            path: "overlays/prod",
            target_revision: "main",
        });
        let edits = edits(&options, &environment, folder.path());
        let edits = edits.map_err(|error| error.to_string())?;
        Ok(edits.iter().map(|words| words.join(" ")).collect())
    }

    #[test]
    fn options_are_edits_in_argo_cds_order() {
        let edits = commands(json!({
            "components": ["debug", "absent"], "ignoreMissingComponents": true,
            "namespace": "shop", "namePrefix": "a-", "nameSuffix": "-z",
            "images": ["orders=registry/orders:$ARGOCD_APP_REVISION_SHORT"],
            "replicas": [{"name": "orders", "count": 3}, {"name": "cart", "count": "2"}],
            "commonLabels": {"app": "$ARGOCD_APP_NAME"}, "labelWithoutSelector": true,
            "commonAnnotations": {"app": "$ARGOCD_APP_NAME"}, "forceCommonAnnotations": true,
        }))
        .unwrap();
        assert_eq!(
            edits,
            [
                "edit set nameprefix -- a-",
                "edit set namesuffix -- -z",
                "edit set image orders=registry/orders:0123456",
                "edit set replicas orders=3 cart=2",
                "edit add label --without-selector app:orders",
                "edit add annotation --force app:$ARGOCD_APP_NAME",
                "edit set namespace -- shop",
                "edit add component debug",
            ]
        );
        let edits = commands(json!({
            "commonAnnotations": {"app": "$ARGOCD_APP_NAME"}, "commonAnnotationsEnvsubst": true,
            "components": ["absent"],
        }));
        let expected = [
            "edit add annotation app:orders",
            "edit add component absent",
        ];
        assert_eq!(edits.unwrap(), expected);
    }

    #[test]
    fn what_is_no_number_of_replicas_is_told() {
        let error = commands(json!({"replicas": [{"name": "orders", "count": "many"}]}));
        assert_eq!(
            error.unwrap_err(),
            "spec.source.kustomize.replicas: \"many\" is not a number of replicas"
        );
    }

    #[test]
    fn patches_are_added_to_those_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kustomization.yaml");
        fs::write(&file, "patches: [{path: a.yaml}]\nresources: [b.yaml]\n").unwrap();

        add_patches(folder.path(), &[json!({"patch": "x"})]).unwrap();

        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            golang::yaml::value(&text).unwrap(),
            json!({"patches": [{"path": "a.yaml"}, {"patch": "x"}], "resources": ["b.yaml"]})
        );
        fs::write(&file, "patches: {}\n").unwrap();
        let error = add_patches(folder.path(), &[json!({"patch": "x"})]).unwrap_err();
        assert!(
            error.to_string().ends_with("it is not a kustomization"),
            "{error}"
        );
    }

    #[test]
    fn a_copy_has_all_but_gits_own() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [".git", ".hidden", "base"] {
            fs::create_dir(from.path().join(folder)).unwrap();
            fs::write(from.path().join(folder).join("file"), folder).unwrap();
        }
        link(Path::new("base/file"), &from.path().join("link")).unwrap();
        let to = to.path().join("checkout");

        copy(from.path(), &to).unwrap();

        assert!(!to.join(".git").exists());
        assert_eq!(
            fs::read_to_string(to.join(".hidden/file")).unwrap(),
            ".hidden"
        );
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("base/file")
        );
    }
}
