//! `cluster`: the clusters of a fleet, and how Argo CD logs in to them.

mod identity;
mod list;
mod migrate;
mod offboard;
mod onboard;
mod verify;

use clap::Subcommand;

use self::list::ListArgs;
use self::migrate::MigrateArgs;
use self::offboard::OffboardArgs;
use self::onboard::OnboardArgs;
use self::verify::VerifyArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;

/// Look after the clusters that Argo CD deploys to
///
/// Argo CD knows a cluster by a Secret. A bearer token in it never expires and lets in whoever
/// reads it; `awsAuthConfig` has Argo CD sign a request to AWS each time, with nothing in the
/// Secret that is worth stealing.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  # Which clusters there are, and how Argo CD logs in to each
  kubectl gitops cluster list

  # What is missing so that Argo CD can log in to a cluster of EKS
  kubectl gitops cluster onboard prod-eu --describe described.json

  # Prove that Argo CD can log in to one
  kubectl gitops cluster verify prod-eu"
)]
pub(crate) struct ClusterCommandArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    List(ListArgs),
    Onboard(Box<OnboardArgs>),
    Verify(Box<VerifyArgs>),
    Migrate(Box<MigrateArgs>),
    Offboard(Box<OffboardArgs>),
}

/// Does what the subcommand says.
pub(crate) fn run(
    args: &ClusterCommandArgs,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    match &args.command {
        ClusterCommand::List(args) => list::run(args, context),
        ClusterCommand::Onboard(args) => onboard::run(args, context),
        ClusterCommand::Offboard(args) => offboard::run(args, context),
        ClusterCommand::Verify(args) => verify::run(args, context),
        ClusterCommand::Migrate(args) => migrate::run(args, context),
    }
}
