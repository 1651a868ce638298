//! What Argo CD writes to its own objects all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use futures::StreamExt;
use harness::succeed;
use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use tokio::task::JoinHandle;

use crate::names;
use crate::support::{REFUSED, Request, Turn, asked};

const APPLICATION_CONTROLLER: &str = "system:serviceaccount:argocd:argocd-application-controller";
const APPLICATION_SET_CONTROLLER: &str =
    "system:serviceaccount:argocd:argocd-applicationset-controller";
const SERVER: &str = "system:serviceaccount:argocd:argocd-server";

#[tokio::test]
async fn nothing_that_argo_cd_writes_to_deploy_the_fleet_is_refused() -> Result<()> {
    let fleet = Turn::take().await?;

    let mut requests = Request::by_argo_cd(fleet.devops().control_plane())?;

    let updates = requests
        .iter()
        .filter(|request| request.is_update_of_applications());
    assert!(updates.count() > 20, "{requests:?}");
    requests.retain(|request| request.is_refused() && !request.object_name().starts_with(REFUSED));
    assert!(requests.is_empty(), "{requests:#?}");
    Ok(())
}

#[tokio::test]
async fn no_refresh_sync_rollback_or_confirmation_reaches_the_webhook() -> Result<()> {
    let fleet = Turn::take().await?;
    let seen = Seen::from_now_on(&fleet).await?;
    let webhook = fleet.devops().webhook()?;
    let control_plane = fleet.devops().control_plane();
    let before = (
        asked(webhook).await?,
        Request::by_argo_cd(control_plane)?.len(),
    );
    assert!(before.0 > 0, "the webhook was never asked");

    for name in ["shop-staging", "shop-production", "reporter-production"] {
        fleet.argocd(["app", "get", name, "--refresh"]).await?;
        fleet.argocd(["app", "get", name, "--hard-refresh"]).await?;
        fleet
            .argocd(["app", "sync", name, "--timeout", "120"])
            .await?;
        fleet.synced_and_healthy(&[name]).await?;
    }
    for name in ["shop-production", "reporter-production"] {
        fleet
            .argocd(["app", "rollback", name, "--timeout", "120"])
            .await?;
        fleet.synced_and_healthy(&[name]).await?;
        fleet.argocd(["app", "confirm-deletion", name]).await?;
    }

    let written = Request::by_argo_cd(control_plane)?.split_off(before.1);
    for user in [APPLICATION_CONTROLLER, SERVER] {
        let by_user =
            |request: &&Request| request.is_update_of_applications() && request.user() == user;
        let count = written.iter().filter(by_user).count();
        assert!(count >= 9, "{user} wrote {count} times: {written:?}");
    }
    assert_eq!(asked(webhook).await?, before.0);
    let changed = seen.changed_annotations()?;
    for expected in ["refresh", "hydrate", "deletion-approved"] {
        let expected = format!("argocd.argoproj.io/{expected}");
        assert!(changed.contains(&expected), "{expected} in {changed:?}");
    }
    Ok(())
}

/// An ApplicationSet that has its Applications synced one after the other.
const PROGRESSIVE: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: { name: search-in-steps, namespace: argocd }
spec:
  goTemplate: true
  generators:
    - list: { elements: [{ name: first }, { name: second }] }
  strategy:
    type: RollingSync
    rollingSync:
      steps:
        - matchExpressions: [{ key: step, operator: In, values: [first] }]
        - matchExpressions: [{ key: step, operator: In, values: [second] }]
  template:
    metadata:
      name: "search-{{ .name }}"
      labels: { step: "{{ .name }}" }
      annotations: { kubectl-gitops.io/autoscaled: "false" }
    spec:
      project: shop-staging
      source:
        repoURL: https://git.example.com/shop/platform.git
        path: search
        targetRevision: main
        kustomize: { namePrefix: "{{ .name }}-" }
      destination: { name: staging, namespace: shop }
"#;

#[tokio::test]
async fn the_steps_of_a_progressive_sync_do_not_reach_the_webhook() -> Result<()> {
    const NAMES: [&str; 2] = ["search-first", "search-second"];
    let fleet = Turn::take().await?;
    let seen = Seen::from_now_on(&fleet).await?;
    let control_plane = fleet.devops().control_plane();
    let before = Request::by_argo_cd(control_plane)?.len();
    let url = fleet.repository().url();
    let apply = fleet.admin().kubectl(["create", "--filename", "-"]);
    succeed(apply.input(PROGRESSIVE.replace("https://git.example.com/shop/platform.git", &url)))
        .await?;
    fleet.synced_and_healthy(&NAMES).await?;

    let written = Request::by_argo_cd(control_plane)?.split_off(before);
    let mut updates: Vec<_> = written
        .into_iter()
        .filter(Request::is_update_of_applications)
        .collect();
    for user in [APPLICATION_SET_CONTROLLER, APPLICATION_CONTROLLER] {
        let count = updates
            .iter()
            .filter(|request| request.user() == user)
            .count();
        assert!(
            count >= NAMES.len(),
            "{user} wrote {count} times: {updates:?}"
        );
    }
    updates.retain(|request| request.verdict().is_some());
    assert!(updates.is_empty(), "{updates:#?}");
    seen.changed_annotations()?;
    fleet.delete("applicationset", "search-in-steps").await
}

/// The Applications as they were at every moment, of which each is told.
struct Seen {
    annotations: Arc<Mutex<Annotations>>,
    watch: JoinHandle<()>,
}

/// The Applications' annotations by their names, and the names of those that came, went or changed.
#[derive(Default)]
struct Annotations {
    last: BTreeMap<String, BTreeMap<String, String>>,
    changed: BTreeSet<String>,
}

impl Seen {
    async fn from_now_on(fleet: &Turn) -> Result<Self> {
        let applications = fleet.applications().await?;
        let mut annotations = Annotations::default();
        let listed = applications.list(&ListParams::default()).await?;
        for application in &listed {
            annotations.see(application);
        }
        let annotations = Arc::new(Mutex::new(annotations));
        let version = listed.metadata.resource_version.unwrap_or_default();
        let parameters = WatchParams::default().timeout(290);
        let mut events = applications.watch(&parameters, &version).await?.boxed();
        let sink = Arc::clone(&annotations);
        let watch = tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                if let WatchEvent::Added(application) | WatchEvent::Modified(application) = event {
                    lock(&sink).see(&application);
                }
            }
        });
        Ok(Self { annotations, watch })
    }

    /// The names of the annotations that Argo CD has changed meanwhile, which must all be known to
    /// be held back.
    fn changed_annotations(self) -> Result<BTreeSet<String>> {
        ensure!(!self.watch.is_finished(), "the watch has ended before");
        self.watch.abort();
        let changed = lock(&self.annotations).changed.clone();
        for name in &changed {
            ensure!(
                names::class_of(name) == Some(names::Class::HeldBack),
                "Argo CD writes the annotation {name}, and the webhook configuration does not hold that back"
            );
        }
        Ok(changed)
    }
}

impl Annotations {
    fn see(&mut self, application: &DynamicObject) {
        let now = application.annotations().clone();
        let last = self.last.insert(application.name_any(), now.clone());
        // A new Application has what its author gave it.
        let Some(last) = last else { return };
        let names = last.keys().chain(now.keys());
        let changed = names.filter(|name| last.get(*name) != now.get(*name));
        self.changed.extend(changed.cloned());
    }
}

fn lock(annotations: &Mutex<Annotations>) -> MutexGuard<'_, Annotations> {
    annotations.lock().unwrap_or_else(PoisonError::into_inner)
}
