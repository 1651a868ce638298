//! Sprig's functions on lists (`list.go`).

use super::reflection::is_deep_equal;
use super::strings::{strslice, strval};
use super::{Argument, Function, Outcome, any, int, numbers, rest};
use crate::template::value::{Element, List, Value};
use crate::template::{TemplateError, fails};
use crate::work::Work;

use Argument::{Any, Int};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("list", &[], list).variadic(Any),
    Function::new("tuple", &[], list).variadic(Any),
    Function::new("append", &[Any, Any], push),
    Function::new("push", &[Any, Any], push),
    Function::new("mustAppend", &[Any, Any], push),
    Function::new("mustPush", &[Any, Any], push),
    Function::new("prepend", &[Any, Any], prepend),
    Function::new("mustPrepend", &[Any, Any], prepend),
    Function::new("first", &[Any], first),
    Function::new("mustFirst", &[Any], first),
    Function::new("last", &[Any], last),
    Function::new("mustLast", &[Any], last),
    Function::new("rest", &[Any], tail),
    Function::new("mustRest", &[Any], tail),
    Function::new("initial", &[Any], initial),
    Function::new("mustInitial", &[Any], initial),
    Function::new("reverse", &[Any], reverse),
    Function::new("mustReverse", &[Any], reverse),
    Function::new("uniq", &[Any], uniq),
    Function::new("mustUniq", &[Any], uniq),
    Function::new("without", &[Any], without).variadic(Any),
    Function::new("mustWithout", &[Any], without).variadic(Any),
    Function::new("has", &[Any, Any], has).ignores_order(),
    Function::new("mustHas", &[Any, Any], has).ignores_order(),
    Function::new("compact", &[Any], compact),
    Function::new("mustCompact", &[Any], compact),
    Function::new("slice", &[Any], slice).variadic(Any),
    Function::new("mustSlice", &[Any], slice).variadic(Any),
    Function::new("concat", &[], concat).variadic(Any),
    Function::new("chunk", &[Int, Any], chunk),
    Function::new("mustChunk", &[Int, Any], chunk),
    Function::new("sortAlpha", &[Any], sort_alpha).ignores_order(),
];

fn items<'v>(value: &'v Value, action: &str) -> Result<&'v [Value], TemplateError> {
    match value {
        Value::List(list) => Ok(list.items()),
        other => Err(fails(format!("Cannot {action} on type {}", other.kind()))),
    }
}

/// A `[]interface {}` of these items.
fn listed(work: &Work, items: Vec<Value>) -> Outcome {
    work.places(items.len())?;
    List::new(Element::Any, items).map(Value::List)
}

fn list(work: &Work, given: &[Value]) -> Outcome {
    listed(work, given.to_vec())
}

fn push(work: &Work, given: &[Value]) -> Outcome {
    let items = items(any(given, 0), "push")?;
    work.places(items.len())?;
    let pushed = items.iter().chain([any(given, 1)]);
    listed(work, pushed.cloned().collect())
}

fn prepend(work: &Work, given: &[Value]) -> Outcome {
    let items = items(any(given, 0), "prepend")?;
    work.places(items.len())?;
    let prepended = std::iter::once(any(given, 1)).chain(items);
    listed(work, prepended.cloned().collect())
}

fn first(_: &Work, given: &[Value]) -> Outcome {
    let items = items(any(given, 0), "find first")?;
    Ok(items.first().cloned().unwrap_or(Value::Nil))
}

fn last(_: &Work, given: &[Value]) -> Outcome {
    let items = items(any(given, 0), "find last")?;
    Ok(items.last().cloned().unwrap_or(Value::Nil))
}

fn tail(work: &Work, given: &[Value]) -> Outcome {
    match items(any(given, 0), "find rest")?.split_first() {
        Some((_, rest)) => copied(work, rest),
        None => Ok(Value::List(List::nil(Element::Any))),
    }
}

fn initial(work: &Work, given: &[Value]) -> Outcome {
    match items(any(given, 0), "find initial")?.split_last() {
        Some((_, initial)) => copied(work, initial),
        None => Ok(Value::List(List::nil(Element::Any))),
    }
}

fn copied(work: &Work, items: &[Value]) -> Outcome {
    work.places(items.len())?;
    listed(work, items.to_vec())
}

fn reverse(work: &Work, given: &[Value]) -> Outcome {
    let items = items(any(given, 0), "find reverse")?;
    work.places(items.len())?;
    listed(work, items.iter().rev().cloned().collect())
}

fn contains(work: &Work, items: &[Value], wanted: &Value) -> Result<bool, TemplateError> {
    for item in items {
        if is_deep_equal(work, wanted, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(work: &Work, given: &[Value]) -> Outcome {
    let mut unique: Vec<Value> = Vec::new();
    for item in items(any(given, 0), "find uniq")? {
        if !contains(work, &unique, item)? {
            unique.push(item.clone());
        }
    }
    listed(work, unique)
}

fn without(work: &Work, given: &[Value]) -> Outcome {
    let omitted = rest(given, 1);
    let mut left = Vec::new();
    for item in items(any(given, 0), "find without")? {
        if !contains(work, omitted, item)? {
            left.push(item.clone());
        }
    }
    listed(work, left)
}

fn has(work: &Work, given: &[Value]) -> Outcome {
    match any(given, 1) {
        Value::Nil | Value::Missing => Ok(Value::Bool(false)),
        haystack => {
            let items = items(haystack, "find has")?;
            contains(work, items, any(given, 0)).map(Value::Bool)
        }
    }
}

fn compact(work: &Work, given: &[Value]) -> Outcome {
    let items = items(any(given, 0), "compact")?;
    let full = items.iter().filter(|item| item.is_true());
    listed(work, full.cloned().collect())
}

fn slice(work: &Work, given: &[Value]) -> Outcome {
    let Value::List(list) = any(given, 0) else {
        let kind = any(given, 0).kind();
        return Err(fails(format!(
            "list should be type of slice or array but {kind}"
        )));
    };
    let items = list.items();
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |index: usize, otherwise: usize| match given.get(index) {
        Some(value) => {
            usize::try_from(numbers::to_int(value)?).map_err(|_| fails("slice bounds out of range"))
        }
        None => Ok(otherwise),
    };
    let (start, end) = (bound(1, 0)?, bound(2, items.len())?);
    if start > end {
        return Err(fails("slice bounds out of range"));
    }
    // Beyond its length Go may still find spare room in the slice.
    let Some(part) = items.get(start..end) else {
        return Err(crate::template::undecided("slice beyond the end of a list"));
    };
    work.places(part.len())?;
    List::new(list.element(), part.to_vec()).map(Value::List)
}

fn concat(work: &Work, given: &[Value]) -> Outcome {
    let mut all = Vec::new();
    for value in given {
        let items = match value {
            Value::List(list) => list.items(),
            other => {
                return Err(fails(format!(
                    "Cannot concat type {} as list",
                    other.kind()
                )));
            }
        };
        work.places(items.len())?;
        all.extend_from_slice(items);
    }
    if all.is_empty() {
        return Ok(Value::List(List::nil(Element::Any)));
    }
    listed(work, all)
}

fn chunk(work: &Work, given: &[Value]) -> Outcome {
    let items = items(any(given, 1), "chunk")?;
    let Ok(size @ 1..) = usize::try_from(int(given, 0)) else {
        return Err(fails("chunk takes a positive size"));
    };
    work.places(items.len())?;
    let chunks: Result<Vec<_>, _> = items
        .chunks(size)
        .map(|chunk| List::new(Element::Any, chunk.to_vec()).map(Value::List))
        .collect();
    let chunks = chunks?;
    work.places(chunks.len())?;
    List::new(Element::List, chunks).map(Value::List)
}

fn sort_alpha(work: &Work, given: &[Value]) -> Outcome {
    let mut texts = match any(given, 0) {
        value @ Value::List(_) => strslice(work, value)?,
        other => vec![strval(work, other)?],
    };
    let length: usize = texts.iter().map(String::len).sum();
    work.bytes(length)?;
    texts.sort_unstable();
    Ok(Value::List(List::of_texts(
        texts.iter().map(String::as_str),
    )))
}
