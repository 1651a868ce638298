//! The story that `cargo xtask demo` tells: a real API server turns bad objects away, and `kubectl gitops check` would have
//! said so before.
//!
//! What is printed is what really happened. Where a step comes out in another way than the story says, it ends there.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::{env, fs};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result, bail, ensure};
use control_plane::{ARGO_CD_VERSION, Binaries, ControlPlane, argo_cd_crds};
use gitops_system_tests::programs::Programs;
use gitops_system_tests::{Webhook, effective, expose, path};
use tokio::task::spawn_blocking;

const TITLE: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();
/// How much of a rule's page is shown.
const SHOWN_PAGE_LINES: usize = 17;

/// The four that do not go in: what is wrong, the file, and the rule that says so.
const BAD: [(&str, &str, &str); 4] = [
    (
        "An Application that leaves its project's scope is refused",
        "out-of-scope.yaml",
        "project-scope",
    ),
    (
        "One that syncs production by itself is refused, though its author believed to have turned that off",
        "auto-sync.yaml",
        "prod-auto-sync",
    ),
    (
        "One that takes the autoscaler's replicas back at every sync is refused",
        "replicas.yaml",
        "replicas-ignored",
    ),
    (
        "A cluster Secret with a token that never expires is refused",
        "bearer-token.yaml",
        "cluster-credentials",
    ),
];

#[tokio::main]
async fn main() -> ExitCode {
    match tell().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn tell() -> Result<()> {
    progress("starting etcd and kube-apiserver");
    let control_plane = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    control_plane.install_crds(&crds).await?;
    control_plane
        .service_account("argocd", "argocd-server")
        .await?;
    let shell = Shell::new(&control_plane)?;

    title(&format!(
        "A devops cluster with the API of Argo CD {ARGO_CD_VERSION}, two workload clusters and their projects"
    ))?;
    shell.succeeds("kubectl apply -f tests/system/fleet")?;

    title("The gate is installed")?;
    shell.succeeds("kubectl apply -k manifests/crds")?;
    shell.succeeds(
        "kubectl wait --for=condition=Established crd/gitopspolicies.kubectl-gitops.io",
    )?;
    shell.succeeds("kubectl apply -k manifests/overlays/prod-devops")?;
    // There is no kubelet to run the Deployment's Pods.
    progress("starting gitops-webhook");
    let webhook = Webhook::start(&control_plane).await?;
    webhook.ready().await?;
    expose(&control_plane, &webhook).await?;
    effective(&control_plane).await?;

    title("An Application with which nothing is wrong goes in")?;
    shell.succeeds("kubectl apply -f tests/system/demo/orders.yaml")?;
    for (what, file, rule) in BAD {
        title(what)?;
        shell.is_refused(&format!("kubectl apply -f tests/system/demo/{file}"), rule)?;
    }
    title("What is there")?;
    shell.succeeds("kubectl get applications --namespace argocd")?;

    title(
        "The same verdicts on the files, with no cluster: what a pull request would have been told",
    )?;
    shell.finds_the_same("kubectl gitops check tests/system/demo --policy tests/system/fleet")?;
    title("Why")?;
    shell.begins("kubectl gitops explain prod-auto-sync")?;

    title("Next")?;
    say("kubectl gitops check FOLDER     judges your own repository")?;
    say("kubectl gitops explain          lists the rules")?;
    say("manifests/README.md             says how to install the gate on a cluster")
}

/// Where a person would type this.
struct Shell {
    path: std::ffi::OsString,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Shell {
    /// In which `kubectl` is the one that fits the API server, and finds its plugin.
    fn new(control_plane: &ControlPlane) -> Result<Self> {
        let kubectl = Binaries::locate()?.folder().to_owned();
        let programs = Programs::locate()?.folder().to_owned();
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = [kubectl, programs]
            .into_iter()
            .chain(env::split_paths(&path));
        Ok(Self {
            path: env::join_paths(folders).context("a folder's name cannot be in PATH")?,
            kubeconfig: control_plane.admin().kubeconfig().to_owned(),
            home: control_plane.folder().to_owned(),
        })
    }

    fn succeeds(&self, line: &str) -> Result<()> {
        let output = self.run(line)?;
        show(&text(&output))?;
        ensure!(
            output.status.success(),
            "this should have succeeded: {line}"
        );
        Ok(())
    }

    fn is_refused(&self, line: &str, rule: &str) -> Result<()> {
        let output = self.run(line)?;
        let text = text(&output);
        show(&text)?;
        let refused = format!("denied the request: {rule}: ");
        ensure!(
            !output.status.success() && text.contains(&refused) && !text.contains(" | "),
            "{rule}, and nothing else, should have refused this: {line}"
        );
        Ok(())
    }

    fn finds_the_same(&self, line: &str) -> Result<()> {
        let output = self.run_with(line, |command| command.env_remove("KUBECONFIG"))?;
        let text = text(&output);
        show(&text)?;
        let expected = BAD.map(|(_, file, rule)| (file, rule));
        let found = |(file, rule): (&str, &str)| {
            text.lines()
                .any(|found| found.contains(file) && found.contains(rule))
        };
        ensure!(
            output.status.code() == Some(1)
                && expected.into_iter().all(found)
                && !text.contains("demo/orders.yaml"),
            "the verdicts should have been those of the API server: {line}"
        );
        Ok(())
    }

    fn begins(&self, line: &str) -> Result<()> {
        let output = self.run(line)?;
        let text = text(&output);
        let lines: Vec<&str> = text.lines().take(SHOWN_PAGE_LINES).collect();
        show(&format!("{}\n…", lines.join("\n")))?;
        ensure!(
            output.status.success(),
            "this should have succeeded: {line}"
        );
        Ok(())
    }

    /// Runs a command line of plain words in the repository's root.
    fn run(&self, line: &str) -> Result<Output> {
        self.run_with(line, |command| command)
    }

    fn run_with(
        &self,
        line: &str,
        adapt: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Output> {
        writeln!(anstream::stdout(), "{COMMAND}$ {line}{COMMAND:#}").context("cannot print")?;
        let Some((program, arguments)) = line.split_once(' ') else {
            bail!("not a command: {line}");
        };
        let mut command = Command::new(self.find(program)?);
        command
            .args(arguments.split(' '))
            .current_dir(path("../.."))
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", &self.home)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        adapt(&mut command)
            .output()
            .with_context(|| format!("cannot run {line}"))
    }

    fn find(&self, program: &str) -> Result<PathBuf> {
        let mut places = env::split_paths(&self.path).map(|folder| folder.join(program));
        let found = places.find(|place| fs::metadata(place).is_ok_and(|file| file.is_file()));
        found.with_context(|| format!("there is no {program}"))
    }
}

fn text(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{stdout}{stderr}")
}

fn title(text: &str) -> Result<()> {
    writeln!(anstream::stdout(), "\n{TITLE}# {text}{TITLE:#}").context("cannot print")
}

fn say(text: &str) -> Result<()> {
    writeln!(anstream::stdout(), "{text}").context("cannot print")
}

fn show(output: &str) -> Result<()> {
    say(output.trim_end())
}

/// What is not part of the story.
fn progress(text: &str) {
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(anstream::stderr(), "{text}");
}
