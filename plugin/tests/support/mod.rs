//! Runs the binary as users do, with nothing of this machine's environment.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot start has failed")]

pub(crate) mod api_server;
mod port_forward;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with files, which is gone after the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Writes files, each as `(path, text)`.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.add(files);
        folder
    }

    /// Writes more files.
    pub(crate) fn add(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Copies all that is in another folder.
    pub(crate) fn add_copy_of(&self, from: &Path) {
        copy(from, self.path());
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs `kubectl-gitops` in it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run_in(self.path(), arguments, "")
    }

    /// Runs `kubectl-gitops` in it with a text on standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        run_in(self.path(), arguments, input)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Where the fixture repositories are.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

/// Runs `kubectl-gitops` in a folder.
pub(crate) fn run_in(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    run_as(
        Path::new(env!("CARGO_BIN_EXE_kubectl-gitops")),
        folder,
        arguments,
        input,
    )
}

/// Runs a program in a folder.
pub(crate) fn run_as(program: &Path, folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that does not read its input ends before all of it is written.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ran(child.wait_with_output().unwrap())
}

/// What a run left: snapshot it, or ask it.
#[must_use]
pub(crate) struct Ran(Output);

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran(output)
    }
}

impl Ran {
    /// Exit status, standard output and standard error as one text.
    pub(crate) fn transcript(&self) -> String {
        format!(
            "status: {}\n--- stdout\n{}--- stderr\n{}",
            self.status(),
            self.stdout(),
            self.stderr()
        )
    }

    /// The exit status.
    pub(crate) fn status(&self) -> i32 {
        self.0.status.code().unwrap()
    }

    /// Standard output.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    /// Standard error.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// The files in which a rule found something, and the level of what it found, in a check's
    /// JSON.
    pub(crate) fn levels_of(&self, rule: &str) -> Vec<(String, String)> {
        let report = self.json();
        let findings = report["findings"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        findings
            .filter(|finding| finding["rule"] == rule)
            .map(|finding| (text(&finding["file"]), text(&finding["level"])))
            .collect()
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| {
            panic!("not JSON: {error}\n{}", self.transcript());
        })
    }
}
