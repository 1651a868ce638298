//! What the process says when it ends.

use std::process::ExitCode;

/// The exit status of every command, after `kubectl diff`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ExitStatus {
    /// 0: nothing is denied, nothing changes.
    Clean,
    /// 1: something is denied, or you may not.
    Denied,
    /// 1: something is broken.
    Broken,
    /// 1: something changes.
    Changes,
    /// 1: something differs from what is desired.
    Drifted,
    /// 2: it failed, at least in part.
    Failed,
    /// 3: there is nothing to judge.
    NothingToJudge,
    /// 3: something changes, and some of it is denied.
    ChangesDenied,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(match status {
            ExitStatus::Clean => 0,
            ExitStatus::Denied | ExitStatus::Broken | ExitStatus::Changes | ExitStatus::Drifted => {
                1
            }
            ExitStatus::Failed => 2,
            ExitStatus::NothingToJudge | ExitStatus::ChangesDenied => 3,
        })
    }
}
