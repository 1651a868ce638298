//! States and plans as Terraform shows them.

use serde_json::{Value, json};

/// A `helm_release` as the provider of a schema version writes it: v1 and v2 have 0 and 1, v3 has 2.
pub(super) fn helm_release(address: &str, name: &str, namespace: &str, schema: u64) -> Value {
    let metadata = json!({"name": name, "namespace": namespace, "revision": 7, "version": "1.2.3"});
    let set = json!({"name": "password", "value": "letmein"});
    let (metadata, post_renderer) = if schema < 2 {
        (json!([metadata]), json!([]))
    } else {
        (metadata, Value::Null)
    };
    json!({
        "address": address,
        "mode": "managed",
        "type": "helm_release",
        "name": "x",
        "provider_name": "registry.terraform.io/hashicorp/helm",
        "schema_version": schema,
        "values": {
            "id": name, "name": name, "namespace": namespace,
            "chart": "cart", "repository": "https://charts.example.com", "version": "1.2.3",
            "status": "deployed", "metadata": metadata, "postrender": post_renderer,
            "set_sensitive": [set], "values": ["password: letmein\n"],
        },
        "sensitive_values": {"set_sensitive": true},
    })
}

/// What is shown of a state.
pub(super) fn state(root_module: &Value) -> String {
    json!({
        "format_version": "1.0",
        "terraform_version": "1.9.0",
        "values": {"root_module": root_module},
    })
    .to_string()
}

/// What is shown of a plan.
pub(super) fn plan(more: &Value) -> String {
    let mut plan = json!({
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {},
        "resource_changes": [],
        "errored": false,
    });
    json_patch::merge(&mut plan, more);
    plan.to_string()
}
