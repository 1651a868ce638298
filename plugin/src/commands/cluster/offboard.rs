//! `cluster offboard`: a cluster leaves the fleet.

use crate::args::{Format, OUTPUT, PlanArgs, formats};
use crate::clusters::named;
use crate::clusters::offboard::live::{Offboarding, applications_on};
use crate::clusters::offboard::{Refusal, Workloads, plan};
use crate::commands::plan::{FORMATS, carry_out_as};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::block_on;

/// Take a cluster out of the fleet
///
/// Shows what is on the cluster and what becomes of it, asks, and does it. Where Applications deploy
/// something there, it has to be said what becomes of that: --orphan leaves all resources as they
/// are and deletes the Applications, --delete-applications deletes them with their resources.
///
/// Argo CD decides by what goes first. An Application that an ApplicationSet generates no longer
/// takes its resources along as long as the cluster is registered; once it is not, they stay. With
/// --orphan the Secret goes before such Applications; with --delete-applications the labels go first
/// by which ApplicationSets select the cluster, and the Secret goes last. An ApplicationSet that
/// would select the cluster without any label has to be changed by hand before. What another
/// Application deploys comes back as long as it is in Git: with --orphan it is to be taken out
/// there afterwards, with --delete-applications before.
///
/// Run again after it was cut off, it goes on with what is left.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What is on a cluster, and what would become of it
  kubectl gitops cluster offboard staging-eu --orphan --dry-run=client

  # Delete all that Argo CD deploys there, and forget the cluster
  kubectl gitops cluster offboard staging-eu --delete-applications

  # The plan and what became of it, as JSON
  kubectl gitops cluster offboard staging-eu --orphan --yes -o json

Exit status:
  0  the cluster is not part of the fleet any more, or would not be
  2  it is still, at least in part")]
pub(super) struct OffboardArgs {
    /// The cluster, by its name in Argo CD, its server, or the name of its Secret
    #[arg(value_name = "NAME")]
    name: String,

    /// Leave what its Applications deploy, and delete only the Applications
    #[arg(long, conflicts_with = "delete_applications")]
    orphan: bool,

    /// Delete its Applications with all that they deploy
    #[arg(long)]
    delete_applications: bool,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

/// Reads, shows, asks, does.
pub(super) fn run(args: &OffboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(offboard(args, context))
}

async fn offboard(args: &OffboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let server = context.connect().await?;
    let namespace = context.argocd_namespace();
    // What is not known here may be on the cluster.
    let (mut facts, lacking) = Facts::of_cluster(&server, namespace).await?;
    context.warn(facts.what_lacks(lacking));
    let inventory = facts.inventory()?;
    let clusters = inventory.fleet.clusters.secrets();
    let cluster = named(&args.name, namespace, clusters, |cluster| cluster)?;
    let applications = applications_on(&server, cluster, &inventory).await?;
    let plan = plan(cluster, namespace, &applications, args.workloads()).map_err(explained)?;
    let offboarding = Offboarding {
        server: &server,
        argocd_namespace: namespace,
    };
    carry_out_as(
        "ClusterOffboarding",
        &plan,
        &args.plan,
        args.output,
        &args.again(),
        context,
        async |action, only_ask| offboarding.act(action, only_ask).await,
    )
    .await
}

impl OffboardArgs {
    fn workloads(&self) -> Option<Workloads> {
        match (self.orphan, self.delete_applications) {
            (true, _) => Some(Workloads::Orphan),
            (_, true) => Some(Workloads::Delete),
            _ => None,
        }
    }

    /// The command that goes on.
    fn again(&self) -> String {
        let flag = match self.workloads() {
            Some(Workloads::Orphan) => " --orphan",
            Some(Workloads::Delete) => " --delete-applications",
            None => "",
        };
        format!("kubectl gitops cluster offboard {}{flag}", self.name)
    }
}

fn explained(refusal: Refusal) -> CommandError {
    let hint = match &refusal {
        Refusal::Undecided { .. } => Some(
            "--orphan leaves them running, --delete-applications deletes them: --dry-run=client shows each step",
        ),
        Refusal::StillGenerated { .. } => Some(
            "exclude the cluster there first, by a selector that it does not match; or use --orphan",
        ),
        Refusal::StillDeployed { .. } => {
            Some("take them out there first, and let it prune; or use --orphan")
        }
        Refusal::BuiltIn(_) => None,
    };
    let error = CommandError::new(refusal);
    match hint {
        Some(hint) => error.hinted(hint),
        None => error,
    }
}
