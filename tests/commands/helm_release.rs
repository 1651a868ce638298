//! What Terraform has installed by the real `helm_release`, as OpenTofu and the provider leave it.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use harness::addon::{ADDRESS, NAME, Stack, write_chart};
use harness::plugin::plugin_as;
use harness::{Installation, Overlay, User, path};
use serde_json::{Value, json};

/// `addon list` of the API server, which is the cluster `staging`.
async fn listed(user: &User) -> Result<Value> {
    let kubeconfig: Value = serde_json::from_str(&fs::read_to_string(user.kubeconfig())?)?;
    let context = kubeconfig["contexts"][0]["name"].as_str();
    let context = context.context("the kubeconfig has no context")?;
    let output = plugin_as(user)?
        .args(["addon", "list", "--clusters=staging", "-o=json"])
        .args(["--context-for", &format!("staging={context}")])
        .output()
        .await?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(0), "{complaints}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[tokio::test]
async fn a_release_of_terraform_is_listed_as_terraforms() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    let admin = installation.admin();
    let folder = tempfile::tempdir()?;
    write_chart(folder.path())?;
    let values = "logLevel: debug\nstore: {replicas: 2}\n";
    let stack = Stack::new(folder.path(), "staging", admin, values).await?;
    stack.apply().await?;

    let report = listed(admin).await?;
    let release = &report["releases"][0];
    let owners = release["managedBy"].as_array().context("managedBy")?;
    let owners: Vec<_> = owners.iter().map(|owner| &owner["name"]).collect();
    assert_eq!(owners, ["Terraform"], "{report}");
    assert_eq!(
        json!([
            release["namespace"],
            release["name"],
            release["chart"]["version"],
            release["objects"],
            release["missingObjects"],
            release["hooks"],
        ]),
        json!([NAME, NAME, "1.4.0", 7, 0, 1]),
    );

    // Nothing is to be done for it, until it is no longer wanted.
    let plan: Value = serde_json::from_str(&stack.plan().await?)?;
    assert_eq!(actions(&plan), [json!([ADDRESS, ["no-op"]])]);
    is_as_recorded("state.json", &stack.state().await?)?;
    stack.edit("resource \"helm_release\" \"issuer\" {", "/* resource {")?;
    stack.edit("  wait             = false\n}", "*/")?;
    let plan = stack.plan().await?;
    is_as_recorded("plan-delete.json", &plan)?;
    let plan: Value = serde_json::from_str(&plan)?;
    assert_eq!(actions(&plan), [json!([ADDRESS, ["delete"]])]);
    // A `removed` block lets go of it.
    stack.edit(
        "/* resource {",
        &format!(
            "removed {{\n  from = {ADDRESS}\n  lifecycle {{\n    destroy = false\n  }}\n}}\n/* {{"
        ),
    )?;
    let plan = stack.plan().await?;
    is_as_recorded("plan-forget.json", &plan)?;
    let plan: Value = serde_json::from_str(&plan)?;
    assert_eq!(actions(&plan), [json!([ADDRESS, ["forget"]])]);
    stack.apply().await?;
    let plan: Value = serde_json::from_str(&stack.plan().await?)?;
    assert_eq!(actions(&plan), [] as [Value; 0]);
    assert_eq!(listed(admin).await?["releases"][0]["missingObjects"], 0);
    Ok(())
}

/// What a plan does, by the addresses of the resources.
fn actions(plan: &Value) -> Vec<Value> {
    let changes = plan["resource_changes"].as_array().into_iter().flatten();
    changes
        .map(|change| json!([change["address"], change["change"]["actions"]]))
        .collect()
}

/// The plugin's own tests read what was recorded here, which is without what differs from run to
/// run.
fn is_as_recorded(name: &str, shown: &str) -> Result<()> {
    let mut shown: Value = serde_json::from_str(shown)?;
    without_what_differs(&mut shown);
    let written = serde_json::to_string_pretty(&shown)? + "\n";
    let path: PathBuf = path("../plugin/src/terraform/recorded").join(name);
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().context("it is in a folder")?)?;
        fs::write(path, written)?;
        return Ok(());
    }
    let recorded = fs::read_to_string(&path)?;
    ensure!(
        recorded == written,
        "{} should be {written}",
        path.display()
    );
    Ok(())
}

fn without_what_differs(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), &*field) {
                    ("timestamp", Value::String(_)) => *field = "2026-01-01T00:00:00Z".into(),
                    ("kubeconfig", Value::Object(_)) => *field = json!({"value": "kubeconfig"}),
                    _ => without_what_differs(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_what_differs),
        _ => {}
    }
}
