//! Measures the webhook beside a bare server and Open Policy Agent, all in one run.
//!
//! Each gets the same reviews over the same kind of connection: HTTP/1.1 with keep-alive over TLS,
//! as an API server calls a webhook. A connection sends its next request when it has the answer to
//! the last one. The servers have one core and the client has another; they are measured in turn,
//! again and again, so that whatever else the machine does falls on all of them. Only loopback is
//! used.

mod client;
mod load;
mod machine;
mod measure;
mod process;
mod report;
mod servers;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::servers::ServerKind;

/// Measures gitops-webhook beside a bare server and Open Policy Agent.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = ServerKind::ALL)]
    servers: Vec<ServerKind>,
    /// Connections that are open at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    connections: Vec<usize>,
    /// How often each server is measured with each number of connections.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long one measurement takes at most, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How many requests one measurement sends at most.
    #[arg(long, default_value_t = 50_000)]
    requests: usize,
    /// How many starts are timed.
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// How many Applications the API server holds meanwhile.
    #[arg(long, default_value_t = 5000)]
    applications: usize,
    /// Folder of gitops-webhook and gitops-bench-floor; by default that of this program.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Write all that was measured there, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Args {
    fn limits(&self) -> load::Limits {
        load::Limits {
            duration: Duration::from_secs_f64(self.seconds.clamp(0.1, 60.0)),
            requests: self.requests,
        }
    }
}

/// One thread, so that the client has one core at most, and the servers are the main thread's
/// children.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let report = measure::run(&args).await?;
    let json = serde_json::to_vec_pretty(&report)?;
    if let Some(path) = &args.json {
        fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    write!(std::io::stdout().lock(), "{report}")?;
    Ok(if report.is_right() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
