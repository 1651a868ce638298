//! Sprig's functions on maps, and those that choose (`dict.go`, `defaults.go`; mergo).

use super::strings::{strval, texts};
use super::{Argument, Function, Outcome, any, boolean, rest, text};
use crate::template::value::{Element, Entries, List, Map, Value};
use crate::template::{TemplateError, fails, undecided};
use crate::work::Work;
use std::sync::Arc;

use Argument::{Any, Bool, Dictionary, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("dict", &[], dict).variadic(Any),
    Function::new("get", &[Dictionary, Text], |_, given| {
        Ok(found(given, 0, text(given, 1)).unwrap_or_else(|| Value::from("")))
    }),
    Function::new("set", &[Dictionary, Text, Any], set),
    Function::new("unset", &[Dictionary, Text], unset),
    Function::new("hasKey", &[Dictionary, Text], |_, given| {
        Ok(Value::from(found(given, 0, text(given, 1)).is_some()))
    }),
    Function::new("pluck", &[Text], pluck).variadic(Dictionary),
    Function::new("keys", &[], keys).variadic(Dictionary),
    Function::new("values", &[Dictionary], values),
    Function::new("pick", &[Dictionary], pick).variadic(Text),
    Function::new("omit", &[Dictionary], omit).variadic(Text),
    Function::new("dig", &[], dig).variadic(Any),
    Function::new("merge", &[Dictionary], |work, given| {
        merge(work, given, Wins::First)
    })
    .variadic(Dictionary),
    Function::new("mustMerge", &[Dictionary], |work, given| {
        merge(work, given, Wins::First)
    })
    .variadic(Dictionary),
    Function::new("mergeOverwrite", &[Dictionary], |work, given| {
        merge(work, given, Wins::Last)
    })
    .variadic(Dictionary),
    Function::new("mustMergeOverwrite", &[Dictionary], |work, given| {
        merge(work, given, Wins::Last)
    })
    .variadic(Dictionary),
    Function::new("deepCopy", &[Any], deep_copy),
    Function::new("mustDeepCopy", &[Any], deep_copy),
    Function::plain("default", &[Any], default).variadic(Any),
    Function::new("empty", &[Any], |_, given| {
        Ok(Value::from(!any(given, 0).is_true()))
    })
    .ignores_order(),
    Function::new("coalesce", &[], |_, given| {
        let full = given.iter().find(|value| value.is_true());
        Ok(full.cloned().unwrap_or(Value::Nil))
    })
    .variadic(Any),
    Function::new("all", &[], |_, given| {
        Ok(Value::from(given.iter().all(Value::is_true)))
    })
    .variadic(Any)
    .ignores_order(),
    Function::new("any", &[], |_, given| {
        Ok(Value::from(given.iter().any(Value::is_true)))
    })
    .variadic(Any)
    .ignores_order(),
    Function::new("ternary", &[Any, Any, Bool], |_, given| {
        Ok(any(given, usize::from(!boolean(given, 2))).clone())
    }),
];

fn dictionary(given: &[Value], index: usize) -> Option<&Map> {
    match given.get(index) {
        Some(Value::Map(map)) => Some(map),
        _ => None,
    }
}

fn found(given: &[Value], index: usize, key: &str) -> Option<Value> {
    dictionary(given, index)?.get(key)
}

fn dict(work: &Work, given: &[Value]) -> Outcome {
    work.places(given.len())?;
    let mut members = Entries::new();
    for pair in given.chunks(2) {
        let key = strval(work, any(pair, 0))?;
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::from(""));
        members.insert(Arc::from(key), value);
    }
    Map::open(Element::Any, members).map(Value::Map)
}

fn set(work: &Work, given: &[Value]) -> Outcome {
    let Some(map) = dictionary(given, 0) else {
        return Err(fails("assignment to entry in nil map"));
    };
    // A map that is a variable as well is copied before it changes.
    work.places(map.len() + 1)?;
    let value = any(given, 2).clone();
    value.contain();
    map.change(|members| {
        members.insert(Arc::from(text(given, 1)), value);
    })?;
    Ok(any(given, 0).clone())
}

fn unset(work: &Work, given: &[Value]) -> Outcome {
    let Some(map) = dictionary(given, 0) else {
        return Err(undecided("unset of a map that is nil"));
    };
    work.places(map.len())?;
    if map.get(text(given, 1)).is_some() {
        map.change(|members| {
            members.remove(text(given, 1));
        })?;
    }
    Ok(any(given, 0).clone())
}

fn pluck(work: &Work, given: &[Value]) -> Outcome {
    work.places(given.len())?;
    let plucked = (1..given.len()).filter_map(|index| found(given, index, text(given, 0)));
    List::new(Element::Any, plucked.collect()).map(Value::List)
}

fn keys(work: &Work, given: &[Value]) -> Outcome {
    let mut keys = Vec::new();
    for index in 0..given.len() {
        if let Some(map) = dictionary(given, index) {
            work.places(map.len())?;
            keys.extend(map.members().keys().map(|key| Value::Text(Arc::clone(key))));
        }
    }
    List::new(Element::Text, keys).map(|list| Value::List(list.in_random_order()))
}

fn values(work: &Work, given: &[Value]) -> Outcome {
    let mut values = Vec::new();
    if let Some(map) = dictionary(given, 0) {
        work.places(map.len())?;
        values.extend(map.members().values().cloned());
    }
    List::new(Element::Any, values).map(|list| Value::List(list.in_random_order()))
}

fn pick(work: &Work, given: &[Value]) -> Outcome {
    work.places(given.len())?;
    let picked = texts(given, 1).filter_map(|key| Some((Arc::from(key), found(given, 0, key)?)));
    Map::open(Element::Any, picked.collect()).map(Value::Map)
}

fn omit(work: &Work, given: &[Value]) -> Outcome {
    let mut left = Entries::new();
    if let Some(map) = dictionary(given, 0) {
        work.places(map.len())?;
        left = (*map.members()).clone();
    }
    for key in texts(given, 1) {
        left.remove(key);
    }
    Map::open(Element::Any, left).map(Value::Map)
}

/// `dig "a" "b" default map`.
fn dig(_: &Work, given: &[Value]) -> Outcome {
    let [keys @ .., otherwise, map] = given else {
        return Err(fails("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(fails("dig needs at least three arguments"));
    }
    let mut value = map.clone();
    // All keys are converted before the first is looked up.
    let keys: Option<Vec<&str>> = keys
        .iter()
        .map(|key| match key {
            Value::Text(key) => Some(&**key),
            _ => None,
        })
        .collect();
    for key in keys.ok_or_else(|| fails("interface conversion: a key of dig is not a string"))? {
        let Value::Map(map) = &value else {
            return Err(not_a_dictionary(&value));
        };
        if map.element() != Element::Any {
            return Err(not_a_dictionary(&value));
        }
        match map.get(key) {
            Some(found) => value = found,
            None => return Ok(otherwise.clone()),
        }
    }
    Ok(value)
}

fn not_a_dictionary(value: &Value) -> TemplateError {
    fails(format!(
        "interface conversion: interface {{}} is {}, not map[string]interface {{}}",
        value.type_name()
    ))
}

/// Whose members stay where both have them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wins {
    First,
    Last,
}

/// mergo's `Merge` and `MergeWithOverwrite`: the first map takes up the others.
fn merge(work: &Work, given: &[Value], wins: Wins) -> Outcome {
    let first = match any(given, 0) {
        Value::Map(map) => map.clone(),
        _ => Map::open(Element::Any, Entries::new())?,
    };
    for index in 1..given.len() {
        let Some(source) = dictionary(given, index) else {
            continue;
        };
        let changes = changes(work, &first, source, wins)?;
        if !changes.is_empty() {
            work.places(first.len())?;
            for (_, value) in &changes {
                value.contain();
            }
            first.change(|members| members.extend(changes))?;
        }
    }
    Ok(Value::Map(first))
}

/// What a merge sets in the target. Where it would change a map within it, others might hold that
/// map too.
fn changes(
    work: &Work,
    target: &Map,
    source: &Map,
    wins: Wins,
) -> Result<Vec<(Arc<str>, Value)>, TemplateError> {
    work.places(source.len())?;
    let mut changes = Vec::new();
    let mut inner = Vec::new();
    for (key, value) in source.members().iter() {
        let old = target.get(key);
        let replaces = match (value, &old) {
            (Value::Nil | Value::Missing, _) => wins == Wins::Last,
            (Value::Map(source), Some(Value::Map(target))) => {
                let changes = self::changes(work, target, source, wins)?;
                inner.extend(inner_change(work, key, target, source, changes)?);
                false
            }
            (_, Some(old)) => wins == Wins::Last || !old.is_true(),
            (_, None) => true,
        };
        if replaces && !same(value, old.as_ref()) {
            changes.push((Arc::clone(key), value.clone()));
        }
    }
    changes.append(&mut inner);
    Ok(changes)
}

/// What a merge makes of a map within the target, which Go changes in place. Where something
/// else holds that map too, such as the parameters, it would change with it.
fn inner_change(
    work: &Work,
    key: &Arc<str>,
    target: &Map,
    source: &Map,
    changes: Vec<(Arc<str>, Value)>,
) -> Result<Option<(Arc<str>, Value)>, TemplateError> {
    if source.element() != target.element() {
        return Err(undecided("a merge of maps of different types"));
    }
    if changes.is_empty() {
        return Ok(None);
    }
    // One in the target, and the one in hand.
    if target.holders() > 2 {
        return Err(undecided(
            "a merge into a map that is part of another value",
        ));
    }
    work.places(target.len())?;
    let mut members = (*target.members()).clone();
    members.extend(changes);
    let merged = Map::fixed(target.element(), members)?;
    Ok(Some((Arc::clone(key), Value::Map(merged))))
}

/// Whether nothing would change; where it is not plain to see, something does.
fn same(value: &Value, old: Option<&Value>) -> bool {
    match (value, old) {
        (Value::Text(value), Some(Value::Text(old))) => value == old,
        (Value::Bool(value), Some(Value::Bool(old))) => value == old,
        (Value::Int(value), Some(Value::Int(old))) => value == old,
        (Value::Float(value), Some(Value::Float(old))) => value.to_bits() == old.to_bits(),
        (Value::Nil, Some(Value::Nil)) => true,
        _ => false,
    }
}

fn deep_copy(work: &Work, given: &[Value]) -> Outcome {
    match any(given, 0) {
        Value::Map(map) => Map::open(map.element(), copied_members(work, map)?).map(Value::Map),
        Value::Nil | Value::Missing => Err(undecided("a deepCopy of nothing")),
        other => copied(work, other),
    }
}

fn copied(work: &Work, value: &Value) -> Outcome {
    match value {
        Value::Map(map) => Map::fixed(map.element(), copied_members(work, map)?).map(Value::Map),
        Value::List(list) if list.is_nil() => Ok(value.clone()),
        Value::List(list) => {
            work.places(list.items().len())?;
            let items = list.items().iter().map(|item| copied(work, item));
            let items = items.collect::<Result<_, _>>()?;
            List::new(list.element(), items).map(Value::List)
        }
        other => Ok(other.clone()),
    }
}

fn copied_members(work: &Work, map: &Map) -> Result<Entries, TemplateError> {
    work.places(map.len())?;
    map.members()
        .iter()
        .map(|(key, member)| Ok((Arc::clone(key), copied(work, member)?)))
        .collect()
}

fn default(given: &[Value]) -> Value {
    match rest(given, 1).first() {
        Some(value) if value.is_true() => value.clone(),
        _ => any(given, 0).clone(),
    }
}
