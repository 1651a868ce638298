//! What was measured, for people and for programs.

use std::fmt;
use std::time::Duration;

use gitops_bench::corpus::Updates;
use serde::Serialize;

use crate::load::Loaded;
use crate::machine::Machine;
use crate::process::Memory;
use crate::servers::ServerKind;

/// A whole run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) pinning: String,
    pub(crate) versions: Vec<Version>,
    /// Applications that the API server held.
    pub(crate) applications: usize,
    /// How long a round took.
    pub(crate) seconds: f64,
    pub(crate) starts: Vec<Starts>,
    pub(crate) measurements: Vec<Measurement>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Version {
    program: String,
    version: String,
}

impl Version {
    pub(crate) fn new(program: &str, version: String) -> Self {
        Version {
            program: program.to_owned(),
            version,
        }
    }
}

/// From starting a process to its first right answer.
#[derive(Debug, Serialize)]
pub(crate) struct Starts {
    pub(crate) server: ServerKind,
    pub(crate) milliseconds: Vec<f64>,
}

/// All rounds of one server with one corpus and number of connections.
#[derive(Debug, Serialize)]
pub(crate) struct Measurement {
    server: ServerKind,
    corpus: &'static str,
    connections: usize,
    pub(crate) rounds: Vec<Round>,
}

/// One round.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Round {
    requests: u64,
    wrong: u64,
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    cpu_ms_per_request: f64,
    resident_mb: f64,
    peak_resident_mb: f64,
}

impl Round {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn new(loaded: &Loaded, cpu: Duration, memory: Memory) -> Self {
        let requests = loaded.requests as f64;
        let quantile = |quantile| loaded.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        Round {
            requests: loaded.requests,
            wrong: loaded.wrong,
            requests_per_second: requests / loaded.elapsed.as_secs_f64(),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            p999_ms: quantile(0.999),
            cpu_ms_per_request: cpu.as_secs_f64() * 1000.0 / requests,
            resident_mb: megabytes(memory.resident),
            peak_resident_mb: megabytes(memory.peak),
        }
    }
}

impl Measurement {
    pub(crate) fn new(server: ServerKind, updates: Updates, connections: usize) -> Self {
        Measurement {
            server,
            corpus: Self::corpus_name(updates),
            connections,
            rounds: Vec::new(),
        }
    }

    pub(crate) fn corpus_name(updates: Updates) -> &'static str {
        match updates {
            Updates::Status => "updates of the status",
            Updates::Spec => "updates of the spec",
        }
    }

    fn least(&self, value: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(value).fold(f64::INFINITY, f64::min)
    }

    fn most(&self, value: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(value).fold(0.0, f64::max)
    }

    fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(value).collect())
    }

    fn wrong(&self) -> u64 {
        self.rounds.iter().map(|round| round.wrong).sum()
    }

    fn cpu(&self) -> f64 {
        self.least(|round| round.cpu_ms_per_request)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(
        middle(values.len() / 2),
        middle(values.len().saturating_sub(1) / 2),
    )
}

impl Report {
    /// Whether every verdict was the right one.
    pub(crate) fn is_right(&self) -> bool {
        self.measurements
            .iter()
            .all(|measurement| measurement.wrong() == 0)
    }

    fn floor_cpu(&self, floor: ServerKind, like: &Measurement) -> Option<f64> {
        let alike = |measurement: &&Measurement| {
            measurement.server == floor
                && measurement.corpus == like.corpus
                && measurement.connections == like.connections
        };
        self.measurements.iter().find(alike).map(Measurement::cpu)
    }

    fn ratio(&self, floor: ServerKind, of: &Measurement) -> String {
        match self.floor_cpu(floor, of) {
            Some(cpu) => format!("{:.2}", of.cpu() / cpu),
            None => "-".to_owned(),
        }
    }

    fn machine_lines(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            processor,
            cores,
            kernel,
            load_before,
        } = &self.machine;
        writeln!(
            formatter,
            "{processor}, {cores} cores, Linux {kernel}; {}",
            self.pinning
        )?;
        writeln!(formatter, "load average before: {load_before}")?;
        for Version { program, version } in &self.versions {
            writeln!(formatter, "{program}: {version}")?;
        }
        writeln!(
            formatter,
            "{} Applications in the API server; rounds of {} s, the best of each is shown (median in parentheses)",
            self.applications, self.seconds
        )
    }

    fn start_lines(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\nFrom the start of the process to the first right answer, ms"
        )?;
        writeln!(formatter, "{:<16}{:>8}{:>9}", "server", "min", "median")?;
        for Starts {
            server,
            milliseconds,
        } in &self.starts
        {
            let least = milliseconds.iter().copied().fold(f64::INFINITY, f64::min);
            let median = median(milliseconds.clone());
            writeln!(formatter, "{server:<16}{least:>8.1}{median:>9.1}")?;
        }
        Ok(())
    }

    fn line(&self, measurement: &Measurement, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |round: &Round| round.requests_per_second;
        let rates = format!(
            "{:.0} ({:.0})",
            measurement.most(rate),
            measurement.median(rate)
        );
        let latency = |of: fn(&Round) -> f64| {
            format!(
                "{:.2} ({:.2})",
                measurement.least(of),
                measurement.median(of)
            )
        };
        let wrong = if measurement.server.judges() {
            measurement.wrong().to_string()
        } else {
            "-".to_owned()
        };
        writeln!(
            formatter,
            "{:<16}{rates:>15}{:>16}{:>17}{:>17}{:>9.3}{:>9}{:>14}{:>8.1}{:>8.1}{wrong:>7}",
            measurement.server,
            latency(|round| round.p50_ms),
            latency(|round| round.p99_ms),
            latency(|round| round.p999_ms),
            measurement.cpu(),
            self.ratio(ServerKind::Floor, measurement),
            self.ratio(ServerKind::FloorJson, measurement),
            measurement.median(|round| round.resident_mb),
            measurement.most(|round| round.peak_resident_mb),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine_lines(formatter)?;
        self.start_lines(formatter)?;
        let mut heading = None;
        for measurement in &self.measurements {
            let (connections, corpus) = (measurement.connections, measurement.corpus);
            if heading.replace((connections, corpus)) != Some((connections, corpus)) {
                writeln!(formatter, "\nConnections: {connections}; {corpus}")?;
                writeln!(
                    formatter,
                    "{:<16}{:>15}{:>16}{:>17}{:>17}{:>9}{:>9}{:>14}{:>8}{:>8}{:>7}",
                    "server",
                    "requests/s",
                    "p50 ms",
                    "p99 ms",
                    "p99.9 ms",
                    "CPU ms",
                    "/ floor",
                    "/ floor-json",
                    "RSS MB",
                    "peak",
                    "wrong",
                )?;
            }
            self.line(measurement, formatter)?;
        }
        Ok(())
    }
}
