//! `explain`: what the rules are, and the page of each.

use clap::builder::{PossibleValue, PossibleValuesParser};
use policy::registry;
use policy::rule::RuleMetadata;
use serde::Serialize;

use crate::error::CommandError;
use crate::exit_status::ExitStatus;
use crate::output::{self, ExplainFormat, table};

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
    #[arg(value_parser = PossibleValuesParser::new(names()), hide_possible_values = true)]
    rule: Option<String>,

    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t)]
    output: ExplainFormat,
}

/// The names of the rules, for an argument that takes one.
pub(crate) fn names() -> Vec<PossibleValue> {
    registry::all()
        .map(|rule| PossibleValue::new(rule.id.as_str()).help(rule.summary))
        .collect()
}

/// Prints a page or the list.
pub(crate) fn run(args: &ExplainArgs) -> Result<ExitStatus, CommandError> {
    let named = args
        .rule
        .as_ref()
        .and_then(|name| registry::all().find(|rule| rule.id.as_str() == name));
    let text = match (named, args.output) {
        (Some(rule), ExplainFormat::Table) => rule.page(),
        (Some(rule), ExplainFormat::Json) => output::to_json(&RulePageV1 {
            api_version: output::API_VERSION,
            kind: "Rule",
            rule: RuleV1::new(rule),
            page: rule.page(),
        })?,
        (None, format) => list(format)?,
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

/// A rule and its page in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RulePageV1 {
    api_version: &'static str,
    kind: &'static str,
    #[serde(flatten)]
    rule: RuleV1,
    /// In Markdown.
    page: String,
}

/// A rule in JSON.
#[derive(Serialize)]
struct RuleV1 {
    id: &'static str,
    summary: &'static str,
    judges: &'static [&'static str],
    occasion: &'static str,
    scope: &'static str,
}

impl RuleV1 {
    fn new(rule: &RuleMetadata) -> Self {
        RuleV1 {
            id: rule.id.as_str(),
            summary: rule.summary,
            judges: rule.judges,
            occasion: rule.judged_on.as_str(),
            scope: rule.scope.as_str(),
        }
    }
}

fn list(format: ExplainFormat) -> Result<String, CommandError> {
    match format {
        ExplainFormat::Table => {
            let rows = registry::all().map(|rule| [rule.id.to_string(), rule.summary.to_owned()]);
            Ok(table::columns(["RULE", "SUMMARY"], rows.collect()))
        }
        ExplainFormat::Json => output::to_json(&RuleListV1 {
            api_version: output::API_VERSION,
            kind: "RuleList",
            rules: registry::all().map(RuleV1::new).collect(),
        }),
    }
}
