//! `cluster offboard`: a cluster leaves the fleet.

mod aws_side;

use argocd::names::CLUSTER_SECRETS;
use policy::Kind;

use self::aws_side::{Accounts, AwsArgs};

use crate::args::{Format, OUTPUT, PlanArgs, formats};
use crate::clusters::offboard::live::{Offboarding, applications_on};
use crate::clusters::offboard::{self, Refusal, Workloads, plan};
use crate::clusters::{NamedError, named};
use crate::commands::plan::{Carrying, FORMATS};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::{ApiServer, block_on, objects_of};
use crate::onboarding::change::AwsChange;
use crate::onboarding::registered::{Login, Registered};
use crate::plan::{Outcome, Plan, Step};

/// Take a cluster out of the fleet
///
/// Shows what is on the cluster and what becomes of it, asks, and does it. Where Applications
/// deploy something there, it has to be said what becomes of that: --orphan leaves all resources as
/// they are and deletes the Applications, --delete-applications deletes them with their resources.
///
/// Argo CD decides by what goes first. An Application that an ApplicationSet generates no longer
/// takes its resources along as long as the cluster is registered; once it is not, they stay. With
/// --orphan the Secret goes before such Applications; with --delete-applications the labels go
/// first by which ApplicationSets select the cluster, and the Secret goes last. An ApplicationSet
/// that would select the cluster without any label has to be changed by hand before. What another
/// Application deploys comes back as long as it is in Git: with --orphan it is to be taken out
/// there afterwards, with --delete-applications before.
///
/// With --aws it then takes back what AWS has for the cluster alone, in the reverse order of
/// onboarding: the access policy, the access entry, the right of Argo CD's pods to assume the role,
/// and the role. What others use stays, and what is not known to be the cluster's alone is for
/// people: the plan says why.
///
/// Run again after it was cut off, it goes on with what is left.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What is on a cluster, and what would become of it
  kubectl gitops cluster offboard staging-eu --orphan --dry-run=client

  # Delete all that Argo CD deploys there, and forget the cluster
  kubectl gitops cluster offboard staging-eu --delete-applications

  # The same, and what AWS has for it
  kubectl gitops cluster offboard staging-eu --delete-applications --aws --engine-cluster devops

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
    aws: AwsArgs,

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

/// One thing that is done.
#[derive(Clone, Debug)]
enum Action {
    Fleet(offboard::Action),
    Aws(AwsChange),
}

/// Why it is not.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Fleet(#[from] offboard::live::Failure),
    #[error(transparent)]
    Aws(#[from] aws_side::Failure),
}

async fn offboard(args: &OffboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let server = context.connect().await?;
    let leaving = Box::pin(args.leaving(&server, context)).await?;
    let offboarding = Offboarding {
        server: &server,
        argocd_namespace: context.argocd_namespace(),
    };
    let carrying = Carrying {
        args: &args.plan,
        output: args.output,
        again: &leaving.again,
        context,
    };
    let act = async |action: &_, only_ask| -> Result<_, Failure> {
        Ok(match (action, &leaving.accounts) {
            (Action::Fleet(action), _) => offboarding.act(action, only_ask).await?,
            (Action::Aws(change), Some(accounts)) => accounts.act(change, only_ask).await?,
            // There is no such step without them.
            (Action::Aws(_), None) => Outcome::NotAsked,
        })
    };
    let kind = "ClusterOffboarding";
    let status = carrying.at_once_as(kind, &leaving.plan, act).await?;
    if leaving.is_left_in_aws {
        context.streams.hint(
            "AWS still lets Argo CD's role in: --aws takes that back as long as the Secret is there, \
             and with --eks-cluster and --role-arn also after that",
        );
    }
    Ok(status)
}

/// A cluster that leaves.
struct Leaving {
    plan: Plan<Action>,
    accounts: Option<Accounts>,
    /// The command that goes on.
    again: String,
    /// Whether AWS has something for it that nobody asked to take back.
    is_left_in_aws: bool,
}

impl OffboardArgs {
    fn workloads(&self) -> Option<Workloads> {
        match (self.orphan, self.delete_applications) {
            (true, _) => Some(Workloads::Orphan),
            (_, true) => Some(Workloads::Delete),
            _ => None,
        }
    }

    /// Reads what there is, and plans what becomes of it.
    async fn leaving(
        &self,
        server: &ApiServer,
        context: &Context,
    ) -> Result<Leaving, CommandError> {
        let namespace = context.argocd_namespace();
        // What is not known here may be on the cluster.
        let (mut facts, lacking) = Facts::of_cluster(server, namespace).await?;
        context.warn(facts.what_lacks(lacking));
        let inventory = facts.inventory()?;
        let clusters = inventory.fleet.clusters.secrets();
        let found = named(&self.name, namespace, clusters, |cluster| cluster);
        // What AWS has may be left when the cluster is not part of the fleet any more.
        let is_of_aws_alone = self.aws.aws && self.aws.names_all();
        let cluster = match found {
            Err(NamedError::None { .. }) if is_of_aws_alone => None,
            found => Some(found?),
        };
        let mut steps: Vec<Step<Action>> = Vec::new();
        if let Some(cluster) = cluster {
            let applications = applications_on(server, cluster, &inventory).await?;
            let plan = plan(cluster, namespace, &applications, self.workloads());
            let plan = plan.map_err(explained)?;
            steps.extend(plan.steps.into_iter().map(|step| step.map(Action::Fleet)));
        }
        let secrets = objects_of(Kind::ClusterSecret, namespace);
        let registered = server
            .list(&secrets, Some(CLUSTER_SECRETS), Registered::read)
            .await?;
        let registered: Vec<Registered> = registered.into_iter().flatten().collect();
        let own = cluster.and_then(|cluster| {
            let mut all = registered.iter();
            all.find(|one| one.secret_name == cluster.secret_name)
        });
        let mut leaving = Leaving {
            plan: Plan { steps },
            accounts: None,
            again: context.command_line.clone(),
            is_left_in_aws: !self.aws.aws
                && own.is_some_and(|own| matches!(own.login, Login::Aws { .. })),
        };
        if self.aws.aws {
            let meant = self.aws.meant(&self.name, own)?;
            leaving.again += &self.aws.lacking(&meant);
            let others = meant.others(&registered, own);
            let accounts = Box::pin(self.aws.read(meant, others, context)).await?;
            let of_aws = accounts.side.steps();
            let of_aws = of_aws.into_iter().map(|step| step.map(Action::Aws));
            leaving.plan.steps.extend(of_aws);
            leaving.accounts = Some(accounts);
        }
        Ok(leaving)
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
