//! What is HTTP about an admission request: its head, its body within bounds, the log line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::BodyExt as _;
use policy::Level;
use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::SemaphorePermit;
use tokio::task::block_in_place;
use tokio::time::{timeout, timeout_at};
use tracing::{debug, info, warn};
use zeroize::Zeroize as _;

use super::decide::{Decision, Judged, Verdict, decide};
use super::review::{Kind, Review, ReviewError};
use super::{break_glass, response};
use crate::state::{Caches, Webhook};

/// The largest body that is read, in bytes.
///
/// A review holds the object, the old object and a few hundred bytes besides. What can be stored at
/// all bounds both, since etcd takes 1.5 MiB by default (`--max-request-bytes`):
///
/// - Custom resources are stored as the JSON that is also sent to us: 2 × 1.5 MiB = 3 MiB. Reviews
///   of 2.9 MB were seen.
/// - Secrets are stored in a denser form. Of 1 MiB of data (`MaxSecretSize`) base64 makes 1.34 MiB; of
///   256 KiB of annotations, where Go writes `<`, `>` and `&` as six characters, up to 1.5 MiB; and
///   managed fields are about as long as what they describe: 2 × (1.34 + 1.5 + 0.4) MiB = 6.5 MiB.
///
/// A larger object would be refused by etcd a moment later, whatever is said here; an API server
/// accepts 3 MiB in one request at most, so a raised limit of etcd still fits in most cases.
pub const BODY_LIMIT: usize = 8 << 20;

/// The largest body that counts as small, in bytes. Ordinary reviews have 12 to 80 KB.
pub const SMALL_BODY_LIMIT: usize = 256 << 10;

/// Memory for all small bodies that are being received or judged, in bytes.
pub const SMALL_BODIES_LIMIT: usize = 8 << 20;

/// Memory for all other bodies, in bytes: room for three of the largest.
pub const LARGE_BODIES_LIMIT: usize = 3 * BODY_LIMIT;

/// How long a body may take to arrive, and how long a request waits for room. The API server itself
/// gives up after 10 s by default.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a denial waits for the news that would lift it. An AppProject and its Applications are often
/// created together, and the watch is told of the first after the API server asks about the second:
/// a few milliseconds, or a few hundred on a busy machine. The API server waits 5 s.
pub const NEWS_TIMEOUT: Duration = Duration::from_secs(1);

/// What bounds what requests can take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: usize,
    /// The largest that takes from the memory for small ones, in bytes.
    pub small_body: usize,
    /// All small bodies together, in bytes.
    pub small_bodies: usize,
    /// All others together, in bytes.
    pub large_bodies: usize,
    /// For a body to arrive, and for room for it.
    pub body_timeout: Duration,
    /// For an AppProject or a cluster to appear that an Application lacks.
    pub news_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: BODY_LIMIT,
            small_body: SMALL_BODY_LIMIT,
            small_bodies: SMALL_BODIES_LIMIT,
            large_bodies: LARGE_BODIES_LIMIT,
            body_timeout: BODY_TIMEOUT,
            news_timeout: NEWS_TIMEOUT,
        }
    }
}

/// Why a call is answered with an HTTP error instead of a verdict. The text is the answer's body.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another type than JSON.
    #[error("the content type must be application/json")]
    ContentType,
    /// More than [`Limits::body`].
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {} s", .0.as_secs_f64())]
    BodyTimeout(Duration),
    /// The connection broke, or the body is not as long as it was said to be.
    #[error("the body could not be received")]
    Body(#[source] axum::Error),
    /// No room for another body.
    #[error("too many requests at once")]
    Overloaded,
    /// Not a request for a verdict.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// What the rules need to know is not there yet.
    #[error("not ready: waiting for {0}")]
    NotSynced(String),
    /// The answer could not be written.
    #[error("the answer could not be written")]
    Answer(#[source] serde_json::Error),
}

impl Failure {
    /// What [`Failure::reason`] can be.
    pub const REASONS: [&'static str; 8] = [
        "content-type",
        "too-large",
        "body-timeout",
        "body",
        "overloaded",
        "review",
        "not-synced",
        "answer",
    ];

    /// The kind of failure, as the metric and the log name it.
    pub fn reason(&self) -> &'static str {
        match self {
            Failure::ContentType => "content-type",
            Failure::TooLarge { .. } => "too-large",
            Failure::BodyTimeout(_) => "body-timeout",
            Failure::Body(_) => "body",
            Failure::Overloaded => "overloaded",
            Failure::Review(_) => "review",
            Failure::NotSynced(_) => "not-synced",
            Failure::Answer(_) => "answer",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Failure::ContentType | Failure::Body(_) | Failure::Review(_) => StatusCode::BAD_REQUEST,
            Failure::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Failure::Overloaded | Failure::NotSynced(_) => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Answer(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}

/// The admission port's only route, `POST /validate`.
pub fn router(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/validate", post(validate))
        .with_state(webhook)
}

async fn validate(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    let start = Instant::now();
    match answer(&webhook, request, start).await {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(Failed { failure, uid }) => {
            webhook.metrics.failed(&failure);
            log_failure(&failure, &uid);
            failure.into_response()
        }
    }
}

/// A failure, and the request that it is about.
struct Failed {
    failure: Failure,
    /// Empty if it could not be read.
    uid: String,
}

impl<F: Into<Failure>> From<F> for Failed {
    fn from(failure: F) -> Self {
        Failed {
            failure: failure.into(),
            uid: String::new(),
        }
    }
}

fn log_failure(failure: &Failure, uid: &str) {
    macro_rules! failure {
        ($level:ident) => {
            $level!(
                uid,
                reason = failure.reason(),
                error = failure.to_string(),
                "request not judged"
            )
        };
    }
    // Readiness says so too; a caller that tries again and again would only bury the rest.
    if let Failure::NotSynced(_) = failure {
        failure!(debug);
    } else {
        failure!(warn);
    }
}

async fn answer(webhook: &Webhook, request: Request, start: Instant) -> Result<Vec<u8>, Failed> {
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        return Err(Failure::ContentType.into());
    }
    let length = announced_length(&head.headers);
    let room = Room::reserve(webhook, length).await?;
    let mut body = receive(body, room.bytes, webhook.limits).await?;
    let answer = settle(webhook, &body, start).await;
    // Cluster Secrets are credentials. What cannot be read at all may be one, too.
    if !matches!(answer, Ok((_, kind)) if kind != Kind::Secret) {
        body.zeroize();
    }
    answer.map(|(answer, _)| answer)
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

/// A part of the memory that bodies may take together.
struct Room<'w> {
    bytes: usize,
    gauge: &'w Gauge,
    _permits: SemaphorePermit<'w>,
}

impl<'w> Room<'w> {
    /// Waits for room for a body of the announced length, or for the largest if none is announced.
    async fn reserve(webhook: &'w Webhook, length: Option<usize>) -> Result<Self, Failure> {
        let limit = webhook.limits.body;
        let bytes = match length {
            Some(length) if length > limit => return Err(Failure::TooLarge { limit }),
            Some(length) => length,
            None => limit,
        };
        let permits = webhook.body_permits(bytes);
        let permits = timeout(webhook.limits.body_timeout, permits).await;
        let Ok(Ok(permits)) = permits else {
            return Err(Failure::Overloaded);
        };
        let gauge = webhook.metrics.body_bytes();
        gauge.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(Room {
            bytes,
            gauge,
            _permits: permits,
        })
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.gauge
            .dec_by(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

async fn receive(body: Body, limit: usize, limits: Limits) -> Result<Vec<u8>, Failure> {
    timeout(limits.body_timeout, collect(body, limit))
        .await
        .map_err(|_| Failure::BodyTimeout(limits.body_timeout))?
}

/// Reads a body of at most `limit` bytes, its length where it is known.
async fn collect(mut body: Body, limit: usize) -> Result<Vec<u8>, Failure> {
    let exact = body.size_hint().exact();
    let capacity = exact.and_then(|length| usize::try_from(length).ok());
    let mut bytes = Vec::with_capacity(capacity.unwrap_or_default().min(limit));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Failure::Body)?.into_data() else {
            continue;
        };
        if data.len() > limit - bytes.len() {
            return Err(Failure::TooLarge { limit });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Judges, and writes down what came of it.
async fn settle(webhook: &Webhook, body: &[u8], start: Instant) -> Result<(Vec<u8>, Kind), Failed> {
    let judged = judge(webhook, body).await?;
    let (review, decision) = if lacks_news(&judged.1) {
        judge_by_news(webhook, body, judged).await?
    } else {
        judged
    };
    let answer = response::to_json(&review, &decision).map_err(|error| Failed {
        failure: Failure::Answer(error),
        uid: review.uid.to_string(),
    })?;
    let took = start.elapsed();
    webhook.metrics.answered(&review, &decision, took);
    log(&review, &decision, took);
    for record in decision.records() {
        break_glass::record(record, &review, webhook);
    }
    Ok((answer, review.kind))
}

type Answered<'b> = (Review<'b>, Decision);

async fn judge<'b>(webhook: &Webhook, body: &'b [u8]) -> Result<Answered<'b>, Failed> {
    let mut review = Review::from_json(body).map_err(Failure::from)?;
    let permit = if review.content.generates() {
        let permit = timeout(webhook.limits.body_timeout, webhook.expansion()).await;
        Some(
            permit
                .ok()
                .and_then(Result::ok)
                .ok_or(Failure::Overloaded)?,
        )
    } else {
        None
    };
    let now = webhook.clock.now();
    let judged = match &**webhook.caches.load() {
        Caches::Synced(inventory) if permit.is_some() => {
            out_of_the_way(|| decide(&mut review, inventory, now))
        }
        Caches::Synced(inventory) => decide(&mut review, inventory, now),
        Caches::Syncing(missing) => {
            return Err(Failed {
                failure: Failure::NotSynced(missing.join(", ")),
                uid: review.uid.to_string(),
            });
        }
    };
    drop(permit);
    let decision = match judged {
        Judged::Decided(decision) => decision,
        claimed @ Judged::Claimed(_) => break_glass::settle(claimed, &review, webhook).await,
    };
    Ok((review, decision))
}

/// Does what can take a second so that other requests go on meanwhile. Where there is one thread only,
/// nobody else could go on anyway.
pub(crate) fn out_of_the_way<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}

/// Whether all that denies it is an AppProject or a cluster that may have been created a moment ago.
fn lacks_news(decision: &Decision) -> bool {
    let mut denials = decision
        .findings
        .iter()
        .filter(|finding| finding.level == Level::Deny)
        .peekable();
    denials.peek().is_some() && denials.all(|finding| finding.rests_on_absence)
}

/// Judges again whenever the rules know more, until nothing is lacking or the time is up.
async fn judge_by_news<'b>(
    webhook: &Webhook,
    body: &'b [u8],
    first: Answered<'b>,
) -> Result<Answered<'b>, Failed> {
    let Some(_permit) = webhook.patience() else {
        return Ok(first);
    };
    let deadline = tokio::time::Instant::now() + webhook.limits.news_timeout;
    let mut news = webhook.published();
    // At once as well: there may have been news since the first time.
    loop {
        let judged = judge(webhook, body).await?;
        if !lacks_news(&judged.1)
            || !matches!(timeout_at(deadline, news.changed()).await, Ok(Ok(())))
        {
            return Ok(judged);
        }
    }
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
