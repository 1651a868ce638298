//! Events, by what became of them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::series::Series;
use crate::labels::EventOutcome;

/// Counts Events. A handle: its clones count the same.
#[derive(Clone, Debug)]
pub struct EventMetrics(Series<EventOutcome, Counter>);

impl EventMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let events = Family::default();
        registry.register(
            "events",
            "Kubernetes Events about Argo CD's objects, by what became of them",
            events.clone(),
        );
        EventMetrics(Series::of_family(&events, "outcome"))
    }

    /// Counts one.
    pub fn count(&self, outcome: EventOutcome) {
        self.0.of(outcome).inc();
    }
}
