//! Sprig's `semver` and `semverCompare` (Masterminds/semver v3).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::{Argument, Function, Outcome, text};
use crate::template::value::Value;
use crate::template::version::{self, Parts, Version, prerelease_order};
use crate::template::{TemplateError, fails, undecided};
use crate::work::Work;

use Argument::Text;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("semver", &[Text], semver),
    Function::new("semverCompare", &[Text, Text], semver_compare),
];

fn semver(_: &Work, given: &[Value]) -> Outcome {
    let version = Version::parse(text(given, 0))?;
    Ok(Value::Version(Arc::new(version)))
}

fn semver_compare(work: &Work, given: &[Value]) -> Outcome {
    work.bytes(text(given, 0).len().saturating_mul(8))?;
    let constraints = with_ranges_written_out(text(given, 0))?;
    let groups = constraints.split("||").map(group);
    let groups: Vec<Vec<Constraint<'_>>> = groups.collect::<Result<_, _>>()?;
    let version = Version::parse(text(given, 1))?;
    let permits = |group: &Vec<Constraint<'_>>| {
        let prereleases = group.iter().any(|one| !one.prerelease.is_empty());
        let visible = version.prerelease().is_empty() || prereleases;
        visible && group.iter().all(|constraint| constraint.permits(&version))
    };
    Ok(Value::from(groups.iter().any(permits)))
}

/// `1.2 - 1.4` is `>= 1.2, <= 1.4` (`rewriteRange`). It takes the space before it away, so that
/// nothing but a comma may stand there.
fn with_ranges_written_out(text: &str) -> Result<Cow<'_, str>, TemplateError> {
    let Some((before, after)) = around_dash(text) else {
        return Ok(Cow::Borrowed(text));
    };
    let may_stand = |one: char| one.is_ascii_alphanumeric() || ".*+-|".contains(one);
    let start = before.trim_end_matches(may_stand).len();
    let (before, low) = before.split_at(start);
    let end = after.len() - after.trim_start_matches(may_stand).len();
    let (high, after) = after.split_at(end);
    let is_version = |text: &str| !text.contains('|') && Constraint::parse("", text).is_ok();
    if !is_version(low) || !is_version(high) {
        return Err(undecided("such a range of versions"));
    }
    let before = before.trim_end();
    let after = with_ranges_written_out(after.trim_start())?;
    Ok(Cow::Owned(format!("{before}>= {low}, <= {high} {after}")))
}

/// What stands before and after the first dash with space on both sides.
fn around_dash(text: &str) -> Option<(&str, &str)> {
    let mut dashes = text.match_indices('-');
    dashes.find_map(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let has_space =
            before.ends_with(char::is_whitespace) && after.starts_with(char::is_whitespace);
        has_space.then(|| (before.trim_end(), after.trim_start()))
    })
}

/// Constraints that all have to hold.
fn group(text: &str) -> Result<Vec<Constraint<'_>>, TemplateError> {
    let improper = || fails(format!("improper constraint: {text}"));
    let mut rest = text.trim_start();
    let mut constraints = Vec::new();
    loop {
        let operator_end = rest
            .find(|one| !"=!<>~^".contains(one))
            .unwrap_or(rest.len());
        let (operator, after) = rest.split_at(operator_end);
        let after = after.trim_start();
        let end = after
            .find(|one: char| one == ',' || one.is_whitespace())
            .unwrap_or(after.len());
        let (version, after) = after.split_at(end);
        constraints.push(Constraint::parse(operator, version)?);
        let spaces = after.trim_start();
        if spaces.is_empty() {
            return Ok(constraints);
        }
        rest = spaces.strip_prefix(',').unwrap_or(spaces).trim_start();
        if rest.is_empty() {
            return Err(improper());
        }
    }
}

struct Constraint<'c> {
    operator: Operator,
    numbers: [u64; 3],
    prerelease: &'c str,
    /// How many numbers of the version are given.
    given: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

impl<'c> Constraint<'c> {
    fn parse(operator: &str, text: &'c str) -> Result<Self, TemplateError> {
        let operator = match operator {
            "" | "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            ">=" | "=>" => Operator::GreaterOrEqual,
            "<" => Operator::Less,
            "<=" | "=<" => Operator::LessOrEqual,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => return Err(fails(format!("improper constraint: {operator}{text}"))),
        };
        let improper = || fails(format!("improper constraint: {text}"));
        let parts = Parts::of(text).ok_or_else(improper)?;
        let mut numbers = [0; 3];
        let mut given = 0;
        let mut is_open = false;
        for (index, part) in parts.core.split('.').enumerate() {
            let slot = numbers.get_mut(index).ok_or_else(improper)?;
            let may_stand = |byte: u8| byte.is_ascii_digit() || b"xX*|".contains(&byte);
            if part.is_empty() || !part.bytes().all(may_stand) {
                return Err(improper());
            }
            // What stands behind a wildcard does not count.
            is_open |= matches!(part, "x" | "X" | "*");
            if !is_open {
                *slot = version::number(part)?;
                given += 1;
            }
        }
        version::check_prerelease(parts.prerelease)?;
        Ok(Constraint {
            operator,
            numbers,
            prerelease: parts.prerelease,
            given,
        })
    }

    /// How many of the leading numbers are the same.
    fn agrees(&self, version: &Version) -> usize {
        let pairs = self.numbers.iter().zip(version.numbers());
        pairs.take_while(|(left, right)| **left == *right).count()
    }

    fn permits(&self, version: &Version) -> bool {
        let order = version.order(self.numbers, self.prerelease);
        let complete = self.given == 3;
        match self.operator {
            Operator::Equal if complete => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.tilde(version, order),
            Operator::NotEqual if complete => order != Ordering::Equal,
            Operator::NotEqual => self.differs(version),
            Operator::Greater if complete => order == Ordering::Greater,
            // `>*` is `>0.0.0`.
            Operator::Greater => match self.given {
                0 => order == Ordering::Greater,
                1 => version.numbers()[0] > self.numbers[0],
                _ => version.numbers()[..2] > self.numbers[..2],
            },
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual if complete => order != Ordering::Greater,
            Operator::LessOrEqual => self.at_most(version),
            Operator::Caret => order != Ordering::Less && self.caret(version),
        }
    }

    fn tilde(&self, version: &Version, order: Ordering) -> bool {
        let [major, minor, patch] = self.numbers;
        let anything = (major, minor, patch) == (0, 0, 0) && matches!(self.given, 0 | 3);
        let wanted = if self.given == 1 { 1 } else { 2 };
        order != Ordering::Less && (anything || self.agrees(version) >= wanted)
    }

    fn differs(&self, version: &Version) -> bool {
        match self.given {
            // `!=*` looks at all three numbers, as if it said `!=0.0.0`.
            0 => self.agrees(version) < 3 || version.prerelease() != self.prerelease,
            1 => self.agrees(version) < 1,
            _ => {
                self.agrees(version) < 2
                    || prerelease_order(version.prerelease(), self.prerelease) != Ordering::Equal
            }
        }
    }

    fn at_most(&self, version: &Version) -> bool {
        let major = self.numbers[0];
        let minor = self.numbers[1];
        let same_major = version.numbers()[0] == major;
        let above = same_major && version.numbers()[1] > minor && self.given != 1;
        version.numbers()[0] <= major && !above
    }

    fn caret(&self, version: &Version) -> bool {
        let [major, minor, _] = self.numbers;
        if major > 0 || self.given == 1 {
            return version.numbers()[0] == major;
        }
        if version.numbers()[0] > 0 {
            return false;
        }
        if minor > 0 || self.given == 2 {
            return version.numbers()[1] == minor;
        }
        version.numbers()[1] == 0 && version.numbers()[2] == self.numbers[2]
    }
}
