//! `break-glass list`: the overrides that there are.

use jiff::Timestamp;
use policy::{Inventory, Kind};

use super::known;
use crate::args::{Format, OUTPUT, SCOPE, ScopeArgs, formats};
use crate::break_glass::{Grants, Judgement, Live, Override, OverrideStatus, State};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::{Listed, block_on, reference_of, resource_of};
use crate::report::break_glass::Overrides;

/// List the overrides
///
/// Applications, ApplicationSets, AppProjects and cluster Secrets with an override: which rules,
/// until when, why, and which of these rules the object violates now, overruled or not. One that
/// expired lets nothing pass any more; what it let pass stays until somebody changes it.
///
/// Who granted it is known from the webhook's Events, as long as there are some: one hour, unless
/// the API server keeps them longer. Whoever may write Events can forge them; the proof is in the
/// audit log.
///
/// `-o wide` adds which program wrote the override last, as the API server keeps it in
/// managedFields. That is a name which the program gives itself, and no person.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # What is overruled in Argo CD's namespace
  kubectl gitops break-glass list

  # What was left behind, anywhere
  kubectl gitops break-glass list -A --expired

  # For a report
  kubectl gitops break-glass list -A -o json

Exit status:
  0  the list is complete
  2  something could not be read")]
pub(super) struct ListArgs {
    #[command(flatten)]
    scope: ScopeArgs,

    /// Only the overrides that are over
    #[arg(long, help_heading = SCOPE)]
    expired: bool,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each override"),
    (Format::Wide, "The same with what wrote it"),
    (Format::Json, "The list in JSON"),
    (Format::Yaml, "The list in YAML"),
    (Format::Name, "The names of the objects"),
];

/// What was found.
struct Found {
    overrides: Vec<OverrideStatus>,
    /// The kinds and the objects that could not be read.
    left_out: Vec<String>,
    /// Where it was looked, for people.
    place: String,
}

/// Reads, judges, prints.
pub(super) fn run(args: &ListArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let Found {
        overrides,
        left_out,
        place,
    } = block_on(list(args, context))?;
    if overrides.is_empty() {
        context.streams.status(&args.nothing(&place, &left_out));
    }
    let report = Overrides {
        all: &overrides,
        now: context.now(),
    };
    context.print(&report, args.output)?;
    Ok(if left_out.is_empty() {
        ExitStatus::Clean
    } else {
        ExitStatus::Failed
    })
}

async fn list(args: &ListArgs, context: &Context) -> Result<Found, CommandError> {
    let server = context.connect().await?;
    let inventory = known(&server, context).await?.inventory;
    let now = context.now();
    let read = |kind, json: &str| {
        let object = reference_of(&resource_of(kind), json);
        (object, status(kind, json, &inventory, now))
    };
    let selection = context.selection(&args.scope, &server);
    let Listed { made, left_out } = selection.list(&server, read).await?;
    let mut found = Found {
        overrides: Vec::new(),
        left_out: Vec::new(),
        place: context.place(&args.scope, &server, "any namespace"),
    };
    for kind in left_out {
        let reason = &kind.reason;
        context.streams.error(&format!("left out: {reason}"));
        found.left_out.push(kind.kind);
    }
    for (object, status) in made {
        match status {
            Ok(status) => found.overrides.extend(status),
            Err(reason) => {
                let object = object.short();
                context.streams.error(&format!("{object}: {reason}"));
                found.left_out.push(object);
            }
        }
    }
    let is_asked = |status: &OverrideStatus| !args.expired || status.state == State::Expired;
    found.overrides.retain(is_asked);
    if !found.overrides.is_empty() {
        let (grants, unknown) = Grants::of(&server, selection.namespace).await;
        context.warn(unknown);
        for status in &mut found.overrides {
            status.granted_by = grants.granted_by(status);
        }
    }
    Ok(found)
}

impl ListArgs {
    /// That there is none, as far as that is known.
    fn nothing(&self, place: &str, left_out: &[String]) -> String {
        let what = if self.expired {
            "no override that is over"
        } else {
            "no override"
        };
        if left_out.is_empty() {
            return format!("{what} in {place}");
        }
        format!(
            "{what} found in {place}, but not all of it is known: {} could not be read",
            left_out.join(", ")
        )
    }
}

/// The override on an object, if there is one, or why the object cannot be judged.
fn status(
    kind: Kind,
    json: &str,
    inventory: &Inventory,
    now: Timestamp,
) -> Result<Option<OverrideStatus>, String> {
    let live = Live::read(kind, json)?;
    if live.written == Override::None {
        return Ok(None);
    }
    let judgement = Judgement::of(kind, json, inventory, now)?;
    let judgement = judgement.by(live.written.rules());
    let written = live.written.clone();
    Ok(Some(OverrideStatus::of(&live, written, judgement, now)))
}
