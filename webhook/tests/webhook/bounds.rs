//! What requests can take is bounded, however many there are and however they behave.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::{StreamExt as _, future, stream};
use gitops_webhook::clock::Clock;
use gitops_webhook::limits::{BODY_LIMIT, Limits, REQUESTS_MEMORY};
use gitops_webhook::state::{Caches, Webhook, WebhookParts};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::support::{
    Answer, application, ask, ask_within, create, failures, inventory, inventory_with, metric,
    send, webhook, webhook_with,
};

/// A review that is `length` bytes long.
fn padded(length: usize) -> String {
    let body = create("Application", &application());
    let padding = "x".repeat(length - body.len() - r#""pad":"""#.len());
    let body = body.replace(
        r#""options":{}"#,
        &format!(r#""options":{{"pad":"{padding}"}}"#),
    );
    assert_eq!(body.len(), length);
    body
}

async fn post(webhook: &Arc<Webhook>, length: Option<usize>, body: Body) -> Answer {
    let mut request = Request::post("/validate").header("content-type", "application/json");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }
    send(webhook, request.body(body).unwrap()).await
}

fn endless() -> Body {
    let chunk = Bytes::from(vec![b' '; 64 << 10]);
    Body::from_stream(stream::repeat_with(move || {
        Ok::<_, Infallible>(chunk.clone())
    }))
}

#[tokio::test]
async fn a_review_as_large_as_two_of_the_largest_objects_is_judged() {
    // 3 MiB of what etcd stores, and what JSON and managed fields add.
    let response = ask(&webhook(), padded(4 << 20)).await.response();
    assert_eq!(response["allowed"], true);
}

#[tokio::test]
async fn the_limit_itself_is_not_too_large() {
    let webhook = webhook();
    assert_eq!(
        ask(&webhook, padded(BODY_LIMIT)).await.status,
        StatusCode::OK
    );
    let answer = post(&webhook, None, Body::from(padded(BODY_LIMIT + 1))).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.body, "the body is larger than 8388608 bytes\n");
}

#[tokio::test]
async fn an_announced_excess_is_refused_before_it_is_received() {
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let answer = post(&webhook(), Some(BODY_LIMIT + 1), never).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn an_unannounced_excess_is_refused_as_it_comes() {
    let answer = post(&webhook(), None, endless()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let webhook = webhook();
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let answer = post(&webhook, Some(1_000), never).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.body, "the body did not arrive within 5 s\n");
    assert_eq!(webhook.metrics.requests.body_bytes().get(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_so() {
    let broken = stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("reset"))]);
    let answer = post(&webhook(), None, Body::from_stream(broken)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.body, "the body could not be received\n");
}

const SMALL: Limits = Limits {
    body: 64 << 10,
    small_body: 16 << 10,
    small_bodies: 16 << 10,
    large_bodies: 256 << 10,
    timeout: Duration::from_secs(5),
    news_timeout: Duration::ZERO,
};

#[tokio::test]
async fn bodies_in_flight_stay_within_their_memory_and_all_are_answered() {
    let webhook = webhook_with(SMALL);
    let most = Arc::new(AtomicI64::new(0));
    let requests = (0..100).map(|_| {
        let webhook = Arc::clone(&webhook);
        let most = Arc::clone(&most);
        async move {
            let body = padded(SMALL.body);
            let watched = Arc::clone(&webhook);
            // In small pieces with pauses between them, so that many requests are under way at
            // once.
            let pieces = body.into_bytes();
            let pieces: Vec<Bytes> = pieces.chunks(4 << 10).map(Bytes::copy_from_slice).collect();
            let pieces = stream::iter(pieces).then(move |piece| {
                most.fetch_max(
                    watched.metrics.requests.body_bytes().get(),
                    Ordering::Relaxed,
                );
                async {
                    tokio::task::yield_now().await;
                    Ok::<_, Infallible>(piece)
                }
            });
            post(&webhook, Some(SMALL.body), Body::from_stream(pieces)).await
        }
    });
    for answer in future::join_all(requests).await {
        assert_eq!(answer.response()["allowed"], true);
    }
    let most = usize::try_from(most.load(Ordering::Relaxed)).unwrap();
    assert!(most <= SMALL.large_bodies, "{most} bytes at once");
    assert!(
        most > SMALL.body,
        "the requests came one by one: {most} bytes at once"
    );
    assert_eq!(webhook.metrics.requests.body_bytes().get(), 0);
}

const MINUTE: Limits = Limits {
    timeout: Duration::from_mins(1),
    ..SMALL
};

/// As many requests as there is room for, whose bodies never come.
fn fill(webhook: &Arc<Webhook>) -> Vec<JoinHandle<Answer>> {
    let hold = |_| {
        let webhook = Arc::clone(webhook);
        tokio::spawn(async move {
            let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
            post(&webhook, Some(MINUTE.body), never).await
        })
    };
    (0..MINUTE.large_bodies / MINUTE.body).map(hold).collect()
}

#[tokio::test(start_paused = true)]
async fn without_room_a_request_waits_until_there_is_some() {
    let webhook = webhook_with(MINUTE);
    let holding = fill(&webhook);
    tokio::task::yield_now().await;
    let mut waiting = std::pin::pin!(ask(&webhook, padded(MINUTE.body)));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    holding[0].abort();
    assert_eq!(waiting.await.response()["allowed"], true);
}

#[tokio::test(start_paused = true)]
async fn small_requests_do_not_wait_for_large_ones() {
    let webhook = webhook_with(MINUTE);
    let holding = fill(&webhook);
    tokio::task::yield_now().await;
    let started = tokio::time::Instant::now();
    let answer = post(
        &webhook,
        Some(MINUTE.small_body),
        padded(MINUTE.small_body).into(),
    )
    .await;
    assert_eq!(answer.response()["allowed"], true);
    assert_eq!(started.elapsed(), Duration::ZERO);
    for held in holding {
        held.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_gets_no_room_is_given_up() {
    let webhook = webhook_with(MINUTE);
    let holding = fill(&webhook);
    tokio::task::yield_now().await;
    let answer = ask_within(&webhook, "30s", padded(MINUTE.body)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, "too many requests at once\n");
    assert_eq!(failures(&webhook, "overloaded"), 1);
    for held in holding {
        assert_eq!(held.await.unwrap().status, StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(webhook.metrics.requests.body_bytes().get(), 0);
}

/// It had been believed that room, body and expansion may each take as long as the API server waits
/// for all of them.
#[tokio::test(start_paused = true)]
async fn room_and_body_have_one_deadline_and_it_is_the_callers() {
    let webhook = webhook_with(MINUTE);
    let holding = fill(&webhook);
    tokio::task::yield_now().await;
    let started = tokio::time::Instant::now();
    let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let waiting = Request::post("/validate?timeout=10s")
        .header("content-type", "application/json")
        .header("content-length", MINUTE.body)
        .body(never)
        .unwrap();
    let released = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        holding[0].abort();
    };
    let (answer, ()) = future::join(send(&webhook, waiting), released).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.body, "the body did not arrive within 9.5 s\n");
    assert_eq!(started.elapsed(), Duration::from_millis(9_500));
    for held in holding {
        held.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_longer_has_longer() {
    let webhook = webhook_with(MINUTE);
    for (timeout, waited) in [
        ("1s", 800),
        ("5s", 4_500),
        ("30s", 29_500),
        ("5m0s", 29_500),
    ] {
        let started = tokio::time::Instant::now();
        let never = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let answer = ask_within(&webhook, timeout, never).await;
        assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT, "{timeout}");
        assert_eq!(
            started.elapsed(),
            Duration::from_millis(waited),
            "{timeout}"
        );
    }
    assert_eq!(failures(&webhook, "body-timeout"), 4);
}

/// Hyper drops what it was doing when the connection is closed. That had left no trace.
#[tokio::test(start_paused = true)]
async fn a_request_whose_caller_goes_is_counted_and_gives_its_room_back() {
    let webhook = webhook_with(MINUTE);
    let holding = fill(&webhook);
    tokio::task::yield_now().await;
    assert!(webhook.metrics.requests.body_bytes().get() > 0);
    for held in &holding {
        held.abort();
    }
    for held in holding {
        assert!(held.await.unwrap_err().is_cancelled());
    }
    let gone = MINUTE.large_bodies / MINUTE.body;
    assert_eq!(
        failures(&webhook, "caller-gone"),
        u64::try_from(gone).unwrap()
    );
    assert_eq!(webhook.metrics.requests.body_bytes().get(), 0);
    let answer = ask(&webhook, padded(MINUTE.body)).await;
    assert_eq!(answer.response()["allowed"], true);
    assert_eq!(
        failures(&webhook, "caller-gone"),
        u64::try_from(gone).unwrap()
    );
}

/// A webhook whose clock does something each time that it is looked at, which is in the middle of
/// judging.
fn with_clock(look: impl Fn() + Send + Sync + 'static) -> Arc<Webhook> {
    let caches = Caches::Synced(Box::new(inventory()));
    let clock = Clock::new(move || {
        look();
        Timestamp::UNIX_EPOCH
    });
    Arc::new(Webhook::new(WebhookParts {
        clock,
        ..WebhookParts::alone(caches, Limits::default())
    }))
}

#[tokio::test]
async fn a_verdict_that_nobody_waits_for_any_more_is_a_failure() {
    let webhook = with_clock(|| {
        let looked = std::time::Instant::now();
        while looked.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
    });
    let answer = ask_within(&webhook, "20ms", create("Application", &application())).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, "the verdict came too late\n");
    assert_eq!(failures(&webhook, "late"), 1);
    assert_eq!(metric(&webhook, ADMITTED), 0);
}

const ADMITTED: &str =
    r#"gitops_webhook_requests_total{kind="Application",operation="CREATE",outcome="admitted"}"#;

/// A panic had closed the connection, and nobody had counted it.
#[tokio::test]
async fn a_panic_is_answered_and_counted_and_leaves_nothing_behind() {
    let sound = Arc::new(AtomicBool::new(false));
    let is_sound = Arc::clone(&sound);
    let webhook = with_clock(move || assert!(is_sound.load(Ordering::Relaxed), "hunter2"));
    for kind in ["Application", "ApplicationSet"] {
        // More often than there are turns.
        for _ in 0..5 {
            let answer = ask(&webhook, create(kind, &application())).await;
            assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{kind}");
            assert!(!answer.body.contains("hunter2"), "{}", answer.body);
        }
    }
    assert_eq!(failures(&webhook, "defect"), 10);
    assert_eq!(failures(&webhook, "caller-gone"), 0);
    assert_eq!(webhook.metrics.requests.body_bytes().get(), 0);
    sound.store(true, Ordering::Relaxed);
    for kind in ["Application", "ApplicationSet"] {
        let answer = ask(&webhook, create(kind, &application())).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}: {}", answer.body);
    }
}

/// Blocks whoever comes as one of the first few, until it is opened.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    came: AtomicUsize,
}

impl Gate {
    fn pass(&self, blocked: usize) {
        if self.came.fetch_add(1, Ordering::SeqCst) < blocked {
            let open = self.open.lock().unwrap();
            drop(self.opened.wait_while(open, |open| !*open).unwrap());
        }
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    async fn until_came(&self, count: usize) {
        while self.came.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }
}

/// Both turns are taken by work that does not end. Whoever needs one is told in time, and nobody
/// else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_work_holds_up_no_ordinary_request() {
    let gate = Arc::new(Gate::default());
    let blocking = Arc::clone(&gate);
    let webhook = with_clock(move || blocking.pass(2));
    let set = || create("ApplicationSet", &application());
    let working: Vec<_> = (0..2)
        .map(|_| {
            let (webhook, body) = (Arc::clone(&webhook), set());
            tokio::spawn(async move { ask_within(&webhook, "30s", body).await })
        })
        .collect();
    gate.until_came(2).await;

    for _ in 0..50 {
        let answer = ask(&webhook, create("Application", &application())).await;
        assert_eq!(answer.response()["allowed"], true);
    }
    let refused = ask_within(&webhook, "100ms", set()).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.body, "too many requests at once\n");
    // Large bodies have turns of their own.
    let large = ask_within(&webhook, "30s", padded(1 << 20)).await;
    assert_eq!(large.response()["allowed"], true);

    gate.open();
    for working in working {
        assert_eq!(working.await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(failures(&webhook, "overloaded"), 1);
}

/// Whoever raises one of the bounds must give the process the memory for it.
#[test]
fn what_requests_may_take_fits_into_the_deployments_memory() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../manifests/base/deployment.yaml"
    );
    let deployment = golang::yaml::value(&std::fs::read_to_string(path).unwrap()).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let limit = container["resources"]["limits"]["memory"].as_str().unwrap();
    let limit: u64 = limit.strip_suffix("Mi").unwrap().parse().unwrap();
    assert!(
        2 * REQUESTS_MEMORY <= limit << 20,
        "{} MiB",
        REQUESTS_MEMORY >> 20
    );
}

/// What a caller of the shortest patience gets from an Application that lacks its project.
#[tokio::test(start_paused = true)]
async fn the_wait_for_news_ends_with_the_callers_time() {
    let caches = Caches::Synced(Box::new(inventory_with(Vec::new())));
    let webhook = Arc::new(Webhook::new(WebhookParts::alone(caches, Limits::default())));
    let started = tokio::time::Instant::now();
    let body = create("Application", &application());
    let answer = ask_within(&webhook, "500ms", body).await;
    assert_eq!(answer.response()["allowed"], false);
    assert_eq!(started.elapsed(), Duration::from_millis(400));
}
