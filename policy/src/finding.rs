//! What a rule found: where, what is wrong, how to put it right.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

pub(crate) mod extent;
mod findings;
pub mod missing;
pub(crate) mod ratchet;
mod rule_id;
mod text;

pub use findings::Findings;
pub use rule_id::{BREAK_GLASS, GITOPS_POLICY, RuleId};
pub use text::{and_more, dotted, is_printed, shorten};
pub(crate) use text::{shorten_middle, without_user_info};

use extent::Extent;
use missing::{MissingFact, MissingFacts};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The object is refused.
    Deny,
    /// The object passes; the writer is told.
    Warn,
    /// A fact is missing that decides; the message names it.
    Undecided,
}

impl Level {
    /// `deny`, `warn` or `undecided`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Deny => "deny",
            Level::Warn => "warn",
            Level::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why a finding passes that would deny otherwise.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Waiver {
    /// The policy exempts the object.
    Exemption,
    /// The object violated the rule before, no less.
    Ratchet,
    /// Somebody who may has overruled the rule.
    BreakGlass,
    /// Nothing is stored, and it is Argo CD's own controller that asks.
    DryRun,
}

impl Waiver {
    /// `exemption`, `ratchet`, `break-glass` or `dry-run`.
    pub fn as_str(self) -> &'static str {
        match self {
            Waiver::Exemption => "exemption",
            Waiver::Ratchet => "ratchet",
            Waiver::BreakGlass => "break-glass",
            Waiver::DryRun => "dry-run",
        }
    }
}

/// How much a finding weighs, and why it weighs no more. The message of one that is waived says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Weight {
    Deny,
    Warn,
    Undecided,
    Waived(Waiver),
}

/// One thing that one rule found in one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    weight: Weight,
    /// JSON Pointer to the field, in the object that was judged.
    pub field: Cow<'static, str>,
    /// What is wrong, in one sentence without the field.
    pub message: String,
    /// How to put it right, as an instruction.
    pub fix: Cow<'static, str>,
    /// The fix as a patch, where it is mechanical.
    pub patch: Option<json_patch::Patch>,
    /// What is not known and decides, where that is all that it rests on.
    pub missing: MissingFacts,
    /// Whether the field is one of the ApplicationSet that generates the object that was judged.
    pub(crate) is_of_set: bool,
    pub(crate) extent: Extent,
    /// What the rule is about.
    pub(crate) about: About,
    /// A fact that decides nothing any more where this denies.
    pub(crate) makes_moot: Option<MissingFact>,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum About {
    /// What an object is like. An update may leave it as it was.
    State,
    /// What is done, and done anew each time: a deletion, or what becomes of other objects.
    Action,
}

/// The longest line that is shown whole wherever Argo CD shows it.
pub const LINE_LIMIT: usize = 200;

/// The longest warning that the API server passes on whole, in characters (Kubernetes 1.36,
/// `recorder` of `k8s.io/apiserver/pkg/endpoints/filters/warning.go`).
pub const WARNING_LIMIT: usize = 256;

impl Finding {
    /// Says that it rests on a fact that is not known.
    pub(crate) fn lack(&mut self, fact: MissingFact) -> &mut Self {
        self.missing.add(fact);
        self
    }

    /// Says what violates the rule, where the message tells more or less than that.
    pub(crate) fn extend_to<I: IntoIterator<Item: AsRef<str>>>(&mut self, parts: I) -> &mut Self {
        self.extent.violate(parts);
        self
    }

    /// Says whether it goes no further than in the old object, by a comparison of the rule's own,
    /// and how it is written.
    pub(crate) fn compare<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        is_no_worse: bool,
        written: I,
    ) -> &mut Self {
        self.extent.compare(is_no_worse, written);
        self
    }

    /// How much it weighs, after the policy has had its say.
    pub fn level(&self) -> Level {
        match self.weight {
            Weight::Deny => Level::Deny,
            Weight::Warn | Weight::Waived(_) => Level::Warn,
            Weight::Undecided => Level::Undecided,
        }
    }

    /// What let it pass, where something did. Its level is `warn` then, and the message says so.
    pub fn waiver(&self) -> Option<Waiver> {
        match self.weight {
            Weight::Waived(waiver) => Some(waiver),
            Weight::Deny | Weight::Warn | Weight::Undecided => None,
        }
    }

    /// Makes a warning of a denial.
    pub fn only_warn(&mut self) {
        if self.weight == Weight::Deny {
            self.weight = Weight::Warn;
        }
    }

    /// Leaves it undecided whether it denies, where it would.
    pub fn leave_undecided(&mut self) {
        if self.weight == Weight::Deny {
            self.weight = Weight::Undecided;
        }
    }

    /// Lets it pass, and says why.
    pub(crate) fn waive(&mut self, waiver: Waiver, why: &str) {
        self.weight = Weight::Waived(waiver);
        self.message = format!("{why}: {}", self.message);
    }

    /// Adds the fix as a JSON Patch, written as its JSON.
    pub(crate) fn patch_with(&mut self, patch: serde_json::Value) {
        self.patch = serde_json::from_value(patch).ok();
    }

    /// Says that a fact which others lack decides nothing any more, as long as this denies.
    pub(crate) fn make_moot(&mut self, fact: MissingFact) -> &mut Self {
        self.makes_moot = Some(fact);
        self
    }

    /// Whether it is about what is done with an object, and done anew each time, rather than a
    /// state that the object is in: a sync that is under way, or what becomes of other objects with
    /// it.
    pub fn is_about_action(&self) -> bool {
        self.about == About::Action
            || self.field.starts_with("/operation")
            || self.field.starts_with("/status")
    }

    /// Everything in one line of fewer than [`LINE_LIMIT`] characters: rule, field, what is wrong,
    /// how to put it right. For many readers it is all they ever see of it.
    ///
    /// Where it would be longer, what is wrong gives way first: the values in it come from the
    /// object, which the reader has.
    pub fn line(&self) -> String {
        // A reason that somebody gives is told whole, and only to those who write.
        let limit = match (self.rule, self.level()) {
            (BREAK_GLASS, Level::Warn) => WARNING_LIMIT,
            _ => LINE_LIMIT,
        };
        self.line_within(limit)
    }

    /// The same in fewer than `limit` characters, for a line that begins with something else.
    pub fn line_within(&self, limit: usize) -> String {
        let most = limit.min(LINE_LIMIT) * 9 / 20;
        let start = shorten(&format!("{}: {}: ", self.rule, dotted(&self.field)), most);
        let end = match &*self.fix {
            "" => String::new(),
            fix => shorten(&format!("; {fix}"), most),
        };
        let taken = start.chars().count() + end.chars().count();
        let message = shorten(&self.message, limit.saturating_sub(1 + taken));
        format!("{start}{message}{end}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_below_the_limit() {
        let finding = Finding {
            rule: RuleId::new("project-scope"),
            weight: Weight::Deny,
            field: "/spec/source/repoURL".into(),
            message: format!("repository\n{}", "x".repeat(400)),
            fix: "use another".into(),
            patch: None,
            missing: MissingFacts::default(),
            is_of_set: false,
            about: About::State,
            makes_moot: None,
            extent: Extent::default(),
        };
        let line = finding.line();
        assert_eq!(line.chars().count(), LINE_LIMIT - 1);
        assert!(!line.contains('\n'));
        assert!(line.starts_with("project-scope: spec.source.repoURL: repository x"));
        assert!(line.ends_with("…; use another"));
        for limit in [10, 50, 100, 150] {
            let line = finding.line_within(limit);
            assert!(line.chars().count() < limit, "{limit}: {line}");
        }
    }
}
