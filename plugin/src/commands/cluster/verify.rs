//! `cluster verify`: whether Argo CD can log in to clusters.

use argocd::ClusterSecret;
use argocd::names::CLUSTER_SECRETS;
use futures::stream::{self, StreamExt as _};
use policy::Kind;

use super::identity::{IdentityArgs, Projects};
use crate::args::{Format, OUTPUT, SCOPE, formats};
use crate::clusters::live::record_proof;
use crate::clusters::named;
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, Objects, block_on, resource_of};
use crate::login::{Controller, Target, Verdict, Verification, verify};
use crate::report::cluster_verification::ClusterVerifications;

/// Prove that Argo CD can log in to a cluster
///
/// Does what Argo CD does with a cluster Secret that has an awsAuthConfig: takes on its role, signs
/// a request to STS that is the token, asks the API server for its version by the Secret's
/// certificate authority, and asks it for what the AppProjects that permit the cluster need. The
/// link that does not hold is named, with what puts it right. The token is kept in memory only.
///
/// AWS is asked with your credentials, as the `aws` command has them. Whether you may take on the
/// role says nothing of Argo CD: `--engine-role-arn` names the role of its pods, which is taken on
/// first, where you may.
///
/// --as-engine tries it where Argo CD runs: a Job with the service account and the image of its
/// application controller takes on the role and asks the API server. That proves Pod Identity, the
/// trust of the role and the way to the endpoint. What the role may do is asked from here, where
/// you may take it on. The Job is deleted afterwards, and what it prints is not kept.
///
/// Otherwise nothing is written, so that who may only read can verify. With --record the time is
/// noted in the Secret of each cluster whose login is proven (annotation
/// kubectl-gitops.io/verified), and `cluster list` shows it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # One cluster
  kubectl gitops cluster verify prod-eu

  # All that there are, by the way that Argo CD goes
  kubectl gitops cluster verify --all --engine-role-arn arn:aws:iam::111122223333:role/argocd

  # For a script
  kubectl gitops cluster verify --all -o json

Exit status:
  0  all logins are proven
  1  one is broken
  2  of one nobody could tell, or it failed")]
pub(super) struct VerifyArgs {
    /// The cluster, by its name in Argo CD, its server, or the name of its Secret
    #[arg(value_name = "NAME", required_unless_present = "all")]
    name: Option<String>,

    /// All clusters
    #[arg(long, conflicts_with = "name", help_heading = SCOPE)]
    all: bool,

    /// Have Argo CD's own service account try it, in a Job that is deleted afterwards
    #[arg(long)]
    as_engine: bool,

    /// Note in the Secrets when a login was proven, for `cluster list`
    #[arg(long)]
    record: bool,

    #[command(flatten)]
    identity: IdentityArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each cluster"),
    (Format::Wide, "A row for each link of each cluster"),
    (Format::Json, "All that was found, in JSON"),
    (Format::Yaml, "All that was found, in YAML"),
];

/// How many clusters are logged in to at a time.
const AT_A_TIME: usize = 16;

/// There is nothing to verify.
#[derive(Debug, thiserror::Error)]
#[error("there is no cluster Secret in namespace {0}")]
struct NoCluster(String);

/// Reads, logs in, prints, records.
pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(run_async(args, context))
}

async fn run_async(args: &VerifyArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let server = context.connect().await?;
    let read = read(args, &server, context).await?;
    let found = verified(args, &read, &server, context).await?;
    let status = status(&found);
    context.print(&found, args.output)?;
    let is_on_record = !args.record || record(&found, &read.targets, &server, context).await;
    Ok(match status {
        ExitStatus::Clean if !is_on_record => ExitStatus::Failed,
        status => status,
    })
}

fn status(found: &ClusterVerifications) -> ExitStatus {
    let verdicts = || found.all.iter().map(Verification::verdict);
    if verdicts().any(|verdict| verdict == Verdict::Broken) {
        ExitStatus::Broken
    } else if verdicts().any(|verdict| verdict == Verdict::Unknown) || found.is_partial {
        ExitStatus::Failed
    } else {
        ExitStatus::Clean
    }
}

/// The clusters that are meant.
struct Read {
    targets: Vec<Target>,
    /// Why of others nobody can say which they are.
    unread: Vec<String>,
}

async fn read(
    args: &VerifyArgs,
    server: &ApiServer,
    context: &Context,
) -> Result<Read, CommandError> {
    let namespace = context.argocd_namespace();
    let mut read = targets(server, namespace).await?;
    let tell = |read: &Read| {
        for reason in &read.unread {
            context.streams.error(reason);
        }
    };
    let Some(name) = &args.name else {
        if read.targets.is_empty() && read.unread.is_empty() {
            return Err(CommandError::new(NoCluster(namespace.to_owned())));
        }
        tell(&read);
        return Ok(read);
    };
    let meant = named(name, namespace, &read.targets, |target| &target.cluster);
    let meant = match meant {
        Ok(meant) => meant.cluster.secret_name.clone(),
        Err(error) => {
            // It may be one of those.
            tell(&read);
            return Err(error.into());
        }
    };
    read.targets
        .retain(|target| target.cluster.secret_name == meant);
    read.unread.clear();
    Ok(read)
}

async fn verified(
    args: &VerifyArgs,
    read: &Read,
    server: &ApiServer,
    context: &Context,
) -> Result<ClusterVerifications, CommandError> {
    let targets = &read.targets;
    let projects = Projects::read(server, context.argocd_namespace()).await?;
    // Who has no cluster that logs in by AWS needs no credentials for it.
    let identity = if targets.iter().any(Target::is_by_aws) {
        match args.identity.log_in(context).await {
            // Argo CD has its own.
            Err(error) if args.as_engine => {
                error.report(&context.streams);
                None
            }
            identity => Some(identity?),
        }
    } else {
        None
    };
    let controller = if args.as_engine {
        let controller = Controller::find(server, context.argocd_namespace()).await;
        Some(controller.map_err(CommandError::new)?)
    } else {
        None
    };
    let progress = context
        .progress
        .begin("logging in to clusters", Some(targets.len()));
    let log_in = async |target: &Target| {
        let needs = projects.needs(&target.cluster);
        let mut found = verify(target, identity.as_ref(), &needs).await;
        if let Some(controller) = &controller {
            controller.verify(target, &mut found).await;
        }
        found
    };
    let mut logging_in = stream::iter(targets).map(log_in).buffered(AT_A_TIME);
    let mut all = Vec::new();
    while let Some(found) = logging_in.next().await {
        all.push(found);
        progress.reached(all.len());
    }
    Ok(ClusterVerifications {
        all,
        is_partial: !read.unread.is_empty(),
    })
}

/// Whether all that is proven is on record.
async fn record(
    found: &ClusterVerifications,
    targets: &[Target],
    server: &ApiServer,
    context: &Context,
) -> bool {
    let mut is_recorded = true;
    for (found, target) in found.all.iter().zip(targets) {
        if found.verdict() != Verdict::Proven {
            continue;
        }
        let secret = &target.cluster.secret_name;
        let recorded = record_proof(server, context.argocd_namespace(), secret, context.now());
        if let Err(error) = recorded.await {
            is_recorded = false;
            let error = chain(&error);
            let name = &found.name;
            context.streams.error(&format!(
                "{name}: that it is proven is not on record: {error}"
            ));
        }
    }
    is_recorded
}

/// The clusters, and those of which nobody can say which they are.
async fn targets(server: &ApiServer, namespace: &str) -> Result<Read, CommandError> {
    let secrets = Objects {
        resource: resource_of(Kind::ClusterSecret),
        namespace: Some(namespace.to_owned()),
    };
    let read = |json: &str| {
        // serde's message can quote a value.
        let secret: ClusterSecret<'_> =
            serde_json::from_str(json).map_err(|_| "a cluster Secret cannot be read".to_owned())?;
        let name = secret.metadata.name.to_string();
        Target::of(&secret).map_err(|error| format!("secrets/{name}: {}", chain(&error)))
    };
    let read: Vec<Result<Target, String>> =
        server.list(&secrets, Some(CLUSTER_SECRETS), read).await?;
    let (mut targets, mut unread) = (Vec::new(), Vec::new());
    for target in read {
        match target {
            Ok(target) => targets.push(target),
            Err(reason) => unread.push(reason),
        }
    }
    targets.sort_by(|one, other| one.cluster.name.cmp(&other.cluster.name));
    Ok(Read { targets, unread })
}
