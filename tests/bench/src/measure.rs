//! The run: fleet, starts, loads.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gitops_bench::corpus::{Review, Updates, corpus, stored_applications};
use gitops_bench::fleet::{ARGOCD_NAMESPACE, Project, WorkloadCluster};
use harness::{ControlPlane, argo_cd_crds};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client as KubeClient, CustomResourceExt as _};
use policy::GitOpsPolicy;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::Args;
use crate::client::{Client, Reply};
use crate::load::{Limits, Load, Target};
use crate::machine::Machine;
use crate::process::Pinning;
use crate::report::{Measurement, Report, Round, Starts, Version};
use crate::servers::{Server, ServerKind, Servers};

/// Long enough for the slowest server on a busy machine.
const STARTED_WITHIN: Duration = Duration::from_mins(1);
/// How long to wait before a server that does not listen yet is asked again.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);
/// Objects that are being created at a time.
const CREATIONS: usize = 16;
/// What is sent before anything is measured.
const WARM_UP: Limits = Limits {
    duration: Duration::from_secs(2),
    requests: 1000,
};

pub(crate) async fn run(args: &Args) -> Result<Report> {
    let cores = std::thread::available_parallelism()?.get();
    let machine = Machine::describe(cores)?;
    let pinning = Pinning::apply()?;
    progress("starting an API server");
    let control_plane = ControlPlane::start().await?;
    let kube = control_plane.admin().client().await?;
    let kubernetes = kube.apiserver_version().await?.git_version;
    progress(&format!(
        "creating a fleet of {} Applications",
        args.applications
    ));
    create_fleet(&control_plane, &kube, args.applications).await?;

    let programs = match &args.programs {
        Some(folder) => folder.clone(),
        None => own_folder()?,
    };
    let (kinds, kubeconfig) = (
        args.servers.clone(),
        control_plane.admin().kubeconfig().to_owned(),
    );
    let servers =
        spawn_blocking(move || Servers::prepare(&kinds, programs, &kubeconfig, pinning)).await??;
    let mut versions = vec![Version::new("kube-apiserver", kubernetes)];
    for kind in &args.servers {
        versions.push(Version::new(&kind.to_string(), servers.version(*kind)?));
    }
    let bench = Bench {
        client: Client::new(servers.certificate())?,
        corpora: [Updates::Status, Updates::Spec]
            .into_iter()
            .map(|updates| Ok((updates, corpus(updates)?)))
            .collect::<Result<_>>()?,
        servers,
    };
    let mut starts = Vec::new();
    for kind in &args.servers {
        starts.push(bench.time_starts(*kind, args.starts).await?);
    }
    Ok(Report {
        machine,
        pinning: match pinning {
            Pinning::Cores { client, server } => {
                format!("client on core {client}, server on core {server}")
            }
            Pinning::None => "not pinned (one core, or no taskset)".to_owned(),
        },
        versions,
        applications: args.applications,
        seconds: args.limits().duration.as_secs_f64(),
        starts,
        measurements: bench.load_all(args).await?,
    })
}

fn progress(what: &str) {
    #[expect(
        clippy::print_stderr,
        reason = "a run takes minutes, and standard output is for the report"
    )]
    {
        eprintln!("{what}");
    }
}

fn own_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program has no folder")?;
    Ok(folder.to_owned())
}

async fn create_fleet(
    control_plane: &ControlPlane,
    kube: &KubeClient,
    applications: usize,
) -> Result<()> {
    let mut crds = spawn_blocking(argo_cd_crds).await??.to_vec();
    crds.push(GitOpsPolicy::crd());
    control_plane.install_crds(&crds).await?;
    let namespace = json!({"metadata": {"name": ARGOCD_NAMESPACE}});
    let namespaces = Api::<Namespace>::all(kube.clone());
    namespaces
        .create(&PostParams::default(), &serde_json::from_value(namespace)?)
        .await?;
    let secrets = Api::<Secret>::namespaced(kube.clone(), ARGOCD_NAMESPACE);
    for cluster in WorkloadCluster::all() {
        let secret = serde_json::from_value(cluster.secret())?;
        secrets.create(&PostParams::default(), &secret).await?;
    }
    let projects = Project::all().map(Project::app_project);
    create_all(kube, "AppProject", projects).await?;
    create_all(
        kube,
        "Application",
        stored_applications().take(applications),
    )
    .await
}

async fn create_all(
    kube: &KubeClient,
    kind: &str,
    objects: impl Iterator<Item = Value>,
) -> Result<()> {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind);
    let resource = ApiResource::from_gvk(&kind);
    let api = Api::<DynamicObject>::namespaced_with(kube.clone(), ARGOCD_NAMESPACE, &resource);
    stream::iter(objects)
        .map(|object| async {
            let object = serde_json::from_value(object)?;
            api.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(CREATIONS)
        .try_collect()
        .await
}

struct Bench {
    client: Client,
    corpora: Vec<(Updates, Vec<Review>)>,
    servers: Servers,
}

impl Bench {
    /// From the start of the process to its first correct answer, which is a denial where the
    /// server judges.
    async fn time_starts(&self, kind: ServerKind, starts: usize) -> Result<Starts> {
        let mut milliseconds = Vec::new();
        for number in 0..=starts {
            let start = Instant::now();
            let mut server = self.servers.start(kind)?;
            self.answering(&mut server).await?;
            let took = start.elapsed();
            // The first does not count: an API server takes a second over the first watch of a kind
            // that is new.
            if number > 0 {
                milliseconds.push(took.as_secs_f64() * 1000.0);
            }
        }
        Ok(Starts {
            server: kind,
            milliseconds,
        })
    }

    /// Returns once the server gives a right answer.
    async fn answering(&self, server: &mut Server) -> Result<()> {
        let (_, reviews) = self.corpora.first().context("no reviews")?;
        let judges = server.kind.judges();
        let of_verdict = reviews.iter().filter(|review| review.allowed != judges);
        let smallest = of_verdict.min_by_key(|review| review.body.len());
        let review = smallest.context("no review of the kind")?;
        let asked = tokio::time::timeout(STARTED_WITHIN, async {
            loop {
                match self.ask_until_judged(server, review).await {
                    Ok(allowed) if allowed == review.allowed => return Ok(()),
                    Ok(_) => bail!("it gives the wrong verdict"),
                    // It does not listen yet.
                    Err(_) => tokio::time::sleep(BETWEEN_ATTEMPTS).await,
                }
                server.process.check()?;
            }
        });
        match asked.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(server.blame(&error)),
            Err(elapsed) => Err(server.blame(&elapsed.into())),
        }
    }

    /// Asks on one connection for as long as the server says that it cannot judge yet: handshakes
    /// would delay it.
    async fn ask_until_judged(&self, server: &Server, review: &Review) -> Result<bool> {
        let Target { address, path, .. } = server.target;
        let mut connection = self.client.connect(address, path).await?;
        loop {
            match connection.ask(review.body.clone()).await? {
                Reply::Judged(answer) => return Ok(answer.allowed),
                Reply::NotReady => tokio::time::sleep(BETWEEN_ATTEMPTS).await,
            }
        }
    }

    /// All servers in turn, for every corpus and number of connections, as many rounds as asked
    /// for.
    async fn load_all(&self, args: &Args) -> Result<Vec<Measurement>> {
        let mut running = Vec::new();
        for kind in &args.servers {
            let mut server = self.servers.start(*kind)?;
            self.answering(&mut server).await?;
            running.push(server);
        }
        for (_, reviews) in &self.corpora {
            for server in &mut running {
                self.load(server, reviews, 1, WARM_UP).await?;
            }
        }
        let mut measurements = Vec::new();
        for connections in &args.connections {
            for (updates, reviews) in &self.corpora {
                progress(&format!(
                    "{connections} connections, {}",
                    Measurement::corpus_name(*updates)
                ));
                let mut of_servers: Vec<Measurement> = running
                    .iter()
                    .map(|server| Measurement::new(server.kind, *updates, *connections))
                    .collect();
                for _ in 0..args.rounds {
                    for (server, measurement) in running.iter_mut().zip(&mut of_servers) {
                        let round = self
                            .load(server, reviews, *connections, args.limits())
                            .await?;
                        measurement.rounds.push(round);
                    }
                }
                measurements.extend(of_servers);
            }
        }
        Ok(measurements)
    }

    async fn load(
        &self,
        server: &mut Server,
        reviews: &[Review],
        connections: usize,
        limits: Limits,
    ) -> Result<Round> {
        server.process.reset_peak()?;
        let mut load = Load::connect(&self.client, server.target, connections).await?;
        let before = server.process.cpu_time()?;
        let loaded = load.run(server.target, reviews, limits).await;
        let loaded = loaded.map_err(|error| server.blame(&error))?;
        let cpu = server.process.cpu_time()?.saturating_sub(before);
        Ok(Round::new(&loaded, cpu, server.process.memory()?))
    }
}
