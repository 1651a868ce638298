//! A GitOpsPolicy from a file.

use std::io;
use std::path::{Path, PathBuf};

use argocd::Fleet;
use argocd::application::EnabledField;
use argocd::fleet::Parts;
use policy::gitops_policy::{InvalidPolicy, POLICY_NAME};
use policy::{Completeness, GitOpsPolicy, GitOpsPolicySpec, Inventory};

/// Why a file holds no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a GitOpsPolicy.
    #[error("{} is not a GitOpsPolicy", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It contradicts itself.
    #[error("the policy in {} is invalid", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidPolicy,
    },
}

/// Reads the policy in a file.
///
/// # Errors
/// There is no valid policy in it. A webhook that starts without the policy it was given would
/// judge by another one.
pub fn read(path: &Path) -> Result<Box<GitOpsPolicySpec>, PolicyFileError> {
    let path = || path.to_owned();
    let text = std::fs::read_to_string(path()).map_err(|source| PolicyFileError::Read {
        path: path(),
        source,
    })?;
    let spec = parse(&text).map_err(|source| PolicyFileError::Form {
        path: path(),
        source,
    })?;
    let fleet = Fleet::new(Parts::default());
    let completeness = Completeness::Complete;
    Inventory::new(fleet, completeness, EnabledField::Supported, spec.clone()).map_err(
        |source| PolicyFileError::Invalid {
            path: path(),
            source,
        },
    )?;
    Ok(Box::new(spec))
}

fn parse(text: &str) -> Result<GitOpsPolicySpec, Box<dyn std::error::Error + Send + Sync>> {
    let policy: GitOpsPolicy = serde_json::from_value(golang::yaml::value(text)?)?;
    match policy.metadata.name.as_deref() {
        None | Some(POLICY_NAME) => Ok(policy.spec),
        Some(name) => Err(format!("its name is {name:?}, and only {POLICY_NAME:?} counts").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Box<GitOpsPolicySpec>, PolicyFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.yaml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    const HEAD: &str = "apiVersion: kubectl-gitops.io/v1alpha1\nkind: GitOpsPolicy\n";

    #[test]
    fn a_policy_is_read_from_yaml() {
        let text = format!(
            "{HEAD}metadata: {{name: default}}\nspec: {{rules: {{prod-auto-sync: {{action: Warn}}}}}}"
        );
        let spec = read_text(&text).unwrap();
        assert_ne!(
            format!("{spec:?}"),
            format!("{:?}", GitOpsPolicySpec::default())
        );
    }

    #[test]
    fn a_policy_that_does_not_count_is_refused() {
        let refused = |text: &str| crate::chain(&read_text(text).unwrap_err());
        let other = format!("{HEAD}metadata: {{name: other}}\nspec: {{}}");
        assert!(refused(&other).ends_with("its name is \"other\", and only \"default\" counts"));
        let typo = format!(
            "{HEAD}metadata: {{name: default}}\nspec: {{rules: {{prod-autosync: {{action: Warn}}}}}}"
        );
        assert!(
            refused(&typo).contains("prod-autosync"),
            "{}",
            refused(&typo)
        );
        assert!(refused("a: [").contains("is not a GitOpsPolicy"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Path::new("/nowhere/policy.yaml")).unwrap_err();
        assert!(crate::chain(&error).starts_with("cannot read /nowhere/policy.yaml: "));
    }
}
