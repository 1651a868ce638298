//! `cluster migrate`: from a token in the Secret to a login by AWS.

use std::path::{Path, PathBuf};

use argocd::cluster::config::AwsAuthConfig;
use serde::Deserialize;

use super::identity::{AWS, IdentityArgs, Projects};
use crate::args::{Format, OUTPUT, PLAN, PlanArgs, SCOPE, formats};
use crate::clusters::live::read as read_clusters;
use crate::clusters::migrate::live::{Migration, Proven, Prover, read};
use crate::clusters::migrate::{Action, Progress, steps};
use crate::clusters::{Registration, revoke};
use crate::commands::plan::{FORMATS, carry_out_as};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, block_on};
use crate::login::Identity;
use crate::plan::{Plan, Step};
use crate::text::counted;

/// Have Argo CD log in to a cluster by AWS instead of by a token
///
/// Proves first that the new login works: takes on the role, signs a request to STS, asks the API
/// server as Argo CD would, and asks whether it may do what the AppProjects need. Only then the
/// Secret is switched, in one request that keeps all that others have written there, and the login
/// is proven again by what is stored. If that fails, the Secret is put back as it was.
///
/// --revoke then takes away what the token was good for: the bindings of its service account, the
/// Secrets with its tokens, and the service account. It waits until the API server refuses the
/// token. The token is kept in memory only.
///
/// Clusters are migrated one after the other, and the first that fails ends it. Run again, it goes
/// on from what is there; --resume takes up those whose Secret is switched and whose token is still
/// to be revoked.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What would be done for one cluster, once its new login is proven
  kubectl gitops cluster migrate legacy --role-arn ARN --dry-run=client

  # All that a file names: switch them, and revoke their tokens
  kubectl gitops cluster migrate --all --from clusters.yaml --revoke

Exit status:
  0  it is done, or would be
  2  it is not, at least in part

The file of --from is a list in YAML:
  - name: legacy            # in Argo CD
    eksCluster: legacy-eks  # default: the same
    roleARN: arn:aws:iam::111122223333:role/argocd")]
pub(super) struct MigrateArgs {
    /// Name of the cluster in Argo CD
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "resume"])]
    name: Option<String>,

    /// All clusters that the file of --from names
    #[arg(long, requires = "from", conflicts_with_all = ["name", "resume"], help_heading = SCOPE)]
    all: bool,

    /// The clusters whose token is still to be revoked
    #[arg(long, conflicts_with = "name", help_heading = SCOPE)]
    resume: bool,

    /// File that says which role and which cluster in EKS each cluster has
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "eks_cluster", "role_arn"], help_heading = AWS)]
    from: Option<PathBuf>,

    /// Name of the cluster in EKS, where it is another
    #[arg(long, value_name = "NAME", help_heading = AWS)]
    eks_cluster: Option<String>,

    /// Role by which Argo CD logs in
    #[arg(long, value_name = "ARN", help_heading = AWS)]
    role_arn: Option<String>,

    /// Revoke the token afterwards
    #[arg(long, help_heading = PLAN)]
    revoke: bool,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    plan: PlanArgs,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

/// An entry of the file of `--from`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    name: String,
    eks_cluster: Option<String>,
    #[serde(rename = "roleARN")]
    role_arn: String,
}

/// What is asked for cannot be done.
#[derive(Debug, thiserror::Error)]
enum MigrateError {
    #[error("there is no cluster {0}")]
    NoCluster(String),
    #[error("{0} are several clusters in Argo CD: only one may have the name")]
    Several(String),
    #[error("cluster {0}: --role-arn is missing: which role does Argo CD log in by?")]
    NoRole(String),
    #[error("cluster {name}: {reason}")]
    Cluster { name: String, reason: String },
    #[error("cluster {name}: the new login does not work, so that nothing is changed: {reason}")]
    NotProven { name: String, reason: String },
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}: {reason}", .path.display())]
    Form { path: PathBuf, reason: String },
    #[error("no cluster is left whose token is to be revoked")]
    NothingToResume,
}

/// One cluster with what is to be done for it.
struct Prepared<'p> {
    migration: Migration<'p>,
    steps: Vec<Step<Action>>,
}

/// Reads, proves, shows, asks, does.
pub(super) fn run(args: &MigrateArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(migrate(args, context))
}

async fn migrate(args: &MigrateArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let server = context.connect().await?;
    let clusters = read_clusters(&server, context.argocd_namespace()).await?;
    context.warn(&clusters.lacking);
    let wanted = args.wanted(&clusters.all)?;
    let identity = args.identity.log_in(context).await?;
    let projects = Projects::read(&server, context.argocd_namespace()).await?;
    let work = context.progress.begin("proving logins", Some(wanted.len()));
    let mut prepared = Vec::new();
    for (registration, aws) in wanted {
        let preparing = Preparing {
            args,
            context,
            server: &server,
            identity: &identity,
            projects: &projects,
        };
        prepared.extend(preparing.prepare(registration, aws).await?);
        work.reached(prepared.len());
    }
    drop(work);
    carry_out_all(args, prepared, context).await
}

async fn carry_out_all(
    args: &MigrateArgs,
    prepared: Vec<Prepared<'_>>,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let (mut migrations, mut all) = (Vec::new(), Vec::new());
    for one in prepared {
        let index = migrations.len();
        migrations.push(one.migration);
        let steps = one.steps.into_iter();
        all.extend(steps.map(|step| step.map(|action| (index, action))));
    }
    let plan = Plan { steps: all };
    let act = async |(index, action): &(usize, Action), only_ask| {
        let migration: &Migration<'_> = &migrations[*index];
        migration.act(action, only_ask).await
    };
    let status = carry_out_as(
        "ClusterMigration",
        &plan,
        &args.plan,
        args.output,
        &args.again(),
        context,
        act,
    )
    .await?;
    if !args.revoke && status == ExitStatus::Clean && plan.to_do() > 0 {
        let clusters = counted(migrations.len(), "cluster");
        context.streams.hint(&format!(
            "the tokens of {clusters} still let in whoever has them: --revoke takes them away"
        ));
    }
    Ok(status)
}

struct Preparing<'p> {
    args: &'p MigrateArgs,
    context: &'p Context,
    server: &'p ApiServer,
    identity: &'p Identity,
    projects: &'p Projects,
}

impl<'p> Preparing<'p> {
    /// Proves the new login of one cluster, and says what is to be done. Nothing for one that is
    /// done.
    async fn prepare(
        &self,
        registration: &Registration,
        aws: AwsAuthConfig,
    ) -> Result<Option<Prepared<'p>>, CommandError> {
        let name = registration.cluster.name.clone();
        let failed = |reason: String| {
            let name = name.clone();
            CommandError::new(MigrateError::Cluster { name, reason })
        };
        let secret = registration.cluster.secret_name.clone();
        let namespace = self.context.argocd_namespace();
        let stored = read(self.server, namespace, &secret, &aws).await;
        let stored = stored.map_err(|error| failed(chain(&error)))?;
        let progress = Progress::of(registration, stored.account.clone());
        let progress = progress.map_err(|refusal| failed(refusal.to_string()))?;
        let is_left = match &progress {
            Progress::Registered { .. } => true,
            Progress::Switched { .. } => self.args.revoke || self.args.resume,
            Progress::Done => false,
        };
        if !is_left {
            let done = format!("{name}: Argo CD logs in by AWS, and nothing is left to be done");
            self.context.streams.status(&done);
            return Ok(None);
        }
        let logins = Prover {
            identity: self.identity,
            needs: self.projects.needs(&registration.cluster),
        };
        let proven = stored.prove_new(&logins).await.map_err(|reason| {
            let name = name.clone();
            CommandError::new(MigrateError::NotProven { name, reason })
        })?;
        let left = self.left(registration, &progress, &proven).await?;
        let steps = steps(registration, &progress, &aws, &proven.user, left);
        Ok(Some(Prepared {
            migration: Migration {
                server: self.server,
                argocd_namespace: namespace,
                secret,
                aws,
                stored,
                prover: logins,
                now: self.context.now(),
            },
            steps,
        }))
    }

    /// What the service account leaves on the cluster, where that is to be revoked.
    async fn left(
        &self,
        registration: &Registration,
        progress: &Progress,
        proven: &Proven,
    ) -> Result<Option<Vec<Step<revoke::Action>>>, CommandError> {
        let account = match progress {
            Progress::Registered { account } => account.as_ref(),
            Progress::Switched { account } => Some(account),
            Progress::Done => None,
        };
        let Some(account) = account.filter(|_| self.args.revoke || self.args.resume) else {
            return Ok(None);
        };
        let name = &registration.cluster.name;
        Ok(Some(revoke::steps(&proven.server, name, account).await?))
    }
}

impl MigrateArgs {
    /// The clusters that are meant, and how Argo CD is to log in to each.
    fn wanted<'r>(
        &self,
        registrations: &'r [Registration],
    ) -> Result<Vec<(&'r Registration, AwsAuthConfig)>, CommandError> {
        if self.resume {
            return resumed(registrations);
        }
        let entries = match (&self.from, &self.name) {
            (Some(path), _) => entries(path)?,
            (None, Some(name)) => vec![Entry {
                name: name.clone(),
                eks_cluster: self.eks_cluster.clone(),
                role_arn: self.role_of(name, registrations)?,
            }],
            (None, None) => Vec::new(),
        };
        let entries = entries.into_iter().map(|entry| {
            let registration = find(&entry.name, registrations)?;
            Ok((registration, entry.aws()))
        });
        entries.collect()
    }

    /// The role of the flag, or the one that is in the Secret already.
    fn role_of(&self, name: &str, registrations: &[Registration]) -> Result<String, CommandError> {
        if let Some(role) = &self.role_arn {
            return Ok(role.clone());
        }
        let registration = find(name, registrations)?;
        let known = registration.aws.as_ref().map(|aws| aws.role_arn.clone());
        known.ok_or_else(|| CommandError::new(MigrateError::NoRole(name.to_owned())))
    }

    /// The command that goes on.
    fn again(&self) -> String {
        let which = match (&self.name, &self.from) {
            (Some(name), _) => format!(" {name}"),
            (None, Some(path)) => format!(" --all --from {}", path.display()),
            (None, None) => " --resume".to_owned(),
        };
        let role = self
            .role_arn
            .as_ref()
            .map(|role| format!(" --role-arn {role}"));
        let cluster = self.eks_cluster.as_ref();
        let cluster = cluster.map(|cluster| format!(" --eks-cluster {cluster}"));
        let revoke = if self.revoke { " --revoke" } else { "" };
        format!(
            "kubectl gitops cluster migrate{which}{}{}{revoke}",
            cluster.unwrap_or_default(),
            role.unwrap_or_default()
        )
    }
}

impl Entry {
    fn aws(self) -> AwsAuthConfig {
        AwsAuthConfig {
            cluster_name: self.eks_cluster.unwrap_or(self.name),
            role_arn: self.role_arn,
            profile: String::new(),
        }
    }
}

fn resumed(
    registrations: &[Registration],
) -> Result<Vec<(&Registration, AwsAuthConfig)>, CommandError> {
    let begun = registrations.iter().filter_map(|registration| {
        let aws = registration.aws.clone()?;
        registration.token_of()?;
        Some((registration, aws))
    });
    let begun: Vec<_> = begun.collect();
    if begun.is_empty() {
        return Err(CommandError::new(MigrateError::NothingToResume));
    }
    Ok(begun)
}

fn find<'r>(
    name: &str,
    registrations: &'r [Registration],
) -> Result<&'r Registration, CommandError> {
    let mut named = registrations.iter().filter(|one| one.cluster.name == name);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(CommandError::new(MigrateError::Several(name.to_owned()))),
        (None, _) => Err(CommandError::new(MigrateError::NoCluster(name.to_owned()))
            .hinted("`kubectl gitops cluster list` shows all that there are")),
    }
}

fn entries(path: &Path) -> Result<Vec<Entry>, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|source| {
        let path = path.to_owned();
        CommandError::new(MigrateError::Read { path, source })
    })?;
    serde_saphyr::from_str(&text).map_err(|error| {
        CommandError::new(MigrateError::Form {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    })
}
