//! Waiting, always with a deadline.

use std::fmt::{Debug, Display};
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use thiserror::Error;

const BETWEEN_PROBES: Duration = Duration::from_millis(50);

/// Something did not come within its time.
#[derive(Debug, Error)]
#[error("{what}: not within {} s; last seen: {last_seen}", within.as_secs_f64())]
pub struct Unfulfilled {
    what: String,
    within: Duration,
    last_seen: String,
}

/// Asks again and again, until the answer is `Ok` or `within` is over.
///
/// The `Err` of an answer says what is still missing; the last one is in the error. For what has no watch; for an
/// object of the API server there is [`eventually_object`].
pub async fn eventually<T, E: Display>(
    within: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, Unfulfilled> {
    let mut last_seen = None;
    let asking = async {
        loop {
            match probe().await {
                Ok(found) => break found,
                Err(missing) => last_seen = Some(missing.to_string()),
            }
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    };
    let found = tokio::time::timeout(within, asking).await;
    found.map_err(|_| unfulfilled(what, within, last_seen))
}

/// Watches one object, until `condition` is `Ok` or `within` is over.
///
/// The condition is given the object at each of its changes, and `None` while it does not exist. Its `Err` says what
/// is still missing; the last one is in the error.
pub async fn eventually_object<K, T>(
    within: Duration,
    what: &str,
    api: Api<K>,
    name: &str,
    mut condition: impl FnMut(Option<&K>) -> Result<T, String>,
) -> Result<T, Unfulfilled>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut last_seen = None;
    let watching = async {
        let mut states = pin!(watch_object(api, name));
        loop {
            let judged = match states.next().await {
                Some(Ok(state)) => condition(state.as_ref()),
                Some(Err(error)) => Err(format!("the watch failed: {error}")),
                None => Err("the watch ended".to_owned()),
            };
            match judged {
                Ok(found) => break found,
                Err(missing) => last_seen = Some(missing),
            }
        }
    };
    let found = tokio::time::timeout(within, watching).await;
    found.map_err(|_| unfulfilled(what, within, last_seen))
}

fn unfulfilled(what: &str, within: Duration, last_seen: Option<String>) -> Unfulfilled {
    Unfulfilled {
        what: what.to_owned(),
        within,
        last_seen: last_seen.unwrap_or_else(|| "no answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_what_was_seen_last() {
        let mut asked = 0;
        let waited = eventually(
            Duration::from_millis(200),
            "two replicas are ready",
            async || {
                asked += 1;
                Err::<(), _>(format!("{} ready", if asked == 1 { "none" } else { "one" }))
            },
        );

        let error = waited.await.unwrap_err().to_string();

        assert_eq!(
            error,
            "two replicas are ready: not within 0.2 s; last seen: one ready"
        );
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_cut_off() {
        let waited = eventually(Duration::from_millis(10), "an answer", async || {
            std::future::pending::<Result<(), String>>().await
        });

        let error = waited.await.unwrap_err().to_string();

        assert_eq!(error, "an answer: not within 0.01 s; last seen: no answer");
    }
}
