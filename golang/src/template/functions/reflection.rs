//! Sprig's questions about types (`reflect.go`), and `reflect.DeepEqual`.

use super::{Argument, Function, Outcome, any, text};
use crate::template::TemplateError;
use crate::template::value::Value;
use crate::work::{STEP, Work};

use Argument::{Any, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("typeOf", &[Any], |_, given| {
        Ok(Value::from(any(given, 0).type_name()))
    })
    .ignores_order(),
    Function::new("typeIs", &[Text, Any], |_, given| {
        Ok(Value::from(text(given, 0) == any(given, 1).type_name()))
    })
    .ignores_order(),
    Function::new("typeIsLike", &[Text, Any], |_, given| {
        let name = any(given, 1).type_name();
        Ok(Value::from(
            text(given, 0) == name || format!("*{}", text(given, 0)) == name,
        ))
    })
    .ignores_order(),
    Function::new("kindOf", &[Any], |_, given| {
        Ok(Value::from(any(given, 0).kind()))
    })
    .ignores_order(),
    Function::new("kindIs", &[Text, Any], |_, given| {
        Ok(Value::from(text(given, 0) == any(given, 1).kind()))
    })
    .ignores_order(),
    Function::new("deepEqual", &[Any, Any], deep_equal),
];

fn deep_equal(work: &Work, given: &[Value]) -> Outcome {
    is_deep_equal(work, any(given, 0), any(given, 1)).map(Value::Bool)
}

/// `reflect.DeepEqual`: types count, and a slice that is nil differs from an empty one.
pub(super) fn is_deep_equal(
    work: &Work,
    left: &Value,
    right: &Value,
) -> Result<bool, TemplateError> {
    work.spend(STEP)?;
    match (left, right) {
        (Value::Nil | Value::Missing, Value::Nil | Value::Missing) => Ok(true),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Int(left), Value::Int(right)) | (Value::Int64(left), Value::Int64(right)) => {
            Ok(left == right)
        }
        (Value::Uint64(left), Value::Uint64(right)) => Ok(left == right),
        #[expect(clippy::float_cmp, reason = "as Go compares them")]
        (Value::Float(left), Value::Float(right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => {
            work.bytes(left.len())?;
            Ok(left == right)
        }
        (Value::List(left), Value::List(right)) => {
            if left.element() != right.element()
                || left.is_nil() != right.is_nil()
                || left.items().len() != right.items().len()
            {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !is_deep_equal(work, left, right)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(left), Value::Map(right)) => {
            let members = left.members();
            if left.element() != right.element() || left.len() != right.len() {
                return Ok(false);
            }
            for (key, left) in members.iter() {
                match right.get(key) {
                    Some(right) if is_deep_equal(work, left, &right)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}
