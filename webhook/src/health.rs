//! The second port: `/healthz`, `/readyz` and `/metrics`, without TLS.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::state::Webhook;

/// The routes of the second port.
pub fn router(webhook: Arc<Webhook>) -> Router {
    Router::new()
        // The process answers. Nothing else: a restart mends neither a missing cache nor a certificate.
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
