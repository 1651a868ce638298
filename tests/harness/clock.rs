//! A clock that a test can set on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};

/// Tells `gitops-webhook-with-clock` where its clock is.
const VARIABLE: &str = "GITOPS_TEST_CLOCK";

/// The clock of this machine, set on by what a file says.
#[derive(Clone, Debug)]
pub struct TestClock(PathBuf);

impl TestClock {
    /// One that is right, with its file in a folder.
    pub fn new(folder: &Path) -> Result<Self> {
        let clock = Self(folder.join("clock"));
        clock.set_on(SignedDuration::ZERO)?;
        Ok(clock)
    }

    /// That of the process that this one was started with.
    pub fn of_this_process() -> Self {
        Self(env::var_os(VARIABLE).unwrap_or_default().into())
    }

    /// Sets it on, by so much altogether.
    pub fn set_on(&self, by: SignedDuration) -> Result<()> {
        // It is read at any moment, so that it must never be half there.
        let next = self.0.with_extension("next");
        fs::write(&next, by.to_string()).context("cannot write the clock")?;
        fs::rename(&next, &self.0).context("cannot set the clock")
    }

    /// What it shows.
    ///
    /// # Panics
    /// Its file is not there, or says no duration.
    pub fn now(&self) -> Timestamp {
        let read = fs::read_to_string(&self.0).map(|text| text.parse::<SignedDuration>());
        match read {
            Ok(Ok(by)) => Timestamp::now() + by,
            other => panic!("the clock {} says {other:?}", self.0.display()),
        }
    }

    pub(crate) fn give(&self, command: &mut Command) {
        command.env(VARIABLE, &self.0);
    }
}
