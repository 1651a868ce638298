//! Asking a server on this machine.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use http::Request;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// What a server says at a path, without TLS: the status and the text.
pub async fn http_get(server: SocketAddr, path: &str) -> Result<(u16, String)> {
    http_send(Request::get(format!("http://{server}{path}")).body(String::new())?).await
}

/// What a server answers to a request, without TLS: the status and the text.
pub async fn http_send(request: Request<String>) -> Result<(u16, String)> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let uri = request.uri().clone();
    let response = client.request(request).await;
    let response = response.with_context(|| format!("no answer from {uri}"))?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}
