//! What `cluster onboard --terraform` writes is formatted as `tofu fmt` and `terraform fmt` do it.
//!
//! Their formatter is that of the module `hcl`, whose own command `hclfmt` is run here.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use harness::GoPrograms;
use harness::programs::Programs;

const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/eks/prod-eu.json");
const ENGINE: &str = "arn:aws:iam::111122223333:role/argocd";

fn hclfmt() -> GoPrograms {
    GoPrograms {
        cache: "hclfmt",
        go_mod: include_str!("hclfmt/go.mod"),
        go_sum: include_str!("hclfmt/go.sum"),
        sources: &[],
        linker_flags: "-s -w".to_owned(),
        packages: &[("hclfmt", "github.com/hashicorp/hcl/v2/cmd/hclfmt")],
        files: &[],
    }
}

/// What the formatter says of a file.
fn format(hclfmt: &Path, file: &Path) -> Result<Output> {
    let mut command = Command::new(hclfmt);
    Ok(command.arg("-require-no-change").arg(file).output()?)
}

fn all_is_formatted(hclfmt: &Path, plugin: &Path, asked: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let written = folder.path().join("aws");
    let mut command = Command::new(plugin);
    command
        .args(["cluster", "onboard", "prod-eu", "--describe", CLUSTER])
        .args(["--engine-role-arn", ENGINE, "--terraform"])
        .arg(&written)
        .args(asked);
    let told = command.output()?;
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    let mut files = 0;
    for file in fs::read_dir(&written)? {
        let file = file?.path();
        let formatted = format(hclfmt, &file)?;
        let text = String::from_utf8_lossy(&formatted.stdout);
        ensure!(
            formatted.status.success(),
            "{} should be {text}",
            file.display()
        );
        ensure!(text == fs::read_to_string(&file)?);
        files += 1;
    }
    ensure!(files == 2, "{told}");
    Ok(())
}

#[test]
fn what_is_written_for_terraform_is_formatted() {
    let hclfmt = hclfmt().built_once().unwrap().join("hclfmt");
    let programs = Programs::locate().unwrap();
    let of_role = ["--create-role", "argocd", "--engine-cluster", "devops"];
    let scope = [
        "--access-policy",
        "AmazonEKSEditPolicy",
        "--access-namespaces",
        "a,b*",
    ];
    let with_path = "arn:aws:iam::444455556666:role/fleet/argocd";
    for asked in [
        &of_role[..],
        &[&of_role[..], &scope].concat(),
        &[
            &of_role[..],
            &[
                "--kubernetes-group",
                "deployers",
                "--profile",
                "it's ${mine}",
            ],
        ]
        .concat(),
        &["--role-arn", with_path, "--engine-cluster", "devops"],
        &["--capability"],
    ] {
        let formatted = all_is_formatted(&hclfmt, &programs.plugin(), asked);
        assert!(formatted.is_ok(), "{asked:?}: {:#}", formatted.unwrap_err());
    }

    // It tells what is not.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("main.tf");
    fs::write(&file, "a  = 1\n").unwrap();
    assert!(!format(&hclfmt, &file).unwrap().status.success());
}
