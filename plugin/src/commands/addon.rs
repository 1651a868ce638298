//! `addon`: what Helm has installed on the clusters of a fleet, and how it comes under Argo CD.

mod bump;
mod checkout;
mod diff;
mod enable;
mod finish;
mod fleet;
mod git;
mod list;
mod onboard;
mod private_file;
mod rollback;
mod rollout;
mod status;
mod takeover;
mod terraform;
mod terraform_files;

use clap::Subcommand;

use self::bump::BumpArgs;
use self::diff::DiffArgs;
use self::enable::EnableArgs;
use self::finish::FinishArgs;
use self::list::ListArgs;
use self::onboard::OnboardArgs;
use self::rollback::RollbackArgs;
use self::status::StatusArgs;
use self::terraform::TerraformArgs;
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
  kubectl gitops addon diff dns --repo fleet

  # How Terraform lets go of it
  kubectl gitops addon terraform dns --repo fleet --state state.json

  # Have Argo CD take over
  kubectl gitops addon enable dns --repo fleet --evidence dns.json"
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
    Terraform(Box<TerraformArgs>),
    Enable(Box<EnableArgs>),
    Bump(Box<BumpArgs>),
    Rollback(Box<RollbackArgs>),
    Finish(Box<FinishArgs>),
    Status(StatusArgs),
}

/// Does what the subcommand says.
pub(crate) fn run(args: &AddonArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    match &args.command {
        AddonCommand::List(args) => list::run(args, context),
        AddonCommand::Onboard(args) => onboard::run(args, context),
        AddonCommand::Diff(args) => diff::run(args, context),
        AddonCommand::Terraform(args) => terraform::run(args, context),
        AddonCommand::Enable(args) => enable::run(args, context),
        AddonCommand::Bump(args) => bump::run(args, context),
        AddonCommand::Rollback(args) => rollback::run(args, context),
        AddonCommand::Finish(args) => finish::run(args, context),
        AddonCommand::Status(args) => status::run(args, context),
    }
}
