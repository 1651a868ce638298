//! What runs here, and what runs in the cluster.

use serde::Deserialize;

use crate::error::chain;
use crate::kubernetes::{ApiServer, Objects, resource};

/// The version of this program.
pub(crate) const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit of the source that it was built from; `unknown` where that was not a checkout.
pub(crate) const CLIENT_COMMIT: &str = env!("GITOPS_COMMIT");

/// Where the manifests install the webhook.
const WEBHOOK_NAMESPACE: &str = "gitops-webhook";
const WEBHOOK: &str = "app.kubernetes.io/name=gitops-webhook";
/// Argo CD's own manifests and its operator's agree on these labels.
const ARGO_CD_SERVER: &str = "app.kubernetes.io/part-of=argocd,app.kubernetes.io/component=server";

/// What runs in the cluster.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    /// None where no cluster was asked, or none could be read.
    pub(crate) webhook: Option<Program>,
    pub(crate) argocd: Option<Program>,
    /// Why that is not known, as one sentence each.
    pub(crate) problems: Vec<String>,
}

/// A program of the cluster.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) namespace: String,
    pub(crate) image: String,
}

impl Versions {
    /// Reads what the Deployments name. Those of Argo CD are in a namespace of their own.
    pub(crate) async fn of_cluster(server: &ApiServer, argocd_namespace: &str) -> Self {
        let mut versions = Versions::default();
        versions.webhook = versions.find(server, WEBHOOK_NAMESPACE, WEBHOOK).await;
        versions.argocd = versions
            .find(server, argocd_namespace, ARGO_CD_SERVER)
            .await;
        versions
    }

    /// Argo CD alone; None where that is not known.
    pub(crate) async fn argo_cd(server: &ApiServer, namespace: &str) -> Option<Program> {
        let mut versions = Versions::default();
        versions.find(server, namespace, ARGO_CD_SERVER).await
    }

    /// The program of the first Deployment with some labels.
    async fn find(&mut self, server: &ApiServer, namespace: &str, labels: &str) -> Option<Program> {
        let deployments = Objects {
            resource: resource("apps", "v1", "Deployment", "deployments"),
            namespace: Some(namespace.to_owned()),
        };
        let image = |json: &str| serde_json::from_str(json).ok().and_then(Deployment::image);
        match server.list(&deployments, Some(labels), image).await {
            Ok(images) => images.into_iter().flatten().next().map(|image| Program {
                namespace: namespace.to_owned(),
                image,
            }),
            Err(error) => {
                self.problems.push(chain(&error));
                None
            }
        }
    }
}

impl Program {
    /// The digest of the image, or its tag, which is `latest` where it names none.
    pub(crate) fn version(&self) -> &str {
        version_of(&self.image)
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
