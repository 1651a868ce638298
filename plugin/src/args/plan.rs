//! What can be said of every plan.

use super::DryRun;

/// Under which flags are shown that say what becomes of a plan.
pub(crate) const PLAN: &str = "Plan";

/// Whether a plan is carried out, and whether anybody is asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = PLAN)]
pub(crate) struct PlanArgs {
    /// Do it without asking
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// Whether anything is written
    #[arg(long, value_enum, value_name = "WHERE", default_value_t)]
    pub(crate) dry_run: DryRun,
}
