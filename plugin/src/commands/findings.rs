//! What `check` and `audit` have in common: how findings are printed, and what they mean for the
//! exit status.

use crate::args::FindingsArgs;
use crate::check::{Checked, Counts, Unread};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::fleet::production::production;
use crate::report::check::CheckReport;

/// Refuses pages of rules in a document for programs.
///
/// # Errors
/// They are asked for.
pub(super) fn refuse_pages(args: &FindingsArgs) -> Result<(), CommandError> {
    if args.explain && !args.output.is_for_people() {
        return Err(CommandError::new(
            "--explain goes with -o table or wide only",
        ));
    }
    Ok(())
}

/// Says what could not be read.
pub(super) fn tell_unread(problems: &[Unread], context: &Context) {
    for problem in problems {
        context.streams.error(&problem.message);
    }
}

/// Prints findings, and what they amount to.
///
/// # Errors
/// They cannot be printed.
pub(super) fn print(
    checked: &Checked,
    args: &FindingsArgs,
    context: &Context,
) -> Result<ExitStatus, CommandError> {
    let report = CheckReport {
        checked,
        strict: args.strict,
        shows_all: args.shows_all(),
        explains: args.explain,
    };
    context.print(&report, args.output)?;
    let counts = checked.findings.counts;
    context
        .streams
        .status(&summary(&checked.what, counts, args.strict));
    if let Some(production) = production(&checked.clusters) {
        context.streams.status(&production);
    }
    let is_complete = checked.is_complete && checked.problems.is_empty();
    Ok(match (is_complete, report.is_denied()) {
        (false, _) => ExitStatus::Failed,
        (true, true) => ExitStatus::Denied,
        (true, false) => ExitStatus::Clean,
    })
}

fn summary(what: &str, counts: Counts, strict: bool) -> String {
    let counted_as = match counts.undecided {
        1.. if strict => ", counted as denied",
        _ => "",
    };
    format!(
        "{what}: {} denied, {} warned, {} undecided{counted_as}",
        counts.denied, counts.warned, counts.undecided
    )
}
