//! JSON to a Go type and back.
//!
//! A value of a Go type is held as JSON in which what is zero is left out of structs. A pointer to
//! a zero value is there, and so is an empty list or map, which Go tells apart from none.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::duration;
use super::quantity::Quantity;
use super::table::{Field, Scheme, Struct, Type};
use super::time;

/// A value is not of the Go type, or has fields that it does not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::comparison) struct Mismatch;

/// What becomes of fields that a type does not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unknown {
    Refused,
    Dropped,
}

/// As Go's `encoding/base64`, which does not look at the last bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Reads JSON into a Go type. Fields that it does not have are dropped.
pub(in crate::comparison) fn decode(of: &Type, value: &Value) -> Result<Value, Mismatch> {
    read(of, value, Unknown::Dropped)
}

/// An object as its Go type writes it, with only the fields that it has (gitops-engine
/// `remarshal`).
pub(in crate::comparison) fn remarshal(number: usize, object: &Value) -> Result<Value, Mismatch> {
    let of = Type::Struct(number);
    let typed = read(&of, object, Unknown::Refused)?;
    let mut written = encode(&of, &typed);
    keep_fields(object, &mut written);
    Ok(written)
}

/// Takes out of maps what the others do not have (gitops-engine `json.RemoveMapFields`).
pub(in crate::comparison) fn keep_members(
    of: &Map<String, Value>,
    members: &mut Map<String, Value>,
) {
    members.retain(|name, member| match of.get(name) {
        Some(of) => {
            keep_fields(of, member);
            true
        }
        None => false,
    });
}

/// The same for any value; items of lists are taken in pairs.
pub(in crate::comparison) fn keep_fields(of: &Value, value: &mut Value) {
    match (of, value) {
        (Value::Object(of), Value::Object(members)) => keep_members(of, members),
        (Value::Array(of), Value::Array(items)) => {
            for (of, item) in of.iter().zip(items) {
                keep_fields(of, item);
            }
        }
        _ => {}
    }
}

fn read(of: &Type, value: &Value, unknown: Unknown) -> Result<Value, Mismatch> {
    match (of, value) {
        (
            Type::Pointer(_)
            | Type::List(_)
            | Type::Map(_)
            | Type::Bytes
            | Type::ResourceList
            | Type::Raw
            | Type::Time
            | Type::MicroTime,
            Value::Null,
        ) => Ok(Value::Null),
        (Type::Pointer(of), value) => read(of, value, unknown),
        (Type::String, Value::Null) => Ok(Value::from("")),
        (Type::Bool, Value::Null) => Ok(Value::Bool(false)),
        (Type::Int32 | Type::Int64 | Type::Float | Type::IntOrString, Value::Null) => {
            Ok(Value::from(0))
        }
        (Type::Quantity, Value::Null) => Ok(Value::from("0")),
        (Type::Struct(_), Value::Null) => Ok(Value::Object(Map::new())),
        (Type::String | Type::IntOrString, Value::String(_))
        | (Type::Bool, Value::Bool(_))
        | (Type::Float, Value::Number(_))
        | (Type::Raw, _) => Ok(value.clone()),
        (Type::Int32 | Type::IntOrString, Value::Number(number)) => {
            let fits = number
                .as_i64()
                .is_some_and(|number| i32::try_from(number).is_ok());
            fits.then(|| value.clone()).ok_or(Mismatch)
        }
        (Type::Int64, Value::Number(number)) => {
            number.is_i64().then(|| value.clone()).ok_or(Mismatch)
        }
        (Type::Bytes, Value::String(text)) => bytes(text),
        (Type::Bytes, Value::Array(items)) => {
            let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            let bytes = bytes.ok_or(Mismatch)?;
            Ok(Value::String(BASE64.encode(bytes)))
        }
        (Type::Quantity, _) => quantity(value),
        (Type::Time, Value::String(text)) => point(text, 0),
        (Type::MicroTime, Value::String(text)) => point(text, 6),
        (Type::Duration, Value::String(text)) => {
            duration::canonical(text).map(Value::from).ok_or(Mismatch)
        }
        (Type::List(of), Value::Array(items)) => {
            items.iter().map(|item| read(of, item, unknown)).collect()
        }
        (Type::Map(of), Value::Object(members)) => members
            .iter()
            .map(|(name, member)| Ok((name.clone(), read(of, member, unknown)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        (Type::ResourceList, Value::Object(members)) => members
            .iter()
            .map(|(name, member)| Ok((name.clone(), read(&Type::Quantity, member, unknown)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        (Type::Struct(number), Value::Object(members)) => {
            structure(Scheme::kubernetes().get(*number), members, unknown)
        }
        _ => Err(Mismatch),
    }
}

fn structure(
    of: &Struct,
    members: &Map<String, Value>,
    unknown: Unknown,
) -> Result<Value, Mismatch> {
    let mut typed = Map::new();
    for (name, member) in members {
        let Some(field) = of.field(name) else {
            match unknown {
                Unknown::Refused => return Err(Mismatch),
                Unknown::Dropped => continue,
            }
        };
        let value = read(&field.of, member, unknown)?;
        if is_zero(&field.of, &value) {
            typed.remove(field.name);
        } else {
            typed.insert(field.name.to_owned(), value);
        }
    }
    Ok(Value::Object(typed))
}

/// Whether a value of a type is its zero value.
fn is_zero(of: &Type, value: &Value) -> bool {
    match of {
        Type::Pointer(_)
        | Type::List(_)
        | Type::Map(_)
        | Type::ResourceList
        | Type::Bytes
        | Type::Raw
        | Type::Time
        | Type::MicroTime => value.is_null(),
        Type::String => value.as_str() == Some(""),
        Type::Bool => *value == Value::Bool(false),
        Type::Int32 | Type::Int64 | Type::IntOrString => value.as_i64() == Some(0),
        Type::Float => value.as_f64() == Some(0.0),
        // `0` keeps its text, and is not Go's zero value, but it is written in the same way.
        Type::Quantity => value.as_str() == Some("0"),
        Type::Duration => value.as_str() == Some("0s"),
        Type::Struct(_) => value.as_object().is_some_and(Map::is_empty),
    }
}

fn bytes(text: &str) -> Result<Value, Mismatch> {
    let text = text.replace(['\r', '\n'], "");
    let decoded = BASE64.decode(text).map_err(|_| Mismatch)?;
    Ok(Value::String(BASE64.encode(decoded)))
}

fn quantity(value: &Value) -> Result<Value, Mismatch> {
    let parsed = match value {
        Value::String(text) => Quantity::parse(text.trim()),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    };
    parsed
        .and_then(|quantity| quantity.text())
        .map(Value::String)
        .ok_or(Mismatch)
}

fn point(text: &str, digits: usize) -> Result<Value, Mismatch> {
    time::canonical(text, digits)
        .map(Value::from)
        .ok_or(Mismatch)
}

/// A value of a Go type as JSON.
pub(in crate::comparison) fn encode(of: &Type, typed: &Value) -> Value {
    match (of, typed) {
        (Type::Pointer(of), typed) if !typed.is_null() => encode(of, typed),
        (Type::List(of), Value::Array(items)) => {
            items.iter().map(|item| encode(of, item)).collect()
        }
        (Type::Map(of), Value::Object(members)) => members
            .iter()
            .map(|(name, member)| (name.clone(), encode(of, member)))
            .collect::<Map<_, _>>()
            .into(),
        (Type::Struct(number), Value::Object(members)) => {
            let fields = &Scheme::kubernetes().get(*number).fields;
            let written = fields.iter().filter_map(|field| {
                let value = written(field, members.get(field.name))?;
                Some((field.name.to_owned(), value))
            });
            Value::Object(written.collect())
        }
        _ => typed.clone(),
    }
}

fn written(field: &Field, typed: Option<&Value>) -> Option<Value> {
    match typed {
        Some(typed) => {
            let is_empty = match (&field.of, typed) {
                (Type::List(_) | Type::Bytes | Type::Map(_) | Type::ResourceList, typed) => {
                    match typed {
                        Value::Array(items) => items.is_empty(),
                        Value::Object(members) => members.is_empty(),
                        Value::String(text) => text.is_empty(),
                        _ => typed.is_null(),
                    }
                }
                _ => false,
            };
            (!(field.omit_empty && is_empty)).then(|| encode(&field.of, typed))
        }
        None if field.omit_zero => None,
        None if field.omit_empty => match &field.of {
            Type::Struct(_)
            | Type::Quantity
            | Type::IntOrString
            | Type::Raw
            | Type::Time
            | Type::MicroTime
            | Type::Duration => Some(zero(&field.of)),
            _ => None,
        },
        None => Some(zero(&field.of)),
    }
}

/// How the zero value of a type is written.
fn zero(of: &Type) -> Value {
    match of {
        Type::String => Value::from(""),
        Type::Bool => Value::Bool(false),
        Type::Int32 | Type::Int64 | Type::IntOrString | Type::Float => Value::from(0),
        Type::Quantity => Value::from("0"),
        Type::Duration => Value::from("0s"),
        Type::Struct(_) => encode(of, &Value::Object(Map::new())),
        _ => Value::Null,
    }
}

/// The quantity of a text, rounded to thousandths.
pub(super) fn rounded(text: &str) -> Option<String> {
    let mut quantity = Quantity::parse(text)?;
    quantity.round_to_thousandths()?;
    quantity.text()
}
