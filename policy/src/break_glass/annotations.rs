//! The three annotations of an override.

use jiff::Timestamp;

use crate::registry;
use crate::rule::RuleId;
use crate::subject::Object;

/// Annotation with the rules that are overruled, separated by commas.
pub const RULES: &str = "kubectl-gitops.io/break-glass";
/// Annotation with the reason, which everybody is told.
pub const REASON: &str = "kubectl-gitops.io/break-glass-reason";
/// Annotation with the end, as RFC 3339 has it.
pub const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

/// All of them.
pub const ALL: [&str; 3] = [RULES, REASON, EXPIRES];

/// The longest reason, in characters.
pub const REASON_LIMIT: usize = 200;

/// An override as its annotations have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Override {
    /// The rules that are overruled, in the order in which they are written, each once.
    pub rules: Vec<RuleId>,
    /// Why.
    pub reason: String,
    /// From when on nothing is overruled any more.
    pub expires: Timestamp,
}

/// Annotations that are no override.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidOverride {
    /// No rule is named.
    #[error("names no rule")]
    NoRules,
    /// A name that no rule has.
    #[error("there is no rule {0:?}")]
    UnknownRule(String),
    /// No reason is given.
    #[error("gives no reason")]
    NoReason,
    /// The reason is longer than [`REASON_LIMIT`].
    #[error("gives a reason of more than {REASON_LIMIT} characters")]
    LongReason,
    /// No end is given.
    #[error("says not when it expires")]
    NoExpiry,
    /// The end is no time.
    #[error("{0:?} is no time of RFC 3339")]
    Expires(String),
}

impl InvalidOverride {
    /// The annotation that is wrong or missing.
    pub fn annotation(&self) -> &'static str {
        match self {
            InvalidOverride::NoRules | InvalidOverride::UnknownRule(_) => RULES,
            InvalidOverride::NoReason | InvalidOverride::LongReason => REASON,
            InvalidOverride::NoExpiry | InvalidOverride::Expires(_) => EXPIRES,
        }
    }
}

/// The annotations as they are, of any of which there may be none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Written<'w> {
    rules: Option<&'w str>,
    reason: Option<&'w str>,
    expires: Option<&'w str>,
}

impl<'w> Written<'w> {
    pub(crate) fn on(object: &'w Object<'_>) -> Self {
        Written::among(|key| object.annotation(key))
    }

    pub(crate) fn among(annotation: impl Fn(&str) -> Option<&'w str>) -> Self {
        Written {
            rules: annotation(RULES),
            reason: annotation(REASON),
            expires: annotation(EXPIRES),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Written::default()
    }

    /// Reads them.
    pub(crate) fn read(&self) -> Result<Override, InvalidOverride> {
        Override::new(
            self.rules.unwrap_or_default(),
            self.reason.unwrap_or_default(),
            self.expires.unwrap_or_default(),
        )
    }
}

impl Override {
    /// Reads the values of the three annotations.
    ///
    /// # Errors
    /// One of them is empty or makes no sense.
    pub fn new(rules: &str, reason: &str, expires: &str) -> Result<Self, InvalidOverride> {
        let reason = reason.trim();
        if !reason.contains(char::is_alphanumeric) {
            return Err(InvalidOverride::NoReason);
        }
        if reason.chars().count() > REASON_LIMIT {
            return Err(InvalidOverride::LongReason);
        }
        Ok(Override {
            rules: read_rules(rules)?,
            reason: reason.to_owned(),
            expires: read_time(expires.trim())?,
        })
    }

    /// The override on an object, if there is a valid one.
    pub fn on(object: &Object<'_>) -> Option<Self> {
        Written::on(object).read().ok()
    }

    /// The override among annotations.
    ///
    /// # Errors
    /// There are some of the three, and they are no override.
    pub fn among<'w>(
        annotation: impl Fn(&str) -> Option<&'w str>,
    ) -> Result<Option<Self>, InvalidOverride> {
        let written = Written::among(annotation);
        (!written.is_empty()).then(|| written.read()).transpose()
    }

    /// Whether it names a rule.
    pub fn names(&self, rule: RuleId) -> bool {
        self.rules.contains(&rule)
    }

    /// Whether it is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// Whether it is another one cut short, which takes from nobody what they are permitted to give.
    pub(crate) fn shortens(&self, other: &Self) -> bool {
        self.rules == other.rules && self.reason == other.reason && self.expires <= other.expires
    }
}

fn read_rules(text: &str) -> Result<Vec<RuleId>, InvalidOverride> {
    let mut rules = Vec::new();
    let names = text.split(',').map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        let rule = registry::find(name).map(|rule| rule.metadata().id);
        let rule = rule.ok_or_else(|| InvalidOverride::UnknownRule(name.to_owned()))?;
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    if rules.is_empty() {
        return Err(InvalidOverride::NoRules);
    }
    Ok(rules)
}

fn read_time(text: &str) -> Result<Timestamp, InvalidOverride> {
    if text.is_empty() {
        return Err(InvalidOverride::NoExpiry);
    }
    let invalid = || InvalidOverride::Expires(text.to_owned());
    // What else would be read as a time here, other readers of the annotation would not read.
    let is_rfc_3339 = text.len() >= "2026-01-01T00:00:00Z".len()
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')]
            .iter()
            .all(|(place, byte)| text.as_bytes()[*place] == *byte)
        && !text.contains('[');
    if !is_rfc_3339 {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: &str = "2026-01-01T02:00:00Z";

    #[test]
    fn rules_are_named_once_however_they_are_spaced() {
        let read = Override::new(
            " prod-auto-sync ,,replicas-ignored,prod-auto-sync",
            "x",
            UNTIL,
        );
        let rules: Vec<&str> = read
            .unwrap()
            .rules
            .iter()
            .map(|rule| rule.as_str())
            .collect();
        assert_eq!(rules, ["prod-auto-sync", "replicas-ignored"]);
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_named() {
        let long = "x".repeat(REASON_LIMIT + 1);
        for (rules, reason, expires, annotation) in [
            ("", "x", UNTIL, RULES),
            (" , ", "x", UNTIL, RULES),
            ("prod-autosync", "x", UNTIL, RULES),
            ("*", "x", UNTIL, RULES),
            ("prod-auto-sync", "", UNTIL, REASON),
            ("prod-auto-sync", " \n", UNTIL, REASON),
            ("prod-auto-sync", "\u{200b}", UNTIL, REASON),
            ("prod-auto-sync", &long, UNTIL, REASON),
            ("prod-auto-sync", "x", "", EXPIRES),
            ("prod-auto-sync", "x", "tomorrow", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01 02:00:00Z", EXPIRES),
            ("prod-auto-sync", "x", "20260101T020000Z", EXPIRES),
            (
                "prod-auto-sync",
                "x",
                "2026-01-01T02:00:00+01:00[Europe/Paris]",
                EXPIRES,
            ),
        ] {
            let error = Override::new(rules, reason, expires).unwrap_err();
            assert_eq!(error.annotation(), annotation, "{error}");
        }
    }

    #[test]
    fn it_is_over_at_the_moment_it_names() {
        let read = Override::new("prod-auto-sync", "x", "2026-01-01T03:00:00+01:00").unwrap();
        let end: Timestamp = UNTIL.parse().unwrap();
        assert!(read.is_expired(end));
        assert!(!read.is_expired(end - jiff::SignedDuration::from_nanos(1)));
    }
}
