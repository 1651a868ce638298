//! TLS: which certificate is shown.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// The certificate that is shown to whoever connects next. It can be replaced while connections are
/// open.
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Shows a certificate.
    pub fn new(certified_key: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Certificate(ArcSwap::new(certified_key)))
    }

    /// Shows another one from now on.
    pub fn replace(&self, certified_key: Arc<CertifiedKey>) {
        self.0.store(certified_key);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certificate")
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// TLS 1.2 and 1.3 with this certificate, and HTTP/1.1 within.
///
/// # Errors
/// The cryptography that is built in does not support these versions.
pub fn config(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
