//! Runs `helm` and `kustomize`.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::environment::BuildEnvironment;
use crate::text::printable;

/// A program that renders.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Helm,
    Kustomize,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::Helm => "helm",
            Program::Kustomize => "kustomize",
        }
    }
}

/// Argo CD gives up on a program after so long, too (`ARGOCD_EXEC_TIMEOUT`).
const TIME_LIMIT: Duration = Duration::from_secs(90);

/// The most that a program may print, in bytes. Argo CD has no such limit; its messages end at
/// 100 MB.
const OUTPUT_LIMIT: u64 = 100 << 20;

/// How much of what a program complains of is told, in characters.
const COMPLAINT: usize = 2_000;

/// A program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("{program} is not on the PATH")]
    Missing { program: &'static str },
    #[error("{program}: cannot be run")]
    Run {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program}: it did not end within {} s", TIME_LIMIT.as_secs())]
    TooSlow { program: &'static str },
    #[error("{program}: it printed more than {} MB", OUTPUT_LIMIT >> 20)]
    TooMuch { program: &'static str },
    #[error("{program}: what it printed is not UTF-8")]
    NotText { program: &'static str },
    #[error("{program}: {status}: {complaint}")]
    Failed {
        program: &'static str,
        status: ExitStatus,
        complaint: String,
    },
}

/// Runs a program in a folder, and gives what it prints. It is given nothing to read, and nothing
/// of the user's own configuration of it: plugins, registries and caches are Argo CD's there, and
/// none here.
pub(super) async fn run(
    program: Program,
    arguments: &[OsString],
    folder: &Path,
    home: &Path,
    environment: &BuildEnvironment,
) -> Result<String, ProgramError> {
    let homes = ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"];
    let homes = homes.map(|name| (name, home.as_os_str()));
    let own = environment
        .variables()
        .map(|(name, value)| (name, OsStr::new(value)));
    run_with(program, arguments, folder, own.chain(homes)).await
}

/// The same with variables of the environment that are given.
pub(super) async fn run_with<'v>(
    program: Program,
    arguments: &[OsString],
    folder: &Path,
    variables: impl IntoIterator<Item = (&'v str, impl AsRef<OsStr>)>,
) -> Result<String, ProgramError> {
    let name = program.name();
    let mut child = Command::new(name)
        .args(arguments)
        .current_dir(folder)
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ProgramError::Missing { program: name },
            _ => ProgramError::Run {
                program: name,
                source,
            },
        })?;
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        let source = io::Error::other("its output is not connected");
        return Err(ProgramError::Run {
            program: name,
            source,
        });
    };
    let failed = |source| ProgramError::Run {
        program: name,
        source,
    };
    let finish = async {
        let (mut printed, mut complaint) = (Vec::new(), Vec::new());
        let mut bounded = (&mut stdout).take(OUTPUT_LIMIT + 1);
        let read = bounded.read_to_end(&mut printed);
        let mut told = (&mut stderr).take(OUTPUT_LIMIT);
        let complain = told.read_to_end(&mut complaint);
        tokio::try_join!(read, complain).map_err(failed)?;
        if printed.len() as u64 > OUTPUT_LIMIT {
            return Err(ProgramError::TooMuch { program: name });
        }
        let status = child.wait().await.map_err(failed)?;
        if !status.success() {
            return Err(ProgramError::Failed {
                program: name,
                status,
                complaint: summary(&complaint),
            });
        }
        String::from_utf8(printed).map_err(|_| ProgramError::NotText { program: name })
    };
    match tokio::time::timeout(TIME_LIMIT, finish).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ProgramError::TooSlow { program: name }),
    }
}

/// What a program complains of, on one line and not without end.
fn summary(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let short: String = lines.join("; ").chars().take(COMPLAINT).collect();
    printable(&short)
}
