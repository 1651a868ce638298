//! `version`: what runs here, and what runs in the cluster.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::cluster_access::{ApiServer, ClusterArgs, Objects, block_on};
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::facts::live::resource;
use crate::namespaces::NamespaceArgs;
use crate::output::{self, table};

/// Print the version of this program, of the webhook and of Argo CD
///
/// The versions of the webhook and of Argo CD are those of the images that their Deployments name. It
/// needs to list Deployments in the namespaces of both; Argo CD's is that of --argocd-namespace or -n,
/// whatever the context is for. What cannot be read is told, and is no failure.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What runs here and in the cluster of the current context
  kubectl gitops version

  # What runs here, without asking a cluster
  kubectl gitops version --client -o json")]
pub(crate) struct VersionArgs {
    /// Print the version of this program alone
    #[arg(long)]
    client: bool,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: VersionFormat,

    #[command(flatten)]
    namespaces: NamespaceArgs,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// How versions are shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum VersionFormat {
    /// A row for each program
    #[default]
    Table,
    /// The same in JSON
    Json,
    /// The same in YAML
    Yaml,
}

/// What `version` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionReport {
    api_version: &'static str,
    kind: &'static str,
    client: Client,
    /// Null where no cluster was asked, or none could be read.
    webhook: Option<Server>,
    argocd: Option<Server>,
    /// Why the server side is not known, as one sentence each.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Client {
    version: &'static str,
    /// Of the source that it was built from; `unknown` where that was no checkout.
    commit: &'static str,
}

/// A program of the cluster.
#[derive(Serialize)]
struct Server {
    namespace: String,
    /// The tag or digest of the image.
    version: String,
    image: String,
}

const CLIENT: Client = Client {
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("GITOPS_COMMIT"),
};

/// Where the manifests install the webhook.
const WEBHOOK_NAMESPACE: &str = "gitops-webhook";
const WEBHOOK: &str = "app.kubernetes.io/name=gitops-webhook";
/// Argo CD's own manifests and its operator's agree on these labels.
const ARGO_CD_SERVER: &str = "app.kubernetes.io/part-of=argocd,app.kubernetes.io/component=server";

/// Asks and prints.
pub(crate) fn run(args: &VersionArgs) -> Result<ExitStatus, CommandError> {
    let mut report = VersionReport {
        api_version: output::API_VERSION,
        kind: "Version",
        client: CLIENT,
        webhook: None,
        argocd: None,
        problems: Vec::new(),
    };
    if !args.client {
        block_on(async {
            report.ask(args).await;
            Ok(())
        })?;
    }
    let text = match args.output {
        VersionFormat::Table => report.table(),
        VersionFormat::Json => output::to_json(&report)?,
        VersionFormat::Yaml => output::to_yaml(&report)?,
    };
    output::print(&text)?;
    for problem in &report.problems {
        output::warning(problem);
    }
    Ok(ExitStatus::Clean)
}

impl VersionReport {
    async fn ask(&mut self, args: &VersionArgs) {
        let server = match args.cluster.connect().await {
            Ok(server) => server,
            Err(error) => {
                self.problems.push(crate::error::chain(&error));
                return;
            }
        };
        self.webhook = self.find(&server, WEBHOOK_NAMESPACE, WEBHOOK).await;
        self.argocd = self
            .find(&server, args.namespaces.of_deployments(), ARGO_CD_SERVER)
            .await;
    }

    /// The program of the first Deployment with some labels.
    async fn find(&mut self, server: &ApiServer, namespace: &str, labels: &str) -> Option<Server> {
        let deployments = Objects {
            resource: resource("apps", "v1", "Deployment", "deployments"),
            namespace: Some(namespace.to_owned()),
        };
        let image = |json: &str| serde_json::from_str(json).ok().and_then(Deployment::image);
        match server.list(&deployments, Some(labels), image).await {
            Ok(images) => images.into_iter().flatten().next().map(|image| Server {
                namespace: namespace.to_owned(),
                version: version_of(&image).to_owned(),
                image,
            }),
            Err(error) => {
                self.problems.push(crate::error::chain(&error));
                None
            }
        }
    }

    fn table(&self) -> String {
        let server = |program: &str, server: &Option<Server>| match server {
            Some(server) => [
                program.to_owned(),
                server.version.clone(),
                server.image.clone(),
            ],
            None => [program.to_owned(), "<none>".to_owned(), String::new()],
        };
        table::columns(
            ["PROGRAM", "VERSION", "SOURCE"],
            vec![
                [
                    "kubectl-gitops".to_owned(),
                    self.client.version.to_owned(),
                    format!("commit {}", self.client.commit),
                ],
                server("gitops-webhook", &self.webhook),
                server("Argo CD", &self.argocd),
            ],
        )
    }
}

/// As much of a Deployment as is read.
#[derive(Deserialize)]
struct Deployment {
    spec: DeploymentSpec,
}

#[derive(Deserialize)]
struct DeploymentSpec {
    template: PodTemplate,
}

#[derive(Deserialize)]
struct PodTemplate {
    spec: PodSpec,
}

#[derive(Deserialize)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    image: String,
}

impl Deployment {
    fn image(self) -> Option<String> {
        let containers = self.spec.template.spec.containers;
        containers
            .into_iter()
            .next()
            .map(|container| container.image)
    }
}

/// The digest of an image, or its tag, which is `latest` where it names none.
fn version_of(image: &str) -> &str {
    if let Some((_, digest)) = image.split_once('@') {
        return digest;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once(':').map_or("latest", |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_tells_its_version() {
        for (image, version) in [
            ("quay.io/argoproj/argocd:v3.6.1", "v3.6.1"),
            ("localhost:5000/argocd", "latest"),
            ("localhost:5000/argocd:v1@sha256:abc", "sha256:abc"),
        ] {
            assert_eq!(version_of(image), version, "{image}");
        }
    }
}
