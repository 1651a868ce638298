//! Requests without an answer: each is counted and logged, also where nobody waits for it any more.

use std::sync::OnceLock;

use tracing::{debug, warn};

use crate::admission_review::request::Review;
use crate::failure::Failure;
use crate::state::Webhook;

/// A request that has no answer yet. If that never changes, as when its caller closes the
/// connection, that is a failure too, although nobody gets an answer.
pub(crate) struct Unanswered<'w> {
    webhook: &'w Webhook,
    uid: OnceLock<String>,
    is_answered: bool,
}

impl<'w> Unanswered<'w> {
    pub(crate) fn new(webhook: &'w Webhook) -> Self {
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

    pub(crate) fn failed(&self, failure: Failure) -> Failed {
        Failed {
            failure,
            uid: self.uid.get().cloned().unwrap_or_default(),
        }
    }

    pub(crate) fn answered(mut self) {
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
    pub(crate) fn tell(&self, webhook: &Webhook) {
        webhook.metrics.requests.failed(self.failure.reason());
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
                reason = failure.reason().as_str(),
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
