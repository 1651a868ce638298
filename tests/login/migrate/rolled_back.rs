//! What becomes of the Secret where something comes in between.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use harness::Answered;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use super::*;
use crate::world::WORKLOAD;

/// The path of the Secret.
const SECRET: &str = "/api/v1/namespaces/argocd/secrets/cluster-orders";

impl World {
    async fn write_of_others(&self) -> Result<()> {
        // kubectl would take all for its own that it has applied in another way before.
        let secrets = Api::<Secret>::namespaced(self.devops.admin().client().await?, "argocd");
        let of_others = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "labels": {"team": "orders"},
                "annotations": {"contact": "orders@example.com"},
            },
            "data": {"shard": "MQ=="},
        });
        let parameters = PatchParams::apply("platform");
        let patch = Patch::Apply(of_others);
        secrets.patch("cluster-orders", &parameters, &patch).await?;
        self.patch(&json!({"metadata": {
            "labels": {"environment": "production"},
            // As after a proof of long ago.
            "annotations": {"kubectl-gitops.io/verified": "2020-01-01T00:00:00Z"},
        }}))
        .await
    }

    async fn patch(&self, change: &Value) -> Result<()> {
        let patch = ["patch", "secret", "cluster-orders", "-n", "argocd", "-p"];
        let change = [change.to_string()];
        succeed(self.devops.admin().kubectl(patch).arguments(change)).await
    }

    /// Takes the access entry away, and returns once the API server lets nobody in by it.
    async fn take_access_away(&self) -> Result<()> {
        let eks = aws_sdk_eks::Client::new(&self.aws.config(WORKLOAD, REGION));
        let delete = eks.delete_access_entry().cluster_name(CLUSTER);
        delete.principal_arn(CLUSTER_ROLE).send().await?;
        self.cluster.follow(&self.aws).await?;
        let within = Duration::from_mins(1);
        let verify = ["cluster", "verify", CLUSTER, "--engine-role-arn"];
        let verify = [&verify[..], &[ENGINE_ROLE]].concat();
        eventually(within, "the role is nobody", async || {
            let verified = self.plugin(&verify).await;
            let verified = verified.map_err(|error| format!("{error:#}"))?;
            match verified.status.code() {
                Some(1) => Ok(()),
                _ => Err(String::from_utf8_lossy(&verified.stdout).into_owned()),
            }
        })
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_login_that_fails_once_it_is_stored_leaves_the_secret_as_it_was() {
    let world = World::start().await.unwrap();
    let manager = world.register_by_token().await.unwrap();
    world.write_of_others().await.unwrap();
    let before = world.secret().await.unwrap();
    let proxy = ReverseProxy::start(&world.devops).await.unwrap();
    let kubeconfig = world.kubeconfig_through(&proxy).await.unwrap();
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    let (tell, mut switches) = unbounded_channel();
    proxy.before_answers(move |answered| {
        let is_write = answered.is_write() && answered.path == SECRET;
        let is_switch = is_write && counted.fetch_add(1, Ordering::SeqCst) == 0;
        let tell = tell.clone();
        async move {
            if is_switch {
                let (go_on, may_go_on) = oneshot::channel();
                tell.send(go_on)?;
                may_go_on.await?;
            }
            Ok(())
        }
        .boxed()
    });

    let arguments = [CLUSTER, "--role-arn", CLUSTER_ROLE, "--revoke"];
    let mut migration = world.migration(kubeconfig.path(), &arguments);
    let mut running = pin!(migration.output());
    let migrated = loop {
        tokio::select! {
            output = &mut running => break output,
            Some(go_on) = switches.recv() => {
                world.take_access_away().await.unwrap();
                let go_on: oneshot::Sender<()> = go_on;
                go_on.send(()).unwrap();
            }
        }
    };
    let migrated = Migrated::new(&migrated.unwrap());

    assert_eq!(migrated.status, Some(2), "{}", migrated.text);
    // The switch, and the way back.
    assert!(writes.load(Ordering::SeqCst) > 1);
    let told = "the Secret is as it was before: access-entry: ";
    assert!(migrated.text.contains(told), "{}", migrated.text);
    assert_eq!(world.secret().await.unwrap(), before);
    assert!(manager.is_let_in().await.unwrap());
    let left = world.left().await.unwrap();
    assert!(left.contains("serviceaccount/argocd-manager"), "{left}");
    migrated.tells_nothing_of(&manager.token);
}

#[tokio::test]
async fn what_others_write_in_the_meantime_stays() {
    let world = Arc::new(World::start().await.unwrap());
    world.register_by_token().await.unwrap();
    world.write_of_others().await.unwrap();
    let (before, _) = world.stored().await.unwrap();
    let proxy = ReverseProxy::start(&world.devops).await.unwrap();
    let kubeconfig = world.kubeconfig_through(&proxy).await.unwrap();
    let migrate = async || {
        let arguments = [CLUSTER, "--role-arn", CLUSTER_ROLE];
        let mut migration = world.migration(kubeconfig.path(), &arguments);
        Migrated::new(&migration.output().await.unwrap())
    };
    let after_reading = |number: usize, change: Value| {
        let (world, reads) = (Arc::clone(&world), AtomicUsize::new(0));
        proxy.before_answers(move |answered: Answered| {
            let is_read = !answered.is_write() && answered.path == SECRET;
            let is_meant = is_read && reads.fetch_add(1, Ordering::SeqCst) == number;
            let (world, change) = (Arc::clone(&world), change.clone());
            async move {
                if is_meant {
                    world.patch(&change).await?;
                }
                Ok(())
            }
            .boxed()
        });
    };

    // Somebody registers it anew while the plan is looked at.
    after_reading(
        0,
        json!({"stringData": {"config": before.to_string() + " "}}),
    );
    let refused = migrate().await;
    assert_eq!(refused.status, Some(2), "{}", refused.text);
    let told = "was changed by somebody else in the meantime";
    assert!(refused.text.contains(told), "{}", refused.text);
    assert_eq!(world.stored().await.unwrap().0, before);

    // Argo CD writes the version of Kubernetes at the very moment.
    let label = "argocd.argoproj.io/kubernetes-version";
    after_reading(1, json!({"metadata": {"labels": {label: "v1.36.0"}}}));
    let switched = migrate().await;
    assert_eq!(switched.status, Some(0), "{}", switched.text);
    let (config, metadata) = world.stored().await.unwrap();
    assert_eq!(config["awsAuthConfig"]["roleARN"], CLUSTER_ROLE);
    let labels = &metadata["labels"];
    assert_eq!(labels[label], "v1.36.0");
    assert_eq!(labels["team"], "orders");
    assert_eq!(labels["environment"], "production");
    assert_eq!(world.secret().await.unwrap()["data"]["shard"], "MQ==");
    assert_eq!(metadata["annotations"]["contact"], "orders@example.com");
    // kubectl's copy of what was applied had the token, too.
    let copy = "kubectl.kubernetes.io/last-applied-configuration";
    assert!(metadata["annotations"].get(copy).is_none());
}
