//! Terraform or OpenTofu, and since when it can do what.

use semver::Version;

/// Which program it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Program {
    Terraform,
    OpenTofu,
}

/// Which program it is, as far as a state or a plan says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tool {
    pub(crate) program: Option<Program>,
    pub(crate) version: Option<Version>,
}

impl Tool {
    /// What it is called on a command line; `terraform` where it is not known.
    pub(crate) fn command(&self) -> &'static str {
        match self.program {
            Some(Program::OpenTofu) => "tofu",
            Some(Program::Terraform) | None => "terraform",
        }
    }

    /// Since which version it can do something; None where its program is not known.
    pub(super) fn since(&self, table: &[(Program, Version)]) -> Option<Version> {
        let program = self.program?;
        let mut rows = table.iter();
        let (_, since) = rows.find(|(of, _)| *of == program)?;
        Some(since.clone())
    }

    /// Whether it surely can.
    pub(super) fn has(&self, table: &[(Program, Version)]) -> bool {
        let since = self.since(table).zip(self.version.as_ref());
        // A pre-release of a version may not have it yet.
        since.is_some_and(|(since, version)| *version >= since)
    }
}
