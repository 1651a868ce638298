//! However a test ends, its Argo CD ends with it.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use harness::argo_cd::{ArgoCd, Devops, Guard, Programs};
use harness::eventually;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

/// Tells the re-executed test binary what it is for.
const OTHER_PROCESS: &str = "ARGO_CD_TEST_OTHER_PROCESS";
const GONE_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn nothing_is_left_when_the_process_is_killed() -> Result<()> {
    let (mut process, remains) = process_with_argo_cd().await?;
    let processes = remains.processes()?;
    // Argo CD's parts are one program under several names.
    let parts = [
        "argocd-application-controller",
        "argocd-applicationset-controller",
        "argocd-repo-server",
        "argocd-server",
    ];
    let others = ["etcd", "kube-apiserver", "kube-controller-manager", "redis"];
    for program in others.into_iter().chain(parts) {
        let is_one = |line: &&String| {
            let called = line.split(' ').next().unwrap_or_default();
            called.ends_with(&format!("/{program}"))
        };
        let count = processes.iter().filter(is_one).count();
        assert_eq!(count, 1, "{program} in {processes:#?}");
    }

    process.kill().await?;

    let gone = eventually(GONE_WITHIN, "Argo CD is gone", async || {
        let processes = remains.processes().map_err(|error| format!("{error:#}"))?;
        let left = (
            TcpStream::connect(remains.server).is_ok(),
            remains.folder.exists(),
        );
        match (left, processes.is_empty()) {
            ((false, false), true) => Ok(()),
            _ => Err(format!("(listens, has its folder) {left:?}, {processes:?}")),
        }
    });
    Ok(gone.await?)
}

/// Not a test, but what the test above executes in a process of its own: starts Argo CD, says where
/// it is, and waits to be killed.
#[tokio::test]
async fn other_process() -> Result<()> {
    if env::var_os(OTHER_PROCESS).is_none() {
        return Ok(());
    }
    let programs = spawn_blocking(Programs::locate).await??;
    let devops = Devops::start(Guard::None, &programs).await?;
    let argo_cd = ArgoCd::start(devops.control_plane(), &programs, &[]).await?;
    let folder = devops.control_plane().folder();
    println!("\nArgo CD: {} {}", argo_cd.server(), folder.display());
    std::future::pending().await
}

async fn process_with_argo_cd() -> Result<(Child, Remains)> {
    let mut process = Command::new(env::current_exe()?)
        .args(["--exact", "ending::other_process", "--nocapture"])
        .env(OTHER_PROCESS, "")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("standard output is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        let rest = line.strip_prefix("Argo CD: ");
        if let Some((server, folder)) = rest.and_then(|rest| rest.split_once(' ')) {
            let remains = Remains {
                server: server.parse()?,
                folder: PathBuf::from(folder),
            };
            return Ok((process, remains));
        }
    }
    bail!(
        "the other process started no Argo CD: {}",
        process.wait().await?
    )
}

/// What there is of Argo CD outside its process.
struct Remains {
    server: SocketAddr,
    folder: PathBuf,
}

impl Remains {
    /// The command lines of those that were told of the folder, there or in their environment.
    fn processes(&self) -> Result<Vec<String>> {
        let folder = self.folder.to_string_lossy();
        let command_lines = fs::read_dir("/proc")?.filter_map(|process| {
            // One that has ended since, or that belongs to somebody else, is none of them.
            let process = process.ok()?.path();
            let read = |name| fs::read(process.join(name)).ok();
            let command_line = String::from_utf8_lossy(&read("cmdline")?).replace('\0', " ");
            let environment = String::from_utf8_lossy(&read("environ")?).into_owned();
            [&command_line, &environment]
                .iter()
                .any(|text| text.contains(&*folder))
                .then_some(command_line)
        });
        Ok(command_lines.collect())
    }
}
