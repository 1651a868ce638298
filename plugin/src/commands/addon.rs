//! `addon`: what Helm has installed on the clusters of a fleet, and how it comes under Argo CD.

mod diff;
mod fleet;
mod list;
mod onboard;
mod status;
mod takeover;

use clap::Subcommand;

use self::diff::DiffArgs;
use self::list::ListArgs;
use self::onboard::OnboardArgs;
use self::status::StatusArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;

/// Bring what Helm has installed under Argo CD
///
/// Addons are what runs on every cluster: an ingress, DNS, monitoring. Terraform or somebody by hand
/// has installed them by Helm. Nothing is remembered between two commands: what is told is worked
/// out of what is there each time.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  # What Helm has installed on the clusters, and who manages it
  kubectl gitops addon list

  # What would be written so that Argo CD deploys the same
  kubectl gitops addon onboard dns -n dns --project platform --vendor --dry-run client

  # Prove that a takeover would change nothing
  kubectl gitops addon diff dns --repo fleet"
)]
pub(crate) struct AddonArgs {
    #[command(subcommand)]
    command: AddonCommand,
}

#[derive(Debug, Subcommand)]
enum AddonCommand {
    List(ListArgs),
    Onboard(Box<OnboardArgs>),
    Diff(DiffArgs),
    Status(StatusArgs),
}

/// Does what the subcommand says.
pub(crate) fn run(args: &AddonArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    match &args.command {
        AddonCommand::List(args) => list::run(args, context),
        AddonCommand::Onboard(args) => onboard::run(args, context),
        AddonCommand::Diff(args) => diff::run(args, context),
        AddonCommand::Status(args) => status::run(args, context),
    }
}
