//! A server of the harness, with its log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::process::Process;

/// How much of a log is worth showing.
const SHOWN_LOG_LINES: usize = 15;
/// Some log whole objects.
const SHOWN_LINE_LENGTH: usize = 500;

/// A running server. It is killed when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Component {
    name: &'static str,
    process: Mutex<Process>,
    log: PathBuf,
}

impl Component {
    /// Starts it, with its log in a folder.
    pub(crate) fn start(name: &'static str, command: &Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let stderr =
            File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let process =
            Process::spawn(command, stderr).with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name,
            process: Mutex::new(process),
            log,
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// All that it logged.
    pub fn log(&self) -> Result<String> {
        let bytes =
            fs::read(&self.log).with_context(|| format!("cannot read the log of {}", self.name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = process.ended();
        ended.with_context(|| format!("cannot look after {}", self.name))
    }

    /// How it is, and the last that it logged.
    pub(crate) fn state(&self) -> String {
        let state = match self.ended() {
            Ok(None) => "runs".to_owned(),
            Ok(Some(status)) => format!("has ended ({status})"),
            Err(error) => format!("{error:#}"),
        };
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].iter();
        let shown = shown.map(|line| line.chars().take(SHOWN_LINE_LENGTH).collect::<String>());
        let end = shown.collect::<Vec<_>>().join("\n");
        format!("{} {state}; end of its log:\n{end}", self.name)
    }
}
