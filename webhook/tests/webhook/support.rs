//! A webhook with a small fleet, and ways to ask it.

use std::sync::Arc;
use std::time::Duration;

use argocd::application::EnabledField;
use argocd::fleet::Parts;
use argocd::settings::Settings;
use argocd::{AppProject, Cluster, Fleet};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use gitops_webhook::admission::handler;
use gitops_webhook::limits::Limits;
use gitops_webhook::state::{Caches, Webhook, WebhookParts};
use http_body_util::BodyExt as _;
use policy::{Completeness, GitOpsPolicySpec, Inventory};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const REPOSITORY: &str = "https://git.example.com/platform/gitops.git";

/// The world of the recorded requests.
pub(crate) fn inventory() -> Inventory {
    inventory_with(projects())
}

/// The same with other AppProjects.
pub(crate) fn inventory_with(projects: Vec<AppProject>) -> Inventory {
    let cluster = |name: &str, server: &str| Cluster {
        name: name.to_owned(),
        server: server.to_owned(),
        labels: [
            ("argocd.argoproj.io/secret-type", "cluster"),
            ("environment", name),
            ("workload-cluster", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        ..Cluster::default()
    };
    let fleet = Fleet::new(Parts {
        control_plane_namespace: "argocd".to_owned(),
        projects,
        clusters: vec![
            cluster("staging", "https://staging.k8s.example.com"),
            cluster("prod", "https://prod.k8s.example.com"),
        ],
        repositories: Vec::new(),
        settings: Settings::default(),
    });
    Inventory::new(
        fleet,
        Completeness::Complete,
        EnabledField::Supported,
        GitOpsPolicySpec::default(),
    )
    .unwrap()
}

fn projects() -> Vec<AppProject> {
    let project = |name: &str, repository: &str, destinations: Value| {
        let json = json!({
            "metadata": {"name": name, "namespace": "argocd"},
            "spec": {"sourceRepos": [repository], "destinations": destinations},
        });
        serde_json::from_value(json).unwrap()
    };
    let shop = json!([
        {"name": "staging", "namespace": "shop-*"},
        {"name": "prod", "namespace": "shop-*"},
        {"name": "staging", "namespace": "web-*"},
        {"name": "prod", "namespace": "web-*"},
    ]);
    let platform = json!([
        {"server": "https://kubernetes.default.svc", "namespace": "argocd"},
        {"name": "*", "namespace": "*"},
    ]);
    vec![
        project("team-shop", REPOSITORY, shop),
        project(
            "team-shop-v2",
            REPOSITORY,
            json!([{"name": "*", "namespace": "shop-*"}]),
        ),
        project("platform", REPOSITORY, platform),
        project("default", "*", json!([{"server": "*", "namespace": "*"}])),
    ]
}

/// A webhook whose inventory never changes, so that nothing is worth waiting for.
pub(crate) fn webhook() -> Arc<Webhook> {
    webhook_with(Limits {
        news_timeout: Duration::ZERO,
        ..Limits::default()
    })
}

pub(crate) fn webhook_with(limits: Limits) -> Arc<Webhook> {
    let caches = Caches::Synced(Box::new(inventory()));
    Arc::new(Webhook::new(WebhookParts::alone(caches, limits)))
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Answer {
    /// The `response` of the AdmissionReview that must have come back.
    pub(crate) fn response(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let mut review: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(review["kind"], "AdmissionReview");
        review["response"].take()
    }
}

/// Sends a body to `/validate` of a webhook in this process.
pub(crate) async fn ask(webhook: &Arc<Webhook>, body: impl Into<Body>) -> Answer {
    let request = Request::post("/validate").header("content-type", "application/json");
    send(webhook, request.body(body.into()).unwrap()).await
}

/// The same from a caller that waits so long, in Go's words.
pub(crate) async fn ask_within(
    webhook: &Arc<Webhook>,
    timeout: &str,
    body: impl Into<Body>,
) -> Answer {
    let request = Request::post(format!("/validate?timeout={timeout}"))
        .header("content-type", "application/json");
    send(webhook, request.body(body.into()).unwrap()).await
}

/// How often something was counted.
pub(crate) fn metric(webhook: &Webhook, name: &str) -> u64 {
    let metrics = webhook.metrics.encode().unwrap();
    let line = metrics
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")));
    let value = line.and_then(|line| line.rsplit(' ').next()).expect(name);
    value.parse().unwrap()
}

/// How many calls got no verdict, for this reason.
pub(crate) fn failures(webhook: &Webhook, reason: &str) -> u64 {
    let name = format!(r#"gitops_webhook_failures_total{{reason="{reason}"}}"#);
    metric(webhook, &name)
}

pub(crate) async fn send(webhook: &Arc<Webhook>, request: Request<Body>) -> Answer {
    let router = handler::router(Arc::clone(webhook));
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer {
        status,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) async fn ask_json(webhook: &Arc<Webhook>, review: &Value) -> Answer {
    ask(webhook, review.to_string()).await
}

/// An Application that violates nothing.
pub(crate) fn application() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": "argocd"},
        "spec": {
            "project": "team-shop",
            "source": {"repoURL": REPOSITORY, "path": "web", "targetRevision": "v1.0.0"},
            "destination": {"name": "staging", "namespace": "web-staging"},
        },
    })
}

/// The same on production, synced by itself.
pub(crate) fn automated_on_production() -> Value {
    let mut application = application();
    application["spec"]["destination"] = json!({"name": "prod", "namespace": "web-prod"});
    application["spec"]["syncPolicy"] = json!({"automated": {"prune": false, "selfHeal": false}});
    application
}

/// A review in the order in which the API server writes it.
pub(crate) fn review(operation: &str, kind: &str, object: &Value, old: &Value) -> String {
    let group = if kind == "Secret" { "" } else { "argoproj.io" };
    let name = &object["metadata"]["name"];
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u-1","kind":{{"group":"{group}","version":"v1","kind":"{kind}"}},"resource":{{"group":"{group}","version":"v1","resource":"x"}},"name":{name},"namespace":"argocd","operation":"{operation}","userInfo":{{"username":"alice","groups":["g"]}},"object":{object},"oldObject":{old},"dryRun":false,"options":{{}}}}}}"#
    )
}

pub(crate) fn create(kind: &str, object: &Value) -> String {
    review("CREATE", kind, object, &Value::Null)
}
