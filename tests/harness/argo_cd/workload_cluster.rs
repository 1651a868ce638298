//! A cluster that Argo CD deploys to.

use anyhow::{Context, Result};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::argo_cd::component::Component;
use crate::argo_cd::controller_manager::ControllerManager;
use crate::argo_cd::kubelet::Kubelet;
use crate::argo_cd::programs::Programs;
use crate::control_plane::{ControlPlane, User};
use crate::installation::succeed;

const CONTROLLERS: [&str; 6] = [
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "horizontal-pod-autoscaler-controller",
    "garbage-collector-controller",
    "namespace-controller",
];

/// A cluster with Deployments, `ReplicaSet`s, `StatefulSet`s, autoscalers and garbage collection, whose Pods are
/// ready though nothing runs.
pub struct WorkloadCluster {
    /// Before the control plane, which ends after them.
    _kubelet: Kubelet,
    controller_manager: ControllerManager,
    control_plane: ControlPlane,
    name: &'static str,
    /// As whom Argo CD deploys.
    manager: User,
}

impl WorkloadCluster {
    /// Starts it. The name is that of its environment, too.
    pub(crate) async fn start(name: &'static str, programs: &Programs) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        let manager = log_in_manager(&control_plane).await?;
        let admin = control_plane.admin();
        let bind = [
            "create",
            "clusterrolebinding",
            "argocd-manager",
            "--clusterrole=cluster-admin",
        ];
        let subject = ["--serviceaccount=kube-system:argocd-manager"];
        succeed(admin.kubectl(bind).arguments(subject)).await?;
        Ok(Self {
            _kubelet: Kubelet::start(admin.clone())?,
            controller_manager: ControllerManager::start(&control_plane, programs, &CONTROLLERS)?,
            control_plane,
            name,
            manager,
        })
    }

    /// How Argo CD knows it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its API server.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    pub(crate) fn component(&self) -> &Component {
        self.controller_manager.component()
    }

    /// The Secret that declares it to Argo CD: with a role of AWS and without a credential, as our
    /// rules want it.
    pub(crate) fn secret(&self) -> Result<Value> {
        let config = json!({
            "awsAuthConfig": {"clusterName": self.name, "roleARN": "arn:aws:iam::111122223333:role/argocd"},
            "tlsClientConfig": {"insecure": false, "caData": self.certificate_authority()?},
        });
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": format!("cluster-{}", self.name),
                "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": self.name},
            },
            "stringData": {
                "name": self.name,
                "server": self.control_plane.url(),
                "config": config.to_string(),
            },
        }))
    }

    /// What a credential plugin answers for this cluster.
    pub(crate) fn credential(&self) -> Result<Value> {
        Ok(json!({
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "kind": "ExecCredential",
            "status": {"token": token(&self.manager)?},
        }))
    }

    /// The `config` of a Secret that declares it with a bearer token, as our rules do not want it.
    /// Each time it is another token, and all are valid.
    pub async fn config_with_token(&self) -> Result<String> {
        let manager = log_in_manager(&self.control_plane).await?;
        let config = json!({
            "bearerToken": token(&manager)?,
            "tlsClientConfig": {"insecure": false, "caData": self.certificate_authority()?},
        });
        Ok(config.to_string())
    }

    fn certificate_authority(&self) -> Result<String> {
        let kubeconfig = Kubeconfig::read_from(self.manager.kubeconfig())?;
        let mut clusters = kubeconfig
            .clusters
            .into_iter()
            .filter_map(|cluster| cluster.cluster);
        let authority = clusters.find_map(|cluster| cluster.certificate_authority_data);
        authority.context("the kubeconfig has no certificate authority")
    }
}

async fn log_in_manager(control_plane: &ControlPlane) -> Result<User> {
    let manager = control_plane.service_account("kube-system", "argocd-manager");
    Ok(manager.await?)
}

fn token(user: &User) -> Result<Value> {
    // kube's own type does not give its token away.
    let text = std::fs::read(user.kubeconfig()).context("cannot read a kubeconfig")?;
    let mut kubeconfig: Value = serde_json::from_slice(&text)?;
    Ok(kubeconfig["users"][0]["user"]["token"].take())
}
