//! What the tests of this crate share: names, a clock, and an API server that follows a script.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use http_body_util::BodyExt;
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::service_fn;

use crate::ServiceNames;

pub(crate) fn names() -> ServiceNames {
    ServiceNames::new("gitops-webhook", "gitops-webhook").unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

type Respond = Box<dyn Fn(&Value) -> (StatusCode, Value) + Send>;

struct Expected {
    method: Method,
    path: &'static str,
    respond: Respond,
}

#[derive(Default)]
struct Script {
    expected: VecDeque<Expected>,
    bodies: Vec<Value>,
}

/// Answers the requests that are expected, in their order, and fails the test at any other. Races
/// between writers are put in scene with it, which a real API server shows only by luck.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<Script>>);

impl ApiServer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn expect(
        &self,
        method: Method,
        path: &'static str,
        respond: impl Fn(&Value) -> (StatusCode, Value) + Send + 'static,
    ) {
        self.0.lock().unwrap().expected.push_back(Expected {
            method,
            path,
            respond: Box::new(respond),
        });
    }

    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, tower::BoxError>(server.answer(request).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap()
        };
        let mut script = self.0.lock().unwrap();
        let expected = script.expected.pop_front();
        let expected = expected
            .unwrap_or_else(|| panic!("no request was expected: {} {}", parts.method, parts.uri));
        assert_eq!(
            (&parts.method, parts.uri.path()),
            (&expected.method, expected.path)
        );
        let (status, answer) = (expected.respond)(&body);
        script.bodies.push(body);
        Response::builder()
            .status(status)
            .body(Body::from(answer.to_string().into_bytes()))
            .unwrap()
    }

    /// Fails the test if requests were expected that never came. Returns the bodies of those that
    /// did.
    pub(crate) fn finish(&self) -> Vec<Value> {
        let mut script = self.0.lock().unwrap();
        let missing: Vec<_> = script
            .expected
            .iter()
            .map(|e| format!("{} {}", e.method, e.path))
            .collect();
        assert!(missing.is_empty(), "these requests never came: {missing:?}");
        std::mem::take(&mut script.bodies)
    }
}

pub(crate) fn status(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": reason,
    });
    (code, status)
}

pub(crate) fn not_found() -> (StatusCode, Value) {
    status(StatusCode::NOT_FOUND, "NotFound")
}

pub(crate) fn conflict() -> (StatusCode, Value) {
    status(StatusCode::CONFLICT, "Conflict")
}
