//! The three annotations of an override.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::finding::{RuleId, is_printed};

/// Annotation with the rules that are overruled, separated by commas.
pub const OVERRULED: &str = "kubectl-gitops.io/break-glass";
/// Annotation with the reason, which everybody is told.
pub const REASON: &str = "kubectl-gitops.io/break-glass-reason";
/// Annotation with the end, as RFC 3339 has it.
pub const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

/// All of them.
pub const ALL: [&str; 3] = [OVERRULED, REASON, EXPIRES];

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

/// Annotations that are not an override.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidOverride {
    /// No rule is named.
    #[error("names no rule")]
    NoRules,
    /// A name that no rule has.
    #[error("there is no rule {0:?}")]
    UnknownRule(String),
    /// No reason is given, or none that can be seen.
    #[error("gives no reason")]
    NoReason,
    /// The reason is longer than [`REASON_LIMIT`].
    #[error("gives a reason of more than {REASON_LIMIT} characters")]
    LongReason,
    /// No end is given.
    #[error("says not when it expires")]
    NoExpiry,
    /// The end is not a time.
    #[error("{0:?} is not a time of RFC 3339")]
    Expires(String),
}

impl InvalidOverride {
    /// The annotation that is wrong or missing.
    pub fn annotation(&self) -> &'static str {
        match self {
            InvalidOverride::NoRules | InvalidOverride::UnknownRule(_) => OVERRULED,
            InvalidOverride::NoReason | InvalidOverride::LongReason => REASON,
            InvalidOverride::NoExpiry | InvalidOverride::Expires(_) => EXPIRES,
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> Cow<'static, str> {
        match self {
            InvalidOverride::UnknownRule(name) => match RuleId::nearest(name) {
                Some(rule) => format!("did you mean {rule}?").into(),
                None => "kubectl gitops explain lists the rules".into(),
            },
            InvalidOverride::NoRules => "name the rules, separated by commas".into(),
            InvalidOverride::NoReason => "say why, in words that can be read".into(),
            InvalidOverride::LongReason => "give a shorter one".into(),
            InvalidOverride::NoExpiry => "write its end, such as 2026-01-31T18:00:00Z".into(),
            InvalidOverride::Expires(_) => "write it like 2026-01-31T18:00:00Z".into(),
        }
    }
}

/// The pointer to an annotation.
pub(crate) fn field(annotation: &str) -> String {
    format!("/metadata/annotations/{}", annotation.replace('/', "~1"))
}

/// The annotations as they are, of any of which there may be none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Written<'w> {
    rules: Option<&'w str>,
    reason: Option<&'w str>,
    expires: Option<&'w str>,
}

impl<'w> Written<'w> {
    pub(crate) fn among(annotation: impl Fn(&str) -> Option<&'w str>) -> Self {
        Written {
            rules: annotation(OVERRULED),
            reason: annotation(REASON),
            expires: annotation(EXPIRES),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Written::default()
    }

    /// Whether there are some of them, and not all.
    pub(crate) fn lacks_one(&self) -> bool {
        !self.is_empty() && [self.rules, self.reason, self.expires].contains(&None)
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
        if !reason.contains(says_something) {
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

    /// The override among annotations.
    ///
    /// # Errors
    /// There are some of the three, and they are not an override.
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

    /// Whether it is another one cut short, which takes from nobody what they are permitted to
    /// give.
    pub(crate) fn shortens(&self, other: &Self) -> bool {
        self.rules == other.rules && self.reason == other.reason && self.expires <= other.expires
    }

    /// Whether what it says of the rules that another one names as well is nothing that nobody has
    /// answered for: they are overruled no longer than by that, and for the same reason. Who adds a
    /// rule may add a reason of their own.
    pub(crate) fn goes_on_with(&self, other: &Self) -> bool {
        let adds_a_rule = || !self.rules.iter().all(|rule| other.names(*rule));
        let adds_a_reason = || {
            let added = self.reason.strip_prefix(other.reason.as_str());
            added.is_some_and(|added| added.starts_with(REASON_SEPARATOR))
        };
        self.expires <= other.expires
            && (self.reason == other.reason || adds_a_reason() && adds_a_rule())
    }
}

/// Between the reasons of an override that has several, for rules that were added later.
pub const REASON_SEPARATOR: &str = "; ";

/// Whether a character alone tells a reader something. Some letters have no shape at all (Unicode's
/// `Default_Ignorable_Code_Point`, as far as these are letters or marks).
fn says_something(c: char) -> bool {
    let is_invisible = matches!(
        c,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{1bca0}'..='\u{1bca3}'
    );
    c.is_alphanumeric() && is_printed(c) && !is_invisible
}

fn read_rules(text: &str) -> Result<Vec<RuleId>, InvalidOverride> {
    let mut rules = Vec::new();
    let names = text.split(',').map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        let rule = RuleId::find(name);
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
    let written = rfc_3339(text).ok_or_else(invalid)?;
    written.parse().map_err(|_| invalid())
}

/// A text of RFC 3339 (section 5.6, `date-time`) as `jiff` reads it: with at most nine digits of a
/// fraction, of which no clock here has more. None if it is something else.
fn rfc_3339(text: &str) -> Option<String> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let (start, rest) = text.split_at_checked(SHAPE.len())?;
    let is_start = start.bytes().zip(SHAPE).all(|(own, shape)| match shape {
        b'0' => own.is_ascii_digit(),
        shape => own.eq_ignore_ascii_case(shape),
    });
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            rest.split_at_checked(end)
                .filter(|(digits, _)| !digits.is_empty())?
        }
        None => ("0", rest),
    };
    let is_offset = match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', hours @ .., b':', minute, second] if hours.len() == 2 => {
            let is_number = hours.iter().chain([minute, second]).all(u8::is_ascii_digit);
            is_number && hours < b"24".as_slice() && *minute < b'6'
        }
        _ => false,
    };
    let fraction = &fraction[..fraction.len().min(9)];
    (is_start && is_offset).then(|| format!("{start}.{fraction}{offset}").to_ascii_uppercase())
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
            ("", "x", UNTIL, OVERRULED),
            (" , ", "x", UNTIL, OVERRULED),
            ("prod-autosync", "x", UNTIL, OVERRULED),
            ("*", "x", UNTIL, OVERRULED),
            ("prod-auto-sync", "", UNTIL, REASON),
            ("prod-auto-sync", " \n", UNTIL, REASON),
            ("prod-auto-sync", "\u{200b}", UNTIL, REASON),
            ("prod-auto-sync", "\u{3164}\u{3164}", UNTIL, REASON),
            ("prod-auto-sync", "\u{115f} \u{1160}", UNTIL, REASON),
            ("prod-auto-sync", "\u{ffa0}", UNTIL, REASON),
            ("prod-auto-sync", "\u{e0041}\u{e0042}", UNTIL, REASON),
            ("prod-auto-sync", "\u{202e}-", UNTIL, REASON),
            ("prod-auto-sync", &long, UNTIL, REASON),
            ("prod-auto-sync", "x", "", EXPIRES),
            ("prod-auto-sync", "x", "tomorrow", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01 02:00:00Z", EXPIRES),
            ("prod-auto-sync", "x", "20260101T020000Z", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00,5Z", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00.Z", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00Z", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00+01", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00+0100", EXPIRES),
            (
                "prod-auto-sync",
                "x",
                "2026-01-01T02:00:00+01:00:00",
                EXPIRES,
            ),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00+24:00", EXPIRES),
            (
                "prod-auto-sync",
                "x",
                "2026-01-01T02:00:00\u{2212}01:00",
                EXPIRES,
            ),
            ("prod-auto-sync", "x", "2026-01-01T24:00:00Z", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:61Z", EXPIRES),
            ("prod-auto-sync", "x", "2026-02-30T02:00:00Z", EXPIRES),
            ("prod-auto-sync", "x", "+002026-01-01T02:00:00Z", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T02:00:00ZZ", EXPIRES),
            ("prod-auto-sync", "x", "2026-01-01T0\u{e9}:00:00Z", EXPIRES),
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
    fn a_time_is_read_in_each_form_that_rfc_3339_has() {
        for (text, same) in [
            ("2026-01-01t02:00:00z", UNTIL),
            ("2026-01-01T02:00:00-00:00", UNTIL),
            ("2026-01-01T02:00:00.000z", UNTIL),
            ("2026-01-01T02:00:00.0000000000009Z", UNTIL),
            ("2026-01-01t04:30:00+02:30", UNTIL),
            ("2026-01-01T02:00:00.25Z", "2026-01-01T02:00:00.25Z"),
            // A leap second, which no clock here has, is the last second before it.
            ("2026-06-30T23:59:60Z", "2026-06-30T23:59:59Z"),
        ] {
            let read = Override::new("prod-auto-sync", "x", text).map(|read| read.expires);
            assert_eq!(read, Ok(same.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_rule_that_there_is_not_is_told_with_the_one_that_is_nearest() {
        for (name, fix) in [
            ("prod-auto-snyc", "did you mean prod-auto-sync?"),
            ("replica-ignored", "did you mean replicas-ignored?"),
            ("*", "kubectl gitops explain lists the rules"),
        ] {
            let error = Override::new(name, "x", UNTIL).unwrap_err();
            assert_eq!(error.fix(), fix);
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
