//! Waiting, always with a deadline.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::future::ready;
use std::mem;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::watcher::{self, Event, watch_object};
use kube::{Api, Resource, ResourceExt};
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
/// The `Err` of an answer says what is still missing; the last one is in the error. For what has no
/// watch; for an object of the API server there is [`eventually_object`].
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
/// The condition is given the object at each of its changes, and `None` while it does not exist.
/// Its `Err` says what is still missing; the last one is in the error.
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
    let judgements = watch_object(api, name).map(|state| {
        let state = state.map_err(|error| watch_failed(&error))?;
        condition(state.as_ref())
    });
    first_fulfilled(within, what, judgements).await
}

/// Watches all objects of an API, until `condition` is `Ok` or `within` is over.
///
/// The condition is given the objects by their names at each change, from when all of them are
/// known; so the API is that of one namespace, or of objects that are in none. Its `Err` says what
/// is still missing; the last one is in the error.
pub async fn eventually_objects<K, T>(
    within: Duration,
    what: &str,
    api: Api<K>,
    mut condition: impl FnMut(&BTreeMap<String, K>) -> Result<T, String>,
) -> Result<T, Unfulfilled>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut objects = Objects::default();
    let judgements = watcher::watcher(api, watcher::Config::default()).filter_map(|event| {
        ready(match event {
            Ok(event) => objects.apply(event).map(&mut condition),
            Err(error) => Some(Err(watch_failed(&error))),
        })
    });
    first_fulfilled(within, what, judgements).await
}

/// The first judgement of a watch that is `Ok`; where none comes within the time, the last one is
/// in the error.
async fn first_fulfilled<T>(
    within: Duration,
    what: &str,
    judgements: impl Stream<Item = Result<T, String>>,
) -> Result<T, Unfulfilled> {
    let mut last_seen = None;
    let watching = async {
        let mut judgements = pin!(judgements);
        while let Some(judged) = judgements.next().await {
            match judged {
                Ok(found) => return Some(found),
                Err(missing) => last_seen = Some(missing),
            }
        }
        last_seen = Some("the watch ended".to_owned());
        None
    };
    let found = tokio::time::timeout(within, watching).await;
    found
        .ok()
        .flatten()
        .ok_or_else(|| unfulfilled(what, within, last_seen))
}

fn watch_failed(error: &watcher::Error) -> String {
    format!("the watch failed: {error}")
}

/// What a watch has told, by name.
struct Objects<K> {
    known: BTreeMap<String, K>,
    /// Those of a list that is not complete yet.
    listed: BTreeMap<String, K>,
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            listed: BTreeMap::new(),
        }
    }
}

impl<K: Resource> Objects<K> {
    /// What is known now, if it may have changed.
    fn apply(&mut self, event: Event<K>) -> Option<&BTreeMap<String, K>> {
        match event {
            Event::Init => {
                self.listed.clear();
                return None;
            }
            Event::InitApply(object) => {
                self.listed.insert(object.name_any(), object);
                return None;
            }
            Event::InitDone => self.known = mem::take(&mut self.listed),
            Event::Apply(object) => {
                self.known.insert(object.name_any(), object);
            }
            Event::Delete(object) => {
                self.known.remove(&object.name_any());
            }
        }
        Some(&self.known)
    }
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
    use k8s_openapi::api::core::v1::ConfigMap;

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

    #[test]
    fn objects_are_known_from_when_their_list_is_complete() {
        let mut objects = Objects::default();
        let mut known = |event| {
            let known: Option<&BTreeMap<String, ConfigMap>> = objects.apply(event);
            known.map(|known| known.keys().cloned().collect::<Vec<_>>())
        };

        assert_eq!(known(Event::Init), None);
        assert_eq!(known(Event::InitApply(named("a"))), None);
        assert_eq!(known(Event::InitDone), Some(vec!["a".to_owned()]));
        assert_eq!(
            known(Event::Apply(named("b"))),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(known(Event::Delete(named("a"))), Some(vec!["b".to_owned()]));

        // The watch begins anew, and what went in between is not told.
        assert_eq!(known(Event::Init), None);
        assert_eq!(known(Event::InitApply(named("c"))), None);
        assert_eq!(known(Event::InitDone), Some(vec!["c".to_owned()]));
    }

    fn named(name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object
    }
}
