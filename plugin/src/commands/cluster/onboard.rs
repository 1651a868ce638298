//! `cluster onboard`: how a cluster comes into the fleet, link by link.

mod args;
mod description;
mod files;
mod fleet;

pub(super) use self::args::OnboardArgs;
use self::description::Described;
use self::fleet::FleetFacts;
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::onboarding::Onboarding;
use crate::onboarding::facts::{AwsFacts, Lookup};
use crate::onboarding::link::State;
use crate::onboarding::links::{self, Fleet};
use crate::onboarding::registration::{Evidence, Registration};
use crate::onboarding::script::Script;
use crate::onboarding::secret::{SecretManifest, lacking};
use crate::onboarding::terraform;
use crate::report::cluster_plan::ClusterPlan;
use crate::text::counted;

/// Reads, judges, prints, and writes what is asked for.
pub(super) fn run(args: &OnboardArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    args.refuse_contradictions(context)?;
    let described = args.describe.as_deref().map(Described::read).transpose()?;
    let aws = read_aws(described)?;
    let registration = args.registration(&aws, context)?;
    let mut fleet = FleetFacts::read(args, context)?;
    let onboarding = onboard(registration, aws, &mut fleet, context)?;

    let written = args.written(&onboarding)?;
    if args.aws_cli {
        let script = Script {
            registration: &onboarding.registration,
            secret: &onboarding.secret,
        };
        context.streams.print(&script.all(&onboarding.links))?;
    } else {
        let report = ClusterPlan {
            onboarding: &onboarding,
            applied: &[],
        };
        context.print(&report, args.output)?;
    }
    for file in written.write()? {
        context.streams.status(&file);
    }
    context.streams.status(&summary(&onboarding));
    Ok(status(&onboarding))
}

/// What is known of AWS: what a description tells, and nothing else.
fn read_aws(described: Option<Described>) -> Result<AwsFacts, CommandError> {
    let Some(described) = described else {
        return Err(CommandError::new(NotDescribed)
            .hinted("aws eks describe-cluster --name NAME | kubectl gitops cluster onboard NAME --describe -"));
    };
    let not_asked = || "AWS is not asked where --describe tells of the cluster".to_owned();
    Ok(AwsFacts {
        cluster: Lookup::Known(described.cluster),
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
    })
}

#[derive(Debug, thiserror::Error)]
#[error("--describe: it is not told what the cluster is like")]
struct NotDescribed;

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
