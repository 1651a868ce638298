//! The names of rules.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::rule_list::with_all_rules;

/// The name of a rule: its only identity, in messages, metrics, policies and annotations.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleId(&'static str);

/// What findings on the annotations of an override are reported under, in place of a rule.
pub const BREAK_GLASS: RuleId = RuleId::new("break-glass");

/// What is found in the policy itself, where it takes effect but cannot mean what it says.
pub const GITOPS_POLICY: RuleId = RuleId::new("gitops-policy");

macro_rules! names {
    ($($(#[$doc:meta])* $id:literal, $field:ident: $settings:ident => $rule:ident;)+) => {
        /// The names of all rules, in the order in which they are asked.
        const NAMES: &[RuleId] = &[$(RuleId::new($id)),+];
    };
}
with_all_rules!(names);

impl RuleId {
    /// Names a rule.
    pub const fn new(id: &'static str) -> Self {
        RuleId(id)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The rule of a name, if there is one.
    pub(crate) fn find(name: &str) -> Option<Self> {
        NAMES.iter().copied().find(|rule| rule.0 == name)
    }

    /// The rule whose name is most like a text, if one is like it at all: by the measure by which
    /// clap suggests what may have been meant on a command line.
    pub(crate) fn nearest(text: &str) -> Option<Self> {
        let names = NAMES.iter().map(|rule| (strsim::jaro(text, rule.0), *rule));
        let alike = names.filter(|(likeness, _)| *likeness > 0.7);
        alike
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, rule)| rule)
    }

    /// Its place in the order in which rules are asked; behind them all for what is not a rule.
    pub(crate) fn order(self) -> usize {
        let place = NAMES.iter().position(|rule| *rule == self);
        place.unwrap_or(NAMES.len())
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0)
    }
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}
