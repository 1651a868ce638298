//! Semantic versions, as Masterminds/semver v3.4.0 reads them.

use std::cmp::Ordering;
use std::fmt;

use super::{TemplateError, fails};

/// A version; what is left out of its numbers is 0.
#[derive(Clone, Debug)]
pub struct Version {
    numbers: [u64; 3],
    prerelease: String,
    metadata: String,
    original: String,
}

impl Version {
    /// `NewVersion`, which takes `v1.2` and `01.2.3` too.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let Parts {
            core,
            prerelease,
            metadata,
        } = Parts::of(text).ok_or_else(invalid)?;
        let mut numbers = [0; 3];
        for (index, part) in core.split('.').enumerate() {
            let slot = numbers.get_mut(index).ok_or_else(invalid)?;
            *slot = number(part)?;
        }
        check_prerelease(prerelease)?;
        Ok(Version {
            numbers,
            prerelease: prerelease.to_owned(),
            metadata: metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// Major, minor and patch.
    pub(super) fn numbers(&self) -> [u64; 3] {
        self.numbers
    }

    pub(super) fn prerelease(&self) -> &str {
        &self.prerelease
    }

    pub(super) fn metadata(&self) -> &str {
        &self.metadata
    }

    pub(super) fn original(&self) -> &str {
        &self.original
    }

    /// Where it comes: before or after these numbers and this prerelease.
    pub(super) fn order(&self, numbers: [u64; 3], prerelease: &str) -> Ordering {
        self.numbers
            .cmp(&numbers)
            .then_with(|| prerelease_order(&self.prerelease, prerelease))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(formatter, "{major}.{minor}.{patch}")?;
        if !self.prerelease.is_empty() {
            write!(formatter, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(formatter, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// The parts of a version or of what is compared with one, `v` taken off.
pub(super) struct Parts<'v> {
    pub(super) core: &'v str,
    pub(super) prerelease: &'v str,
    metadata: &'v str,
}

impl<'v> Parts<'v> {
    pub(super) fn of(text: &'v str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, metadata) = match text.split_once('+') {
            Some((text, metadata)) => (text, identifiers(metadata)?),
            None => (text, ""),
        };
        let (core, prerelease) = match text.split_once('-') {
            Some((core, prerelease)) => (core, identifiers(prerelease)?),
            None => (text, ""),
        };
        Some(Parts {
            core,
            prerelease,
            metadata,
        })
    }
}

/// Letters, digits and dashes, with dots between them.
fn identifiers(text: &str) -> Option<&str> {
    let may_stand = |byte: u8| byte == b'-' || byte.is_ascii_alphanumeric();
    let is_identifier = |one: &str| !one.is_empty() && one.bytes().all(may_stand);
    text.split('.').all(is_identifier).then_some(text)
}

fn invalid() -> TemplateError {
    fails("invalid semantic version")
}

/// One of the numbers. It may start with a 0.
pub(super) fn number(text: &str) -> Result<u64, TemplateError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    text.parse()
        .map_err(|_| fails("error parsing version segment: value out of range"))
}

/// `validatePrerelease`: a number in it does not start with a 0.
pub(super) fn check_prerelease(text: &str) -> Result<(), TemplateError> {
    let starts_with_zero = |one: &str| {
        one.len() > 1 && one.starts_with('0') && one.bytes().all(|byte| byte.is_ascii_digit())
    };
    if text.split('.').any(starts_with_zero) {
        return Err(fails("version segment starts with 0"));
    }
    Ok(())
}

/// A release comes after its prereleases; their identifiers are compared one by one.
pub(super) fn prerelease_order(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let identifiers = |text| str::split(text, '.').map(identifier);
    identifiers(left).cmp(identifiers(right))
}

/// Numbers come before words, and what is too large for a number is a word.
fn identifier(text: &str) -> (bool, u64, &str) {
    match text.parse() {
        Ok(number) => (false, number, ""),
        Err(_) => (true, 0, text),
    }
}
