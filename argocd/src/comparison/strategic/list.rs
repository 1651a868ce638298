//! The order of lists.

use serde_json::Value;

use super::{DELETE, Kind, PATCH, PatchError, printed};

/// The longest list that Go sorts by insertion.
const INSERTION_SORT: usize = 12;

/// Go's `sort.Sort` of a short list by what is printed of it. Its `Less` is true of equals, which
/// therefore change places.
pub(super) fn sort_printed(items: &mut [Value], merge_key: Option<&str>) {
    let text = |item: &Value| match merge_key {
        Some(key) => printed(item.get(key)),
        None => printed(Some(item)),
    };
    let mut texts: Vec<String> = items.iter().map(text).collect();
    if items.len() > INSERTION_SORT {
        items.sort_by_cached_key(text);
        return;
    }
    for from in 1..items.len() {
        let mut at = from;
        while at > 0 && texts[at] <= texts[at - 1] {
            texts.swap(at, at - 1);
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Go's `deduplicateScalars`, which moves the last item into the place of a duplicate.
pub(super) fn deduplicate(items: &mut Vec<Value>) {
    let mut first = 0;
    while first + 1 < items.len() {
        let mut second = first + 1;
        while second < items.len() {
            if items[first] == items[second] {
                items.swap_remove(second);
            } else {
                second += 1;
            }
        }
        first += 1;
    }
}

/// Whether items of a list are told apart by a field or by their value.
#[derive(Clone, Copy)]
pub(super) struct Identity<'k> {
    pub(super) kind: Kind,
    pub(super) merge_key: &'k str,
}

impl Identity<'_> {
    fn of<'v>(&self, item: &'v Value) -> Option<&'v Value> {
        match self.kind {
            Kind::Map => item.get(self.merge_key).filter(|value| !value.is_null()),
            _ => Some(item),
        }
    }

    /// Where an item is in a list.
    fn index(&self, list: &[Value], item: &Value) -> Option<usize> {
        let wanted = self.of(item);
        list.iter().position(|other| self.of(other) == wanted)
    }

    /// Sorts as the items are in another list; what is deleted comes last.
    pub(super) fn sort(
        &self,
        items: Vec<Value>,
        order: &[Value],
    ) -> Result<Vec<Value>, PatchError> {
        let mut deleted = Vec::new();
        let mut kept = items;
        if self.kind == Kind::Map {
            self.check(kept.iter().chain(order))?;
            (deleted, kept) = kept.into_iter().partition(is_deleted);
        }
        kept.sort_by_cached_key(|item| self.index(order, item).unwrap_or(usize::MAX));
        kept.append(&mut deleted);
        Ok(kept)
    }

    /// Every item is a map with the merge key.
    fn check<'v>(&self, mut items: impl Iterator<Item = &'v Value>) -> Result<(), PatchError> {
        items.try_for_each(|item| match item {
            Value::Object(members) if members.contains_key(self.merge_key) => Ok(()),
            Value::Object(_) => Err(PatchError::NoMergeKey),
            _ => Err(PatchError::ItemTypes),
        })
    }

    /// Puts two lists together, each in its own order, and as the server has them where it has
    /// both (`mergeSortedSlice`).
    pub(super) fn zip(&self, left: Vec<Value>, right: Vec<Value>, server: &[Value]) -> Vec<Value> {
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let mut left = left.into_iter().peekable();
        let mut right = right.into_iter().peekable();
        loop {
            let from_left = match (left.peek(), right.peek()) {
                (None, None) => return merged,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(one), Some(other)) => {
                    match (self.index(server, one), self.index(server, other)) {
                        (Some(one), Some(other)) => one < other,
                        _ => false,
                    }
                }
            };
            merged.extend(if from_left { left.next() } else { right.next() });
        }
    }

    /// Splits into what another list has, and the rest.
    pub(super) fn partition(
        &self,
        items: Vec<Value>,
        by: &[Value],
    ) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
        if self.merge_key.is_empty() {
            return Ok(items.into_iter().partition(|item| by.contains(item)));
        }
        self.check(items.iter())?;
        if by.iter().any(|item| !item.is_object()) && !items.is_empty() {
            return Err(PatchError::ItemTypes);
        }
        let has = |item: &Value| {
            let key = item.get(self.merge_key);
            by.iter().any(|other| other.get(self.merge_key) == key)
        };
        Ok(items.into_iter().partition(has))
    }
}

fn is_deleted(item: &Value) -> bool {
    item.get(PATCH).and_then(Value::as_str) == Some(DELETE)
}
