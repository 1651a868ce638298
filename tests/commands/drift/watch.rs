//! `kubectl gitops drift --watch`: what changes on a real API server comes by itself, until it is
//! interrupted.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::plugin::plugin_as;
use harness::{ControlPlane, User, argo_cd_crds, succeed};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::spawn_blocking;

use super::Fleet;

/// Longer than anything takes here.
const WITHIN: Duration = Duration::from_mins(1);

fn application(name: &str, sync: &str) -> Value {
    let source = json!({"repoURL": "https://git.example.com/shop.git", "path": "deploy"});
    let destination = json!({"server": "https://kubernetes.default.svc", "namespace": "shop"});
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {"project": "default", "source": source, "destination": destination},
        "status": {
            "sync": {"status": sync, "comparedTo": {"source": source, "destination": destination}},
            "health": {"status": "Healthy"},
            "reconciledAt": jiff::Timestamp::now().to_string(),
            "resources": [{"version": "v1", "kind": "ConfigMap", "namespace": "shop", "name": name, "status": sync}],
        },
    })
}

/// A command that goes on.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(user: &User, arguments: &[&str]) -> Result<Self> {
        let mut command = plugin_as(user)?;
        command
            .args(["drift", "--all-namespaces", "--source=status", "--watch"])
            .args(arguments);
        Self::of(command)
    }

    fn of(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().context("there is no output")?;
        Ok(Watching {
            child,
            lines: BufReader::new(stdout).lines(),
        })
    }

    async fn line(&mut self) -> Result<String> {
        let line = tokio::time::timeout(WITHIN, self.lines.next_line()).await;
        line.context("nothing comes")??.context("it ended")
    }

    async fn report(&mut self) -> Result<Value> {
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    /// Ends it as Ctrl-C does.
    async fn interrupt(mut self) -> Result<Option<i32>> {
        let id = self.child.id().context("it ended")?.to_string();
        let kill = Command::new("kill").args(["-INT", &id]).status().await?;
        assert!(kill.success());
        let ended = tokio::time::timeout(WITHIN, self.child.wait()).await;
        Ok(ended.context("it does not end")??.code())
    }
}

async fn write(user: &User, verb: &str, object: &Value) -> Result<()> {
    succeed(user.kubectl([verb, "-f", "-"]).input(object.to_string())).await
}

fn verdicts(report: &Value) -> Vec<(&str, &str)> {
    let applications = report["applications"].as_array().into_iter().flatten();
    applications
        .filter_map(|one| Some((one["name"].as_str()?, one["verdict"].as_str()?)))
        .collect()
}

#[tokio::test]
async fn changes_come_by_themselves_until_it_is_interrupted() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    let admin = control_plane.admin();
    succeed(admin.kubectl(["create", "namespace", "argocd"])).await?;
    for name in ["cart", "orders"] {
        write(admin, "create", &application(name, "Synced")).await?;
    }

    let mut json = Watching::start(admin, &["-o", "json"])?;
    let mut table = Watching::start(admin, &["--project", "default"])?;
    let report = json.report().await?;
    assert_eq!(verdicts(&report), [("cart", "clean"), ("orders", "clean")]);
    assert_eq!(report["kind"], "DriftReport");

    // What was said before is not said again: not that it was compared anew, and not of others.
    write(admin, "replace", &application("orders", "Synced")).await?;
    write(admin, "replace", &application("cart", "OutOfSync")).await?;
    let report = json.report().await?;
    assert_eq!(verdicts(&report), [("cart", "drifted")]);
    assert_eq!(report["summary"]["resources"], 1);
    let row = loop {
        let line = table.line().await?;
        if line.starts_with("cart") {
            break line;
        }
    };
    assert!(row.contains("configmap/cart"), "{row}");

    write(admin, "create", &application("new", "OutOfSync")).await?;
    assert_eq!(verdicts(&json.report().await?), [("new", "drifted")]);
    let row = loop {
        let line = table.line().await?;
        if line.starts_with("new") {
            break line;
        }
        assert!(!line.contains("APPLICATION"), "{line}");
    };
    assert!(row.contains("configmap/new"), "{row}");

    write(admin, "replace", &application("cart", "Synced")).await?;
    assert_eq!(verdicts(&json.report().await?), [("cart", "clean")]);
    let row = loop {
        let line = table.line().await?;
        if line.starts_with("cart") {
            break line;
        }
    };
    assert!(row.contains("clean"), "{row}");

    // `new` still drifts.
    assert_eq!(json.interrupt().await?, Some(1));
    succeed(admin.kubectl(["delete", "application", "new", "--namespace=argocd"])).await?;
    write(admin, "create", &application("last", "Synced")).await?;
    let row = loop {
        let line = table.line().await?;
        if line.starts_with("last") {
            break line;
        }
    };
    assert!(row.contains("clean"), "{row}");
    assert_eq!(table.interrupt().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_watched_is_told() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    let nobody = control_plane.user("nobody@example.com", &[])?;
    for (arguments, expected) in [
        (
            &["--source=status"][..],
            "cannot watch applications.argoproj.io",
        ),
        (&["--source=status", "-o", "html"], "--watch has no -o html"),
    ] {
        let run = plugin_as(&nobody)?
            .args(["drift", "--all-namespaces", "--watch"])
            .args(arguments)
            .output();
        let output = tokio::time::timeout(WITHIN, run).await??;
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(expected), "{text}");
    }
    Ok(())
}

/// What is on a cluster is watched as well, and only what it has for Applications counts.
#[tokio::test]
async fn changes_on_a_cluster_come_by_themselves() -> Result<()> {
    let fleet = Fleet::start().await?;
    let admin = fleet.control_plane.admin();
    let flags = ["--watch", "-o", "json", "--cluster", "c0"];
    let mut watching = Watching::of(fleet.command_by_checkout(&flags)?)?;
    let report = watching.report().await?;
    assert_eq!(report["summary"]["applications"], 20);
    assert_eq!(report["summary"]["drifted"], 3);

    let greet = async |name: &str, greeting: &str| -> Result<()> {
        let patch = json!({"data": {"greeting": greeting}}).to_string();
        let arguments = [
            "patch",
            "configmap",
            name,
            "--namespace=shop",
            "--type=merge",
        ];
        succeed(admin.kubectl(arguments).arguments(["--patch", &patch])).await
    };
    greet("app-0", "hi").await?;
    assert_eq!(verdicts(&watching.report().await?), [("app-0", "drifted")]);
    greet("app-0", "hello").await?;
    assert_eq!(verdicts(&watching.report().await?), [("app-0", "clean")]);
    let delete = ["delete", "configmap", "app-11-extra", "--namespace=shop"];
    succeed(admin.kubectl(delete)).await?;
    assert_eq!(verdicts(&watching.report().await?), [("app-11", "clean")]);

    // Git says something else of an Application that is changed.
    let folder = fleet.checkout.path().join("apps/app-1/config.json");
    let manifest = fs::read_to_string(&folder)?.replace("hello", "good day");
    fs::write(&folder, manifest)?;
    let annotate = [
        "annotate",
        "application",
        "app-1",
        "--namespace=argocd",
        "note=x",
    ];
    succeed(admin.kubectl(annotate)).await?;
    assert_eq!(verdicts(&watching.report().await?), [("app-1", "drifted")]);
    assert_eq!(watching.interrupt().await?, Some(1));
    Ok(())
}
