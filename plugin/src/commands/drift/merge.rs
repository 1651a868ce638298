//! `drift merge`: reports of parts of a fleet, put together.

use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::ValueHint;

use super::{OutputArgs, tell};
use crate::context::Context;
use crate::drift::merge::{Part, merge};
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::report::drift::{UnreadableReport, read};

/// Put reports of drift together
///
/// Takes what `kubectl gitops drift -o json` (or yaml) printed, with `--shard` or for one cluster
/// each, and prints it as one, with the exit status that one run would have had. No cluster is
/// asked. Reports that do not fit together are refused: of different sources, of the same
/// Application, or of shards of which one comes twice. A shard that is not there is told as
/// something that could not be seen.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # All shards of a fleet as a table
  kubectl gitops drift merge shard-*.json

  # As a page, whatever differs
  kubectl gitops drift merge shard-*.json -o html --exit-zero

Exit status:
  0  nothing differs
  1  something differs
  2  something could not be seen, such as a shard, or a report cannot be read")]
pub(super) struct MergeArgs {
    /// Reports in JSON or YAML; `-` is standard input
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    output: OutputArgs,
}

/// A report cannot be used.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("cannot read {0}")]
    Read(String, #[source] io::Error),
    #[error("{0}")]
    Form(String, #[source] UnreadableReport),
}

/// Reads, merges, prints.
pub(super) fn run(args: &MergeArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let parts = args.files.iter().map(part).collect::<Result<Vec<_>, _>>();
    let mut drift = merge(parts.map_err(CommandError::new)?).map_err(CommandError::new)?;
    tell(&mut drift, None, args.output, context)
}

fn part(path: &PathBuf) -> Result<Part, ReportError> {
    let file = path.display().to_string();
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        let all = io::stdin().lock().read_to_string(&mut text);
        all.map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| ReportError::Read(file.clone(), error))?;
    let (drift, shard) = read(&text).map_err(|error| ReportError::Form(file.clone(), error))?;
    Ok(Part { file, shard, drift })
}
