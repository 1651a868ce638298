//! What the values of several clusters share, and what each has beside.

use serde_json::{Map, Value};

/// Values of a chart.
pub(crate) type Values = Map<String, Value>;

/// Values in two parts. Helm merges them back to what they were.
#[derive(Clone, PartialEq)]
pub(crate) struct Split {
    pub(crate) shared: Values,
    /// What each has beside, in the order in which they came.
    pub(crate) overrides: Vec<Values>,
}

/// Splits values so that what is shared is what all have, and the rest is each one's own.
///
/// A value that one of them does not have is no one else's default: Helm has no way to take it
/// away again but `null`, which takes away the chart's own default as well.
pub(crate) fn split(all: &[&Values]) -> Split {
    let mut shared = Values::new();
    let mut overrides = vec![Values::new(); all.len()];
    let Some(first) = all.first() else {
        return Split { shared, overrides };
    };
    for key in first.keys() {
        let values: Option<Vec<&Value>> = all.iter().map(|one| one.get(key)).collect();
        let Some(values) = values else { continue };
        if values.iter().all(|value| *value == values[0]) {
            shared.insert(key.clone(), values[0].clone());
            continue;
        }
        let maps: Option<Vec<&Values>> = values.iter().map(|value| value.as_object()).collect();
        let Some(maps) = maps else { continue };
        let parts = split(&maps);
        // An empty mapping is one that is there.
        let is_needed = parts.overrides.iter().any(Values::is_empty);
        if is_needed || !parts.shared.is_empty() {
            shared.insert(key.clone(), parts.shared.into());
        }
        for (own, part) in overrides.iter_mut().zip(parts.overrides) {
            if !part.is_empty() {
                own.insert(key.clone(), part.into());
            }
        }
    }
    for (own, all) in overrides.iter_mut().zip(all) {
        for (key, value) in *all {
            if !shared.contains_key(key) && !own.contains_key(key) {
                own.insert(key.clone(), value.clone());
            }
        }
    }
    Split { shared, overrides }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// As Helm merges a file of values over another (Helm 3.18, `mergeMaps`; Helm 4.3,
    /// `loader.MergeMaps`): `null` is a value as any other.
    fn merged(under: &Values, over: &Values) -> Values {
        let mut merged = under.clone();
        for (key, value) in over {
            let value = match (merged.get(key), value) {
                (Some(Value::Object(under)), Value::Object(over)) => {
                    Value::Object(self::merged(under, over))
                }
                _ => value.clone(),
            };
            merged.insert(key.clone(), value);
        }
        merged
    }

    fn of(values: &[Value]) -> (Value, Vec<Value>) {
        let maps: Vec<_> = values.iter().map(|one| one.as_object().unwrap()).collect();
        let Split { shared, overrides } = split(&maps);
        let overrides = overrides.into_iter().map(Value::Object);
        (Value::Object(shared), overrides.collect())
    }

    #[test]
    fn what_all_have_is_shared_and_the_rest_is_each_ones_own() {
        let (shared, overrides) = of(&[
            json!({"a": 1, "b": {"c": true, "d": "x"}, "only": 1, "list": [1]}),
            json!({"a": 1, "b": {"c": true, "d": "y"}, "list": [2]}),
        ]);
        assert_eq!(shared, json!({"a": 1, "b": {"c": true}}));
        assert_eq!(
            overrides,
            [
                json!({"b": {"d": "x"}, "only": 1, "list": [1]}),
                json!({"b": {"d": "y"}, "list": [2]}),
            ]
        );
    }

    #[test]
    fn one_cluster_shares_all_with_itself() {
        let values = json!({"a": {"b": null}, "c": []});
        assert_eq!(of(std::slice::from_ref(&values)), (values, vec![json!({})]));
        assert_eq!(of(&[]), (json!({}), Vec::new()));
    }

    #[test]
    fn null_and_nothing_are_told_apart() {
        let (shared, overrides) = of(&[json!({"a": null}), json!({}), json!({"a": {}})]);
        assert_eq!(shared, json!({}));
        assert_eq!(overrides, [json!({"a": null}), json!({}), json!({"a": {}})]);
    }

    #[test]
    fn an_empty_mapping_stays_one() {
        let (shared, overrides) = of(&[json!({"a": {}}), json!({"a": {"b": 1}})]);
        assert_eq!(shared, json!({"a": {}}));
        assert_eq!(overrides, [json!({}), json!({"a": {"b": 1}})]);
    }

    /// Few keys and values, so that they meet.
    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(json!(1)),
            Just(json!("x")),
            Just(json!([1, {"a": null}])),
            Just(json!({})),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            proptest::collection::hash_map("[a-c]", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        })
    }

    fn maps() -> impl Strategy<Value = Values> {
        proptest::collection::hash_map("[a-c]", values(), 0..4)
            .prop_map(|map| map.into_iter().collect())
    }

    /// Whether something of `over` is said by `under` already.
    fn repeats(under: &Values, over: &Values) -> bool {
        over.iter()
            .any(|(key, value)| match (under.get(key), value) {
                (Some(Value::Object(under)), Value::Object(over)) => repeats(under, over),
                (Some(under), over) => under == over,
                (None, _) => false,
            })
    }

    proptest! {
        #[test]
        fn helm_gives_each_back(all in proptest::collection::vec(maps(), 1..4)) {
            let all: Vec<_> = all.iter().collect();
            let Split { shared, overrides } = split(&all);
            for (own, over) in all.iter().zip(&overrides) {
                prop_assert_eq!(&merged(&shared, over), *own);
                prop_assert!(!repeats(&shared, over));
            }
        }
    }
}
