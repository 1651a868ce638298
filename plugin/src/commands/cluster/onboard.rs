//! `cluster onboard`: how a cluster comes into the fleet, link by link.

mod accounts;
mod apply;
mod args;
mod description;
mod files;
mod fleet;

use self::accounts::Accounts;
use self::apply::Worker;
pub(super) use self::args::OnboardArgs;
use self::description::Described;
use self::fleet::FleetFacts;
use crate::commands::plan::Carrying;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::block_on;
use crate::onboarding::Onboarding;
use crate::onboarding::facts::{AwsFacts, EksCluster, Lookup};
use crate::onboarding::link::{LinkName, State};
use crate::onboarding::links::{self, Fleet};
use crate::onboarding::registration::{Evidence, Registration};
use crate::onboarding::script::Script;
use crate::onboarding::secret::{SecretManifest, lacking};
use crate::onboarding::terraform;
use crate::plan::StepResult;
use crate::report::cluster_plan::ClusterPlan;
use crate::text::counted;

/// Reads, judges, prints, and does and writes what is asked for.
pub(super) fn run(args: &OnboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    args.refuse_contradictions(context)?;
    block_on(onboarded(args, context))
}

async fn onboarded(args: &OnboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let source = Source::of(args, context).await?;
    let onboarding = source.onboarding(args, context).await?;
    let written = args.written(&onboarding)?;
    let status = match &source {
        Source::Accounts(accounts) if args.apply => {
            apply(args, &onboarding, accounts, &source, context).await?
        }
        _ => {
            args.print(&onboarding, context)?;
            status(&onboarding)
        }
    };
    for file in written.write()? {
        context.streams.status(&file);
    }
    Ok(status)
}

/// Where what is known of AWS comes from.
enum Source {
    Description(Box<Described>),
    Accounts(Box<Accounts>),
}

impl Source {
    async fn of(args: &OnboardArgs, context: &Context) -> Result<Self, CommandError> {
        match &args.describe {
            Some(path) => Ok(Source::Description(Box::new(Described::read(path)?))),
            None => Ok(Source::Accounts(Box::new(
                Accounts::connect(args, context).await?,
            ))),
        }
    }

    async fn onboarding(
        &self,
        args: &OnboardArgs,
        context: &Context,
    ) -> Result<Onboarding, CommandError> {
        let aws = match self {
            Source::Description(described) => of_description(&described.cluster),
            Source::Accounts(accounts) => accounts.read(args, context.argocd_namespace()).await,
        };
        let registration = args.registration(&aws, context)?;
        let mut fleet = FleetFacts::read(args, context).await?;
        onboard(registration, aws, &mut fleet, context)
    }
}

/// What is known of AWS where it is not asked: what a description tells.
fn of_description(cluster: &EksCluster) -> AwsFacts {
    let not_asked = || "AWS is not asked where --describe tells of the cluster".to_owned();
    AwsFacts {
        cluster: Lookup::Known(cluster.clone()),
        access_entry_principals: Lookup::Unknown(not_asked()),
        access_entry: Lookup::Unknown(not_asked()),
        access_policies: Lookup::Unknown(not_asked()),
        cluster_role: Lookup::Unknown(not_asked()),
        engine_role: Lookup::Unknown(not_asked()),
        engine_cluster: Lookup::Unknown(not_asked()),
        pod_identity_agent: Lookup::Unknown(not_asked()),
        pod_identity_associations: Lookup::Unknown(not_asked()),
        caller: Lookup::Unknown(not_asked()),
        engine_caller: Lookup::Unknown(not_asked()),
        reachability: Lookup::Unknown(not_asked()),
    }
}

/// Carries out what mends the links, and looks at them again.
async fn apply(
    args: &OnboardArgs,
    onboarding: &Onboarding,
    accounts: &Accounts,
    source: &Source,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let (plan, links) = match apply::plan(onboarding) {
        Ok(planned) => planned,
        Err(error) => {
            args.print(onboarding, context)?;
            return Err(CommandError::new(error)
                .hinted("nothing is done as long as a link is not known, or for others to mend"));
        }
    };
    let server = context.connect().await?;
    let worker = Worker {
        account: &accounts.cluster,
        engine: accounts.engine.as_ref(),
        server: &server,
        secret: &onboarding.secret,
    };
    let shown = ClusterPlan {
        onboarding,
        applied: &[],
        terraform: args.terraform.as_deref(),
    };
    let carrying = Carrying {
        args: &args.plan(),
        output: args.output,
        again: &context.command_line,
        context,
    };
    let act = async |action: &_, only_ask| worker.act(action, only_ask).await;
    let carried_out = carrying.at_once(&plan, &shown, act).await?;
    let applied: Vec<(LinkName, String)> = links
        .into_iter()
        .zip(&carried_out.results)
        .map(|(link, result)| (link, result.to_string()))
        .collect();
    let is_changed = carried_out.results.contains(&StepResult::Done);
    let again = if is_changed {
        Some(source.onboarding(args, context).await?)
    } else {
        None
    };
    let now = again.as_ref().unwrap_or(onboarding);
    if !args.output.is_for_people() {
        let report = ClusterPlan {
            onboarding: now,
            applied: &applied,
            terraform: args.terraform.as_deref(),
        };
        context.print(&report, args.output)?;
    }
    context.streams.status(&summary(now));
    Ok(match carried_out.failure {
        Some(_) => ExitStatus::Failed,
        None => status(now),
    })
}

/// Judges the Secret and what it sets off, and then each link.
fn onboard(
    registration: Registration,
    aws: AwsFacts,
    facts: &mut FleetFacts,
    context: &Context,
) -> Result<Onboarding, CommandError> {
    let evidence = Evidence {
        registration: &registration,
        aws: &aws,
    };
    let mut fleet = Fleet {
        registered: facts.registered.clone(),
        denied: Vec::new(),
    };
    let secret = SecretManifest::of(evidence, &fleet.secret_name(evidence));
    let (findings, fan_out) = if lacking(evidence).is_none() {
        let verdict = facts.judge(&secret, context)?;
        (verdict.findings, verdict.fan_out)
    } else {
        (Vec::new(), None)
    };
    fleet.denied = fleet::denials(&findings);
    let links = links::all(evidence, &fleet, context.now());
    Ok(Onboarding {
        registration,
        aws,
        secret,
        links,
        fan_out,
        findings,
    })
}

impl OnboardArgs {
    /// Prints the plan, or the commands that carry it out.
    fn print(&self, onboarding: &Onboarding, context: &Context) -> Result<(), CommandError> {
        if self.aws_cli {
            let script = Script {
                registration: &onboarding.registration,
                secret: &onboarding.secret,
            };
            context.streams.print(&script.all(&onboarding.links))?;
        } else {
            let report = ClusterPlan {
                onboarding,
                applied: &[],
                terraform: self.terraform.as_deref(),
            };
            context.print(&report, self.output)?;
        }
        context.streams.status(&summary(onboarding));
        Ok(())
    }

    /// The files that are asked for, none of which is written yet.
    fn written(&self, onboarding: &Onboarding) -> Result<files::Files, CommandError> {
        let mut files = files::Files::default();
        if let Some(folder) = &self.write {
            if let Some(lacking) = lacking(onboarding.evidence()) {
                return Err(CommandError::new(files::NotWritten::Lacking {
                    flag: "--write",
                    lacking: lacking.to_string(),
                }));
            }
            files.add_secret(folder, &onboarding.secret)?;
        }
        if let Some(folder) = &self.terraform {
            let texts = terraform::files(onboarding.evidence()).map_err(|error| {
                CommandError::new(files::NotWritten::Lacking {
                    flag: "--terraform",
                    lacking: error.to_string(),
                })
            })?;
            files.add_terraform(folder, texts)?;
        }
        Ok(files)
    }
}

fn summary(onboarding: &Onboarding) -> String {
    format!(
        "{}: {} ok, {} missing, {} wrong, {} unknown",
        counted(onboarding.links.len(), "link"),
        onboarding.count(State::Ok),
        onboarding.count(State::Missing),
        onboarding.count(State::Wrong),
        onboarding.count(State::Unknown)
    )
}

fn status(onboarding: &Onboarding) -> ExitStatus {
    if onboarding.count(State::Ok) == onboarding.links.len() {
        ExitStatus::Clean
    } else {
        ExitStatus::Changes
    }
}
