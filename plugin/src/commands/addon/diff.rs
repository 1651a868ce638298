//! `addon diff`: whether Argo CD's takeover would change anything.

use std::path::PathBuf;

use clap::ValueHint;

use super::fleet::{Fleet, FleetArgs};
use super::takeover::{InCheckout, takeovers};
use crate::args::target::parse_name;
use crate::args::{Format, OUTPUT, formats};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::report::addon_diff::AddonDiff;

/// Prove that Argo CD's takeover would change nothing
///
/// Generates the Applications of applicationsets/NAME.yaml for the clusters of the fleet, renders
/// each by the files as they are in the checkout, and asks each cluster what a sync would make of
/// its objects: by a dry run of a server-side apply as Argo CD, and by Argo CD's own comparison.
/// Clusters are not changed.
///
/// The gate of a cluster is open where nothing but Argo CD's marks would change. It is shut where a
/// field would change (in-place), Pods would be replaced (restart), a field cannot be changed
/// (replace), an object is not there (create) or not rendered any more (delete), a hook would run
/// (hook-run), or another Application has an object. What admission webhooks change counts, too.
/// Each field is told with who owns it; the values of Secrets are not.
///
/// Where the Application is there already, Argo CD's own verdict is compared with it, and told where
/// it is another.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What a takeover would change, on all clusters that the ApplicationSet generates for
  kubectl gitops addon diff dns --repo fleet

  # On one of them, for a ticket
  kubectl gitops addon diff dns --repo fleet --clusters staging -o markdown

Exit status:
  0  all gates are open
  1  one is shut
  2  of one nobody could tell, or it failed")]
pub(super) struct DiffArgs {
    /// Name of the addon
    #[arg(value_name = "NAME", value_parser = parse_name)]
    name: String,

    /// Folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    repo: PathBuf,

    #[command(flatten)]
    fleet: FleetArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each object that would change"),
    (Format::Wide, "A row for each object"),
    (Format::Json, "All that was found, in JSON"),
    (Format::Yaml, "All that was found, in YAML"),
    (Format::Markdown, "A row for each object, in Markdown"),
];

/// Generates, renders, asks, prints.
pub(super) fn run(args: &DiffArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let report = block_on(diff(args, context))?;
    context.print(&report, args.output)?;
    for cluster in &report.clusters {
        for problem in &cluster.problems {
            let text = format!("cluster {}: {problem}", cluster.name);
            context.streams.error(&text);
        }
    }
    Ok(if report.is_unknown() {
        ExitStatus::Failed
    } else if report.is_open() {
        ExitStatus::Clean
    } else {
        ExitStatus::Drifted
    })
}

async fn diff(args: &DiffArgs, context: &Context) -> Result<AddonDiff, CommandError> {
    let fleet = Fleet::read(&args.fleet, context).await?;
    context.warn(&fleet.lacking);
    let addon = InCheckout {
        name: &args.name,
        repo: &args.repo,
    };
    Ok(AddonDiff {
        addon: args.name.clone(),
        clusters: takeovers(addon, &fleet, context).await?,
    })
}
