//! `--state` and `--plan`: what Terraform or OpenTofu shows.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::addons::gate::OnCluster;
use crate::addons::status::State as GateState;
use crate::addons::terraform_gate::{Known, Source, Subject};
use crate::error::CommandError;
use crate::terraform::{Plan, ReadError, State};

/// Under which flags are shown that say what Terraform has.
pub(super) const TERRAFORM: &str = "Terraform";

/// The states and plans that were given.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = TERRAFORM)]
pub(super) struct TerraformFiles {
    /// What `terraform show -json` prints of a state; - is stdin
    ///
    /// CLUSTER= before it says for which cluster of Argo CD it is. One without is for all. It can be
    /// given several times.
    #[arg(long, value_name = "[CLUSTER=]FILE")]
    state: Vec<String>,

    /// What `terraform show -json PLAN` prints of a plan
    ///
    /// A plan of before tells who refers to the release, a plan of afterwards proves that nothing
    /// would be destroyed or created. It can be given several times.
    #[arg(long, value_name = "[CLUSTER=]FILE")]
    plan: Vec<String>,
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot read {file}")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("{file}")]
    Content {
        file: String,
        #[source]
        source: ReadError,
    },
    #[error("standard input can be read once only, and is named {0} times")]
    Stdin(usize),
}

/// Terraform still has a release.
#[derive(Debug, thiserror::Error)]
#[error("Terraform has not let go on {cluster}: {reasons}")]
pub(super) struct NotLetGo {
    cluster: String,
    reasons: String,
}

/// The clusters of which it is not known whether Terraform has let go of a release.
///
/// # Errors
/// It has not, on one of them.
pub(super) fn unknown_to_have_let_go<'t>(
    known: &Known,
    release: &str,
    namespace: &str,
    takeovers: &'t [OnCluster],
) -> Result<Vec<&'t str>, NotLetGo> {
    let mut unknown = Vec::new();
    for takeover in takeovers {
        let judgement = known.judge(&Subject {
            cluster: &takeover.name,
            release,
            namespace,
            addresses: &[],
            zero_diff: GateState::of_takeover(takeover),
        });
        match judgement.state {
            GateState::Done => {}
            GateState::Unknown => unknown.push(takeover.name.as_str()),
            GateState::Open | GateState::Shut => {
                return Err(NotLetGo {
                    cluster: takeover.name.clone(),
                    reasons: judgement.evidence().join("; "),
                });
            }
        }
    }
    Ok(unknown)
}

impl TerraformFiles {
    /// Whether a state was given.
    pub(super) fn has_state(&self) -> bool {
        !self.state.is_empty()
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// One cannot be read, or is something else.
    pub(super) fn read(&self) -> Result<Known, CommandError> {
        let all = self.state.iter().chain(&self.plan);
        let of_stdin = all.filter(|text| split(text).1 == STDIN).count();
        if of_stdin > 1 {
            return Err(CommandError::new(FileError::Stdin(of_stdin)));
        }
        Ok(Known {
            states: each(&self.state, State::read).map_err(explained)?,
            plans: each(&self.plan, Plan::read).map_err(explained)?,
        })
    }
}

const STDIN: &str = "-";

fn explained(error: FileError) -> CommandError {
    let hint = match &error {
        FileError::Content {
            source: ReadError::StateFile,
            ..
        } => Some("`terraform show -json` prints it, `tofu show -json` as well"),
        FileError::Content {
            source: ReadError::Plan,
            ..
        } => Some("give it as --plan"),
        FileError::Content {
            source: ReadError::State,
            ..
        } => Some("give it as --state"),
        _ => None,
    };
    let error = CommandError::new(error);
    match hint {
        Some(hint) => error.hinted(hint),
        None => error,
    }
}

fn each<T>(
    given: &[String],
    read: fn(&str) -> Result<T, ReadError>,
) -> Result<Vec<Source<T>>, FileError> {
    let sources = given.iter().map(|text| {
        let (cluster, file) = split(text);
        let from = if file == STDIN {
            "standard input"
        } else {
            file
        };
        let failed = |source| FileError::Read {
            file: from.to_owned(),
            source,
        };
        // It has secrets.
        let text = contents(file).map(Zeroizing::new).map_err(failed)?;
        let content = read(&text).map_err(|source| FileError::Content {
            file: from.to_owned(),
            source,
        })?;
        Ok(Source {
            cluster: cluster.map(str::to_owned),
            from: from.to_owned(),
            content,
        })
    });
    sources.collect()
}

fn contents(file: &str) -> io::Result<String> {
    if file != STDIN {
        return fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// The cluster and the file. A file that is there is one, whatever its name.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((cluster, file)) if !cluster.contains('/') && !Path::new(text).exists() => {
            (Some(cluster), file)
        }
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_of_a_file_stands_before_it() {
        assert_eq!(split("state.json"), (None, "state.json"));
        assert_eq!(split("prod=state.json"), (Some("prod"), "state.json"));
        assert_eq!(split("prod=-"), (Some("prod"), "-"));
        assert_eq!(split("a/b=c.json"), (None, "a/b=c.json"));
        assert_eq!(
            split("arn:aws:eks:eu:1:cluster_x=a=b"),
            (Some("arn:aws:eks:eu:1:cluster_x"), "a=b")
        );
    }

    #[test]
    fn standard_input_is_read_once() {
        let files = TerraformFiles {
            state: vec!["a=-".to_owned(), "b=-".to_owned()],
            plan: Vec::new(),
        };
        assert!(files.read().is_err());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        fs::write(&file, r#"{"format_version": "1.2", "planned_values": {}}"#).unwrap();
        let given = [file.display().to_string()];
        let error = each(&given, State::read).err().unwrap();
        assert_eq!(
            crate::error::chain(&error),
            format!(
                "{}: it is a plan: expected a state, as `show -json` prints it without a file",
                file.display()
            )
        );
    }
}
