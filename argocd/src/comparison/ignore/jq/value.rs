//! jq's values, and what happens to them at a path.
//!
//! Follows gojq 0.12.19: `func.go` for indices and updates, `compare.go` for the order.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

/// Why an expression goes no further.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// It fails, with a value if it says one itself. `try` catches it.
    Fails(Option<Val>),
    /// `break`.
    Break(u64),
    /// It fails, and nothing catches it.
    Halts,
    /// Whoever takes the results has stopped.
    Passed,
    /// What gojq would do is not known here: it does too much, or something that is not done here.
    Unknown,
}

impl Stop {
    /// gojq fails with a text of its own.
    pub(super) const FAILS: Stop = Stop::Fails(None);
}

/// A value. Lists and maps are shared, and gojq tells by that whether they are still the same.
#[derive(Clone, Debug)]
pub(super) enum Val {
    Null,
    Bool(bool),
    Number(Number),
    Text(Rc<str>),
    List(Rc<Nested<Vec<Val>>>),
    Map(Rc<Nested<Entries>>),
    /// What is to be deleted; never seen by an expression.
    Gone,
}

pub(super) type Entries = BTreeMap<Rc<str>, Val>;

/// A list or map, and how deeply others are nested in it.
#[derive(Debug)]
pub(super) struct Nested<T> {
    pub(super) inner: T,
    depth: usize,
}

/// How deeply values may be nested. They are compared and dropped recursively.
const DEPTH_LIMIT: usize = 160;

/// A number. Those of an object are floats, as Go decodes them; whole ones in the expression are
/// not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// `None` for a whole number that needs more than 64 bits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            return Some(Number::Int(number));
        }
        let is_float = text.contains(['.', 'e', 'E']);
        let float = is_float.then(|| text.parse::<f64>().ok()).flatten();
        float.filter(|float| float.is_finite()).map(Number::Float)
    }

    pub(super) fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "as Go converts it")]
            Number::Int(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// The whole part, or the farthest that there is.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, as gojq's does")]
    pub(super) fn int(self) -> i64 {
        match self {
            Number::Int(number) => number,
            Number::Float(number) if number.is_nan() => i64::MIN,
            Number::Float(number) => number as i64,
        }
    }

    /// Literals are never the smallest integer.
    pub(super) fn negated(self) -> Self {
        match self {
            Number::Int(number) => Number::Int(number.saturating_neg()),
            Number::Float(number) => Number::Float(-number),
        }
    }

    fn order(self, other: Self) -> Ordering {
        if let (Number::Int(left), Number::Int(right)) = (self, other) {
            return left.cmp(&right);
        }
        let (left, right) = (self.float(), other.float());
        match left.partial_cmp(&right) {
            Some(order) => order,
            None if left.is_nan() => Ordering::Less,
            None => Ordering::Greater,
        }
    }
}

impl Val {
    /// A value of an object; `None` if it is nested too deeply.
    pub(super) fn from_json(value: &Value) -> Result<Self, Stop> {
        Ok(match value {
            Value::Null => Val::Null,
            Value::Bool(value) => Val::Bool(*value),
            Value::Number(number) => Val::float(number.as_f64().unwrap_or_default()),
            Value::String(text) => Val::text(text),
            Value::Array(items) => {
                Val::list(items.iter().map(Val::from_json).collect::<Result<_, _>>()?)?
            }
            Value::Object(members) => {
                let member = |(name, value): (&String, _)| {
                    Ok((name.as_str().into(), Val::from_json(value)?))
                };
                Val::map(members.iter().map(member).collect::<Result<_, Stop>>()?)?
            }
        })
    }

    /// `None` if JSON cannot say it.
    pub(super) fn to_json(&self) -> Option<Value> {
        Some(match self {
            Val::Null | Val::Gone => Value::Null,
            Val::Bool(value) => Value::Bool(*value),
            Val::Number(number) => json_number(*number)?,
            Val::Text(text) => Value::String(text.to_string()),
            Val::List(list) => list.inner.iter().map(Val::to_json).collect::<Option<_>>()?,
            Val::Map(map) => {
                let members = map.inner.iter();
                members
                    .map(|(name, value)| Some((name.to_string(), value.to_json()?)))
                    .collect::<Option<_>>()?
            }
        })
    }

    pub(super) fn int(number: usize) -> Self {
        Val::Number(Number::Int(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    pub(super) fn float(number: f64) -> Self {
        Val::Number(Number::Float(number))
    }

    pub(super) fn text(text: &str) -> Self {
        Val::Text(text.into())
    }

    /// # Errors
    /// It would be nested too deeply.
    pub(super) fn list(items: Vec<Val>) -> Result<Self, Stop> {
        let depth = depth_over(items.iter())?;
        Ok(Val::List(Rc::new(Nested {
            inner: items,
            depth,
        })))
    }

    /// # Errors
    /// It would be nested too deeply.
    pub(super) fn map(members: Entries) -> Result<Self, Stop> {
        let depth = depth_over(members.values())?;
        Ok(Val::Map(Rc::new(Nested {
            inner: members,
            depth,
        })))
    }

    pub(super) fn is_true(&self) -> bool {
        !matches!(self, Val::Null | Val::Bool(false))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Val::Null | Val::Gone => "null",
            Val::Bool(_) => "boolean",
            Val::Number(_) => "number",
            Val::Text(_) => "string",
            Val::List(_) => "array",
            Val::Map(_) => "object",
        }
    }

    /// How much of it there is: bytes of a text, places of a list or map.
    pub(super) fn size(&self) -> usize {
        match self {
            Val::Text(text) => text.len(),
            Val::List(list) => list.inner.len().saturating_mul(PLACE),
            Val::Map(map) => map.inner.len().saturating_mul(PLACE),
            _ => 0,
        }
    }

    /// The same with everything in it.
    pub(super) fn whole_size(&self) -> usize {
        let below: usize = match self {
            Val::List(list) => list.inner.iter().map(Val::whole_size).sum(),
            Val::Map(map) => map
                .inner
                .iter()
                .map(|(name, value)| name.len() + value.whole_size())
                .sum(),
            _ => 0,
        };
        self.size().saturating_add(below).saturating_add(1)
    }

    /// Whether it is still what a path led to (gojq, `pathIntact`): the same list or map, or an
    /// equal scalar of the same Go type.
    pub(super) fn is_still(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(left), Val::Bool(right)) => left == right,
            (Val::Number(Number::Int(left)), Val::Number(Number::Int(right))) => left == right,
            (Val::Number(Number::Float(left)), Val::Number(Number::Float(right))) => {
                left.partial_cmp(right) == Some(Ordering::Equal) || left.is_nan() && right.is_nan()
            }
            (Val::Text(left), Val::Text(right)) => left == right,
            (Val::List(left), Val::List(right)) => {
                Rc::ptr_eq(left, right) || left.inner.is_empty() && right.inner.is_empty()
            }
            (Val::Map(left), Val::Map(right)) => Rc::ptr_eq(left, right),
            _ => false,
        }
    }

    /// jq's order of all values.
    pub(super) fn order(&self, other: &Val) -> Ordering {
        match (self, other) {
            (Val::Number(left), Val::Number(right)) => left.order(*right),
            (Val::Text(left), Val::Text(right)) => left.cmp(right),
            (Val::List(left), Val::List(right)) => order_of_lists(&left.inner, &right.inner),
            (Val::Map(left), Val::Map(right)) => {
                let (left, right) = (&left.inner, &right.inner);
                left.keys().cmp(right.keys()).then_with(|| {
                    let pairs = left.values().zip(right.values());
                    pairs
                        .map(|(left, right)| left.order(right))
                        .find(|order| order.is_ne())
                        .unwrap_or(Ordering::Equal)
                })
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Val::Null | Val::Gone => 0,
            Val::Bool(false) => 1,
            Val::Bool(true) => 2,
            Val::Number(_) => 3,
            Val::Text(_) => 4,
            Val::List(_) => 5,
            Val::Map(_) => 6,
        }
    }

    /// What is at an index (gojq, `funcIndex2`).
    pub(super) fn at(&self, index: &Val) -> Result<Val, Stop> {
        match (self, index) {
            (Val::Null, Val::Text(_) | Val::Number(_) | Val::List(_) | Val::Map(_)) => {
                Ok(Val::Null)
            }
            (Val::Map(map), Val::Text(name)) => {
                Ok(map.inner.get(name).cloned().unwrap_or(Val::Null))
            }
            (Val::List(list), Val::Number(number)) => {
                let index = counted(number.int(), list.inner.len());
                let item = index.and_then(|index| list.inner.get(index));
                Ok(item.cloned().unwrap_or(Val::Null))
            }
            (Val::Text(text), Val::Number(number)) => {
                let length = text.chars().count();
                let character = counted(number.int(), length).and_then(|at| text.chars().nth(at));
                let mut buffer = [0; 4];
                Ok(character.map_or(Val::Null, |character| {
                    Val::text(character.encode_utf8(&mut buffer))
                }))
            }
            (Val::List(list), Val::List(wanted)) => {
                let places = places_of(&list.inner, &wanted.inner);
                Val::list(places.map(Val::int).collect())
            }
            (_, Val::Map(bounds)) => {
                let bounds = &bounds.inner;
                match (bounds.get("start"), bounds.get("end")) {
                    (Some(start), Some(end)) => self.slice(start, end),
                    _ => Err(Stop::FAILS),
                }
            }
            _ => Err(Stop::FAILS),
        }
    }

    /// Part of a list or text (gojq, `funcSlice`).
    pub(super) fn slice(&self, start: &Val, end: &Val) -> Result<Val, Stop> {
        match self {
            Val::Null => Ok(Val::Null),
            Val::List(list) => {
                let (start, end) = bounds(start, end, list.inner.len())?;
                Val::list(list.inner.get(start..end).unwrap_or_default().to_vec())
            }
            Val::Text(text) => {
                let (start, end) = bounds(start, end, text.chars().count())?;
                let characters = text.chars().skip(start).take(end - start);
                Ok(Val::text(&characters.collect::<String>()))
            }
            _ => Err(Stop::FAILS),
        }
    }

    /// The same with another value at a path (gojq, `update`). What is [`Val::Gone`] is not put
    /// where nothing is.
    pub(super) fn with(&self, path: &[Val], new: &Val) -> Result<Val, Stop> {
        let Some((step, way)) = path.split_first() else {
            return Ok(new.clone());
        };
        if matches!(self, Val::Gone) {
            return Ok(Val::Gone);
        }
        match (self, step) {
            (Val::Null, Val::Text(name)) => with_member(None, name, way, new),
            (Val::Map(map), Val::Text(name)) => {
                with_member(Some((self, &map.inner)), name, way, new)
            }
            (Val::Null, Val::Number(number)) => with_item(None, number.int(), way, new),
            (Val::List(list), Val::Number(number)) => {
                with_item(Some((self, &list.inner)), number.int(), way, new)
            }
            (Val::Null, Val::Map(bounds)) => with_part(None, &bounds.inner, way, new),
            (Val::List(list), Val::Map(bounds)) => {
                with_part(Some((self, &list.inner)), &bounds.inner, way, new)
            }
            _ => Err(Stop::FAILS),
        }
    }

    /// What remains when everything that is gone is taken out (gojq, `deleteEmpty`).
    pub(super) fn swept(&self) -> Result<Val, Stop> {
        let stays = |value: &Val| !matches!(value, Val::Gone);
        match self {
            Val::Gone => Ok(Val::Null),
            Val::List(list) if self.has_gone() => {
                let items = list.inner.iter().filter(|item| stays(item));
                Val::list(items.map(Val::swept).collect::<Result<_, _>>()?)
            }
            Val::Map(map) if self.has_gone() => {
                let members = map.inner.iter().filter(|(_, value)| stays(value));
                let members = members.map(|(name, value)| Ok((name.clone(), value.swept()?)));
                Val::map(members.collect::<Result<_, Stop>>()?)
            }
            other => Ok(other.clone()),
        }
    }

    fn has_gone(&self) -> bool {
        match self {
            Val::Gone => true,
            Val::List(list) => list.inner.iter().any(Val::has_gone),
            Val::Map(map) => map.inner.values().any(Val::has_gone),
            _ => false,
        }
    }
}

/// What a place in a list or map is counted for, in bytes.
pub(super) const PLACE: usize = 32;

fn depth_over<'v>(values: impl Iterator<Item = &'v Val>) -> Result<usize, Stop> {
    let depth = |value: &Val| match value {
        Val::List(list) => list.depth,
        Val::Map(map) => map.depth,
        _ => 0,
    };
    let depth = 1 + values.map(depth).max().unwrap_or_default();
    if depth > DEPTH_LIMIT {
        return Err(Stop::Unknown);
    }
    Ok(depth)
}

fn json_number(number: Number) -> Option<Value> {
    let float = match number {
        Number::Int(number) => return Some(number.into()),
        Number::Float(float) => float,
    };
    // As Go prints it, without a fraction that there is none of.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is a whole number of 53 bits"
    )]
    if float.fract() == 0.0 && float.abs() < 9e15 {
        return Some((float as i64).into());
    }
    serde_json::Number::from_f64(float).map(Value::Number)
}

fn order_of_lists(left: &[Val], right: &[Val]) -> Ordering {
    let pairs = left.iter().zip(right);
    pairs
        .map(|(left, right)| left.order(right))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// Where in a list another one is.
pub(super) fn places_of<'l>(
    list: &'l [Val],
    wanted: &'l [Val],
) -> impl DoubleEndedIterator<Item = usize> + 'l {
    let end = match wanted.len() {
        0 => 0,
        length => (list.len() + 1).saturating_sub(length),
    };
    (0..end).filter(move |start| {
        let part = list.get(*start..start + wanted.len()).unwrap_or_default();
        order_of_lists(part, wanted).is_eq()
    })
}

/// An index from the start. `None` if it is before that.
fn counted(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    }
}

fn bounds(start: &Val, end: &Val, length: usize) -> Result<(usize, usize), Stop> {
    let clamped = |index: i64| counted(index, length).unwrap_or(0).min(length);
    let start = match start {
        Val::Null => 0,
        Val::Number(number) => clamped(number.int()),
        _ => return Err(Stop::FAILS),
    };
    let end = match end {
        Val::Null => length,
        Val::Number(Number::Float(float)) => clamped(Number::Float(float.ceil()).int()),
        Val::Number(number) => clamped(number.int()),
        _ => return Err(Stop::FAILS),
    };
    Ok((start, end.max(start)))
}

fn with_member(
    map: Option<(&Val, &Entries)>,
    name: &Rc<str>,
    way: &[Val],
    new: &Val,
) -> Result<Val, Stop> {
    let present = map.and_then(|(_, members)| members.get(name));
    if present.is_none() && matches!(new, Val::Gone) {
        return Ok(map.map_or(Val::Null, |(whole, _)| whole.clone()));
    }
    let value = present.unwrap_or(&Val::Null).with(way, new)?;
    let mut members = map.map(|(_, members)| members.clone()).unwrap_or_default();
    members.insert(Rc::clone(name), value);
    Val::map(members)
}

fn with_item(
    list: Option<(&Val, &Vec<Val>)>,
    index: i64,
    way: &[Val],
    new: &Val,
) -> Result<Val, Stop> {
    let items = list.map_or(&[][..], |(_, items)| items);
    let place = counted(index, items.len());
    let present = place.and_then(|place| items.get(place));
    if present.is_none() && matches!(new, Val::Gone) {
        return Ok(list.map_or(Val::Null, |(whole, _)| whole.clone()));
    }
    let place = place.ok_or(Stop::FAILS)?;
    if place >= items.len().saturating_add(LIST_GROWTH) {
        return Err(Stop::Unknown);
    }
    let value = present.unwrap_or(&Val::Null).with(way, new)?;
    let mut items = items.to_vec();
    if place >= items.len() {
        items.resize(place + 1, Val::Null);
    }
    if let Some(item) = items.get_mut(place) {
        *item = value;
    }
    Val::list(items)
}

/// By how much one assignment may make a list longer.
const LIST_GROWTH: usize = 1024;

fn with_part(
    list: Option<(&Val, &Vec<Val>)>,
    given: &Entries,
    way: &[Val],
    new: &Val,
) -> Result<Val, Stop> {
    let items = list.map_or(&[][..], |(_, items)| items);
    let (Some(start), Some(end)) = (given.get("start"), given.get("end")) else {
        return Err(Stop::FAILS);
    };
    let (start, end) = bounds(start, end, items.len())?;
    if start == end && matches!(new, Val::Gone) {
        return Ok(list.map_or(Val::Null, |(whole, _)| whole.clone()));
    }
    let part = items.get(start..end).unwrap_or_default();
    let before = items.get(..start).unwrap_or_default().iter().cloned();
    let after = items.get(end..).unwrap_or_default().iter().cloned();
    match Val::list(part.to_vec())?.with(way, new)? {
        Val::List(new) => {
            let new = new.inner.iter().cloned();
            Val::list(before.chain(new).chain(after).collect())
        }
        Val::Gone => {
            let gone = part.iter().map(|_| Val::Gone);
            Val::list(before.chain(gone).chain(after).collect())
        }
        _ => Err(Stop::FAILS),
    }
}
