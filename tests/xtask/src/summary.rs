//! What all test programs said together.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// How many tests there were.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Summary {
    passed: usize,
    pub(crate) failed: usize,
    /// Test programs that have begun and not said how they ended.
    running: usize,
}

impl Summary {
    /// Adds what a line says, if it is the first of a test program, `running 5 tests`, or its last,
    /// `test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
    fn add(&mut self, line: &str) {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.running += 1;
        }
        let result = line.strip_prefix("test result: ");
        let Some((_, counts)) = result.and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        self.running = self.running.saturating_sub(1);
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.running += other.running;
    }
}

impl Summary {
    /// Prints it where the tests printed theirs.
    pub(crate) fn print(&self) -> Result<()> {
        writeln!(std::io::stdout(), "{self}").context("cannot print")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Runs `cargo test`, showing what it prints, and counts.
///
/// A test program that ends without its last line, because it was killed, is an error: what it did
/// not say cannot be counted.
pub(crate) fn run_tests(cargo_test: &mut Command) -> Result<Summary> {
    let mut child = cargo_test
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let stdout = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    let mut summary = Summary::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read what cargo test prints")?;
        writeln!(std::io::stdout(), "{line}").context("cannot print")?;
        summary.add(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    ensure!(
        summary.running == 0 && status.success() == (summary.failed == 0),
        "cargo test failed otherwise than by tests ({status})"
    );
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_of_a_test_program_counts() {
        let mut summary = Summary::default();
        for line in [
            "running 3 tests",
            "running 10 tests",
            "test a ... ok",
            "test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 7 filtered out; finished in 0.10s",
            "a log with 9 passed; 9 failed",
            "test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            summary.add(line);
        }
        assert_eq!(
            summary,
            Summary {
                passed: 12,
                failed: 1,
                running: 0
            }
        );
    }
}
