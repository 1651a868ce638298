//! AWS, a cluster of EKS, and the cluster that Argo CD runs on.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use gitops_aws::Aws;
use harness::eks::EksCluster;
use harness::programs::Programs;
use harness::{ControlPlane, argo_cd_crds};
use serde_json::{Value, json};

pub(crate) const WORKLOAD: &str = "111122223333";
pub(crate) const ENGINE: &str = "444455556666";
pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const CLUSTER: &str = "orders-production";
pub(crate) const CLUSTER_ROLE: &str = "arn:aws:iam::111122223333:role/argocd";
pub(crate) const ENGINE_ROLE: &str = "arn:aws:iam::444455556666:role/argocd-engine";
pub(crate) const ADMIN: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";

/// AWS with a cluster, and the cluster that Argo CD runs on.
pub(crate) struct World {
    pub(crate) aws: Aws,
    pub(crate) cluster: EksCluster,
    pub(crate) devops: ControlPlane,
    pub(crate) programs: Programs,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let programs = tokio::task::spawn_blocking(Programs::locate).await??;
        let aws = Aws::start().await?;
        let cluster = EksCluster::start(&aws, WORKLOAD, REGION, CLUSTER).await?;
        let devops = ControlPlane::start().await?;
        devops.install_crds(&argo_cd_crds()?).await?;
        let world = Self {
            aws,
            cluster,
            devops,
            programs,
        };
        world
            .apply(&json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"},
            }))
            .await?;
        world
            .apply(&json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": {"name": "orders", "namespace": "argocd"},
                "spec": {
                    "destinations": [{"name": CLUSTER, "namespace": "shop"}],
                    "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
                    "namespaceResourceWhitelist": [{"group": "apps", "kind": "Deployment"}],
                },
            }))
            .await?;
        let root = json!({"AWS": format!("arn:aws:iam::{ENGINE}:root")});
        world
            .aws
            .create_role(ENGINE, "argocd-engine", &trust(&root))
            .await?;
        let allow = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Resource": CLUSTER_ROLE}],
        });
        world
            .aws
            .allow(ENGINE, "argocd-engine", "argocd", &allow)
            .await?;
        let engine = json!({"AWS": ENGINE_ROLE});
        world
            .aws
            .create_role(WORKLOAD, "argocd", &trust(&engine))
            .await?;
        world.create_access_entry().await?;
        world.register(|_| {}).await?;
        Ok(world)
    }

    pub(crate) async fn create_access_entry(&self) -> Result<()> {
        let eks = aws_sdk_eks::Client::new(&self.aws.config(WORKLOAD, REGION));
        let create = eks.create_access_entry().cluster_name(CLUSTER);
        create.principal_arn(CLUSTER_ROLE).send().await?;
        let scope = aws_sdk_eks::types::AccessScope::builder().r#type("cluster".into());
        let associate = eks.associate_access_policy().cluster_name(CLUSTER);
        let associate = associate.principal_arn(CLUSTER_ROLE).policy_arn(ADMIN);
        associate.access_scope(scope.build()).send().await?;
        self.cluster.follow(&self.aws).await
    }

    /// Declares the cluster to Argo CD, with a change to the Secret as it should be.
    pub(crate) async fn register(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut config = json!({
            "awsAuthConfig": {"clusterName": CLUSTER, "roleARN": CLUSTER_ROLE},
            "tlsClientConfig": {"insecure": false, "caData": self.cluster.certificate_authority()?},
        });
        change(&mut config);
        let server = match config
            .as_object_mut()
            .and_then(|config| config.remove("server"))
        {
            Some(server) => server,
            None => json!(self.cluster.control_plane().url()),
        };
        self.apply(&json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "cluster-orders",
                "namespace": "argocd",
                "labels": {"argocd.argoproj.io/secret-type": "cluster"},
            },
            "stringData": {"name": CLUSTER, "server": server, "config": config.to_string()},
        }))
        .await
    }

    pub(crate) async fn apply(&self, object: &Value) -> Result<()> {
        let kubectl = self.devops.admin().kubectl(["apply", "-f", "-"]);
        let applied = kubectl.input(object.to_string()).run().await?;
        ensure!(applied.status.success(), "{}", applied.stderr);
        Ok(())
    }

    /// Runs the plugin as somebody of the account that Argo CD runs in.
    pub(crate) async fn plugin(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(self.programs.plugin());
        command
            .args(arguments)
            .args(["--region", REGION, "-o", "json"])
            .env_clear()
            .envs(self.aws.environment(ENGINE))
            .env("KUBECONFIG", self.devops.admin().kubeconfig())
            .env("NO_PROXY", "127.0.0.1");
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }
}

pub(crate) fn trust(principal: &Value) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": principal,
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }],
    })
}
