//! How AWS is reached: TLS, proxies, time limits.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Names a file of certificates that are trusted besides the system's, as for the `aws` command.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
/// As long as the SDK's own default.
const CONNECT_WITHIN: Duration = Duration::from_millis(3100);

/// The certificates that the environment names cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaBundleError {
    #[error("cannot read {}, which {CA_BUNDLE} names", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, which {CA_BUNDLE} names, has no certificate that can be trusted", path.display())]
    NoCertificate { path: PathBuf },
}

/// A client that goes by `HTTPS_PROXY`, `NO_PROXY` and `AWS_CA_BUNDLE`.
///
/// # Errors
/// `AWS_CA_BUNDLE` names a file of no use.
pub(super) fn http_client(answer_within: Duration) -> Result<SharedHttpClient, CaBundleError> {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(answer_within)
        .build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .sleep_impl(TokioSleep::new())
        .proxy_config(ProxyConfig::from_env())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls_context()?)
        .build();
    let connector = SharedHttpConnector::new(connector);
    Ok(http_client_fn(move |_, _| connector.clone()))
}

fn tls_context() -> Result<TlsContext, CaBundleError> {
    let mut trusted = TrustStore::default();
    let path = env::var_os(CA_BUNDLE).filter(|path| !path.is_empty());
    if let Some(path) = path.map(PathBuf::from) {
        let bundle = match fs::read(&path) {
            Ok(bundle) => bundle,
            Err(source) => return Err(CaBundleError::Read { path, source }),
        };
        let pem = usable_certificates(&bundle);
        if pem.is_empty() {
            return Err(CaBundleError::NoCertificate { path });
        }
        trusted = trusted.with_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    // It fails for no setting that is made here.
    Ok(context.unwrap_or_default())
}

/// Those of a bundle that rustls takes, as PEM: the SDK's client panics at any other.
fn usable_certificates(bundle: &[u8]) -> String {
    let certificates = CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok);
    let usable = certificates.filter(|der| RootCertStore::empty().add(der.clone()).is_ok());
    usable.fold(String::new(), |mut pem, der| {
        let text = BASE64_STANDARD.encode(&der);
        // A String takes all that is written to it.
        let _ = writeln!(
            pem,
            "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"
        );
        pem
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_left_out_of_a_bundle() {
        let good = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        let good = good.cert.pem();
        let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let not_base64 = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";

        let bundle = format!("# a comment\n{not_a_certificate}{not_base64}{good}");

        let usable = usable_certificates(bundle.as_bytes());
        assert_eq!(usable.matches("BEGIN").count(), 1, "{usable}");
        assert_eq!(usable_certificates(usable.as_bytes()), usable);
        assert_eq!(usable_certificates(not_a_certificate.as_bytes()), "");
        assert_eq!(usable_certificates(b""), "");
    }
}
