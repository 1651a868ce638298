//! `cluster migrate`: from a token in the Secret to a login by AWS.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use argocd::cluster::ServiceAccount;
use argocd::cluster::config::AwsAuthConfig;
use futures::stream::{self, StreamExt as _};
use secrecy::SecretString;
use serde::Deserialize;

use super::identity::{AWS, IdentityArgs, Projects};
use crate::args::{DryRun, Format, OUTPUT, PLAN, PlanArgs, SCOPE, formats};
use crate::clusters::live::read as read_clusters;
use crate::clusters::migrate::live::{Migration, Proven, Prover, read};
use crate::clusters::migrate::{Action, Known, Left, Progress, Revocation, steps};
use crate::clusters::{Registration, named, revoke};
use crate::commands::plan::{Carrying, FORMATS};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, block_on};
use crate::login::Identity;
use crate::plan::{Part, Plan, Step, canary_first};
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
/// With --all the logins to all clusters are proven first. Then the first of the file is migrated
/// by itself, and the others some at a time. No other is begun once one has failed. Run again, it
/// goes on from what is there; --resume takes up those whose Secret is switched and whose token is
/// still to be revoked.
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
    /// The cluster, by its name in Argo CD, its server, or the name of its Secret
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "resume"])]
    name: Option<String>,

    /// All clusters that the file of --from names
    #[arg(long, requires = "from", conflicts_with_all = ["name", "resume"], help_heading = SCOPE)]
    all: bool,

    /// The clusters whose token is still to be revoked
    #[arg(long, conflicts_with = "name", help_heading = SCOPE)]
    resume: bool,

    /// How many clusters are migrated at a time, once the first one is
    #[arg(long, value_name = "COUNT", default_value = "5", hide_short_help = true, help_heading = PLAN)]
    batch_size: NonZero<usize>,

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
    #[error("cluster {0}: --role-arn is missing: which role does Argo CD log in by?")]
    NoRole(String),
    #[error("cluster {name}: {reason}")]
    Cluster { name: String, reason: String },
    #[error("cluster {name}: the new login does not work, so that nothing is changed: {reason}")]
    NotProven { name: String, reason: String },
    #[error(
        "cluster {name}: its Secret is switched already, and the login does not work: {reason}; mend that, or register \
         the cluster anew by `argocd cluster add --upsert`"
    )]
    Switched { name: String, reason: String },
    #[error("nothing is changed, as {failed} of {total} clusters are not ready for it")]
    NotReady { failed: usize, total: usize },
    #[error("{}: cluster {name} is there twice", .path.display())]
    Twice { path: PathBuf, name: String },
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
    let wanted = args.wanted(&clusters.all, context.argocd_namespace())?;
    let identity = args.identity.log_in(context).await?;
    let projects = Projects::read(&server, context.argocd_namespace()).await?;
    let preparing = Preparing {
        args,
        context,
        server: &server,
        identity: &identity,
        projects: &projects,
    };
    let prepared = preparing.prepare_all(wanted).await?;
    carry_out_all(args, prepared, context).await
}

async fn carry_out_all(
    args: &MigrateArgs,
    prepared: Vec<Prepared<'_>>,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let (mut migrations, mut all, mut parts) = (Vec::new(), Vec::new(), Vec::<Part>::new());
    for one in prepared {
        let (index, first) = (migrations.len(), all.len());
        migrations.push(one.migration);
        let steps = one.steps.into_iter();
        all.extend(steps.map(|step| step.map(|action| (index, action))));
        parts.push(first..all.len());
    }
    let plan = Plan { steps: all };
    let act = async |(index, action): &(usize, Action), only_ask| {
        let migration: &Migration<'_> = &migrations[*index];
        migration.act(action, only_ask).await
    };
    let carrying = Carrying {
        args: &args.plan,
        output: args.output,
        again: &context.command_line,
        context,
    };
    let batches = canary_first(parts, args.batch_size);
    let status = carrying
        .in_batches_as("ClusterMigration", &plan, &batches, act)
        .await?;
    let is_done = args.plan.dry_run == DryRun::None && status == ExitStatus::Clean;
    if is_done && !args.revokes() && plan.to_do() > 0 {
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
    /// Proves all new logins, some at a time. Whatever is wrong with any of them is told at once.
    async fn prepare_all(
        &self,
        wanted: Vec<(&Registration, AwsAuthConfig)>,
    ) -> Result<Vec<Prepared<'p>>, CommandError> {
        let total = wanted.len();
        let work = self.context.progress.begin("proving logins", Some(total));
        let proving = wanted
            .into_iter()
            .map(|(registration, aws)| self.prepare(registration, aws));
        let mut proving = stream::iter(proving).buffered(self.args.batch_size.get());
        let (mut prepared, mut failures) = (Vec::new(), Vec::new());
        let mut count = 0;
        while let Some(one) = proving.next().await {
            count += 1;
            work.reached(count);
            match one {
                Ok(one) => prepared.extend(one),
                Err(error) => failures.push(error),
            }
        }
        drop(work);
        match (failures.len(), failures.pop()) {
            (_, None) => Ok(prepared),
            (1, Some(error)) => Err(error),
            (failed, Some(last)) => {
                for error in failures.iter().chain([&last]) {
                    error.report(&self.context.streams);
                }
                Err(CommandError::new(MigrateError::NotReady { failed, total }))
            }
        }
    }

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
            Progress::Switched { .. } => self.args.revokes() || stored.has_copy(),
            Progress::Done => stored.has_copy(),
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
            CommandError::new(match progress {
                Progress::Switched { .. } => MigrateError::Switched { name, reason },
                _ => MigrateError::NotProven { name, reason },
            })
        })?;
        let (left, tokens) = match self.account(&progress) {
            Some(account) => {
                let has_token = stored.has_token();
                let (left, tokens) = left(registration, account, has_token, &proven).await?;
                (Some(left), tokens)
            }
            None => (None, Vec::new()),
        };
        let revocation = if self.args.revokes() {
            Revocation::Of(left)
        } else {
            Revocation::None
        };
        let known = Known {
            registration,
            progress: &progress,
            aws: &aws,
            user: &proven.user,
            has_copy: stored.has_copy(),
        };
        let steps = steps(&known, revocation);
        Ok(Some(Prepared {
            migration: Migration {
                server: self.server,
                argocd_namespace: namespace,
                secret,
                aws,
                stored,
                prover: logins,
                tokens,
                now: self.context.now(),
            },
            steps,
        }))
    }

    /// The service account that is taken away, where one is.
    fn account<'a>(&self, progress: &'a Progress) -> Option<&'a ServiceAccount> {
        let account = match progress {
            Progress::Registered { account } => account.as_ref(),
            Progress::Switched { account } => Some(account),
            Progress::Done => None,
        };
        account.filter(|_| self.args.revokes())
    }
}

/// What a service account leaves on the cluster, and its tokens that are stored there.
async fn left(
    registration: &Registration,
    account: &ServiceAccount,
    has_token: bool,
    proven: &Proven,
) -> Result<(Left, Vec<SecretString>), CommandError> {
    let name = &registration.cluster.name;
    let steps = revoke::steps(&proven.server, name, account).await?;
    let tokens = revoke::tokens(&proven.server, account).await?;
    let has_token = has_token || !tokens.is_empty();
    Ok((Left { steps, has_token }, tokens))
}

impl MigrateArgs {
    /// Whether tokens are revoked. A run that is taken up was about that.
    fn revokes(&self) -> bool {
        self.revoke || self.resume
    }

    /// The clusters that are meant, and how Argo CD is to log in to each.
    fn wanted<'r>(
        &self,
        registrations: &'r [Registration],
        namespace: &str,
    ) -> Result<Vec<(&'r Registration, AwsAuthConfig)>, CommandError> {
        let find = |name: &str| named(name, namespace, registrations, |one| &one.cluster);
        match (&self.from, &self.name) {
            (None, Some(name)) => {
                let registration = find(name)?;
                let aws = AwsAuthConfig {
                    cluster_name: match &self.eks_cluster {
                        Some(cluster) => cluster.clone(),
                        None => registration.eks_cluster(),
                    },
                    role_arn: self.role_of(registration)?,
                    profile: String::new(),
                };
                Ok(vec![(registration, aws)])
            }
            (Some(path), _) => {
                let mut wanted: Vec<(&Registration, AwsAuthConfig)> = Vec::new();
                for entry in entries(path)? {
                    let registration = find(&entry.name)?;
                    let secret = &registration.cluster.secret_name;
                    if wanted
                        .iter()
                        .any(|(one, _)| one.cluster.secret_name == *secret)
                    {
                        return Err(CommandError::new(MigrateError::Twice {
                            path: path.clone(),
                            name: entry.name,
                        }));
                    }
                    wanted.push((registration, entry.aws(registration)));
                }
                Ok(wanted)
            }
            (None, None) => resumed(registrations),
        }
    }

    /// The role of the flag, or the one that is in the Secret already.
    fn role_of(&self, registration: &Registration) -> Result<String, CommandError> {
        let known = || registration.aws.as_ref().map(|aws| aws.role_arn.clone());
        let role = self.role_arn.clone().or_else(known);
        let name = &registration.cluster.name;
        role.ok_or_else(|| CommandError::new(MigrateError::NoRole(name.clone())))
    }
}

impl Entry {
    fn aws(self, registration: &Registration) -> AwsAuthConfig {
        AwsAuthConfig {
            cluster_name: self
                .eks_cluster
                .unwrap_or_else(|| registration.eks_cluster()),
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
