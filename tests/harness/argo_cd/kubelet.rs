//! What stands in for kubelet.

use std::pin::pin;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::sync::oneshot;

use crate::control_plane::User;

/// Says of every Pod of a cluster that it runs and is ready, and that no container was restarted,
/// until it is dropped. Nothing runs.
///
/// It has a thread of its own: a fleet that tests share outlives the runtime of the test that
/// started it.
#[derive(Debug)]
pub(crate) struct Kubelet {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Kubelet {
    pub(crate) fn start(user: User) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("kubelet".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = run(&user) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread.context("cannot start a thread")?),
        })
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed, and there is nothing left to do for it.
            let _ = thread.join();
        }
    }
}

/// Without end, but where there is no client: a watch that fails is begun again, and then every Pod
/// is seen again.
async fn run(user: &User) -> Result<()> {
    let client = user.client().await?;
    let pods = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
    let mut pods = pin!(pods.default_backoff().applied_objects());
    while let Some(pod) = pods.next().await {
        if let Ok(pod) = pod
            && !is_ready(&pod)
        {
            // One that is gone by now needs nothing, and one that was changed comes again.
            let _ = make_ready(&client, &pod).await;
        }
    }
    Ok(())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn make_ready(client: &Client, pod: &Pod) -> kube::Result<Pod> {
    let pods = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let created = &pod.metadata.creation_timestamp;
    let condition = |kind| json!({"type": kind, "status": "True", "lastTransitionTime": created});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let containers: Vec<_> = containers
        .map(|container| {
            json!({
                "name": container.name,
                "image": container.image,
                "imageID": "",
                "ready": true,
                "started": true,
                "restartCount": 0,
                "state": {"running": {"startedAt": created}},
            })
        })
        .collect();
    let status = json!({"status": {
        "phase": "Running",
        "conditions": conditions,
        "containerStatuses": containers,
    }});
    pods.patch_status(
        &pod.name_any(),
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
}
