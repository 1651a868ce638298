//! `-o openmetrics`: values for a monitoring system (`OpenMetrics` 1.0), as a textfile collector or
//! a push gateway takes them.
//!
//! Written here, as prometheus-client gives samples in another order each time.

use std::fmt::Write as _;

use crate::report::Gauge;

/// Gauges, each with its help. What is written ends with the mark of the format.
pub(super) fn exposition(gauges: &[Gauge]) -> String {
    let mut text = String::new();
    for gauge in gauges {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {} {}", gauge.name, escaped(gauge.help));
        let _ = writeln!(text, "# TYPE {} gauge", gauge.name);
        for sample in &gauge.samples {
            let labels = sample.labels.iter();
            let labels = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
            let labels: Vec<_> = labels.collect();
            let _ = writeln!(
                text,
                "{}{{{}}} {}",
                gauge.name,
                labels.join(","),
                sample.value
            );
        }
    }
    text + "# EOF\n"
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
