//! What the machine must have, told before anything is built.

use std::env;
use std::ffi::OsStr;

use anyhow::{Result, bail};

/// A program that nothing here builds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needed {
    name: &'static str,
    remedy: &'static str,
}

pub(crate) const GO: Needed = Needed {
    name: "go",
    remedy: "Go 1.26 or newer, https://go.dev/doc/install",
};
pub(crate) const GIT: Needed = Needed {
    name: "git",
    remedy: "on Debian: apt-get install git",
};
/// For the completions of the plugin.
pub(crate) const BASH: Needed = Needed {
    name: "bash",
    remedy: "on Debian: apt-get install bash",
};

/// For what stands for AWS in tests.
pub(crate) const PYTHON: Needed = Needed {
    name: "python3",
    remedy: "Python 3.10 or newer with its module venv; on Debian: apt-get install python3-venv",
};

/// Fails with the names of all programs that are not there, if one is not.
pub(crate) fn check(needed: &[Needed]) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let missing: Vec<_> = needed
        .iter()
        .filter(|program| !is_in(&path, program.name))
        .map(|Needed { name, remedy }| format!("\n  {name} ({remedy})"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("not installed, and needed:{}", missing.concat())
}

fn is_in(path: &OsStr, program: &str) -> bool {
    env::split_paths(path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Needed = Needed {
        name: "no-such-program",
        remedy: "nowhere to be had",
    };
    const ABSENT_TOO: Needed = Needed {
        name: "no-such-program-either",
        remedy: "ask a friend",
    };

    #[test]
    fn all_that_is_missing_is_told_at_once_with_the_way_to_get_it() {
        let shell = Needed {
            name: "sh",
            remedy: "part of every system",
        };

        let error = check(&[ABSENT, shell, ABSENT_TOO]).unwrap_err();

        assert_eq!(
            error.to_string(),
            "not installed, and needed:\n  no-such-program (nowhere to be had)\n  \
             no-such-program-either (ask a friend)"
        );
    }

    #[test]
    fn what_is_there_is_not_told() {
        let folder = env::current_exe().unwrap();
        let name = folder.file_name().and_then(OsStr::to_str).unwrap();
        let folder = folder.parent().unwrap().as_os_str();

        assert!(is_in(folder, name));
        assert!(!is_in(folder, "no-such-program"));
    }
}
