//! `kubectl gitops drift --engine` on a real API server: what Git says nothing of is told, with who
//! wrote it.

use std::fs;

use anyhow::{Context, Result};
use harness::objects::{Base, Session};
use harness::plugin::plugin_as;
use harness::shared;
use serde_json::{Value, json};

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
