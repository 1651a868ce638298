//! Which version of Argo CD is meant.

use argocd::project::ProjectReading;

use super::FACTS;

/// Which version of Argo CD the verdicts are for.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = FACTS)]
pub(crate) struct ArgoCdVersion {
    /// Version of Argo CD [default: the cluster's; 3.5 for files]
    ///
    /// AppProjects are read by it. It is written as 3.6 or v3.6.1: since 3.6 a destination that
    /// excludes by name excludes less. A cluster's version is what its definitions say.
    #[arg(long, value_name = "VERSION", value_parser = reading_of)]
    argocd_version: Option<ProjectReading>,
}

impl ArgoCdVersion {
    /// How it reads projects, where one is given.
    pub(crate) fn project_reading(self) -> Option<ProjectReading> {
        self.argocd_version
    }
}

/// How a version, written `3.6`, `v3.6.1` or the like, reads projects.
fn reading_of(version: &str) -> Result<ProjectReading, String> {
    let invalid = || "expected a version of Argo CD such as 3.6 or v3.6.1".to_owned();
    let plain = version.strip_prefix('v').unwrap_or(version);
    let mut numbers = plain.split(['.', '-', '+']);
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let (Some(major), Some(minor)) = (number(), number()) else {
        return Err(invalid());
    };
    Ok(if (major, minor) >= (3, 6) {
        ProjectReading::Since36
    } else {
        ProjectReading::UpTo35
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_and_without_its_patch() {
        for new in ["3.6", "v3.6.1", "3.10.0", "4.0", "v3.6.0-rc2"] {
            assert_eq!(reading_of(new), Ok(ProjectReading::Since36), "{new}");
        }
        for old in ["3.5", "v3.5.7", "2.14.3"] {
            assert_eq!(reading_of(old), Ok(ProjectReading::UpTo35), "{old}");
        }
        for invalid in ["", "3", "latest", "3.x", "vv3.6"] {
            assert!(reading_of(invalid).is_err(), "{invalid}");
        }
    }
}
