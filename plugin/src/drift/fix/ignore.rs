//! The narrowest entry of `ignoreDifferences` for a difference.

use std::fmt::Write as _;

use argocd::application::IgnoreDifference;
use argocd::comparison::{Customizations, IgnoreRules, differences};
use golang::work::Work;
use serde_json::{Map, Value, json};

use crate::drift::{FieldDrift, ResourceDrift};

/// An entry that hides one difference and no other one, by our own comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IgnoreEntry(Value);

impl IgnoreEntry {
    /// The entry for a field of one object; None where none hides it alone.
    pub(crate) fn of(resource: &ResourceDrift, field: &FieldDrift) -> Option<Self> {
        let sides = resource.sides.as_ref()?;
        let (live, desired) = (sides.live()?, sides.desired()?);
        let mut entry = Map::new();
        let names = [
            ("group", &resource.group),
            ("kind", &resource.kind),
            ("name", &resource.name),
            ("namespace", &resource.namespace),
        ];
        for (key, value) in names.into_iter().filter(|(_, value)| !value.is_empty()) {
            entry.insert(key.to_owned(), value.as_str().into());
        }
        let known = if live.pointer(&field.pointer).is_some() {
            &live
        } else {
            &desired
        };
        let (key, path) = path(&field.pointer, known)?;
        entry.insert(key.to_owned(), json!([path]));
        let entry = Value::Object(entry);
        hides_exactly(&entry, &field.pointer, &desired, &live).then_some(IgnoreEntry(entry))
    }

    /// It, as it is written.
    pub(crate) fn value(&self) -> &Value {
        &self.0
    }
}

/// A pointer, or a jq path where an element of a list is on the way, which is named by what names
/// it and not by its place.
fn path(pointer: &str, object: &Value) -> Option<(&'static str, String)> {
    let mut jq = String::new();
    let mut is_plain = true;
    let mut at = Some(object);
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        if let Some(Value::Array(elements)) = at {
            is_plain = false;
            let element = elements.get(name.parse::<usize>().ok()?)?;
            let key = ["name", "type", "key", "mountPath"]
                .into_iter()
                .find_map(|key| {
                    let value = element.get(key)?.as_str()?;
                    let others = elements.iter().filter_map(|other| other.get(key));
                    let is_only = others.filter(|other| *other == value).count() == 1;
                    is_only.then_some((key, value))
                });
            // Writing to a String cannot fail.
            let _ = match key {
                Some((key, value)) => write!(jq, "[] | select(.{key} == {}) | ", json!(value)),
                None => write!(jq, "[{name}]"),
            };
            at = Some(element);
        } else {
            let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !name.starts_with(|c: char| c.is_ascii_digit());
            let _ = if is_word {
                write!(jq, ".{name}")
            } else {
                write!(jq, ".[{}]", json!(name))
            };
            at = at.and_then(|at| at.get(&name));
        }
    }
    let jq = jq.trim_end_matches(" | ").to_owned();
    Some(if is_plain {
        ("jsonPointers", pointer.to_owned())
    } else {
        ("jqPathExpressions", jq)
    })
}

/// Whether an entry makes both sides equal in a field, and leaves all other differences.
fn hides_exactly(entry: &Value, pointer: &str, desired: &Value, live: &Value) -> bool {
    let text = entry.to_string();
    let Ok(read) = serde_json::from_str::<IgnoreDifference<'_>>(&text) else {
        return false;
    };
    let work = Work::new(IgnoreRules::WORK);
    let Ok(rules) = IgnoreRules::new(&[read], &Customizations::default(), &work) else {
        return false;
    };
    let named = |desired: &Value, live: &Value| -> Vec<(Option<Value>, Option<Value>)> {
        let found = differences(desired, live).into_iter();
        found.map(|one| (one.desired, one.live)).collect()
    };
    let before = differences(desired, live).into_iter();
    let others = before.filter(|one| one.pointer != pointer);
    let expected: Vec<_> = others.map(|one| (one.desired, one.live)).collect();
    let (mut new, mut old) = (desired.clone(), live.clone());
    match rules.normalize(&mut new, &mut old, &work) {
        Ok(true) => named(&new, &old) == expected,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drift::field::fields;
    use crate::drift::{Cause, Sides};

    fn resource(desired: &Value, live: &Value) -> ResourceDrift {
        ResourceDrift {
            group: "apps".to_owned(),
            version: Some("v1".to_owned()),
            kind: "Deployment".to_owned(),
            namespace: "shop".to_owned(),
            name: "cart".to_owned(),
            cause: Cause::ChangedByHand,
            effect: None,
            refusal: None,
            fields: fields(desired, live, live, false),
            sides: Some(Sides::new(Some(live), Some(desired), false)),
            written: None,
        }
    }

    fn object(spec: &Value) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "cart", "namespace": "shop"},
            "spec": spec,
        })
    }

    fn entries(desired: &Value, live: &Value) -> Vec<Option<Value>> {
        let resource = resource(&object(desired), &object(live));
        let fields = resource.fields.iter();
        fields
            .map(|field| IgnoreEntry::of(&resource, field).map(|entry| entry.0))
            .collect()
    }

    #[test]
    fn an_entry_names_one_field_of_one_object() {
        let containers = |image: &str| json!([{"name": "proxy", "image": "a"}, {"name": "cart", "image": image}]);
        let desired = json!({"replicas": 2, "containers": containers("a")});
        let live = json!({"replicas": 5, "containers": containers("b"), "paused": true});
        let entry = |key: &str, path: &str| {
            let mut entry =
                json!({"group": "apps", "kind": "Deployment", "name": "cart", "namespace": "shop"});
            entry[key] = json!([path]);
            Some(entry)
        };
        assert_eq!(
            entries(&desired, &live),
            [
                entry(
                    "jqPathExpressions",
                    r#".spec.containers[] | select(.name == "cart") | .image"#
                ),
                entry("jsonPointers", "/spec/paused"),
                entry("jsonPointers", "/spec/replicas"),
            ]
        );
        let odd = |value: u8| json!({"annotations": {"example.com/a~b": value}});
        assert_eq!(
            entries(&odd(1), &odd(2)),
            [entry("jsonPointers", "/spec/annotations/example.com~1a~0b")]
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0u8..4).prop_map(Value::from),
            "[a-c]".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let named = ("[a-c]", inner.clone());
            prop_oneof![
                prop::collection::btree_map("[a-d/~.-]{1,2}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
                prop::collection::vec(named, 0..3).prop_map(|items| items
                    .into_iter()
                    .map(|(name, value)| json!({"name": name, "value": value}))
                    .collect()),
            ]
        })
    }

    proptest! {
        /// What is proposed hides that field, and no other one.
        #[test]
        fn a_proposal_hides_its_field_and_leaves_all_others(desired in values(), live in values()) {
            let (desired, live) = (object(&desired), object(&live));
            let resource = resource(&desired, &live);
            for field in &resource.fields {
                let Some(entry) = IgnoreEntry::of(&resource, field) else {
                    continue;
                };
                let text = entry.0.to_string();
                let read = serde_json::from_str::<IgnoreDifference<'_>>(&text).unwrap();
                let work = Work::new(IgnoreRules::WORK);
                let rules = IgnoreRules::new(&[read], &Customizations::default(), &work).unwrap();
                let (mut new, mut old) = (desired.clone(), live.clone());
                prop_assert!(rules.normalize(&mut new, &mut old, &work).unwrap());
                prop_assert_eq!(differences(&new, &old).len() + 1, resource.fields.len());
            }
        }
    }
}
