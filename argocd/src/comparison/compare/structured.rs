//! Structured merge: a server-side apply worked out from `managedFields`.
//!
//! Follows gitops-engine `structuredMergeDiff`, and `Updater.Apply` of structured-merge-diff, for
//! the kinds whose types are known here.

use serde_json::{Map, Value};

use super::client_side::with_defaults;
use super::server_side::is_ours;
use super::{CompareError, Comparer};
use crate::comparison::fields::{FieldSet, Items, Layout, item, member};
use crate::comparison::object::{LAST_APPLIED, kind_of};
use crate::comparison::scheme::{Scheme, Type, remarshal};
use crate::comparison::verdict::{Comparison, Method, NeedsDryRun};

/// What comes of it.
pub(super) enum Structured {
    Compared(Comparison),
    NeedsDryRun(NeedsDryRun),
}

impl Comparer<'_> {
    pub(super) fn structured(
        &self,
        desired: &Value,
        live: Value,
    ) -> Result<Structured, CompareError> {
        let (version, kind) = kind_of(desired);
        let Some(number) = Scheme::kubernetes().kind(version, kind) else {
            return Ok(Structured::NeedsDryRun(NeedsDryRun::UnknownSchema));
        };
        if remarshal(number, desired).is_err() || remarshal(number, &live).is_err() {
            return Err(CompareError::Type);
        }
        let is_applied = |entry: &Value| {
            let operation = entry.get("operation").and_then(Value::as_str);
            is_ours(entry)
                && operation == Some("Apply")
                && entry
                    .get("subresource")
                    .is_none_or(|subresource| subresource == "")
        };
        let is_other_version =
            |entry: &&Value| entry.get("apiVersion").and_then(Value::as_str) != Some(version);
        let entries = live
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        let is_converted = entries
            .into_iter()
            .flatten()
            .any(|entry| is_other_version(&entry));
        if is_converted {
            return Ok(Structured::NeedsDryRun(NeedsDryRun::OtherVersion));
        }
        let last = FieldSet::of(&live, is_applied);
        let others = FieldSet::of(&live, |entry| !is_applied(entry));
        let of = Type::Struct(number);
        let owners = Owners {
            last: Some(&last),
            others: Some(&others),
        };
        let predicted = merge(&live, Some(desired), owners, Layout::of(&of));
        let predicted = predicted.unwrap_or_default();
        if predicted == live {
            return Ok(Structured::Compared(Comparison {
                modified: false,
                predicted,
                live,
                method: Method::Structured,
            }));
        }
        let finish = |object: Value| -> Result<Value, CompareError> {
            let Value::Object(mut object) = object else {
                return Err(CompareError::Type);
            };
            if let Some(annotations) = object
                .get_mut("metadata")
                .and_then(|metadata| metadata.get_mut("annotations"))
                .and_then(Value::as_object_mut)
            {
                annotations.remove(LAST_APPLIED);
            }
            Ok(Value::Object(with_defaults(object, number)?))
        };
        let (predicted, live) = (finish(predicted)?, finish(live)?);
        Ok(Structured::Compared(Comparison {
            modified: predicted != live,
            predicted,
            live,
            method: Method::Structured,
        }))
    }
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
        self.last.is_some_and(|fields| fields.itself)
            && !self.others.is_some_and(|fields| !fields.is_empty())
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
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut next = 0;
    for (value, name) in new.iter().zip(&new_names) {
        let at = old_names
            .iter()
            .position(|other| other == name && name.is_some());
        let Some(at) = at else {
            merged.push(value.clone());
            continue;
        };
        while next <= at {
            if next == at {
                break;
            }
            if !new_names.contains(&old_names[next]) {
                merged.extend(kept(next, None));
            }
            next += 1;
        }
        if items == Items::Set {
            merged.push(value.clone());
        } else {
            merged.extend(kept(at, Some(value)));
        }
        next = next.max(at + 1);
    }
    for at in next..old.len() {
        if !new_names.contains(&old_names[at]) {
            merged.extend(kept(at, None));
        }
    }
    merged
}
