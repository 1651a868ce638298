//! What a rule found: where, what is wrong, how to put it right.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::break_glass::BREAK_GLASS;
use crate::missing::{MissingFact, MissingFacts};
use crate::ratchet::Extent;
use crate::registry;
use crate::rule::{Occasion, RuleId};

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

/// One thing that one rule found in one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    /// How much it weighs, after the policy has had its say.
    pub level: Level,
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
    /// What let it pass, where something did. Its level is `warn` then, and the message says so.
    pub waiver: Option<Waiver>,
    pub(crate) extent: Extent,
}

/// The longest line that is shown whole wherever Argo CD shows it.
pub const LINE_LIMIT: usize = 200;

/// The longest warning that the API server passes on whole, in characters (Kubernetes 1.36, `recorder` of
/// `k8s.io/apiserver/pkg/endpoints/filters/warning.go`).
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

    /// Says whether it goes no further than in the old object, by a comparison of the rule's own, and how
    /// it is written.
    pub(crate) fn compare<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        is_no_worse: bool,
        written: I,
    ) -> &mut Self {
        self.extent.compare(is_no_worse, written);
        self
    }

    /// Lets it pass, and says why.
    pub(crate) fn waive(&mut self, waiver: Waiver, why: &str) {
        self.level = Level::Warn;
        self.waiver = Some(waiver);
        self.message = format!("{why}: {}", self.message);
    }

    /// Adds the fix as a JSON Patch, written as its JSON.
    pub(crate) fn patch_with(&mut self, patch: serde_json::Value) {
        self.patch = serde_json::from_value(patch).ok();
    }

    /// Whether it is about what is done with an object, and done anew each time, rather than a state that
    /// the object is in: a sync that is under way, or what becomes of other objects with it.
    pub fn is_deed(&self) -> bool {
        let rule = registry::find(self.rule.as_str());
        self.field.starts_with("/operation")
            || self.field.starts_with("/status")
            || rule.is_some_and(|rule| rule.metadata().occasion != Occasion::Writing)
    }

    /// Everything in one line of fewer than [`LINE_LIMIT`] characters: rule, field, what is wrong,
    /// how to put it right. For many readers it is all they ever see of it.
    ///
    /// Where it would be longer, what is wrong gives way first: the values in it come from the
    /// object, which the reader has.
    pub fn line(&self) -> String {
        // A reason that somebody gives is told whole, and only to those who write.
        let limit = match (self.rule, self.level) {
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

/// A JSON Pointer as people write field paths: `/spec/sources/1/repoURL` as
/// `spec.sources[1].repoURL`.
pub fn dotted(pointer: &str) -> String {
    let mut path = String::with_capacity(pointer.len());
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let index = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        if index || segment.contains(['.', '/']) {
            path.push('[');
            path.push_str(&segment);
            path.push(']');
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&segment);
        }
    }
    path
}

/// A text on one line, at most `limit` characters long, cut in the middle of nothing but itself.
///
/// Values come from whoever wrote the object: line breaks and control characters in them would
/// break a warning (the API server drops it) or forge a second line in a log.
pub fn shorten(text: &str, limit: usize) -> String {
    let printable = text.chars().map(|c| if is_printed(c) { c } else { ' ' });
    if text.chars().count() <= limit {
        return printable.collect();
    }
    let mut short: String = printable.take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The same, but that what gives way is in the middle: URLs often differ only at their ends.
pub(crate) fn shorten_middle(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return shorten(text, limit);
    }
    let kept = limit.saturating_sub(1);
    let start: String = text.chars().take(kept / 2).collect();
    let end: String = text.chars().skip(count - (kept - kept / 2)).collect();
    let whole = format!("{start}…{end}");
    shorten(&whole, limit)
}

/// Whether a character shows as itself, and leaves those around it where they are. Control characters do not, nor do the
/// marks that reorder a text, break a line, or have no width.
pub fn is_printed(c: char) -> bool {
    let reorders_or_hides = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !reorders_or_hides
}

/// A URL without what may be a password: only scheme, host and path remain.
pub(crate) fn without_user_info(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    match rest.rsplit_once('@') {
        // A password may hold anything, slashes included, so all that may be one goes.
        Some((user_info, host)) if !scheme.is_empty() || user_info.contains(':') => {
            format!("{scheme}{host}")
        }
        _ => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_read_like_field_paths() {
        assert_eq!(dotted("/spec/sources/1/repoURL"), "spec.sources[1].repoURL");
        assert_eq!(
            dotted("/metadata/annotations/kubectl-gitops.io~1autoscaled"),
            "metadata.annotations[kubectl-gitops.io/autoscaled]"
        );
        assert_eq!(dotted(""), "");
    }

    #[test]
    fn passwords_in_urls_are_not_repeated() {
        for (url, shown) in [
            ("https://deploy:hunter2@h/a/b", "https://h/a/b"),
            ("https://user:pa/hunter2@h/x", "https://h/x"),
            ("oauth2:hunter2@h/a.git", "h/a.git"),
            ("https://h/x.git?private_token=hunter2", "https://h/x.git"),
            ("https://h/x#hunter2", "https://h/x"),
            ("https:/user:hunter2@h/x", "h/x"),
        ] {
            assert_eq!(without_user_info(url), shown);
        }
        assert_eq!(without_user_info("git@h:a/b"), "git@h:a/b");
    }

    #[test]
    fn the_ends_of_a_long_text_can_be_seen() {
        let url = "https://git.example.com/shop/some/long/path/orders";
        assert_eq!(shorten_middle(url, 60), url);
        assert_eq!(shorten_middle(url, 21), "https://gi…ath/orders");
        assert_eq!(shorten_middle("a\nb", 5), "a b");
    }

    #[test]
    fn a_line_stays_one_line_and_below_the_limit() {
        let finding = Finding {
            rule: RuleId::new("project-scope"),
            level: Level::Deny,
            field: "/spec/source/repoURL".into(),
            message: format!("repository\n{}", "x".repeat(400)),
            fix: "use another".into(),
            patch: None,
            missing: MissingFacts::default(),
            waiver: None,
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
