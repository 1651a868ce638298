//! What the pages show works as they show it. What needs no cluster is run by
//! `plugin/tests/docs.rs`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use gitops_documentation::{Page, RunBy, pages, root};
use harness::demo::Shell;
use harness::{ControlPlane, Webhook, argo_cd_crds, effective, path, serve, shared};
use policy::GitOpsPolicy;
use serde_json::Value;
use tokio::task::spawn_blocking;

const README: &str = "README.md";
/// What installs the webhook, and what takes its configuration away.
const INSTALL: &str = "kubectl apply -k manifests/overlays/prod-devops";

fn page(path: &str) -> Result<Page> {
    let page = pages(&root())?
        .into_iter()
        .find(|page| page.path == Path::new(path));
    page.with_context(|| format!("there is no {path}"))
}

/// A devops cluster as in the demo, without the webhook.
async fn devops_cluster() -> Result<(ControlPlane, Shell)> {
    let control_plane = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    control_plane
        .service_account("argocd", "argocd-server")
        .await?;
    let shell = Shell::new(&control_plane)?;
    shell.succeeds("kubectl apply -f tests/demo/fleet")?;
    shell.succeeds("kubectl apply -f tests/demo/changes/orders.yaml")?;
    Ok((control_plane, shell))
}

#[tokio::test]
async fn each_example_in_yaml_can_be_read_and_each_policy_is_accepted() -> Result<()> {
    let mut policies = 0;
    for page in pages(&root())? {
        // The pages of rules are run as they are, each with what it is about.
        if page.path.starts_with("docs/src/reference/rules") {
            continue;
        }
        let blocks = page.blocks().into_iter();
        for example in blocks.filter(|block| block.language == "yaml") {
            let object: Value = serde_saphyr::from_str(&example.text)?;
            if object["kind"] != "GitOpsPolicy" {
                continue;
            }
            let policy: GitOpsPolicy = serde_saphyr::from_str(&example.text)?;
            assert_eq!(policy.metadata.name.as_deref(), Some("default"));
            let flags = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
            let admin = shared().await?.admin();
            let applied = admin.kubectl(flags).input(&example.text).run().await?;
            assert!(applied.status.success(), "{applied:?}");
            policies += 1;
        }
    }
    assert!(policies >= 1, "no policy was found");
    Ok(())
}

#[test]
fn the_plugin_installs_and_checks() -> Result<()> {
    let commands = page(README)?.commands();
    let installs = |command: &gitops_documentation::Command| {
        command.line == "cargo install --path plugin --locked"
    };
    assert!(commands.iter().any(installs));

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
        .current_dir(path(".."))
        .stdin(Stdio::null())
        .status()?;
    assert!(installed.success());

    let plugin = folder.path().join("bin/kubectl-gitops");
    let checked = Command::new(plugin)
        .arg("check")
        .current_dir(path("demo/changes"))
        .output()?;
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    Ok(())
}

#[test]
fn the_rules_in_the_readme_are_all_rules_in_their_order() -> Result<()> {
    let rows = page(README)?.text;
    let rows = rows.lines().filter_map(|line| {
        line.strip_prefix("| [`")?
            .split_once("](")?
            .1
            .split_once(") | ")
    });
    let pages: Vec<_> = rows.map(|(page, _)| page.to_owned()).collect();
    let registered: Vec<_> = policy::registry::all()
        .map(|rule| format!("docs/src/reference/rules/{}.md", rule.id))
        .collect();
    assert_eq!(pages, registered);
    Ok(())
}

#[test]
fn the_readme_is_read_in_one_sitting() -> Result<()> {
    let lines = page(README)?.text.lines().count();
    assert!(lines <= 200, "it has {lines} lines");
    Ok(())
}

/// In the order of the pages and of each page, on one cluster.
#[tokio::test]
async fn the_commands_in_the_pages_that_need_a_cluster_work() -> Result<()> {
    let (control_plane, shell) = devops_cluster().await?;
    let mut webhook: Option<Webhook> = None;
    let mut commands = 0;
    for page in pages(&root())? {
        let shown = page.commands().into_iter();
        for command in shown.filter(|command| command.run_by() == Some(RunBy::ApiServer)) {
            let line = &command.line;
            let status = shell.run(line)?.status.code();
            // That something is denied is what these are asked.
            let judges = [" gitops check ", " gitops audit "];
            let judges = judges.iter().any(|command| line.contains(command));
            let works = status == Some(0) || (status == Some(1) && judges);
            ensure!(works, "{}: {line}: {status:?}", page.path.display());
            if line == INSTALL {
                match webhook {
                    None => webhook = Some(serve(&control_plane).await?),
                    Some(_) => effective(&control_plane).await?,
                }
            }
            commands += 1;
        }
    }
    assert!(commands >= 15, "only {commands} were found");
    Ok(())
}

/// `UPDATE_DOCS=1` in the environment puts it there.
#[tokio::test]
async fn the_picture_is_what_a_terminal_shows() -> Result<()> {
    const START: &str = "readme` -->\n```console\n";
    const END: &str = "```\n<!-- /picture -->";
    let (control_plane, shell) = devops_cluster().await?;
    shell.succeeds("kubectl apply -k manifests/crds")?;
    shell.succeeds(
        "kubectl wait --for=condition=Established crd/gitopspolicies.kubectl-gitops.io",
    )?;
    shell.succeeds(INSTALL)?;
    let _webhook = serve(&control_plane).await?;

    let mut picture = String::new();
    for (shell, line) in [
        (
            shell.clone().offline(),
            "kubectl gitops check tests/demo/changes/auto-sync.yaml --facts tests/demo/fleet",
        ),
        (shell, "kubectl apply -f tests/demo/changes/auto-sync.yaml"),
    ] {
        let outcome = shell.run(line)?;
        assert_eq!(outcome.status.code(), Some(1), "{}", outcome.text);
        let printed = outcome.text.lines().map(wrapped);
        let printed: String = printed.collect();
        let gap = if picture.is_empty() { "" } else { "\n" };
        let _ = write!(picture, "{gap}$ {line}\n{printed}");
    }

    let readme = page(README)?;
    let (before, rest) = readme.text.split_once(START).context("no picture")?;
    let (shown, after) = rest.split_once(END).context("the picture has no end")?;
    if env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{before}{START}{picture}{END}{after}");
        fs::write(root().join(README), text)?;
    } else {
        assert_eq!(shown, picture, "UPDATE_DOCS=1 writes it");
    }
    let lines = picture.lines().count();
    assert!(lines <= 15, "it has {lines} lines");
    Ok(())
}

/// A line as a terminal of 100 columns has room for it.
fn wrapped(line: &str) -> String {
    const COLUMNS: usize = 100;
    let mut wrapped = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let width = word.trim_end().chars().count();
        if column > 0 && column + width > COLUMNS {
            wrapped = wrapped.trim_end().to_owned() + "\n";
            column = 0;
        }
        wrapped += word;
        column += word.chars().count();
    }
    wrapped + "\n"
}
