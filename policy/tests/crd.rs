//! The CRD that `kubectl apply` installs is the Rust type's, and so is the table of fields in the
//! documentation.
//!
//! `UPDATE_GENERATED=1 cargo test -p policy --test crd` writes both anew.

use std::fmt::Write as _;
use std::path::Path;

use kube::CustomResourceExt as _;
use policy::GitOpsPolicy;
use serde_json::{Value, json};

const HEADER: &str = "# Generated from policy/src/gitops_policy.rs by `UPDATE_GENERATED=1 cargo test -p policy --test crd`.\n";

#[test]
fn the_installed_crd_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../manifests/crds/gitopspolicies.kubectl-gitops.io.yaml");
    let crd = serde_saphyr::to_string(&GitOpsPolicy::crd()).expect("a CRD is YAML");
    let generated = format!("{HEADER}{crd}");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &generated).expect("the CRD is written");
    }
    let installed = std::fs::read_to_string(&path).expect("the CRD is there");
    assert_eq!(
        installed, generated,
        "run: UPDATE_GENERATED=1 cargo test -p policy --test crd"
    );
}

#[test]
fn the_page_has_every_field() {
    const START: &str = "--test crd` -->\n";
    const END: &str = "<!-- /fields -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/reference/gitops-policy.md");
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(START).expect("there is a place for it");
    let (_, after) = rest.split_once(END).expect("the place has an end");
    let crd = serde_json::to_value(GitOpsPolicy::crd()).expect("a CRD is JSON");
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut table = "| field | type | default | |\n|---|---|---|---|\n".to_owned();
    let mut spec = spec.clone();
    tell_once(&mut spec["properties"]["rules"]);
    add_fields("spec", &spec, &mut table);
    let generated = format!("{before}{START}{table}{END}{after}");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &generated).expect("the page is written");
    }
    let written = std::fs::read_to_string(&path).expect("the page is there");
    assert!(
        written == generated,
        "run: UPDATE_GENERATED=1 cargo test -p policy --test crd"
    );
}

/// Moves what is alike in all properties into one of its own, which stands for each of them.
fn tell_once(schema: &mut Value) {
    let properties = schema["properties"].as_object_mut().expect("it has them");
    let all = || properties.values().map(|property| &property["properties"]);
    let first = all().next().and_then(Value::as_object);
    let mut alike = first.expect("they have properties").clone();
    alike.retain(|name, field| all().all(|fields| fields[name.as_str()] == *field));
    for property in properties.values_mut() {
        let fields = property["properties"].as_object_mut();
        fields
            .expect("they have properties")
            .retain(|name, _| !alike.contains_key(name));
    }
    let description = "What each of them has.";
    let each = json!({"type": "object", "description": description, "properties": alike});
    properties.insert("<rule>".to_owned(), each);
}

/// Adds a row for each field below one, those of a list's entries behind `[]`.
fn add_fields(path: &str, schema: &Value, table: &mut String) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, field) in properties {
            let path = format!("{path}.{name}");
            add_row(&path, field, table);
            // Kubernetes' own type is described by Kubernetes.
            if field["properties"]["matchLabels"].is_null() {
                add_fields(&path, field, table);
            }
        }
    }
    if schema["items"].is_object() {
        add_fields(&format!("{path}[]"), &schema["items"], table);
    }
}

fn add_row(path: &str, field: &Value, table: &mut String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('\n', " ");
    let default = match &field["default"] {
        // Those of the fields below it are told there.
        Value::Null | Value::Object(_) => String::new(),
        default => format!("`{default}`"),
    };
    let values = field["enum"].as_array().map_or_else(
        || text(&field["type"]),
        |values| {
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            values.join(", ")
        },
    );
    let description = text(&field["description"]).replace('|', "\\|");
    let _ = writeln!(table, "| `{path}` | {values} | {default} | {description} |");
}
