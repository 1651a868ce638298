//! A connection to an admission webhook, as an API server has one.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The name in the servers' certificate.
pub(crate) const SERVER_NAME: &str = "localhost";

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Client(TlsConnector);

/// An open connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    path: &'static str,
}

/// What the server said.
#[derive(Debug)]
pub(crate) enum Reply {
    Judged(Answer),
    /// It waits for what it needs to know.
    NotReady,
}

/// A verdict.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) uid: String,
    pub(crate) allowed: bool,
}

#[derive(Deserialize)]
struct AdmissionReview {
    response: Answer,
}

impl Client {
    /// Trusts this certificate and no other.
    pub(crate) fn new(certificate: CertificateDer<'static>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Client(TlsConnector::from(Arc::new(config))))
    }

    pub(crate) async fn connect(
        &self,
        server: SocketAddr,
        path: &'static str,
    ) -> Result<Connection> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(SERVER_NAME)?;
        let stream = self.0.connect(name, stream).await.context("no TLS")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // That it ended shows in the next request.
        tokio::spawn(connection);
        Ok(Connection { sender, path })
    }
}

impl Connection {
    /// Sends a review and reads what comes back as a whole.
    pub(crate) async fn ask(&mut self, review: Bytes) -> Result<Reply> {
        self.sender.ready().await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.path)
            .header(header::HOST, SERVER_NAME)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(review))?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return Ok(Reply::NotReady);
        }
        ensure!(
            status.is_success(),
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        let review: AdmissionReview = serde_json::from_slice(&body)?;
        Ok(Reply::Judged(review.response))
    }
}
