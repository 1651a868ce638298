//! Where our own programs are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// The environment variable that names a folder with [`Programs`] that are known to be current,
/// such as that of a `cargo test --workspace` that has just built them.
pub const PROGRAMS: &str = "GITOPS_TEST_PROGRAMS";

/// The folder of `gitops-webhook` and `kubectl-gitops`.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

impl Programs {
    /// Finds both. Unless [`PROGRAMS`] says where they are, they are built first, once in a
    /// process: cargo makes the programs of other packages only when it is asked to, and what lies
    /// beside the test may be older than the sources.
    pub fn locate() -> Result<Self> {
        static BUILT: OnceLock<Programs> = OnceLock::new();
        if let Some(folder) = env::var_os(PROGRAMS) {
            return Self::in_folder(PathBuf::from(folder));
        }
        if let Some(built) = BUILT.get() {
            return Ok(built.clone());
        }
        let built = build()?;
        Ok(BUILT.get_or_init(|| built).clone())
    }

    fn in_folder(folder: PathBuf) -> Result<Self> {
        let programs = Self(folder);
        for program in [
            programs.webhook(),
            programs.plugin(),
            programs.webhook_with_clock(),
        ] {
            ensure!(program.is_file(), "there is no {}", program.display());
        }
        Ok(programs)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The admission webhook.
    pub fn webhook(&self) -> PathBuf {
        self.0.join("gitops-webhook")
    }

    /// The admission webhook, by a clock that a test sets.
    pub(crate) fn webhook_with_clock(&self) -> PathBuf {
        self.0.join("gitops-webhook-with-clock")
    }

    /// The kubectl plugin.
    pub fn plugin(&self) -> PathBuf {
        self.0.join("kubectl-gitops")
    }
}

fn build() -> Result<Programs> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--bins"]).args([
        "--package",
        "gitops-webhook",
        "--package",
        "kubectl-gitops",
        "--package",
        "gitops-tests",
    ]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let status = build
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .context("cannot run cargo to build our programs")?;
    ensure!(
        status.success(),
        "cargo cannot build our programs ({status})"
    );
    Programs::in_folder(target_folder()?)
}

/// Where cargo puts programs: the folder of this one, or the one above for a test, which is in
/// `deps`.
fn target_folder() -> Result<PathBuf> {
    let executable = env::current_exe().context("cannot find this program")?;
    let folder = executable.parent().context("this program has no folder")?;
    let folder = match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().unwrap_or(folder),
        _ => folder,
    };
    Ok(folder.to_owned())
}
