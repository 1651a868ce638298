//! `kubectl gitops preview` of a real API server: what it reads, as whom, and that nothing is
//! written.

use std::fs;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::objects::{Base, Session, Writer};
use harness::plugin::{plugin, plugin_as};
use harness::{User, eventually, shared};
use serde_json::{Value, json};

/// A watch tells within milliseconds; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(30);

/// One Application for each cluster that has a label of this test.
fn application_set(path: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "previewed", "namespace": "argocd"},
        "spec": {
            "generators": [{"clusters": {"selector": {"matchLabels": {"previewed": "true"}}}}],
            "template": {
                "metadata": {"name": "previewed-{{name}}"},
                "spec": {
                    "project": "shop-staging",
                    "source": {
                        "repoURL": "https://git.example.com/shop/orders.git",
                        "path": path,
                        "targetRevision": "v1.4.0",
                    },
                    "destination": {"name": "{{name}}", "namespace": "shop"},
                },
            },
        },
    })
}

/// A cluster Secret with the label.
fn cluster(name: &str) -> Result<Value> {
    let change = format!(
        "{{metadata: {{labels: {{previewed: 'true'}}}}, stringData: {{name: {name}, server: 'https://{name}.k8s.example.com'}}}}"
    );
    Base::Cluster.with(&format!("cluster-{name}"), &change)
}

/// Previews an object as a user, with kubectl's flags.
async fn preview(user: &User, object: &Value, flags: &[&str]) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("object.json"), object.to_string())?;
    let preview = plugin_as(user)?
        .args(["preview", "-f", "object.json", "-o", "json"])
        .args(flags)
        .current_dir(folder.path())
        .output();
    Ok(preview.await?)
}

/// `(name, change, verdict)` of each Application.
fn applications(preview: &Output) -> Result<Vec<[String; 3]>> {
    let report: Value = serde_json::from_slice(&preview.stdout)
        .with_context(|| String::from_utf8_lossy(&preview.stderr).into_owned())?;
    let applications = report["applications"].as_array().context("applications")?;
    Ok(applications
        .iter()
        .map(|application| {
            ["name", "change", "verdict"]
                .map(|key| application[key].as_str().unwrap_or_default().to_owned())
        })
        .collect())
}

fn told(preview: &Output) -> String {
    String::from_utf8_lossy(&preview.stderr).into_owned()
}

#[tokio::test]
async fn what_would_come_change_and_go_is_told_and_nothing_is_written() -> Result<()> {
    let installation = shared().await?;
    let admin = installation.admin();
    let session = Session::of(admin).await?;
    let row = |name: &str, change: &str, verdict: &str| [name, change, verdict].map(str::to_owned);

    session.create(&cluster("first")?).await?.admitted();
    let set = application_set("deploy");
    let created = preview(admin, &set, &[]).await?;
    assert_eq!(
        applications(&created)?,
        [row("previewed-first", "create", "denied")],
        "{}",
        told(&created)
    );
    assert_eq!(created.status.code(), Some(3), "{}", told(&created));

    // It says what the webhook would refuse, so the template gets a project that permits it.
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "previewed", "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["https://git.example.com/shop/*"],
            "destinations": [{"server": "https://*.k8s.example.com", "namespace": "shop"}],
        },
    });
    session.create(&project).await?.admitted();
    let in_project = |path: &str| {
        let mut set = application_set(path);
        set["spec"]["template"]["spec"]["project"] = "previewed".into();
        set["spec"]["template"]["spec"]["destination"] =
            json!({"server": "{{server}}", "namespace": "shop"});
        set
    };
    let admitted = preview(admin, &in_project("deploy"), &[]).await?;
    assert_eq!(
        applications(&admitted)?,
        [row("previewed-first", "create", "admitted")],
        "{}",
        told(&admitted)
    );
    assert!(session.get("ApplicationSet", "previewed").await?.is_none());

    session.create(&in_project("deploy")).await?.admitted();
    let same = preview(admin, &in_project("deploy"), &[]).await?;
    assert_eq!(
        (same.status.code(), applications(&same)?),
        (Some(0), vec![])
    );
    let changed = preview(admin, &in_project("charts"), &[]).await?;
    assert_eq!(
        applications(&changed)?,
        [row("previewed-first", "change", "admitted")]
    );
    let second = preview(admin, &cluster("second")?, &[]).await?;
    assert_eq!(
        applications(&second)?,
        [row("previewed-second", "create", "admitted")]
    );
    // The webhook counts the same, once its watch has told it of the ApplicationSet.
    eventually(WITHIN, "the webhook warns", async || {
        let apply = ["apply", "--dry-run=server", "-f", "-"];
        let second = cluster("second").map_err(|error| error.to_string())?;
        let applied = admin.kubectl(apply).input(second.to_string()).run().await;
        let told = applied.map_err(|error| error.to_string())?.stderr;
        let counted = told.contains("creates 1 Application (no environment 1)");
        if counted { Ok(()) } else { Err(told) }
    })
    .await?;
    let gone = preview(admin, &cluster("first")?, &["--delete"]).await?;
    assert_eq!(
        applications(&gone)?,
        [row("previewed-first", "delete", "admitted")]
    );
    assert!(session.get("Secret", "cluster-second").await?.is_none());
    assert!(session.get("Secret", "cluster-first").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn who_may_read_argo_cds_namespace_only_is_told_what_that_leaves_out() -> Result<()> {
    let developer = Writer::Developer.log_in(shared().await?).await?;
    let mut set = application_set("deploy");
    set["metadata"]["name"] = "previewed-by-a-developer".into();
    set["spec"]["generators"] = json!([{"list": {"elements": [{"name": "staging"}]}}]);

    let preview = preview(&developer, &set, &[]).await?;

    let told = told(&preview);
    assert_eq!(preview.status.code(), Some(1), "{told}");
    let [[name, change, verdict]] = &applications(&preview)?[..] else {
        panic!("{told}");
    };
    assert_eq!(
        [&**name, change, verdict],
        ["previewed-staging", "create", "admitted"]
    );
    for lacking in [
        "cannot list applicationsets.argoproj.io: ",
        "cannot get configmaps in namespace argocd: ",
        "cannot get gitopspolicies.kubectl-gitops.io: ",
        "cannot get customresourcedefinitions.apiextensions.k8s.io: ",
    ] {
        assert!(told.contains(lacking), "no {lacking} in {told}");
    }
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_is_told_what_is_missing_and_may_act_as_somebody_else() -> Result<()> {
    let installation = shared().await?;
    let stranger = installation
        .control_plane()
        .user("mallory@example.com", &["strangers"])?;
    let mut set = application_set("deploy");
    set["metadata"]["name"] = "previewed-by-a-stranger".into();
    set["spec"]["generators"] = json!([{"list": {"elements": []}}]);

    let refused = preview(&stranger, &set, &[]).await?;
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    let expected = "cannot list appprojects.argoproj.io in namespace argocd: ";
    assert!(told(&refused).contains(expected), "{}", told(&refused));
    assert!(
        told(&refused).contains("mallory@example.com"),
        "{}",
        told(&refused)
    );

    let as_stranger = ["--as", "mallory@example.com", "--as-group", "strangers"];
    let refused = preview(installation.admin(), &set, &as_stranger).await?;
    assert!(
        told(&refused).contains("mallory@example.com"),
        "{}",
        told(&refused)
    );

    let as_developer = ["--as", "alice@example.com", "--as-group", "developers"];
    let read = preview(installation.admin(), &set, &as_developer).await?;
    assert_eq!(read.status.code(), Some(0), "{}", told(&read));
    Ok(())
}

#[tokio::test]
async fn the_flags_of_kubectl_log_in_without_a_kubeconfig() -> Result<()> {
    let installation = shared().await?;
    let admin = installation.admin();
    let kubeconfig: Value = serde_json::from_slice(&fs::read(admin.kubeconfig())?)?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str, pointer: &str| -> Result<String> {
        let encoded = kubeconfig.pointer(pointer).and_then(Value::as_str);
        let path = folder.path().join(name);
        fs::write(
            &path,
            BASE64_STANDARD.decode(encoded.context("no such data")?)?,
        )?;
        Ok(path.display().to_string())
    };
    let authority = file("ca.crt", "/clusters/0/cluster/certificate-authority-data")?;
    let certificate = file("admin.crt", "/users/0/user/client-certificate-data")?;
    let key = file("admin.key", "/users/0/user/client-key-data")?;
    fs::write(
        folder.path().join("set.json"),
        application_set("deploy").to_string(),
    )?;
    let preview = async |flags: &[&str]| -> Result<Output> {
        let preview = plugin()?
            .args(["preview", "-f", "set.json", "--server"])
            .arg(installation.control_plane().url())
            .args(["--client-certificate", &certificate, "--client-key", &key])
            .args(flags)
            .current_dir(folder.path())
            .output();
        Ok(preview.await?)
    };

    let known = preview(&["--certificate-authority", &authority]).await?;
    assert!(
        matches!(known.status.code(), Some(0 | 1)),
        "{}",
        told(&known)
    );
    let unknown = preview(&[]).await?;
    assert_eq!(unknown.status.code(), Some(2), "{}", told(&unknown));
    let other_name = [
        "--certificate-authority",
        &authority,
        "--tls-server-name",
        "other.example.com",
    ];
    let other = preview(&other_name).await?;
    assert_eq!(other.status.code(), Some(2), "{}", told(&other));
    Ok(())
}
