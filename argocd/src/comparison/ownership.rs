//! Who owns a field of a live object, by its `managedFields`.
//!
//! Follows how Kubernetes writes sets of fields (`sigs.k8s.io/structured-merge-diff`, package
//! `fieldpath`): `f:` is a member by its name, `k:` an element of a list by its keys, `v:` by its
//! value, `i:` by its place, and `.` the field itself beside what is below it.

use serde_json::{Map, Value};

/// Who writes fields of an object: an entry of `metadata.managedFields`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FieldManager<'o> {
    /// The name that the writer gave, or the API server took from its user agent.
    pub manager: &'o str,
    /// `Apply` or `Update`.
    pub operation: &'o str,
    /// The subresource that was written, such as `scale`; empty for the object itself.
    pub subresource: &'o str,
    /// When it last changed one of its fields (RFC 3339); None where the API server does not say.
    pub time: Option<&'o str>,
}

/// Who owns which fields of a live object.
#[derive(Clone, Debug)]
pub struct Ownership<'o> {
    live: &'o Value,
    entries: Vec<(FieldManager<'o>, &'o Map<String, Value>)>,
}

/// How surely a set of fields makes its manager the owner of one of them, the least sure first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Claim {
    /// It has only fields below it.
    Parts,
    /// It has a field above it, so many steps from the top, and nothing below that: it wrote that
    /// as a whole.
    Whole(usize),
    /// It has the field itself.
    Field,
}

impl<'o> Ownership<'o> {
    /// Reads an object with its `managedFields`. Entries that are not as Kubernetes writes them
    /// own nothing.
    pub fn of(live: &'o Value) -> Self {
        let entries = live
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        let text = |entry: &'o Value, name| entry.get(name).and_then(Value::as_str);
        let entries = entries.into_iter().flatten().filter_map(|entry| {
            let manager = FieldManager {
                manager: text(entry, "manager")?,
                operation: text(entry, "operation").unwrap_or_default(),
                subresource: text(entry, "subresource").unwrap_or_default(),
                time: text(entry, "time"),
            };
            let fields = entry.get("fieldsV1")?.as_object()?;
            (!fields.is_empty()).then_some((manager, fields))
        });
        Ownership {
            live,
            entries: entries.collect(),
        }
    }

    /// All who write the object.
    pub fn managers(&self) -> impl Iterator<Item = FieldManager<'o>> {
        self.entries.iter().map(|(manager, _)| *manager)
    }

    /// The owners of a field by its JSON Pointer, in the order of `managedFields`: those of the
    /// field itself, else those of the nearest field above it that was written as a whole, else
    /// those of what is below it. A field that is not there has no owner any more.
    pub fn owners(&self, pointer: &str) -> Vec<FieldManager<'o>> {
        let Some(steps) = steps(pointer) else {
            return Vec::new();
        };
        let claims = self.entries.iter().filter_map(|(manager, fields)| {
            let claim = claim(fields, self.live, &steps, 0)?;
            Some((claim, *manager))
        });
        let claims: Vec<_> = claims.collect();
        let surest = claims.iter().map(|(claim, _)| *claim).max();
        let owners = claims.into_iter();
        owners
            .filter(|(claim, _)| Some(*claim) == surest)
            .map(|(_, manager)| manager)
            .collect()
    }

    /// Whether somebody owns elements of the list at a JSON Pointer, each by itself: the API server
    /// merges it.
    pub fn has_elements(&self, pointer: &str) -> bool {
        steps(pointer).is_some_and(|steps| {
            let mut entries = self.entries.iter();
            entries.any(|(_, fields)| has_elements(fields, self.live, &steps))
        })
    }
}

/// Whether a set of fields has elements of the list at some steps, each by itself.
fn has_elements(fields: &Map<String, Value>, live: &Value, steps: &[String]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return fields
            .keys()
            .any(|key| key.starts_with("k:") || key.starts_with("v:"));
    };
    let below = match live {
        Value::Object(members) => members.get(step),
        Value::Array(elements) => step.parse::<usize>().ok().and_then(|at| elements.get(at)),
        _ => None,
    };
    below.is_some_and(|below| {
        fields.iter().any(|(key, inner)| {
            let inner = inner.as_object();
            inner.is_some_and(|inner| {
                names(key, live, step, below) && has_elements(inner, below, rest)
            })
        })
    })
}

/// The steps of a JSON Pointer; None for a text that is not one.
fn steps(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let steps = pointer.strip_prefix('/')?.split('/');
    Some(
        steps
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect(),
    )
}

fn claim(
    fields: &Map<String, Value>,
    live: &Value,
    steps: &[String],
    depth: usize,
) -> Option<Claim> {
    let Some((step, rest)) = steps.split_first() else {
        let has_itself = fields.is_empty() || fields.contains_key(".");
        return Some(if has_itself {
            Claim::Field
        } else {
            Claim::Parts
        });
    };
    let below = match live {
        Value::Object(members) => members.get(step)?,
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?)?,
        _ => return None,
    };
    if fields.is_empty() {
        // Only a field that is there has an owner.
        let pointer_leads_on = leads_on(below, rest);
        return pointer_leads_on.then_some(Claim::Whole(depth));
    }
    let claims = fields.iter().filter_map(|(key, inner)| {
        let inner = inner.as_object()?;
        names(key, live, step, below).then(|| claim(inner, below, rest, depth + 1))?
    });
    claims.max()
}

fn leads_on(value: &Value, steps: &[String]) -> bool {
    let mut value = value;
    for step in steps {
        let below = match value {
            Value::Object(members) => members.get(step),
            Value::Array(elements) => step.parse::<usize>().ok().and_then(|at| elements.get(at)),
            _ => None,
        };
        match below {
            Some(below) => value = below,
            None => return false,
        }
    }
    true
}

/// Whether a key of a set of fields names what a step leads to.
fn names(key: &str, live: &Value, step: &str, below: &Value) -> bool {
    let Some((form, text)) = key.split_once(':') else {
        return false;
    };
    let is_element = live.is_array();
    match form {
        "f" => !is_element && text == step,
        "i" => is_element && text == step,
        "v" => is_element && serde_json::from_str::<Value>(text).is_ok_and(|value| value == *below),
        "k" => {
            let keys = serde_json::from_str::<Map<String, Value>>(text);
            is_element
                && keys.is_ok_and(|keys| {
                    let mut keys = keys.iter();
                    keys.all(|(name, value)| below.get(name) == Some(value))
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn with_fields(mut live: Value, entries: &[(&str, Value)]) -> Value {
        let entries = entries.iter().map(|(manager, fields)| {
            json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields})
        });
        live["metadata"]["managedFields"] = entries.collect();
        live
    }

    fn owners<'o>(live: &'o Value, pointer: &str) -> Vec<&'o str> {
        let owners = Ownership::of(live).owners(pointer).into_iter();
        owners.map(|owner| owner.manager).collect()
    }

    #[test]
    fn an_entry_is_read_as_it_is_written() {
        let live = json!({
            "spec": {"replicas": 3},
            "metadata": {"managedFields": [
                {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
                 "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-30T10:00:00Z",
                 "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": 7, "fieldsV1": {"f:spec": {}}},
                {"manager": "no fields"},
                {"manager": "empty", "fieldsV1": {}},
                "text",
            ]},
        });
        assert_eq!(
            Ownership::of(&live).owners("/spec/replicas"),
            [
                FieldManager {
                    manager: "kube-controller-manager",
                    operation: "Update",
                    subresource: "scale",
                    time: None,
                },
                FieldManager {
                    manager: "kubectl-edit",
                    operation: "Update",
                    subresource: "",
                    time: Some("2026-11-30T10:00:00Z"),
                },
            ]
        );
    }

    #[test]
    fn elements_are_found_by_keys_value_and_place() {
        let live = with_fields(
            json!({
                "metadata": {"finalizers": ["keep", "other"]},
                "spec": {
                    "ports": [
                        {"port": 80, "protocol": "TCP", "targetPort": 1},
                        {"port": 80, "protocol": "UDP", "targetPort": 2},
                    ],
                    "plain": ["a", "b"],
                },
            }),
            &[
                (
                    "tcp",
                    json!({"f:spec": {"f:ports": {r#"k:{"port":80,"protocol":"TCP"}"#: {".": {}, "f:targetPort": {}}}}}),
                ),
                (
                    "udp",
                    json!({"f:spec": {"f:ports": {r#"k:{"port":80,"protocol":"UDP"}"#: {".": {}, "f:targetPort": {}}}}}),
                ),
                (
                    "keeper",
                    json!({"f:metadata": {"f:finalizers": {".": {}, r#"v:"keep""#: {}}}}),
                ),
                ("second", json!({"f:spec": {"f:plain": {"i:1": {}}}})),
            ],
        );
        for (pointer, expected) in [
            ("/spec/ports/0/targetPort", &["tcp"][..]),
            ("/spec/ports/1/targetPort", &["udp"]),
            ("/spec/ports/1", &["udp"]),
            ("/spec/ports/2", &[]),
            ("/spec/ports", &["tcp", "udp"]),
            ("/metadata/finalizers/0", &["keeper"]),
            ("/metadata/finalizers/1", &[]),
            ("/metadata/finalizers", &["keeper"]),
            ("/spec/plain/1", &["second"]),
            ("/spec/plain/0", &[]),
            ("not a pointer", &[]),
        ] {
            assert_eq!(owners(&live, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn the_most_specific_owner_counts() {
        let live = with_fields(
            json!({"metadata": {"labels": {"a": "1"}}, "spec": {"selector": {"app": "x"}, "args": ["1"]}}),
            &[
                ("map", json!({"f:metadata": {"f:labels": {".": {}}}})),
                ("label", json!({"f:metadata": {"f:labels": {"f:a": {}}}})),
                ("whole", json!({"f:spec": {"f:selector": {}, "f:args": {}}})),
                ("further up", json!({"f:spec": {}})),
            ],
        );
        assert_eq!(owners(&live, "/metadata/labels/a"), ["label"]);
        assert_eq!(owners(&live, "/metadata/labels"), ["map"]);
        assert_eq!(owners(&live, "/spec/selector/app"), ["whole"]);
        assert_eq!(owners(&live, "/spec/args/0"), ["whole"]);
        // It is not there any more, so nobody owns it.
        assert_eq!(owners(&live, "/metadata/labels/b"), [""; 0]);
        assert_eq!(owners(&live, "/spec/selector/app/x"), [""; 0]);
    }

    #[test]
    fn a_malformed_set_owns_nothing_and_does_no_harm() {
        for fields in [
            json!({"f:spec": 7}),
            json!({"f:spec": {"k:nonsense": {}}}),
            json!({"f:spec": {"v:": {}}}),
            json!({"spec": {"replicas": {}}}),
            json!({"": {}}),
        ] {
            let live = with_fields(json!({"spec": {"list": [1]}}), &[("x", fields.clone())]);
            assert_eq!(owners(&live, "/spec/list/0"), [""; 0], "{fields}");
        }
    }

    /// A map of maps and of lists by name, whose leaves are plain.
    fn tree() -> impl Strategy<Value = Value> {
        let leaf = (0..9i64).prop_map(Value::from);
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::btree_map("[ab/~]{1,2}", inner.clone(), 1..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
                prop::collection::vec(inner, 1..4).prop_map(|values| {
                    let element = |(at, value)| json!({"name": format!("n{at}"), "value": value});
                    values.into_iter().enumerate().map(element).collect()
                }),
            ]
        })
    }

    /// The pointers of all leaves, each with the keys that lead to it in a set of fields.
    fn leaves(value: &Value, at: (String, Vec<String>), found: &mut Vec<(String, Vec<String>)>) {
        let (pointer, keys) = at;
        let mut below = |step: &str, key: String, value: &Value| {
            let mut keys = keys.clone();
            keys.push(key);
            leaves(value, (format!("{pointer}/{step}"), keys), found);
        };
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let step = name.replace('~', "~0").replace('/', "~1");
                    below(&step, format!("f:{name}"), value);
                }
            }
            Value::Array(elements) => {
                for (place, element) in elements.iter().enumerate() {
                    let key = json!({"name": element["name"]});
                    below(&place.to_string(), format!("k:{key}"), element);
                }
            }
            _ => found.push((pointer, keys)),
        }
    }

    proptest! {
        #[test]
        fn each_leaf_belongs_to_whoever_has_it(tree in tree(), seed in any::<u64>()) {
            let live = json!({"spec": {"tree": tree}});
            let mut all = Vec::new();
            leaves(&live["spec"], ("/spec".to_owned(), vec!["f:spec".to_owned()]), &mut all);
            let managers = ["one", "two", "three"];
            let mut sets = [json!({}), json!({}), json!({})];
            let mut expected = Vec::new();
            for (at, (pointer, keys)) in all.iter().enumerate() {
                let chosen = (seed.rotate_left(u32::try_from(at % 64).unwrap() * 3) ^ at as u64) % 8;
                let mut owners = BTreeSet::new();
                for (number, set) in sets.iter_mut().enumerate() {
                    if chosen & (1 << number) == 0 {
                        continue;
                    }
                    owners.insert(managers[number]);
                    let mut set = set;
                    for key in keys {
                        set = &mut set[key];
                    }
                    *set = json!({});
                }
                expected.push((pointer, owners));
            }
            let entries: Vec<_> = managers.into_iter().zip(sets).collect();
            let live = with_fields(live, &entries);
            for (pointer, expected) in expected {
                let found: BTreeSet<&str> = owners(&live, pointer).into_iter().collect();
                prop_assert_eq!(found, expected, "{}", pointer);
            }
        }
    }
}
