//! Why there is no answer.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::labels::FailureReason;

/// A body that is not a request for a verdict. Nothing of an object is repeated.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// Not a text at all.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, or cut off.
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the first error, counted from one.
        line: usize,
        /// Column of the first error, counted from one.
        column: usize,
    },
    /// Another object.
    #[error("the body is of kind {0:?}, expected \"AdmissionReview\"")]
    Kind(String),
    /// An AdmissionReview of another version.
    #[error("the AdmissionReview is of version {0:?}, expected \"admission.k8s.io/v1\"")]
    Version(String),
    /// An answer, or nothing.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// A request that lacks what every request has.
    #[error("the AdmissionReview's request has no {0}")]
    Incomplete(&'static str),
    /// A field of the review itself has a wrong type.
    #[error("the AdmissionReview is malformed (line {line}, column {column})")]
    Malformed {
        /// Line of the first error, counted from one.
        line: usize,
        /// Column of the first error, counted from one.
        column: usize,
    },
}

impl From<serde_json::Error> for ReviewError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => ReviewError::Malformed { line, column },
            _ => ReviewError::NotJson { line, column },
        }
    }
}

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
    /// The caller closed the connection before there was an answer, so that this is one that nobody
    /// gets.
    #[error("the caller did not wait for the answer")]
    CallerGone,
    /// A defect of ours.
    #[error("the webhook has a defect, which its log has more about")]
    Defect,
}

impl Failure {
    /// The kind of failure, as the metric and the log name it.
    pub fn reason(&self) -> FailureReason {
        match self {
            Failure::ContentType => FailureReason::ContentType,
            Failure::TooLarge { .. } => FailureReason::TooLarge,
            Failure::BodyTimeout(_) => FailureReason::BodyTimeout,
            Failure::Body(_) => FailureReason::Body,
            Failure::Overloaded => FailureReason::Overloaded,
            Failure::Review(_) => FailureReason::Review,
            Failure::NotSynced(_) => FailureReason::NotSynced,
            Failure::Answer(_) => FailureReason::Answer,
            Failure::Late => FailureReason::Late,
            Failure::CallerGone => FailureReason::CallerGone,
            Failure::Defect => FailureReason::Defect,
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
