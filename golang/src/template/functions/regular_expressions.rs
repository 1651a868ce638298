//! Sprig's functions on regular expressions (`regex.go`), which in Go are RE2's.
//!
//! The crate `regex` matches as RE2 does. Where the two read a pattern differently the pattern is
//! translated; what one of them does not know, or may read in another way, is refused.

use super::{Argument, Function, Outcome, int, text};
use crate::template::format;
use crate::template::value::{Element, List, Value};
use crate::template::{TemplateError, fails, undecided};
use crate::work::Work;
use regex::{Regex, RegexBuilder};

use Argument::{Int, Text};

/// A compiled pattern may take this many bytes.
const SIZE_LIMIT: usize = 256 * 1024;
/// Compiling a pattern costs this much for each of its bytes, and as much again for the first.
const COMPILE_COST: u64 = 4096;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("regexMatch", &[Text, Text], |work, given| {
        match compile(work, given) {
            Ok(regex) => Ok(Value::from(regex.is_match(text(given, 1)))),
            // `regexMatch` swallows the error.
            Err(TemplateError::Fails(_)) => Ok(Value::Bool(false)),
            Err(error) => Err(error),
        }
    }),
    Function::new("mustRegexMatch", &[Text, Text], |work, given| {
        Ok(Value::from(compile(work, given)?.is_match(text(given, 1))))
    }),
    Function::new("regexFind", &[Text, Text], find),
    Function::new("mustRegexFind", &[Text, Text], find),
    Function::new("regexFindAll", &[Text, Text, Int], find_all),
    Function::new("mustRegexFindAll", &[Text, Text, Int], find_all),
    Function::new("regexReplaceAll", &[Text, Text, Text], |work, given| {
        replace_all(work, given, Replacement::Template)
    }),
    Function::new("mustRegexReplaceAll", &[Text, Text, Text], |work, given| {
        replace_all(work, given, Replacement::Template)
    }),
    Function::new(
        "regexReplaceAllLiteral",
        &[Text, Text, Text],
        |work, given| replace_all(work, given, Replacement::Literal),
    ),
    Function::new(
        "mustRegexReplaceAllLiteral",
        &[Text, Text, Text],
        |work, given| replace_all(work, given, Replacement::Literal),
    ),
    Function::new("regexSplit", &[Text, Text, Int], split),
    Function::new("mustRegexSplit", &[Text, Text, Int], split),
    Function::new("regexQuoteMeta", &[Text], |work, given| {
        let mut quoted = format::Text::new(work);
        for character in text(given, 0).chars() {
            if "\\.+*?()|[]{}^$".contains(character) {
                quoted.push("\\")?;
            }
            quoted.push(character.encode_utf8(&mut [0; 4]))?;
        }
        Ok(Value::from(quoted.finish()))
    }),
];

/// Compiles the first argument, and pays for matching it with the second one.
fn compile(work: &Work, given: &[Value]) -> Result<Regex, TemplateError> {
    let (pattern, subject) = (text(given, 0), text(given, 1));
    let length = pattern.len() as u64;
    work.spend(COMPILE_COST.saturating_mul(length.saturating_add(1)))?;
    let translated = Translation::of(pattern)?;
    let regex = RegexBuilder::new(&translated)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .nest_limit(64)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                TemplateError::TooMuch("its regular expressions are too large")
            }
            _ => undecided("a regular expression that may be invalid"),
        })?;
    let length = length.saturating_add(8);
    work.spend((subject.len() as u64).saturating_mul(length))?;
    Ok(regex)
}

fn find(work: &Work, given: &[Value]) -> Outcome {
    let found = compile(work, given)?
        .find(text(given, 1))
        .map(|found| found.as_str());
    Ok(Value::from(found.unwrap_or_default()))
}

fn find_all(work: &Work, given: &[Value]) -> Outcome {
    let limit = usize::try_from(int(given, 2)).unwrap_or(usize::MAX);
    let regex = compile(work, given)?;
    let mut found = Vec::new();
    for part in regex.find_iter(text(given, 1)).take(limit) {
        work.places(1)?;
        found.push(part.as_str());
    }
    if found.is_empty() {
        return Ok(Value::List(List::nil(Element::Text)));
    }
    Ok(Value::List(List::of_texts(found)))
}

#[derive(Clone, Copy)]
enum Replacement {
    /// `$1` and `${name}` stand for groups.
    Template,
    Literal,
}

fn replace_all(work: &Work, given: &[Value], kind: Replacement) -> Outcome {
    let regex = compile(work, given)?;
    let (subject, replacement) = (text(given, 1), text(given, 2));
    let mut replaced = format::Text::new(work);
    let mut end = 0;
    for groups in regex.captures_iter(subject) {
        let Some(whole) = groups.get(0) else {
            continue;
        };
        replaced.push(subject.get(end..whole.start()).unwrap_or_default())?;
        match kind {
            Replacement::Literal => replaced.push(replacement)?,
            Replacement::Template => {
                // Each `$` brings in at most the whole match.
                let groups_in = replacement.matches('$').count();
                work.bytes(groups_in.saturating_mul(whole.len()))?;
                let mut expanded = String::new();
                groups.expand(replacement, &mut expanded);
                replaced.push(&expanded)?;
            }
        }
        end = whole.end();
    }
    replaced.push(subject.get(end..).unwrap_or_default())?;
    Ok(Value::from(replaced.finish()))
}

/// Go's `Regexp.Split`.
fn split(work: &Work, given: &[Value]) -> Outcome {
    let (subject, limit) = (text(given, 1), int(given, 2));
    let regex = compile(work, given)?;
    if limit == 0 {
        return Ok(Value::List(List::nil(Element::Text)));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    if subject.is_empty() && !text(given, 0).is_empty() {
        parts.push("");
        return Ok(Value::List(List::of_texts(parts)));
    }
    let (mut start, mut end) = (0, 0);
    for found in regex.find_iter(subject).take(limit) {
        if parts.len() + 1 == limit {
            break;
        }
        work.places(1)?;
        end = found.start();
        if found.end() != 0 {
            parts.push(subject.get(start..end).unwrap_or_default());
        }
        start = found.end();
    }
    if end != subject.len() {
        parts.push(subject.get(start..).unwrap_or_default());
    }
    Ok(Value::List(List::of_texts(parts)))
}

/// A pattern as `regex` has to read it to do what Go does.
struct Translation<'p> {
    rest: std::iter::Peekable<std::str::Chars<'p>>,
    /// Groups that are not closed.
    groups: usize,
    out: String,
}

impl<'p> Translation<'p> {
    fn of(pattern: &'p str) -> Result<String, TemplateError> {
        let mut translation = Translation {
            rest: pattern.chars().peekable(),
            groups: 0,
            out: String::with_capacity(pattern.len()),
        };
        while let Some(character) = translation.rest.next() {
            translation.one(character)?;
        }
        if translation.groups > 0 {
            return Err(fails("error parsing regexp: missing closing )"));
        }
        Ok(translation.out)
    }

    fn one(&mut self, character: char) -> Result<(), TemplateError> {
        match character {
            '\\' => self.escape(),
            '[' => self.class(),
            '(' => self.group(),
            ')' => {
                self.out.push(')');
                let groups = self.groups.checked_sub(1);
                self.groups = groups.ok_or_else(|| fails("error parsing regexp: unexpected )"))?;
                Ok(())
            }
            '*' | '+' | '?' => {
                self.out.push(character);
                self.after_repetition()
            }
            '{' => self.braces(),
            other => {
                self.out.push(other);
                Ok(())
            }
        }
    }

    /// `\d` and its kin are ASCII's in Go.
    fn escape(&mut self) -> Result<(), TemplateError> {
        let escaped = self.rest.next();
        let replacement = match escaped {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('w') => "[0-9A-Za-z_]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('s') => "[\\t\\n\\f\\r ]",
            Some('S') => "[^\\t\\n\\f\\r ]",
            Some('b') => "(?-u:\\b)",
            Some('A') => "\\A",
            Some('z') => "\\z",
            Some(other) => return self.plain_escape(other),
            None => return Err(fails("error parsing regexp: trailing backslash")),
        };
        self.out.push_str(replacement);
        Ok(())
    }

    fn plain_escape(&mut self, escaped: char) -> Result<(), TemplateError> {
        let known = escaped.is_ascii_punctuation() || "aftnrv".contains(escaped);
        if !known {
            return Err(undecided("a regular expression with such an escape"));
        }
        self.out.push('\\');
        self.out.push(escaped);
        Ok(())
    }

    fn class(&mut self) -> Result<(), TemplateError> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let Some(character) = self.rest.next() else {
                return Err(fails("error parsing regexp: missing closing ]"));
            };
            match character {
                ']' if !is_first => break,
                ']' => self.out.push_str("\\]"),
                '[' if self.rest.peek() == Some(&':') => {
                    self.named_class()?;
                }
                '[' => self.out.push_str("\\["),
                '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(character);
                }
                '-' if self.rest.peek() == Some(&'-') => {
                    return Err(undecided("a regular expression with -- in a class"));
                }
                '\\' => match self.rest.next() {
                    Some('d') => self.out.push_str("0-9"),
                    Some('w') => self.out.push_str("0-9A-Za-z_"),
                    Some('s') => self.out.push_str("\\t\\n\\f\\r "),
                    Some(other) => self.plain_escape(other)?,
                    None => return Err(fails("error parsing regexp: trailing backslash")),
                },
                other => self.out.push(other),
            }
            is_first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// `[:alpha:]`, of which the first bracket has been read.
    fn named_class(&mut self) -> Result<(), TemplateError> {
        const NAMES: [&str; 14] = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        let ahead: String = self
            .rest
            .clone()
            .skip(1)
            .take_while(|next| *next != ':')
            .collect();
        let name = ahead.strip_prefix('^').unwrap_or(&ahead);
        let closed = self.rest.clone().nth(ahead.len() + 2) == Some(']');
        if !NAMES.contains(&name) || !closed {
            return Err(undecided("a regular expression with such a class"));
        }
        self.out.extend([format!("[:{ahead}:]")]);
        for _ in 0..ahead.len() + 3 {
            self.rest.next();
        }
        Ok(())
    }

    /// `(?:`, `(?i)`, `(?P<name>` and `(?<name>`.
    fn group(&mut self) -> Result<(), TemplateError> {
        self.out.push('(');
        self.groups += 1;
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        while let Some(flag) = self.rest.next_if(|next| "imsU-".contains(*next)) {
            self.out.push(flag);
        }
        if self.rest.next_if_eq(&'P').is_some() {
            self.out.push('P');
        }
        match self.rest.next() {
            Some(':') => self.out.push(':'),
            Some(')') => {
                self.groups -= 1;
                self.out.push(')');
            }
            Some('<') if !matches!(self.rest.peek(), Some('=' | '!')) => self.out.push('<'),
            _ => {
                return Err(fails(
                    "error parsing regexp: invalid or unsupported Perl syntax",
                ));
            }
        }
        Ok(())
    }

    /// A repetition cannot be repeated; a `?` makes it lazy.
    fn after_repetition(&mut self) -> Result<(), TemplateError> {
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        match self.rest.peek() {
            Some('*' | '+' | '?') => Err(fails(
                "error parsing regexp: invalid nested repetition operator",
            )),
            _ => Ok(()),
        }
    }

    /// `{2}`, `{2,}` and `{2,3}` repeat; any other brace is itself.
    fn braces(&mut self) -> Result<(), TemplateError> {
        let ahead: String = self
            .rest
            .clone()
            .take_while(|next| *next != '}')
            .take(16)
            .collect();
        let (least, most) = ahead.split_once(',').unwrap_or((&ahead, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if least.is_empty() || !is_number(least) || !is_number(most) {
            self.out.push_str("\\{");
            return Ok(());
        }
        let closed = self.rest.clone().nth(ahead.len()) == Some('}');
        let large = |text: &str| !text.is_empty() && text.parse().is_ok_and(|n: u64| n > 1000);
        if !closed {
            return Err(undecided("a regular expression with such a repetition"));
        }
        if large(least) || large(most) {
            return Err(fails("error parsing regexp: invalid repeat count"));
        }
        self.out.push('{');
        self.out.push_str(&ahead);
        self.out.push('}');
        for _ in 0..=ahead.len() {
            self.rest.next();
        }
        match self.rest.peek() {
            Some('{') => Err(undecided("a regular expression with repeated repetitions")),
            _ => self.after_repetition(),
        }
    }
}
