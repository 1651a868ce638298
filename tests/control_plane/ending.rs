//! However a test process ends, its control plane ends with it.

use std::env;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use harness::{ControlPlane, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

type Result<T = ()> = anyhow::Result<T>;

/// Names the way in which the re-executed test binary ends.
const ENDING: &str = "CONTROL_PLANE_TEST_ENDING";
const GONE_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn when_it_is_dropped() -> Result {
    let control_plane = ControlPlane::start().await?;
    let remains = Remains::of(&control_plane)?;
    remains.assert_there();

    drop(control_plane);

    remains.assert_gone();
    Ok(())
}

#[tokio::test]
async fn when_the_process_is_killed() -> Result {
    let (mut process, remains) = process_with_a_control_plane("wait to be killed").await?;
    remains.assert_there();

    process.kill().await?;

    remains.eventually_gone().await
}

#[tokio::test]
async fn when_the_process_panics() -> Result {
    let (mut process, remains) = process_with_a_control_plane("panic").await?;

    assert!(!process.wait().await?.success());

    remains.eventually_gone().await
}

#[tokio::test]
async fn when_it_is_kept_in_a_static_and_never_dropped() -> Result {
    let (mut process, remains) = process_with_a_control_plane("return").await?;

    assert!(process.wait().await?.success());

    remains.eventually_gone().await
}

/// Not a test, but what the tests above execute in a process of its own: starts a control plane,
/// says where it is, and ends as it is told.
#[tokio::test]
async fn other_process() -> Result {
    static KEPT: OnceLock<ControlPlane> = OnceLock::new();
    let Ok(ending) = env::var(ENDING) else {
        return Ok(());
    };
    let control_plane = ControlPlane::start().await?;
    let Remains { address, folder } = Remains::of(&control_plane)?;
    println!("\ncontrol plane: {address} {}", folder.display());
    match ending.as_str() {
        "panic" => panic!("as it was told"),
        "return" => {
            let _ = KEPT.set(control_plane);
        }
        _ => std::future::pending::<()>().await,
    }
    Ok(())
}

async fn process_with_a_control_plane(ending: &str) -> Result<(Child, Remains)> {
    let mut process = Command::new(env::current_exe()?)
        .args(["--exact", "ending::other_process", "--nocapture"])
        .env(ENDING, ending)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines =
        BufReader::new(process.stdout.take().context("standard output is piped")?).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some((address, folder)) = line
            .strip_prefix("control plane: ")
            .and_then(|rest| rest.split_once(' '))
        {
            let remains = Remains {
                address: address.parse()?,
                folder: PathBuf::from(folder),
            };
            // The process goes on printing, which fails once nobody can read it.
            process.stdout = Some(lines.into_inner().into_inner());
            return Ok((process, remains));
        }
    }
    anyhow::bail!(
        "the other process started no control plane: {}",
        process.wait().await?
    )
}

/// What there is of a control plane outside its process.
struct Remains {
    address: SocketAddr,
    folder: PathBuf,
}

impl Remains {
    fn of(control_plane: &ControlPlane) -> Result<Self> {
        let address = control_plane
            .url()
            .strip_prefix("https://")
            .context("an https address")?
            .parse()?;
        let folder = control_plane
            .audit_log()?
            .parent()
            .context("a folder")?
            .to_owned();
        Ok(Self { address, folder })
    }

    fn state(&self) -> (bool, bool) {
        (
            TcpStream::connect(self.address).is_ok(),
            self.folder.exists(),
        )
    }

    fn assert_there(&self) {
        assert_eq!(self.state(), (true, true), "(listens, has its folder)");
    }

    fn assert_gone(&self) {
        assert_eq!(self.state(), (false, false), "(listens, has its folder)");
    }

    async fn eventually_gone(&self) -> Result {
        let gone = eventually(
            GONE_WITHIN,
            "the control plane is gone",
            async || match self.state() {
                (false, false) => Ok(()),
                (listens, folder) => Err(format!("listens: {listens}, has its folder: {folder}")),
            },
        );
        Ok(gone.await?)
    }
}
