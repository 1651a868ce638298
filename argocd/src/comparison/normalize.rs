//! What is done to an object of some kinds before it is compared.
//!
//! Follows gitops-engine of Argo CD 3.5, `pkg/diff/diff.go`: `Normalize`, `NormalizeSecret`,
//! `normalizeRole`, `normalizeEndpoint`; and `SortSubsets` of Kubernetes' `pkg/api/v1/endpoints`.

mod endpoints;
mod secret;

use serde_json::Value;

use super::object::{group_of, kind_of, remove_metadata};

/// Makes objects that mean the same into the same.
pub(super) fn normalize(object: &mut Value, ignore_aggregated_roles: bool) {
    remove_metadata(object, "creationTimestamp");
    match (group_of(object), kind_of(object).1) {
        ("", "Secret") => secret::normalize(object),
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => {
            role(object, ignore_aggregated_roles);
        }
        ("", "Endpoints") => endpoints::normalize(object),
        _ => {}
    }
}

/// A role without rules has null; the rules of an aggregated one may not count.
fn role(object: &mut Value, ignore_aggregated: bool) {
    let Value::Object(members) = object else {
        return;
    };
    let is_aggregated = members.get("aggregationRule").is_some_and(Value::is_object);
    let is_empty = members
        .get("rules")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty);
    if ignore_aggregated && is_aggregated || is_empty {
        members.insert("rules".to_owned(), Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_are_null_where_there_are_none_or_where_they_are_aggregated() {
        let rules = |role: Value, ignore: bool| {
            let mut role = role;
            role["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
            role["kind"] = "ClusterRole".into();
            normalize(&mut role, ignore);
            role.get("rules").cloned()
        };
        assert_eq!(rules(json!({"rules": []}), false), Some(Value::Null));
        assert_eq!(rules(json!({"rules": [1]}), true), Some(json!([1])));
        assert_eq!(rules(json!({}), true), None);
        let aggregated = json!({"aggregationRule": {}, "rules": [1]});
        assert_eq!(rules(aggregated.clone(), true), Some(Value::Null));
        assert_eq!(rules(aggregated, false), Some(json!([1])));
        let malformed = json!({"aggregationRule": [], "rules": [1]});
        assert_eq!(rules(malformed, true), Some(json!([1])));
    }
}
