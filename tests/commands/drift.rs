//! `kubectl gitops drift` on a real API server: a fleet of 200 Applications on ten clusters, some of
//! which cannot be seen.

mod engine;
mod fleet;
mod hostile;
mod job;
mod watch;

use std::process::Output;

use anyhow::{Context, Result};
use serde_json::Value;

pub(crate) use self::fleet::Fleet;

/// What was printed, on both streams.
pub(crate) fn all(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|stream| String::from_utf8_lossy(stream).into_owned())
        .concat()
}

/// The report in an answer.
pub(crate) fn report(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| all(output))
}
