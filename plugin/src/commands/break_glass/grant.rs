//! `break-glass grant`: writes an override.

use jiff::{SignedDuration, Timestamp};
use policy::break_glass::annotations::{
    EXPIRES, OVERRULED, REASON, REASON_LIMIT, REASON_SEPARATOR,
};
use policy::break_glass::terms::{Terms, Unacceptable};
use policy::break_glass::{self, InvalidOverride};
use policy::finding::is_printed;
use policy::{Inventory, RuleId, registry};
use serde_json::{Value, json};

use super::{Known, OBJECT_FORMATS, generator_of, known, write};
use crate::args::{DryRun, Format, OUTPUT, Target, formats, rule_parser};
use crate::break_glass::attempt::covers_syncs;
use crate::break_glass::live::find;
use crate::break_glass::{Attempt, Override, OverrideStatus};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::kubernetes::{ApiServer, block_on, who_am_i};
use crate::report::break_glass::{Written, let_through, sentence};
use crate::repository::manifest::ObjectReference;

/// Overrule rules on an object for a while
///
/// Shows what would be let through and why it is refused now, then writes the three annotations of
/// an override in one request. An Application that an ApplicationSet generates has none of its own:
/// the override goes on the ApplicationSet.
///
/// Where one stands already and would not go on by the new one, it is asked whether that is to be
/// replaced, which ends it: --replace says so beforehand. --extend adds the rules to it instead,
/// until its end. That takes the right to overrule the added rules alone, so that two people who
/// may overrule one rule each can do so on one object.
///
/// Argo CD does not try a revision again that it failed to sync, so what the webhook refused before
/// stays undone until somebody syncs: --sync does, with the Application's own options.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # Let an Application be automated for two hours, though it is on production
  kubectl gitops break-glass grant orders --rule prod-auto-sync --for 2h --reason 'INC-1: stuck'

  # The same for all that an ApplicationSet generates
  kubectl gitops break-glass grant appset/carts --rule prod-auto-sync --for 30m --reason INC-1

Exit status:
  0  it is written, or would be
  2  it is not")]
pub(super) struct GrantArgs {
    /// The object: the name of an Application, or KIND/NAME
    ///
    /// The kind is application, applicationset, appproject or secret.
    target: Target,

    /// Rule to overrule; can be given several times
    ///
    /// It is one of those that `kubectl gitops explain` lists.
    #[arg(long = "rule", value_name = "RULE", required = true, value_delimiter = ',', hide_possible_values = true, value_parser = rule_parser())]
    rules: Vec<RuleId>,

    /// How long, such as 2h or 90m
    #[arg(
        long = "for",
        value_name = "DURATION",
        value_parser = parse_duration,
        required_unless_present = "extend"
    )]
    duration: Option<SignedDuration>,

    /// Why, for everybody to read
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Ticket that explains it, which is put before the reason
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,

    /// Whether anything is written
    #[arg(long, value_enum, value_name = "WHERE", default_value_t)]
    dry_run: DryRun,

    /// Replace what stands there already without asking
    #[arg(long, conflicts_with = "extend")]
    replace: bool,

    /// Add the rules to what stands there already, until its end
    ///
    /// The reason is added to its reason.
    #[arg(long, conflicts_with = "duration")]
    extend: bool,

    /// Then try again what the webhook refused last
    ///
    /// The Application is synced, or the one that the object is part of.
    #[arg(long)]
    sync: bool,

    /// Print the override in this format
    ///
    /// Without it, what happens is said.
    #[arg(short, long, value_name = "FORMAT", value_parser = formats(OBJECT_FORMATS), help_heading = OUTPUT)]
    output: Option<Format>,
}

/// A flag whose value makes no override, or one that the policy does not allow.
#[derive(Debug, thiserror::Error)]
enum GrantError {
    #[error(
        "--for {given:#}: expected at most {longest:#} (spec.breakGlass.maxDuration of the GitOpsPolicy)"
    )]
    TooLong {
        given: SignedDuration,
        longest: SignedDuration,
    },
    #[error(
        "--ticket, --reason: {reason:?} names no ticket: expected one like {pattern} (spec.breakGlass.ticketPattern of the \
         GitOpsPolicy)"
    )]
    NoTicket { reason: String, pattern: String },
    #[error("{flag}: it is empty: expected {expected}")]
    Empty {
        flag: &'static str,
        expected: &'static str,
    },
    #[error(
        "{0}: expected one line without control characters and marks that hide or reorder text"
    )]
    NotOneLine(&'static str),
    #[error(
        "--rule {rule}: it judges {} only: on {object} an override would overrule nothing",
        .judges.join(", ")
    )]
    OtherKind {
        rule: RuleId,
        judges: Vec<&'static str>,
        object: String,
    },
    #[error(
        "--reason: {0} characters, with --ticket if there is one: expected at most {REASON_LIMIT}"
    )]
    LongReason(usize),
    #[error("--for {0:#}: expected at least one second")]
    TooShort(SignedDuration),
    #[error(
        "{object}: metadata.deletionTimestamp: it is being deleted, and an override on it counts for nothing"
    )]
    BeingDeleted { object: String },
    #[error("{object} has an override already: {existing}")]
    Existing { object: String, existing: String },
    #[error("--extend: {object} has no override that could be extended")]
    NothingToExtend { object: String },
    /// What the flags cannot amount to.
    #[error("it would not be an override: {0}")]
    Other(InvalidOverride),
}

/// Reads, shows, writes, and says what is left to be done.
pub(super) fn run(args: &GrantArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let reason = args.reason().map_err(CommandError::new)?;
    block_on(grant(args, &reason, context))
}

async fn grant(
    args: &GrantArgs,
    reason: &str,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let server = context.connect().await?;
    let Known {
        inventory,
        knows_policy,
    } = known(&server, context).await?;
    let now = context.now();
    let terms = knows_policy.then(|| inventory.terms());
    let asked = args
        .duration
        .map(|duration| args.written(reason, duration, terms, now));
    let asked = asked.transpose().map_err(CommandError::new)?;
    let namespace = context.namespace_of(&server);
    let (mut live, mut judgement) = find(&server, &args.target, namespace, &inventory, now).await?;
    if let Some(generator) = generator_of(&server, &live, &inventory, context).await? {
        (live, judgement) = generator;
    }
    args.check_kind(&live.reference)
        .map_err(CommandError::new)?;
    if live.is_being_deleted {
        let object = live.reference.short();
        return Err(CommandError::new(GrantError::BeingDeleted { object }));
    }
    let existing = live.written.in_force(now).cloned();
    let written = match (asked, &existing) {
        (Some(asked), _) => asked,
        (None, Some(existing)) => {
            let extended = args.extended(existing, reason);
            extended.map_err(CommandError::new)?
        }
        (None, None) => {
            let object = live.reference.short();
            return Err(CommandError::new(GrantError::NothingToExtend { object }));
        }
    };
    let attempt = Attempt::refused(&server, &live, context.argocd_namespace()).await?;
    let judgement = judgement.by(&written.rules);
    if args.output.is_none() {
        let text = let_through(&judgement, &written.rules);
        context.streams.print(&text)?;
    }
    if let Some(existing) = &existing
        && !args.extend
    {
        args.replace_or_ask(&live.reference, existing, &written, context)?;
    }

    live.writer = write(args.dry_run, &server, &live, &annotations(&written)).await?;
    let status = OverrideStatus::of(&live, Override::Valid(written), judgement, now);
    let report = Written {
        status: &status,
        suffix: args.dry_run.suffix(),
    };
    context.print(&report, args.output.unwrap_or(Format::Table))?;
    args.follow_up(&server, attempt, &inventory, context)
        .await?;
    Ok(ExitStatus::Clean)
}

impl GrantArgs {
    /// What the annotation will say, which begins with the ticket if there is one.
    fn reason(&self) -> Result<String, GrantError> {
        let reason = one_line("--reason", &self.reason, "a text that tells others why")?;
        let Some(ticket) = &self.ticket else {
            return Ok(reason.to_owned());
        };
        let ticket = one_line("--ticket", ticket, "the number of a ticket")?;
        Ok(format!("{ticket}: {reason}"))
    }

    /// Whether there is something for each of the rules to judge.
    fn check_kind(&self, object: &ObjectReference) -> Result<(), GrantError> {
        let metadata = |rule: &RuleId| Some(registry::find(rule.as_str())?.metadata());
        let mut rules = self.rules.iter().filter_map(metadata);
        match rules.find(|rule| !rule.kind_names().contains(&&*object.kind)) {
            Some(rule) => Err(GrantError::OtherKind {
                rule: rule.id,
                judges: rule.kind_names(),
                object: object.short(),
            }),
            None => Ok(()),
        }
    }

    /// The override that is asked for, if the policy allows it. Where the user may not read that,
    /// the webhook will say.
    fn written(
        &self,
        reason: &str,
        duration: SignedDuration,
        terms: Option<&Terms>,
        now: Timestamp,
    ) -> Result<break_glass::Override, GrantError> {
        let names: Vec<&str> = self.rules.iter().map(|rule| rule.as_str()).collect();
        let end = end(now, duration);
        let written = break_glass::Override::new(&names.join(","), reason, &end.to_string());
        let written = written.map_err(|error| match error {
            InvalidOverride::LongReason => GrantError::LongReason(reason.chars().count()),
            error => GrantError::Other(error),
        })?;
        match terms.map_or(Ok(()), |terms| terms.accept(&written, now)) {
            Ok(()) => Ok(written),
            Err(Unacceptable::TooLong(longest)) => Err(GrantError::TooLong {
                given: duration,
                longest,
            }),
            Err(Unacceptable::NoTicket(pattern)) => Err(GrantError::NoTicket {
                reason: reason.to_owned(),
                pattern,
            }),
            Err(Unacceptable::Expired(_)) => Err(GrantError::TooShort(duration)),
        }
    }

    /// What stands with the rules that are asked for as well.
    fn extended(
        &self,
        existing: &break_glass::Override,
        reason: &str,
    ) -> Result<break_glass::Override, GrantError> {
        let mut written = existing.clone();
        let more = self.rules.iter().filter(|rule| !existing.names(**rule));
        written.rules.extend(more);
        if written.rules.len() > existing.rules.len() && reason != existing.reason {
            written.reason = format!("{}{REASON_SEPARATOR}{reason}", existing.reason);
        }
        match written.reason.chars().count() {
            ..=REASON_LIMIT => Ok(written),
            length => Err(GrantError::LongReason(length)),
        }
    }

    /// Tells that an override is replaced, which ends it; if that was not said beforehand, whoever
    /// runs this is asked.
    fn replace_or_ask(
        &self,
        object: &ObjectReference,
        existing: &break_glass::Override,
        written: &break_glass::Override,
        context: &Context,
    ) -> Result<(), CommandError> {
        let sentence = sentence(existing);
        let ends_nothing = existing.rules.iter().all(|rule| written.names(*rule))
            && existing.reason == written.reason
            && existing.expires <= written.expires;
        if self.replace || ends_nothing || self.dry_run != DryRun::None {
            context
                .streams
                .warning(&format!("replaces what stands: {sentence}"));
            return Ok(());
        }
        let object = object.short();
        let question = format!(
            "{object} has an override already: {sentence}\nReplace it, which ends it? [y/N] "
        );
        if context.streams.ask(&question) {
            return Ok(());
        }
        let error = GrantError::Existing {
            object,
            existing: sentence,
        };
        Err(CommandError::new(error).hinted(
            "--extend adds the rules to it and leaves the rest as it is; --replace ends it in favour of this one",
        ))
    }

    /// Says what the webhook refused before, and tries it again or says how to.
    async fn follow_up(
        &self,
        server: &ApiServer,
        attempt: Option<Attempt>,
        inventory: &Inventory,
        context: &Context,
    ) -> Result<(), CommandError> {
        let Some(attempt) = attempt else {
            if self.sync {
                let nothing = "nothing is synced: no sync failed as the webhook refused something";
                context.streams.status(nothing);
            }
            return Ok(());
        };
        context.streams.status(&attempt.refusal());
        if attempt.is_sync() && !covers_syncs(inventory, context.argocd_namespace()) {
            context.streams.warning(NOT_COVERED);
        }
        self.try_again(server, &attempt, context).await
    }

    /// Tries again what was refused, or says how to.
    async fn try_again(
        &self,
        server: &ApiServer,
        attempt: &Attempt,
        context: &Context,
    ) -> Result<(), CommandError> {
        if self.sync && self.dry_run == DryRun::None {
            let user = who_am_i(server).await;
            attempt
                .start(server, user.as_ref().map(|user| &*user.username))
                .await?;
            context.streams.status(&attempt.started());
            return Ok(());
        }
        let command = attempt.command(context.argocd_namespace());
        context
            .streams
            .hint(&format!("{}: {command}", attempt.advice()));
        Ok(())
    }
}

/// That an override is of no use to a sync.
const NOT_COVERED: &str = "a sync writes as Argo CD's application controller, which overrides do not cover unless the policy says \
                           breakGlass.fromGit: make the change yourself, with kubectl, before you sync";

/// The annotations of an override.
fn annotations(written: &break_glass::Override) -> Value {
    let rules: Vec<&str> = written.rules.iter().map(|rule| rule.as_str()).collect();
    json!({
        OVERRULED: rules.join(","),
        REASON: written.reason,
        EXPIRES: written.expires.to_string(),
    })
}

/// A text that annotations, Events and logs repeat.
fn one_line<'t>(
    flag: &'static str,
    text: &'t str,
    expected: &'static str,
) -> Result<&'t str, GrantError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(GrantError::Empty { flag, expected });
    }
    if !text.chars().all(is_printed) {
        return Err(GrantError::NotOneLine(flag));
    }
    Ok(text)
}

/// Whole seconds read better, and are no longer than what was asked for.
fn end(now: Timestamp, duration: SignedDuration) -> Timestamp {
    let end = now.saturating_add(duration).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(end.as_second()).unwrap_or(end)
}

fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let duration = text.parse::<SignedDuration>().ok();
    duration
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| "expected a duration such as 2h or 90m".to_owned())
}
