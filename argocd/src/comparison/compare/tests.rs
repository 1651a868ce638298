use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::comparison::Customizations;

fn verdict(desired: Option<Value>, live: Option<Value>, strategy: Strategy<'_>) -> Verdict {
    let settings = ComparisonSettings::from_config_map(&BTreeMap::new());
    let work = Work::new(1 << 20);
    let ignore = IgnoreRules::new(&[], &Customizations::default(), &work).unwrap();
    let rules = Rules {
        settings: &settings,
        ignore: &ignore,
    };
    compare(Pair { desired, live }, strategy, rules, &work).unwrap()
}

fn compared_by(desired: Option<Value>, live: Option<Value>) -> Comparison {
    match verdict(desired, live, Strategy::ClientSide) {
        Verdict::Compared(comparison) => *comparison,
        other => panic!("{other:?}"),
    }
}

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})
}

#[test]
fn a_missing_object_is_modified_and_an_extra_one_is_not() {
    let missing = compared_by(Some(config_map(json!({"a": "b"}))), None);
    assert!(missing.modified && missing.live.is_null());
    assert_eq!(missing.predicted["data"]["a"], "b");
    let extra = compared_by(None, Some(config_map(json!({"a": "b"}))));
    assert!(!extra.modified && extra.predicted.is_null());
    assert_eq!(extra.method, Method::Existence);
}

#[test]
fn what_only_the_live_object_has_counts_if_it_was_applied() {
    let mut live = config_map(json!({"a": "b", "c": "d"}));
    let desired = config_map(json!({"a": "b"}));
    let two_way = compared_by(Some(desired.clone()), Some(live.clone()));
    assert!(!two_way.modified);
    assert_eq!(two_way.method, Method::TwoWay);
    let applied = config_map(json!({"a": "b", "c": "x"})).to_string();
    live["metadata"]["annotations"] = json!({super::super::object::LAST_APPLIED: applied});
    let three_way = compared_by(Some(desired), Some(live));
    assert!(three_way.modified);
    assert_eq!(three_way.method, Method::ThreeWay);
    assert_eq!(three_way.predicted["data"], json!({"a": "b"}));
}

#[test]
fn a_server_side_diff_without_an_answer_needs_one() {
    let strategy = Strategy::ServerSide {
        dry_run: None,
        mutation_webhooks: false,
    };
    let object = config_map(json!({}));
    assert_eq!(
        verdict(Some(object.clone()), Some(object), strategy),
        Verdict::NeedsDryRun(NeedsDryRun::ServerSideDiff)
    );
}
