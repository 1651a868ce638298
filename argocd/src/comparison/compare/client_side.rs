//! Three-way and two-way.

use serde_json::{Map, Value};

use super::{CompareError, Comparer};
use crate::comparison::ignore::ComparisonError;
use crate::comparison::merge_patch;
use crate::comparison::object::{LAST_APPLIED, annotation, kind_of, with_integers};
use crate::comparison::scheme::{
    Scheme, Type, decode, encode, keep_fields, keep_members, set_defaults,
};
use crate::comparison::strategic::{self, PatchError};
use crate::comparison::verdict::{Comparison, Method};

type Members = Map<String, Value>;

impl Comparer<'_> {
    pub(super) fn client_side(
        &mut self,
        desired: &Value,
        live: Value,
    ) -> Result<Comparison, CompareError> {
        let (Value::Object(desired), Value::Object(live)) = (desired, live) else {
            return Err(ComparisonError::NothingLeft.into());
        };
        let wanted = without_namespace(desired)?;
        if let Some(mut original) = last_applied(&live) {
            self.normalize(&mut original)?;
            let Value::Object(original) = original else {
                return Err(ComparisonError::NothingLeft.into());
            };
            let original = without_namespace(&original)?;
            if let Ok(comparison) = three_way(&original, &wanted, &live, Method::ThreeWay) {
                return Ok(comparison);
            }
        }
        Ok(three_way(&wanted, &wanted, &live, Method::TwoWay)?)
    }
}

/// What was applied last, if that is an object with a kind.
fn last_applied(live: &Members) -> Option<Value> {
    let object = live.get("metadata").map(|metadata| {
        Value::Object(Map::from_iter([("metadata".to_owned(), metadata.clone())]))
    })?;
    let text = annotation(&object, LAST_APPLIED);
    let mut original: Value = serde_json::from_str(text).ok()?;
    with_integers(&mut original);
    let has_kind = original.is_object() && !kind_of(&original).1.is_empty();
    has_kind.then_some(original)
}

/// An object without its namespace, which a manifest need not have, and without annotations that
/// are empty.
fn without_namespace(object: &Members) -> Result<Members, CompareError> {
    let mut object = object.clone();
    match object.get_mut("metadata") {
        Some(Value::Object(metadata)) => {
            metadata.remove("namespace");
            let is_empty =
                metadata
                    .get("annotations")
                    .is_some_and(|annotations| match annotations {
                        Value::Null => true,
                        Value::Object(annotations) => annotations.is_empty(),
                        _ => false,
                    });
            if is_empty {
                metadata.remove("annotations");
            }
        }
        Some(_) => return Err(CompareError::Metadata),
        None => {}
    }
    Ok(object)
}

fn three_way(
    original: &Members,
    desired: &Members,
    live: &Members,
    method: Method,
) -> Result<Comparison, PatchError> {
    let text = |name: &str| {
        original
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (version, kind) = (text("apiVersion"), text("kind"));
    let (predicted, live) = if let Some(number) = Scheme::kubernetes().kind(version, kind) {
        let of = Type::Struct(number);
        let patch = if is_stateful_set(version, kind) {
            let live = without_claim_defaults(original, live);
            strategic::three_way(original, desired, &live, &of)?
        } else {
            strategic::three_way(original, desired, live, &of)?
        };
        let predicted = strategic::apply(live.clone(), patch, &of)?;
        let live = with_defaults(live.clone(), number)?;
        (with_defaults(predicted, number)?, live)
    } else {
        let mut known = live.clone();
        keep_members(original, &mut known);
        let patch = merge_patch::three_way(original, desired, &known);
        let mut predicted = live.clone();
        merge_patch::apply(&mut predicted, patch);
        (predicted, live.clone())
    };
    Ok(Comparison {
        modified: predicted != live,
        predicted: Value::Object(predicted),
        live: Value::Object(live),
        method,
    })
}

fn is_stateful_set(version: &str, kind: &str) -> bool {
    (version.starts_with("apps/") || version.starts_with("extensions/")) && kind == "StatefulSet"
}

/// A live `StatefulSet` whose claims have only the fields that they were applied with: what the
/// API server sets in them cannot be told by the type (gitops-engine `statefulSetWorkaround`).
fn without_claim_defaults(original: &Members, live: &Members) -> Members {
    let mut live = live.clone();
    let claims = |object: &Members| {
        let claims = object.get("spec")?.get("volumeClaimTemplates")?;
        claims.is_array().then(|| claims.clone())
    };
    if let Some(original) = claims(original)
        && let Some(Value::Object(spec)) = live.get_mut("spec")
        && let Some(live @ Value::Array(_)) = spec.get_mut("volumeClaimTemplates")
    {
        keep_fields(&original, live);
    }
    live
}

/// An object with the defaults of its kind. One that is not of its type has none.
pub(super) fn with_defaults(object: Members, number: usize) -> Result<Members, PatchError> {
    let of = Type::Struct(number);
    let object = Value::Object(object);
    let typed = decode(&of, &object);
    let Value::Object(object) = object else {
        return Ok(Map::new());
    };
    let Ok(typed) = typed else {
        return Ok(object);
    };
    let mut defaulted = typed.clone();
    set_defaults(number, &mut defaulted);
    // A field that replaces the other one drops what the type does not write.
    if defaulted == typed && !Scheme::kubernetes().get(number).replaces {
        return Ok(object);
    }
    match (encode(&of, &typed), encode(&of, &defaulted)) {
        (Value::Object(typed), Value::Object(defaulted)) => {
            let patch = strategic::two_way(&typed, &defaulted, &of)?;
            strategic::apply(object, patch, &of)
        }
        _ => Ok(object),
    }
}
