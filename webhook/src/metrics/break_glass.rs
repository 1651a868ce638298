//! Overrides, by rule.

use policy::RuleId;
use policy::break_glass::{Record, RecordKind};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::rule_ids;
use super::series::{Labels, Series};
use crate::labels::Label as _;

/// In place of a rule where an override names none that there is.
const NO_RULE: &str = "none";

/// Counts overrides, by rule and by what happened to them.
#[derive(Debug)]
pub struct BreakGlassMetrics {
    records: Vec<(&'static str, Series<RecordKind, Counter>)>,
    active: Vec<(&'static str, Gauge)>,
    expired: Vec<(&'static str, Gauge)>,
}

impl BreakGlassMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let family = Family::<Labels<2>, Counter>::default();
        registry.register(
            "break_glass",
            "Overrides that were granted, allowed for a write, ended early or refused, by rule; dry runs do not count",
            family.clone(),
        );
        let records = |rule: &'static str| {
            let of_kind = |kind: RecordKind| {
                family.get_or_create_owned(&[("rule", rule), ("outcome", kind.name())])
            };
            (rule, Series::new(of_kind))
        };
        BreakGlassMetrics {
            records: rule_ids().chain([NO_RULE]).map(records).collect(),
            active: by_rule(
                registry,
                "break_glass_active",
                "Objects on which a rule is overruled, by rule; 0 but for the replica that leads",
            ),
            expired: by_rule(
                registry,
                "break_glass_expired",
                "Objects that violate a rule since its override ran out, by rule; 0 but for the replica that leads",
            ),
        }
    }

    /// Counts what happened to an override.
    pub fn count(&self, record: &Record) {
        let named: Vec<&str> = match record.rules.as_slice() {
            [] => vec![NO_RULE],
            rules => rules.iter().map(|rule| rule.as_str()).collect(),
        };
        let counted = self.records.iter().filter(|(rule, _)| named.contains(rule));
        for (_, counters) in counted {
            counters.of(record.kind).inc();
        }
    }

    /// Shows which rules are overruled, and which are violated since that is over: each once for
    /// each object.
    pub fn show(&self, active: &[RuleId], expired: &[RuleId]) {
        for (gauges, rules) in [(&self.active, active), (&self.expired, expired)] {
            for (rule, gauge) in gauges {
                let count = rules.iter().filter(|named| named.as_str() == *rule).count();
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }
}

fn by_rule(
    registry: &mut Registry,
    name: &'static str,
    help: &'static str,
) -> Vec<(&'static str, Gauge)> {
    let family = Family::<Labels<1>, Gauge>::default();
    registry.register(name, help, family.clone());
    let gauge = |rule| (rule, family.get_or_create_owned(&[("rule", rule)]));
    rule_ids().map(gauge).collect()
}
