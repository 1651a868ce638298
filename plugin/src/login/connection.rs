//! The connection to an API server with a token, and why there is none.

use std::error::Error;
use std::io;
use std::time::Duration;

use argocd::cluster::config::ServerTrust;
use http::Uri;
use kube::{Client, Config};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::SecretString;

/// How long is waited for an API server that may not be reachable from here.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Why an API server was not asked, or did not answer. The token is in none of them.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the server of the Secret is not a URL")]
    Server,
    #[error("no client can be made of the Secret")]
    Client,
    #[error("{0}")]
    Certificate(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("the API server does not know who that is (401)")]
    Unauthorized,
    #[error("the API server answers {status}: {message}")]
    Refused { status: u16, message: String },
}

/// A client that sends the token, and holds the server to what the Secret says.
pub(super) fn client(
    server: &str,
    trust: &ServerTrust,
    token: SecretString,
) -> Result<Client, AnswerError> {
    let server: Uri = server.parse().map_err(|_| AnswerError::Server)?;
    let mut config = Config::new(server);
    config.connect_timeout = Some(CONNECT_WITHIN);
    config.read_timeout = Some(ANSWER_WITHIN);
    config.auth_info.token = Some(token);
    let server_name = Some(&trust.server_name).filter(|name| !name.is_empty());
    config.tls_server_name = server_name.cloned();
    if !trust.certificate_authority.is_empty() {
        let certificates = CertificateDer::pem_slice_iter(&trust.certificate_authority);
        let certificates = certificates.filter_map(Result::ok);
        config.root_cert = Some(certificates.map(|der| der.to_vec()).collect());
    }
    Client::try_from(config).map_err(|_| AnswerError::Client)
}

/// Asks for the version, which everybody may who is somebody.
pub(super) async fn version(client: &Client) -> Result<String, AnswerError> {
    let version = client
        .apiserver_version()
        .await
        .map_err(|error| answer_error(&error))?;
    Ok(version.git_version)
}

pub(super) fn answer_error(error: &kube::Error) -> AnswerError {
    if let kube::Error::Api(status) = error {
        return match status.code {
            401 => AnswerError::Unauthorized,
            code => AnswerError::Refused {
                status: code,
                message: status.message.clone(),
            },
        };
    }
    match certificate_error(error) {
        Some(reason) => AnswerError::Certificate(reason),
        None => AnswerError::Unreachable(innermost(error)),
    }
}

/// What rustls says of a certificate, wherever in the causes that is.
fn certificate_error(error: &(dyn Error + 'static)) -> Option<String> {
    let mut error = Some(error);
    while let Some(this) = error {
        let told = this.downcast_ref::<rustls::Error>();
        // The cause of an I/O error is not what is in it, but the cause of that.
        let inside = || {
            let inside = this.downcast_ref::<io::Error>()?.get_ref()?;
            inside.downcast_ref::<rustls::Error>()
        };
        if let Some(told) = told.or_else(inside) {
            return Some(told.to_string());
        }
        error = this.source();
    }
    None
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
