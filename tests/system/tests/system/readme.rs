//! What the README shows works as it shows it.

use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result};
use gitops_system_tests::path;
use policy::GitOpsPolicy;

use crate::support::shared;

fn readme() -> Result<String> {
    Ok(fs::read_to_string(path("../../README.md"))?)
}

/// The only YAML in the README.
fn policy_example() -> Result<String> {
    let readme = readme()?;
    let (_, rest) = readme
        .split_once("```yaml\n")
        .context("no YAML in the README")?;
    let (example, _) = rest.split_once("```").context("the YAML has no end")?;
    Ok(example.to_owned())
}

#[tokio::test]
async fn the_policy_example_is_accepted() -> Result<()> {
    let example = policy_example()?;
    let policy: GitOpsPolicy = serde_saphyr::from_str(&example)?;
    assert_eq!(policy.metadata.name.as_deref(), Some("default"));
    let flags = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    let applied = shared()
        .await?
        .admin()
        .kubectl(flags)
        .input(&example)
        .run()
        .await?;
    assert!(applied.status.success(), "{applied:?}");
    Ok(())
}

#[test]
fn the_plugin_installs_and_checks() -> Result<()> {
    let install = "cargo install --path plugin ";
    let check = "kubectl gitops check\n";
    let readme = readme()?;
    assert!(readme.contains(install) && readme.contains(check));

    let folder = tempfile::tempdir()?;
    let cargo = env::var_os("CARGO").context("not run by cargo")?;
    // Without optimisation, from what is built already: that it installs does not depend on either.
    let installed = Command::new(cargo)
        .args([
            "install",
            "--path",
            "plugin",
            "--locked",
            "--debug",
            "--quiet",
            "--target-dir",
            "target",
        ])
        .arg("--root")
        .arg(folder.path())
        .current_dir(path("../.."))
        .stdin(Stdio::null())
        .status()?;
    assert!(installed.success());

    let plugin = folder.path().join("bin/kubectl-gitops");
    let checked = Command::new(plugin)
        .arg("check")
        .current_dir(path("demo"))
        .output()?;
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    Ok(())
}

#[test]
fn the_rules_in_the_readme_are_all_rules() -> Result<()> {
    let readme = readme()?;
    for rule in policy::registry::all() {
        let row = format!("| [`{0}`](docs/rules/{0}.md) |", rule.id);
        assert!(readme.contains(&row), "no {row}");
    }
    Ok(())
}
