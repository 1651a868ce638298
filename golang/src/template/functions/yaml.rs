//! `toYaml`, `fromYaml` and `fromYamlArray`, which Helm made known: sigs.k8s.io/yaml and the
//! go-yaml v2 beneath it.
//!
//! `toYaml` goes through JSON, so that `float64`s without a fraction become integers. The layout is
//! the emitter's: block style, sequences not indented below their key, keys in natural order, text
//! folded after column 80.

use super::{Argument, Function, Outcome, any, encoding, text};
use crate::fmt;
use crate::strconv::parse_integer;
use crate::template::value::{Element, List, Map, Value, members_from_json};
use crate::template::{TemplateError, fails, undecided};
use crate::work::{PLACE, STEP, Work};
use crate::yaml;

use Argument::{Any, Text};

/// Text is folded at the first space beyond this column.
const BEST_WIDTH: usize = 80;
/// A longer key is not written in one line with its value.
const KEY_LIMIT: usize = 128;
const INDENT: usize = 2;

/// `toYaml`, `fromYaml` and `fromYamlArray`, which are not Sprig's.
pub const FUNCTIONS: &[Function] = &[
    Function::new("toYaml", &[Any], |work, given| to_yaml(work, any(given, 0))),
    Function::new("fromYaml", &[Text], |work, given| {
        match read(work, text(given, 0))? {
            serde_json::Value::Object(members) => {
                Map::open(Element::Any, members_from_json(&members)?).map(Value::Map)
            }
            serde_json::Value::Null => Err(undecided("fromYaml of nothing")),
            _ => Err(fails(
                "json: cannot unmarshal into a map[string]interface {}",
            )),
        }
    }),
    Function::new("fromYamlArray", &[Text], |work, given| {
        match read(work, text(given, 0))? {
            value @ serde_json::Value::Array(_) => Value::from_json(&value),
            serde_json::Value::Null => Ok(Value::List(List::nil(Element::Any))),
            _ => Err(fails("json: cannot unmarshal into a []interface {}")),
        }
    }),
];

fn read(work: &Work, text: &str) -> Result<serde_json::Value, TemplateError> {
    work.spend((text.len() as u64).saturating_mul(PLACE))?;
    if text.contains('&') && text.contains('*') {
        return Err(undecided("YAML with aliases"));
    }
    yaml::value(text).map_err(|error| match error.kind() {
        yaml::ErrorKind::Depth | yaml::ErrorKind::Aliases => {
            TemplateError::TooMuch("its YAML nests too deeply")
        }
        yaml::ErrorKind::DuplicateKey(_) => undecided("YAML with a key that is there twice"),
        _ => fails(format!("error converting YAML to JSON: {error}")),
    })
}

fn to_yaml(work: &Work, value: &Value) -> Outcome {
    let mut emitter = Emitter {
        work,
        out: String::new(),
        column: 0,
    };
    match value {
        Value::List(list) if !list.items().is_empty() => emitter.list(list, 0)?,
        Value::Map(map) if map.len() > 0 => emitter.map(map, 0)?,
        other => emitter.scalar(other, 0)?,
    }
    let yaml = emitter.out;
    Ok(Value::from(yaml.strip_suffix('\n').unwrap_or(&yaml)))
}

struct Emitter<'w> {
    work: &'w Work,
    out: String,
    /// Characters on the current line.
    column: usize,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Emitter<'_> {
    fn push(&mut self, text: &str) -> Result<(), TemplateError> {
        self.work.bytes(text.len())?;
        self.out.push_str(text);
        self.column += text.chars().count();
        Ok(())
    }

    fn put(&mut self, character: char) -> Result<(), TemplateError> {
        self.push(character.encode_utf8(&mut [0; 4]))
    }

    fn line_break(&mut self) -> Result<(), TemplateError> {
        self.push("\n")?;
        self.column = 0;
        Ok(())
    }

    /// A new line, unless one has just begun, and its indentation.
    fn line(&mut self, indent: usize) -> Result<(), TemplateError> {
        if self.column > indent
            || !self
                .out
                .bytes()
                .rev()
                .take(self.column)
                .all(|at| at == b' ')
        {
            self.line_break()?;
        }
        while self.column < indent {
            self.push(" ")?;
        }
        Ok(())
    }

    fn map(&mut self, map: &Map, indent: usize) -> Result<(), TemplateError> {
        let members = map.members();
        let mut keys: Vec<&str> = members.keys().map(|key| &**key).collect();
        if keys.len() > 1 && keys.iter().any(|key| !key.is_ascii()) {
            return Err(undecided("toYaml with keys outside of ASCII"));
        }
        self.work.places(keys.len())?;
        natural_sort(&mut keys);
        for (index, key) in keys.into_iter().enumerate() {
            if index > 0 || self.column > indent {
                self.line(indent)?;
            }
            if key.len() > KEY_LIMIT || key.contains(is_break) {
                return Err(undecided("toYaml with such a key"));
            }
            self.text(key, indent, true)?;
            self.push(":")?;
            match members.get(key).unwrap_or(&Value::Nil) {
                Value::List(list) if !list.items().is_empty() => {
                    self.line(indent)?;
                    self.list(list, indent)?;
                }
                Value::Map(map) if map.len() > 0 => {
                    self.line(indent + INDENT)?;
                    self.map(map, indent + INDENT)?;
                }
                other => {
                    self.push(" ")?;
                    self.scalar(other, indent + INDENT)?;
                }
            }
        }
        Ok(())
    }

    fn list(&mut self, list: &List, indent: usize) -> Result<(), TemplateError> {
        Value::List(list.clone()).ordered()?;
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                self.line(indent)?;
            }
            self.push("- ")?;
            match item {
                Value::List(list) if !list.items().is_empty() => {
                    self.list(list, indent + INDENT)?;
                }
                Value::Map(map) if map.len() > 0 => self.map(map, indent + INDENT)?,
                other => self.scalar(other, indent + INDENT)?,
            }
        }
        Ok(())
    }

    fn scalar(&mut self, value: &Value, indent: usize) -> Result<(), TemplateError> {
        self.work.spend(STEP)?;
        match value {
            Value::Missing | Value::Nil => self.push("null"),
            Value::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Value::Int(value) | Value::Int64(value) => self.push(&value.to_string()),
            Value::Uint64(value) => self.push(&value.to_string()),
            Value::Float(value) => self.push(&number(*value)?),
            Value::Text(text) => self.text(text, indent.max(INDENT), false),
            Value::List(list) if list.is_nil() => self.push("null"),
            Value::List(_) => self.push("[]"),
            Value::Map(_) => self.push("{}"),
            Value::Version(_) => Err(undecided("toYaml of a version")),
        }
    }

    fn text(&mut self, text: &str, indent: usize, is_key: bool) -> Result<(), TemplateError> {
        self.work.bytes(text.len())?;
        if text.contains(is_unreadable) {
            return Err(undecided("toYaml of a control character"));
        }
        match style(text, is_key) {
            Style::Plain => self.folded(text, indent, is_key, None),
            Style::Single => {
                self.push("'")?;
                self.folded(text, indent, is_key, Some('\''))?;
                self.push("'")
            }
            Style::Double => self.double_quoted(text, indent, is_key),
            Style::Literal => self.literal(text, indent),
        }
    }

    /// Plain or single quoted text, which holds no line breaks.
    fn folded(
        &mut self,
        text: &str,
        indent: usize,
        is_key: bool,
        quote: Option<char>,
    ) -> Result<(), TemplateError> {
        let mut after_space = false;
        let mut characters = text.chars().peekable();
        let mut is_first = true;
        while let Some(character) = characters.next() {
            let next = characters.peek().copied();
            let inside = quote.is_none() || !is_first && next.is_some();
            if character == ' '
                && !is_key
                && !after_space
                && self.column > BEST_WIDTH
                && inside
                && next != Some(' ')
            {
                self.line_break()?;
                self.push(&" ".repeat(indent))?;
            } else {
                if Some(character) == quote {
                    self.put(character)?;
                }
                self.put(character)?;
            }
            after_space = character == ' ';
            is_first = false;
        }
        Ok(())
    }

    fn double_quoted(
        &mut self,
        text: &str,
        indent: usize,
        is_key: bool,
    ) -> Result<(), TemplateError> {
        self.push("\"")?;
        let mut after_space = false;
        let mut characters = text.chars().peekable();
        let mut is_first = true;
        while let Some(character) = characters.next() {
            let next = characters.peek().copied();
            let is_space = character == ' ';
            if !is_printable(character) || is_break(character) || matches!(character, '"' | '\\') {
                self.push(&escaped(character))?;
            } else if is_space
                && !is_key
                && !after_space
                && self.column > BEST_WIDTH
                && !is_first
                && next.is_some()
            {
                self.line_break()?;
                self.push(&" ".repeat(indent))?;
                if next == Some(' ') {
                    self.push("\\")?;
                }
            } else {
                self.put(character)?;
            }
            after_space = is_space;
            is_first = false;
        }
        self.push("\"")
    }

    fn literal(&mut self, text: &str, indent: usize) -> Result<(), TemplateError> {
        self.push("|")?;
        if text.starts_with([' ', '\n']) {
            self.push("2")?;
        }
        let body = text.strip_suffix('\n');
        match body {
            None => self.push("-")?,
            Some(body) if body.is_empty() || body.ends_with('\n') => self.push("+")?,
            Some(_) => {}
        }
        self.line_break()?;
        for line in text.split_inclusive('\n') {
            let (content, breaks) = match line.strip_suffix('\n') {
                Some(content) => (content, true),
                None => (line, false),
            };
            if !content.is_empty() {
                self.push(&" ".repeat(indent))?;
                self.push(content)?;
            }
            if breaks {
                self.line_break()?;
            }
        }
        Ok(())
    }
}

/// What JSON writes, as YAML reads and writes it.
fn number(value: f64) -> Result<String, TemplateError> {
    let json = encoding::json_float(value)?;
    Ok(match parse_integer(&json) {
        Some(integer) => integer.to_string(),
        None => fmt::float(value),
    })
}

/// go-yaml's `stringv`, and the emitter's `analyze_scalar` and `select_scalar_style`.
fn style(text: &str, is_key: bool) -> Style {
    let shape = Shape::of(text);
    if text.contains('\n') {
        let literal = !is_key && shape.block_allowed;
        return if literal {
            Style::Literal
        } else {
            Style::Double
        };
    }
    if !is_text(text) {
        return Style::Double;
    }
    if shape.plain_allowed && !(is_key && text.is_empty()) {
        Style::Plain
    } else if shape.single_allowed {
        Style::Single
    } else {
        Style::Double
    }
}

/// Which styles a text allows.
struct Shape {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let mut special = false;
        let (mut space_break, mut break_space) = (false, false);
        let mut breaks = false;
        let mut previous: Option<char> = None;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let next = characters.peek().copied();
            let before_blank = next.is_none_or(|next| matches!(next, ' ' | '\t'));
            let after_blank = previous.is_none_or(|at| matches!(at, ' ' | '\t') || is_break(at));
            indicators |= match (character, previous) {
                (
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                    | '%' | '@' | '`',
                    None,
                ) => true,
                ('?' | '-', None) | (':', _) => before_blank,
                ('#', Some(_)) => after_blank,
                _ => false,
            };
            special |= !is_printable(character);
            breaks |= is_break(character);
            break_space |= character == ' ' && previous.is_some_and(is_break);
            space_break |= is_break(character) && previous == Some(' ');
            previous = Some(character);
        }
        let edge = |at: char| at == ' ' || is_break(at);
        let trailing_space = text.ends_with(' ');
        let edges = text.starts_with(edge) || text.ends_with(edge);
        Shape {
            plain_allowed: !(indicators || special || breaks || edges),
            single_allowed: !(break_space || space_break || special),
            block_allowed: !(text.is_empty() || trailing_space || space_break || special),
        }
    }
}

fn is_break(character: char) -> bool {
    matches!(character, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The emitter's idea of it: no tabs, nothing beyond the basic plane.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && character != '\u{feff}'
}

/// What YAML does not read, or takes for a line break.
fn is_unreadable(character: char) -> bool {
    matches!(
        character,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

fn escaped(character: char) -> String {
    let name = match character {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        other => {
            let code = u32::from(other);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{name}")
}

/// Whether a text that is written plain is read as a text.
fn is_text(text: &str) -> bool {
    yaml::is_plain_text(text) && !is_timestamp(text) && !is_base_60(text)
}

/// `1:30:00`, a number in YAML 1.1.
fn is_base_60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let is_number = first.starts_with(|one: char| one.is_ascii_digit())
        && first
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_digit());
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.last_mut() else {
        return false;
    };
    if let Some((whole, fraction)) = last.split_once('.') {
        if !fraction
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_digit())
        {
            return false;
        }
        *last = whole;
    }
    let is_sixtieth = |part: &str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [ten, one] => matches!(ten, b'0'..=b'5') && one.is_ascii_digit(),
        _ => false,
    };
    is_number && parts.into_iter().all(is_sixtieth)
}

/// go-yaml's `parseTimestamp`.
fn is_timestamp(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else {
        return false;
    };
    let Some((month, rest)) = rest.split_once('-') else {
        return false;
    };
    let end = rest
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(rest.len());
    let (day, time) = rest.split_at(end);
    let is_year = year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit());
    let (Some(year), Some(month), Some(day)) = (short(year, 4), short(month, 2), short(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    if !is_year || !(1..=12).contains(&month) || !(1..=days).contains(&day) {
        return false;
    }
    if time.is_empty() {
        return true;
    }
    if let Some(time) = time.strip_prefix(' ') {
        return is_time(time);
    }
    let Some(time) = time.strip_prefix(['T', 't']) else {
        return false;
    };
    if let Some(time) = time.strip_suffix('Z') {
        return is_time(time);
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return false;
    };
    let (time, offset) = time.split_at(at);
    let offset = offset.get(1..).and_then(|offset| offset.split_once(':'));
    let is_offset = offset.is_some_and(|(hours, minutes)| {
        let pair =
            |text: &str, limit| text.len() == 2 && short(text, 2).is_some_and(|n| n <= limit);
        pair(hours, 24) && pair(minutes, 60)
    });
    is_offset && is_time(time)
}

/// Hours, minutes and seconds, of one digit or two, with a fraction or without.
fn is_time(text: &str) -> bool {
    let mut parts = text.split(':');
    let (Some(hours), Some(minutes), Some(seconds), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let seconds = match seconds.split_once(['.', ',']) {
        Some((seconds, fraction)) => {
            let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
            if fraction.is_empty() || !digits {
                return false;
            }
            seconds
        }
        None => seconds,
    };
    let below = |text: &str, limit| short(text, 2).is_some_and(|number| number < limit);
    below(hours, 24) && below(minutes, 60) && below(seconds, 60)
}

/// A number of at most so many digits.
fn short(text: &str, digits: usize) -> Option<u32> {
    let fits = (1..=digits).contains(&text.len());
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (fits && all_digits).then(|| text.parse().ok()).flatten()
}

/// Sorts by `is_less`, which is not known to be an order: the standard library's sorts may panic
/// where it is not.
fn natural_sort(keys: &mut Vec<&str>) {
    if keys.len() < 2 {
        return;
    }
    let mut right = keys.split_off(keys.len() / 2);
    natural_sort(keys);
    natural_sort(&mut right);
    let mut left = std::mem::take(keys).into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let next = if is_less(second, first) {
            right.next()
        } else {
            left.next()
        };
        keys.extend(next);
    }
    keys.extend(left);
    keys.extend(right);
}

/// go-yaml's order of keys: numbers within them count as numbers. For ASCII.
fn is_less(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let differs = left
        .iter()
        .zip(right)
        .position(|(left, right)| left != right);
    let Some(at) = differs else {
        return left.len() < right.len();
    };
    let (Some(&first), Some(&second)) = (left.get(at), right.get(at)) else {
        return false;
    };
    match (first.is_ascii_alphabetic(), second.is_ascii_alphabetic()) {
        (true, true) => return first < second,
        (false, false) => {}
        (_, second_is_letter) => return second_is_letter,
    }
    let mut start = 0;
    if first == b'0' || second == b'0' {
        // A zero that continues a number is a digit of it like any other.
        let before = left.get(..at).unwrap_or_default().iter().rev();
        let mut digits = before.take_while(|byte| byte.is_ascii_digit());
        if digits.any(|digit| *digit != b'0') {
            start = 1;
        }
    }
    let (first_number, first_digits) = leading_number(left.get(at..), start);
    let (second_number, second_digits) = leading_number(right.get(at..), start);
    if first_number != second_number {
        return first_number < second_number;
    }
    if first_digits != second_digits {
        return first_digits < second_digits;
    }
    first < second
}

fn leading_number(text: Option<&[u8]>, start: i64) -> (i64, usize) {
    let digits = text.unwrap_or_default().iter();
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    digits.fold((start, 0), |(number, count), digit| {
        let number = number
            .wrapping_mul(10)
            .wrapping_add(i64::from(digit - b'0'));
        (number, count + 1)
    })
}
