//! What the numbers were measured on.

use std::fs;

use anyhow::Result;
use serde::Serialize;

/// The machine.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Load average over a minute before anything was started.
    pub(crate) load_before: f64,
}

impl Machine {
    /// This one.
    pub(crate) fn describe(cores: usize) -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let model = model
            .unwrap_or(": unknown")
            .trim_start_matches([' ', '\t', ':']);
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Machine {
            processor: model.to_owned(),
            cores,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            load_before: load.split(' ').next().unwrap_or_default().parse()?,
        })
    }
}
