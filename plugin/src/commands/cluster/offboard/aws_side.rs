//! What `cluster offboard` does in AWS.

use std::fmt::Write as _;

use crate::aws::{self, Account, Engine, Login, Side, Wanted, read_leaving};
use crate::clusters::offboard::aws_side::{AwsSide, Others};
use crate::commands::cluster::identity::AWS;
use crate::context::Context;
use crate::error::CommandError;
use crate::onboarding::arn::RoleArn;
use crate::onboarding::change::{self, AwsChange};
use crate::onboarding::registered::{Login as RegisteredLogin, Registered};
use crate::plan::Outcome;
use crate::text::shell_word;

/// Whether AWS is asked, and about what.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = AWS)]
pub(super) struct AwsArgs {
    /// Take back what AWS has for the cluster alone
    #[arg(long)]
    pub(super) aws: bool,

    /// Name of the cluster in EKS [default: what the Secret says]
    #[arg(long, value_name = "NAME", requires = "aws", hide_short_help = true)]
    eks_cluster: Option<String>,

    /// Role that Argo CD assumes [default: what the Secret says]
    #[arg(long, value_name = "ARN", requires = "aws", hide_short_help = true)]
    role_arn: Option<RoleArn>,

    /// Region of the cluster [default: the profile's]
    #[arg(long, value_name = "REGION", requires = "aws", hide_short_help = true)]
    region: Option<String>,

    /// Profile of AWS for the cluster's account
    #[arg(long, value_name = "PROFILE", requires = "aws", hide_short_help = true)]
    profile: Option<String>,

    /// Name in EKS of the cluster that Argo CD runs on
    #[arg(long, value_name = "NAME", requires = "aws", hide_short_help = true)]
    engine_cluster: Option<String>,

    /// Role of Argo CD's pods [default: what EKS gives them]
    #[arg(
        long,
        value_name = "ARN",
        requires = "engine_cluster",
        hide_short_help = true
    )]
    engine_role_arn: Option<RoleArn>,

    /// Region of that cluster [default: --region]
    #[arg(
        long,
        value_name = "REGION",
        requires = "engine_cluster",
        hide_short_help = true
    )]
    engine_region: Option<String>,

    /// Profile of AWS for the account of that cluster [default: --profile]
    #[arg(
        long,
        value_name = "PROFILE",
        requires = "engine_cluster",
        hide_short_help = true
    )]
    engine_profile: Option<String>,
}

/// What the Secret does not say, nor a flag.
#[derive(Debug, thiserror::Error)]
enum NotNamed {
    #[error("--aws: which role Argo CD assumes for cluster {0} is not known: expected --role-arn")]
    Role(String),
    #[error("--aws: {0} in secret/{1} is not the ARN of a role: expected --role-arn")]
    NotARole(String, String),
    #[error("--aws: the name of cluster {0} in EKS is not known: expected --eks-cluster")]
    Cluster(String),
}

/// What is to be taken back, by its names.
pub(super) struct Meant {
    cluster: String,
    role: RoleArn,
}

/// The accounts, and what they have.
pub(super) struct Accounts {
    cluster: Account,
    engine: Option<Account>,
    pub(super) side: AwsSide,
}

impl AwsArgs {
    /// Whether all that AWS is asked about is named, so that no Secret has to say it.
    pub(super) fn names_all(&self) -> bool {
        self.eks_cluster.is_some() && self.role_arn.is_some()
    }

    /// What is meant, by flags or by the cluster's own Secret.
    ///
    /// # Errors
    /// Neither says it.
    pub(super) fn meant(
        &self,
        name: &str,
        own: Option<&Registered>,
    ) -> Result<Meant, CommandError> {
        let (cluster_name, role_arn) = match own.map(|own| &own.login) {
            Some(RegisteredLogin::Aws {
                cluster_name,
                role_arn,
                ..
            }) => (cluster_name.as_str(), role_arn.as_str()),
            _ => ("", ""),
        };
        let role = match (&self.role_arn, role_arn) {
            (Some(role), _) => role.clone(),
            (None, "") => return Err(CommandError::new(NotNamed::Role(name.to_owned()))),
            (None, written) => written.parse().map_err(|_| {
                let secret = own.map(|own| own.secret_name.clone());
                let secret = secret.unwrap_or_default();
                CommandError::new(NotNamed::NotARole(written.to_owned(), secret))
            })?,
        };
        let cluster = match (&self.eks_cluster, cluster_name) {
            (Some(cluster), _) => cluster.clone(),
            (None, "") => return Err(CommandError::new(NotNamed::Cluster(name.to_owned()))),
            (None, cluster) => cluster.to_owned(),
        };
        Ok(Meant { cluster, role })
    }

    /// The flags that name what only the Secret says, which may be gone when the command is run
    /// again.
    pub(super) fn lacking(&self, meant: &Meant) -> String {
        // A String takes all that is written to it.
        let mut flags = String::new();
        if self.eks_cluster.is_none() {
            let _ = write!(flags, " --eks-cluster {}", shell_word(&meant.cluster));
        }
        if self.role_arn.is_none() {
            let role = meant.role.to_string();
            let _ = write!(flags, " --role-arn {}", shell_word(&role));
        }
        flags
    }

    /// Logs in to AWS, and reads what it has.
    ///
    /// # Errors
    /// There is no way to AWS, or no good credential.
    pub(super) async fn read(
        &self,
        meant: Meant,
        others: Others,
        context: &Context,
    ) -> Result<Accounts, CommandError> {
        let timeout = context.cluster.request_timeout;
        let login = |profile: &Option<String>, region: &Option<String>| Login {
            profile: profile.clone(),
            region: region.clone(),
            timeout: timeout.and_then(|timeout| timeout.0),
            ..Login::default()
        };
        let engine_profile = self.engine_profile.clone().or_else(|| self.profile.clone());
        let engine_region = self.engine_region.clone().or_else(|| self.region.clone());
        let cluster = Account::connect(Side::Cluster, &login(&self.profile, &self.region)).await?;
        let engine = match &self.engine_cluster {
            Some(_) => {
                let login = login(&engine_profile, &engine_region);
                Some(Account::connect(Side::Engine, &login).await?)
            }
            None => None,
        };
        let Meant {
            cluster: name,
            role,
        } = meant;
        let role_text = role.to_string();
        let engine_role = self.engine_role_arn.as_ref().map(ToString::to_string);
        let wanted = Wanted {
            cluster: &name,
            cluster_role: Some(&role_text),
            engine: match (&engine, &self.engine_cluster) {
                (Some(account), Some(cluster)) => Some(Engine {
                    account,
                    cluster,
                    namespace: context.argocd_namespace(),
                    role: engine_role.as_deref(),
                }),
                _ => None,
            },
        };
        let (facts, entered) = read_leaving(&cluster, &wanted, &role_text).await;
        let of_facts = || facts.engine_role.known()?.arn.parse().ok();
        let side = AwsSide {
            engine_role: self.engine_role_arn.clone().or_else(of_facts),
            engine_cluster: self.engine_cluster.clone(),
            cluster: name,
            role,
            entered,
            others,
            login: change::Login {
                region: Some(cluster.region().to_owned()),
                profile: self.profile.clone(),
            },
            engine_login: change::Login {
                region: engine.as_ref().map(|engine| engine.region().to_owned()),
                profile: engine_profile,
            },
            facts,
        };
        Ok(Accounts {
            cluster,
            engine,
            side,
        })
    }
}

impl Meant {
    /// The other Secrets of the fleet that may log in with the role.
    pub(super) fn others(&self, all: &[Registered], own: Option<&Registered>) -> Others {
        let mut others = Others::default();
        let is_other = |one: &&Registered| own.is_none_or(|own| own.secret_name != one.secret_name);
        for one in all.iter().filter(is_other) {
            let secret = format!("secret/{}", one.secret_name);
            match &one.login {
                RegisteredLogin::Aws {
                    cluster_name,
                    role_arn,
                    ..
                } if *role_arn == self.role.to_string() => {
                    let is_here = *cluster_name == self.cluster
                        && own.is_none_or(|own| own.server == one.server);
                    if is_here {
                        others.here.push(secret);
                    } else {
                        others.elsewhere.push(secret);
                    }
                }
                RegisteredLogin::Exec
                | RegisteredLogin::Unreadable(_)
                | RegisteredLogin::Irregular => {
                    others
                        .elsewhere
                        .push(format!("{secret}, of which that is not clear,"));
                }
                RegisteredLogin::Aws { .. }
                | RegisteredLogin::Nothing
                | RegisteredLogin::LongLived(_)
                | RegisteredLogin::Insecure => {}
            }
        }
        others
    }
}

/// A change was not made; with what may help.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.in_one_line())]
pub(super) struct Failure(aws::AwsError);

impl Accounts {
    /// Makes a change.
    ///
    /// # Errors
    /// AWS refuses it, or it is not so in time.
    pub(super) async fn act(&self, change: &AwsChange, only_ask: bool) -> Result<Outcome, Failure> {
        // AWS cannot be asked without doing it.
        if only_ask {
            return Ok(Outcome::NotAsked);
        }
        let account = match (change.side, &self.engine) {
            (Side::Engine, Some(engine)) => engine,
            _ => &self.cluster,
        };
        let done = account.apply(&change.change, aws::Patience::default());
        done.await.map_err(Failure)?;
        Ok(Outcome::Done)
    }
}
