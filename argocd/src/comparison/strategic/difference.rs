//! What a patch has to say.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::list::{Identity, deduplicate, sort_printed};
use super::merge::{Options as MergeOptions, merge};
use super::{
    DELETE, DELETE_FROM_LIST, Kind, Members, PATCH, PatchError, Place, RETAIN_KEYS,
    SET_ELEMENT_ORDER, printed,
};
use crate::comparison::scheme::Type;

/// What of a difference is looked at.
#[derive(Clone, Copy)]
struct Options {
    additions: bool,
    deletions: bool,
    retain_keys: bool,
}

/// The patch that makes one object into another.
pub(in crate::comparison) fn two_way(
    original: &Members,
    modified: &Members,
    of: &Type,
) -> Result<Members, PatchError> {
    let options = Options {
        additions: true,
        deletions: true,
        retain_keys: false,
    };
    maps(original, modified, Place(of), options)
}

/// The patch that makes the current object into what is wanted: it adds and changes what differs
/// from it, and deletes what was wanted before and is not any more.
pub(in crate::comparison) fn three_way(
    original: &Members,
    modified: &Members,
    current: &Members,
    of: &Type,
) -> Result<Members, PatchError> {
    let options = |additions: bool| Options {
        additions,
        deletions: !additions,
        retain_keys: false,
    };
    let changes = maps(current, modified, Place(of), options(true))?;
    let deletions = maps(original, modified, Place(of), options(false))?;
    merge(deletions, changes, Place(of), MergeOptions::OF_PATCHES)
}

fn maps(
    original: &Members,
    modified: &Members,
    place: Place<'_>,
    options: Options,
) -> Result<Members, PatchError> {
    let mut patch = Map::new();
    for (name, new) in modified {
        let Some(old) = original.get(name) else {
            if options.additions {
                patch.insert(name.clone(), new.clone());
            }
            continue;
        };
        if name == PATCH {
            match (old, new) {
                (Value::String(old), Value::String(new)) if old == new => {}
                (Value::String(_), Value::String(_)) => {
                    patch.insert(name.clone(), new.clone());
                }
                _ => return Err(PatchError::Directive),
            }
            continue;
        }
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                map(name, old, new, &mut patch, place, options)?;
            }
            (Value::Array(old), Value::Array(new)) => {
                list(name, old, new, &mut patch, place, options)?;
            }
            _ => {
                if options.additions && old != new {
                    patch.insert(name.clone(), new.clone());
                }
            }
        }
    }
    if options.deletions {
        for name in original.keys().filter(|name| !modified.contains_key(*name)) {
            patch.insert(name.clone(), Value::Null);
        }
    }
    if options.retain_keys {
        retain_keys(original, modified, &mut patch);
    }
    Ok(patch)
}

fn retain_keys(original: &Members, modified: &Members, patch: &mut Members) {
    let kept: Vec<Value> = modified
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, _)| Value::String(name.clone()))
        .collect();
    let drops = original
        .iter()
        .any(|(name, value)| !value.is_null() && !modified.contains_key(name));
    if !kept.is_empty() && (!patch.is_empty() || drops) {
        patch.insert(RETAIN_KEYS.to_owned(), Value::Array(kept));
    }
}

fn map(
    name: &str,
    old: &Members,
    new: &Members,
    patch: &mut Members,
    place: Place<'_>,
    mut options: Options,
) -> Result<(), PatchError> {
    let field = match place.field(name) {
        Ok(field) => field,
        Err(_) if old == new => return Ok(()),
        Err(error) => return Err(error),
    };
    options.retain_keys = field.patch.retain_keys;
    if field.patch.replace {
        if options.additions {
            patch.insert(name.to_owned(), Value::Object(new.clone()));
        }
        return Ok(());
    }
    let below = maps(old, new, Place::of_map(field), options)?;
    if !below.is_empty() {
        patch.insert(name.to_owned(), Value::Object(below));
    }
    Ok(())
}

fn list(
    name: &str,
    old: &[Value],
    new: &[Value],
    patch: &mut Members,
    place: Place<'_>,
    mut options: Options,
) -> Result<(), PatchError> {
    let field = place.field(name);
    let (field, items) = match field.and_then(|field| Ok((field, Place::of_list(field)?))) {
        Ok(found) => found,
        Err(_) if old == new => return Ok(()),
        Err(error) => return Err(error),
    };
    if !field.patch.merge {
        if options.additions && old != new {
            patch.insert(name.to_owned(), Value::Array(new.to_vec()));
        }
        return Ok(());
    }
    options.retain_keys = field.patch.retain_keys;
    let found = lists(old, new, items, field.patch.merge_key, options)?;
    let mut insert = |name: String, list: Vec<Value>| {
        if !list.is_empty() {
            patch.insert(name, Value::Array(list));
        }
    };
    insert(name.to_owned(), found.changed);
    insert(format!("{DELETE_FROM_LIST}/{name}"), found.deleted);
    insert(format!("{SET_ELEMENT_ORDER}/{name}"), found.order);
    Ok(())
}

/// How two lists differ that are merged.
#[derive(Default)]
struct Lists {
    changed: Vec<Value>,
    deleted: Vec<Value>,
    order: Vec<Value>,
}

fn lists(
    original: &[Value],
    modified: &[Value],
    items: Place<'_>,
    merge_key: &str,
    options: Options,
) -> Result<Lists, PatchError> {
    let mut found = Lists::default();
    if original.is_empty() {
        if options.additions {
            found.changed = modified.to_vec();
        }
        return Ok(found);
    }
    let kind = Kind::of_items(original.iter().chain(modified))?.ok_or(PatchError::ItemTypes)?;
    let identity = Identity { kind, merge_key };
    if kind != Kind::Map {
        let (added, deleted) = scalars(original, modified, options);
        // Go has sorted the original by now.
        let mut sorted = original.to_vec();
        sort_printed(&mut sorted, None);
        if options.deletions && !deleted.is_empty() || options.additions && sorted != modified {
            found.order = modified.to_vec();
        }
        found.changed = identity.sort(added, modified)?;
        found.deleted = deleted;
        return Ok(found);
    }
    let (changed, mut deleted) = items_of_maps(original, modified, items, merge_key, options)?;
    found.changed = identity.sort(changed, modified)?;
    let same_order = same_order(original, modified, merge_key)?;
    found.changed.append(&mut deleted);
    if options.additions && (!found.changed.is_empty() || !same_order)
        || options.deletions && !found.changed.is_empty()
    {
        found.order = modified
            .iter()
            .map(|item| {
                let key = item.get(merge_key).cloned().unwrap_or_default();
                Value::Object(Map::from_iter([(merge_key.to_owned(), key)]))
            })
            .collect();
    }
    Ok(found)
}

fn same_order(original: &[Value], modified: &[Value], merge_key: &str) -> Result<bool, PatchError> {
    if original.len() != modified.len() {
        return Ok(false);
    }
    for (old, new) in original.iter().zip(modified) {
        let old = old.get(merge_key).ok_or(PatchError::NoMergeKey)?;
        let new = new.get(merge_key).ok_or(PatchError::NoMergeKey)?;
        if old != new {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is added to and deleted from a list of scalars.
fn scalars(original: &[Value], modified: &[Value], options: Options) -> (Vec<Value>, Vec<Value>) {
    let sorted = |list: &[Value]| {
        let mut list = list.to_vec();
        sort_printed(&mut list, None);
        let print = |item: Value| (printed(Some(&item)), item);
        list.into_iter().map(print).collect::<Vec<_>>()
    };
    let (mut added, mut deleted) = (Vec::new(), Vec::new());
    let mut old = sorted(original).into_iter().peekable();
    let mut new = sorted(modified).into_iter().peekable();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        match order {
            Ordering::Equal => {
                old.next();
                new.next();
            }
            Ordering::Greater => added.extend(new.next().map(|(_, item)| item)),
            Ordering::Less => deleted.extend(old.next().map(|(_, item)| item)),
        }
    }
    if !options.additions {
        added.clear();
    }
    if !options.deletions {
        deleted.clear();
    }
    deduplicate(&mut deleted);
    (added, deleted)
}

/// What is changed in and deleted from a list of maps.
fn items_of_maps(
    original: &[Value],
    modified: &[Value],
    items: Place<'_>,
    merge_key: &str,
    options: Options,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let sorted = |list: &[Value]| {
        let mut list = list.to_vec();
        sort_printed(&mut list, Some(merge_key));
        list
    };
    let (mut changed, mut deleted) = (Vec::new(), Vec::new());
    let mut old = sorted(original).into_iter().peekable();
    let mut new = sorted(modified).into_iter().peekable();
    loop {
        let order = match (keyed(old.peek(), merge_key)?, keyed(new.peek(), merge_key)?) {
            (None, None) => return Ok((changed, deleted)),
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(old), Some(new)) => old.cmp(&new),
        };
        match order {
            Ordering::Equal => {
                if let (Some(Value::Object(old)), Some(Value::Object(mut new))) =
                    (old.next(), new.next())
                {
                    let mut below = maps(&old, &new, items, options)?;
                    if !below.is_empty() {
                        let key = new.remove(merge_key).unwrap_or_default();
                        below.insert(merge_key.to_owned(), key);
                        changed.push(Value::Object(below));
                    }
                }
            }
            Ordering::Greater => {
                let item = new.next();
                if options.additions {
                    changed.extend(item);
                }
            }
            Ordering::Less => {
                let item = old.next();
                if options.deletions {
                    let key = item.and_then(|item| item.get(merge_key).cloned());
                    deleted.push(Value::Object(Map::from_iter([
                        (merge_key.to_owned(), key.unwrap_or_default()),
                        (PATCH.to_owned(), DELETE.into()),
                    ])));
                }
            }
        }
    }
}

fn keyed(item: Option<&Value>, merge_key: &str) -> Result<Option<String>, PatchError> {
    let Some(item) = item else {
        return Ok(None);
    };
    let members = item.as_object().ok_or(PatchError::ItemTypes)?;
    let key = members.get(merge_key).ok_or(PatchError::NoMergeKey)?;
    Ok(Some(printed(Some(key))))
}
