//! What is HTTP about an admission request: its head, its body within bounds, the log line.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::FutureExt as _;
use tracing::{debug, info, warn};

use super::body::Room;
use super::deadline::Deadline;
use super::decide::{Decision, Verdict};
use super::review::{Kind, OBJECT_MEMORY, Review, ReviewError};
use super::{break_glass, judging, response};
use crate::process::THREADS_LIMIT;
use crate::server::{CONNECTION_MEMORY, CONNECTIONS_LIMIT};
use crate::state::{LARGE_TURNS, SMALL_TURNS, Webhook};

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

/// All that requests take at the same time at most, in bytes:
///
/// - the bodies;
/// - the objects that they are decoded to, the new one and the old one of a review, for each thread and each turn, as nothing that is
///   decoded is kept while something is waited for;
/// - what connections buffer, and their TLS.
///
/// It is half of what the Deployment may take (`manifests/base/deployment.yaml`, which a test compares with it). The rest is for the
/// program, for what is known of the fleet, and for the two Applications at a time that ApplicationSets are expanded to.
pub const REQUESTS_MEMORY: u64 =
    (SMALL_BODIES_LIMIT + LARGE_BODIES_LIMIT + CONNECTIONS_LIMIT * CONNECTION_MEMORY) as u64
        + (THREADS_LIMIT + SMALL_TURNS + LARGE_TURNS as usize) as u64 * 2 * OBJECT_MEMORY;

/// How long a request may wait, for room, for its body, for its turn and for answers of others altogether, where its caller
/// does not say how long it waits itself. An API server always does; the manifests have it wait 5 s.
pub const TIMEOUT: Duration = Duration::from_secs(5);

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
    /// For all that a request waits for, where its caller does not say how long it waits itself.
    pub timeout: Duration,
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
            timeout: TIMEOUT,
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
    /// No room for another body in time, or no turn to be judged.
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
    /// The verdict was there after the caller had stopped waiting for it.
    #[error("the verdict came too late")]
    Late,
    /// The caller closed the connection before there was an answer, so that this is one that nobody gets.
    #[error("the caller did not wait for the answer")]
    CallerGone,
    /// A defect of ours.
    #[error("the webhook has a defect, which its log has more about")]
    Defect,
}

impl Failure {
    /// What [`Failure::reason`] can be.
    pub const REASONS: [&'static str; 11] = [
        "content-type",
        "too-large",
        "body-timeout",
        "body",
        "overloaded",
        "review",
        "not-synced",
        "answer",
        "late",
        "caller-gone",
        "defect",
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
            Failure::Late => "late",
            Failure::CallerGone => "caller-gone",
            Failure::Defect => "defect",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Failure::ContentType | Failure::Body(_) | Failure::Review(_) => StatusCode::BAD_REQUEST,
            Failure::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Failure::Overloaded | Failure::NotSynced(_) | Failure::Late | Failure::CallerGone => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Failure::Answer(_) | Failure::Defect => StatusCode::INTERNAL_SERVER_ERROR,
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
    let unanswered = Unanswered::new(&webhook);
    // What a request shares with others is counted down where it goes out of scope, and otherwise replaced as a whole, so that a
    // panic leaves nothing half done behind.
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

/// A request that has no answer yet. If that never changes, as when its caller closes the connection, that is a failure too,
/// although nobody gets an answer.
pub(crate) struct Unanswered<'w> {
    webhook: &'w Webhook,
    uid: OnceLock<String>,
    is_answered: bool,
}

impl<'w> Unanswered<'w> {
    fn new(webhook: &'w Webhook) -> Self {
        Unanswered {
            webhook,
            uid: OnceLock::new(),
            is_answered: false,
        }
    }

    /// Says which request it is, before something is waited for.
    pub(crate) fn concerns(&self, review: &Review<'_>) {
        self.uid.get_or_init(|| review.uid.to_string());
    }

    fn failed(&self, failure: Failure) -> Failed {
        Failed {
            failure,
            uid: self.uid.get().cloned().unwrap_or_default(),
        }
    }

    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.failed(Failure::CallerGone).tell(self.webhook);
        }
    }
}

/// A failure, and the request that it is about.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// Empty if it could not be read.
    pub(crate) uid: String,
}

impl Failed {
    /// Counts and logs it.
    fn tell(&self, webhook: &Webhook) {
        webhook.metrics.failed(&self.failure);
        log_failure(&self.failure, &self.uid);
    }
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
    if judged.0.kind != Kind::Secret {
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
    webhook.metrics.answered(review, decision, took);
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
