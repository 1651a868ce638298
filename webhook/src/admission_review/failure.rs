//! Why there is no answer.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::request::ReviewError;

/// Why a call is answered with an HTTP error instead of a verdict. The text is the answer's body.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another type than JSON.
    #[error("the content type must be application/json")]
    ContentType,
    /// More than [`crate::limits::Limits::body`].
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
