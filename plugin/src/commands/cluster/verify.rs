//! `cluster verify`: whether Argo CD can log in to clusters.

use argocd::ClusterSecret;
use argocd::names::CLUSTER_SECRETS;
use policy::Kind;

use super::identity::{IdentityArgs, Projects};
use crate::args::{Format, OUTPUT, SCOPE, formats};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, Objects, block_on, resource_of};
use crate::login::{Target, Verdict, Verification, verify};
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
    /// Name of the cluster in Argo CD
    #[arg(value_name = "NAME", required_unless_present = "all")]
    name: Option<String>,

    /// All clusters
    #[arg(long, conflicts_with = "name", help_heading = SCOPE)]
    all: bool,

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

/// There is no such cluster.
#[derive(Debug, thiserror::Error)]
enum NoCluster {
    #[error("there is no cluster {name} in namespace {namespace}")]
    Named { name: String, namespace: String },
    #[error("there is no cluster Secret in namespace {0}")]
    Any(String),
}

/// Reads, logs in, prints.
pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let found = block_on(verified(args, context))?;
    let verdicts = || found.all.iter().map(Verification::verdict);
    let status = if verdicts().any(|verdict| verdict == Verdict::Broken) {
        ExitStatus::Broken
    } else if verdicts().any(|verdict| verdict == Verdict::Unknown) || found.is_partial {
        ExitStatus::Failed
    } else {
        ExitStatus::Clean
    };
    context.print(&found, args.output)?;
    Ok(status)
}

async fn verified(
    args: &VerifyArgs,
    context: &Context,
) -> Result<ClusterVerifications, CommandError> {
    let server = context.connect().await?;
    let namespace = context.argocd_namespace();
    let (targets, unread) = targets(&server, namespace).await?;
    let named = args.name.as_ref();
    let is_meant = |target: &Target| named.is_none_or(|name| target.cluster.name == *name);
    let targets: Vec<Target> = targets.into_iter().filter(is_meant).collect();
    if targets.is_empty() {
        let namespace = namespace.to_owned();
        return Err(CommandError::new(match args.name.clone() {
            Some(name) => NoCluster::Named { name, namespace },
            None => NoCluster::Any(namespace),
        }));
    }
    let unread = if args.all { unread } else { Vec::new() };
    for reason in &unread {
        context.streams.error(reason);
    }
    let projects = Projects::read(&server, namespace).await?;
    // Who has no cluster that logs in by AWS needs no credentials for it.
    let identity = if targets.iter().any(Target::is_by_aws) {
        Some(args.identity.log_in(context).await?)
    } else {
        None
    };
    let progress = context
        .progress
        .begin("logging in to clusters", Some(targets.len()));
    let mut all = Vec::new();
    for target in &targets {
        let needs = projects.needs(&target.cluster);
        all.push(verify(target, identity.as_ref(), &needs).await);
        progress.reached(all.len());
    }
    Ok(ClusterVerifications {
        all,
        is_partial: !unread.is_empty(),
    })
}

/// The clusters, and those of which nobody can say which they are.
async fn targets(
    server: &ApiServer,
    namespace: &str,
) -> Result<(Vec<Target>, Vec<String>), CommandError> {
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
    Ok((targets, unread))
}
