//! Deleting the places that a jq expression names.
//!
//! Follows gojq's `delpaths`: everything is found before anything goes, so that indices into a list
//! do not shift, and if one place cannot be, nothing is deleted. What is not there is not deleted.

use std::collections::HashSet;
use std::ptr;

use serde_json::Value;

/// A path leads through something that has no such places, or names the object itself.
pub(super) struct NoSuchPlace;

/// A step of a path.
pub(super) enum Step<'p> {
    /// The member of an object.
    Member(&'p str),
    /// The item of a list; a negative one counts from its end.
    Item(isize),
    /// Part of a list, likewise.
    Part {
        /// The first item.
        start: isize,
        /// The item after the last one.
        end: isize,
    },
}

/// Places of an object that are to be deleted, by their address.
pub(super) struct Deletion<'o> {
    object: &'o Value,
    places: HashSet<*const Value>,
}

impl<'o> Deletion<'o> {
    pub(super) fn from(object: &'o Value) -> Self {
        Deletion {
            object,
            places: HashSet::new(),
        }
    }

    /// Adds the place, or the places, that a path names.
    pub(super) fn add(&mut self, path: &[Step<'_>]) -> Result<(), NoSuchPlace> {
        if path.is_empty() {
            return Err(NoSuchPlace);
        }
        self.find(self.object, path)
    }

    /// What remains.
    pub(super) fn rest(&self) -> Value {
        self.rest_of(self.object)
    }

    fn find(&mut self, value: &Value, path: &[Step<'_>]) -> Result<(), NoSuchPlace> {
        let Some((step, way)) = path.split_first() else {
            self.places.insert(ptr::from_ref(value));
            return Ok(());
        };
        match (value, step) {
            (Value::Null, _) => Ok(()),
            (Value::Object(members), Step::Member(name)) => match members.get(*name) {
                Some(member) => self.find(member, way),
                None => Ok(()),
            },
            (Value::Array(items), _) => self.find_item(items, step, way),
            _ => Err(NoSuchPlace),
        }
    }

    fn find_item(
        &mut self,
        items: &[Value],
        step: &Step<'_>,
        way: &[Step<'_>],
    ) -> Result<(), NoSuchPlace> {
        match *step {
            Step::Member(_) => Err(NoSuchPlace),
            Step::Item(index) => match counted(index, items.len()).and_then(|i| items.get(i)) {
                Some(item) => self.find(item, way),
                None => Ok(()),
            },
            Step::Part { start, end } => {
                let bound = |index| counted(index, items.len()).unwrap_or(0).min(items.len());
                let part = items.get(bound(start)..bound(end)).unwrap_or_default();
                if let Some((step, way)) = way.split_first() {
                    return self.find_item(part, step, way);
                }
                self.places.extend(part.iter().map(ptr::from_ref));
                Ok(())
            }
        }
    }

    fn rest_of(&self, value: &Value) -> Value {
        let stays = |value: &Value| !self.places.contains(&ptr::from_ref(value));
        match value {
            Value::Object(members) => {
                let members = members.iter().filter(|(_, member)| stays(member));
                members
                    .map(|(name, member)| (name.clone(), self.rest_of(member)))
                    .collect()
            }
            Value::Array(items) => {
                let items = items.iter().filter(|item| stays(item));
                items.map(|item| self.rest_of(item)).collect()
            }
            other => other.clone(),
        }
    }
}

/// An index from the start of a list. `None` if it is before that.
fn counted(index: isize, length: usize) -> Option<usize> {
    if index < 0 {
        length.checked_sub(index.unsigned_abs())
    } else {
        Some(index.unsigned_abs())
    }
}
