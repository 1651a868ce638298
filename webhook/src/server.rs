//! The ports: accept, encrypt, serve, drain.
//!
//! Both take so many connections and no more, and so much of a head and no more, and wait for
//! nobody for long. HTTP/1.1 is all that is spoken: an API server speaks nothing else to a webhook
//! behind a Service, and HTTP/2 would buffer what each of many streams sends before anybody has
//! counted it.

pub mod tls;

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tracing::{debug, info, warn};

use crate::limits::{BUFFER_LIMIT, CONNECTIONS_LIMIT};
use crate::state::Webhook;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of the first request may take. An API server connects because it has
/// one to send.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of a request may take, counted from the end of the request before it, so that
/// it is also how long a connection may lie idle.
///
/// It must be longer than the 90 s after which the API server closes an idle connection (Go's
/// `http.DefaultTransport`): where both sides can be the first to close, a request can meet a
/// connection that has just been closed, Go does not repeat a POST, and a write is refused.
const HEAD_TIMEOUT: Duration = Duration::from_mins(2);

/// Open connections to the second port. Kubelet and Prometheus make one for each question.
const PLAIN_CONNECTIONS_LIMIT: usize = 64;

/// How long a connection to the second port may be open. Whoever asks there asks once and reads the
/// answer; those who do not must make way for those who do.
const PLAIN_CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Header fields of a request. An API server sends eight or so.
const HEADERS_LIMIT: usize = 64;

/// How long requests that are under way may take once the process is to end. The API server waits
/// 10 s for an answer by default.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long accepting pauses after it failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the admission port until `shutdown`, and then until the requests that are under way are
/// answered, but not longer than [`DRAIN_TIMEOUT`].
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    webhook: Arc<Webhook>,
    shutdown: impl Future<Output = ()>,
) {
    let port = Port {
        listener,
        router,
        connections_limit: CONNECTIONS_LIMIT,
        way: Way::Encrypted {
            acceptor: TlsAcceptor::from(tls),
            gauge: webhook.metrics.ports.connections().clone(),
        },
    };
    webhook.set_serving(true);
    let draining = || webhook.set_serving(false);
    port.serve(shutdown, draining).await;
}

/// Serves the second port, without TLS and one request a connection, until `shutdown`.
pub async fn serve_plainly(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let port = Port {
        listener,
        router,
        connections_limit: PLAIN_CONNECTIONS_LIMIT,
        way: Way::Plain,
    };
    port.serve(shutdown, || {}).await;
}

/// One of the two ports.
struct Port {
    listener: TcpListener,
    router: Router,
    connections_limit: usize,
    way: Way,
}

/// How connections are served.
#[derive(Clone)]
enum Way {
    /// By TLS, for as long as the caller likes, and counted.
    Encrypted { acceptor: TlsAcceptor, gauge: Gauge },
    /// For one request.
    Plain,
}

impl Port {
    async fn serve(self, shutdown: impl Future<Output = ()>, draining: impl FnOnce()) {
        let connections = Arc::new(Semaphore::new(self.connections_limit));
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let (stream, permit) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = accept(&self.listener, &connections) => accepted,
            };
            let connection = Connection {
                router: self.router.clone(),
                watcher: graceful.watcher(),
                _permit: permit,
            };
            tokio::spawn(connection.serve(stream, self.way.clone()));
        }
        draining();
        drop(self.listener);
        info!(connections = graceful.count(), "draining");
        if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
            warn!("some requests were not answered in time");
        }
    }
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit.
    let permit = Arc::clone(connections).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One more, for as long as this is kept.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

struct Connection {
    router: Router,
    watcher: Watcher,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, way: Way) {
        // Answers are small and whole; waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        match way {
            Way::Encrypted { acceptor, gauge } => {
                let _counted = Counted::new(gauge);
                match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Err(_) => debug!("TLS handshake not finished in time"),
                    Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
                    Ok(Ok(stream)) => self.speak(stream, &http()).await,
                }
            }
            Way::Plain => {
                let mut http = http();
                http.keep_alive(false);
                let served = self.speak(stream, &http);
                if timeout(PLAIN_CONNECTION_TIMEOUT, served).await.is_err() {
                    debug!("connection not over in time");
                }
            }
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + 'static, http: &Builder) {
        let asked = AtomicBool::new(false);
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(|request| {
            asked.store(true, Ordering::Relaxed);
            router.call(request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            ended = self.watcher.watch(connection) => {
                if let Err(error) = ended {
                    debug!(%error, "connection ended");
                }
            }
            () = silence(&asked) => debug!("no request in time"),
        }
    }
}

/// Ends once the time for the first request is up, and never if there was one.
async fn silence(asked: &AtomicBool) {
    sleep(FIRST_REQUEST_TIMEOUT).await;
    if asked.load(Ordering::Relaxed) {
        future::pending::<()>().await;
    }
}

fn http() -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_LIMIT)
        .max_buf_size(BUFFER_LIMIT);
    builder
}
