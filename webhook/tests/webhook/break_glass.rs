//! Overrides from the outside: who is asked, what is answered, what is on record.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use gitops_webhook::authorisation::Authoriser;
use gitops_webhook::clock::Clock;
use gitops_webhook::events::{self, Publisher};
use gitops_webhook::limits::Limits;
use gitops_webhook::metrics::Metrics;
use gitops_webhook::state::{BreakGlass, Caches, Webhook, WebhookParts};
use insta::assert_json_snapshot;
use jiff::Timestamp;
use kube::runtime::events::Reporter;
use serde_json::{Value, json};

use crate::api_server::{self, Asked, refusal};
use crate::support::{ask, ask_within, automated_on_production, failures, inventory};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// What the API server says of everybody.
#[derive(Clone, Copy)]
enum Mood {
    Allows,
    Denies,
    Fails,
    /// It does not answer such questions of the webhook's.
    Forbids,
    Hangs,
}

/// A webhook at a time, and the API server that it asks and tells.
struct Test {
    webhook: Arc<Webhook>,
    publisher: Publisher,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Test {
    fn with(mood: Mood) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let log = Arc::clone(&asked);
        let client = api_server::client(move |asked| {
            let is_silent = asked.path == REVIEWS && matches!(mood, Mood::Hangs);
            let answer = match (asked.path.as_str(), mood) {
                (REVIEWS, Mood::Fails) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "down"),
                (REVIEWS, Mood::Forbids) => refusal(StatusCode::FORBIDDEN, "may not"),
                (REVIEWS, mood) => {
                    let mut review = asked.body.clone();
                    review["status"] = json!({"allowed": matches!(mood, Mood::Allows)});
                    (StatusCode::CREATED, review)
                }
                _ => (StatusCode::CREATED, asked.body.clone()),
            };
            log.lock().unwrap().push(asked);
            async move {
                if is_silent {
                    std::future::pending::<()>().await;
                }
                answer
            }
        });
        let reporter = Reporter {
            controller: "gitops-webhook".to_owned(),
            instance: None,
        };
        let metrics = Metrics::new();
        let (events, publisher) = events::queue(client.clone(), reporter, &metrics.events);
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let caches = Caches::Synced(Box::new(inventory()));
        let webhook = Webhook::new(WebhookParts {
            metrics,
            clock: Clock::new(move || now),
            break_glass: Some(BreakGlass {
                authoriser: Authoriser::new(client),
                events,
            }),
            ..WebhookParts::alone(caches, Limits::default())
        });
        Test {
            webhook: Arc::new(webhook),
            publisher,
            asked,
        }
    }

    async fn ask(&self, request: Value) -> Value {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": request,
        });
        ask(&self.webhook, review.to_string()).await.response()
    }

    fn metric(&self, outcome: &str) -> u64 {
        let metrics = self.webhook.metrics.encode().unwrap();
        let counts = metrics
            .lines()
            .filter(|line| line.starts_with("gitops_webhook_break_glass_total{"))
            .filter(|line| line.contains(&format!("outcome=\"{outcome}\"")));
        counts
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// What the API server was asked to review, and the Events that it was told.
    async fn asked_and_told(self) -> (Vec<Value>, Vec<Value>) {
        drop(self.webhook);
        self.publisher.run().await;
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let (reviews, events): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|asked| asked.path == REVIEWS);
        let bodies = |asked: Vec<Asked>| asked.into_iter().map(|asked| asked.body).collect();
        (bodies(reviews), bodies(events))
    }
}

/// An Application that syncs production by itself, with the override for it.
fn overruled() -> Value {
    let mut object = automated_on_production();
    object["metadata"]["uid"] = json!("5a0b");
    object["metadata"]["annotations"] = json!({
        "kubectl-gitops.io/autoscaled": "false",
        "kubectl-gitops.io/break-glass": "prod-auto-sync",
        "kubectl-gitops.io/break-glass-reason": "INC-1: it burns",
        "kubectl-gitops.io/break-glass-expires": "2026-01-01T02:00:00Z",
    });
    object
}

fn create(object: &Value) -> Value {
    json!({
        "uid": "u-1",
        "kind": {"group": "argoproj.io", "version": "v1alpha1", "kind": "Application"},
        "name": "web",
        "namespace": "argocd",
        "operation": "CREATE",
        "userInfo": {
            "username": "alice",
            "uid": "a-1",
            "groups": ["on-call", "system:authenticated"],
            "extra": {"example.com/device": ["laptop"]},
        },
        "object": object,
        "oldObject": null,
        "dryRun": false,
    })
}

#[tokio::test]
async fn who_may_overrule_does_and_it_is_on_record() {
    let test = Test::with(Mood::Allows);
    let response = test.ask(create(&overruled())).await;
    assert_json_snapshot!("admitted", response);
    assert_eq!((test.metric("allowed"), test.metric("refused")), (1, 0));
    let (reviews, events) = test.asked_and_told().await;
    assert_json_snapshot!("review", reviews);
    let [mut event] = events.try_into().unwrap();
    for volatile in ["/eventTime", "/metadata/name"] {
        *event.pointer_mut(volatile).unwrap() = json!("…");
    }
    assert_json_snapshot!("event_of_use", event);
}

#[tokio::test]
async fn who_may_not_is_refused_and_that_is_on_record() {
    let test = Test::with(Mood::Denies);
    let response = test.ask(create(&overruled())).await;
    assert_json_snapshot!("refused", response);
    assert_eq!((test.metric("allowed"), test.metric("refused")), (0, 1));
    let (_, events) = test.asked_and_told().await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["reason"], "BreakGlassRefused");
    assert_eq!(events[0]["type"], "Warning");
    assert_eq!(
        events[0]["note"],
        "override of prod-auto-sync by alice refused: its writer may not overrule prod-auto-sync"
    );
}

#[tokio::test]
async fn where_nobody_can_be_asked_nobody_may() {
    let test = Test::with(Mood::Fails);
    let response = test.ask(create(&overruled())).await;
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("the API server could not be asked about its writer"),
        "{message}"
    );
    // Nor without anybody to ask.
    let caches = Caches::Synced(Box::new(inventory()));
    let alone = Arc::new(Webhook::new(WebhookParts::alone(caches, Limits::default())));
    let mut object = overruled();
    object["metadata"]["annotations"]["kubectl-gitops.io/break-glass-expires"] =
        json!((Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string());
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": create(&object),
    });
    let response = ask(&alone, review.to_string()).await.response();
    assert_eq!(response["allowed"], false);
}

#[tokio::test]
async fn a_dry_run_gets_the_verdict_and_leaves_nothing_behind() {
    for mood in [Mood::Allows, Mood::Denies] {
        let test = Test::with(mood);
        let mut request = create(&overruled());
        request["dryRun"] = json!(true);
        let response = test.ask(request).await;
        assert_eq!(response["allowed"], matches!(mood, Mood::Allows));
        let annotations = response["auditAnnotations"].as_object().unwrap();
        assert!(
            annotations
                .keys()
                .all(|key| !key.starts_with("break-glass"))
        );
        for outcome in ["granted", "allowed", "refused"] {
            assert_eq!(test.metric(outcome), 0, "{outcome}");
        }
        let (_, events) = test.asked_and_told().await;
        assert!(events.is_empty(), "{events:#?}");
    }
}

#[tokio::test]
async fn nobody_is_asked_where_nothing_is_claimed() {
    let test = Test::with(Mood::Allows);
    let old = overruled();
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"team": "web"});
    let mut request = create(&new);
    request["operation"] = json!("UPDATE");
    request["oldObject"] = old;
    assert_eq!(test.ask(request).await["allowed"], true);
    assert_eq!(
        test.ask(create(&automated_on_production())).await["allowed"],
        false
    );
    let (reviews, events) = test.asked_and_told().await;
    assert!(
        reviews.is_empty() && events.is_empty(),
        "{reviews:#?} {events:#?}"
    );
}

#[tokio::test]
async fn where_the_webhook_may_not_ask_nobody_is_told_to_try_again() {
    for (mood, fix) in [
        (Mood::Fails, "; try again"),
        (
            Mood::Forbids,
            "; the webhook needs the verb create on subjectaccessreviews",
        ),
    ] {
        let response = Test::with(mood).ask(create(&overruled())).await;
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.ends_with(fix), "{message}");
    }
}

/// The update of an object by somebody.
fn update(old: &Value, new: &Value) -> Value {
    let mut request = create(new);
    request["operation"] = json!("UPDATE");
    request["oldObject"] = old.clone();
    request
}

#[tokio::test]
async fn an_override_that_is_replaced_is_on_record_as_ended() {
    let test = Test::with(Mood::Allows);
    let mut old = overruled();
    old["spec"]["syncPolicy"] = Value::Null;
    let mut new = old.clone();
    new["metadata"]["annotations"]["kubectl-gitops.io/break-glass"] = json!("image-updater");
    new["metadata"]["annotations"]["kubectl-gitops.io/break-glass-reason"] = json!("INC-2: mine");
    let response = test.ask(update(&old, &new)).await;
    assert_eq!(response["allowed"], true, "{response}");
    let annotations = &response["auditAnnotations"];
    assert_eq!(annotations["break-glass"], "granted");
    assert_eq!(annotations["break-glass-rules"], "image-updater");
    assert_eq!(annotations["break-glass-ended-rules"], "prod-auto-sync");
    assert_eq!(annotations["break-glass-ended-reason"], "INC-1: it burns");
    assert_eq!((test.metric("granted"), test.metric("revoked")), (1, 1));
    let (_, events) = test.asked_and_told().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event["reason"].as_str().unwrap(),
                event["note"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "BreakGlassRevoked",
                "override of prod-auto-sync ended by alice as of 2026-01-01T00:00:00Z"
            ),
            (
                "BreakGlassAllowed",
                "image-updater may be overruled by alice until 2026-01-01T02:00:00Z: INC-2: mine"
            ),
        ]
    );
}

#[tokio::test]
async fn the_record_tells_who_wrote_an_override_from_who_used_it() {
    let test = Test::with(Mood::Allows);
    let mut granted = overruled();
    granted["spec"]["syncPolicy"] = Value::Null;
    for request in [
        create(&granted),
        update(&granted, &overruled()),
        create(&overruled()),
    ] {
        assert_eq!(test.ask(request).await["allowed"], true);
    }
    let (_, events) = test.asked_and_told().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (&event["reason"], &event["action"]))
        .collect();
    let used = json!("BreakGlassAllowed");
    let (admit, later) = (json!("Admit"), json!("Use"));
    assert_eq!(told, [(&used, &admit), (&used, &later), (&used, &admit)]);
}

#[tokio::test]
async fn a_reason_reaches_the_terminal_whole() {
    let test = Test::with(Mood::Allows);
    let mut object = overruled();
    let reason = "INC-1: ".to_owned() + &"x".repeat(193);
    object["metadata"]["annotations"]["kubectl-gitops.io/break-glass-reason"] = json!(reason);
    let response = test.ask(create(&object)).await;
    let warnings = response["warnings"].as_array().unwrap();
    let told = warnings
        .iter()
        .any(|warning| warning.as_str().unwrap().ends_with(&reason));
    assert!(told, "{warnings:#?}");
}

fn asking_for_an_override() -> String {
    let request = create(&overruled());
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
        .to_string()
}

/// It had been believed that two seconds more are always there.
#[tokio::test(start_paused = true)]
async fn the_question_who_may_ends_with_the_callers_time() {
    let test = Test::with(Mood::Hangs);
    for (timeout, waited) in [("1s", 800), ("2s", 1_600), ("10s", 2_000)] {
        let started = tokio::time::Instant::now();
        let answer = ask_within(&test.webhook, timeout, asking_for_an_override()).await;
        let response = answer.response();
        assert_eq!(response["allowed"], false, "{timeout}: {response}");
        let message = response["status"]["message"].as_str().unwrap();
        let said = "the API server could not be asked about its writer";
        assert!(message.contains(said), "{timeout}: {message}");
        let waited = Duration::from_millis(waited);
        let took = started.elapsed();
        assert!(
            took >= waited && took < waited + Duration::from_millis(10),
            "{timeout}: {took:?}"
        );
    }
}

/// Nothing is on record about a write whose writer has gone.
#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_while_somebody_is_asked_is_counted_and_nothing_recorded() {
    let test = Test::with(Mood::Hangs);
    let webhook = Arc::clone(&test.webhook);
    let asking =
        tokio::spawn(async move { ask_within(&webhook, "10s", asking_for_an_override()).await });
    while test.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(failures(&test.webhook, "caller-gone"), 1);
    for outcome in ["granted", "allowed", "refused"] {
        assert_eq!(test.metric(outcome), 0, "{outcome}");
    }
    assert_eq!(test.webhook.metrics.requests.body_bytes().get(), 0);
}
