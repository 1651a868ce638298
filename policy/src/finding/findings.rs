//! Findings as they are made.

use std::borrow::Cow;

use super::extent::Extent;
use super::missing::MissingFacts;
use super::{About, Finding, RuleId, Weight};

/// What a rule finds, before the policy is applied; or what is found in the place of a rule.
#[derive(Debug)]
pub struct Findings {
    rule: RuleId,
    about: About,
    found: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(rule: RuleId, about: About) -> Self {
        Findings {
            rule,
            about,
            found: Vec::new(),
        }
    }

    pub(crate) fn into_inner(self) -> Vec<Finding> {
        self.found
    }

    /// Something that is to be refused.
    pub fn deny(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> &mut Finding {
        self.add(Weight::Deny, field.into(), message.into(), fix.into())
    }

    /// Something that passes, but should be known.
    pub fn warn(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> &mut Finding {
        self.add(Weight::Warn, field.into(), message.into(), fix.into())
    }

    /// Something that cannot be told without a fact that the message names.
    pub fn undecided(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> &mut Finding {
        self.add(Weight::Undecided, field.into(), message.into(), fix.into())
    }

    fn add(
        &mut self,
        weight: Weight,
        field: Cow<'static, str>,
        message: String,
        fix: Cow<'static, str>,
    ) -> &mut Finding {
        let index = self.found.len();
        self.found.push(Finding {
            rule: self.rule,
            weight,
            field,
            message,
            fix,
            patch: None,
            missing: MissingFacts::default(),
            is_of_set: false,
            extent: Extent::default(),
            about: self.about,
            makes_moot: None,
        });
        &mut self.found[index]
    }
}
