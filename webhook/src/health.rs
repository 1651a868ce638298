//! The second port: `/healthz`, `/readyz` and `/metrics`, without TLS.
//!
//! It is served by a thread of its own: whatever the others are busy with, kubelet gets its answer,
//! and a webhook that is at work is not taken for one that is stuck.

use std::io;
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::server;
use crate::state::Webhook;

/// The second port, being served.
#[derive(Debug)]
pub struct Serving {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Serving {
    /// Serves the second port from now on.
    ///
    /// # Errors
    /// The operating system has no thread for it.
    pub fn start(listener: TcpListener, webhook: Arc<Webhook>) -> io::Result<Self> {
        let listener = listener.into_std()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel::<()>();
        let serve = async move {
            let listener = TcpListener::from_std(listener)?;
            // Either way it is over.
            let shutdown = async { drop(stopped.await) };
            server::serve_plainly(listener, router(webhook), shutdown).await;
            Ok::<_, io::Error>(())
        };
        thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || {
                let _end = end;
                runtime.block_on(serve)
            })?;
        Ok(Serving { stop, ended })
    }

    /// Stops, and returns when what was asked is answered.
    pub async fn stop(self) {
        drop(self.stop);
        // It is dropped by the thread when that ends.
        drop(self.ended.await);
    }
}

/// The routes of the second port.
pub fn router(webhook: Arc<Webhook>) -> Router {
    Router::new()
        // The process answers. Nothing else: a restart mends neither a missing cache nor a
        // certificate.
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(webhook)
}

async fn ready(State(webhook): State<Arc<Webhook>>) -> Response {
    let obstacles = webhook.obstacles();
    if obstacles.is_empty() {
        return "ok\n".into_response();
    }
    let text = obstacles.join("\n") + "\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn metrics(State(webhook): State<Arc<Webhook>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match webhook.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
