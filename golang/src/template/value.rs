//! The values of a template, with the Go types that they would have there.
//!
//! Types matter: `until` takes an `int` and refuses the `int64` that `add` returns, a missing key
//! of a `map[string]string` is `""` and one of a `map[string]any` is not a value at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::version::Version;
use super::{TemplateError, fails, undecided};

/// Lists and maps may nest this deep, so that whatever walks through them needs little stack.
const DEPTH_LIMIT: usize = 160;

/// The members of a map, in the order in which Go's templates go through them.
pub(super) type Entries = BTreeMap<Arc<str>, Value>;

/// A value, named after its Go type.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value: what a missing key gives (Go's zero `reflect.Value`).
    Missing,
    /// `nil`.
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `int64`.
    Int64(i64),
    /// `uint64`.
    Uint64(u64),
    /// `float64`.
    Float(f64),
    /// `string`.
    Text(Arc<str>),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// `*semver.Version`.
    Version(Arc<Version>),
}

/// What a list or a map is declared to hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Element {
    /// `interface {}`.
    Any,
    /// `string`.
    Text,
    /// `int`.
    Int,
    /// `[]interface {}`.
    List,
}

impl Element {
    fn type_name(self) -> &'static str {
        match self {
            Element::Any => "interface {}",
            Element::Text => "string",
            Element::Int => "int",
            Element::List => "[]interface {}",
        }
    }
}

/// A slice.
#[derive(Clone, Debug)]
pub struct List {
    items: Arc<[Value]>,
    element: Element,
    depth: usize,
    order: Order,
    nil: bool,
}

/// Whether Go would see the items in this order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Certain,
    /// Go goes through a map in a random order.
    Random,
}

impl List {
    /// A slice of these items.
    pub(super) fn new(element: Element, items: Vec<Value>) -> Result<Self, TemplateError> {
        let depth = depth_of(items.iter())?;
        for item in &items {
            item.contain();
        }
        Ok(List {
            items: items.into(),
            element,
            depth,
            order: Order::Certain,
            nil: false,
        })
    }

    /// A `[]string`.
    pub(super) fn of_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        List {
            items: texts.into_iter().map(Value::from).collect(),
            element: Element::Text,
            depth: 1,
            order: Order::Certain,
            nil: false,
        }
    }

    /// A slice that is `nil`: it prints as an empty one, and is `null` in JSON.
    pub(super) fn nil(element: Element) -> Self {
        List {
            items: Arc::new([]),
            element,
            depth: 1,
            order: Order::Certain,
            nil: true,
        }
    }

    /// The same items, of which Go does not say in which order they are.
    pub(super) fn in_random_order(mut self) -> Self {
        if self.items.len() > 1 {
            self.order = Order::Random;
        }
        self
    }

    pub(super) fn has_random_order(&self) -> bool {
        self.order == Order::Random
    }

    pub(super) fn items(&self) -> &[Value] {
        &self.items
    }

    pub(super) fn element(&self) -> Element {
        self.element
    }

    pub(super) fn is_nil(&self) -> bool {
        self.nil
    }
}

/// A map with string keys.
#[derive(Clone, Debug)]
pub struct Map {
    element: Element,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    /// From the parameters, or part of something else.
    Fixed { members: Arc<Entries>, depth: usize },
    /// Made by the template and in nothing else, so that changes are seen by this template alone.
    Open(Arc<Mutex<Open>>),
}

#[derive(Debug)]
struct Open {
    members: Arc<Entries>,
    depth: usize,
    /// Part of a list or of another map. It is then not changed any more: the change would show
    /// in the other one too, and a map could be made to contain itself.
    contained: bool,
}

impl Map {
    /// A map that is a part of the parameters or of another value.
    pub(super) fn fixed(element: Element, members: Entries) -> Result<Self, TemplateError> {
        let depth = depth_of(members.values())?;
        for member in members.values() {
            member.contain();
        }
        let members = Arc::new(members);
        Ok(Map {
            element,
            data: Data::Fixed { members, depth },
        })
    }

    /// A map that the template made, and may change.
    pub(super) fn open(element: Element, members: Entries) -> Result<Self, TemplateError> {
        let depth = depth_of(members.values())?;
        for member in members.values() {
            member.contain();
        }
        Ok(Map {
            element,
            data: Data::Open(Arc::new(Mutex::new(Open {
                members: Arc::new(members),
                depth,
                contained: false,
            }))),
        })
    }

    pub(super) fn element(&self) -> Element {
        self.element
    }

    /// The members as they are now.
    pub(super) fn members(&self) -> Arc<Entries> {
        match &self.data {
            Data::Fixed { members, .. } => Arc::clone(members),
            Data::Open(open) => Arc::clone(&lock(open).members),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Value> {
        match &self.data {
            Data::Fixed { members, .. } => members.get(key).cloned(),
            Data::Open(open) => lock(open).members.get(key).cloned(),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Fixed { members, .. } => members.len(),
            Data::Open(open) => lock(open).members.len(),
        }
    }

    /// Changes the map, as Go does for all who hold it.
    pub(super) fn change(&self, change: impl FnOnce(&mut Entries)) -> Result<(), TemplateError> {
        let Data::Open(open) = &self.data else {
            return Err(undecided(
                "a change of a map that was not made by the same template",
            ));
        };
        let mut open = lock(open);
        if open.contained {
            return Err(undecided("a change of a map that is part of another value"));
        }
        change(Arc::make_mut(&mut open.members));
        open.depth = depth_of(open.members.values())?;
        Ok(())
    }

    /// How many values hold this map.
    pub(super) fn holders(&self) -> usize {
        match &self.data {
            Data::Fixed { members, .. } => Arc::strong_count(members),
            Data::Open(open) => Arc::strong_count(open),
        }
    }

    fn depth(&self) -> usize {
        match &self.data {
            Data::Fixed { depth, .. } => *depth,
            Data::Open(open) => lock(open).depth,
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How deep something with these parts is.
fn depth_of<'v>(parts: impl Iterator<Item = &'v Value>) -> Result<usize, TemplateError> {
    let mut deepest = 0;
    for part in parts {
        deepest = deepest.max(match part {
            Value::List(list) => list.depth,
            Value::Map(map) => map.depth(),
            _ => 0,
        });
    }
    if deepest < DEPTH_LIMIT {
        Ok(deepest + 1)
    } else {
        Err(too_deep())
    }
}

impl Value {
    /// The value of a JSON text that was read into an `any`: numbers are `float64`.
    pub(super) fn from_json(json: &serde_json::Value) -> Result<Self, TemplateError> {
        Typed {
            is_string_map: |_: &[&str]| false,
            path: Vec::new(),
        }
        .value(json)
    }

    /// Go's name of the type, as `%T` prints it.
    pub(super) fn type_name(&self) -> String {
        match self {
            Value::Missing | Value::Nil => "<nil>".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Int(_) => "int".to_owned(),
            Value::Int64(_) => "int64".to_owned(),
            Value::Uint64(_) => "uint64".to_owned(),
            Value::Float(_) => "float64".to_owned(),
            Value::Text(_) => "string".to_owned(),
            Value::List(list) => format!("[]{}", list.element.type_name()),
            Value::Map(map) => format!("map[string]{}", map.element.type_name()),
            Value::Version(_) => "*semver.Version".to_owned(),
        }
    }

    /// Go's `reflect.Kind` of the value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Missing | Value::Nil => "invalid",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Int64(_) => "int64",
            Value::Uint64(_) => "uint64",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(_) => "slice",
            Value::Map(_) => "map",
            Value::Version(_) => "ptr",
        }
    }

    /// Whether `if` takes it for true; Sprig's `empty` is the opposite.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Missing | Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) | Value::Int64(value) => *value != 0,
            Value::Uint64(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.items.is_empty(),
            Value::Map(map) => map.len() > 0,
            Value::Version(_) => true,
        }
    }

    /// What a member that is not there counts as, in a map of this kind.
    pub(super) fn zero(element: Element) -> Self {
        match element {
            Element::Any => Value::Nil,
            Element::Text => Value::from(""),
            Element::Int => Value::Int(0),
            Element::List => Value::List(List::nil(Element::Any)),
        }
    }

    /// The list, whose order is certain.
    pub(super) fn ordered(&self) -> Result<(), TemplateError> {
        match self {
            Value::List(list) if list.has_random_order() => Err(undecided(
                "the order of `keys` or `values`, which is random, without sortAlpha",
            )),
            _ => Ok(()),
        }
    }

    /// It becomes a part of another value.
    pub(super) fn contain(&self) {
        if let Value::Map(Map {
            data: Data::Open(open),
            ..
        }) = self
        {
            lock(open).contained = true;
        }
    }
}

/// Converts JSON, of which some objects are `map[string]string`.
pub(super) struct Typed<'p, T> {
    /// Asked for each object of which all members are strings, with the keys that lead to it.
    pub(super) is_string_map: T,
    /// Items of a list have the key `*`.
    pub(super) path: Vec<&'p str>,
}

impl<'p, T: Fn(&[&str]) -> bool> Typed<'p, T> {
    /// The members of an object.
    pub(super) fn members(
        &mut self,
        members: &'p serde_json::Map<String, serde_json::Value>,
    ) -> Result<Entries, TemplateError> {
        let mut typed = Entries::new();
        for (key, member) in members {
            typed.insert(Arc::from(key.as_str()), self.below(key, member)?);
        }
        Ok(typed)
    }

    fn below(&mut self, key: &'p str, json: &'p serde_json::Value) -> Result<Value, TemplateError> {
        if self.path.len() == DEPTH_LIMIT {
            return Err(too_deep());
        }
        self.path.push(key);
        let value = self.value(json);
        self.path.pop();
        value
    }

    fn value(&mut self, json: &'p serde_json::Value) -> Result<Value, TemplateError> {
        Ok(match json {
            serde_json::Value::Array(items) => {
                let items = items.iter().map(|item| self.below("*", item));
                Value::List(List::new(Element::Any, items.collect::<Result<_, _>>()?)?)
            }
            serde_json::Value::Object(members) => {
                let all_strings = members.values().all(serde_json::Value::is_string);
                let element = if all_strings && (self.is_string_map)(&self.path) {
                    Element::Text
                } else {
                    Element::Any
                };
                Value::Map(Map::fixed(element, self.members(members)?)?)
            }
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => {
                let number = number.as_f64();
                Value::Float(number.ok_or_else(|| undecided("a number that is not a float64"))?)
            }
            serde_json::Value::String(text) => Value::from(text.as_str()),
        })
    }
}

/// The members of a JSON object.
pub(super) fn members_from_json(
    members: &serde_json::Map<String, serde_json::Value>,
) -> Result<Entries, TemplateError> {
    Typed {
        is_string_map: |_: &[&str]| false,
        path: Vec::new(),
    }
    .members(members)
}

fn too_deep() -> TemplateError {
    TemplateError::TooMuch("its values nest too deeply")
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Arc::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Arc::from(text))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

/// The bytes of a Go string from `start` to `end`. Go cuts characters in two, which Rust's text
/// cannot hold.
pub(super) fn cut(text: &str, start: i64, end: i64) -> Result<&str, TemplateError> {
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return Err(fails(format!("slice bounds out of range [{start}:{end}]")));
    };
    if from > to || to > text.len() {
        return Err(fails(format!(
            "slice bounds out of range [{start}:{end}] with length {}",
            text.len()
        )));
    }
    text.get(from..to)
        .ok_or_else(|| undecided("a text that is cut inside of a character"))
}
