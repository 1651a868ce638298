//! Server-side diff: what the API server answers to a dry run against what is there.
//!
//! Follows gitops-engine `serverSideDiff` and `removeWebhookMutation`. The schema of a custom
//! resource is not known here; how its lists are keyed is taken from `managedFields`.

use serde_json::{Map, Value};

use super::{CompareError, Comparer, MANAGER};
use crate::comparison::fields::{FieldSet, Items, Layout, item, member, validate};
use crate::comparison::object::{LAST_APPLIED, kind_of, remove_metadata};
use crate::comparison::scheme::{Scheme, Type};
use crate::comparison::verdict::{Comparison, Generation, Method};

impl Comparer<'_> {
    pub(super) fn server_side(
        &mut self,
        mut live: Value,
        dry_run: &Value,
        mutation_webhooks: bool,
    ) -> Result<Comparison, CompareError> {
        let predicted = if mutation_webhooks {
            dry_run.clone()
        } else {
            self.without_mutations(&live, dry_run)?
        };
        let mut predicted = super::remarshalled(predicted);
        for object in [&mut predicted, &mut live] {
            self.normalize(object)?;
            remove_metadata(object, "managedFields");
            if self.rules.settings.generation == Generation::Since36 {
                remove_metadata(object, "resourceVersion");
                remove_metadata(object, "generation");
            }
            if let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") {
                annotations.remove(LAST_APPLIED);
            }
        }
        Ok(Comparison {
            modified: predicted != live,
            predicted,
            live,
            method: Method::ServerSide,
        })
    }

    /// The live object with what Argo CD itself would set and take away.
    fn without_mutations(&self, live: &Value, dry_run: &Value) -> Result<Value, CompareError> {
        let owned = FieldSet::of(dry_run, is_ours);
        if owned.is_empty() {
            return Err(CompareError::NotManaged);
        }
        let kept = match self.rules.settings.generation {
            Generation::UpTo35 => None,
            Generation::Since36 => Some(FieldSet::of(live, is_ours)),
        };
        let (version, kind) = kind_of(dry_run);
        let number = Scheme::kubernetes().kind(version, kind);
        let number = number.filter(|number| Scheme::kubernetes().get(*number).served);
        let of = number.map(Type::Struct);
        let mut all = FieldSet::of(dry_run, |_| true);
        all.merge(FieldSet::of(live, |_| true));
        let layout = match &of {
            Some(of) => Layout::of(of),
            None => Layout::Owned(&all),
        };
        validate(dry_run, layout)?;
        validate(live, layout)?;
        let removable = match &kept {
            None => Removable::Everything,
            Some(kept) => Removable::Only(Some(kept)),
        };
        Ok(overlay(Some(live), dry_run, Some(&owned), removable, layout).unwrap_or_default())
    }
}

pub(super) fn is_ours(entry: &Value) -> bool {
    entry.get("manager").and_then(Value::as_str) == Some(MANAGER)
}

/// What of the live object counts as taken away if it is not in the answer.
#[derive(Clone, Copy)]
enum Removable<'f> {
    /// Everything, up to Argo CD 3.5.
    Everything,
    /// What Argo CD owned in the live object; anything else was taken away by somebody else.
    Only(Option<&'f FieldSet>),
}

impl<'f> Removable<'f> {
    fn below(self, name: &str) -> Self {
        match self {
            Removable::Everything => self,
            Removable::Only(fields) => {
                Removable::Only(fields.and_then(|fields| fields.below(name)))
            }
        }
    }

    fn is_removed(self) -> bool {
        match self {
            Removable::Everything => true,
            Removable::Only(fields) => {
                fields.is_some_and(|fields: &'f FieldSet| !fields.is_empty())
            }
        }
    }
}

/// What is there, with what is owned of the answer over it.
fn overlay(
    live: Option<&Value>,
    answer: &Value,
    owned: Option<&FieldSet>,
    removable: Removable<'_>,
    layout: Layout<'_>,
) -> Option<Value> {
    let below = |name: &str| owned.and_then(|owned| owned.below(name));
    match answer {
        Value::Object(new) if layout.has_members() && !(new.is_empty() && is_bare(live)) => {
            let empty = Map::new();
            let old = live.and_then(Value::as_object).unwrap_or(&empty);
            let mut merged: Map<String, Value> = old
                .iter()
                .filter(|(name, _)| {
                    !new.contains_key(*name) && !removable.below(&member(name)).is_removed()
                })
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            for (name, value) in new {
                let key = member(name);
                let value = overlay(
                    old.get(name),
                    value,
                    below(&key),
                    removable.below(&key),
                    layout.member(name),
                );
                if let Some(value) = value {
                    merged.insert(name.clone(), value);
                }
            }
            (live.is_some() || !merged.is_empty()).then_some(Value::Object(merged))
        }
        Value::Array(new)
            if layout.items() != Items::Atomic && !(new.is_empty() && is_bare(live)) =>
        {
            let items = layout.items();
            let empty = Vec::new();
            let old = live.and_then(Value::as_array).unwrap_or(&empty);
            let named = |wanted: &Value| {
                let name = item(&items, wanted)?;
                Some((
                    old.iter()
                        .find(|other| item(&items, other).as_ref() == Some(&name)),
                    name,
                ))
            };
            let mut merged: Vec<Value> = new
                .iter()
                .filter_map(|value| {
                    let (old, name) = named(value)?;
                    let fields = below(&name);
                    if old.is_none() && fields.is_none() {
                        return None;
                    }
                    if items == Items::Set {
                        return Some(value.clone());
                    }
                    overlay(
                        old,
                        value,
                        fields,
                        removable.below(&name),
                        layout.item(&name),
                    )
                })
                .collect();
            let answered: Vec<Option<String>> = new.iter().map(|new| item(&items, new)).collect();
            merged.extend(old.iter().filter_map(|old| {
                let name = item(&items, old);
                let removed = name
                    .as_ref()
                    .is_none_or(|name| removable.below(name).is_removed());
                (!answered.contains(&name) && !removed).then(|| old.clone())
            }));
            (live.is_some() || !merged.is_empty()).then_some(Value::Array(merged))
        }
        leaf if owned.is_some_and(|owned| owned.itself) => Some(leaf.clone()),
        _ => live.cloned(),
    }
}

/// Whether there is nothing in it.
fn is_bare(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => true,
    }
}
