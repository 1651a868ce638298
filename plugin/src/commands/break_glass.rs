//! `break-glass`: overrides of rules on the objects of a cluster.

mod grant;
mod list;
mod revoke;
mod why;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Subcommand, ValueEnum};
use policy::{Inventory, RuleId, registry};
use serde_json::Value;

use self::grant::GrantArgs;
use self::list::ListArgs;
use self::revoke::RevokeArgs;
use self::why::WhyArgs;
use crate::break_glass::live::{Writer, find};
use crate::break_glass::target::parse_name;
use crate::break_glass::{Judgement, Live, Target};
use crate::cluster_access::ApiServer;
use crate::commands::explain;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::facts::Facts;
use crate::output;
use crate::repository::manifest::Kind;

/// Overrule rules on an object for a while, on the record
///
/// An override names rules, a reason and an end. It is written to an Application, ApplicationSet,
/// AppProject or cluster Secret as three annotations, and lets pass what these rules deny there, for
/// whoever may use the verb `break-glass` on `gitopspolicies.kubectl-gitops.io/RULE`. The admission
/// webhook asks for that when the override is written and each time that it is needed, and leaves an
/// Event, a log line and an audit annotation.
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
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
pub(crate) fn run(args: &BreakGlassArgs) -> Result<ExitStatus, CommandError> {
    match &args.command {
        BreakGlassCommand::Grant(args) => grant::run(args),
        BreakGlassCommand::List(args) => list::run(args),
        BreakGlassCommand::Revoke(args) => revoke::run(args),
        BreakGlassCommand::Why(args) => why::run(args),
    }
}

/// Where objects are looked for.
#[derive(Clone, Debug, clap::Args)]
struct Namespaces {
    /// Namespace of the objects, if it is not Argo CD's
    #[arg(short, long, value_parser = parse_name)]
    namespace: Option<String>,

    /// Namespace that Argo CD runs in
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "argocd",
        value_parser = parse_name
    )]
    argocd_namespace: String,
}

impl Namespaces {
    fn of_objects(&self) -> &str {
        self.namespace.as_ref().unwrap_or(&self.argocd_namespace)
    }
}

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
    /// Writes annotations of an override, or not, and returns who wrote the override last afterwards: nobody where
    /// nothing is sent.
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

/// Takes the name of a rule.
fn rule_parser() -> impl TypedValueParser<Value = RuleId> {
    PossibleValuesParser::new(explain::names())
        .try_map(|name| rule_of(&name).ok_or("there is no such rule"))
}

fn rule_of(name: &str) -> Option<RuleId> {
    registry::find(name).map(|rule| rule.metadata().id)
}

/// What is known of the fleet.
struct Known {
    inventory: Inventory,
    /// Whether the policy in it is the cluster's.
    knows_policy: bool,
}

/// Reads as much of the fleet as the user may, and tells what that leaves out.
async fn known(server: &ApiServer, argocd_namespace: &str) -> Result<Known, CommandError> {
    let (mut facts, lacking) =
        Facts::of_cluster_as_far_as_permitted(server, argocd_namespace).await?;
    facts.tell_what_lacks(&lacking);
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
) -> Result<Option<(Live, Judgement)>, CommandError> {
    let Some(set) = application_set_of(live)? else {
        return Ok(None);
    };
    let found = find(server, &set, live.namespace(), inventory).await?;
    tell_where_it_stands(live, &set);
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

fn tell_where_it_stands(live: &Live, set: &Target) {
    output::status(&format!(
        "{} is generated by {set}: an override stands there, for everything that it generates",
        live.reference.short()
    ));
}
