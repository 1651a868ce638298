//! However a test process ends, the webhook ends with it.

use std::env;
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Installation, Overlay, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Set in the process that is killed.
const TO_BE_KILLED: &str = "GITOPS_SYSTEM_TEST_TO_BE_KILLED";
const GONE_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn when_the_process_is_killed() -> Result<()> {
    let mut process = Command::new(env::current_exe()?)
        .args(["--exact", "ending::other_process", "--nocapture"])
        .env(TO_BE_KILLED, "yes")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("standard output is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    let address: SocketAddr = loop {
        let line = lines.next_line().await?.context("it started no webhook")?;
        if let Some(address) = line.strip_prefix("webhook: ") {
            break address.parse()?;
        }
    };
    assert!(TcpStream::connect(address).is_ok());

    process.kill().await?;

    eventually(
        GONE_WITHIN,
        "the webhook is gone",
        async || match TcpStream::connect(address) {
            Ok(_) => Err("it listens"),
            Err(_) => Ok(()),
        },
    )
    .await?;
    Ok(())
}

/// Not a test, but what the test above executes in a process of its own.
#[tokio::test]
async fn other_process() -> Result<()> {
    if env::var_os(TO_BE_KILLED).is_none() {
        return Ok(());
    }
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    println!("\nwebhook: {}", installation.webhook().address());
    std::future::pending().await
}
