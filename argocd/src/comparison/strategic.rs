//! Strategic merge patches, as Kubernetes makes and applies them.
//!
//! Follows `apimachinery/pkg/util/strategicpatch` 0.36: `CreateThreeWayMergePatch`,
//! `CreateTwoWayMergePatch`, `StrategicMergePatch`. Which lists are merged, and by which field,
//! the Go type of the kind says.

mod difference;
mod list;
mod merge;

use serde_json::{Map, Value};

pub(super) use self::difference::{three_way, two_way};
pub(super) use self::merge::apply;
use super::scheme::{Field, Scheme, Type};

/// Marks what becomes of a map: replaced or deleted.
const PATCH: &str = "$patch";
const DELETE: &str = "delete";
const REPLACE: &str = "replace";
/// The only fields that a map keeps.
const RETAIN_KEYS: &str = "$retainKeys";
/// Which items of a list of scalars go.
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
/// In which order the items of a list are.
const SET_ELEMENT_ORDER: &str = "$setElementOrder";

type Members = Map<String, Value>;

/// Why there is no patch, or it cannot be applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatchError {
    /// A map or a list differs in a place that the type does not have.
    #[error("expected only fields that its kind has, but another one differs")]
    UnknownField,
    /// Items of a list that is merged are of several types, or null, or lists.
    #[error("expected the items of a merged list to be of one type")]
    ItemTypes,
    /// An item of a list that is merged lacks the field by which it is known.
    #[error("expected every item of a merged list to have its merge key")]
    NoMergeKey,
    /// A value has a directive of a patch, or the wrong type for one.
    #[error("expected an object without directives of a patch")]
    Directive,
}

/// Where in a type one is.
#[derive(Clone, Copy, Debug)]
struct Place<'s>(&'s Type);

impl<'s> Place<'s> {
    /// The field of a name, below a pointer at most (`LookupPatchMetadataForStruct`).
    fn field(self, name: &str) -> Result<&'s Field, PatchError> {
        let of = match self.0 {
            Type::Pointer(of) => of,
            of => of,
        };
        match of {
            Type::Struct(number) => Scheme::kubernetes().get(*number).field(name),
            _ => None,
        }
        .ok_or(PatchError::UnknownField)
    }

    fn of_map(field: &'s Field) -> Self {
        Place(&field.of)
    }

    /// The items of a field (`LookupPatchMetadataForSlice`).
    fn of_list(field: &'s Field) -> Result<Self, PatchError> {
        match &field.of {
            Type::List(of) => match **of {
                Type::List(_) | Type::Bytes => Err(PatchError::UnknownField),
                _ => Ok(Place(of)),
            },
            Type::Bytes => Ok(Place(&Type::Int32)),
            Type::Pointer(of) => Ok(match &**of {
                Type::List(of) => Place(of),
                of => Place(of),
            }),
            _ => Err(PatchError::UnknownField),
        }
    }
}

/// What Go calls the type of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Null,
    Bool,
    Integer,
    Float,
    Text,
    List,
    Map,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Number(number) if number.is_i64() => Kind::Integer,
            Value::Number(_) => Kind::Float,
            Value::String(_) => Kind::Text,
            Value::Array(_) => Kind::List,
            Value::Object(_) => Kind::Map,
        }
    }

    /// The type of all items.
    fn of_items<'v>(items: impl Iterator<Item = &'v Value>) -> Result<Option<Self>, PatchError> {
        let mut found = None;
        for item in items {
            let of = Kind::of(item);
            match found {
                None if matches!(of, Kind::Null | Kind::List) => return Err(PatchError::ItemTypes),
                None => found = Some(of),
                Some(found) if found != of => return Err(PatchError::ItemTypes),
                Some(_) => {}
            }
        }
        Ok(found)
    }
}

/// How Go prints a scalar, which decides on the order of some lists.
fn printed(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "<nil>".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(float) if !number.is_i64() => golang::fmt::float(float),
            _ => number.to_string(),
        },
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
