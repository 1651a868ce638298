//! The admission port: accepts, encrypts, serves, drains.

pub mod tls;

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tracing::{debug, info, warn};

use crate::state::Webhook;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of the first request may take. An API server connects because it has
/// one to send.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the head of a request may take, counted from the end of the request before it, so that it
/// is also how long a connection may lie idle.
///
/// It must be longer than the 90 s after which the API server closes an idle connection (Go's
/// `http.DefaultTransport`): where both sides can be the first to close, a request can meet a
/// connection that has just been closed, Go does not repeat a POST, and a write is refused.
const HEAD_TIMEOUT: Duration = Duration::from_mins(2);

/// How often a silent HTTP/2 peer is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Concurrent requests of one HTTP/2 connection.
const STREAMS_LIMIT: u32 = 128;

/// Open connections. An API server holds a handful; each takes some 50 KiB.
const CONNECTIONS_LIMIT: usize = 512;

/// What a connection buffers of a request before it is read; more would only be memory.
const BUFFER_LIMIT: usize = 64 << 10;

/// How long requests that are under way may take once the process is to end. The API server waits
/// 10 s for an answer by default.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long accepting pauses after it failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, and then until the requests that are under way are answered, but not
/// longer than [`DRAIN_TIMEOUT`].
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    webhook: Arc<Webhook>,
    shutdown: impl Future<Output = ()>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_LIMIT));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    webhook.set_serving(true);
    loop {
        let (stream, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let connection = Connection {
            acceptor: acceptor.clone(),
            router: router.clone(),
            watcher: graceful.watcher(),
            webhook: Arc::clone(&webhook),
            _permit: permit,
        };
        tokio::spawn(connection.serve(stream));
    }
    webhook.set_serving(false);
    drop(listener);
    info!(connections = graceful.count(), "draining");
    if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        warn!("some requests were not answered in time");
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

struct Connection {
    acceptor: TlsAcceptor,
    router: Router,
    watcher: Watcher,
    webhook: Arc<Webhook>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let gauge = self.webhook.metrics.connections();
        gauge.inc();
        // Answers are small and whole; waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let handshake = timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream));
        match handshake.await {
            Err(_) => debug!("TLS handshake not finished in time"),
            Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
            Ok(Ok(stream)) => {
                let asked = AtomicBool::new(false);
                let router = TowerToHyperService::new(self.router);
                let service = service_fn(|request| {
                    asked.store(true, Ordering::Relaxed);
                    router.call(request)
                });
                let builder = http();
                let connection = builder.serve_connection(TokioIo::new(stream), service);
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
        gauge.dec();
    }
}

/// Ends once the time for the first request is up, and never if there was one.
async fn silence(asked: &AtomicBool) {
    sleep(FIRST_REQUEST_TIMEOUT).await;
    if asked.load(Ordering::Relaxed) {
        future::pending::<()>().await;
    }
}

fn http() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(STREAMS_LIMIT);
    builder
}
