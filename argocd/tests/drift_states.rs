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

fn answer(input: &Value) -> Value {
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
    let pair = Pair {
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

#[test]
fn the_objects_are_those_that_argo_cd_compares() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let answer = answer(&case["input"]);
        if answer != case["expect"] {
            wrong.push(format!("{}\n{answer}\n{}", case["id"], case["expect"]));
        }
        cases += 1;
    }
    assert!(cases > 150);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
