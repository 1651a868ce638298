//! `cluster`: the clusters of a fleet, and how Argo CD logs in to them.

mod verify;

use clap::Subcommand;

use self::verify::VerifyArgs;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;

/// Look after the clusters of a fleet
///
/// A cluster is a Secret in Argo CD's namespace with the label
/// `argocd.argoproj.io/secret-type: cluster`. What it logs in with is never shown.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  # Prove that Argo CD can log in to a cluster
  kubectl gitops cluster verify orders-production"
)]
pub(crate) struct ClusterCommandArgs {
    #[command(subcommand)]
    command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    Verify(Box<VerifyArgs>),
}

/// Does what the subcommand says.
pub(crate) fn run(
    args: &ClusterCommandArgs,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    match &args.command {
        ClusterCommand::Verify(args) => verify::run(args, context),
    }
}
