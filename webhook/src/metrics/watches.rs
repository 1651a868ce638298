//! The watches: whether they are alive.

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::series::Series;
use crate::labels::WatchedKind;

/// Shows of each watch when it failed and when it told something. A handle: its clones show the
/// same.
#[derive(Clone, Debug)]
pub struct WatchMetrics {
    failures: Series<WatchedKind, Counter>,
    times: Series<WatchedKind, Gauge>,
}

impl WatchMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let failures = Family::default();
        registry.register(
            "watch_failures",
            "How often a watch could not be opened or broke off with an error, by kind",
            failures.clone(),
        );
        let times = Family::default();
        registry.register_with_unit(
            "watch_last_event_timestamp",
            "When the API server last told something about a kind, since 1970; 0 if it never did",
            Unit::Seconds,
            times.clone(),
        );
        WatchMetrics {
            failures: Series::of_family(&failures, "kind"),
            times: Series::of_family(&times, "kind"),
        }
    }

    /// Counts a failure of a watch.
    pub fn failed(&self, kind: WatchedKind) {
        self.failures.of(kind).inc();
    }

    /// Notes that a watch told something.
    pub fn told(&self, kind: WatchedKind) {
        self.times.of(kind).set(Timestamp::now().as_second());
    }
}
