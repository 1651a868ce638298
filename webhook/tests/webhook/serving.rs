//! The admission port over TLS, with real clients on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use certs::credentials::certified_key;
use futures::SinkExt as _;
use futures::channel::mpsc;
use gitops_webhook::admission::handler;
use gitops_webhook::health;
use gitops_webhook::server::{self, tls};
use gitops_webhook::state::Webhook;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{application, automated_on_production, create, failures, webhook};

const NAME: &str = "gitops-webhook.gitops.svc";
const PATIENCE: Duration = Duration::from_secs(20);

fn issue() -> (Arc<CertifiedKey>, CertificateDer<'static>) {
    let issued = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    let certificate = issued.cert.pem();
    let key = issued.signing_key.serialize_pem();
    let key = certified_key(certificate.as_bytes(), key.as_bytes()).unwrap();
    (Arc::new(key), issued.cert.der().clone())
}

/// A webhook on a port of its own.
pub(crate) struct Running {
    address: SocketAddr,
    pub(crate) webhook: Arc<Webhook>,
    certificate: Arc<tls::Certificate>,
    authority: CertificateDer<'static>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (key, authority) = issue();
        let certificate = tls::Certificate::new(key);
        let tls = tls::config(Arc::clone(&certificate)).unwrap();
        let webhook = webhook();
        let router = handler::router(Arc::clone(&webhook));
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(server::serve(
            listener,
            tls,
            router,
            Arc::clone(&webhook),
            async { drop(stopped.await) },
        ));
        Running {
            address,
            webhook,
            certificate,
            authority,
            stop,
            ended,
        }
    }

    async fn connect(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        connect(self.address, &self.authority, &[protocol])
            .await
            .unwrap()
    }

    pub(crate) async fn http1(&self) -> http1::SendRequest<Body> {
        let stream = TokioIo::new(self.connect(b"http/1.1").await);
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

async fn connect(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(NAME).unwrap();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

pub(crate) fn post(body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("https://{NAME}/validate?timeout=5s"))
        .header("host", NAME)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap()
}

pub(crate) async fn allowed(response: hyper::Response<hyper::body::Incoming>) -> bool {
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    review["response"]["allowed"].as_bool().unwrap()
}

#[tokio::test]
async fn http1_keeps_one_connection_for_many_requests() {
    let running = Running::start().await;
    let mut client = running.http1().await;
    for _ in 0..20 {
        let good = client.send_request(post(create("Application", &application())));
        assert!(allowed(good.await.unwrap()).await);
        let bad = client.send_request(post(create("Application", &automated_on_production())));
        assert!(!allowed(bad.await.unwrap()).await);
    }
    assert_eq!(running.webhook.metrics.ports.connections().get(), 1);
}

/// An API server speaks HTTP/1.1 to a webhook behind a Service. What else it offers elsewhere is
/// not taken up.
#[tokio::test]
async fn nothing_but_http1_is_spoken() {
    let running = Running::start().await;
    let refused = connect(running.address, &running.authority, &[b"h2"]).await;
    assert!(refused.is_err());
    let both = [b"h2".as_slice(), b"http/1.1"];
    let stream = connect(running.address, &running.authority, &both).await;
    let stream = stream.unwrap();
    assert_eq!(
        stream.get_ref().1.alpn_protocol(),
        Some(b"http/1.1".as_slice())
    );
    // Without asking: what an HTTP/2 client says first is not a request.
    let mut unasked = connect(running.address, &running.authority, &[])
        .await
        .unwrap();
    unasked
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, unasked.read_to_end(&mut answer)).await;
    drop(closed.expect("the connection is closed"));
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

#[tokio::test]
async fn a_request_whose_connection_breaks_is_counted() {
    let running = Running::start().await;
    let mut stream = running.connect(b"http/1.1").await;
    let head = "POST /validate?timeout=30s HTTP/1.1\r\nhost: x\r\n\
        content-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    until("the request is under way", || {
        running.webhook.metrics.requests.body_bytes().get() > 0
    })
    .await;
    drop(stream);
    until("the connection is given up", || {
        running.webhook.metrics.ports.connections().get() == 0
    })
    .await;
    // Hyper notices in the body that it breaks off, or drops the request: either way it is counted,
    // once.
    let webhook = &running.webhook;
    assert_eq!(
        failures(webhook, "caller-gone") + failures(webhook, "body"),
        1
    );
    assert_eq!(webhook.metrics.requests.body_bytes().get(), 0);
}

#[tokio::test]
async fn a_head_of_too_many_or_too_long_fields_is_refused() {
    let running = Running::start().await;
    let many = "x: y\r\n".repeat(200);
    let long = format!("x: {}\r\n", "y".repeat(1 << 20));
    for fields in [many, long] {
        let mut stream = running.connect(b"http/1.1").await;
        let head = format!("POST /validate HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        // It may be closed before all of it is sent.
        drop(stream.write_all(head.as_bytes()).await);
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        drop(closed.expect("the connection is closed"));
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    until("they are counted down", || {
        running.webhook.metrics.ports.connections().get() == 0
    })
    .await;
}

/// The second port, asked by somebody who does not let anything else run meanwhile: this test has
/// one thread, which waits here for what the port's own thread answers.
#[tokio::test]
async fn health_and_metrics_are_answered_while_no_other_thread_is_free() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let webhook = webhook();
    let health = health::Serving::start(listener, Arc::clone(&webhook)).unwrap();
    for (path, expected) in [
        ("/healthz", "HTTP/1.1 200 OK"),
        ("/readyz", "HTTP/1.1 503 Service Unavailable"),
        ("/metrics", "HTTP/1.1 200 OK"),
        ("/elsewhere", "HTTP/1.1 404 Not Found"),
    ] {
        let answer = ask_blocking(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
        assert!(answer.starts_with(expected), "{path}: {answer}");
        // One request a connection.
        assert!(
            answer.to_lowercase().contains("connection: close"),
            "{answer}"
        );
    }
    health.stop().await;
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// Sends something and returns what comes until the connection is closed.
fn ask_blocking(address: SocketAddr, request: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// More connections than the second port has room for, and all of them silent.
#[tokio::test]
async fn silent_connections_to_the_second_port_make_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _health = health::Serving::start(listener, webhook()).unwrap();
    let silent: Vec<_> = (0..80)
        .map(|_| std::net::TcpStream::connect(address).unwrap())
        .collect();
    let answer = ask_blocking(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(silent);
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_disturbs_nobody() {
    let running = Running::start().await;
    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain
        .write_all(b"GET /validate HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // An alert and the end; never a word of HTTP.
    let read = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer));
    drop(read.await.unwrap());
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let mut client = running.http1().await;
    let good = client.send_request(post(create("Application", &application())));
    assert!(allowed(good.await.unwrap()).await);
}

#[tokio::test]
async fn another_certificate_counts_from_the_next_connection() {
    let running = Running::start().await;
    let mut before = running.http1().await;
    let (key, authority) = issue();
    running.certificate.replace(key);
    assert!(
        connect(running.address, &running.authority, &[b"http/1.1"])
            .await
            .is_err()
    );
    assert!(
        connect(running.address, &authority, &[b"http/1.1"])
            .await
            .is_ok()
    );
    let good = before.send_request(post(create("Application", &application())));
    assert!(allowed(good.await.unwrap()).await, "open connections go on");
}

#[tokio::test]
async fn shutdown_answers_what_is_under_way_and_takes_nothing_new() {
    let running = Running::start().await;
    let idle = running.http1().await;
    let mut client = running.http1().await;
    let body = create("Application", &application());
    let (first, rest) = body.split_at(body.len() / 2);
    let (mut pieces, stream) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let request = Request::post("/validate")
        .header("host", NAME)
        .header("content-type", "application/json")
        .header("content-length", body.len())
        .body(Body::from_stream(stream))
        .unwrap();
    let answer = tokio::spawn(client.send_request(request));
    pieces
        .send(Ok(Bytes::from(first.to_owned())))
        .await
        .unwrap();
    until("the request is under way", || {
        running.webhook.metrics.requests.body_bytes().get() > 0
    })
    .await;
    assert!(running.webhook.obstacles().is_empty());

    running.stop.send(()).unwrap();

    until("it is not ready", || {
        !running.webhook.obstacles().is_empty()
    })
    .await;
    until("the idle connection is closed", || idle.is_closed()).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while TcpStream::connect(running.address).await.is_ok() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "it still takes connections"
        );
        tokio::task::yield_now().await;
    }
    assert!(!running.ended.is_finished(), "a request is still under way");
    pieces.send(Ok(Bytes::from(rest.to_owned()))).await.unwrap();
    drop(pieces);
    assert!(allowed(answer.await.unwrap().unwrap()).await);
    tokio::time::timeout(PATIENCE, running.ended)
        .await
        .expect("it ends once all is answered")
        .unwrap();
}

/// Waits until something holds that another task brings about.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_soon() {
    for head in ["", "POST /validate HTTP/1.1\r\n"] {
        let running = Running::start().await;
        let mut stream = running.connect(b"http/1.1").await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        // Without TLS' own farewell, which is an error here.
        drop(closed.expect("the connection is closed"));
        assert_eq!(answer, b"");
    }
}

#[tokio::test]
async fn a_connection_that_had_a_request_stays_open() {
    let running = Running::start().await;
    let mut sender = running.http1().await;
    let review = create("Application", &application());
    let response = sender.send_request(post(review)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    drop(response.into_body().collect().await.unwrap());
    // Longer than a new connection may lie idle.
    let closed = until("the connection is closed", || sender.is_closed());
    let closed = tokio::time::timeout(Duration::from_secs(6), closed).await;
    assert!(closed.is_err());
}
