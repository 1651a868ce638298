//! What `aws eks describe-cluster` says of a cluster.

use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use crate::error::CommandError;
use crate::onboarding::facts::EksCluster;

/// The output of the command.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    pub(super) cluster: EksCluster,
}

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
enum Undescribed {
    #[error("--describe: {file} cannot be read")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "--describe: {file} is not what `aws eks describe-cluster` prints as JSON or YAML: {reason}"
    )]
    NotADescription { file: String, reason: String },
}

/// What is standard input.
const STANDARD_INPUT: &str = "-";

impl Described {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let is_input = path == Path::new(STANDARD_INPUT);
        let file = if is_input {
            "<stdin>".to_owned()
        } else {
            path.display().to_string()
        };
        let read = || {
            if is_input {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text)?;
                Ok(text)
            } else {
                std::fs::read_to_string(path)
            }
        };
        let text = read().map_err(|source| {
            let file = file.clone();
            CommandError::new(Undescribed::Read { file, source })
        })?;
        Described::of(&text).map_err(|reason| {
            CommandError::new(Undescribed::NotADescription { file, reason })
                .hinted("aws eks describe-cluster --name NAME --output json")
        })
    }

    fn of(text: &str) -> Result<Self, String> {
        // JSON is YAML, too.
        let value = golang::yaml::value(text).map_err(|error| {
            let reason = crate::error::chain(error.kind());
            format!("line {}: {reason}", error.line())
        })?;
        if value.get("cluster").is_none() {
            return Err("it has no `cluster`".to_owned());
        }
        let described: Described = serde_path_to_error::deserialize(value)
            .map_err(|error| format!("{}: {}", error.path(), error.inner()))?;
        if described.cluster.name.is_empty() || described.cluster.arn.is_empty() {
            return Err("cluster has no name and arn".to_owned());
        }
        Ok(described)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_the_command_is_read_in_json_and_yaml() {
        let json = r#"{"cluster": {"name": "a", "arn": "b", "endpoint": null, "tags": {}, "resourcesVpcConfig": {"publicAccessCidrs": ["0.0.0.0/0"]}}}"#;
        let yaml = "cluster:\n  name: a\n  arn: b\n  resourcesVpcConfig:\n    publicAccessCidrs:\n    - 0.0.0.0/0\n";
        assert_eq!(
            Described::of(json).unwrap().cluster,
            Described::of(yaml).unwrap().cluster
        );
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "no `cluster`"),
            ("[]", "no `cluster`"),
            ("{", "line "),
            (r#"{"cluster": "prod-eu"}"#, "cluster: "),
            (r#"{"cluster": {}}"#, "no name and arn"),
            (r#"{"cluster": {"name": "a"}}"#, "no name and arn"),
            (r#"{"cluster": {"name": 1, "arn": "b"}}"#, "cluster.name"),
        ] {
            let error = Described::of(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
