//! The manifests of a source, generated from a checkout as Argo CD's repository server does.
//!
//! ```text
//!   source (with what its folder overrides) ──> helm ──────┐
//!   what its cluster is ──────────────────────> kustomize ─┼──> objects
//!   value files, of this and other checkouts ─> directory ─┘
//! ```
//!
//! Helm and Kustomize are those of the PATH. Nothing is fetched for a chart: its dependencies must
//! be in its folder, where [`dependencies`] puts them for who asks. The user's checkout is not
//! written to.

pub(crate) mod dependencies;
mod directory;
mod environment;
mod helm;
mod kustomize;
mod objects;
mod program;
mod source;
mod value_files;

use std::path::Path;

use serde_json::Value;

use self::environment::{BuildEnvironment, EnvironmentFacts};
use self::program::{Program, ProgramError};
pub(crate) use self::source::{Source, SourceError, Tool};
pub(crate) use self::value_files::Checkouts;
use crate::temporary;

/// What is rendered, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) application: ApplicationFacts<'a>,
    pub(crate) source: &'a Source,
    /// The namespace of the destination.
    pub(crate) namespace: &'a str,
    /// The commit of the checkout.
    pub(crate) revision: &'a str,
    pub(crate) checkouts: Checkouts<'a>,
    pub(crate) capabilities: &'a Capabilities,
    /// `kustomize.buildOptions` of `argocd-cm`.
    pub(crate) kustomize_build_options: &'a str,
}

/// Of which Application a source is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplicationFacts<'a> {
    pub(crate) name: &'a str,
    /// Its name, with its namespace and an underscore before it where that is not the control
    /// plane's.
    pub(crate) instance_name: &'a str,
    pub(crate) project: &'a str,
}

/// What charts may ask of the cluster that they are rendered for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Capabilities {
    /// Its version of Kubernetes.
    pub(crate) kube_version: String,
    /// `GROUP/VERSION` and `GROUP/VERSION/KIND` of all that it has.
    pub(crate) api_versions: Vec<String>,
}

/// A source cannot be rendered here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerationError {
    #[error("the folder {0:?} is not in the checkout")]
    NoFolder(String),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("it is a chart of a repository of charts, which is not fetched here")]
    ChartOfARepository,
    #[error("a config management plugin renders it, which only Argo CD has")]
    Plugin,
    #[error(
        "the chart's dependencies are not in its folder, and they are not fetched here: run \
         helm dependency build in it"
    )]
    MissingDependencies,
    #[error(transparent)]
    Helm(#[from] helm::HelmError),
    #[error(transparent)]
    Kustomize(#[from] kustomize::KustomizeError),
    #[error(transparent)]
    Directory(#[from] directory::DirectoryError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("what {program} printed is not all objects")]
    Objects {
        program: &'static str,
        #[source]
        source: objects::ObjectError,
    },
    #[error("no folder for temporary files can be made")]
    Scratch(#[source] std::io::Error),
}

impl Request<'_> {
    fn environment(&self) -> BuildEnvironment {
        BuildEnvironment::new(EnvironmentFacts {
            instance_name: self.application.instance_name,
            namespace: self.namespace,
            project: self.application.project,
            revision: self.revision,
            repository: &self.source.repo_url,
            path: &self.source.path,
            target_revision: &self.source.target_revision,
        })
    }
}

/// Renders a source (Argo CD 3.6, `GenerateManifests`), without the marks by which Argo CD tracks
/// what it has deployed.
///
/// # Errors
/// It cannot be rendered here, or Argo CD could not render it either.
pub(crate) async fn generate(request: &Request<'_>) -> Result<Vec<Value>, GenerationError> {
    if !request.source.chart.is_empty() {
        return Err(GenerationError::ChartOfARepository);
    }
    let folder = request.checkouts.folder;
    if !folder.is_dir() {
        return Err(GenerationError::NoFolder(request.source.path.clone()));
    }
    let found = match request.source.tool(folder)? {
        Tool::Plugin => return Err(GenerationError::Plugin),
        Tool::Directory => {
            let default = source::Directory::default();
            let options = request.source.directory.as_ref().unwrap_or(&default);
            directory::objects(folder, request.checkouts.top, options)?
        }
        tool @ (Tool::Helm | Tool::Kustomize) => rendered(request, tool).await?,
    };
    Ok(objects::flatten(found))
}

async fn rendered(request: &Request<'_>, tool: Tool) -> Result<Vec<Value>, GenerationError> {
    let scratch = temporary::folder("kubectl-gitops-").map_err(GenerationError::Scratch)?;
    let environment = request.environment();
    let (program, text) = if tool == Tool::Kustomize {
        let text = kustomize::build(request, &environment, scratch.path()).await?;
        (Program::Kustomize, text)
    } else {
        let text = template(request, &environment, scratch.path()).await?;
        (Program::Helm, text)
    };
    let found = objects::of(&text).collect::<Result<_, _>>();
    found.map_err(|source| GenerationError::Objects {
        program: program.name(),
        source,
    })
}

async fn template(
    request: &Request<'_>,
    environment: &BuildEnvironment,
    scratch: &Path,
) -> Result<String, GenerationError> {
    let default = source::Helm::default();
    let options = request.source.helm.as_ref().unwrap_or(&default);
    let arguments = helm::arguments(request, options, environment, scratch)?;
    let folder = request.checkouts.folder;
    let run = program::run(Program::Helm, &arguments, folder, scratch, environment);
    match run.await {
        Err(ProgramError::Failed { complaint, .. }) if is_about_dependencies(&complaint) => {
            Err(GenerationError::MissingDependencies)
        }
        outcome => Ok(outcome?),
    }
}

/// What Helm says of a chart whose dependencies are not there (`IsMissingDependencyErr`).
fn is_about_dependencies(complaint: &str) -> bool {
    complaint.contains("found in requirements.yaml, but missing in charts")
        || complaint.contains("found in Chart.yaml, but missing in charts/ directory")
}
