//! Other programs.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Says something, apart from what other programs print.
#[expect(clippy::print_stderr, reason = "this is what a person is told")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    cargo
}

/// Runs a command to its end, having said what it is for.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    say(what);
    let line = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot run {line}"))?;
    if !status.success() {
        bail!("{what} failed ({status}): {line}");
    }
    Ok(())
}

/// Whether a command can be run and succeeds, in silence.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Where cargo puts this workspace's programs: beside this one.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let executable = env::current_exe().context("cannot find this program")?;
    let folder = executable.parent().context("this program has no folder")?;
    Ok(folder.to_owned())
}

/// A program of this workspace.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let program = target_folder()?.join(name);
    ensure!(program.is_file(), "there is no {}", program.display());
    Ok(program)
}
