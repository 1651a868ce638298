//! `kubectl gitops drift --engine` on a real API server: what Git says nothing of is told, with who
//! wrote it.

use std::fs;

use anyhow::{Context, Result};
use harness::argo_cd::Release;
use harness::objects::{Base, Session};
use harness::plugin::plugin_as;
use harness::{ControlPlane, argo_cd_crds, shared, succeed};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

/// What differs of an object: its path, cause, effect and managers.
fn fields(report: &Value, name: &str) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let applications = report["applications"].as_array().into_iter().flatten();
    let resources = applications.flat_map(|one| one["resources"].as_array().into_iter().flatten());
    let found = resources.filter(|one| one["name"] == name);
    found
        .flat_map(|one| {
            let fields = one["fields"].as_array().into_iter().flatten();
            fields.map(|field| {
                let managers = field["managers"].as_array().into_iter().flatten();
                let managers: Vec<String> = managers.map(|one| text(&one["manager"])).collect();
                let [path, cause, effect] =
                    [&field["path"], &one["cause"], &one["effect"]].map(text);
                [path, cause, effect, managers.join(" ")]
            })
        })
        .collect()
}

#[tokio::test]
async fn what_somebody_added_to_an_application_is_told_that_argo_cd_leaves_alone() -> Result<()> {
    let installation = shared().await?;
    let admin = installation.admin();
    let session = Session::of(admin).await?;
    let manifest = Base::Staging.with("drifting", "{}")?;
    let applied = admin
        .kubectl(["apply", "-f", "-"])
        .input(manifest.to_string())
        .run();
    applied.await?;
    // As if a root had applied it.
    let root = Base::Staging.with("drifting-root", "{}")?;
    session.create(&root).await?.admitted();
    let id = "drifting-root:argoproj.io/Application:argocd/drifting";
    let change = json!({
        "metadata": {"annotations": {"argocd.argoproj.io/tracking-id": id}},
        "spec": {"info": [{"name": "a", "value": "b"}], "revisionHistoryLimit": 3},
    });
    session
        .patch("Application", "drifting", &change)
        .await?
        .admitted();

    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("drifting.json"), manifest.to_string())?;
    let drift = plugin_as(admin)?
        .args(["drift", "--engine", "--kind", "application", "-o", "json"])
        .args(["-n", "argocd", "--checkout", "."])
        .current_dir(folder.path())
        .output()
        .await?;
    let told = String::from_utf8_lossy(&drift.stderr).into_owned();
    let report: Value = serde_json::from_slice(&drift.stdout).with_context(|| told.clone())?;
    let found = fields(&report, "drifting");
    let [[path, cause, effect, managers], [other, _, other_effect, _]] = found.as_slice() else {
        panic!("{found:?} {told}");
    };
    assert_eq!(
        [path.as_str(), cause, effect],
        ["/spec/info", "changed-by-hand", "nothing"],
        "{managers}"
    );
    assert_eq!(
        [other.as_str(), other_effect],
        ["/spec/revisionHistoryLimit", "nothing"]
    );
    assert!(
        !managers.contains("kubectl-client-side-apply"),
        "{managers}"
    );
    for name in ["drifting", "drifting-root"] {
        session.delete("Application", name).await?;
    }
    Ok(())
}

const URL: &str = "https://git.example.com/shop/fleet.git";

/// An Application that is to be there as a chart and a kustomization of the checkout make it.
fn child(name: &str) -> String {
    format!(
        r"apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {name}
spec:
  project: shop
  source: {{ repoURL: {URL}, path: shop }}
  destination: {{ name: staging, namespace: shop }}
"
    )
}

/// A chart and a kustomization, each with an Application.
fn checkout() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let chart = child("{{ .Values.name }}");
    for (path, text) in [
        (
            "chart/Chart.yaml",
            "apiVersion: v2\nname: apps\nversion: 1.0.0\n",
        ),
        ("chart/values.yaml", "name: of-chart\n"),
        ("chart/templates/application.yaml", &chart),
        ("base/application.yaml", &child("kustomization")),
        (
            "base/kustomization.yaml",
            "namePrefix: of-\nresources: [application.yaml]\n",
        ),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(path, text)?;
    }
    let init = std::process::Command::new("git")
        .args(["init", "--quiet"])
        .arg(folder.path())
        .status()?;
    anyhow::ensure!(init.success(), "git init: {init}");
    Ok(folder)
}

/// An Application that applies some: Argo CD lists them.
fn parent(name: &str, path: &str, children: &[&str]) -> Value {
    let listed = children.iter().map(|child| {
        json!({
            "group": "argoproj.io", "version": "v1alpha1", "kind": "Application",
            "namespace": "argocd", "name": child, "status": "Synced",
        })
    });
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": URL, "path": path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "argocd"},
        },
        "status": {"resources": listed.collect::<Vec<_>>()},
    })
}

fn applied_by(parent: &str, name: &str, automated: bool) -> Result<Value> {
    let mut object: Value = serde_saphyr::from_str(&child(name))?;
    let id = format!("{parent}:argoproj.io/Application:argocd/{name}");
    object["metadata"]["namespace"] = json!("argocd");
    object["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": id});
    if automated {
        object["spec"]["syncPolicy"] = json!({"automated": {}});
    }
    Ok(object)
}

#[tokio::test]
async fn applications_that_a_chart_or_a_kustomization_makes_are_compared() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    let admin = control_plane.admin();
    succeed(admin.kubectl(["create", "namespace", "argocd"])).await?;
    let objects = [
        parent("charts", "chart", &["of-chart", "of-nothing"]),
        parent("kustomizations", "base", &["of-kustomization"]),
        applied_by("charts", "of-chart", true)?,
        applied_by("charts", "of-nothing", false)?,
        applied_by("kustomizations", "of-kustomization", true)?,
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    succeed(admin.kubectl(["create", "-f", "-"]).input(list.to_string())).await?;
    let folder = checkout()?;
    // Kustomize is beside it.
    let helm = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
    let programs = helm.parent().context("helm is in a folder")?;

    let drift = async |path: &str| {
        let drift = plugin_as(admin)?
            .args(["drift", "--engine", "--kind", "application", "-o", "json"])
            .args(["-n", "argocd", "--checkout", ".", "--repository", URL])
            .current_dir(folder.path())
            .env("PATH", path)
            .output()
            .await?;
        anyhow::Ok((drift.status.code(), super::report(&drift)?))
    };
    let (code, report) = drift(&format!("{}:/usr/bin:/bin", programs.display())).await?;
    assert_eq!(code, Some(1), "{report}");
    for name in ["of-chart", "of-kustomization"] {
        let found = fields(&report, name);
        let [[path, cause, effect, _]] = found.as_slice() else {
            panic!("{name}: {found:?} {report}");
        };
        assert_eq!(
            [path.as_str(), cause, effect],
            ["/spec/syncPolicy", "changed-by-hand", "nothing"],
            "{name}"
        );
    }
    let extra = fields(&report, "of-nothing");
    assert_eq!((&*extra[0][0], &*extra[0][1]), ("", "extra"), "{extra:?}");

    // Nobody can tell without the programs.
    let (code, report) = drift("/usr/bin:/bin").await?;
    assert_eq!(code, Some(2), "{report}");
    for parent in ["charts", "kustomizations"] {
        let applications = report["applications"].as_array().context("none")?;
        let found = applications.iter().find(|one| one["name"] == parent);
        let reason = found.and_then(|one| one["reason"].as_str());
        let reason = reason.with_context(|| report.to_string())?;
        let told = format!("Application {parent} applies it, and what that applies is not known: ");
        assert!(reason.contains(&told), "{reason}");
    }
    Ok(())
}
