//! How every command shows a plan, asks, and carries it out.

use std::cell::Cell;

use crate::args::{DryRun, Format, PlanArgs};
use crate::context::Context;
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::plan::{Applied, Change, Outcome, Part, Plan, Step, StepResult};
use crate::progress::Progress;
use crate::report::Report;
use crate::report::plan::PlanReport;
use crate::text::counted;

/// What became of a plan that was shown.
#[derive(Debug)]
pub(super) struct CarriedOut {
    /// Of each step.
    pub(super) results: Vec<StepResult>,
    /// Why it did not go on; it has been told.
    pub(super) failure: Option<String>,
}

impl CarriedOut {
    /// Nothing was tried.
    pub(super) fn untried<Action>(plan: &Plan<Action>) -> Self {
        CarriedOut {
            results: plan.untried(),
            failure: None,
        }
    }
}

/// Nobody agreed to a plan.
#[derive(Debug, thiserror::Error)]
#[error("nothing is changed, as nobody agreed to the plan")]
struct NotAgreed;

/// The formats of a plan.
pub(super) const FORMATS: &[(Format, &str)] = &[
    (Format::Table, "A row for each step"),
    (
        Format::Wide,
        "The same with the commands that do it by hand",
    ),
    (Format::Json, "The plan and what became of it in JSON"),
    (Format::Yaml, "The same in YAML"),
];

/// What was said of how a plan is carried out.
pub(super) struct Carrying<'c> {
    pub(super) args: &'c PlanArgs,
    pub(super) output: Format,
    /// The command that goes on after a failure.
    pub(super) again: &'c str,
    pub(super) context: &'c Context,
}

impl Carrying<'_> {
    /// Does one step after the other as [`Carrying::at_once`] does, and tells programs what became
    /// of them by a document of this kind.
    ///
    /// # Errors
    /// As of [`Carrying::at_once`].
    pub(super) async fn at_once_as<Action, Error: std::error::Error>(
        &self,
        kind: &'static str,
        plan: &Plan<Action>,
        act: impl AsyncFn(&Action, bool) -> Result<Outcome, Error>,
    ) -> Result<ExitStatus, CommandError> {
        self.in_batches_as(kind, plan, &[vec![plan.whole()]], act)
            .await
    }

    /// Shows a plan to people, asks unless that was answered beforehand, and does one step after
    /// the other. `act` is told whether it may only ask (`--dry-run=server`).
    ///
    /// # Errors
    /// Nobody agreed, or standard output takes nothing. What goes wrong in a step is told, and is
    /// part of the result.
    pub(super) async fn at_once<Action, Error: std::error::Error>(
        &self,
        plan: &Plan<Action>,
        shown: &impl Report,
        act: impl AsyncFn(&Action, bool) -> Result<Outcome, Error>,
    ) -> Result<CarriedOut, CommandError> {
        self.in_batches(plan, shown, &[vec![plan.whole()]], act)
            .await
    }

    /// As [`Carrying::at_once_as`], batch by batch.
    ///
    /// # Errors
    /// As of [`Carrying::at_once`].
    pub(super) async fn in_batches_as<Action, Error: std::error::Error>(
        &self,
        kind: &'static str,
        plan: &Plan<Action>,
        batches: &[Vec<Part>],
        act: impl AsyncFn(&Action, bool) -> Result<Outcome, Error>,
    ) -> Result<ExitStatus, CommandError> {
        let mut report = PlanReport {
            kind,
            plan,
            results: None,
            failure: None,
        };
        let done = self.in_batches(plan, &report, batches, act).await?;
        if !self.output.is_for_people() {
            report.results = Some(&done.results);
            report.failure = done.failure.as_deref();
            self.context.print(&report, self.output)?;
        }
        Ok(match done.failure {
            None => ExitStatus::Clean,
            Some(_) => ExitStatus::Failed,
        })
    }

    async fn in_batches<Action, Error: std::error::Error>(
        &self,
        plan: &Plan<Action>,
        shown: &impl Report,
        batches: &[Vec<Part>],
        act: impl AsyncFn(&Action, bool) -> Result<Outcome, Error>,
    ) -> Result<CarriedOut, CommandError> {
        let context = self.context;
        if self.output.is_for_people() {
            context.print(shown, self.output)?;
        }
        tell_by_hand(plan, context);
        if plan.to_do() == 0 {
            context.streams.status("nothing is to be done");
            return Ok(CarriedOut::untried(plan));
        }
        match self.args.dry_run {
            DryRun::Client => return Ok(CarriedOut::untried(plan)),
            DryRun::Server => {}
            DryRun::None => agree(plan, self.args, context)?,
        }
        let only_ask = self.args.dry_run == DryRun::Server;
        let total = plan.to_do();
        // Several lines of progress would be in each other's way.
        let is_one_by_one = batches.iter().all(|batch| batch.len() == 1);
        let progress = if is_one_by_one {
            context.progress
        } else {
            Progress::default()
        };
        let number = Cell::new(0);
        let applied: Applied<Error> = plan
            .apply(batches, async |step, action| {
                number.set(number.get() + 1);
                let work = progress.begin("step", Some(total));
                work.reached(number.get());
                let outcome = act(action, only_ask).await?;
                drop(work);
                tell_done(step, &outcome, context);
                Ok(outcome)
            })
            .await;
        Ok(told(plan, applied, self.again, context))
    }
}

/// Asks, unless it was answered by `--yes`.
fn agree<Action>(
    plan: &Plan<Action>,
    args: &PlanArgs,
    context: &Context,
) -> Result<(), CommandError> {
    let question = format!("Do {}? [y/N] ", counted(plan.to_do(), "step"));
    if args.yes || context.streams.ask(&question) {
        return Ok(());
    }
    Err(CommandError::new(NotAgreed).hinted("--yes does it without asking"))
}

fn tell_by_hand<Action>(plan: &Plan<Action>, context: &Context) {
    for step in &plan.steps {
        if let Change::ByHand { how, .. } = &step.change {
            context
                .streams
                .note(&format!("{}: by hand: {how}", step.what));
        }
    }
}

fn tell_done<Action>(step: &Step<Action>, outcome: &Outcome, context: &Context) {
    let result = StepResult::from(outcome.clone());
    context.streams.status(&format!("{}: {result}", step.what));
}

/// Says what failed, what is not done, how to go on, and how to go back.
fn told<Action, Error: std::error::Error>(
    plan: &Plan<Action>,
    applied: Applied<Error>,
    again: &str,
    context: &Context,
) -> CarriedOut {
    let Applied { results, failures } = applied;
    if failures.is_empty() {
        return CarriedOut {
            results,
            failure: None,
        };
    }
    let failures = failures
        .iter()
        .map(|(index, error)| format!("{}: {}", plan.steps[*index].what, chain(error)));
    let failures: Vec<String> = failures.collect();
    for failure in &failures {
        context.streams.error(failure);
    }
    for (step, result) in plan.steps.iter().zip(&results) {
        if *result == StepResult::NotTried {
            context.streams.status(&format!("{}: {result}", step.what));
        }
    }
    context.streams.hint(&format!(
        "what is done stays; `{again}` goes on from there once the reason is mended"
    ));
    for command in plan.undo(&results) {
        context.streams.hint(&format!("to go back: {command}"));
    }
    CarriedOut {
        results,
        failure: Some(failures.join("; ")),
    }
}
