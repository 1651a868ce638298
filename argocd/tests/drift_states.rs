//! The objects that Argo CD compared, where a manifest, a live object or what was applied last was
//! changed at random.
//!
//! `drift_states/states.jsonl` has what `diff.StateDiff` of Argo CD v3.2.12 (Kubernetes libraries
//! 0.34) made of them, a case a line. The objects are those of the vectors of kind `drift`, and
//! random ones of the built-in kinds by their Go types. `strategy` is `structured` (with structured
//! merge) or `server` (server-side diff, where `predicted` is taken for the answer to the dry run).

use std::collections::BTreeMap;

use argocd::application::IgnoreDifference;
use argocd::comparison::{
    CompareError, ComparisonSettings, IgnoreRules, Pair, Rules, Strategy, Verdict, compare,
};
use golang::work::Work;
use serde_json::{Value, json};

const CASES: &str = include_str!("drift_states/states.jsonl");

/// What is compared of a live object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owners {
    Kept,
    /// Its `managedFields` are taken out, unless they are needed.
    Dropped,
}

fn answer(input: &Value, owners: Owners) -> Value {
    let data: BTreeMap<String, String> = input
        .pointer("/argocdCM/data")
        .map(|data| serde_json::from_value(data.clone()).expect("settings are strings"))
        .unwrap_or_default();
    let settings = ComparisonSettings::from_config_map(&data);
    let entries = input
        .get("ignoreDifferences")
        .unwrap_or(&Value::Null)
        .to_string();
    let entries: Option<Vec<IgnoreDifference<'_>>> =
        serde_json::from_str(&entries).expect("entries decode");
    let strategy = match input["strategy"].as_str() {
        None => Strategy::ClientSide,
        Some("structured") => Strategy::Structured,
        Some("server") => Strategy::ServerSide {
            dry_run: input.get("predicted"),
            mutation_webhooks: input["includeMutationWebhook"] == true,
        },
        Some(other) => panic!("{other}"),
    };
    let work = Work::new(16 << 20);
    let mut pair = Pair {
        desired: input.get("desired").cloned(),
        live: input.get("live").cloned(),
    };
    let entries = entries.unwrap_or_default();
    let verdict = IgnoreRules::new(&entries, &settings.customizations, &work)
        .map_err(CompareError::from)
        .and_then(|ignore| {
            let rules = Rules {
                settings: &settings,
                ignore: &ignore,
            };
            let needed = pair
                .desired
                .as_ref()
                .is_none_or(|desired| rules.need_owners(desired, strategy));
            if owners == Owners::Dropped && !needed {
                pair.live.iter_mut().for_each(drop_owners);
            }
            compare(pair, strategy, rules, &work)
        });
    match verdict {
        Ok(Verdict::Compared(comparison)) => json!({
            "modified": comparison.modified,
            "live": comparison.live,
            "predicted": comparison.predicted,
        }),
        Ok(other) => json!({"not compared": format!("{other:?}")}),
        Err(_) => json!({"error": "comparison"}),
    }
}

/// Whether there were any does not matter.
fn drop_owners(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
}

/// Most objects are read without them. Most cases have none, so that all get some.
#[test]
fn who_owns_fields_decides_on_nothing_where_it_is_not_needed() {
    let mut with_owners = 0;
    for line in CASES.lines() {
        let mut case: Value = serde_json::from_str(line).expect("a case is JSON");
        let input = &mut case["input"];
        if let Some(Value::Object(metadata)) = input.pointer_mut("/live/metadata") {
            let owners = json!([
                {"manager": "argocd-controller", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": {}}},
                {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
            ]);
            metadata.entry("managedFields").or_insert(owners);
        }
        let dropped = answer(input, Owners::Dropped);
        let mut kept = answer(input, Owners::Kept);
        if dropped != kept {
            with_owners += 1;
            for side in ["live", "predicted"] {
                kept.get_mut(side).into_iter().for_each(drop_owners);
            }
        }
        assert_eq!(dropped, kept, "{}", case["id"]);
    }
    assert!(with_owners > 50, "{with_owners}");
}

#[test]
fn the_objects_are_those_that_argo_cd_compares() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let answer = answer(&case["input"], Owners::Kept);
        if answer != case["expect"] {
            wrong.push(format!("{}\n{answer}\n{}", case["id"], case["expect"]));
        }
        cases += 1;
    }
    assert!(cases > 150);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
