//! Values as text, as Go's `fmt` prints them.

use super::value::{List, Map, Value};
use super::{TemplateError, undecided};
use crate::fmt;
use crate::work::{STEP, Work};

/// A field may be this wide, and a number this precise.
const WIDTH_LIMIT: usize = 4096;

/// A text under construction, which pays for what is written.
pub(super) struct Text<'w> {
    work: &'w Work,
    text: String,
}

impl<'w> Text<'w> {
    pub(super) fn new(work: &'w Work) -> Self {
        Text {
            work,
            text: String::new(),
        }
    }

    pub(super) fn push(&mut self, text: &str) -> Result<(), TemplateError> {
        self.work.bytes(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Prints a value as `%v` does.
    pub(super) fn print(&mut self, value: &Value) -> Result<(), TemplateError> {
        self.format('v', &Specification::default(), value)
    }

    fn format(
        &mut self,
        verb: char,
        specification: &Specification,
        value: &Value,
    ) -> Result<(), TemplateError> {
        self.work.spend(STEP)?;
        value.ordered()?;
        match value {
            Value::List(list) => self.list(verb, specification, list),
            Value::Map(map) => self.map(verb, specification, map),
            Value::Missing | Value::Nil if verb == 'v' => self.push(&specification.pad("<nil>")),
            Value::Missing | Value::Nil => self.push(&format!("%!{verb}(<nil>)")),
            value => match specification.scalar(verb, value)? {
                Some(text) => self.push(&text),
                None if specification.is_plain() => self.bad_verb(verb, value),
                None => Err(undecided("a printf format for a value of another type")),
            },
        }
    }

    fn list(
        &mut self,
        verb: char,
        specification: &Specification,
        list: &List,
    ) -> Result<(), TemplateError> {
        specification.fits_collections(verb)?;
        self.push("[")?;
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                self.push(" ")?;
            }
            self.part(verb, specification, item)?;
        }
        self.push("]")
    }

    fn map(
        &mut self,
        verb: char,
        specification: &Specification,
        map: &Map,
    ) -> Result<(), TemplateError> {
        specification.fits_collections(verb)?;
        self.push("map[")?;
        for (index, (key, member)) in map.members().iter().enumerate() {
            if index > 0 {
                self.push(" ")?;
            }
            self.part(verb, specification, &Value::Text(key.clone()))?;
            self.push(":")?;
            self.part(verb, specification, member)?;
        }
        self.push("]")
    }

    fn part(
        &mut self,
        verb: char,
        specification: &Specification,
        value: &Value,
    ) -> Result<(), TemplateError> {
        match value {
            Value::Missing | Value::Nil => self.push("<nil>"),
            value => self.format(verb, specification, value),
        }
    }

    fn bad_verb(&mut self, verb: char, value: &Value) -> Result<(), TemplateError> {
        self.push(&format!("%!{verb}({}=", value.type_name()))?;
        self.print(value)?;
        self.push(")")
    }
}

/// `fmt.Sprint`: spaces stand between operands of which neither is a string.
pub(super) fn sprint(work: &Work, values: &[Value]) -> Result<String, TemplateError> {
    let mut text = Text::new(work);
    let mut after_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !is_text && !after_text {
            text.push(" ")?;
        }
        text.print(value)?;
        after_text = is_text;
    }
    Ok(text.finish())
}

/// `fmt.Sprintln`.
pub(super) fn sprintln(work: &Work, values: &[Value]) -> Result<String, TemplateError> {
    let mut text = Text::new(work);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push(" ")?;
        }
        text.print(value)?;
    }
    text.push("\n")?;
    Ok(text.finish())
}

/// `fmt.Sprintf`.
pub(super) fn sprintf(
    work: &Work,
    format: &str,
    values: &[Value],
) -> Result<String, TemplateError> {
    let mut text = Text::new(work);
    let mut values = values.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push(before)?;
        let (specification, after) = Specification::parse(after)?;
        let mut characters = after.chars();
        let verb = characters.next();
        rest = characters.as_str();
        match (verb, values.len()) {
            (None, _) => text.push("%!(NOVERB)")?,
            (Some('%'), _) => text.push("%")?,
            (Some('*' | '['), _) => return Err(undecided("`*` and `[` in a printf format")),
            (Some(verb), 0) => text.push(&format!("%!{verb}(MISSING)"))?,
            (Some(verb), _) => {
                let value = values.next().unwrap_or(&Value::Nil);
                if verb == 'T' {
                    text.push(&specification.pad(&value.type_name()))?;
                } else {
                    text.format(verb, &specification, value)?;
                }
            }
        }
    }
    text.push(rest)?;
    let has_extra = values.len() > 0;
    for (index, value) in values.enumerate() {
        text.push(if index == 0 { "%!(EXTRA " } else { ", " })?;
        match value {
            Value::Missing | Value::Nil => text.push("<nil>")?,
            value => {
                text.push(&value.type_name())?;
                text.push("=")?;
                text.print(value)?;
            }
        }
    }
    if has_extra {
        text.push(")")?;
    }
    Ok(text.finish())
}

/// What a number that is not negative starts with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Sign {
    #[default]
    None,
    Space,
    Plus,
}

/// What stands between `%` and a verb.
#[derive(Clone, Copy, Debug, Default)]
struct Specification {
    /// `-`: fill up on the right.
    minus: bool,
    /// `0`: fill up with zeros.
    zero: bool,
    sign: Sign,
    width: Option<usize>,
    precision: Option<usize>,
}

impl Specification {
    fn parse(text: &str) -> Result<(Self, &str), TemplateError> {
        let mut specification = Specification::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next() {
            match flag {
                '-' => specification.minus = true,
                '+' => specification.sign = Sign::Plus,
                ' ' if specification.sign == Sign::None => specification.sign = Sign::Space,
                ' ' => {}
                '0' => specification.zero = true,
                '#' => return Err(undecided("the flag # in a printf format")),
                _ => break,
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        (specification.width, rest) = number(rest)?;
        if let Some(after) = rest.strip_prefix('.') {
            let precision;
            (precision, rest) = number(after)?;
            specification.precision = Some(precision.unwrap_or(0));
        }
        Ok((specification, rest))
    }

    fn is_plain(&self) -> bool {
        let flags = self.minus || self.zero || self.sign != Sign::None;
        !flags && self.width.is_none() && self.precision.is_none()
    }

    /// Widths and flags apply to each item, in ways of their own.
    fn fits_collections(&self, verb: char) -> Result<(), TemplateError> {
        if self.is_plain() && matches!(verb, 'v' | 's' | 'd' | 'q' | 't' | 'f' | 'g' | 'e') {
            Ok(())
        } else {
            Err(undecided("this printf format for a list or a map"))
        }
    }

    /// A value as its verb prints it; None where the verb is not for it.
    fn scalar(&self, verb: char, value: &Value) -> Result<Option<String>, TemplateError> {
        let text = match (verb, value) {
            ('v' | 's', Value::Text(text)) => self.text(&self.truncated(text))?,
            ('q', Value::Text(text)) => self.text(&quote(&self.truncated(text))?)?,
            ('v' | 's', Value::Version(version)) => {
                self.text(&self.truncated(&version.to_string()))?
            }
            ('x' | 'X', Value::Text(_))
            | ('q', Value::Int(_) | Value::Int64(_) | Value::Uint64(_))
            | (_, Value::Version(_)) => {
                return Err(undecided("this printf format"));
            }
            ('v' | 't', Value::Bool(value)) => self.text(&value.to_string())?,
            ('v' | 'd', Value::Int(value) | Value::Int64(value)) => {
                self.integer(*value < 0, value.unsigned_abs())?
            }
            ('v' | 'd', Value::Uint64(value)) => self.integer(false, *value)?,
            (
                'x' | 'X' | 'o' | 'O' | 'b' | 'c' | 'U',
                Value::Int(_) | Value::Int64(_) | Value::Uint64(_),
            ) => {
                return self.integer_in_base(verb, value).map(Some);
            }
            ('v' | 'g', Value::Float(value)) if self.precision.is_none() => {
                self.float(*value, &fmt::float(*value))?
            }
            ('f' | 'F', Value::Float(value)) => {
                let precision = self.precision.unwrap_or(6);
                self.float(*value, &format!("{value:.precision$}"))?
            }
            ('e', Value::Float(value)) => {
                let precision = self.precision.unwrap_or(6);
                self.float(*value, &fmt::exponent(&format!("{value:.precision$e}")))?
            }
            ('v' | 'g' | 'G' | 'E' | 'x' | 'X' | 'b', Value::Float(_)) => {
                return Err(undecided("this printf format for a float64"));
            }
            ('p', _) => return Err(undecided("this printf format")),
            _ => return Ok(None),
        };
        Ok(Some(text))
    }

    fn truncated(&self, text: &str) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_owned(),
        }
    }

    /// Text: zeros do not fill it, and signs do not show.
    fn text(&self, text: &str) -> Result<String, TemplateError> {
        if self.zero && self.width.is_some() || self.sign != Sign::None {
            return Err(undecided("a flag of a printf format for a text"));
        }
        Ok(self.pad(text))
    }

    fn integer(&self, is_negative: bool, magnitude: u64) -> Result<String, TemplateError> {
        if self.precision.is_some() {
            return Err(undecided("a precision in a printf format for an integer"));
        }
        let sign = self.sign(is_negative);
        Ok(self.number(sign, &magnitude.to_string()))
    }

    fn integer_in_base(&self, verb: char, value: &Value) -> Result<String, TemplateError> {
        let (Value::Int(value) | Value::Int64(value)) = value else {
            return Err(undecided("this printf format"));
        };
        let magnitude = value.unsigned_abs();
        let digits = match verb {
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            'o' => format!("{magnitude:o}"),
            'b' => format!("{magnitude:b}"),
            _ => return Err(undecided("this printf format for an integer")),
        };
        if self.precision.is_some() {
            return Err(undecided("a precision in a printf format for an integer"));
        }
        Ok(self.number(self.sign(*value < 0), &digits))
    }

    fn float(&self, value: f64, digits: &str) -> Result<String, TemplateError> {
        if !value.is_finite() {
            return Err(undecided("printf of a number that is not finite"));
        }
        let digits = digits.strip_prefix('-').unwrap_or(digits);
        Ok(self.number(self.sign(value.is_sign_negative()), digits))
    }

    fn sign(&self, negative: bool) -> &'static str {
        match self.sign {
            _ if negative => "-",
            Sign::Plus => "+",
            Sign::Space => " ",
            Sign::None => "",
        }
    }

    fn number(&self, sign: &str, digits: &str) -> String {
        let missing = self
            .width
            .unwrap_or(0)
            .saturating_sub(sign.len() + digits.len());
        if self.zero && !self.minus {
            format!("{sign}{}{digits}", "0".repeat(missing))
        } else {
            self.pad(&format!("{sign}{digits}"))
        }
    }

    /// Fills up with spaces to the width, which counts characters.
    fn pad(&self, text: &str) -> String {
        let width = self.width.unwrap_or(0);
        if self.minus {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    }
}

/// The digits at the start of a text.
fn number(text: &str) -> Result<(Option<usize>, &str), TemplateError> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = text.get(..text.len() - rest.len()).unwrap_or_default();
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(number) if number <= WIDTH_LIMIT => Ok((Some(number), rest)),
        _ => Err(undecided("so wide a field in a printf format")),
    }
}

/// Go's `strconv.Quote`.
pub(super) fn quote(text: &str) -> Result<String, TemplateError> {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                quoted.extend([format!("\\x{:02x}", u32::from(character))]);
            }
            character if is_printable(character)? => quoted.push(character),
            character => quoted.extend([format!("\\u{:04x}", u32::from(character))]),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

/// Go's `unicode.IsPrint` for the characters of which it can be said without Unicode's tables.
pub(super) fn is_printable(character: char) -> Result<bool, TemplateError> {
    match character {
        ' '..='~'
        | '\u{a1}'..='\u{ac}'
        | '\u{ae}'..='\u{24f}'
        | '\u{2010}'..='\u{2027}'
        | '\u{2030}'..='\u{205e}'
        | '\u{20a0}'..='\u{20bf}'
        | '\u{2100}'..='\u{218b}'
        | '\u{2190}'..='\u{2426}'
        | '\u{2500}'..='\u{2b73}'
        | '\u{1f300}'..='\u{1f64f}' => Ok(true),
        '\u{80}'..='\u{a0}'
        | '\u{ad}'
        | '\u{2000}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{feff}' => Ok(false),
        other if other.is_alphabetic() && u32::from(other) < 0x1_0000 => Ok(true),
        _ => Err(undecided("whether a character is printable")),
    }
}
