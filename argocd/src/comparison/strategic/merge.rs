//! What a patch does.

use serde_json::{Map, Value};

use super::list::{Identity, deduplicate};
use super::{
    DELETE, DELETE_FROM_LIST, Kind, Members, PATCH, PatchError, Place, REPLACE, RETAIN_KEYS,
    SET_ELEMENT_ORDER,
};
use crate::comparison::scheme::{Field, Type};

/// Whether a patch is merged into an object or into another patch.
#[derive(Clone, Copy)]
pub(super) struct Options {
    /// Whether the directives about lists are carried out; else they are kept.
    lists: bool,
    /// Whether nulls that delete nothing are dropped; else they are kept.
    drops_nulls: bool,
}

impl Options {
    pub(super) const OF_PATCHES: Options = Options {
        lists: false,
        drops_nulls: false,
    };
    const OF_OBJECT: Options = Options {
        lists: true,
        drops_nulls: true,
    };
}

/// Applies a patch to an object of a type.
pub(in crate::comparison) fn apply(
    object: Members,
    patch: Members,
    of: &Type,
) -> Result<Members, PatchError> {
    merge(object, patch, Place(of), Options::OF_OBJECT)
}

pub(super) fn merge(
    mut original: Members,
    mut patch: Members,
    place: Place<'_>,
    options: Options,
) -> Result<Members, PatchError> {
    if let Some(directive) = patch.remove(PATCH) {
        return match directive.as_str() {
            Some(REPLACE) => Ok(patch),
            Some(DELETE) => Ok(Map::new()),
            _ => Err(PatchError::Directive),
        };
    }
    retain_keys(&mut original, &mut patch, options)?;
    ordered_lists(&mut original, &mut patch, place, options)?;
    for (name, new) in patch {
        let deletes = name.starts_with(DELETE_FROM_LIST);
        if deletes && !options.lists {
            original.insert(name, new);
            continue;
        }
        let name = if deletes {
            listed(&name, DELETE_FROM_LIST)?.to_owned()
        } else {
            name
        };
        if new.is_null() {
            original.remove(&name);
            if options.drops_nulls {
                continue;
            }
        }
        let same_type = original
            .get(&name)
            .is_some_and(|old| Kind::of(old) == Kind::of(&new));
        if !same_type {
            if !deletes {
                insert(&mut original, name, new, options);
            }
            continue;
        }
        let merged = match (original.remove(&name), new) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let field = place.field(&name)?;
                Value::Object(if field.patch.replace {
                    new
                } else {
                    merge(old, new, Place::of_map(field), options)?
                })
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                let field = place.field(&name)?;
                let items = Place::of_list(field)?;
                Value::Array(list(old, new, field, items, deletes, options)?)
            }
            (_, new) => new,
        };
        original.insert(name, merged);
    }
    Ok(original)
}

fn insert(original: &mut Members, name: String, mut new: Value, options: Options) {
    if options.drops_nulls {
        drop_nulls(&mut new);
    }
    match without_directives(new) {
        Some(new) => original.insert(name, new),
        None => original.remove(&name),
    };
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(PATCH) => None,
        Value::Object(members) => Some(Value::Object(
            members
                .into_iter()
                .filter_map(|(name, member)| Some((name, without_directives(member)?)))
                .collect(),
        )),
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        other => Some(other),
    }
}

/// The name of the list that a directive is about.
fn listed<'n>(name: &'n str, directive: &str) -> Result<&'n str, PatchError> {
    let rest = name.strip_prefix(directive);
    rest.and_then(|rest| rest.strip_prefix('/'))
        .ok_or(PatchError::Directive)
}

fn retain_keys(
    original: &mut Members,
    patch: &mut Members,
    options: Options,
) -> Result<(), PatchError> {
    let Some(kept) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    if !options.lists {
        return match original.get(RETAIN_KEYS) {
            Some(other) if *other != kept => Err(PatchError::Directive),
            Some(_) => Ok(()),
            None => {
                original.insert(RETAIN_KEYS.to_owned(), kept);
                Ok(())
            }
        };
    }
    let kept = kept.as_array().ok_or(PatchError::Directive)?;
    let is_kept = |name: &str| kept.iter().any(|one| one.as_str() == Some(name));
    let is_retained = patch.iter().all(|(name, value)| {
        value.is_null()
            || name.starts_with(DELETE_FROM_LIST)
            || name.starts_with(SET_ELEMENT_ORDER)
            || is_kept(name)
    });
    if !is_retained {
        return Err(PatchError::Directive);
    }
    original.retain(|name, _| is_kept(name));
    Ok(())
}

/// Merges the lists whose order the patch says (`mergePatchIntoOriginal`).
fn ordered_lists(
    original: &mut Members,
    patch: &mut Members,
    place: Place<'_>,
    options: Options,
) -> Result<(), PatchError> {
    let is_order = |name: &&String| name.starts_with(SET_ELEMENT_ORDER);
    let ordered: Vec<String> = patch.keys().filter(is_order).cloned().collect();
    for directive in ordered {
        let Some(order) = patch.remove(&directive) else {
            continue;
        };
        if !options.lists {
            match original.get(&directive) {
                Some(other) if *other != order => return Err(PatchError::Directive),
                Some(_) => {}
                None => {
                    original.insert(directive.clone(), order.clone());
                }
            }
        }
        let order = items(Some(order))?.unwrap_or_default();
        let name = listed(&directive, SET_ELEMENT_ORDER)?;
        let old = items(original.get(name).cloned())?;
        let new = items(patch.get(name).cloned())?;
        let field = place.field(name)?;
        let of = Place::of_list(field)?;
        let merge_key = field.patch.merge_key;
        if let Some(new) = &new {
            check_order(new, &order, merge_key)?;
        }
        let kind = Kind::of_items(old.iter().chain(&new).flatten())?;
        let server = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (Some(old), None) => old,
            (None, Some(new)) => new.into_iter().filter_map(without_directives).collect(),
            (Some(old), Some(new)) => list(old, new, field, of, false, options)?,
            (None, None) => continue,
        };
        let kind = kind.ok_or(PatchError::ItemTypes)?;
        let identity = Identity { kind, merge_key };
        let (of_patch, of_server) = identity.partition(merged, &order)?;
        let of_patch = identity.sort(of_patch, &order)?;
        let of_server = identity.sort(of_server, &server)?;
        let both = identity.zip(of_server, of_patch, &server);
        original.insert(name.to_owned(), Value::Array(both));
        patch.remove(name);
    }
    Ok(())
}

fn items(list: Option<Value>) -> Result<Option<Vec<Value>>, PatchError> {
    match list {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(PatchError::ItemTypes),
    }
}

/// The items of a patch come in the order that it says (`validatePatchWithSetOrderList`).
fn check_order(items: &[Value], order: &[Value], merge_key: &str) -> Result<(), PatchError> {
    if items.is_empty() || order.is_empty() {
        return Ok(());
    }
    let is_special = |item: &Value| item.get(PATCH).is_some();
    let identity = |item: &Value| match (item, merge_key) {
        (item, "") => Ok(item.clone()),
        (Value::Object(members), key) => members.get(key).cloned().ok_or(PatchError::NoMergeKey),
        _ => Err(PatchError::ItemTypes),
    };
    let mut order = order.iter();
    for item in items.iter().filter(|item| !is_special(item)) {
        let wanted = identity(item)?;
        loop {
            match order.next() {
                None => return Err(PatchError::Directive),
                Some(next) if identity(next)? == wanted => break,
                Some(_) => {}
            }
        }
    }
    Ok(())
}

fn list(
    old: Vec<Value>,
    new: Vec<Value>,
    field: &Field,
    place: Place<'_>,
    deletes: bool,
    options: Options,
) -> Result<Vec<Value>, PatchError> {
    if !field.patch.merge && !deletes {
        return Ok(new);
    }
    let merge_key = field.patch.merge_key;
    let Some(kind) = Kind::of_items(old.iter().chain(&new))? else {
        return Ok(old);
    };
    let identity = Identity { kind, merge_key };
    let (server, merged, new) = if kind == Kind::Map {
        if merge_key.is_empty() {
            return Err(PatchError::NoMergeKey);
        }
        let (old, new) = without_special(old, new, merge_key)?;
        let server = old.clone();
        (
            server,
            merge_items(old, &new, place, merge_key, options)?,
            new,
        )
    } else {
        if options.lists && deletes {
            return Ok(old.into_iter().filter(|item| !new.contains(item)).collect());
        }
        let mut merged = old.clone();
        merged.extend(new.iter().cloned());
        deduplicate(&mut merged);
        (old, merged, new)
    };
    let (of_patch, of_server) = identity.partition(merged, &new)?;
    let of_patch = identity.sort(of_patch, &new)?;
    let of_server = identity.sort(of_server, &server)?;
    Ok(identity.zip(of_server, of_patch, &server))
}

/// Carries out what items of a patch say of others.
fn without_special(
    mut old: Vec<Value>,
    new: Vec<Value>,
    merge_key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut others = Vec::with_capacity(new.len());
    let mut replaces = false;
    for item in new {
        let directive = match item.get(PATCH) {
            None => {
                others.push(item);
                continue;
            }
            Some(directive) => directive.as_str(),
        };
        match directive {
            Some(DELETE) => {
                let key = item.get(merge_key).ok_or(PatchError::NoMergeKey)?;
                old.retain(|other| other.get(merge_key) != Some(key));
            }
            Some(REPLACE) => replaces = true,
            _ => return Err(PatchError::Directive),
        }
    }
    Ok(if replaces {
        (others, Vec::new())
    } else {
        (old, others)
    })
}

fn merge_items(
    mut old: Vec<Value>,
    new: &[Value],
    place: Place<'_>,
    merge_key: &str,
    options: Options,
) -> Result<Vec<Value>, PatchError> {
    for item in new {
        let Value::Object(members) = item else {
            return Err(PatchError::ItemTypes);
        };
        let key = members.get(merge_key).ok_or(PatchError::NoMergeKey)?;
        let found = old
            .iter_mut()
            .find(|other| other.get(merge_key) == Some(key));
        match found {
            Some(Value::Object(found)) => {
                *found = merge(std::mem::take(found), members.clone(), place, options)?;
            }
            _ => old.push(item.clone()),
        }
    }
    Ok(old)
}
