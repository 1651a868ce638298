//! `ministack` and AWS's own command, in an environment of Python of its own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

/// What is needed of the system.
pub const PYTHON: &str = "python3";
const REMEDY: &str =
    "Python 3.10 or newer with its module venv; on Debian: apt-get install python3-venv";
const REQUIREMENTS: &str = include_str!("../ministack/requirements.txt");
/// Names what is installed, as it is written in the requirements.
const INSTALLED: &str = "requirements.txt";

/// The folder that has AWS's own command, `aws`, of the environment of [`ministack`].
///
/// # Errors
/// As of [`ministack`].
pub fn commands() -> Result<PathBuf> {
    let python = ministack()?;
    let folder = python.parent().context("Python is in no folder")?;
    Ok(folder.to_owned())
}

/// The environment's own Python, which finds ministack and nothing of the system's packages. It is
/// made once for a user, in his cache, which takes half a minute and a network; this blocks.
///
/// The folder's name is the hash of all that decides what is in it.
///
/// # Errors
/// There is no Python, or a package cannot be had.
pub fn ministack() -> Result<PathBuf> {
    let strategy = etcetera::base_strategy::choose_native_strategy();
    let strategy = strategy.context("there is no home directory for the cache of programs")?;
    let cache = strategy
        .cache_dir()
        .join("kubectl-gitops")
        .join("ministack");
    let environment = cache.join(key()?);
    if !environment.join(INSTALLED).is_file() {
        fs::create_dir_all(&cache)?;
        let lock = File::create(environment.with_extension("lock"))?;
        // It ends with the file, so also with a process that is killed.
        lock.lock()?;
        if !environment.join(INSTALLED).is_file() {
            install(&environment)?;
        }
    }
    Ok(environment.join("bin").join("python"))
}

fn key() -> Result<String> {
    let mut version = Command::new(PYTHON);
    version.args([
        "-c",
        "import sys, venv, ensurepip; print(sys.executable, sys.version)",
    ]);
    let Ok(version) = run(&mut version) else {
        bail!("the tests with AWS need {PYTHON}, which is not installed ({REMEDY})");
    };
    let mut hash = Sha256::new();
    hash.update(version.stdout);
    hash.update(REQUIREMENTS);
    let digits = hash.finalize();
    let digits = digits.iter().take(8).map(|byte| format!("{byte:02x}"));
    Ok(digits.collect())
}

/// Makes the environment in place, as it holds its own path, and marks it when it is whole. What
/// one that was cut short has left is removed.
fn install(environment: &Path) -> Result<()> {
    match fs::remove_dir_all(environment) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let requirements = environment.with_extension("txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let mut venv = Command::new(PYTHON);
    venv.args(["-m", "venv"]).arg(environment);
    run(&mut venv).with_context(|| format!("cannot make an environment of Python ({REMEDY})"))?;
    let mut pip = Command::new(environment.join("bin").join("python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(["--no-input", "--no-deps", "--only-binary", ":all:"])
    .args(["--require-hashes", "--requirement"])
    .arg(&requirements);
    run(&mut pip).context("cannot install ministack")?;
    fs::rename(requirements, environment.join(INSTALLED))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}):\n{}", output.status, said.trim_end());
    }
    Ok(output)
}
