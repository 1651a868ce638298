//! An API server in this process, which answers as a test says.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::{Value, json};

/// A request to it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// A client of an API server that answers each request with a status and an object.
pub(crate) fn client<Answering>(
    answer: impl Fn(Asked) -> Answering + Clone + Send + 'static,
) -> Client
where
    Answering: Future<Output = (StatusCode, Value)> + Send + 'static,
{
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let answer = answer.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let asked = Asked {
                method: head.method,
                path: head.uri.path().to_owned(),
                body: serde_json::from_slice(&body).unwrap_or_default(),
            };
            let (status, object) = answer(asked).await;
            let response = Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Body::from(object.to_string()))
                .unwrap();
            Ok::<_, Infallible>(response)
        }
    });
    Client::new(service, "gitops-webhook")
}

/// What an API server says when it does not do what it is asked for.
pub(crate) fn refusal(status: StatusCode, reason: &str) -> (StatusCode, Value) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": status.as_u16(), "reason": reason, "message": format!("this is {reason}"),
    });
    (status, body)
}
