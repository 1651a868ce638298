//! Parameter sets: what a generator yields, and how two of them are combined.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use golang::fmt;
use golang::template::TemplateError;
use golang::work::Work;

/// The parameters of one Application.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ParameterSet {
    pub(super) values: Map<String, Value>,
    /// Where a value is a map of strings to Go and not free JSON.
    pub(super) string_maps: StringMaps,
}

/// The places at which generators put Go's `map[string]string`. Merging free JSON into one makes
/// Argo CD panic.
#[expect(clippy::struct_excessive_bools, reason = "each place is one by itself")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct StringMaps {
    pub(super) values: bool,
    pub(super) labels: bool,
    pub(super) annotations: bool,
    /// The same three in each item of `clusters`, the list of `flatList`.
    pub(super) flat_list: bool,
}

/// Two parameter sets that cannot be combined.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum CombineError {
    /// Without `goTemplate`, the generators of a matrix may share a key only if it has the same
    /// value.
    #[error("found duplicate key {0} with different value")]
    Conflict(String),
    /// Without `goTemplate`, parameters are strings.
    #[error("the value of {0} is not a string")]
    NotText(String),
    /// Argo CD panics when free JSON overrides part of a map of strings.
    #[error(
        "{0} of a list overrides {0} of clusters or Git with goTemplate, on which Argo CD panics"
    )]
    Panic(&'static str),
}

impl ParameterSet {
    pub(super) fn new(values: Map<String, Value>) -> Self {
        ParameterSet {
            values,
            string_maps: StringMaps::default(),
        }
    }

    /// Both together; the same key must have the same value (Argo CD 3.5, `CombineStringMaps`).
    pub(super) fn combined(&self, other: &Self) -> Result<Self, CombineError> {
        let mut values = texts(self)?;
        for (key, value) in texts(other)? {
            if values.get(&key).is_some_and(|present| *present != value) {
                return Err(CombineError::Conflict(key));
            }
            values.insert(key, value);
        }
        Ok(ParameterSet::new(values))
    }

    /// Both together; the other's values count (Argo CD 3.5, `CombineStringMapsAllowDuplicates`).
    pub(super) fn overridden(&self, other: &Self) -> Result<Self, CombineError> {
        let mut values = texts(self)?;
        values.extend(texts(other)?);
        Ok(ParameterSet::new(values))
    }

    /// Both together, maps merged at every depth; the other's values count, empty ones as well, and
    /// lists are replaced (mergo's `Merge` with `WithOverride`).
    pub(super) fn merged(&self, other: &Self) -> Result<Self, CombineError> {
        let free_over_texts = [
            (
                "values",
                "/values",
                self.string_maps.values,
                other.string_maps.values,
            ),
            (
                "metadata.labels",
                "/metadata/labels",
                self.string_maps.labels,
                other.string_maps.labels,
            ),
            (
                "metadata.annotations",
                "/metadata/annotations",
                self.string_maps.annotations,
                other.string_maps.annotations,
            ),
        ];
        for (name, pointer, own, others) in free_over_texts {
            if own && !others && other.is_map_with_members(pointer) {
                return Err(CombineError::Panic(name));
            }
        }
        let mut values = self.values.clone();
        merge(&mut values, &other.values);
        let kept = |own, others, pointer| own || others && self.at(pointer).is_none();
        let (own, others) = (self.string_maps, other.string_maps);
        Ok(ParameterSet {
            values,
            string_maps: StringMaps {
                values: kept(own.values, others.values, "/values"),
                labels: kept(own.labels, others.labels, "/metadata/labels"),
                annotations: kept(own.annotations, others.annotations, "/metadata/annotations"),
                flat_list: kept(own.flat_list, others.flat_list, "/clusters"),
            },
        })
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        let mut names = pointer.split('/').skip(1);
        let first = self.values.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }

    fn is_map_with_members(&self, pointer: &str) -> bool {
        let members = self.at(pointer).and_then(Value::as_object);
        members.is_some_and(|members| !members.is_empty())
    }

    /// The value at a dotted path, printed as Go prints it, if it is neither map nor list (Argo CD
    /// 3.5, `flattenParameters`). Keys may have dots of their own.
    pub(super) fn flattened(&self, path: &str) -> Option<String> {
        member(&self.values, path)
    }
}

fn texts(set: &ParameterSet) -> Result<Map<String, Value>, CombineError> {
    match set.values.iter().find(|(_, value)| !value.is_string()) {
        Some((key, _)) => Err(CombineError::NotText(key.clone())),
        None => Ok(set.values.clone()),
    }
}

fn merge(own: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        match (own.get_mut(key), value) {
            (Some(Value::Object(own)), Value::Object(other)) => merge(own, other),
            _ => {
                own.insert(key.clone(), value.clone());
            }
        }
    }
}

fn member(members: &Map<String, Value>, path: &str) -> Option<String> {
    let ends = path.match_indices('.').map(|(end, _)| end);
    ends.chain([path.len()]).find_map(|end| {
        let value = members.get(&path[..end])?;
        match path.get(end + 1..) {
            Some(rest) => below(value, rest),
            None => scalar(value),
        }
    })
}

fn below(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Object(members) => member(members, path),
        Value::Array(items) => {
            let (index, rest) = path
                .split_once('.')
                .map_or((path, None), |(i, r)| (i, Some(r)));
            let canonical = index == "0" || !index.starts_with(['0', '+']);
            let item = items.get(index.parse::<usize>().ok().filter(|_| canonical)?)?;
            match rest {
                Some(rest) => below(item, rest),
                None => scalar(item),
            }
        }
        _ => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    (!value.is_object() && !value.is_array()).then(|| printed(value))
}

/// Flattens JSON to dotted paths, of which no more than `limit` bytes are written out.
pub(super) fn flatten(
    members: &Map<String, Value>,
    limit: &Work,
) -> Result<BTreeMap<String, String>, TemplateError> {
    let mut flat = BTreeMap::new();
    for (key, value) in members {
        flatten_into(key.clone(), value, limit, &mut flat)?;
    }
    Ok(flat)
}

fn flatten_into(
    path: String,
    value: &Value,
    limit: &Work,
    flat: &mut BTreeMap<String, String>,
) -> Result<(), TemplateError> {
    limit.spend(u64::try_from(path.len()).unwrap_or(u64::MAX))?;
    match value {
        Value::Object(members) => members.iter().try_for_each(|(key, member)| {
            flatten_into(format!("{path}.{key}"), member, limit, flat)
        }),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            flatten_into(format!("{path}.{index}"), item, limit, flat)
        }),
        scalar => {
            flat.insert(path, printed(scalar));
            Ok(())
        }
    }
}

/// A scalar as Go's `%v` prints it, numbers being floats.
fn printed(scalar: &Value) -> String {
    match scalar {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => fmt::float(number.as_f64().unwrap_or_default()),
        Value::Null | Value::Array(_) | Value::Object(_) => "<nil>".to_owned(),
    }
}
