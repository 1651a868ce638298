//! The API server of a cluster that Argo CD deploys to.

use std::time::Duration;

use argocd::cluster::Connection;
use http::Uri;
use kube::config::AuthInfo;
use kube::{Client, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::SecretString;

use super::api_server::ApiServer;

/// How long such an API server may take for an answer. One that cannot be reached is told, not
/// waited for.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Nobody can connect to the API server that a Secret describes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkloadError {
    #[error("data.server is not a URL of the scheme https: {0:?}")]
    Server(String),
    #[error("data.config: proxyUrl is not a URL")]
    Proxy,
    #[error("data.config: tlsClientConfig.caData holds no certificate in PEM")]
    CaData,
    #[error("no client can be made for {server}")]
    Client {
        server: String,
        #[source]
        source: kube::Error,
    },
}

/// Connects to the API server of a cluster as whoever a token is of. The token is kept in memory,
/// and sent to this API server alone.
///
/// # Errors
/// What the Secret says makes no connection. Nothing is sent yet.
pub(crate) fn connect_by_token(
    connection: &Connection,
    token: SecretString,
) -> Result<ApiServer, WorkloadError> {
    let client = client_by_token(connection, token)?;
    let address = connection.server.clone();
    Ok(ApiServer::new(client, address, Some(TIMEOUT), None, None))
}

/// The client of such a connection.
///
/// # Errors
/// What the Secret says makes no connection. Nothing is sent yet.
pub(crate) fn client_by_token(
    connection: &Connection,
    token: SecretString,
) -> Result<Client, WorkloadError> {
    let url = connection.server.parse::<Uri>().ok();
    // Anything else would send the token in clear.
    let url = url.filter(|url| url.scheme_str() == Some("https"));
    let url = url.ok_or_else(|| WorkloadError::Server(connection.server.clone()))?;
    let mut config = Config::new(url);
    config.accept_invalid_certs = connection.insecure;
    config.tls_server_name.clone_from(&connection.server_name);
    config.connect_timeout = Some(TIMEOUT);
    config.root_cert = connection
        .ca_data
        .as_deref()
        .map(certificates)
        .transpose()?;
    config.proxy_url = match &connection.proxy_url {
        Some(url) => Some(url.expose().parse().map_err(|_| WorkloadError::Proxy)?),
        None => None,
    };
    config.auth_info = AuthInfo {
        token: Some(token),
        ..AuthInfo::default()
    };
    config.read_timeout = Some(TIMEOUT);
    Client::try_from(config).map_err(|source| WorkloadError::Client {
        server: connection.server.clone(),
        source,
    })
}

/// The certificates of a text in PEM, of which there is at least one.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    let certificates: Result<Vec<_>, _> = certificates
        .map(|one| one.map(|der| der.to_vec()))
        .collect();
    let certificates = certificates.map_err(|_| WorkloadError::CaData)?;
    if certificates.is_empty() {
        return Err(WorkloadError::CaData);
    }
    Ok(certificates)
}
