//! A bare server, which nothing that ordinary crates are made of could be faster than: it reads
//! each body and allows.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::de::IgnoredAny;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Allows whatever it is asked about.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Address for admission requests (TLS).
    #[arg(long)]
    listen: SocketAddr,
    /// Certificate chain (PEM).
    #[arg(long)]
    tls_cert_file: PathBuf,
    /// Private key (PEM).
    #[arg(long)]
    tls_private_key_file: PathBuf,
    /// Go over the body's JSON, too, without keeping any of it.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let acceptor = TlsAcceptor::from(tls(&args)?);
    let listener = TcpListener::bind(args.listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks is the client's to notice.
        tokio::spawn(serve(acceptor.clone(), stream, args.json));
    }
}

fn tls(args: &Args) -> Result<Arc<ServerConfig>> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&args.tls_cert_file)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read {}", args.tls_cert_file.display()))?;
    let key = PrivateKeyDer::from_pem_file(&args.tls_private_key_file)
        .with_context(|| format!("cannot read {}", args.tls_private_key_file.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, json: bool) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let allow = service_fn(|request| allow(request, json));
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), allow)
        .await?;
    Ok(())
}

async fn allow(
    request: Request<Incoming>,
    json: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    const ALLOWED: &str = concat!(
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","#,
        r#""response":{"uid":"","allowed":true}}"#
    );
    const REFUSED: &str = r#"{"response":{"uid":"","allowed":false}}"#;
    let body = request.into_body().collect().await;
    let read = body
        .is_ok_and(|body| !json || serde_json::from_slice::<IgnoredAny>(&body.to_bytes()).is_ok());
    let answer = if read { ALLOWED } else { REFUSED };
    Ok(Response::new(Full::from(answer)))
}
