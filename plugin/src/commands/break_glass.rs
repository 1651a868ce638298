//! `break-glass`: overrides of rules on the objects of a cluster.

mod grant;
mod list;
mod revoke;
mod why;

use clap::{Subcommand, ValueEnum};
use policy::{Inventory, Kind};
use serde_json::Value;

use self::grant::GrantArgs;
use self::list::ListArgs;
use self::revoke::RevokeArgs;
use self::why::WhyArgs;
use crate::args::target::parse_name;
use crate::args::{Format, Target};
use crate::break_glass::live::{Writer, find};
use crate::break_glass::{Judgement, Live};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::Facts;
use crate::kubernetes::ApiServer;

/// Overrule rules on an object for a while, on the record
///
/// An override names rules, a reason and an end. It is written to an Application, ApplicationSet,
/// AppProject or cluster Secret as three annotations, and lets pass what these rules deny there,
/// for whoever may use the verb `break-glass` on `gitopspolicies.kubectl-gitops.io/RULE`. The
/// admission webhook asks for that when the override is written and each time that it is needed,
/// and leaves an Event, a log line and an audit annotation.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  # Let an Application be automated for two hours, though it is on production
  kubectl gitops break-glass grant orders --rule prod-auto-sync --for 2h --reason 'INC-1: stuck'

  # What is overruled anywhere
  kubectl gitops break-glass list -A

  # Whether you may overrule a rule
  kubectl gitops break-glass why prod-auto-sync"
)]
pub(crate) struct BreakGlassArgs {
    #[command(subcommand)]
    command: BreakGlassCommand,
}

#[derive(Debug, Subcommand)]
enum BreakGlassCommand {
    Grant(Box<GrantArgs>),
    List(Box<ListArgs>),
    Revoke(Box<RevokeArgs>),
    Why(Box<WhyArgs>),
}

/// Does what the subcommand says.
pub(crate) fn run(args: &BreakGlassArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    match &args.command {
        BreakGlassCommand::Grant(args) => grant::run(args, context),
        BreakGlassCommand::List(args) => list::run(args, context),
        BreakGlassCommand::Revoke(args) => revoke::run(args, context),
        BreakGlassCommand::Why(args) => why::run(args, context),
    }
}

/// How an override is shown in place of saying what happens to it.
const OBJECT_FORMATS: &[(Format, &str)] = &[
    (Format::Json, "The override in JSON"),
    (Format::Yaml, "The override in YAML"),
    (Format::Name, "The name of the object"),
];

/// Whether something is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum DryRun {
    /// It is
    #[default]
    None,
    /// Nothing is sent
    Client,
    /// The API server and the webhook say what they would do
    Server,
}

impl DryRun {
    /// Writes annotations of an override, or not, and returns who wrote the override last
    /// afterwards: nobody where nothing is sent.
    async fn write(
        self,
        server: &ApiServer,
        live: &Live,
        annotations: &Value,
    ) -> Result<Option<Writer>, CommandError> {
        match self {
            DryRun::Client => Ok(None),
            dry_run => {
                let only_ask = dry_run == DryRun::Server;
                live.annotate(server, annotations, only_ask).await
            }
        }
    }

    /// What stands behind the name of an object that was written, as kubectl has it.
    fn suffix(self) -> &'static str {
        match self {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}

/// What is known of the fleet.
struct Known {
    inventory: Inventory,
    /// Whether the policy in it is the cluster's.
    knows_policy: bool,
}

/// Reads as much of the fleet as the user may, and tells what that leaves out.
async fn known(server: &ApiServer, context: &Context) -> Result<Known, CommandError> {
    let namespace = context.argocd_namespace();
    let (mut facts, lacking) = Facts::of_cluster_as_far_as_permitted(server, namespace).await?;
    context.warn(facts.what_lacks(lacking));
    Ok(Known {
        inventory: facts.inventory()?,
        knows_policy: facts.knows_policy,
    })
}

/// The ApplicationSet that generates an Application, which is where an override on that stands.
async fn generator_of(
    server: &ApiServer,
    live: &Live,
    inventory: &Inventory,
    context: &Context,
) -> Result<Option<(Live, Judgement)>, CommandError> {
    let Some(set) = application_set_of(live)? else {
        return Ok(None);
    };
    let found = find(server, &set, live.namespace(), inventory, context.now()).await?;
    tell_where_it_stands(live, &set, context);
    Ok(Some(found))
}

/// The name of that ApplicationSet.
fn application_set_of(live: &Live) -> Result<Option<Target>, CommandError> {
    let Some(name) = &live.application_set else {
        return Ok(None);
    };
    Ok(Some(Target {
        kind: Kind::ApplicationSet,
        name: parse_name(name).map_err(CommandError::new)?,
    }))
}

fn tell_where_it_stands(live: &Live, set: &Target, context: &Context) {
    context.streams.status(&format!(
        "{} is generated by {set}: an override stands there, for everything that it generates",
        live.reference.short()
    ));
}
