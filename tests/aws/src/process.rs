//! A server that does not outlive this process.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// Kills the server when standard input is closed, which the kernel does however this process ends.
const SUPERVISE: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -KILL "$server"; } 2>/dev/null &
reader=$!
wait "$server"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
"#;

/// How much of a log is worth showing.
const SHOWN_LOG_LINES: usize = 20;

/// A running server with its log.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    supervisor: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts a server that finds nothing of our environment, with its log in a folder.
    pub(crate) fn start(name: &'static str, server: &Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut supervisor = Command::new("/bin/sh");
        supervisor
            .args(["-c", SUPERVISE, "supervise"])
            .arg(server.get_program())
            .args(server.get_args())
            .env_clear()
            .envs(
                server
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        if let Some(folder) = server.get_current_dir() {
            supervisor.current_dir(folder);
        }
        let supervisor = supervisor
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A Ctrl-C in the terminal is for the test process; the supervisor must outlive it to
            // clean up.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name,
            supervisor: Mutex::new(supervisor),
            log,
        })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let mut supervisor = self
            .supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        supervisor.try_wait().ok().flatten()
    }

    /// How it is, and the last that it logged.
    pub(crate) fn state(&self) -> String {
        let state = match self.ended() {
            Some(status) => format!("has ended ({status})"),
            None => "runs".to_owned(),
        };
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n");
        format!("{} {state}; end of its log:\n{end}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut();
        // Waiting closes standard input first, upon which the server is killed.
        let _ = supervisor.unwrap_or_else(PoisonError::into_inner).wait();
    }
}
