//! Go's own functions (`text/template/funcs.go`); its `slice` is replaced by Sprig's.

use super::{Argument, Body, Function, Outcome, any, rest, text};
use crate::template::format;
use crate::template::value::Value;
use crate::template::{TemplateError, fails, undecided};
use crate::work::Work;
use std::cmp::Ordering;

use Argument::{Any, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::with_body("and", Body::And).at_least_one(),
    Function::with_body("or", Body::Or).at_least_one(),
    Function::with_body("call", Body::Undecided),
    Function::plain("not", &[Any], not).ignores_order(),
    Function::new("eq", &[Any], eq).variadic(Any),
    Function::new("ne", &[Any, Any], ne),
    Function::new("lt", &[Any, Any], lt),
    Function::new("le", &[Any, Any], le),
    Function::new("gt", &[Any, Any], gt),
    Function::new("ge", &[Any, Any], ge),
    Function::new("len", &[Any], len).ignores_order(),
    Function::new("index", &[Any], index).variadic(Any),
    Function::new("print", &[], print).variadic(Any),
    Function::new("println", &[], println).variadic(Any),
    Function::new("printf", &[Text], printf)
        .variadic(Any)
        .takes_versions(),
    Function::new("html", &[], html).variadic(Any),
    Function::new("js", &[], js).variadic(Any),
    Function::new("urlquery", &[], urlquery).variadic(Any),
];

fn not(arguments: &[Value]) -> Value {
    Value::Bool(!any(arguments, 0).is_true())
}

fn eq(_: &Work, arguments: &[Value]) -> Outcome {
    let others = rest(arguments, 1);
    if others.is_empty() {
        return Err(fails("missing argument for comparison"));
    }
    for other in others {
        if equal(any(arguments, 0), other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn equal(left: &Value, right: &Value) -> Result<bool, TemplateError> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Int(left) | Value::Int64(left), Value::Int(right) | Value::Int64(right)) => {
            Ok(left == right)
        }
        (Value::Uint64(left), Value::Uint64(right)) => Ok(left == right),
        (Value::Int(signed) | Value::Int64(signed), Value::Uint64(unsigned))
        | (Value::Uint64(unsigned), Value::Int(signed) | Value::Int64(signed)) => {
            Ok(u64::try_from(*signed) == Ok(*unsigned))
        }
        #[expect(clippy::float_cmp, reason = "as Go compares them")]
        (Value::Float(left), Value::Float(right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => Ok(left == right),
        (Value::Nil | Value::Missing, Value::Nil | Value::Missing) => Ok(true),
        // A slice or a map equals nil where it is nil itself.
        (Value::List(list), Value::Nil | Value::Missing)
        | (Value::Nil | Value::Missing, Value::List(list)) => Ok(list.is_nil()),
        (Value::Nil | Value::Missing, _) | (_, Value::Nil | Value::Missing) => Ok(false),
        (Value::List(left), Value::List(right)) if left.is_nil() || right.is_nil() => {
            Ok(left.is_nil() == right.is_nil())
        }
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => {
            Err(fails(format!("non-comparable type {}", right.type_name())))
        }
        _ => Err(incompatible(left, right)),
    }
}

fn incompatible(left: &Value, right: &Value) -> TemplateError {
    fails(format!(
        "incompatible types for comparison: {} and {}",
        left.type_name(),
        right.type_name()
    ))
}

fn ne(_: &Work, arguments: &[Value]) -> Outcome {
    equal(any(arguments, 0), any(arguments, 1)).map(|equal| Value::Bool(!equal))
}

fn lt(_: &Work, arguments: &[Value]) -> Outcome {
    compared(arguments, |order| order == Some(Ordering::Less))
}

fn le(_: &Work, arguments: &[Value]) -> Outcome {
    compared(arguments, |order| {
        matches!(order, Some(Ordering::Less | Ordering::Equal))
    })
}

/// The opposite of `le`, also for a NaN.
fn gt(_: &Work, arguments: &[Value]) -> Outcome {
    compared(arguments, |order| {
        !matches!(order, Some(Ordering::Less | Ordering::Equal))
    })
}

/// The opposite of `lt`, also for a NaN.
fn ge(_: &Work, arguments: &[Value]) -> Outcome {
    compared(arguments, |order| order != Some(Ordering::Less))
}

fn compared(arguments: &[Value], test: fn(Option<Ordering>) -> bool) -> Outcome {
    let (left, right) = (any(arguments, 0), any(arguments, 1));
    let order = match (left, right) {
        (Value::Int(left) | Value::Int64(left), Value::Int(right) | Value::Int64(right)) => {
            Some(left.cmp(right))
        }
        (Value::Uint64(left), Value::Uint64(right)) => Some(left.cmp(right)),
        // A negative number is less than any without a sign.
        (Value::Int(left) | Value::Int64(left), Value::Uint64(right)) => {
            Some(u64::try_from(*left).map_or(Ordering::Less, |left| left.cmp(right)))
        }
        (Value::Uint64(left), Value::Int(right) | Value::Int64(right)) => {
            Some(u64::try_from(*right).map_or(Ordering::Greater, |right| left.cmp(&right)))
        }
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => {
            let basic = |value: &Value| {
                !matches!(
                    value,
                    Value::Nil | Value::Missing | Value::List(_) | Value::Map(_)
                )
            };
            let same = left.kind() == right.kind();
            return Err(if basic(left) && basic(right) && !same {
                incompatible(left, right)
            } else {
                fails("invalid type for comparison")
            });
        }
    };
    Ok(Value::Bool(test(order)))
}

fn len(_: &Work, arguments: &[Value]) -> Outcome {
    let length = match any(arguments, 0) {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        Value::Nil | Value::Missing => return Err(fails("len of nil pointer")),
        other => return Err(fails(format!("len of type {}", other.type_name()))),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index(_: &Work, arguments: &[Value]) -> Outcome {
    let mut item = any(arguments, 0).clone();
    if matches!(item, Value::Nil | Value::Missing) {
        return Err(fails("index of untyped nil"));
    }
    for key in rest(arguments, 1) {
        item = match &item {
            Value::Nil | Value::Missing => return Err(fails("index of nil pointer")),
            Value::List(list) => {
                item.ordered()?;
                let at = position(key)?;
                let found = usize::try_from(at).ok().and_then(|at| list.items().get(at));
                found
                    .cloned()
                    .ok_or_else(|| fails(format!("index out of range: {at}")))?
            }
            Value::Map(map) => match key {
                Value::Text(key) => map.get(key).unwrap_or_else(|| Value::zero(map.element())),
                Value::Nil | Value::Missing => {
                    return Err(fails("value is nil; should be of type string"));
                }
                other => {
                    return Err(fails(format!(
                        "value has type {}; should be string",
                        other.type_name()
                    )));
                }
            },
            Value::Text(text) => {
                let at = position(key)?;
                let found = usize::try_from(at)
                    .ok()
                    .and_then(|at| text.as_bytes().get(at));
                return Err(match found {
                    Some(_) => undecided("the byte of a text, of type uint8"),
                    None => fails(format!("index out of range: {at}")),
                });
            }
            other => {
                return Err(fails(format!(
                    "can't index item of type {}",
                    other.type_name()
                )));
            }
        };
    }
    Ok(item)
}

fn position(key: &Value) -> Result<i64, TemplateError> {
    match key {
        Value::Int(at) | Value::Int64(at) => Ok(*at),
        Value::Uint64(at) => Ok(i64::try_from(*at).unwrap_or(i64::MAX)),
        Value::Nil | Value::Missing => Err(fails("cannot index slice/array with nil")),
        other => Err(fails(format!(
            "cannot index slice/array with type {}",
            other.type_name()
        ))),
    }
}

fn print(work: &Work, arguments: &[Value]) -> Outcome {
    format::sprint(work, arguments).map(Value::from)
}

fn println(work: &Work, arguments: &[Value]) -> Outcome {
    format::sprintln(work, arguments).map(Value::from)
}

fn printf(work: &Work, arguments: &[Value]) -> Outcome {
    format::sprintf(work, text(arguments, 0), rest(arguments, 1)).map(Value::from)
}

/// What the escaping functions escape: `nil` shows as `<no value>`.
fn to_escape(work: &Work, arguments: &[Value]) -> Result<String, TemplateError> {
    let shown = |value: &Value| match value {
        Value::Nil | Value::Missing => Value::from("<no value>"),
        other => other.clone(),
    };
    let arguments: Vec<Value> = arguments.iter().map(shown).collect();
    let text = format::sprint(work, &arguments)?;
    work.bytes(text.len().saturating_mul(6))?;
    Ok(text)
}

fn html(work: &Work, arguments: &[Value]) -> Outcome {
    let text = to_escape(work, arguments)?;
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0' => escaped.push('\u{fffd}'),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    Ok(Value::from(escaped))
}

fn js(work: &Work, arguments: &[Value]) -> Outcome {
    let text = to_escape(work, arguments)?;
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '"' => escaped.push_str("\\\""),
            '<' => escaped.push_str("\\u003C"),
            '>' => escaped.push_str("\\u003E"),
            '&' => escaped.push_str("\\u0026"),
            '=' => escaped.push_str("\\u003D"),
            other if other >= ' ' && other.is_ascii() => escaped.push(other),
            other if !other.is_ascii_control() && format::is_printable(other)? => {
                escaped.push(other);
            }
            other => escaped.extend([format!("\\u{:04X}", u32::from(other))]),
        }
    }
    Ok(Value::from(escaped))
}

fn urlquery(work: &Work, arguments: &[Value]) -> Outcome {
    let text = to_escape(work, arguments)?;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            other => escaped.extend([format!("%{other:02X}")]),
        }
    }
    Ok(Value::from(escaped))
}
