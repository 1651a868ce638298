//! Progressive syncs: the steps of `strategy`, in which the ApplicationSet controller starts syncs
//! by itself.
//!
//! Follows Argo CD 3.5, `applicationset/progressivesync/progressive_sync.go`.

use golang::json::{null_as_default, objects, optional_object, strings};
use serde::Deserialize;
use serde_json::Value;

use crate::kubernetes::StringMap;

/// `spec.strategy` of an ApplicationSet.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RolloutStrategy {
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    kind: String,
    #[serde(deserialize_with = "optional_object")]
    rolling_sync: Option<RollingSync>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct RollingSync {
    #[serde(deserialize_with = "objects")]
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Step {
    #[serde(deserialize_with = "objects")]
    match_expressions: Vec<MatchExpression>,
    /// A number or a percentage.
    max_update: Value,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct MatchExpression {
    #[serde(deserialize_with = "null_as_default")]
    key: String,
    #[serde(deserialize_with = "null_as_default")]
    operator: String,
    #[serde(deserialize_with = "strings")]
    values: Vec<String>,
}

/// Which step an Application belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RollingSyncStep {
    /// None, so that nobody syncs it by itself; or one in which people do (`maxUpdate: 0`).
    None,
    /// This one, by its place in `steps`.
    Step(usize),
    /// Perhaps this one: a label still has to be rendered.
    Perhaps(usize),
}

impl RolloutStrategy {
    /// The step in which an Application with these labels is synced by the controller. Of several
    /// that select it, the first says how many are synced at a time.
    pub(super) fn step_of(&self, labels: &StringMap<'_>) -> RollingSyncStep {
        let steps = match &self.rolling_sync {
            Some(rolling_sync) if self.kind == "RollingSync" => rolling_sync.steps.as_slice(),
            _ => &[],
        };
        let mut perhaps = None;
        for (index, step) in steps.iter().enumerate() {
            match step.selects(labels) {
                None if step.syncs() => perhaps = perhaps.or(Some(index)),
                Some(false) | None => {}
                Some(true) if step.syncs() => {
                    return perhaps.map_or(RollingSyncStep::Step(index), RollingSyncStep::Perhaps);
                }
                Some(true) => break,
            }
        }
        perhaps.map_or(RollingSyncStep::None, RollingSyncStep::Perhaps)
    }
}

impl Step {
    /// Whether anything is synced in it; only zero waits for people. What Argo CD cannot read it
    /// takes for one.
    fn syncs(&self) -> bool {
        match &self.max_update {
            Value::Number(number) => number.as_f64().is_none_or(|number| number > 0.0),
            Value::String(text) => text != "0%",
            _ => true,
        }
    }

    /// Whether labels are selected; nothing if that depends on one that still has to be rendered.
    fn selects(&self, labels: &StringMap<'_>) -> Option<bool> {
        let mut is_known = true;
        for expression in &self.match_expressions {
            match labels.get(&expression.key) {
                Some(value) if value.contains("{{") => is_known = false,
                Some(value) if !expression.matches(value) => return Some(false),
                None if expression.operator == "In" => return Some(false),
                _ => {}
            }
        }
        is_known.then_some(true)
    }
}

impl MatchExpression {
    fn matches(&self, value: &str) -> bool {
        let is_listed = self.values.iter().any(|listed| listed == value);
        match self.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(steps: &Value, labels: &[(&str, &str)]) -> RollingSyncStep {
        let written = json!({"type": "RollingSync", "rollingSync": {"steps": steps}}).to_string();
        let strategy: RolloutStrategy = serde_json::from_str(&written).unwrap();
        strategy.step_of(&labels.iter().copied().collect())
    }

    #[test]
    fn the_first_step_that_selects_an_application_says_whether_people_are_waited_for() {
        let prod = json!([{"key": "tier", "operator": "In", "values": ["prod"]}]);
        let of = |max_update: Value| json!([{"matchExpressions": prod, "maxUpdate": max_update}]);
        let labels = [("tier", "prod")];
        for max_update in [json!(null), json!(1), json!("10%"), json!("0"), json!("x")] {
            let step = step(&of(max_update.clone()), &labels);
            assert_eq!(step, RollingSyncStep::Step(0), "{max_update}");
        }
        for max_update in [json!(0), json!("0%"), json!(-1)] {
            let step = step(&of(max_update.clone()), &labels);
            assert_eq!(step, RollingSyncStep::None, "{max_update}");
        }
        assert_eq!(
            step(&of(json!(1)), &[("tier", "test")]),
            RollingSyncStep::None
        );
        assert_eq!(step(&of(json!(1)), &[]), RollingSyncStep::None);
        assert_eq!(step(&json!([{}]), &[]), RollingSyncStep::Step(0));
        let others = json!([{"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["test"]}]}]);
        assert_eq!(step(&others, &labels), RollingSyncStep::Step(0));
        assert_eq!(step(&others, &[("tier", "test")]), RollingSyncStep::None);
        assert_eq!(
            step(&of(json!(1)), &[("tier", "{{ .tier }}")]),
            RollingSyncStep::Perhaps(0)
        );
    }

    #[test]
    fn another_strategy_syncs_nothing() {
        let strategy: RolloutStrategy =
            serde_json::from_str(r#"{"type":"AllAtOnce","rollingSync":{"steps":[{}]}}"#).unwrap();
        assert_eq!(
            strategy.step_of(&StringMap::default()),
            RollingSyncStep::None
        );
    }
}
