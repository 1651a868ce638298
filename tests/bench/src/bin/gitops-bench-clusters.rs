//! Measures `kubectl gitops cluster list` beside one bare LIST of the same Secrets, on a real API
//! server.
//!
//! Both begin with a new connection. They are measured in turn, so that whatever else the machine
//! does falls on both.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::Parser;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gitops_bench::fleet::{ARGOCD_NAMESPACE, Project};
use harness::{ControlPlane, User, argo_cd_crds};
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, CustomResourceExt as _};
use policy::GitOpsPolicy;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::spawn_blocking;

/// Objects that are being created at a time.
const CREATIONS: usize = 16;

/// Measures `kubectl gitops cluster list` beside a bare LIST of the same Secrets.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// How many clusters there are.
    #[arg(long, default_value_t = 500)]
    clusters: usize,
    /// How often each is measured.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// The plugin; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse();
    let plugin = match &args.plugin {
        Some(plugin) => plugin.clone(),
        None => std::env::current_exe()?.with_file_name("kubectl-gitops"),
    };
    let control_plane = ControlPlane::start().await?;
    create_fleet(&control_plane, args.clusters).await?;
    let admin = control_plane.admin();
    // What is asked for the first time takes the API server longer.
    bare(admin).await?;
    list(&plugin, admin, args.clusters).await?;
    let (mut bares, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        bares.push(bare(admin).await?);
        lists.push(list(&plugin, admin, args.clusters).await?);
    }
    let (bares, lists) = (Times::of(bares)?, Times::of(lists)?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} clusters, {} rounds", args.clusters, args.rounds)?;
    writeln!(out, "bare LIST of their Secrets  {bares}")?;
    writeln!(out, "cluster list                {lists}")?;
    let ratio = lists.median.as_secs_f64() / bares.median.as_secs_f64();
    writeln!(out, "ratio of the medians        {ratio:.1}")?;
    Ok(())
}

struct Times {
    best: Duration,
    median: Duration,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Result<Self> {
        times.sort_unstable();
        Ok(Times {
            best: *times.first().context("no rounds")?,
            median: *times.get(times.len() / 2).context("no rounds")?,
        })
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let (best, median) = (milliseconds(self.best), milliseconds(self.median));
        write!(formatter, "best {best:.0} ms, median {median:.0} ms")
    }
}

/// One LIST, whose answer is received and not looked at.
async fn bare(admin: &User) -> Result<Duration> {
    let start = Instant::now();
    let client = admin.client().await?;
    let path = format!(
        "/api/v1/namespaces/{ARGOCD_NAMESPACE}/secrets?labelSelector=argocd.argoproj.io/secret-type%3Dcluster&limit=500"
    );
    let request = http::Request::get(path).body(kube::client::Body::empty())?;
    let answer = client.send(request).await?;
    ensure!(answer.status().is_success(), "LIST: {}", answer.status());
    answer.into_body().collect().await?;
    Ok(start.elapsed())
}

/// The process, from its start to its end.
async fn list(plugin: &Path, admin: &User, clusters: usize) -> Result<Duration> {
    let start = Instant::now();
    let output = Command::new(plugin)
        .args(["cluster", "list", "--kubeconfig"])
        .arg(admin.kubeconfig())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("cannot run {}", plugin.display()))?;
    let took = start.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    let total = format!("{clusters} with a credential that lasts in the Secret");
    ensure!(
        output.status.success() && text.contains(&total),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(took)
}

async fn create_fleet(control_plane: &ControlPlane, clusters: usize) -> Result<()> {
    let mut crds = spawn_blocking(argo_cd_crds).await??.to_vec();
    crds.push(GitOpsPolicy::crd());
    control_plane.install_crds(&crds).await?;
    let kube = control_plane.admin().client().await?;
    let namespace = json!({"metadata": {"name": ARGOCD_NAMESPACE}});
    Api::<Namespace>::all(kube.clone())
        .create(&PostParams::default(), &serde_json::from_value(namespace)?)
        .await?;
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "AppProject");
    let resource = ApiResource::from_gvk(&kind);
    let projects = Api::<DynamicObject>::namespaced_with(kube.clone(), ARGOCD_NAMESPACE, &resource);
    for project in Project::all() {
        let project = serde_json::from_value(project.app_project())?;
        projects.create(&PostParams::default(), &project).await?;
    }
    let secrets = &Api::<Secret>::namespaced(kube, ARGOCD_NAMESPACE);
    stream::iter(0..clusters)
        .map(|number| async move {
            let secret = serde_json::from_value(secret(number)?)?;
            secrets.create(&PostParams::default(), &secret).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(CREATIONS)
        .try_collect()
        .await
}

/// As `argocd cluster add` writes it: with a token, and the certificate of an authority.
fn secret(number: usize) -> Result<Value> {
    let name = format!("cluster-{number:03}");
    let claims = json!({
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "kube-system",
        "kubernetes.io/serviceaccount/secret.name": "argocd-manager-long-lived-token",
        "kubernetes.io/serviceaccount/service-account.name": "argocd-manager",
        "sub": "system:serviceaccount:kube-system:argocd-manager",
    });
    let signature = [7_u8; 256];
    let parts = [
        br#"{"alg":"RS256","kid":"a"}"#.as_slice(),
        claims.to_string().as_bytes(),
        signature.as_slice(),
    ]
    .map(|part| URL_SAFE_NO_PAD.encode(part));
    let authority = rcgen::generate_simple_self_signed([name.clone()])?;
    let config = json!({
        "bearerToken": parts.join("."),
        "tlsClientConfig": {"insecure": false, "caData": STANDARD.encode(authority.cert.pem())},
    });
    Ok(json!({
        "metadata": {
            "name": name,
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": "staging"},
        },
        "stringData": {
            "name": name,
            "server": format!("https://{name}.k8s.example.com"),
            "config": config.to_string(),
        },
    }))
}
