//! Sprig's `semver` and `semverCompare` (Masterminds/semver v3).

use super::{Argument, Body, Function, Outcome, text};
use crate::go_template::value::Value;
use crate::go_template::work::Work;
use crate::go_template::{TemplateError, fails, undecided};
use std::cmp::Ordering;

use Argument::Text;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::with_body("semver", Body::Undecided),
    Function::new("semverCompare", &[Text, Text], semver_compare),
];

fn semver_compare(work: &Work, given: &[Value]) -> Outcome {
    work.bytes(text(given, 0).len().saturating_mul(8))?;
    let groups = text(given, 0).split("||").map(group);
    let groups: Vec<Vec<Constraint<'_>>> = groups.collect::<Result<_, _>>()?;
    let version = Version::parse(text(given, 1))?;
    let permits = |group: &Vec<Constraint<'_>>| {
        let prereleases = group.iter().any(|one| !one.version.prerelease.is_empty());
        let visible = version.prerelease.is_empty() || prereleases;
        visible && group.iter().all(|constraint| constraint.permits(&version))
    };
    Ok(Value::from(groups.iter().any(permits)))
}

/// Constraints that all have to hold.
fn group(text: &str) -> Result<Vec<Constraint<'_>>, TemplateError> {
    let mut rest = text.trim_start();
    let mut constraints = Vec::new();
    while !rest.is_empty() {
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
        rest = spaces.strip_prefix(',').unwrap_or(spaces).trim_start();
        if rest.is_empty() && spaces.starts_with(',') {
            return Err(fails(format!("improper constraint: {text}")));
        }
        if rest.starts_with("- ") {
            return Err(undecided("a range of versions with a dash"));
        }
    }
    if constraints.is_empty() {
        return Err(undecided("a version constraint that is empty"));
    }
    Ok(constraints)
}

/// A version; what is left out is 0.
struct Version<'v> {
    numbers: [u64; 3],
    prerelease: &'v str,
}

impl<'v> Version<'v> {
    /// Go's `NewVersion`, for versions about which there can be no doubt.
    fn parse(text: &'v str) -> Result<Self, TemplateError> {
        let (numbers, given, prerelease) = split(text)?;
        if given == 0 {
            return Err(fails("invalid semantic version"));
        }
        Ok(Version {
            numbers,
            prerelease,
        })
    }

    fn order(&self, other: &Version<'_>) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| prerelease_order(self.prerelease, other.prerelease))
    }
}

/// The numbers of a version, how many of them are given, and its prerelease.
fn split(text: &str) -> Result<([u64; 3], usize, &str), TemplateError> {
    let doubtful = || undecided("such a version or version constraint");
    let text = text.strip_prefix('v').unwrap_or(text);
    if !text.starts_with(|one: char| one.is_ascii_digit() || matches!(one, 'x' | 'X' | '*')) {
        return Err(fails("invalid semantic version"));
    }
    let (text, build) = text.split_once('+').unwrap_or((text, "0"));
    let (core, prerelease) = match text.split_once('-') {
        Some((_, "")) => return Err(doubtful()),
        Some(parts) => parts,
        None => (text, ""),
    };
    let is_identifier = |one: &str| {
        let numeric = one.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = numeric && one.len() > 1 && one.starts_with('0');
        let valid = one
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_alphanumeric());
        valid && !one.is_empty() && !leading_zero
    };
    let identifiers = prerelease.is_empty() || prerelease.split('.').all(is_identifier);
    let valid_build = build.split('.').all(|one| {
        !one.is_empty()
            && one
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
    });
    if !identifiers || !valid_build {
        return Err(doubtful());
    }
    let mut numbers = [0; 3];
    let mut given = 0;
    let mut wildcard = false;
    for (index, part) in core.split('.').enumerate() {
        let slot = numbers.get_mut(index).ok_or_else(doubtful)?;
        if matches!(part, "x" | "X" | "*") {
            wildcard = true;
            continue;
        }
        let leading_zero = part.len() > 1 && part.starts_with('0');
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        if wildcard || leading_zero || !digits {
            return Err(doubtful());
        }
        *slot = part.parse().map_err(|_| doubtful())?;
        given += 1;
    }
    Ok((numbers, given, prerelease))
}

/// A release comes after its prereleases; their identifiers are compared one by one.
fn prerelease_order(left: &str, right: &str) -> Ordering {
    match (left.is_empty(), right.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let identifiers = |text| str::split(text, '.').map(identifier);
    identifiers(left).cmp(identifiers(right))
}

/// Numbers come before words.
fn identifier(text: &str) -> (bool, u128, &str) {
    match text.parse() {
        Ok(number) => (false, number, ""),
        Err(_) => (true, 0, text),
    }
}

struct Constraint<'c> {
    operator: Operator,
    version: Version<'c>,
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
        if text.is_empty() {
            return Err(fails("improper constraint: a version is missing"));
        }
        let (numbers, given, prerelease) = split(text)?;
        let version = Version {
            numbers,
            prerelease,
        };
        Ok(Constraint {
            operator,
            version,
            given,
        })
    }

    /// How many of the leading numbers are the same.
    fn agrees(&self, version: &Version<'_>) -> usize {
        let pairs = self.version.numbers.iter().zip(version.numbers);
        pairs.take_while(|(left, right)| **left == *right).count()
    }

    fn permits(&self, version: &Version<'_>) -> bool {
        let order = version.order(&self.version);
        let complete = self.given == 3;
        match self.operator {
            Operator::Equal if complete => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.tilde(version, order),
            Operator::NotEqual if complete => order != Ordering::Equal,
            Operator::NotEqual => self.differs(version),
            Operator::Greater if complete => order == Ordering::Greater,
            Operator::Greater => match self.given {
                0 | 1 => version.numbers[0] > self.version.numbers[0],
                _ => version.numbers[..2] > self.version.numbers[..2],
            },
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual if complete => order != Ordering::Greater,
            Operator::LessOrEqual => self.at_most(version),
            Operator::Caret => order != Ordering::Less && self.caret(version),
        }
    }

    fn tilde(&self, version: &Version<'_>, order: Ordering) -> bool {
        let [major, minor, patch] = self.version.numbers;
        let anything = (major, minor, patch) == (0, 0, 0) && matches!(self.given, 0 | 3);
        let wanted = if self.given == 1 { 1 } else { 2 };
        order != Ordering::Less && (anything || self.agrees(version) >= wanted)
    }

    fn differs(&self, version: &Version<'_>) -> bool {
        match self.given {
            // `!=*` looks at all three numbers, as if it said `!=0.0.0`.
            0 => self.agrees(version) < 3 || version.prerelease != self.version.prerelease,
            1 => self.agrees(version) < 1,
            _ => {
                self.agrees(version) < 2
                    || prerelease_order(version.prerelease, self.version.prerelease)
                        != Ordering::Equal
            }
        }
    }

    fn at_most(&self, version: &Version<'_>) -> bool {
        let major = self.version.numbers[0];
        let minor = self.version.numbers[1];
        let same_major = version.numbers[0] == major;
        let above = same_major && version.numbers[1] > minor && self.given != 1;
        version.numbers[0] <= major && !above
    }

    fn caret(&self, version: &Version<'_>) -> bool {
        let [major, minor, _] = self.version.numbers;
        if major > 0 || self.given == 1 {
            return version.numbers[0] == major;
        }
        if version.numbers[0] > 0 {
            return false;
        }
        if minor > 0 || self.given == 2 {
            return version.numbers[1] == minor;
        }
        version.numbers[1] == 0 && version.numbers[2] == self.version.numbers[2]
    }
}
