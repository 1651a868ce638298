//! JSON, base64 and checksums (Sprig's `defaults.go`, `strings.go` and `crypto.go`).

use super::{Argument, Function, Outcome, any, text};
use crate::fmt;
use crate::template::format::Text;
use crate::template::value::{Element, Map, Value, members_from_json};
use crate::template::{TemplateError, fails, undecided};
use crate::work::{PLACE, STEP, Work};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use Argument::Any;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("toJson", &[Any], |work, given| {
        json(work, given, Style::Html)
    }),
    Function::new("mustToJson", &[Any], |work, given| {
        json(work, given, Style::Html)
    }),
    Function::new("toRawJson", &[Any], |work, given| {
        json(work, given, Style::Raw)
    }),
    Function::new("mustToRawJson", &[Any], |work, given| {
        json(work, given, Style::Raw)
    }),
    Function::new("toPrettyJson", &[Any], |work, given| {
        json(work, given, Style::Pretty)
    }),
    Function::new("mustToPrettyJson", &[Any], |work, given| {
        json(work, given, Style::Pretty)
    }),
    Function::new(
        "fromJson",
        &[Argument::Text],
        |work, given| match from_json(work, text(given, 0)) {
            Err(TemplateError::Fails(_)) => Ok(Value::Nil),
            other => other,
        },
    ),
    Function::new("mustFromJson", &[Argument::Text], |work, given| {
        from_json(work, text(given, 0))
    }),
    Function::new("b64enc", &[Argument::Text], |work, given| {
        work.bytes(text(given, 0).len().saturating_mul(2))?;
        Ok(Value::from(STANDARD.encode(text(given, 0))))
    }),
    Function::new("b64dec", &[Argument::Text], b64dec),
    Function::new("b32enc", &[Argument::Text], |work, given| {
        work.bytes(text(given, 0).len().saturating_mul(2))?;
        Ok(Value::from(base32(text(given, 0).as_bytes())))
    }),
    Function::undecided("b32dec"),
    Function::undecided("sha1sum"),
    Function::new("sha256sum", &[Argument::Text], |work, given| {
        work.bytes(text(given, 0).len().saturating_mul(8))?;
        Ok(Value::from(hexadecimal(&Sha256::digest(text(given, 0)))))
    }),
    Function::new("sha512sum", &[Argument::Text], |work, given| {
        work.bytes(text(given, 0).len().saturating_mul(8))?;
        Ok(Value::from(hexadecimal(&Sha512::digest(text(given, 0)))))
    }),
    Function::new("adler32sum", &[Argument::Text], |_, given| {
        Ok(Value::from(adler32(text(given, 0).as_bytes()).to_string()))
    }),
];

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65521;
        (low, (high + low) % 65521)
    });
    high << 16 | low
}

fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut encoded = String::new();
    for chunk in bytes.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, index| {
            bits << 8 | u64::from(chunk.get(index).copied().unwrap_or(0))
        });
        let characters = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let five = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or(0);
            let letter = ALPHABET.get(five).copied().unwrap_or(b'=');
            encoded.push(if index < characters {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    encoded
}

/// Go returns the text of the error where there is one.
fn b64dec(_: &Work, given: &[Value]) -> Outcome {
    // Go skips line breaks.
    let encoded = text(given, 0).replace(['\r', '\n'], "");
    let decoded = STANDARD
        .decode(encoded)
        .map_err(|_| undecided("b64dec of a text that is not base64"))?;
    let decoded = String::from_utf8(decoded).map_err(|_| undecided("texts that are not UTF-8"))?;
    Ok(Value::from(decoded))
}

/// `json.Unmarshal` into an `any`.
fn from_json(work: &Work, text: &str) -> Outcome {
    work.spend((text.len() as u64).saturating_mul(PLACE / 2))?;
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        if message.contains("recursion") {
            TemplateError::TooMuch("its JSON nests too deeply")
        } else if message.contains("surrogate")
            || message.contains("hex escape")
            || message.contains("out of range")
        {
            undecided("JSON that Go reads in another way")
        } else {
            fails(message)
        }
    })?;
    match &json {
        serde_json::Value::Object(members) => {
            Map::open(Element::Any, members_from_json(members)?).map(Value::Map)
        }
        json => Value::from_json(json),
    }
}

/// How JSON is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    /// `<`, `>` and `&` escaped, as `json.Marshal` does.
    Html,
    /// As they are.
    Raw,
    /// Escaped and indented by two spaces.
    Pretty,
}

fn json(work: &Work, given: &[Value], style: Style) -> Outcome {
    let mut out = Text::new(work);
    write_json(work, &mut out, any(given, 0), style, 0)?;
    Ok(Value::from(out.finish()))
}

fn write_json(
    work: &Work,
    out: &mut Text<'_>,
    value: &Value,
    style: Style,
    depth: usize,
) -> Result<(), TemplateError> {
    work.spend(STEP)?;
    value.ordered()?;
    match value {
        Value::Nil | Value::Missing => out.push("null"),
        Value::Bool(value) => out.push(if *value { "true" } else { "false" }),
        Value::Int(value) | Value::Int64(value) => out.push(&value.to_string()),
        Value::Uint64(value) => out.push(&value.to_string()),
        Value::Version(_) => Err(undecided("a version in JSON")),
        Value::Float(value) => out.push(&json_float(*value)?),
        Value::Text(text) => out.push(&json_text(text, style)),
        Value::List(list) if list.is_nil() => out.push("null"),
        Value::List(list) if list.items().is_empty() => out.push("[]"),
        Value::List(list) => {
            out.push("[")?;
            for (index, item) in list.items().iter().enumerate() {
                part(out, style, depth, index)?;
                write_json(work, out, item, style, depth + 1)?;
            }
            line_break(out, style, depth)?;
            out.push("]")
        }
        Value::Map(map) if map.len() == 0 => out.push("{}"),
        Value::Map(map) => {
            out.push("{")?;
            for (index, (key, member)) in map.members().iter().enumerate() {
                part(out, style, depth, index)?;
                out.push(&json_text(key, style))?;
                out.push(if style == Style::Pretty { ": " } else { ":" })?;
                write_json(work, out, member, style, depth + 1)?;
            }
            line_break(out, style, depth)?;
            out.push("}")
        }
    }
}

/// What stands before a part of a list or a map.
fn part(out: &mut Text<'_>, style: Style, depth: usize, index: usize) -> Result<(), TemplateError> {
    if index > 0 {
        out.push(",")?;
    }
    line_break(out, style, depth + 1)
}

fn line_break(out: &mut Text<'_>, style: Style, depth: usize) -> Result<(), TemplateError> {
    if style == Style::Pretty {
        out.push("\n")?;
        out.push(&"  ".repeat(depth))?;
    }
    Ok(())
}

/// A float as `encoding/json` writes it.
pub(super) fn json_float(value: f64) -> Result<String, TemplateError> {
    if !value.is_finite() {
        return Err(undecided("a number that JSON does not have"));
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        // `1e-07` loses its zero.
        let scientific = fmt::shortest(value, i32::MIN);
        return Ok(scientific.replace("e-0", "e-"));
    }
    Ok(value.to_string())
}

/// A text as `encoding/json` quotes it.
fn json_text(text: &str, style: Style) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '<' | '>' | '&' if style == Style::Raw => quoted.push(character),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                quoted.extend([format!("\\u{:04x}", u32::from(character))]);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
