//! The names of rules.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use policy::{RuleId, registry};

/// The names of the rules, for an argument that takes one.
pub(crate) fn rule_names() -> Vec<PossibleValue> {
    registry::all()
        .map(|rule| PossibleValue::new(rule.id.as_str()).help(rule.summary))
        .collect()
}

/// Takes the name of a rule.
pub(crate) fn rule_parser() -> impl TypedValueParser<Value = RuleId> {
    PossibleValuesParser::new(rule_names())
        .try_map(|name| rule_of(&name).ok_or("there is no such rule"))
}

/// The rule of a name.
pub(crate) fn rule_of(name: &str) -> Option<RuleId> {
    registry::find(name).map(|rule| rule.metadata().id)
}
