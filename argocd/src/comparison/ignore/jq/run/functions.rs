//! jq's operators and functions.
//!
//! Follows gojq 0.12.19, `operator.go` and `func.go`. What is written or read is counted
//! beforehand.

use std::cmp::Ordering;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Run;
use crate::comparison::ignore::jq::syntax::Operator;
use crate::comparison::ignore::jq::value::{Entries, Number, PLACE, Stop, Val, places_of};

/// A function of its input and its arguments.
pub(super) type Function = fn(&Run, &Val, &[Val]) -> Result<Val, Stop>;

type Outcome = Result<Val, Stop>;

/// The function of a name and a number of arguments, if it is worked out here.
pub(super) fn find(name: &str, arguments: usize) -> Option<Function> {
    let function: Function = match (name, arguments) {
        ("abs", 0) => abs,
        ("add", 0) => add,
        ("ascii_downcase", 0) => |run, input, _| changed(run, input, str::to_ascii_lowercase),
        ("ascii_upcase", 0) => |run, input, _| changed(run, input, str::to_ascii_uppercase),
        ("contains", 1) => |run, input, given| contains(run, input, argument(given)),
        ("delpaths", 1) => delete_paths,
        ("endswith", 1) => |_, input, given| {
            let (text, end) = texts(input, argument(given))?;
            Ok(Val::Bool(text.ends_with(end)))
        },
        ("explode", 0) => explode,
        ("flatten", 0) => |run, input, _| flatten(run, input, f64::INFINITY),
        ("flatten", 1) => |run, input, given| match argument(given) {
            Val::Number(depth) if depth.float() >= 0.0 => flatten(run, input, depth.float()),
            _ => Err(Stop::FAILS),
        },
        ("fromjson", 0) => from_json,
        ("has", 1) => |_, input, given| has(input, argument(given)),
        ("implode", 0) => implode,
        ("index", 1) => |run, input, given| {
            let mut places = places(run, input, argument(given))?;
            Ok(places.drain(..).next().unwrap_or(Val::Null))
        },
        ("indices", 1) => |run, input, given| match input {
            Val::Null => Ok(Val::Null),
            _ => Val::list(places(run, input, argument(given))?),
        },
        ("inside", 1) => |run, input, given| contains(run, argument(given), input),
        ("join", 1) => join,
        ("keys", 0) => keys,
        ("length", 0) => length,
        ("ltrim", 0) => |run, input, _| changed(run, input, |text| text.trim_start().to_owned()),
        ("ltrimstr", 1) => |_, input, given| {
            let (text, start) = texts(input, argument(given))?;
            Ok(Val::text(text.strip_prefix(start).unwrap_or(text)))
        },
        ("max", 0) => |run, input, _| extreme(run, input, input, Ordering::Greater),
        ("_max_by", 1) => {
            |run, input, given| extreme(run, input, argument(given), Ordering::Greater)
        }
        ("min", 0) => |run, input, _| extreme(run, input, input, Ordering::Less),
        ("_min_by", 1) => |run, input, given| extreme(run, input, argument(given), Ordering::Less),
        ("reverse", 0) => |_, input, _| Val::list(list(input)?.iter().rev().cloned().collect()),
        ("rindex", 1) => |run, input, given| {
            let mut places = places(run, input, argument(given))?;
            Ok(places.pop().unwrap_or(Val::Null))
        },
        ("rtrim", 0) => |run, input, _| changed(run, input, |text| text.trim_end().to_owned()),
        ("rtrimstr", 1) => |_, input, given| {
            let (text, end) = texts(input, argument(given))?;
            Ok(Val::text(text.strip_suffix(end).unwrap_or(text)))
        },
        ("setpath", 2) => |run, input, given| match given {
            [Val::List(path), value] => run.set(input, &path.inner, value),
            _ => Err(Stop::FAILS),
        },
        ("sort", 0) => |run, input, _| Val::list(values(&sorted(run, input, input)?)),
        ("_sort_by", 1) => {
            |run, input, given| Val::list(values(&sorted(run, input, argument(given))?))
        }
        ("_group_by", 1) => |run, input, given| {
            let sorted = sorted(run, input, argument(given))?;
            let groups = sorted.chunk_by(|left, right| left.1.order(right.1).is_eq());
            Val::list(
                groups
                    .map(|group| Val::list(values(group)))
                    .collect::<Result<_, _>>()?,
            )
        },
        ("unique", 0) => |run, input, _| unique(run, input, input),
        ("_unique_by", 1) => |run, input, given| unique(run, input, argument(given)),
        ("split", 1) => |run, input, given| {
            let (text, separator) = texts(input, argument(given))?;
            split(run, text, separator)
        },
        ("startswith", 1) => |_, input, given| {
            let (text, start) = texts(input, argument(given))?;
            Ok(Val::Bool(text.starts_with(start)))
        },
        ("test", 2) => matches,
        ("toboolean", 0) => |_, input, _| match input {
            Val::Bool(value) => Ok(Val::Bool(*value)),
            Val::Text(text) => text.parse().map(Val::Bool).map_err(|_| Stop::FAILS),
            _ => Err(Stop::FAILS),
        },
        ("tojson", 0) => |run, input, _| json(run, input),
        ("tonumber", 0) => to_number,
        ("tostring", 0) => |run, input, _| string(run, input),
        ("trim", 0) => |run, input, _| changed(run, input, |text| text.trim().to_owned()),
        ("trimstr", 1) => |_, input, given| {
            let (text, both) = texts(input, argument(given))?;
            let text = text.strip_prefix(both).unwrap_or(text);
            Ok(Val::text(text.strip_suffix(both).unwrap_or(text)))
        },
        ("type", 0) => |_, input, _| Ok(Val::text(input.kind())),
        ("utf8bytelength", 0) => |_, input, _| Ok(Val::int(text(input)?.len())),
        _ => return find_calculation(name, arguments),
    };
    Some(function)
}

/// The same for what calculates with one number.
fn find_calculation(name: &str, arguments: usize) -> Option<Function> {
    let function: Function = match (name, arguments) {
        ("ceil", 0) => |_, input, _| rounded(input, f64::ceil),
        ("fabs", 0) => |_, input, _| rounded(input, f64::abs),
        ("floor", 0) => |_, input, _| rounded(input, f64::floor),
        ("infinite", 0) => |_, _, _| Ok(Val::float(f64::INFINITY)),
        ("isfinite", 0) => |_, input, _| Ok(Val::Bool(!number(input)?.float().is_infinite())),
        ("isinfinite", 0) => |_, input, _| Ok(Val::Bool(number(input)?.float().is_infinite())),
        ("isnan", 0) => |_, input, _| Ok(Val::Bool(number(input)?.float().is_nan())),
        ("nan", 0) => |_, _, _| Ok(Val::float(f64::NAN)),
        ("round", 0) => |_, input, _| rounded(input, f64::round),
        ("sqrt", 0) => |_, input, _| rounded(input, f64::sqrt),
        ("trunc", 0) => |_, input, _| rounded(input, f64::trunc),
        _ => return None,
    };
    Some(function)
}

fn argument(given: &[Val]) -> &Val {
    given.first().unwrap_or(&Val::Null)
}

fn text(value: &Val) -> Result<&str, Stop> {
    match value {
        Val::Text(text) => Ok(text),
        _ => Err(Stop::FAILS),
    }
}

fn texts<'v>(left: &'v Val, right: &'v Val) -> Result<(&'v str, &'v str), Stop> {
    Ok((text(left)?, text(right)?))
}

fn number(value: &Val) -> Result<Number, Stop> {
    match value {
        Val::Number(number) => Ok(*number),
        _ => Err(Stop::FAILS),
    }
}

fn list(value: &Val) -> Result<&[Val], Stop> {
    match value {
        Val::List(list) => Ok(&list.inner),
        _ => Err(Stop::FAILS),
    }
}

fn changed(run: &Run, input: &Val, change: impl FnOnce(&str) -> String) -> Outcome {
    run.read(input)?;
    Ok(Val::text(&change(text(input)?)))
}

fn rounded(input: &Val, change: impl FnOnce(f64) -> f64) -> Outcome {
    Ok(Val::float(change(number(input)?.float())))
}

/// An operator with a value on either side.
pub(super) fn binary(run: &Run, operator: Operator, left: &Val, right: &Val) -> Outcome {
    let compared = |holds: fn(Ordering) -> bool| {
        run.read_whole(left)?;
        run.read_whole(right)?;
        Ok(Val::Bool(holds(left.order(right))))
    };
    match operator {
        Operator::Equal => compared(Ordering::is_eq),
        Operator::NotEqual => compared(Ordering::is_ne),
        Operator::Less => compared(Ordering::is_lt),
        Operator::LessOrEqual => compared(Ordering::is_le),
        Operator::Greater => compared(Ordering::is_gt),
        Operator::GreaterOrEqual => compared(Ordering::is_ge),
        Operator::Otherwise => Ok(if left.is_true() { left } else { right }.clone()),
        Operator::Add => sum(run, left, right),
        Operator::Subtract => match (left, right) {
            (Val::List(all), Val::List(some)) => {
                let work = (all.inner.len() as u64).saturating_mul(right.whole_size() as u64);
                run.spend(work.saturating_add(left.whole_size() as u64))?;
                let is_gone = |item: &&Val| some.inner.iter().any(|one| one.order(item).is_eq());
                Val::list(
                    all.inner
                        .iter()
                        .filter(|item| !is_gone(item))
                        .cloned()
                        .collect(),
                )
            }
            _ => calculated(left, right, i64::checked_sub, |left, right| left - right),
        },
        Operator::Multiply => product(run, left, right),
        Operator::Divide => match (left, right) {
            (Val::Text(text), Val::Text(_)) if text.is_empty() => Val::list(Vec::new()),
            (Val::Text(text), Val::Text(separator)) => split(run, text, separator),
            _ => quotient(number(left)?, number(right)?),
        },
        Operator::Modulo => remainder(number(left)?, number(right)?),
    }
}

/// What does not fit is calculated with at any size by gojq, and not at all here.
fn calculated(
    left: &Val,
    right: &Val,
    ints: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
) -> Outcome {
    match (number(left)?, number(right)?) {
        (Number::Int(left), Number::Int(right)) => {
            let result = ints(left, right).ok_or(Stop::Unknown)?;
            Ok(Val::Number(Number::Int(result)))
        }
        (left, right) => Ok(Val::float(floats(left.float(), right.float()))),
    }
}

fn sum(run: &Run, left: &Val, right: &Val) -> Outcome {
    run.read(left)?;
    run.read(right)?;
    match (left, right) {
        (Val::Null, other) | (other, Val::Null) => Ok(other.clone()),
        (Val::Text(left), Val::Text(right)) => Ok(Val::text(&format!("{left}{right}"))),
        (Val::List(empty), other @ Val::List(_)) | (other @ Val::List(_), Val::List(empty))
            if empty.inner.is_empty() =>
        {
            Ok(other.clone())
        }
        (Val::List(left), Val::List(right)) => {
            Val::list(left.inner.iter().chain(&right.inner).cloned().collect())
        }
        (Val::Map(empty), other @ Val::Map(_)) | (other @ Val::Map(_), Val::Map(empty))
            if empty.inner.is_empty() =>
        {
            Ok(other.clone())
        }
        (Val::Map(left), Val::Map(right)) => {
            let mut members = left.inner.clone();
            members.extend(
                right
                    .inner
                    .iter()
                    .map(|(name, value)| (Rc::clone(name), value.clone())),
            );
            Val::map(members)
        }
        _ => calculated(left, right, i64::checked_add, |left, right| left + right),
    }
}

fn product(run: &Run, left: &Val, right: &Val) -> Outcome {
    match (left, right) {
        (Val::Map(left_map), Val::Map(right_map)) => {
            run.read_whole(left)?;
            run.read_whole(right)?;
            merged(&left_map.inner, &right_map.inner)
        }
        (Val::Text(text), Val::Number(times)) | (Val::Number(times), Val::Text(text)) => {
            let times = times.float();
            if times.is_nan() || times < 0.0 {
                return Ok(Val::Null);
            }
            let times = usize::try_from(Number::Float(times).int()).unwrap_or(usize::MAX);
            let length = text.len().saturating_mul(times);
            if length >= i32::MAX as usize {
                return Err(Stop::FAILS);
            }
            run.spend(length as u64)?;
            // Of an empty text there may be any number.
            Ok(Val::text(&text.repeat(if text.is_empty() {
                0
            } else {
                times
            })))
        }
        _ => calculated(left, right, i64::checked_mul, |left, right| left * right),
    }
}

fn merged(left: &Entries, right: &Entries) -> Outcome {
    let mut members = left.clone();
    for (name, value) in right {
        let value = match (members.get(name), value) {
            (Some(Val::Map(left)), Val::Map(right)) => merged(&left.inner, &right.inner)?,
            _ => value.clone(),
        };
        members.insert(Rc::clone(name), value);
    }
    Val::map(members)
}

fn quotient(left: Number, right: Number) -> Outcome {
    if right.float() == 0.0 {
        return Err(Stop::FAILS);
    }
    match (left, right) {
        (Number::Int(left), Number::Int(right)) if left.checked_rem(right) == Some(0) => {
            Ok(Val::Number(Number::Int(left / right)))
        }
        (Number::Int(i64::MIN), Number::Int(-1)) => Err(Stop::Unknown),
        _ => Ok(Val::float(left.float() / right.float())),
    }
}

fn remainder(left: Number, right: Number) -> Outcome {
    if left.float().is_nan() || right.float().is_nan() {
        return Ok(Val::float(f64::NAN));
    }
    match right.int() {
        0 => Err(Stop::FAILS),
        right => Ok(Val::Number(Number::Int(left.int().wrapping_rem(right)))),
    }
}

fn split(run: &Run, text: &str, separator: &str) -> Outcome {
    run.spend((text.len() as u64).saturating_mul(PLACE as u64))?;
    if separator.is_empty() {
        let mut buffer = [0; 4];
        let characters = text.chars();
        return Val::list(
            characters
                .map(|character| Val::text(character.encode_utf8(&mut buffer)))
                .collect(),
        );
    }
    Val::list(text.split(separator).map(Val::text).collect())
}

fn abs(_: &Run, input: &Val, _: &[Val]) -> Outcome {
    match number(input)? {
        Number::Int(number) => Ok(Val::Number(Number::Int(
            number.checked_abs().ok_or(Stop::Unknown)?,
        ))),
        Number::Float(number) => Ok(Val::float(number.abs())),
    }
}

fn add(run: &Run, input: &Val, _: &[Val]) -> Outcome {
    let mut total = Val::Null;
    match input {
        Val::List(list) => {
            for item in &list.inner {
                total = sum(run, &total, item)?;
            }
        }
        Val::Map(map) => {
            for value in map.inner.values() {
                total = sum(run, &total, value)?;
            }
        }
        _ => return Err(Stop::FAILS),
    }
    Ok(total)
}

fn contains(run: &Run, whole: &Val, part: &Val) -> Outcome {
    let work = (whole.whole_size() as u64).saturating_mul(part.whole_size() as u64);
    run.spend(work)?;
    has_part(whole, part).map(Val::Bool)
}

fn has_part(whole: &Val, part: &Val) -> Result<bool, Stop> {
    // Below the top, what cannot be compared is not contained.
    let below = |whole: &Val, part: &Val| has_part(whole, part).unwrap_or(false);
    match (whole, part) {
        (Val::Number(_), Val::Number(_)) => Ok(whole.order(part).is_eq()),
        (Val::Text(whole), Val::Text(part)) => Ok(whole.contains(&**part)),
        (Val::List(whole), Val::List(part)) => {
            let is_there = |part: &Val| whole.inner.iter().any(|item| below(item, part));
            Ok(part.inner.iter().all(is_there))
        }
        (Val::Map(whole), Val::Map(part)) => {
            let is_there = |(name, part): (&Rc<str>, &Val)| {
                whole
                    .inner
                    .get(name)
                    .is_some_and(|value| below(value, part))
            };
            Ok(part.inner.iter().all(is_there))
        }
        (Val::Null, Val::Null) => Ok(true),
        (Val::Bool(whole), Val::Bool(part)) if whole == part => Ok(true),
        _ => Err(Stop::FAILS),
    }
}

fn delete_paths(run: &Run, input: &Val, given: &[Val]) -> Outcome {
    let paths = list(argument(given))?;
    let paths = paths.iter().map(|path| Ok(list(path)?.to_vec()));
    run.delete(input, &paths.collect::<Result<Vec<_>, Stop>>()?)
}

fn explode(run: &Run, input: &Val, _: &[Val]) -> Outcome {
    let text = text(input)?;
    run.spend((text.len() as u64).saturating_mul(PLACE as u64))?;
    Val::list(
        text.chars()
            .map(|character| Val::int(character as usize))
            .collect(),
    )
}

fn implode(_: &Run, input: &Val, _: &[Val]) -> Outcome {
    let character = |code: &Val| {
        let code = u32::try_from(number(code)?.int())
            .ok()
            .and_then(char::from_u32);
        Ok(code.unwrap_or(char::REPLACEMENT_CHARACTER))
    };
    let characters = list(input)?.iter().map(character);
    Ok(Val::text(&characters.collect::<Result<String, Stop>>()?))
}

fn flatten(run: &Run, input: &Val, depth: f64) -> Outcome {
    run.read_whole(input)?;
    let mut flat = Vec::new();
    match input {
        Val::List(list) => flatten_into(&mut flat, list.inner.iter(), depth),
        Val::Map(map) => flatten_into(&mut flat, map.inner.values(), depth),
        _ => return Err(Stop::FAILS),
    }
    Val::list(flat)
}

fn flatten_into<'v>(flat: &mut Vec<Val>, items: impl Iterator<Item = &'v Val>, depth: f64) {
    for item in items {
        match item {
            Val::List(list) if depth != 0.0 => flatten_into(flat, list.inner.iter(), depth - 1.0),
            other => flat.push(other.clone()),
        }
    }
}

fn from_json(run: &Run, input: &Val, _: &[Val]) -> Outcome {
    let text = text(input)?;
    run.spend((text.len() as u64).saturating_mul(PLACE as u64))?;
    let value: serde_json::Value = serde_json::from_str(text).map_err(|_| Stop::FAILS)?;
    if has_number(&value) {
        // They keep their text in gojq.
        return Err(Stop::Unknown);
    }
    Val::from_json(&value)
}

fn has_number(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(_) => true,
        serde_json::Value::Array(items) => items.iter().any(has_number),
        serde_json::Value::Object(members) => members.values().any(has_number),
        _ => false,
    }
}

fn has(input: &Val, key: &Val) -> Outcome {
    match (input, key) {
        (Val::List(list), Val::Number(index)) => {
            let index = usize::try_from(index.int()).ok();
            Ok(Val::Bool(
                index.is_some_and(|index| index < list.inner.len()),
            ))
        }
        (Val::Map(map), Val::Text(name)) => Ok(Val::Bool(map.inner.contains_key(name))),
        (Val::Null, _) => Ok(Val::Bool(false)),
        _ => Err(Stop::FAILS),
    }
}

fn places(run: &Run, input: &Val, wanted: &Val) -> Result<Vec<Val>, Stop> {
    let characters = |text: &str| text.chars().map(|one| Val::int(one as usize)).collect();
    let (list, wanted): (Vec<Val>, Vec<Val>) = match (input, wanted) {
        (Val::Null, _) => return Ok(Vec::new()),
        (Val::List(list), Val::List(wanted)) => (list.inner.clone(), wanted.inner.clone()),
        (Val::List(list), wanted) => (list.inner.clone(), vec![wanted.clone()]),
        (Val::Text(text), Val::Text(wanted)) => {
            run.spend((text.len() + wanted.len()) as u64 * PLACE as u64)?;
            (characters(text), characters(wanted))
        }
        _ => return Err(Stop::FAILS),
    };
    let each: usize = wanted.iter().map(Val::whole_size).sum();
    run.spend((list.len() as u64).saturating_mul(1 + each as u64))?;
    Ok(places_of(&list, &wanted).map(Val::int).collect())
}

fn join(run: &Run, input: &Val, given: &[Val]) -> Outcome {
    let items: Vec<&Val> = match input {
        Val::List(list) => list.inner.iter().collect(),
        Val::Map(map) => map.inner.values().collect(),
        _ => return Err(Stop::FAILS),
    };
    if items.is_empty() {
        return Ok(Val::text(""));
    }
    let mut total = Val::text("");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            total = sum(run, &total, argument(given))?;
        }
        let item = match item {
            Val::Bool(_) | Val::Number(_) => json(run, item)?,
            other => other.clone(),
        };
        total = sum(run, &total, &item)?;
    }
    Ok(total)
}

fn keys(_: &Run, input: &Val, _: &[Val]) -> Outcome {
    match input {
        Val::List(list) => Val::list((0..list.inner.len()).map(Val::int).collect()),
        Val::Map(map) => Val::list(map.inner.keys().cloned().map(Val::Text).collect()),
        _ => Err(Stop::FAILS),
    }
}

fn length(run: &Run, input: &Val, given: &[Val]) -> Outcome {
    match input {
        Val::Null => Ok(Val::int(0)),
        Val::Text(text) => Ok(Val::int(text.chars().count())),
        Val::List(list) => Ok(Val::int(list.inner.len())),
        Val::Map(map) => Ok(Val::int(map.inner.len())),
        other => abs(run, other, given),
    }
}

fn with_keys<'v>(input: &'v Val, keys: &'v Val) -> Result<Vec<(&'v Val, &'v Val)>, Stop> {
    let (items, keys) = (list(input)?, list(keys)?);
    if items.len() != keys.len() {
        return Err(Stop::FAILS);
    }
    Ok(items.iter().zip(keys).collect())
}

fn extreme(run: &Run, input: &Val, keys: &Val, wanted: Ordering) -> Outcome {
    run.read_whole(keys)?;
    let mut best: Option<(&Val, &Val)> = None;
    for (item, key) in with_keys(input, keys)? {
        let is_better = match best {
            None => true,
            // Of equal ones the first is the least and the last the greatest.
            Some((_, best)) => match key.order(best) {
                Ordering::Equal => wanted == Ordering::Greater,
                order => order == wanted,
            },
        };
        if is_better {
            best = Some((item, key));
        }
    }
    Ok(best.map_or(Val::Null, |(item, _)| item.clone()))
}

fn sorted<'v>(run: &Run, input: &'v Val, keys: &'v Val) -> Result<Vec<(&'v Val, &'v Val)>, Stop> {
    // Each is compared about as often as their number has binary digits.
    run.spend((keys.whole_size() as u64).saturating_mul(16))?;
    let mut items = with_keys(input, keys)?;
    items.sort_by(|(_, left), (_, right)| left.order(right));
    Ok(items)
}

fn values(items: &[(&Val, &Val)]) -> Vec<Val> {
    items.iter().map(|(item, _)| (*item).clone()).collect()
}

fn unique(run: &Run, input: &Val, keys: &Val) -> Outcome {
    let mut items = sorted(run, input, keys)?;
    items.dedup_by(|later, earlier| later.1.order(earlier.1).is_eq());
    Val::list(values(&items))
}

/// A pattern that Go's and ours might read differently is not tried.
fn matches(run: &Run, input: &Val, given: &[Val]) -> Outcome {
    let [pattern, flags] = given else {
        return Err(Stop::Unknown);
    };
    let (text, pattern) = texts(input, pattern)?;
    if !matches!(flags, Val::Null) || !is_common(pattern) {
        return Err(Stop::Unknown);
    }
    run.spend(REGEX_COST.saturating_mul(1 + pattern.len() as u64))?;
    run.spend((text.len() as u64).saturating_mul(1 + pattern.len() as u64))?;
    let compiled = regex::RegexBuilder::new(pattern)
        .size_limit(64 * 1024)
        .build();
    compiled
        .map(|regex| Val::Bool(regex.is_match(text)))
        .map_err(|_| Stop::Unknown)
}

/// Compiling a pattern costs this much for each of its bytes.
const REGEX_COST: u64 = 1024;

/// Whether a pattern is of what all flavours have in common.
fn is_common(pattern: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./^$*+?|()[],:=@\\".contains(&byte);
    pattern.bytes().all(plain)
        && !pattern.contains("(?")
        && !pattern.contains("[:")
        && pattern.split('\\').skip(1).all(|escaped| {
            escaped.is_empty()
                || escaped.starts_with([
                    '.', '/', '-', '$', '^', '*', '+', '?', '(', ')', '[', ']', '|',
                ])
        })
}

fn to_number(_: &Run, input: &Val, _: &[Val]) -> Outcome {
    let text = match input {
        Val::Number(number) => return Ok(Val::Number(*number)),
        Val::Text(text) => text,
        _ => return Err(Stop::FAILS),
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let begins = unsigned.strip_prefix('.').unwrap_or(unsigned);
    if !digits || !begins.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(Stop::FAILS);
    }
    if text.starts_with('+') {
        return Err(Stop::Unknown);
    }
    if unsigned.parse::<f64>().is_err() {
        return Err(Stop::FAILS);
    }
    Number::parse(text).map(Val::Number).ok_or(Stop::Unknown)
}

fn string(run: &Run, input: &Val) -> Outcome {
    match input {
        Val::Text(_) => Ok(input.clone()),
        other => json(run, other),
    }
}

fn json(run: &Run, input: &Val) -> Outcome {
    run.spend((input.whole_size() as u64).saturating_mul(4))?;
    let mut text = String::new();
    write_json(&mut text, input)?;
    Ok(Val::text(&text))
}

fn write_json(text: &mut String, value: &Val) -> Result<(), Stop> {
    match value {
        Val::Null | Val::Gone => text.push_str("null"),
        Val::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Val::Number(Number::Int(number)) => text.push_str(&number.to_string()),
        Val::Number(Number::Float(number)) => {
            let size = number.abs();
            if !(size == 0.0 || (1e-6..1e21).contains(&size)) {
                return Err(Stop::Unknown);
            }
            text.push_str(&number.to_string());
        }
        Val::Text(string) => write_text(text, string)?,
        Val::List(list) => {
            text.push('[');
            for (index, item) in list.inner.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_json(text, item)?;
            }
            text.push(']');
        }
        Val::Map(map) => {
            text.push('{');
            for (index, (name, value)) in map.inner.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_text(text, name)?;
                text.push(':');
                write_json(text, value)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn write_text(text: &mut String, string: &str) -> Result<(), Stop> {
    if string.contains('\u{7f}') {
        return Err(Stop::Unknown);
    }
    text.push_str(&serde_json::to_string(string).map_err(|_| Stop::Unknown)?);
    Ok(())
}

/// `@json` and its like.
pub(super) fn format(run: &Run, name: &str, value: &Val) -> Outcome {
    match name {
        "@text" => string(run, value),
        "@json" => json(run, value),
        "@base64" => {
            let string = string(run, value)?;
            run.spend(2 * string.size() as u64)?;
            Ok(Val::text(&STANDARD.encode(text(&string)?)))
        }
        "@html" | "@uri" | "@urid" | "@csv" | "@tsv" | "@sh" | "@base64d" => Err(Stop::Unknown),
        _ => Err(Stop::FAILS),
    }
}
