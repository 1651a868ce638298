//! Metrics, for Prometheus: one file for each concern.
//!
//! Labels take their values from closed sets ([`crate::labels`]): never a name, a namespace or an
//! error. Every series exists from the start, and the request path holds handles to them: it looks
//! nothing up and waits for no lock that a scrape holds.

pub mod break_glass;
pub mod events;
pub mod inventory;
pub mod ports;
pub mod requests;
mod series;
pub mod watches;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use self::break_glass::BreakGlassMetrics;
use self::events::EventMetrics;
use self::inventory::InventoryMetrics;
use self::ports::PortMetrics;
use self::requests::RequestMetrics;
use self::watches::WatchMetrics;

/// Handles to all metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Admission requests.
    pub requests: RequestMetrics,
    /// Connections and the certificate.
    pub ports: PortMetrics,
    /// What the rules know.
    pub inventory: InventoryMetrics,
    /// The watches.
    pub watches: WatchMetrics,
    /// Events.
    pub events: EventMetrics,
    /// Overrides.
    pub break_glass: BreakGlassMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("gitops_webhook");
        Metrics {
            requests: RequestMetrics::register(&mut registry),
            ports: PortMetrics::register(&mut registry),
            inventory: InventoryMetrics::register(&mut registry),
            watches: WatchMetrics::register(&mut registry),
            events: EventMetrics::register(&mut registry),
            break_glass: BreakGlassMetrics::register(&mut registry),
            registry,
        }
    }

    /// All metrics in Prometheus' text format (`OpenMetrics` 1.0).
    ///
    /// # Errors
    /// They cannot be written.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn rule_ids() -> impl Iterator<Item = &'static str> {
    policy::registry::all().map(|rule| rule.id.as_str())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    /// `UPDATE_DOCS=1` in the environment writes it anew.
    #[test]
    fn the_page_has_every_metric() {
        const START: &str = "metrics` -->\n";
        const END: &str = "<!-- /metrics -->";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/reference/metrics.md");
        let page = fs::read_to_string(&path).expect("the page is there");
        let (before, rest) = page.split_once(START).expect("there is a place for it");
        let (written, after) = rest.split_once(END).expect("the place has an end");
        let generated = table(&Metrics::new().encode().expect("metrics are text"));
        if env::var_os("UPDATE_DOCS").is_some() {
            let page = format!("{before}{START}{generated}{END}{after}");
            fs::write(&path, page).expect("the page is written");
        } else {
            assert_eq!(written, generated, "UPDATE_DOCS=1 writes it");
        }
    }

    /// A row for each metric of a text in Prometheus' format.
    fn table(text: &str) -> String {
        let mut table = "| metric | type | |\n|---|---|---|\n".to_owned();
        let about = |line: &'static str, text: &str| {
            let lines = text.lines().filter_map(move |text| text.strip_prefix(line));
            let pairs = lines.filter_map(|rest| rest.split_once(' '));
            let pairs = pairs.map(|(name, rest)| (name.to_owned(), rest.to_owned()));
            pairs.collect::<Vec<_>>()
        };
        let types = about("# TYPE ", text);
        for (name, help) in about("# HELP ", text) {
            let kind = types.iter().find(|(of, _)| *of == name);
            let kind = kind.map_or("", |(_, kind)| kind);
            let help = help.trim_end_matches('.');
            let _ = writeln!(table, "| `{name}` | {kind} | {help} |");
        }
        table
    }
}
