//! `kubectl gitops check` says of files what the API server says of objects.

use std::fs;

use anyhow::{Context, Result};
use harness::path;
use harness::plugin::plugin;
use serde_json::Value;

use crate::rules::CASES;

/// The findings of `check` on one object, with the fleet's projects and clusters, as JSON.
async fn check(object: &Value) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("object.json"), object.to_string())?;
    let checked = plugin()?
        .args(["check", "object.json", "-o", "json", "--policy"])
        .arg(path("demo/fleet"))
        .current_dir(folder.path())
        .output()
        .await?;
    let report: Value = serde_json::from_slice(&checked.stdout)
        .with_context(|| String::from_utf8_lossy(&checked.stderr).into_owned())?;
    let findings = report["findings"].as_array().context("findings")?.clone();
    let denied = findings.iter().any(|finding| finding["level"] == "deny");
    assert_eq!(checked.status.code(), Some(i32::from(denied)), "{report:#}");
    Ok(findings)
}

/// What [`crate::rules`] shows of the API server.
#[tokio::test]
async fn what_the_api_server_admits_is_clean_and_what_it_refuses_is_denied_by_the_same_rule()
-> Result<()> {
    for case in &CASES {
        let admitted = check(&case.object.with("admitted", case.admitted)?).await?;
        let denied = check(&case.object.with("denied", case.denied)?).await?;

        assert_eq!(admitted, [] as [Value; 0], "{}", case.rule);
        let rules: Vec<&Value> = denied.iter().map(|finding| &finding["rule"]).collect();
        assert_eq!(rules, [case.rule], "{denied:#?}");
        assert_eq!(denied[0]["level"], "deny", "{denied:#?}");
    }
    Ok(())
}

/// The fleet itself is in order, and so are the objects that everything else starts from.
#[tokio::test]
async fn the_fleet_is_clean() -> Result<()> {
    let checked = plugin()?
        .args(["check", "--strict", "demo/fleet", "harness/objects"])
        .current_dir(path(""))
        .output()
        .await?;

    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    Ok(())
}
