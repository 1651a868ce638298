//! Until when an answer is of use.
//!
//! The API server says in its request how long it waits (`?timeout=5s`, from `timeoutSeconds` of
//! the webhook configuration or what is left of the caller's own time). An answer that comes later
//! is read by nobody, so everything that a request may wait for ends before that, at one and the
//! same moment.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

/// The longest time that a caller is believed to wait: the largest `timeoutSeconds` that Kubernetes
/// accepts.
pub const TIMEOUT_LIMIT: Duration = Duration::from_secs(30);

/// What is kept back at most of the caller's time: for the way there and back, and for work that
/// has begun when the waiting ends.
const RESERVE: Duration = Duration::from_millis(500);

/// Of a short time, this part is kept back.
const RESERVED_PART: u32 = 5;

/// When the waiting for one request ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Deadline {
    received: Instant,
    waiting_ends: Instant,
    given_up: Option<Instant>,
}

impl Deadline {
    /// That of a request with this query, which has just been received. Where the caller does not
    /// say how long it waits, the waiting ends after `otherwise`.
    pub(crate) fn of_query(query: Option<&str>, otherwise: Duration) -> Self {
        let received = Instant::now();
        match query.and_then(caller_timeout) {
            Some(timeout) => {
                let reserve = RESERVE.min(timeout / RESERVED_PART);
                Deadline {
                    received,
                    waiting_ends: received + timeout.saturating_sub(reserve),
                    given_up: Some(received + timeout),
                }
            }
            None => Deadline {
                received,
                waiting_ends: received + otherwise,
                given_up: None,
            },
        }
    }

    /// When the waiting ends.
    pub(crate) fn waiting_ends(self) -> Instant {
        self.waiting_ends
    }

    /// When the waiting ends for something that is not worth waiting for longer than `at_most`.
    pub(crate) fn within(self, at_most: Duration) -> Instant {
        self.waiting_ends.min(Instant::now() + at_most)
    }

    /// How long the request may wait altogether.
    pub(crate) fn allowed(self) -> Duration {
        self.waiting_ends - self.received
    }

    /// Whether the caller has stopped waiting by now.
    pub(crate) fn is_over(self) -> bool {
        self.given_up.is_some_and(|end| Instant::now() >= end)
    }
}

/// The parameter `timeout` as client-go writes it: Go's text of a `time.Duration`
/// (`k8s.io/client-go/rest`, `Request.URL`; `Request.Timeout` rounds it up to whole seconds).
fn caller_timeout(query: &str) -> Option<Duration> {
    let mut pairs = query.split('&');
    let text = pairs.find_map(|pair| pair.strip_prefix("timeout="))?;
    let timeout: SignedDuration = text.parse().ok()?;
    let timeout = Duration::try_from(timeout).ok()?;
    (!timeout.is_zero()).then(|| timeout.min(TIMEOUT_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_go_writes_it() {
        for (query, expected) in [
            ("timeout=5s", Some(5_000)),
            ("timeout=10s", Some(10_000)),
            ("timeout=30s", Some(30_000)),
            ("timeout=1m0s", Some(30_000)),
            ("timeout=1h0m0s", Some(30_000)),
            ("timeout=1.5s", Some(1_500)),
            ("timeout=500ms", Some(500)),
            ("dry=1&timeout=2s&x=y", Some(2_000)),
            ("timeout=0s", None),
            ("timeout=-5s", None),
            ("timeout=", None),
            ("timeout=soon", None),
            ("timeout=5", None),
            ("mytimeout=5s", None),
            ("timeout", None),
            ("", None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(caller_timeout(query), expected, "{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_the_callers_time_is_kept_back() {
        let otherwise = Duration::from_secs(7);
        for (query, waited, given_up) in [
            (Some("timeout=1s"), 800, true),
            (Some("timeout=5s"), 4_500, true),
            (Some("timeout=30s"), 29_500, true),
            (Some("timeout=24h0m0s"), 29_500, true),
            (Some("timeout=?"), 7_000, false),
            (None, 7_000, false),
        ] {
            let deadline = Deadline::of_query(query, otherwise);
            assert_eq!(
                deadline.allowed(),
                Duration::from_millis(waited),
                "{query:?}"
            );
            assert!(!deadline.is_over(), "{query:?}");
            tokio::time::advance(TIMEOUT_LIMIT).await;
            assert_eq!(deadline.is_over(), given_up, "{query:?}");
        }
    }
}
