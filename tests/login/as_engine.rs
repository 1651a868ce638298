//! `cluster verify --as-engine`: a Job with the service account of Argo CD tries the login.
//!
//! The real job controller makes the Pod. No kubelet is here: how its container ends is written
//! into its status, and that `argocd-k8s-auth` and Helm end like that in Argo CD's image is not
//! shown.

use std::time::Duration;

use anyhow::Result;
use harness::argo_cd::ControllerManager;
use harness::{eventually_objects, succeed};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::verify::Verified;
use crate::world::{CLUSTER, CLUSTER_ROLE, ENGINE_ROLE, World};

/// As Argo CD's manifests have it, as far as it matters.
const CONTROLLER: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: argocd-application-controller
  namespace: argocd
  labels: { app.kubernetes.io/name: argocd-application-controller }
spec:
  serviceName: argocd-application-controller
  selector: { matchLabels: { app: controller } }
  template:
    metadata: { labels: { app: controller } }
    spec:
      serviceAccountName: argocd-application-controller
      imagePullSecrets: [{ name: registry }]
      containers:
        - name: argocd-application-controller
          image: quay.io/argoproj/argocd:v3.6.1
          env:
            - { name: AWS_REGION, value: eu-west-1 }
            - { name: REDIS_PASSWORD, valueFrom: { secretKeyRef: { name: argocd-redis, key: auth } } }
";

impl World {
    /// What is found where the container ends so, and the Pod.
    async fn verify_by_job(&self, flags: &[&str], code: i32, why: &str) -> Result<(Verified, Pod)> {
        let arguments = [&[CLUSTER, "--as-engine"], flags].concat();
        let (verified, pod) = tokio::join!(self.verify(&arguments), self.end_pod(code, why));
        Ok((verified?, pod?))
    }

    /// Waits for a Pod that has not ended, and ends its container.
    async fn end_pod(&self, code: i32, why: &str) -> Result<Pod> {
        let pods = Api::<Pod>::namespaced(self.devops.admin().client().await?, "argocd");
        let within = Duration::from_mins(2);
        let pod = eventually_objects(within, "the Job has a Pod", pods.clone(), |pods| {
            let is_new = |pod: &&Pod| {
                let status = pod.status.as_ref();
                status.is_none_or(|status| status.container_statuses.is_none())
            };
            pods.values()
                .find(is_new)
                .cloned()
                .ok_or_else(|| "none".to_owned())
        })
        .await?;
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let status = json!({"status": {"phase": phase, "containerStatuses": [{
            "name": "verify",
            "image": "argocd",
            "imageID": "argocd",
            "ready": false,
            "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "message": why}},
        }]}});
        let parameters = PatchParams::default();
        let status = Patch::Merge(status);
        Ok(pods
            .patch_status(&pod.name_any(), &parameters, &status)
            .await?)
    }

    async fn jobs(&self) -> Result<usize> {
        let jobs = Api::<Job>::namespaced(self.devops.admin().client().await?, "argocd");
        Ok(jobs.list(&ListParams::default()).await?.items.len())
    }
}

#[tokio::test]
async fn argo_cd_tries_the_login_in_a_job_that_is_gone_afterwards() {
    let world = World::start().await.unwrap();
    let _controller = ControllerManager::start_built(&world.devops, &["job-controller"]).unwrap();

    let nobody = ["cluster", "verify", CLUSTER, "--as-engine"];
    let nobody = world.plugin(&nobody).await.unwrap();
    let told = String::from_utf8_lossy(&nobody.stderr);
    assert_eq!(nobody.status.code(), Some(2), "{told}");
    let reason = "no StatefulSet or Deployment in namespace argocd has the label";
    assert!(told.contains(reason), "{told}");

    let apply = world.devops.admin().kubectl(["apply", "-f", "-"]);
    succeed(apply.input(CONTROLLER)).await.unwrap();

    // What the role may do is asked from here, where somebody may take it on.
    let engine = ["--engine-role-arn", ENGINE_ROLE];
    let (verified, pod) = world.verify_by_job(&engine, 0, "").await.unwrap();
    verified.is_proven();
    is_as_argo_cd(&pod, world.cluster.control_plane().url());
    assert_eq!(world.jobs().await.unwrap(), 0);

    let (verified, _) = world.verify_by_job(&[], 0, "").await.unwrap();
    verified.is_unknown("access-policy");

    // It counts what Argo CD's pods may, not what somebody may here.
    let denied = "api error AccessDenied: not authorized to perform: sts:TagSession";
    let (verified, _) = world.verify_by_job(&engine, 10, denied).await.unwrap();
    verified.is_broken("cluster-role-trust");
    verified.tells(denied);

    let lost = "Error: Kubernetes cluster unreachable: dial tcp 10.0.0.1:443: i/o timeout";
    let (verified, _) = world.verify_by_job(&engine, 20, lost).await.unwrap();
    verified.is_broken("endpoint");
    assert_eq!(world.jobs().await.unwrap(), 0);
}

/// That a Pod is one of Argo CD's, and knows no more than how the cluster is reached.
#[expect(clippy::unwrap_used, reason = "a part of a test")]
fn is_as_argo_cd(pod: &Pod, server: &str) {
    let spec = pod.spec.as_ref().unwrap();
    let account = spec.service_account_name.as_deref();
    assert_eq!(account, Some("argocd-application-controller"));
    let container = &spec.containers[0];
    let image = container.image.as_deref();
    assert_eq!(image, Some("quay.io/argoproj/argocd:v3.6.1"));
    let env = container.env.iter().flatten().map(|one| &*one.name);
    assert_eq!(env.collect::<Vec<_>>(), ["AWS_REGION"]);
    let args = container.args.iter().flatten().map(String::as_str);
    let auth = ["aws", "--cluster-name", CLUSTER, "--role-arn", CLUSTER_ROLE];
    assert_eq!(args.skip(2).collect::<Vec<_>>(), auth);
    let kubeconfig = &pod.annotations()["kubectl-gitops.io/kubeconfig"];
    let kubeconfig: Value = serde_json::from_str(kubeconfig).unwrap();
    assert_eq!(kubeconfig["clusters"][0]["cluster"]["server"], server);
}
