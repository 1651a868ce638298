//! The bodies of requests, which together stay within their memory.

use axum::body::{Body as Incoming, HttpBody as _};
use http_body_util::BodyExt as _;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;
use zeroize::Zeroize as _;

use super::deadline::Deadline;
use crate::failure::Failure;
use crate::state::Webhook;

/// A part of the memory that bodies may take together.
pub(crate) struct Room<'w> {
    bytes: usize,
    gauge: &'w Gauge,
    _permits: SemaphorePermit<'w>,
}

impl<'w> Room<'w> {
    /// Waits for room for a body of the announced length, or for the largest if none is announced.
    pub(crate) async fn reserve(
        webhook: &'w Webhook,
        length: Option<usize>,
        deadline: Deadline,
    ) -> Result<Self, Failure> {
        let limit = webhook.limits.body;
        let bytes = match length {
            Some(length) if length > limit => return Err(Failure::TooLarge { limit }),
            Some(length) => length,
            None => limit,
        };
        let permits = timeout_at(deadline.waiting_ends(), webhook.body_permits(bytes)).await;
        let Ok(Ok(permits)) = permits else {
            return Err(Failure::Overloaded);
        };
        let gauge = webhook.metrics.requests.body_bytes();
        gauge.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(Room {
            bytes,
            gauge,
            _permits: permits,
        })
    }

    /// Receives a body that has room here.
    pub(crate) async fn receive(
        &self,
        incoming: Incoming,
        deadline: Deadline,
    ) -> Result<Body, Failure> {
        timeout_at(deadline.waiting_ends(), collect(incoming, self.bytes))
            .await
            .map_err(|_| Failure::BodyTimeout(deadline.allowed()))?
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.gauge
            .dec_by(i64::try_from(self.bytes).unwrap_or(i64::MAX));
    }
}

/// A body, or what has arrived of it. It may be a cluster Secret, whose values are credentials, so
/// it is wiped when it goes, however that comes about, unless it is known to be something else.
pub(crate) struct Body {
    bytes: Vec<u8>,
    is_harmless: bool,
}

impl Body {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Says that there are no credentials in it, so that wiping it would only cost time.
    pub(crate) fn spare(&mut self) {
        self.is_harmless = true;
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.is_harmless {
            self.bytes.zeroize();
        }
    }
}

/// Reads a body of at most `limit` bytes, its length where it is known.
async fn collect(mut incoming: Incoming, limit: usize) -> Result<Body, Failure> {
    let exact = incoming.size_hint().exact();
    let capacity = exact.and_then(|length| usize::try_from(length).ok());
    let mut body = Body {
        bytes: Vec::with_capacity(capacity.unwrap_or_default().min(limit)),
        is_harmless: false,
    };
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(Failure::Body)?.into_data() else {
            continue;
        };
        if data.len() > limit - body.bytes.len() {
            return Err(Failure::TooLarge { limit });
        }
        body.bytes.extend_from_slice(&data);
    }
    Ok(body)
}
