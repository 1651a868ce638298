//! `explain`: what the rules are, and the page of each.

use clap::builder::PossibleValuesParser;
use policy::registry;

use crate::args::{Format, OUTPUT, formats, rule_names};
use crate::context::Context;
use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::report::rules::{RuleList, RulePage};

/// Explain the rules
///
/// Without a rule it lists all of them. With one it prints the rule's page: what it does, which
/// outage it prevents, how to fix what it finds, and what it denies and admits.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  # List the rules
  kubectl gitops explain

  # Read about one of them
  kubectl gitops explain prod-auto-sync

  # What programs need to know about one of them
  kubectl gitops explain prod-auto-sync -o json")]
pub(crate) struct ExplainArgs {
    /// The rule to explain
    #[arg(value_parser = PossibleValuesParser::new(rule_names()), hide_possible_values = true)]
    rule: Option<String>,

    /// Format
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = formats(FORMATS), help_heading = OUTPUT)]
    output: Format,
}

const FORMATS: &[(Format, &str)] = &[
    (
        Format::Table,
        "A row for each rule, or the page of the one that is named",
    ),
    (Format::Json, "The same in JSON"),
];

/// Prints a page or the list.
pub(crate) fn run(args: &ExplainArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let named = args
        .rule
        .as_ref()
        .and_then(|name| registry::all().find(|rule| rule.id.as_str() == name));
    match named {
        Some(rule) => context.print(&RulePage(rule), args.output)?,
        None => context.print(&RuleList, args.output)?,
    }
    Ok(ExitStatus::Clean)
}
