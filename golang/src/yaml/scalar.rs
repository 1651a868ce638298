//! What scalars mean: go-yaml v2's `resolve`, and what sigs.k8s.io/yaml makes of values and keys.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::ScalarStyle;
use serde_json::{Number, Value};

use super::ErrorKind;

const CORE: &str = "tag:yaml.org,2002:";

/// A scalar that knows its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`.
    Unsigned(u64),
    Float(f64),
    Text(String),
}

/// Whether a key is the one that merges mappings.
pub(super) fn is_merge(text: &str, style: ScalarStyle, tag: Option<&str>) -> bool {
    text == "<<"
        && match tag {
            None => style == ScalarStyle::Plain,
            Some(tag) => tag.strip_prefix(CORE) == Some("merge"),
        }
}

impl Scalar {
    /// The type of a scalar: its tag's, or if it is plain the one it looks like.
    pub(super) fn resolve(
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&str>,
    ) -> Result<Self, ErrorKind> {
        let Some(tag) = tag else {
            return Ok(match style {
                ScalarStyle::Plain => plain(text),
                _ => Scalar::Text(text.into_owned()),
            });
        };
        let found = |text| plain(Cow::Borrowed(text));
        match (tag.strip_prefix(CORE), found(&text)) {
            (Some("null"), Scalar::Null) => Ok(Scalar::Null),
            (Some("bool"), Scalar::Bool(value)) => Ok(Scalar::Bool(value)),
            (Some("int"), value @ (Scalar::Int(_) | Scalar::Unsigned(_)))
            | (Some("float"), value @ (Scalar::Float(_) | Scalar::Int(_))) => Ok(value),
            (Some(expected @ ("null" | "bool" | "int" | "float")), _) => {
                Err(unfit(text, &format!("!!{expected}")))
            }
            (Some("binary"), _) => binary(text),
            _ => Ok(Scalar::Text(text.into_owned())),
        }
    }

    /// The value in JSON. Floats without a fraction lose theirs, as in Go, so that `3.0` is good
    /// for an integer field.
    pub(super) fn into_json(self) -> Result<Value, ErrorKind> {
        Ok(match self {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Int(value) => Value::from(value),
            Scalar::Unsigned(value) => Value::from(value),
            Scalar::Float(value) if !value.is_finite() => {
                return Err(unfit(shortest(value).into(), "a number that JSON has"));
            }
            Scalar::Float(value) => whole(value).map_or_else(|| Value::from(value), Value::Number),
            Scalar::Text(text) => Value::String(text),
        })
    }

    /// The value as a key in JSON, which is always text.
    pub(super) fn into_key(self) -> Result<String, ErrorKind> {
        Ok(match self {
            Scalar::Null => return Err(ErrorKind::Key("null")),
            Scalar::Bool(value) => value.to_string(),
            Scalar::Int(value) => value.to_string(),
            Scalar::Unsigned(value) => value.to_string(),
            Scalar::Float(value) => shortest(value),
            Scalar::Text(text) => text,
        })
    }

    /// The scalar that an alias brings back.
    pub(super) fn from_json(value: Value) -> Result<Self, ErrorKind> {
        match value {
            Value::Null => Ok(Scalar::Null),
            Value::Bool(value) => Ok(Scalar::Bool(value)),
            Value::Number(number) => Ok(plain(number.to_string().into())),
            Value::String(text) => Ok(Scalar::Text(text)),
            Value::Array(_) => Err(ErrorKind::Key("sequence")),
            Value::Object(_) => Err(ErrorKind::Key("mapping")),
        }
    }
}

fn unfit(text: Cow<'_, str>, expected: &str) -> ErrorKind {
    ErrorKind::Scalar {
        text: text.into_owned(),
        expected: expected.to_owned(),
    }
}

fn binary(text: Cow<'_, str>) -> Result<Scalar, ErrorKind> {
    let packed: String = text.split_ascii_whitespace().collect();
    match STANDARD.decode(packed) {
        Ok(bytes) => Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned())),
        Err(_) => Err(unfit(text, "base64 text")),
    }
}

fn whole(value: f64) -> Option<Number> {
    if value.fract() == 0.0 {
        format!("{value:.0}").parse::<i64>().ok().map(Number::from)
    } else {
        None
    }
}

/// A float as `strconv.FormatFloat(value, 'g', -1, 32)` writes it.
fn shortest(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "keys lose precision in sigs.k8s.io/yaml too"
    )]
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => value.to_string(),
    }
}

fn plain(text: Cow<'_, str>) -> Scalar {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    number(&text).unwrap_or_else(|| Scalar::Text(text.into_owned()))
}

fn number(text: &str) -> Option<Scalar> {
    match text.bytes().next()? {
        b'.' => float(text),
        b'+' | b'-' | b'0'..=b'9' if text.contains('_') => signed_number(&text.replace('_', "")),
        b'+' | b'-' | b'0'..=b'9' => signed_number(text),
        _ => None,
    }
}

fn signed_number(text: &str) -> Option<Scalar> {
    integer(text).or_else(|| float(text))
}

/// An integer as `strconv.ParseInt` and `ParseUint` read it with base 0.
fn integer(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match unsigned.get(..2) {
        Some("0x" | "0X") => (16, unsigned.get(2..)?),
        Some("0o" | "0O") => (8, unsigned.get(2..)?),
        Some("0b" | "0B") => (2, unsigned.get(2..)?),
        Some(_) if unsigned.starts_with('0') => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let size = i128::from_str_radix(digits, radix).ok()?;
    let value = if text.starts_with('-') { -size } else { size };
    match i64::try_from(value) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) if unsigned.len() == text.len() => u64::try_from(value).ok().map(Scalar::Unsigned),
        Err(_) => None,
    }
}

/// A decimal float. One that is too large, as a digest can be that looks like one, is text: Go
/// reports a range error for it.
fn float(text: &str) -> Option<Scalar> {
    let decimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.bytes().all(decimal) {
        return None;
    }
    let value = text.parse::<f64>().ok()?;
    value.is_finite().then_some(Scalar::Float(value))
}
