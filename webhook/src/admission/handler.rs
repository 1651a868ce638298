//! What is HTTP about an admission request: its head, its body within bounds, the log line.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures::FutureExt as _;
use policy::Kind;
use tracing::{debug, info};

use super::body::Room;
use super::deadline::Deadline;
use super::unanswered::{Failed, Unanswered};
use super::{break_glass, judging};
use crate::admission_review::decide::Decision;
use crate::admission_review::request::{ObjectKind, Review};
use crate::admission_review::response;
use crate::failure::Failure;
use crate::labels::Verdict;
use crate::state::Webhook;

/// The admission port's only route, `POST /validate`.
pub fn router(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/validate", post(validate))
        .with_state(webhook)
}

async fn validate(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    let unanswered = Unanswered::new(&webhook);
    // What a request shares with others is counted down where it goes out of scope, and otherwise
    // replaced as a whole, so that a panic leaves nothing half done behind.
    let answer = AssertUnwindSafe(answer(&webhook, request, &unanswered));
    let answer = answer.catch_unwind().await;
    match answer.unwrap_or_else(|_| Err(unanswered.failed(Failure::Defect))) {
        Ok(answer) => {
            unanswered.answered();
            ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
        }
        Err(failed) => {
            unanswered.answered();
            failed.tell(&webhook);
            failed.failure.into_response()
        }
    }
}

async fn answer(
    webhook: &Webhook,
    request: Request,
    unanswered: &Unanswered<'_>,
) -> Result<Vec<u8>, Failed> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let deadline = Deadline::of_query(head.uri.query(), webhook.limits.timeout);
    if !is_json(&head.headers) {
        return Err(Failure::ContentType.into());
    }
    let length = announced_length(&head.headers);
    let room = Room::reserve(webhook, length, deadline).await?;
    let mut body = room.receive(body, deadline).await?;
    let judged = judging::judge(webhook, body.bytes(), deadline, unanswered).await?;
    let answer = settle(webhook, &judged.0, &judged.1, deadline, started)?;
    if judged.0.kind != ObjectKind::Judged(Kind::ClusterSecret) {
        body.spare();
    }
    Ok(answer)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Writes down what came of a request.
fn settle(
    webhook: &Webhook,
    review: &Review<'_>,
    decision: &Decision,
    deadline: Deadline,
    started: Instant,
) -> Result<Vec<u8>, Failed> {
    let failed = |failure| Failed {
        failure,
        uid: review.uid.to_string(),
    };
    if deadline.is_over() {
        return Err(failed(Failure::Late));
    }
    let answer =
        response::to_json(review, decision).map_err(|error| failed(Failure::Answer(error)))?;
    let took = started.elapsed();
    webhook.metrics.requests.answered(review, decision, took);
    log(review, decision, took);
    for record in decision.records() {
        break_glass::record(record, review, webhook);
    }
    Ok(answer)
}

/// One line for each decision. What comes from the request is written quoted, so that nothing in it
/// can look like a line of its own.
fn log(review: &Review<'_>, decision: &Decision, took: Duration) {
    macro_rules! decision {
        ($level:ident) => {
            $level!(
                uid = review.uid.as_str(),
                kind = review.kind.as_str(),
                namespace = review.namespace.as_str(),
                name = review.name.as_str(),
                operation = review.operation.as_str(),
                user = review.username.as_str(),
                dry_run = review.dry_run,
                verdict = decision.verdict.as_str(),
                rules = decision.rules(),
                duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                "decision"
            )
        };
    }
    match decision.verdict {
        Verdict::Admitted | Verdict::Denied | Verdict::Unreadable => decision!(info),
        Verdict::Unchanged | Verdict::NotJudged => decision!(debug),
    }
}
