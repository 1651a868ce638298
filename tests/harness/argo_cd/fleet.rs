//! A fleet under Argo CD.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::argo_cd::command_line::CommandOutput;
use crate::argo_cd::component::Component;
use crate::argo_cd::controller_manager::ControllerManager;
use crate::argo_cd::manifests;
use crate::argo_cd::programs::Programs;
use crate::argo_cd::repository::Repository;
use crate::argo_cd::workload_cluster::WorkloadCluster;
use crate::argo_cd::{ArgoCd, NAMESPACE};
use crate::clock::TestClock;
use crate::control_plane::{ControlPlane, User};
use crate::demo::Shell;
use crate::installation::{Overlay, install, path, serve, serve_by, succeed};
use crate::wait::{eventually, eventually_objects};
use crate::webhook::Webhook;

/// The whole of it takes half a minute, and some minutes where everything else also runs.
const WITHIN: Duration = Duration::from_mins(5);
/// What the root deploys, and itself.
const APPLICATIONS: [&str; 5] = [
    "root",
    "reporter-staging",
    "reporter-production",
    "shop-staging",
    "shop-production",
];
/// Those that nobody syncs but a person.
const BY_HAND: [&str; 2] = ["reporter-production", "shop-production"];
/// What production follows.
const RELEASE: &str = "v1.0.0";

/// Whether our webhook is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guard {
    /// It is not.
    None,
    /// It is, as `manifests/overlays/prod-devops` has it, from before the first object of the fleet
    /// is written.
    Webhook,
    /// The same, by a clock that the test sets: [`Devops::clock`].
    WebhookWithClock,
}

/// A cluster for Argo CD, with its manifests, and without anything that runs.
pub struct Devops {
    /// Before the control plane, which ends after them.
    webhook: Option<Webhook>,
    clock: TestClock,
    controller_manager: ControllerManager,
    control_plane: ControlPlane,
}

impl Devops {
    /// Starts it, and returns when Applications can be written, and are judged if they are to be.
    pub async fn start(guard: Guard, programs: &Programs) -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        manifests::install(&control_plane, programs).await?;
        // Who deletes what an ApplicationSet generated.
        let controllers = ["garbage-collector-controller"];
        let mut devops = Self {
            webhook: None,
            clock: TestClock::new(control_plane.folder())?,
            controller_manager: ControllerManager::start(&control_plane, programs, &controllers)?,
            control_plane,
        };
        match guard {
            Guard::None => {}
            Guard::Webhook => devops.install_webhook().await?,
            Guard::WebhookWithClock => {
                install(&devops.control_plane, Overlay::ProdDevops).await?;
                devops.webhook = Some(serve_by(&devops.control_plane, &devops.clock).await?);
            }
        }
        Ok(devops)
    }

    /// What the webhook goes by, if it does go by a clock that the test sets.
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// Installs our webhook as [`Guard::Webhook`] has it, on what is there by now.
    pub async fn install_webhook(&mut self) -> Result<()> {
        install(&self.control_plane, Overlay::ProdDevops).await?;
        self.webhook = Some(serve(&self.control_plane).await?);
        Ok(())
    }

    /// Its API server.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The webhook.
    pub fn webhook(&self) -> Result<&Webhook> {
        self.webhook.as_ref().context("it has no webhook")
    }
}

/// Argo CD with a root Application, an ApplicationSet of addons, and a shop, on staging and on
/// production. What is deployed is in `harness/argo_cd/fleet`.
///
/// It ends, and leaves nothing behind, when it is dropped or when the process ends, however that
/// happens; so it may also be kept in a `static`. Then only [`User`]s are shared, each test making
/// its own clients.
pub struct Fleet {
    argo_cd: ArgoCd,
    repository: Repository,
    staging: WorkloadCluster,
    production: WorkloadCluster,
    devops: Devops,
}

impl Fleet {
    /// Starts all clusters and Argo CD, declares the clusters, and creates the root Application. It
    /// does not wait for what comes of that.
    pub async fn start(guard: Guard) -> Result<Self> {
        let programs = spawn_blocking(Programs::locate).await??;
        let (devops, staging, production) = tokio::try_join!(
            Box::pin(Devops::start(guard, &programs)),
            Box::pin(WorkloadCluster::start("staging", &programs)),
            Box::pin(WorkloadCluster::start("production", &programs)),
        )?;
        let repository = repository(devops.control_plane.folder())?;
        let mut credentials = Vec::new();
        for cluster in [&staging, &production] {
            create(devops.control_plane.admin(), &cluster.secret()?).await?;
            credentials.push((cluster.name(), cluster.credential()?));
        }
        let argo_cd = Box::pin(ArgoCd::start(
            &devops.control_plane,
            &programs,
            &credentials,
        ))
        .await?;
        let fleet = Self {
            argo_cd,
            repository,
            staging,
            production,
            devops,
        };
        fleet.create_root().await?;
        Ok(fleet)
    }

    /// Argo CD.
    pub fn argo_cd(&self) -> &ArgoCd {
        &self.argo_cd
    }

    /// What is deployed.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The cluster that Argo CD is on.
    pub fn devops(&self) -> &Devops {
        &self.devops
    }

    /// Installs our webhook on the fleet as it is by now.
    pub async fn install_webhook(&mut self) -> Result<()> {
        let installed = self.devops.install_webhook().await;
        installed.map_err(|error| self.blame(&error))
    }

    /// The cluster `staging`.
    pub fn staging(&self) -> &WorkloadCluster {
        &self.staging
    }

    /// The cluster `production`.
    pub fn production(&self) -> &WorkloadCluster {
        &self.production
    }

    /// Somebody who may do everything on the devops cluster.
    pub fn admin(&self) -> &User {
        self.devops.control_plane.admin()
    }

    /// Argo CD's Applications.
    pub async fn applications(&self) -> Result<Api<DynamicObject>> {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
        let client = self.admin().client().await?;
        Ok(Api::namespaced_with(
            client,
            NAMESPACE,
            &ApiResource::from_gvk(&kind),
        ))
    }

    /// Waits for what is deployed by itself, syncs production as a person does, and returns when
    /// all of it is Synced and Healthy.
    pub async fn deployed(&self) -> Result<()> {
        let by_itself: Vec<_> = APPLICATIONS
            .into_iter()
            .filter(|name| !BY_HAND.contains(name))
            .collect();
        self.synced_and_healthy(&by_itself).await?;
        for name in BY_HAND {
            self.compared(name).await?;
            self.argocd(["app", "sync", name, "--timeout", "120"])
                .await?;
        }
        self.synced_and_healthy(&APPLICATIONS).await
    }

    /// Waits until these Applications are Synced and Healthy, and no operation on them runs.
    pub async fn synced_and_healthy(&self, names: &[&str]) -> Result<()> {
        let what = format!("Synced and Healthy are {}", names.join(", "));
        self.eventually(&what, |applications| {
            let unsettled = names
                .iter()
                .filter_map(|name| unsettled(name, applications.get(*name)));
            let unsettled: Vec<_> = unsettled.collect();
            if unsettled.is_empty() {
                Ok(())
            } else {
                Err(unsettled.join("; "))
            }
        })
        .await
    }

    /// Waits until Argo CD has compared an Application with the cluster.
    pub async fn compared(&self, name: &str) -> Result<()> {
        let what = format!("Argo CD has compared {name}");
        self.eventually(&what, |applications| {
            let application = applications.get(name).ok_or("it does not exist")?;
            match application.data["status"]["sync"]["status"].as_str() {
                Some("Synced" | "OutOfSync") => Ok(()),
                _ => Err(state(application)),
            }
        })
        .await
    }

    /// Watches the Applications, by their names, until `condition` is `Ok`. The error says in what
    /// state everything is.
    pub async fn eventually<T>(
        &self,
        what: &str,
        condition: impl FnMut(&BTreeMap<String, DynamicObject>) -> Result<T, String>,
    ) -> Result<T> {
        let found = eventually_objects(WITHIN, what, self.applications().await?, condition).await;
        found.map_err(|error| self.blame(&error.into()))
    }

    /// Where a person would type commands: in the repository, as an administrator of the devops
    /// cluster and of Argo CD.
    pub fn shell(&self) -> Result<Shell> {
        let argocd = self.argo_cd.command_line();
        let programs = argocd
            .program()
            .parent()
            .context("argocd is in no folder")?;
        let shell = Shell::new(&self.devops.control_plane)?.with_programs(programs);
        Ok(shell
            .at_home(argocd.home())
            .in_folder(self.repository.folder()))
    }

    /// Runs an `argocd` that must succeed, as Argo CD's administrator, and returns what it printed.
    /// The error says in what state everything is.
    pub async fn argocd<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        let CommandOutput {
            status,
            stdout,
            stderr,
        } = self.argo_cd.run(arguments).await?;
        if status.success() {
            Ok(stdout)
        } else {
            Err(self.blame(&anyhow!("argocd failed ({status}): {stderr}")))
        }
    }

    /// How each process is, and what it logged last.
    pub fn state(&self) -> String {
        let clusters = [&self.staging, &self.production];
        let clusters = clusters.map(|cluster| (cluster.name(), cluster.component()));
        let argo_cd = self.argo_cd.components().iter();
        let argo_cd = argo_cd.map(|component| ("devops", component));
        let devops = [("devops", self.devops.controller_manager.component())];
        let components = devops.into_iter().chain(clusters).chain(argo_cd);
        let state =
            |(cluster, component): (&str, &Component)| format!("{cluster}: {}", component.state());
        let mut states: Vec<_> = components.map(state).collect();
        states.extend(
            self.devops
                .webhook
                .as_ref()
                .map(|webhook| webhook.log().end()),
        );
        states.join("\n\n")
    }

    fn blame(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{error:#}\n\n{}", self.state())
    }

    /// The webhook may be a moment behind argocd-server, which creates the root's project.
    async fn create_root(&self) -> Result<()> {
        let root: Value = serde_saphyr::from_str(&self.repository.read("root.yaml")?)?;
        let created = eventually(WITHIN, "the root Application is admitted", async || {
            create(self.admin(), &root)
                .await
                .map_err(|error| format!("{error:#}"))
        });
        created.await.map_err(|error| self.blame(&error.into()))
    }
}

fn repository(folder: &Path) -> Result<Repository> {
    let fixture = path("harness/argo_cd/fleet");
    let repository = Repository::of(&fixture, folder.join("platform.git"))?;
    repository.tag(RELEASE)?;
    Ok(repository)
}

async fn create(user: &User, object: &Value) -> Result<()> {
    let create = user.kubectl(["create", "--namespace", NAMESPACE, "--filename", "-"]);
    succeed(create.input(object.to_string())).await
}

/// What is missing until an Application is settled.
fn unsettled(name: &str, application: Option<&DynamicObject>) -> Option<String> {
    let Some(application) = application else {
        return Some(format!("{name} does not exist"));
    };
    let status = &application.data["status"];
    let settled = status["sync"]["status"] == "Synced"
        && status["health"]["status"] == "Healthy"
        && status["operationState"]["phase"] == "Succeeded"
        && application.data["operation"].is_null();
    (!settled).then(|| format!("{name} is {}", state(application)))
}

/// An Application in a line.
fn state(application: &DynamicObject) -> String {
    let status = &application.data["status"];
    let operation = &status["operationState"];
    let said = [
        &status["sync"]["status"],
        &status["health"]["status"],
        &operation["phase"],
        &operation["message"],
    ];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let messages = conditions.map(|condition| &condition["message"]);
    let said = said.into_iter().chain(messages).filter_map(Value::as_str);
    said.collect::<Vec<_>>().join(", ")
}
