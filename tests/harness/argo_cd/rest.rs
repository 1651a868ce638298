//! Argo CD's REST API.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};

use crate::http::http_send;

const JSON: &str = "application/json";

/// The REST API of argocd-server, which is what its UI talks to, as somebody who has logged in.
#[derive(Debug)]
pub struct Rest {
    server: SocketAddr,
    /// Of no value to [`Debug`].
    authorization: HeaderValue,
}

impl Rest {
    /// Logs in as Argo CD's administrator.
    pub(crate) async fn log_in(server: SocketAddr, password: &str) -> Result<Self> {
        let login = json!({"username": "admin", "password": password});
        let request = Request::post(format!("http://{server}/api/v1/session"));
        let request = request.header(CONTENT_TYPE, JSON).body(login.to_string())?;
        // The answer is in no message: it may hold a token.
        let (status, answer) = http_send(request).await?;
        ensure!(status == 200, "cannot log in to Argo CD: {status}");
        let answer: Value = serde_json::from_str(&answer)?;
        let token = answer["token"].as_str().context("Argo CD gave no token")?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            server,
            authorization,
        })
    }

    /// What it answers to a request for a path below `/api/v1`: the status and the object.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}/api/v1{path}", self.server))
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, JSON)
            .body(body.to_string())?;
        let (status, answer) = http_send(request).await?;
        let answer = serde_json::from_str(&answer);
        Ok((status, answer.context("Argo CD answered no JSON")?))
    }
}
