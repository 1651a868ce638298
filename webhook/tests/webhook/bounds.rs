//! What requests can take is bounded, however many there are and however they behave.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::{StreamExt as _, future, stream};
use gitops_webhook::admission::handler::{BODY_LIMIT, Limits};
use gitops_webhook::state::Webhook;
use tokio::task::JoinHandle;

use crate::support::{Answer, application, ask, create, send, webhook, webhook_with};

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
    assert_eq!(webhook.metrics.body_bytes().get(), 0);
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
    body_timeout: Duration::from_secs(5),
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
            // In small pieces with pauses between them, so that many requests are under way at once.
            let pieces = body.into_bytes();
            let pieces: Vec<Bytes> = pieces.chunks(4 << 10).map(Bytes::copy_from_slice).collect();
            let pieces = stream::iter(pieces).then(move |piece| {
                most.fetch_max(watched.metrics.body_bytes().get(), Ordering::Relaxed);
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
    assert_eq!(webhook.metrics.body_bytes().get(), 0);
}

const MINUTE: Limits = Limits {
    body_timeout: Duration::from_mins(1),
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
    let first = fill(&webhook);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // These wait for the first ones to be given up, and hold the room for another minute.
    let second = fill(&webhook);
    tokio::time::sleep(Duration::from_secs(58)).await;
    let answer = ask(&webhook, padded(MINUTE.body)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, "too many requests at once\n");
    for held in first.into_iter().chain(second) {
        assert_eq!(held.await.unwrap().status, StatusCode::REQUEST_TIMEOUT);
    }
    assert_eq!(webhook.metrics.body_bytes().get(), 0);
}
