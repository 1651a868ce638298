//! `kubectl gitops check` says of files what the API server says of objects.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use gitops_system_tests::path;
use gitops_system_tests::programs::Programs;
use serde_json::Value;

use crate::rules::CASES;

/// The findings of `check` on one object, with the fleet's projects and clusters, as JSON.
fn check(object: &Value) -> Result<Vec<Value>> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("object.json"), object.to_string())?;
    let checked = Command::new(Programs::locate()?.plugin())
        .args(["check", "object.json", "-o", "json", "--policy"])
        .arg(path("fleet"))
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    let report: Value = serde_json::from_slice(&checked.stdout)
        .with_context(|| String::from_utf8_lossy(&checked.stderr).into_owned())?;
    let findings = report["findings"].as_array().context("findings")?.clone();
    let denied = findings.iter().any(|finding| finding["level"] == "deny");
    assert_eq!(checked.status.code(), Some(i32::from(denied)), "{report:#}");
    Ok(findings)
}

/// What [`crate::rules`] shows of the API server.
#[test]
fn what_the_api_server_admits_is_clean_and_what_it_refuses_is_denied_by_the_same_rule() -> Result<()>
{
    for case in &CASES {
        let admitted = check(&case.object.with("admitted", case.admitted)?)?;
        let denied = check(&case.object.with("denied", case.denied)?)?;

        assert_eq!(admitted, [] as [Value; 0], "{}", case.rule);
        let rules: Vec<&Value> = denied.iter().map(|finding| &finding["rule"]).collect();
        assert_eq!(rules, [case.rule], "{denied:#?}");
        assert_eq!(denied[0]["level"], "deny", "{denied:#?}");
    }
    Ok(())
}

/// The fleet itself is in order, and so are the objects that everything else starts from.
#[test]
fn the_fleet_is_clean() -> Result<()> {
    let checked = Command::new(Programs::locate()?.plugin())
        .args(["check", "--strict", "fleet", "objects"])
        .current_dir(path(""))
        .env_clear()
        .stdin(Stdio::null())
        .output()?;

    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    Ok(())
}
