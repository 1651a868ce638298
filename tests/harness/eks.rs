//! A cluster that one logs in to as to one of EKS.
//!
//! A real kube-apiserver asks the real `aws-iam-authenticator` who somebody is, which asks STS of [`Aws`]: a token is
//! accepted there if it would be by EKS. What is not real: which role is which user comes from a file, where EKS goes
//! by access entries ([`EksCluster::follow`] writes that file from the access entries of [`Aws`]), and rights are
//! RBAC's, as access policies are known to EKS alone.

mod authenticator;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gitops_aws::Aws;
use serde_json::json;
use tempfile::TempDir;

pub use self::authenticator::authenticator;
use self::authenticator::{Authenticator, MappedRole};
use crate::control_plane::ControlPlane;
use crate::installation::succeed;

/// The access policy that lets somebody do everything.
const CLUSTER_ADMIN: &str = "AmazonEKSClusterAdminPolicy";
/// The group by which it is had here.
const CLUSTER_ADMINS: &str = "access-policy:cluster-admin";
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// A real API server with the real authenticator, and the cluster of EKS that it is.
pub struct EksCluster {
    control_plane: ControlPlane,
    authenticator: Authenticator,
    account: String,
    region: String,
    name: String,
    folder: TempDir,
}

impl EksCluster {
    /// Starts it, and creates it in EKS. Nobody of AWS may log in yet.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(aws: &Aws, account: &str, region: &str, name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("eks-").tempdir()?;
        let authenticator = Authenticator::start(aws, name, region, folder.path()).await?;
        let webhook = authenticator.webhook();
        let control_plane = ControlPlane::start_with_token_webhook(&webhook).await?;
        let bind = [
            "create",
            "clusterrolebinding",
            "access-policy-cluster-admin",
        ];
        let to = [
            "--clusterrole=cluster-admin".to_owned(),
            format!("--group={CLUSTER_ADMINS}"),
        ];
        succeed(control_plane.admin().kubectl(bind).arguments(&to)).await?;
        aws.create_cluster(account, region, name, "API").await?;
        let fields = json!({
            "endpoint": control_plane.url(),
            "certificateAuthority": {"data": certificate_authority(&control_plane)?},
        });
        aws.describe(account, region, name, &fields)?;
        Ok(Self {
            control_plane,
            authenticator,
            account: account.to_owned(),
            region: region.to_owned(),
            name: name.to_owned(),
            folder,
        })
    }

    /// Its API server.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The files of the authenticator. Those of the API server are in [`ControlPlane::folder`].
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Base64 of the certificate of its authority, as EKS tells it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate_authority(&self) -> Result<String> {
        certificate_authority(&self.control_plane)
    }

    /// Does something, and meanwhile lets those in who get an access entry, as EKS does by itself.
    ///
    /// # Errors
    /// EKS does not answer.
    pub async fn following<T>(&self, aws: &Aws, work: impl Future<Output = T>) -> Result<T> {
        let follow = async {
            loop {
                self.follow(aws).await?;
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        tokio::select! {
            done = work => Ok(done),
            failed = follow => failed,
        }
    }

    /// Lets those in who have an access entry in EKS, and no others.
    ///
    /// # Errors
    /// EKS does not answer.
    pub async fn follow(&self, aws: &Aws) -> Result<()> {
        let eks = aws_sdk_eks::Client::new(&aws.config(&self.account, &self.region));
        let list = eks
            .list_access_entries()
            .cluster_name(&self.name)
            .send()
            .await?;
        let mut roles = Vec::new();
        for principal in list.access_entries.unwrap_or_default() {
            let ask = eks.describe_access_entry().cluster_name(&self.name);
            let entry = ask.principal_arn(&principal).send().await?.access_entry;
            let entry = entry.context("an access entry is gone")?;
            let mut groups = entry.kubernetes_groups.unwrap_or_default();
            let ask = eks
                .list_associated_access_policies()
                .cluster_name(&self.name);
            let policies = ask.principal_arn(&principal).send().await?;
            let policies = policies.associated_access_policies.unwrap_or_default();
            if policies.iter().any(|policy| {
                policy
                    .policy_arn()
                    .is_some_and(|arn| arn.ends_with(CLUSTER_ADMIN))
            }) {
                groups.push(CLUSTER_ADMINS.to_owned());
            }
            roles.push(MappedRole {
                username: entry.username.unwrap_or_else(|| principal.clone()),
                arn: without_path(&principal),
                groups,
            });
        }
        self.authenticator.map(&roles)
    }
}

/// A role as the authenticator knows it. EKS goes by the whole ARN; a session that logs in has no
/// path in its own, and the authenticator knows nothing else.
fn without_path(arn: &str) -> String {
    match (arn.split_once(":role/"), arn.rsplit_once('/')) {
        (Some((account, _)), Some((_, name))) => format!("{account}:role/{name}"),
        _ => arn.to_owned(),
    }
}

fn certificate_authority(control_plane: &ControlPlane) -> Result<String> {
    let text = std::fs::read_to_string(control_plane.admin().kubeconfig())?;
    let kubeconfig: serde_json::Value = serde_json::from_str(&text)?;
    let cluster = &kubeconfig["clusters"][0]["cluster"];
    let authority = cluster["certificate-authority-data"].as_str();
    Ok(authority
        .context("the kubeconfig has no certificate authority")?
        .to_owned())
}
