//! Measures `kubectl gitops drift --source local` beside what any answer must do at least, a bare
//! LIST of each kind, and beside `kubectl diff --server-side`, on a real API server.
//!
//! Each begins with a new connection. They are measured in turn, so that whatever else the machine
//! does falls on all of them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gitops_bench::fleet::ARGOCD_NAMESPACE;
use harness::{ControlPlane, User, argo_cd_crds, succeed};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

/// Objects that are being created at a time.
const CREATIONS: usize = 16;
/// How many objects an Application has.
const EACH: usize = 100;
/// Of how many objects one drifts.
const DRIFTED: usize = 100;
const URL: &str = "https://git.example.com/shop/fleet.git";
const NAMESPACE: &str = "shop";
/// How often the memory of a process is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Measures `kubectl gitops drift --source local` beside LISTs and `kubectl diff`.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// How many objects there are, a multiple of 100.
    #[arg(long, default_value_t = 1_000)]
    objects: usize,
    /// How often LISTs and drift are measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How often `kubectl diff` is measured, which takes long.
    #[arg(long, default_value_t = 1)]
    kubectl_rounds: usize,
    /// The plugin; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
}

/// A kind: where it is listed, and how many of each hundred objects are of it.
struct Kind {
    path: &'static str,
    share: usize,
    object: fn(&str) -> Value,
}

const KINDS: [Kind; 6] = [
    Kind {
        path: "/api/v1/namespaces/shop/configmaps",
        share: 40,
        object: |name| json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"name": name, "text": "x".repeat(400)}}),
    },
    Kind {
        path: "/apis/apps/v1/namespaces/shop/deployments",
        share: 25,
        object: deployment,
    },
    Kind {
        path: "/api/v1/namespaces/shop/services",
        share: 15,
        object: |name| json!({"apiVersion": "v1", "kind": "Service", "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "http", "port": 80}]}}),
    },
    Kind {
        path: "/api/v1/namespaces/shop/serviceaccounts",
        share: 10,
        object: |_| json!({"apiVersion": "v1", "kind": "ServiceAccount"}),
    },
    Kind {
        path: "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles",
        share: 5,
        object: |_| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}),
    },
    Kind {
        path: "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings",
        share: 5,
        object: |name| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
            })
        },
    },
];

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "web",
                    "image": "registry.example.com/shop/web:1.0.0",
                    "env": [{"name": "NAME", "value": name}, {"name": "SIZE", "value": "small"}],
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
                }]},
            },
        },
    })
}

/// One of the objects.
struct Object {
    path: &'static str,
    application: String,
    name: String,
    manifest: Value,
    drifts: bool,
}

fn objects(count: usize) -> Vec<Object> {
    let kinds: Vec<&Kind> = KINDS
        .iter()
        .flat_map(|kind| std::iter::repeat_n(kind, kind.share))
        .collect();
    (0..count)
        .map(|number| {
            let kind = kinds[number % kinds.len()];
            let name = format!("object-{number}");
            let mut manifest = (kind.object)(&name);
            manifest["metadata"] =
                json!({"name": name, "labels": {"app.kubernetes.io/part-of": "shop"}});
            Object {
                path: kind.path,
                application: format!("app-{}", number / EACH),
                name,
                manifest,
                drifts: number % DRIFTED == DRIFTED / 2,
            }
        })
        .collect()
}

impl Object {
    /// As it is after a sync of Argo CD's; one that drifts was changed since.
    fn live(&self) -> Value {
        let mut live = self.manifest.clone();
        let text = |field: &str| self.manifest[field].as_str().unwrap_or_default();
        let group = text("apiVersion")
            .split_once('/')
            .map_or("", |(group, _)| group);
        let id = format!(
            "{}:{group}/{}:{NAMESPACE}/{}",
            self.application,
            text("kind"),
            self.name
        );
        live["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": id});
        let applied = live.to_string();
        live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
            applied.into();
        if self.drifts {
            live["metadata"]["labels"]["app.kubernetes.io/part-of"] = json!("other");
        }
        live
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let plugin = match &args.plugin {
        Some(plugin) => plugin.clone(),
        None => std::env::current_exe()?.with_file_name("kubectl-gitops"),
    };
    let objects = objects(args.objects);
    let control_plane = ControlPlane::start().await?;
    let admin = control_plane.admin();
    create_all(&control_plane, &objects).await?;
    let checkout = tempfile::tempdir()?;
    write_checkout(checkout.path(), &objects)?;
    let drifted = objects.iter().filter(|object| object.drifts).count();

    let drift = async || drift(&plugin, admin, checkout.path(), drifted).await;
    // What is asked for the first time takes the API server longer.
    lists(admin).await?;
    drift().await?;
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        floor.push(lists(admin).await?);
        ours.push(drift().await?);
    }
    let floor = median(&floor)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} objects, {drifted} drifted, {} rounds",
        args.objects, args.rounds
    )?;
    writeln!(
        out,
        "LIST of each kind          median {:.0} ms",
        floor.took.as_secs_f64() * 1000.0
    )?;
    let mut tell = |name: &str, run: Run| -> Result<()> {
        let took = run.took.as_secs_f64();
        let times = took / floor.took.as_secs_f64();
        let memory = run.memory >> 20;
        writeln!(
            out,
            "{name:26} median {:.0} ms, {times:.1} times the LISTs, {memory} MiB at most",
            took * 1000.0
        )?;
        Ok(())
    };
    tell("drift --source local", median(&ours)?)?;
    for concurrency in [&[][..], &["--concurrency=8"]] {
        let mut runs = Vec::new();
        for _ in 0..args.kubectl_rounds {
            runs.push(kubectl_diff(admin, checkout.path(), concurrency).await?);
        }
        if !runs.is_empty() {
            tell(
                &format!("kubectl diff {}", concurrency.concat()),
                median(&runs)?,
            )?;
        }
    }
    Ok(())
}

/// What a run took, and its largest resident size in bytes.
#[derive(Clone, Copy, Debug)]
struct Run {
    took: Duration,
    memory: u64,
}

fn median(runs: &[Run]) -> Result<Run> {
    let mut times: Vec<Duration> = runs.iter().map(|run| run.took).collect();
    times.sort_unstable();
    Ok(Run {
        took: *times.get(times.len() / 2).context("no rounds")?,
        memory: runs.iter().map(|run| run.memory).max().unwrap_or_default(),
    })
}

/// All kinds one after the other and page by page, whose answers are received and looked at for the
/// next page only.
async fn lists(admin: &User) -> Result<Run> {
    let start = Instant::now();
    let client = admin.client().await?;
    for kind in &KINDS {
        let mut next = String::new();
        loop {
            let path = format!("{}?limit=500&continue={next}", kind.path);
            let answer = client
                .send(http::Request::get(path).body(Body::empty())?)
                .await?;
            ensure!(answer.status().is_success(), "LIST: {}", answer.status());
            let body = answer.into_body().collect().await?.to_bytes();
            next = token(&body);
            if next.is_empty() {
                break;
            }
        }
    }
    Ok(Run {
        took: start.elapsed(),
        memory: 0,
    })
}

/// The token of the next page, which stands at the beginning.
fn token(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(1_000)]);
    let rest = head
        .split_once(r#""continue":""#)
        .map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default().to_owned()
}

async fn drift(plugin: &Path, admin: &User, checkout: &Path, drifted: usize) -> Result<Run> {
    let mut command = Command::new(plugin);
    command
        .args([
            "drift",
            "--all-namespaces",
            "--source=local",
            "--output=json",
            "--repository",
            URL,
        ])
        .arg("--checkout")
        .arg(checkout)
        .arg("--kubeconfig")
        .arg(admin.kubeconfig())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let (run, text) = measured(command, 1).await?;
    let report: Value = serde_json::from_str(&text)?;
    ensure!(
        report["summary"]["resources"] == drifted,
        "{}",
        report["summary"]
    );
    Ok(run)
}

async fn kubectl_diff(admin: &User, checkout: &Path, more: &[&str]) -> Result<Run> {
    let diff = [
        "diff",
        "--server-side",
        "--force-conflicts",
        "--recursive",
        "--namespace",
        NAMESPACE,
    ];
    let mut command = admin.kubectl(diff).arguments(more).into_command();
    command.arg("--filename").arg(checkout);
    Ok(measured(command, 1).await?.0)
}

/// A process, from its start to its end, which must have a status.
async fn measured(mut command: Command, status: i32) -> Result<(Run, String)> {
    let start = Instant::now();
    let output = tempfile::NamedTempFile::new()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.reopen()?)
        .stderr(Stdio::null())
        .spawn()?;
    let mut memory = 0;
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended?,
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
        }
        memory = memory.max(peak(&child));
    };
    let took = start.elapsed();
    let text = fs::read_to_string(output.path())?;
    ensure!(ended.code() == Some(status), "{ended}: {text}");
    Ok((Run { took, memory }, text))
}

/// The largest resident size up to now; 0 of a process that has ended.
fn peak(child: &Child) -> u64 {
    let path = format!("/proc/{}/status", child.id().unwrap_or_default());
    let status = fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

fn write_checkout(folder: &Path, objects: &[Object]) -> Result<()> {
    let git = std::process::Command::new("git")
        .args(["init", "--quiet"])
        .arg(folder)
        .status()?;
    ensure!(git.success(), "git init failed");
    for object in objects {
        let folder = folder.join(&object.application);
        fs::create_dir_all(&folder)?;
        fs::write(
            folder.join(format!("{}.json", object.name)),
            object.manifest.to_string(),
        )?;
    }
    Ok(())
}

async fn create_all(control_plane: &ControlPlane, objects: &[Object]) -> Result<()> {
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    let admin = control_plane.admin();
    for namespace in [ARGOCD_NAMESPACE, NAMESPACE] {
        succeed(admin.kubectl(["create", "namespace", namespace])).await?;
    }
    let client = &admin.client().await?;
    let applications = (0..objects.len().div_ceil(EACH)).map(|number| {
        let name = format!("app-{number}");
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": ARGOCD_NAMESPACE},
            "spec": {
                "project": "default",
                "source": {"repoURL": URL, "path": name},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
            },
        });
        (
            format!("/apis/argoproj.io/v1alpha1/namespaces/{ARGOCD_NAMESPACE}/applications"),
            application,
        )
    });
    let all = objects
        .iter()
        .map(|object| (object.path.to_owned(), object.live()));
    stream::iter(applications.chain(all))
        .map(|(path, object)| create(client, path, object))
        .buffer_unordered(CREATIONS)
        .try_collect()
        .await
}

async fn create(client: &Client, path: String, object: Value) -> Result<()> {
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(object.to_string().into_bytes()))?;
    let answer = client.send(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{}", String::from_utf8_lossy(&body));
    Ok(())
}
