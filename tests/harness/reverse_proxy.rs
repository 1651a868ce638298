//! What stands before an API server and is taken for it, so that a test sees each request and may
//! hold the answer.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use futures::future::BoxFuture;
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::control_plane::ControlPlane;

/// A request that the API server has answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answered {
    /// Such as `DELETE`.
    pub method: Method,
    /// Such as `/api/v1/namespaces/argocd/secrets/cluster-orders`.
    pub path: String,
}

impl Answered {
    /// Whether something may be changed by it. A question to the API server changes nothing.
    pub fn is_write(&self) -> bool {
        let is_question = [
            "/apis/authorization.k8s.io/",
            "/apis/authentication.k8s.io/",
        ]
        .iter()
        .any(|group| self.path.starts_with(group));
        self.method != Method::GET && !is_question
    }
}

/// What is done before whoever asked has the answer. An error breaks the connection.
type Hook = Arc<dyn Fn(Answered) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// It shows the API server's own certificate and passes on what it is given. It belongs to the
/// runtime that it was started on, and ends when it is dropped.
pub struct ReverseProxy {
    address: SocketAddr,
    hook: Arc<Mutex<Option<Hook>>>,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Incoming>,
    url: Uri,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl ReverseProxy {
    /// Starts one before an API server. Who logs in by a client certificate is nobody behind it.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let hook = Arc::default();
        let upstream = Upstream {
            client: client(control_plane)?,
            url: control_plane.url().parse()?,
            hook: Arc::clone(&hook),
        };
        let serving = tokio::spawn(accept(listener, acceptor(control_plane)?, upstream));
        Ok(Self {
            address,
            hook,
            serving,
        })
    }

    /// Where the API server is believed to be.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// From now on this is done whenever the API server has answered, before the answer is passed
    /// on. An error breaks the connection instead.
    pub fn before_answers(
        &self,
        hook: impl Fn(Answered) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn client(control_plane: &ControlPlane) -> Result<Client<HttpsConnector<HttpConnector>, Incoming>> {
    let mut trusted = RootCertStore::empty();
    for certificate in certificates(control_plane, "ca.crt")? {
        trusted.add(certificate)?;
    }
    let tls = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn acceptor(control_plane: &ControlPlane) -> Result<TlsAcceptor> {
    let key = PrivateKeyDer::from_pem_file(control_plane.folder().join("tls.key"))?;
    let tls = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates(control_plane, "tls.crt")?, key)?;
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(control_plane: &ControlPlane, name: &str) -> Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(control_plane.folder().join(name))
        .with_context(|| format!("the control plane has no {name}"))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    Ok(all?)
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, upstream: Upstream) {
    while let Ok((stream, _)) = listener.accept().await {
        // A connection that breaks concerns its two ends, which both notice.
        tokio::spawn(serve(stream, acceptor.clone(), upstream.clone()));
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, upstream: Upstream) -> Result<()> {
    let stream = TokioIo::new(acceptor.accept(stream).await?);
    let service = service_fn(move |request| {
        let upstream = upstream.clone();
        async move { upstream.pass_on(request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    Ok(connection.serve_connection(stream, service).await?)
}

impl Upstream {
    async fn pass_on(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>> {
        let answered = Answered {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
        };
        let mut uri = self.url.clone().into_parts();
        uri.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(uri)?;
        let response = self.client.request(request).await?;
        if let Some(hook) = self.hook() {
            hook(answered).await?;
        }
        Ok(response)
    }

    fn hook(&self) -> Option<Hook> {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        hook.clone()
    }
}
