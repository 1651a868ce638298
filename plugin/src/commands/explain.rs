//! `explain`: what the rules are, and the page of each.

use clap::builder::{PossibleValue, PossibleValuesParser};
use policy::registry;
use serde::Serialize;

use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::output::{self, ListFormat, table};

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
  kubectl gitops explain prod-auto-sync")]
pub(crate) struct ExplainArgs {
    /// The rule to explain
    #[arg(value_parser = PossibleValuesParser::new(names()), hide_possible_values = true)]
    rule: Option<String>,

    /// Output format of the list
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: ListFormat,
}

fn names() -> Vec<PossibleValue> {
    registry::all()
        .map(|rule| PossibleValue::new(rule.id.as_str()).help(rule.summary))
        .collect()
}

/// Prints a page or the list.
pub(crate) fn run(args: &ExplainArgs) -> Result<ExitStatus, CommandError> {
    let page = args
        .rule
        .as_ref()
        .and_then(|name| registry::all().find(|rule| rule.id.as_str() == name));
    let text = match page {
        Some(rule) => rule.page(),
        None => list(args.output)?,
    };
    output::print(&text)?;
    Ok(ExitStatus::Clean)
}

/// The list in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleListV1 {
    api_version: &'static str,
    kind: &'static str,
    rules: Vec<RuleV1>,
}

/// A rule in JSON.
#[derive(Serialize)]
struct RuleV1 {
    id: &'static str,
    summary: &'static str,
    judges: &'static [&'static str],
    scope: &'static str,
}

fn list(format: ListFormat) -> Result<String, CommandError> {
    match format {
        ListFormat::Table => {
            let rows = registry::all().map(|rule| [rule.id.to_string(), rule.summary.to_owned()]);
            Ok(table::columns(["RULE", "SUMMARY"], rows.collect()))
        }
        ListFormat::Json => output::to_json(&RuleListV1 {
            api_version: output::API_VERSION,
            kind: "RuleList",
            rules: registry::all()
                .map(|rule| RuleV1 {
                    id: rule.id.as_str(),
                    summary: rule.summary,
                    judges: rule.judges,
                    scope: rule.scope.as_str(),
                })
                .collect(),
        }),
    }
}
