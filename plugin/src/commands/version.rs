//! `version`: what runs here, and what runs in the cluster.

use crate::args::{Format, OUTPUT, formats};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::report::versions::VersionReport;
use crate::versions::Versions;

/// Print the version of this program, of the webhook and of Argo CD
///
/// The versions of the webhook and of Argo CD are those of the images that their Deployments name.
/// It needs to list Deployments in the namespaces of both; Argo CD's is that of --argocd-namespace
/// or -n, whatever the context is for. What cannot be read is told, and is not a failure.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What runs here and in the cluster of the current context
  kubectl gitops version

  # What runs here, without asking a cluster
  kubectl gitops version --client -o json")]
pub(crate) struct VersionArgs {
    /// Print the version of this program alone
    #[arg(long)]
    client: bool,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each program"),
    (Format::Json, "The same in JSON"),
    (Format::Yaml, "The same in YAML"),
];

/// Asks and prints.
pub(crate) fn run(args: &VersionArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let versions = if args.client {
        Versions::default()
    } else {
        block_on(async { Ok(ask(context).await) })?
    };
    context.print(&VersionReport(&versions), args.output)?;
    context.warn(&versions.problems);
    Ok(ExitStatus::Clean)
}

/// That there is no cluster is not a failure.
async fn ask(context: &Context) -> Versions {
    match context.connect().await {
        Ok(server) => Versions::of_cluster(&server, context.namespaces.of_deployments()).await,
        Err(error) => Versions {
            problems: vec![chain(&error)],
            ..Versions::default()
        },
    }
}
