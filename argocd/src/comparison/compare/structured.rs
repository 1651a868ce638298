//! Structured merge: a server-side apply worked out from `managedFields`.
//!
//! Follows gitops-engine `structuredMergeDiff`, and `Updater.Apply` of structured-merge-diff, for
//! the kinds whose types are known here.

use serde_json::{Map, Value};

use super::CompareError;
use super::client_side::with_defaults;
use super::server_side::is_ours;
use crate::comparison::fields::{FieldSet, Items, Layout, item, member, validate};
use crate::comparison::object::{LAST_APPLIED, kind_of};
use crate::comparison::scheme::{Scheme, Type};
use crate::comparison::verdict::{Comparison, Method, NeedsDryRun};

/// What comes of it.
pub(super) enum Structured {
    Compared(Comparison),
    NeedsDryRun(NeedsDryRun),
}

/// Compares two objects whose kind is known here.
pub(super) fn compare(desired: &Value, live: Value) -> Result<Structured, CompareError> {
    let (version, kind) = kind_of(desired);
    let number = Scheme::kubernetes().kind(version, kind);
    let Some(number) = number.filter(|number| Scheme::kubernetes().get(*number).served) else {
        return Ok(Structured::NeedsDryRun(NeedsDryRun::UnknownSchema));
    };
    let of = Type::Struct(number);
    validate(&live, Layout::of(&of))?;
    validate(desired, Layout::of(&of))?;
    let entries = live
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    let is_of_version =
        |entry: &Value| entry.get("apiVersion").and_then(Value::as_str) == Some(version);
    if !entries.into_iter().flatten().all(is_of_version) {
        return Ok(Structured::NeedsDryRun(NeedsDryRun::OtherVersion));
    }
    let last = FieldSet::of(&live, is_applied);
    let others = FieldSet::of(&live, |entry| !is_applied(entry));
    let owners = Owners {
        last: Some(&last),
        others: Some(&others),
    };
    let predicted = merge(&live, Some(desired), owners, Layout::of(&of)).unwrap_or_default();
    let (predicted, live) = if predicted == live {
        (predicted, live)
    } else {
        (finished(predicted, number)?, finished(live, number)?)
    };
    Ok(Structured::Compared(Comparison {
        modified: predicted != live,
        predicted,
        live,
        method: Method::Structured,
    }))
}

/// Whether Argo CD applied what an entry of `managedFields` has.
fn is_applied(entry: &Value) -> bool {
    let operation = entry.get("operation").and_then(Value::as_str);
    is_ours(entry)
        && operation == Some("Apply")
        && entry
            .get("subresource")
            .is_none_or(|subresource| subresource == "")
}

/// With the defaults of its kind, and without what was applied last (`normalizeTypedValue`).
fn finished(object: Value, number: usize) -> Result<Value, CompareError> {
    let Value::Object(mut object) = object else {
        return Err(CompareError::Type);
    };
    let metadata = object.get_mut("metadata");
    let annotations = metadata.and_then(|metadata| metadata.get_mut("annotations"));
    if let Some(Value::Object(annotations)) = annotations {
        annotations.remove(LAST_APPLIED);
    }
    Ok(Value::Object(with_defaults(object, number)?))
}

/// What Argo CD applied last, and what others own.
#[derive(Clone, Copy)]
struct Owners<'f> {
    last: Option<&'f FieldSet>,
    others: Option<&'f FieldSet>,
}

impl Owners<'_> {
    fn below(self, name: &str) -> Self {
        Owners {
            last: self.last.and_then(|fields| fields.below(name)),
            others: self.others.and_then(|fields| fields.below(name)),
        }
    }

    /// Whether what is no longer wanted goes: it was applied, and nobody else owns it.
    fn are_gone(self) -> bool {
        self.last.is_some_and(|fields| fields.itself) && self.others.is_none_or(FieldSet::is_empty)
    }
}

/// The live object with what is wanted, without what was applied and is not wanted any more.
fn merge(
    live: &Value,
    wanted: Option<&Value>,
    owners: Owners<'_>,
    layout: Layout<'_>,
) -> Option<Value> {
    match (live, wanted) {
        (Value::Object(old), None | Some(Value::Object(_))) if layout.has_members() => {
            let new = wanted.and_then(Value::as_object);
            let mut merged = Map::new();
            for (name, value) in old {
                let below = owners.below(&member(name));
                let wanted = new.and_then(|new| new.get(name));
                if let Some(value) = merge(value, wanted, below, layout.member(name)) {
                    merged.insert(name.clone(), value);
                }
            }
            for (name, value) in new.into_iter().flatten() {
                merged.entry(name.clone()).or_insert_with(|| value.clone());
            }
            let is_emptied = merged.is_empty() && !old.is_empty();
            let goes =
                wanted.is_none() && (owners.are_gone() || is_emptied && owners.last.is_some());
            // What somebody has put into it keeps it.
            (!goes || !merged.is_empty() && !owners.are_gone()).then_some(Value::Object(merged))
        }
        (Value::Array(old), None | Some(Value::Array(_))) if layout.items() != Items::Atomic => {
            let merged = merge_list(old, wanted.and_then(Value::as_array), owners, layout);
            let is_emptied = merged.is_empty() && !old.is_empty();
            let goes = wanted.is_none() && is_emptied && owners.last.is_some();
            (!goes).then_some(Value::Array(merged))
        }
        (_, Some(wanted)) => Some(wanted.clone()),
        (live, None) => (!owners.are_gone()).then(|| live.clone()),
    }
}

/// Items that are wanted come in the order in which they are wanted, the others stay before the
/// one that they stand before.
fn merge_list(
    old: &[Value],
    new: Option<&Vec<Value>>,
    owners: Owners<'_>,
    layout: Layout<'_>,
) -> Vec<Value> {
    let items = layout.items();
    let new = new.map(Vec::as_slice).unwrap_or_default();
    let names = |list: &[Value]| -> Vec<Option<String>> {
        list.iter().map(|value| item(&items, value)).collect()
    };
    let (old_names, new_names) = (names(old), names(new));
    let kept = |at: usize, wanted: Option<&Value>| match &old_names[at] {
        Some(name) => merge(&old[at], wanted, owners.below(name), layout.item(name)),
        None => Some(old[at].clone()),
    };
    let unwanted = |from: usize, to: usize| {
        let places = (from..to).filter(|at| !new_names.contains(&old_names[*at]));
        places.filter_map(|at| kept(at, None)).collect::<Vec<_>>()
    };
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut next = 0;
    for (value, name) in new.iter().zip(&new_names) {
        let Some(at) = old_names.iter().position(|other| other == name) else {
            merged.push(value.clone());
            continue;
        };
        merged.extend(unwanted(next, at));
        if items == Items::Set {
            merged.push(value.clone());
        } else {
            merged.extend(kept(at, Some(value)));
        }
        next = next.max(at + 1);
    }
    merged.extend(unwanted(next, old.len()));
    merged
}
