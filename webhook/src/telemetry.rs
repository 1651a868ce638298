//! The log.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

use crate::args::LogFormat;

/// Writes the log to standard error from now on, at the level in `RUST_LOG`, or else `info`.
///
/// # Errors
/// `RUST_LOG` makes no sense, or the process has a log already.
pub fn init(format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()?
        .add_directive(quiet_client()?);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(anyhow::Error::from_boxed)
}

/// kube 5.0 logs a response that it cannot parse as a whole, as a warning (`kube_client::client`,
/// `Client::request`). A list of Secrets that is cut off would be such a response, so that module
/// is kept quiet whatever `RUST_LOG` says.
fn quiet_client() -> anyhow::Result<Directive> {
    Ok("kube_client::client=error".parse()?)
}
