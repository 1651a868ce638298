//! Processes on a core of their own, and what they cost.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// Which core the client runs on, and which one the server that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pinning {
    Cores {
        client: usize,
        server: usize,
    },
    /// There is one core only, or no `taskset`.
    None,
}

impl Pinning {
    /// Puts this process, and all that it starts, on the client's core.
    pub(crate) fn apply() -> Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        if cores < 2 || !available("taskset") {
            return Ok(Pinning::None);
        }
        let (client, server) = (0, 1);
        let own = std::process::id().to_string();
        let pinned = Command::new("taskset")
            .args([
                "--all-tasks",
                "--cpu-list",
                "--pid",
                &client.to_string(),
                &own,
            ])
            .stdout(Stdio::null())
            .status()?;
        ensure!(
            pinned.success(),
            "taskset cannot pin this process to core {client}"
        );
        Ok(Pinning::Cores { client, server })
    }

    fn command(self, program: &PathBuf) -> Command {
        let mut words: Vec<String> = Vec::new();
        // What is started does not outlive this process, however that ends.
        if available("setpriv") {
            words.extend(["setpriv", "--pdeathsig", "KILL"].map(str::to_owned));
        }
        if let Pinning::Cores { server, .. } = self {
            words.extend(["taskset", "--cpu-list", &server.to_string()].map(str::to_owned));
        }
        let mut words = words.into_iter();
        match words.next() {
            None => Command::new(program),
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
        }
    }
}

fn available(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A server. It ends when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program on the server's core, with what it says in a file.
    pub(crate) fn spawn(
        pinning: Pinning,
        program: &PathBuf,
        arguments: &[String],
        log: &PathBuf,
    ) -> Result<Self> {
        let log =
            fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = pinning
            .command(program)
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Process(child))
    }

    /// An error if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => anyhow::bail!("it ended: {status}"),
            None => Ok(()),
        }
    }

    /// The processor time that it has used, its threads' that have ended included.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.0.id());
        let stat = fs::read_to_string(&path)?;
        // The name, in parentheses, may hold anything.
        let (_, fields) = stat
            .rsplit_once(')')
            .with_context(|| format!("{path}: {stat}"))?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| -> Result<u64> {
            let field = fields
                .get(index)
                .with_context(|| format!("{path}: {stat}"))?;
            Ok(field.parse()?)
        };
        // utime and stime are the fields 14 and 15 of proc(5), in units that Linux shows as 1/100 s
        // everywhere.
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
    }

    /// Forgets the largest size up to now.
    pub(crate) fn reset_peak(&self) -> Result<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.0.id()), "5")?)
    }

    /// What it has in memory now, and at most since the last reset, in bytes.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.0.id());
        let status = fs::read_to_string(&path)?;
        let bytes = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let line = line.with_context(|| format!("{path} has no {name}"))?;
            let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kilobytes * 1024)
        };
        Ok(Memory {
            resident: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
        })
    }
}

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and nobody is there to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
