use serde_json::json;

use super::*;

fn deployment() -> Type {
    Type::Struct(Scheme::kubernetes().kind("apps/v1", "Deployment").unwrap())
}

fn members(value: Value) -> Members {
    match value {
        Value::Object(members) => members,
        _ => unreachable!(),
    }
}

fn with_containers(containers: &Value) -> Members {
    members(json!({"spec": {"template": {"spec": {"containers": containers}}}}))
}

#[test]
fn containers_are_merged_by_name_and_environment_in_its_order() {
    let of = deployment();
    let live = with_containers(&json!([
        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}, {"name": "Y"}]},
        {"name": "injected"},
    ]));
    let desired = with_containers(&json!([
        {"name": "a", "image": "a:2", "env": [{"name": "Y"}, {"name": "X", "value": "1"}]},
    ]));
    let patch = three_way(&desired, &desired, &live, &of).unwrap();
    let merged = Value::Object(apply(live, patch, &of).unwrap());
    assert_eq!(
        merged["spec"]["template"]["spec"]["containers"],
        json!([
            {"name": "a", "image": "a:2", "env": [{"name": "Y"}, {"name": "X", "value": "1"}]},
            {"name": "injected"},
        ])
    );
}

#[test]
fn what_was_applied_last_and_is_gone_is_deleted() {
    let of = deployment();
    let both = with_containers(&json!([{"name": "a"}, {"name": "b"}]));
    let desired = with_containers(&json!([{"name": "b"}]));
    let patch = three_way(&both, &desired, &both, &of).unwrap();
    assert_eq!(apply(both, patch, &of).unwrap(), desired);
}

#[test]
fn a_strategy_keeps_only_its_own_fields() {
    let of = deployment();
    let live = members(json!({"spec": {"strategy": {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1},
    }}}));
    let desired = members(json!({"spec": {"strategy": {"type": "Recreate"}}}));
    let patch = three_way(&desired, &desired, &live, &of).unwrap();
    assert_eq!(apply(live, patch, &of).unwrap(), desired);
}

#[test]
fn a_map_that_differs_in_an_unknown_place_is_refused() {
    let of = deployment();
    let old = members(json!({"spec": {"unknown": {"a": 1}}}));
    let new = members(json!({"spec": {"unknown": {"a": 2}}}));
    assert_eq!(two_way(&old, &new, &of), Err(PatchError::UnknownField));
    assert_eq!(two_way(&old, &old, &of), Ok(Map::new()));
}
