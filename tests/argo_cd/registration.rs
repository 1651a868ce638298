//! From an empty cluster to one that Argo CD deploys to, by the commands of the page about it, and
//! without a bearer token.
//!
//! Argo CD, its `argocd-k8s-auth`, the authenticator of EKS and both API servers are the real ones.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use gitops_documentation::Page;
use harness::argo_cd::{Release, Repository};
use harness::demo::Shell;
use harness::{ControlPlane, path, succeed};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::on_eks::{World, only_expected};
use crate::walk_through::{BEGIN, END, MARK, commands, compare, page};

const PAGE: &str = "docs/src/register.md";
const README: &str = "README.md";
const CLUSTER: &str = "shop-staging";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_registered_by_one_command_and_no_bearer_token_is_anywhere() -> Result<()> {
    let world = World::start(CLUSTER).await?;
    let [page, readme] = [page(PAGE)?, page(README)?];
    let folder = world.devops.control_plane().folder();
    let repository = Repository::of(&path("argo_cd/registration"), folder.join("platform.git"))?;
    let shell = world.shell()?.in_folder(repository.folder());
    let shell = shell.hiding("file://", "<folder>", "/platform.git");
    let shell = shell.hiding_times();
    let shown = page.text.clone();
    let walk = spawn_blocking(move || walk(&shell, &shown));
    let walked = world.workload.following(&world.aws, walk).await??;
    let walked = walked.with_context(|| world.state())?;
    walked.includes_those_of(&readme)?;
    if Release::chosen()?.is_newest() {
        compare(&page, &walked.page(&world)?)?;
    }

    is_deployed_by_argo_cd(world.workload.control_plane()).await?;
    world.aws.agrees_with_the_model()?;

    let mut search = world.search().await?;
    search.text("what was printed", walked.printed.as_bytes());
    only_expected(&search)?;
    planted_tokens_are_found(&world).await
}

/// What came of the commands of a page.
struct Walked {
    /// The page, with what the commands printed.
    page: String,
    /// All that they printed.
    printed: String,
    /// Those that were run.
    commands: Vec<String>,
}

impl Walked {
    /// What another page shows of this in short is what was run.
    fn includes_those_of(&self, page: &Page) -> Result<()> {
        let words = |command: &str| {
            let command = command.replace("\\\n", "");
            let command = command.split(" > ").next().unwrap_or_default().to_owned();
            command.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let walked: Vec<_> = self.commands.iter().map(|command| words(command)).collect();
        let mut shown = page.blocks().into_iter();
        let shown = shown.find(|block| block.text.contains("cluster onboard shop-staging"));
        let shown = shown.with_context(|| format!("{} has no block", page.path.display()))?;
        for command in shown.text.replace("\\\n", "").lines() {
            let command = words(command);
            ensure!(
                walked.contains(&command),
                "{command}: {PAGE} does not have it"
            );
        }
        Ok(())
    }

    /// The page without what is another text in every run.
    fn page(&self, world: &World) -> Result<String> {
        let authority = world.workload.certificate_authority()?;
        let url = world.workload.control_plane().url();
        let page = self.page.replace(&authority, "<certificate authority>");
        Ok(page.replace(url, "https://127.0.0.1:<port>"))
    }
}

/// Runs the commands of a page in their order.
fn walk(shell: &Shell, page: &str) -> Result<Walked> {
    let mut walked = Walked {
        page: String::new(),
        printed: String::new(),
        commands: Vec::new(),
    };
    let mut rest = page;
    while let Some((before, marked)) = rest.split_once(MARK) {
        let (mark, block) = marked.split_once(BEGIN).context("there is no block")?;
        let (block, after) = block.split_once(END).context("a block has no end")?;
        let mut transcripts = Vec::new();
        for command in commands(block) {
            let outcome = shell.run(&command)?;
            let transcript = format!("$ {command}\n{}\n", outcome.text.trim_end());
            // A plan is not carried out by being looked at.
            let is_plan = command.contains(" onboard ") && !command.contains(" --apply");
            let expected = i32::from(is_plan);
            ensure!(outcome.status.code() == Some(expected), transcript);
            walked.printed += &transcript;
            walked.commands.push(command);
            transcripts.push(transcript);
        }
        let transcript = transcripts.join("\n");
        walked
            .page
            .extend([before, MARK, mark, BEGIN, &transcript, END]);
        rest = after;
    }
    ensure!(!walked.commands.is_empty(), "the page has no commands");
    walked.page += rest;
    Ok(walked)
}

/// What the repository has is on the cluster, and nobody has put it there but Argo CD, as its role
/// of AWS.
async fn is_deployed_by_argo_cd(control_plane: &ControlPlane) -> Result<()> {
    let names = ["configmap/reporter", "service/reporter"];
    let get = control_plane
        .admin()
        .kubectl(["get", "--namespace", "reporter"]);
    succeed(get.arguments(names)).await?;
    let log = fs::read_to_string(control_plane.audit_log()?)?;
    let mut writers = Vec::new();
    for line in log.lines() {
        let request: Value = serde_json::from_str(line)?;
        let object = &request["objectRef"];
        let is_write = ["create", "patch", "update"]
            .map(Value::from)
            .contains(&request["verb"]);
        if is_write && object["name"] == "reporter" && request["responseStatus"]["code"] == 201 {
            writers.push(
                request["user"]["username"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
    // That is what the SDK of Go calls a session for which it is told no name.
    let by_argo_cd = "arn:aws:sts::111122223333:assumed-role/argocd/aws-go-sdk-";
    let by_others = writers
        .iter()
        .filter(|writer| !writer.starts_with(by_argo_cd));
    ensure!(
        writers.len() >= names.len() && by_others.count() == 0,
        "{writers:?}"
    );
    Ok(())
}

/// The same search finds a token in each place where one could be.
async fn planted_tokens_are_found(world: &World) -> Result<()> {
    let control_plane = world.workload.control_plane();
    let manager = control_plane.service_account("kube-system", "argocd-manager");
    let kubeconfig: Value = serde_json::from_slice(&fs::read(manager.await?.kubeconfig())?)?;
    let token = kubeconfig["users"][0]["user"]["token"].as_str();
    let token = token.context("the kubeconfig has no token")?.to_owned();
    let metadata = json!({"name": "planted", "namespace": "default"});
    let config = json!({"bearerToken": &token}).to_string();
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": &metadata, "stringData": {"config": config}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": &metadata, "data": {"token": &token}},
        {
            "apiVersion": "v1", "kind": "Event", "metadata": &metadata, "message": &token,
            "involvedObject": {"kind": "Secret", "name": "planted", "namespace": "default"},
        },
    ]});
    for control_plane in [control_plane, world.devops.control_plane()] {
        let create = control_plane.admin().kubectl(["create", "--filename", "-"]);
        succeed(create.input(objects.to_string())).await?;
    }
    let log = world
        .devops
        .control_plane()
        .folder()
        .join("argo-cd/planted.log");
    fs::write(&log, format!("time=now msg=\"{token}\""))?;
    // It ends with its standard input.
    let mut process = Command::new("/bin/sh")
        .args(["-c", "read line", "sh", &token])
        .env("HOME", world.devops.control_plane().folder())
        .stdin(Stdio::piped())
        .spawn()?;

    let found = world.search().await?.found;
    drop(process.stdin.take());
    process.wait()?;
    let of_token = "system:serviceaccount:kube-system:argocd-manager";
    let places: Vec<_> = found
        .iter()
        .filter(|found| found.subject.as_deref() == Some(of_token))
        .map(|found| found.place.clone())
        .collect();
    let mut expected = vec![
        log.display().to_string(),
        format!("process {}, cmdline", process.id()),
    ];
    for cluster in ["devops", CLUSTER] {
        for kind in ["Secret", "ConfigMap", "Event"] {
            expected.push(format!("{cluster}: {kind} default planted"));
        }
    }
    for place in expected {
        ensure!(
            places.contains(&place),
            "nothing is found in {place}: {places:?}"
        );
    }
    Ok(())
}
