//! `break-glass revoke`: ends an override.

use jiff::Timestamp;
use policy::Kind;
use policy::break_glass::VERB;
use policy::break_glass::annotations::{ALL, EXPIRES};
use serde_json::{Map, Value, json};

use super::{OBJECT_FORMATS, generator_of, known, write};
use crate::args::{DryRun, Format, OUTPUT, Target, formats};
use crate::break_glass::live::find;
use crate::break_glass::{Live, Override, OverrideStatus};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, block_on, may_i, of_all_namespaces, resource_of};
use crate::report::break_glass::Revoked;

/// End an override
///
/// Where none of its rules is violated any more, the three annotations are taken off. Where one is,
/// the webhook would refuse that: the override is cut short to now, which anybody may do who may
/// write the object, and what is then in violation is shown. Off an ApplicationSet it is taken by
/// whoever may overrule its rules; by anybody else it is cut short, too. Nothing that runs changes
/// by this, but the next change to what the rule reads is refused until it is put right.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # End the override on an Application
  kubectl gitops break-glass revoke orders

  # See what ending the one on an ApplicationSet would do
  kubectl gitops break-glass revoke appset/carts --dry-run client

Exit status:
  0  there is no override any more that overrules anything, or none would be
  2  it failed")]
pub(super) struct RevokeArgs {
    /// The object: the name of an Application, or KIND/NAME
    ///
    /// The kind is application, applicationset, appproject or secret.
    target: Target,

    /// Whether anything is written
    #[arg(long, value_enum, value_name = "WHERE", default_value_t)]
    dry_run: DryRun,

    /// Print what is left of it in this format
    ///
    /// Without it, what happens is said.
    #[arg(short, long, value_name = "FORMAT", value_parser = formats(OBJECT_FORMATS), help_heading = OUTPUT)]
    output: Option<Format>,
}

/// Reads, writes, and shows what is in violation.
pub(super) fn run(args: &RevokeArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    block_on(revoke(args, context))
}

async fn revoke(args: &RevokeArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let server = context.connect().await?;
    let inventory = known(&server, context).await?.inventory;
    let namespace = context.namespace_of(&server);
    let now = context.now();
    let (mut live, mut judgement) = find(&server, &args.target, namespace, &inventory, now).await?;
    if live.written == Override::None
        && let Some(generator) = generator_of(&server, &live, &inventory, context).await?
    {
        (live, judgement) = generator;
    }
    let judgement = judgement.by(live.written.rules());
    let left = if judgement.may_be_violated() || stays_on_record(&server, &live).await? {
        cut_short(&live.written, now)
    } else {
        Override::None
    };
    if left != live.written {
        let annotations = annotations(&left);
        live.writer = write(args.dry_run, &server, &live, &annotations).await?;
    }
    let was = live.written.state(now);
    let status = OverrideStatus::of(&live, left, judgement, now);
    let report = Revoked {
        status: &status,
        was,
        suffix: args.dry_run.suffix(),
    };
    context.print(&report, args.output.unwrap_or(Format::Table))?;
    Ok(ExitStatus::Clean)
}

/// Whether an override stays where it stands, and is only over: on an ApplicationSet, which
/// somebody who may not overrule its rules does not take it off. What it let pass may be put right
/// in the template, and not yet in the Applications.
async fn stays_on_record(server: &ApiServer, live: &Live) -> Result<bool, CommandError> {
    if live.kind != Kind::ApplicationSet {
        return Ok(false);
    }
    for rule in live.written.rules() {
        let policies = of_all_namespaces(resource_of(Kind::Policy));
        if !may_i(server, VERB, &policies, rule.as_str()).await?.allowed {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What becomes of the annotations.
fn annotations(left: &Override) -> Value {
    match left {
        // Everything else stays as it is, for this is what makes it a shorter one of the same.
        Override::Valid(left) => json!({EXPIRES: left.expires.to_string()}),
        Override::None | Override::Invalid(_) => {
            let gone = ALL.map(|key| (key.to_owned(), Value::Null));
            Value::Object(Map::from_iter(gone))
        }
    }
}

/// The same override, over by now.
fn cut_short(written: &Override, now: Timestamp) -> Override {
    let mut left = written.clone();
    if let Override::Valid(written) = &mut left {
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        written.expires = written.expires.min(second);
    }
    left
}
