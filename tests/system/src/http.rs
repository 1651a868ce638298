//! Asking a server on this machine.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// What a server says at a path, without TLS: the status and the text.
pub async fn http_get(server: SocketAddr, path: &str) -> Result<(u16, String)> {
    let uri = format!("http://{server}{path}").parse()?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.get(uri).await;
    let response = response.with_context(|| format!("{server} does not answer"))?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}
