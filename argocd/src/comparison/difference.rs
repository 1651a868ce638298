//! The fields in which two JSON trees differ.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::ownership::{FieldManager, Ownership};

/// A field that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Where it is (RFC 6901): in the live tree, or in the desired one where the live one does not
    /// have it.
    pub pointer: String,
    /// What is desired; None where it is to be absent.
    pub desired: Option<Value>,
    /// What is there; None where it is absent.
    pub live: Option<Value>,
}

impl Difference {
    /// What differs of the elements of a list whose order says nothing: none where only that does.
    /// Empty for what is not a list on both sides.
    fn of_elements(&self) -> Vec<Difference> {
        let (Some(Value::Array(desired)), Some(Value::Array(live))) = (&self.desired, &self.live)
        else {
            return Vec::new();
        };
        let keyed = KEYS.iter().find_map(|key| keyed_pairs(key, desired, live));
        let pairs = keyed.unwrap_or_else(|| equal_pairs(desired, live));
        let mut found = Vec::new();
        compare_pairs(&mut self.pointer.clone(), desired, live, pairs, &mut found);
        found
    }

    /// Who owns what differs in a live object. The API server does not note the order of a list
    /// that it merges: of such a list those do who own elements that differ, and nobody where it
    /// has lost some, or has them in another order.
    pub fn owners<'o>(&self, ownership: &Ownership<'o>) -> Vec<FieldManager<'o>> {
        let are_lists = matches!(
            (&self.desired, &self.live),
            (Some(Value::Array(_)), Some(Value::Array(_)))
        );
        if !are_lists || !ownership.has_elements(&self.pointer) {
            return ownership.owners(&self.pointer);
        }
        let mut owners = Vec::new();
        for element in self.of_elements().iter().filter(|one| one.live.is_some()) {
            for owner in element.owners(ownership) {
                if !owners.contains(&owner) {
                    owners.push(owner);
                }
            }
        }
        owners
    }
}

/// What tells the elements of a list apart, the first that all of them have: keys by which
/// Kubernetes merges lists of its built-in kinds, and `name`, by which people name things.
const KEYS: [&[&str]; 9] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["mountPath"],
    &["devicePath"],
    &["topologyKey", "whenUnsatisfiable"],
    &["ip"],
    &["type"],
    &["uid"],
];

/// The fields in which two trees differ, in the order of their names.
///
/// A member that is `null` is one that is absent. Elements of a list are matched by what names
/// them, else by their place. A list that has the same elements in another order, or plain values
/// in another number, differs as a whole.
pub fn differences(desired: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&mut String::new(), Some(desired), Some(live), &mut found);
    found
}

/// Where a field of one tree stands in another one, whose lists may be in another order: their
/// elements are matched as those of [`differences`]. It ends with what the other tree does not have.
pub fn counterpart(pointer: &str, from: &Value, to: &Value) -> String {
    let mut place = String::new();
    let (mut from, mut to) = (Some(from), Some(to));
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        match (from, to) {
            (Some(Value::Array(own)), Some(Value::Array(others))) => {
                let Some(at) = name.parse().ok().and_then(|at| place_in(others, own, at)) else {
                    return place;
                };
                let _ = write!(place, "/{at}");
                from = name.parse().ok().and_then(|at: usize| own.get(at));
                to = others.get(at);
            }
            (_, Some(Value::Object(members))) => {
                push_token(&mut place, &name);
                from = from.and_then(|from| from.get(&name));
                to = members.get(&name);
            }
            _ => return place,
        }
    }
    place
}

/// Which element of a list an element of another one is.
fn place_in(others: &[Value], own: &[Value], at: usize) -> Option<usize> {
    match matched(others, own) {
        Matched::Pairs(pairs) => pairs
            .into_iter()
            .find(|(_, own)| *own == Some(at))
            .and_then(|(other, _)| other),
        Matched::Wholly => None,
    }
}

fn compare(
    pointer: &mut String,
    desired: Option<&Value>,
    live: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let desired = desired.filter(|value| !value.is_null());
    let live = live.filter(|value| !value.is_null());
    match (desired, live) {
        (Some(Value::Object(desired)), Some(Value::Object(live))) => {
            compare_members(pointer, desired, live, found);
        }
        (Some(Value::Array(desired)), Some(Value::Array(live))) => {
            compare_elements(pointer, desired, live, found);
        }
        // Labels, data or limits that are absent as a whole: each of them has an owner of its own.
        (Some(Value::Object(members)), None) if is_flat(members) => {
            compare_members(pointer, members, &Map::new(), found);
        }
        (None, Some(Value::Object(members))) if is_flat(members) => {
            compare_members(pointer, &Map::new(), members, found);
        }
        (desired, live) if desired == live => {}
        (desired, live) => found.push(Difference {
            pointer: pointer.clone(),
            desired: desired.cloned(),
            live: live.cloned(),
        }),
    }
}

fn compare_members(
    pointer: &mut String,
    desired: &Map<String, Value>,
    live: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let names: BTreeSet<&String> = desired.keys().chain(live.keys()).collect();
    for name in names {
        let length = pointer.len();
        push_token(pointer, name);
        compare(pointer, desired.get(name), live.get(name), found);
        pointer.truncate(length);
    }
}

fn compare_elements(
    pointer: &mut String,
    desired: &[Value],
    live: &[Value],
    found: &mut Vec<Difference>,
) {
    if desired == live {
        return;
    }
    let Matched::Pairs(pairs) = matched(desired, live) else {
        found.push(Difference {
            pointer: pointer.clone(),
            desired: Some(desired.to_vec().into()),
            live: Some(live.to_vec().into()),
        });
        return;
    };
    compare_pairs(pointer, desired, live, pairs, found);
}

/// The places of one element in the desired list and the live one.
type Pairs = Vec<(Option<usize>, Option<usize>)>;

fn compare_pairs(
    pointer: &mut String,
    desired: &[Value],
    live: &[Value],
    pairs: Pairs,
    found: &mut Vec<Difference>,
) {
    for (desired_place, live_place) in pairs {
        let Some(place) = live_place.or(desired_place) else {
            continue;
        };
        let length = pointer.len();
        let _ = write!(pointer, "/{place}");
        let desired = desired_place.and_then(|place| desired.get(place));
        let live = live_place.and_then(|place| live.get(place));
        match (desired, live) {
            (Some(_), Some(_)) => compare(pointer, desired, live, found),
            // An element that is absent is one difference, whatever it has.
            (desired, live) => found.push(Difference {
                pointer: pointer.clone(),
                desired: desired.cloned(),
                live: live.cloned(),
            }),
        }
        pointer.truncate(length);
    }
}

/// Which elements of two lists are the same one.
enum Matched {
    Pairs(Pairs),
    /// The lists differ as wholes.
    Wholly,
}

fn matched(desired: &[Value], live: &[Value]) -> Matched {
    if let Some(matched) = KEYS.iter().find_map(|key| keyed(key, desired, live)) {
        return matched;
    }
    if desired.len() == live.len() && !is_permuted(desired, live) {
        let places = 0..live.len();
        return Matched::Pairs(places.map(|place| (Some(place), Some(place))).collect());
    }
    Matched::Wholly
}

/// The elements by a key. None where it does not tell all of them apart.
fn keyed(key: &[&str], desired: &[Value], live: &[Value]) -> Option<Matched> {
    let pairs = keyed_pairs(key, desired, live)?;
    let common = pairs.iter().filter(|(_, live)| live.is_some());
    let is_ordered = common.filter_map(|(desired, _)| *desired).is_sorted();
    Some(if is_ordered {
        Matched::Pairs(pairs)
    } else {
        Matched::Wholly
    })
}

/// The same whatever their order.
fn keyed_pairs(key: &[&str], desired: &[Value], live: &[Value]) -> Option<Pairs> {
    let (desired, live) = (names(key, desired)?, names(key, live)?);
    let place = |name: &String| desired.iter().position(|other| other == name);
    let there = live.iter().enumerate();
    let there = there.map(|(at, name)| (place(name), Some(at)));
    let gone = desired.iter().enumerate();
    let gone = gone.filter(|(_, name)| !live.contains(name));
    Some(there.chain(gone.map(|(at, _)| (Some(at), None))).collect())
}

/// The elements by their values, whatever their order.
fn equal_pairs(desired: &[Value], live: &[Value]) -> Pairs {
    let mut left: Vec<usize> = (0..desired.len()).collect();
    let mut pairs = Vec::with_capacity(live.len());
    for (at, value) in live.iter().enumerate() {
        let found = left
            .iter()
            .position(|other| desired.get(*other) == Some(value));
        pairs.push((found.map(|found| left.remove(found)), Some(at)));
    }
    pairs.extend(left.into_iter().map(|at| (Some(at), None)));
    pairs
}

/// What each element is called; None where some have no name, or the same.
fn names(key: &[&str], elements: &[Value]) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(elements.len());
    for element in elements {
        let element = element.as_object()?;
        let mut name = String::new();
        for field in key {
            let value = element.get(*field)?;
            if value.is_object() || value.is_array() || value.is_null() {
                return None;
            }
            let _ = write!(name, "{value} ");
        }
        if !seen.insert(name.clone()) {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

/// Whether two lists of the same length have the same plain values in another order.
fn is_permuted(desired: &[Value], live: &[Value]) -> bool {
    let sorted = |values: &[Value]| {
        let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
        texts.sort_unstable();
        texts
    };
    sorted(desired) == sorted(live)
}

/// Whether a map has members, none of which has members or elements itself.
fn is_flat(members: &Map<String, Value>) -> bool {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array() && !value.is_null();
    !members.is_empty() && members.values().all(is_plain)
}

/// Adds a step to a JSON Pointer.
fn push_token(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn found(desired: &Value, live: &Value) -> Vec<(String, Value, Value)> {
        let found = differences(desired, live).into_iter();
        found
            .map(|difference| {
                let Difference {
                    pointer,
                    desired,
                    live,
                } = difference;
                (
                    pointer,
                    desired.unwrap_or_default(),
                    live.unwrap_or_default(),
                )
            })
            .collect()
    }

    fn one(pointer: &str, desired: Value, live: Value) -> Vec<(String, Value, Value)> {
        vec![(pointer.to_owned(), desired, live)]
    }

    #[test]
    fn a_field_is_named_by_its_pointer() {
        assert_eq!(
            found(
                &json!({"metadata": {"labels": {"a/b": "x", "c~d": "y"}}}),
                &json!({"metadata": {"labels": {"a/b": "z", "c~d": "y"}}})
            ),
            one("/metadata/labels/a~1b", json!("x"), json!("z"))
        );
        assert_eq!(found(&json!({"a": 1}), &json!({"a": 1})), []);
        assert_eq!(
            found(&json!({"a": {"b": 1}}), &json!({"a": "text"})),
            one("/a", json!({"b": 1}), json!("text"))
        );
    }

    #[test]
    fn what_is_null_is_absent() {
        assert_eq!(found(&json!({"a": null}), &json!({})), []);
        assert_eq!(
            found(&json!({"a": null}), &json!({"a": 1})),
            one("/a", Value::Null, json!(1))
        );
    }

    #[test]
    fn of_plain_members_that_are_all_absent_each_differs() {
        let limits = json!({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}});
        let expected = [
            ("/resources/limits/cpu", "1"),
            ("/resources/limits/memory", "1Gi"),
        ];
        let expected = expected.map(|(at, value)| (at.to_owned(), json!(value), Value::Null));
        assert_eq!(found(&limits, &json!({"resources": {}})), expected);
        assert_eq!(
            found(&json!({}), &json!({"a": {}})),
            one("/a", Value::Null, json!({}))
        );
    }

    #[test]
    fn elements_are_matched_by_what_names_them() {
        let container = |name: &str, image: &str| json!({"name": name, "image": image});
        assert_eq!(
            found(
                &json!({"containers": [container("shop", "shop:1"), container("proxy", "proxy:1")]}),
                &json!({"containers": [container("debug", "sh"), container("shop", "shop:2")]})
            ),
            [
                (
                    "/containers/0".to_owned(),
                    Value::Null,
                    container("debug", "sh")
                ),
                (
                    "/containers/1/image".to_owned(),
                    json!("shop:1"),
                    json!("shop:2")
                ),
                (
                    "/containers/1".to_owned(),
                    container("proxy", "proxy:1"),
                    Value::Null
                ),
            ]
        );
        let port =
            |port: u16, target: u16| json!({"port": port, "protocol": "TCP", "targetPort": target});
        assert_eq!(
            found(
                &json!([port(80, 1), port(443, 2)]),
                &json!([port(80, 1), port(443, 3)])
            ),
            one("/1/targetPort", json!(2), json!(3))
        );
    }

    #[test]
    fn another_order_is_a_difference_of_the_list() {
        let env = |names: [&str; 2]| json!(names.map(|name| json!({"name": name, "value": "1"})));
        assert_eq!(
            found(&env(["A", "B"]), &env(["B", "A"])),
            one("", env(["A", "B"]), env(["B", "A"]))
        );
        assert_eq!(
            found(&json!(["-a", "-b"]), &json!(["-b", "-a"])),
            one("", json!(["-a", "-b"]), json!(["-b", "-a"]))
        );
    }

    #[test]
    fn plain_values_differ_by_their_place_or_as_a_whole() {
        assert_eq!(
            found(&json!(["-v=2", "-x"]), &json!(["-v=5", "-x"])),
            one("/0", json!("-v=2"), json!("-v=5"))
        );
        assert_eq!(
            found(&json!(["-x"]), &json!(["-x", "-v=5"])),
            one("", json!(["-x"]), json!(["-x", "-v=5"]))
        );
    }

    fn owners(desired: &Value, live: &Value, fields: &[(&str, Value)]) -> Vec<String> {
        let entry = |(manager, fields): &(&str, Value)| json!({"manager": manager, "operation": "Update", "fieldsV1": {"f:list": fields}});
        let entries: Vec<Value> = fields.iter().map(entry).collect();
        let object = json!({"list": live, "metadata": {"managedFields": entries}});
        let ownership = Ownership::of(&object);
        let found = differences(&json!({"list": desired}), &json!({"list": live}));
        let owners = found.iter().flat_map(|one| one.owners(&ownership));
        owners.map(|owner| owner.manager.to_owned()).collect()
    }

    #[test]
    fn nobody_owns_the_order_of_a_list_that_is_merged() {
        let element = |name: &str, value: &str| json!({"name": name, "value": value});
        let (a, b) = (element("a", "1"), element("b", "1"));
        let by_keys = || {
            let fields = json!({".": {}, r#"k:{"name":"a"}"#: {".": {}, "f:value": {}}});
            let other = json!({r#"k:{"name":"b"}"#: {"f:value": {}}});
            [("engine", fields), ("person", other)]
        };
        let desired = json!([a, b]);
        assert_eq!(owners(&desired, &json!([b, a]), &by_keys()), [""; 0]);
        // Whoever changed an element of it is known.
        let changed = element("b", "2");
        assert_eq!(
            owners(&desired, &json!([changed, a]), &by_keys()),
            ["person"]
        );
        // One value.
        let whole = [("engine", json!({}))];
        assert_eq!(owners(&desired, &json!([b, a]), &whole), ["engine"]);
    }

    #[test]
    fn an_element_of_a_set_has_an_owner() {
        let by_values = [
            ("engine", json!({".": {}, r#"v:"a""#: {}})),
            ("person", json!({r#"v:"b""#: {}})),
        ];
        assert_eq!(
            owners(&json!(["a"]), &json!(["a", "b"]), &by_values),
            ["person"]
        );
        assert_eq!(
            owners(&json!(["a", "c"]), &json!(["a"]), &by_values),
            [""; 0]
        );
        assert_eq!(
            owners(&json!(["b", "a"]), &json!(["a", "b"]), &by_values),
            [""; 0]
        );
    }

    fn tree() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3i64).prop_map(Value::from),
            "[ab/~]{0,2}".prop_map(Value::from),
        ];
        plain.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab/~]|name|type", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn trees_differ_somewhere_exactly_if_they_differ(one in tree(), other in tree()) {
            prop_assert_eq!(differences(&one, &one), vec![]);
            prop_assert_eq!(differences(&one, &other).is_empty(), one == other);
        }

        /// The pointer leads to the value in the live tree, or in the desired one where it is
        /// absent.
        #[test]
        fn a_pointer_leads_to_what_differs(desired in tree(), live in tree()) {
            for difference in differences(&desired, &live) {
                let Difference { pointer, desired: wanted, live: there } = difference;
                match (there, wanted) {
                    (Some(there), _) => prop_assert_eq!(live.pointer(&pointer), Some(&there)),
                    (None, Some(_)) => {}
                    (None, None) => prop_assert!(false, "nothing differs at {}", pointer),
                }
            }
        }
    }

    #[test]
    fn a_field_is_found_where_a_list_is_in_another_order() {
        let named = |names: &[&str]| {
            let items = names.iter().map(|name| json!({"name": name, "value": 1}));
            json!({"env": items.collect::<Vec<_>>()})
        };
        let (live, written) = (named(&["b", "c"]), named(&["a", "b"]));
        assert_eq!(counterpart("/env/0/value", &live, &written), "/env/1/value");
        assert_eq!(counterpart("/env/1/value", &live, &written), "/env");
        assert_eq!(counterpart("/other/x", &live, &written), "/other");
        assert_eq!(counterpart("", &live, &written), "");
    }
}
