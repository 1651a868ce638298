//! The ports: connections to them, and the certificate that is served.

use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Shows who is connected, and until when the certificate is good.
#[derive(Debug)]
pub struct PortMetrics {
    connections: Gauge,
    certificate_expiry: Gauge,
}

impl PortMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let connections = Gauge::default();
        registry.register("connections", "Open TLS connections", connections.clone());
        let certificate_expiry = Gauge::default();
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "When the certificate that is served expires, since 1970; 0 before there is one",
            Unit::Seconds,
            certificate_expiry.clone(),
        );
        PortMetrics {
            connections,
            certificate_expiry,
        }
    }

    /// Open TLS connections.
    pub fn connections(&self) -> &Gauge {
        &self.connections
    }

    /// Shows until when the certificate that is served is valid.
    pub fn certificate_expires(&self, at: Timestamp) {
        self.certificate_expiry.set(at.as_second());
    }
}
