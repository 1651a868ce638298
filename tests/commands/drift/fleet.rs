//! 200 Applications on ten clusters, in a checkout and on an API server. Eight of the clusters are
//! that API server by another name; nobody listens at one, and one takes requests and does not
//! answer.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use harness::plugin::plugin;
use harness::{ControlPlane, argo_cd_crds, succeed};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::{all, report};

const CLUSTERS: usize = 10;
const UNREACHABLE: usize = 8;
const SLOW: usize = 9;
/// How many Applications a cluster has.
const EACH: usize = 20;
const URL: &str = "https://git.example.com/shop/fleet.git";
/// Longer than all of it may take, and much longer than it takes.
const WITHIN: Duration = Duration::from_mins(2);
const CREATIONS: usize = 16;

/// The fleet.
pub(crate) struct Fleet {
    pub(crate) control_plane: ControlPlane,
    pub(crate) checkout: TempDir,
    kubeconfig: PathBuf,
}

/// What becomes of an Application's one object, by the Application's number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Same,
    Changed,
    Missing,
    /// There is another one beside it.
    Extra,
}

impl Fate {
    fn of(number: usize) -> Self {
        match number % EACH {
            3 => Fate::Changed,
            7 => Fate::Missing,
            11 => Fate::Extra,
            _ => Fate::Same,
        }
    }
}

fn name(number: usize) -> String {
    format!("app-{number}")
}

fn application(number: usize) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name(number), "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": URL, "path": format!("apps/{}", name(number))},
            "destination": {"name": format!("c{}", number / EACH), "namespace": "shop"},
        },
    })
}

fn config_map(name: &str, greeting: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"greeting": greeting},
    })
}

/// An object as it is after a sync, marked as an Application's.
fn live(number: usize, name: &str, greeting: &str) -> Value {
    let mut object = config_map(name, greeting);
    let id = format!("{}:/ConfigMap:shop/{name}", self::name(number));
    object["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": id});
    object
}

/// A server that takes whatever comes and says nothing, until the process ends.
fn silent() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let taken: Vec<_> = listener.incoming().collect();
        drop(taken);
    });
    Ok(port)
}

/// A port at which nobody listens.
fn refusing() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Fleet {
    /// Makes all of it.
    pub(crate) async fn start() -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        let crds = spawn_blocking(argo_cd_crds).await??;
        control_plane.install_crds(&crds).await?;
        for namespace in ["argocd", "shop"] {
            let create = ["create", "namespace", namespace];
            succeed(control_plane.admin().kubectl(create)).await?;
        }
        let checkout = tempfile::tempdir()?;
        let git = Command::new("git")
            .args(["init", "--quiet"])
            .arg(checkout.path())
            .status();
        ensure!(git.await?.success(), "git init failed");
        for number in 0..CLUSTERS * EACH {
            let folder = checkout.path().join("apps").join(name(number));
            fs::create_dir_all(&folder)?;
            let manifest = config_map(&name(number), "hello").to_string();
            fs::write(folder.join("config.json"), manifest)?;
        }
        let fleet = Fleet {
            kubeconfig: kubeconfig(&control_plane)?,
            control_plane,
            checkout,
        };
        fleet.create().await?;
        Ok(fleet)
    }

    async fn create(&self) -> Result<()> {
        let secrets: Vec<Value> = (0..CLUSTERS)
            .map(|number| {
                let name = format!("c{number}");
                json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": name, "namespace": "argocd", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
                    "stringData": {"name": name, "server": format!("https://{name}.example.com"), "config": "{}"},
                })
            })
            .collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": secrets});
        let create = self.control_plane.admin().kubectl(["create", "-f", "-"]);
        succeed(create.input(list.to_string())).await?;
        let client = self.control_plane.admin().client().await?;
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
        let resource = ApiResource::from_gvk(&kind);
        let applications = Api::namespaced_with(client.clone(), "argocd", &resource);
        let written = (0..CLUSTERS * EACH).map(application);
        create_all::<DynamicObject>(&applications, written).await?;
        let seen = (0..UNREACHABLE * EACH).flat_map(|number| {
            let name = name(number);
            match Fate::of(number) {
                Fate::Same => vec![live(number, &name, "hello")],
                Fate::Changed => vec![live(number, &name, "hi")],
                Fate::Missing => Vec::new(),
                Fate::Extra => vec![
                    live(number, &name, "hello"),
                    live(number, &format!("{name}-extra"), "hello"),
                ],
            }
        });
        create_all(&config_maps(client), seen).await
    }

    /// `kubectl gitops drift`, as somebody who may do everything everywhere.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut plugin = plugin()?;
        plugin
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["drift", "--all-namespaces"])
            .args(arguments);
        Ok(plugin)
    }

    /// The same, of the checkout.
    pub(crate) fn command_by_checkout(&self, arguments: &[&str]) -> Result<Command> {
        let own = [
            "--source",
            "local",
            "--repository",
            URL,
            "--request-timeout",
            "3s",
        ];
        let mut command = self.command(&[&own[..], arguments].concat())?;
        command.arg("--checkout").arg(self.checkout.path());
        Ok(command)
    }

    /// What it prints.
    pub(crate) async fn drift(&self, arguments: &[&str]) -> Result<Output> {
        ended(self.command(arguments)?).await
    }

    async fn by_checkout(&self, arguments: &[&str]) -> Result<Output> {
        ended(self.command_by_checkout(arguments)?).await
    }
}

async fn ended(mut command: Command) -> Result<Output> {
    let output = tokio::time::timeout(WITHIN, command.output()).await;
    Ok(output.context("it does not end")??)
}

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "shop")
}

async fn create_all<T>(api: &Api<T>, objects: impl Iterator<Item = Value>) -> Result<()>
where
    T: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    stream::iter(objects)
        .map(|object| async move {
            let object = serde_json::from_value(object)?;
            api.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(CREATIONS)
        .try_collect()
        .await
}

/// The current context is the cluster that Argo CD runs on; there is one for each other.
fn kubeconfig(control_plane: &ControlPlane) -> Result<PathBuf> {
    let own = control_plane.admin().kubeconfig();
    let mut all: Value = serde_json::from_str(&fs::read_to_string(own)?)?;
    let (cluster, context) = (all["clusters"][0].clone(), all["contexts"][0].clone());
    for number in 0..CLUSTERS {
        let name = format!("c{number}");
        let (mut cluster, mut context) = (cluster.clone(), context.clone());
        cluster["name"] = json!(name);
        match number {
            UNREACHABLE => {
                cluster["cluster"]["server"] = json!(format!("https://127.0.0.1:{}", refusing()?));
            }
            SLOW => {
                cluster["cluster"]["server"] = json!(format!("https://127.0.0.1:{}", silent()?));
            }
            _ => {}
        }
        context["name"] = json!(name);
        context["context"]["cluster"] = json!(name);
        for (list, entry) in [("clusters", cluster), ("contexts", context)] {
            let entries = all[list].as_array_mut();
            entries.context("the kubeconfig has no list")?.push(entry);
        }
    }
    let path = own.with_file_name("fleet");
    fs::write(&path, all.to_string())?;
    Ok(path)
}

fn by_name(report: &Value) -> BTreeMap<&str, &Value> {
    let applications = report["applications"].as_array().into_iter().flatten();
    let named = applications.filter_map(|one| Some((one["name"].as_str()?, one)));
    named.collect()
}

#[tokio::test]
async fn a_fleet_is_told_whole_whatever_cannot_be_seen_of_it() -> Result<()> {
    let fleet = Fleet::start().await?;
    let output = fleet.by_checkout(&["-o", "json"]).await?;
    assert_eq!(output.status.code(), Some(2), "{}", all(&output));
    let whole = report(&output)?;
    let applications = by_name(&whole);
    assert_eq!(applications.len(), CLUSTERS * EACH);
    for number in 0..CLUSTERS * EACH {
        let one = applications[&*name(number)];
        let cluster = number / EACH;
        if cluster >= UNREACHABLE {
            assert_eq!(one["verdict"], "unknown", "{one}");
            let reason = one["reason"].as_str().context("there is no reason")?;
            let expected = match cluster {
                SLOW => "no answer within 3s",
                _ => "refused",
            };
            assert!(reason.contains("https://127.0.0.1:"), "{reason}");
            assert!(reason.contains(expected), "{reason}");
            continue;
        }
        let (verdict, cause) = match Fate::of(number) {
            Fate::Same => ("clean", Value::Null),
            Fate::Changed => ("drifted", json!("changed-by-hand")),
            Fate::Missing => ("drifted", json!("missing")),
            Fate::Extra => ("drifted", json!("extra")),
        };
        assert_eq!(one["verdict"], verdict, "{one}");
        assert_eq!(one["resources"][0]["cause"], cause, "{one}");
    }
    let unseen = (CLUSTERS - UNREACHABLE) * EACH;
    assert_eq!(whole["problems"].as_array().map(Vec::len), Some(unseen));
    let counts = json!({
        "applications": 200, "clean": 136, "drifted": 24, "stale": 0, "unknown": unseen, "resources": 24,
    });
    assert_eq!(whole["summary"], counts);
    let partial = fleet.by_checkout(&["--partial-ok"]).await?;
    assert_eq!(partial.status.code(), Some(1), "{}", all(&partial));

    shards_are_the_whole(&fleet, &whole).await
}

/// Three machines that read a part of the clusters each find what one finds that reads them all.
async fn shards_are_the_whole(fleet: &Fleet, whole: &Value) -> Result<()> {
    let mut files = Vec::new();
    for index in 0..3 {
        let shard = format!("{index}/3");
        let output = fleet
            .by_checkout(&["-o", "json", "--shard", &shard])
            .await?;
        let file = fleet.checkout.path().join(format!("shard-{index}.json"));
        fs::write(&file, &output.stdout)?;
        files.push(file.display().to_string());
    }
    let merge = async |files: &[String]| -> Result<Output> {
        let merge = plugin()?
            .args(["drift", "merge", "-o", "json"])
            .args(files)
            .output();
        Ok(merge.await?)
    };
    let merged = merge(&files).await?;
    assert_eq!(merged.status.code(), Some(2), "{}", all(&merged));
    assert_eq!(report(&merged)?, *whole);

    let missing = merge(&files[1..]).await?;
    assert_eq!(missing.status.code(), Some(2));
    let text = all(&missing);
    assert!(
        text.contains("error: shard 0/3: no report of it is there"),
        "{text}"
    );
    Ok(())
}
