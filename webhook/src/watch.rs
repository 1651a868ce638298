//! Watches: objects are listed and then watched, and listed again when that breaks off.
//!
//! Whoever needs objects says which, and what is to be kept of each ([`objects`]). What fails is
//! logged, counted and tried again here, with pauses up to half a minute, and a list is told once
//! it is complete. [`Table`] has what a watch told so far, and whether that is all there is. What
//! follows from it is done by a [`Keeper`], when it is due ([`keep`]).

mod table;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future;
use std::time::Duration;

use futures::stream::{BoxStream, Stream, StreamExt as _};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::labels::WatchedKind;
use crate::metrics::watches::WatchMetrics;

pub use self::table::Table;

/// What tells an object from the others of its kind.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The namespace; empty if it has none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// The key of an object that has no namespace.
    pub fn without_namespace(name: &str) -> Self {
        Key {
            namespace: String::new(),
            name: name.to_owned(),
        }
    }

    fn of(object: &impl Resource) -> Self {
        Key {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        }
    }
}

/// What a watch tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change<T> {
    /// These objects are there, and no others.
    Listed(BTreeMap<Key, T>),
    /// An object was created or changed.
    Applied(Key, T),
    /// An object is gone, or nothing is kept of it any more.
    Deleted(Key),
    /// The API server does not know the kind. It is told once, until there is a list.
    KindMissing,
}

/// Watches objects. Of an [`Api`] of [`kube::core::PartialObjectMeta`] the API server sends no more
/// than the metadata.
pub fn objects<K, T>(
    api: Api<K>,
    config: watcher::Config,
    watch: Watch<K, T>,
) -> BoxStream<'static, Change<T>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    T: Send + 'static,
{
    watch.changes(watcher(api, config))
}

/// One watch: what it is called, what it keeps, and what it has told.
pub struct Watch<K, T> {
    kind: WatchedKind,
    keep: fn(K) -> Option<T>,
    metrics: WatchMetrics,
    /// The objects of a list that is not complete yet.
    listing: BTreeMap<Key, T>,
    is_kind_missing: bool,
}

impl<K, T> Watch<K, T> {
    /// A watch of a kind that keeps of each object what `keep` makes of it, and forgets the object
    /// where that is nothing.
    pub fn new(kind: WatchedKind, metrics: &WatchMetrics, keep: fn(K) -> Option<T>) -> Self {
        Watch {
            kind,
            keep,
            metrics: metrics.clone(),
            listing: BTreeMap::new(),
            is_kind_missing: false,
        }
    }
}

impl<K: Resource + Send + 'static, T: Send + 'static> Watch<K, T> {
    fn changes(
        mut self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    ) -> BoxStream<'static, Change<T>> {
        events
            .default_backoff()
            .filter_map(move |event| {
                future::ready(match event {
                    Ok(event) => self.told(event),
                    Err(error) => self.failed(&error),
                })
            })
            .boxed()
    }

    fn told(&mut self, event: Event<K>) -> Option<Change<T>> {
        // It comes before anything is asked.
        if matches!(event, Event::Init) {
            self.listing.clear();
            return None;
        }
        self.metrics.told(self.kind);
        self.is_kind_missing = false;
        match event {
            Event::Init => None,
            Event::InitApply(object) => {
                let key = Key::of(&object);
                if let Some(kept) = (self.keep)(object) {
                    self.listing.insert(key, kept);
                }
                None
            }
            Event::InitDone => Some(Change::Listed(std::mem::take(&mut self.listing))),
            Event::Apply(object) => {
                let key = Key::of(&object);
                Some(match (self.keep)(object) {
                    Some(kept) => Change::Applied(key, kept),
                    None => Change::Deleted(key),
                })
            }
            Event::Delete(object) => Some(Change::Deleted(Key::of(&object))),
        }
    }

    fn failed(&mut self, error: &watcher::Error) -> Option<Change<T>> {
        let kind = self.kind.as_str();
        if is_not_found(error) {
            // It is asked for again and again.
            if std::mem::replace(&mut self.is_kind_missing, true) {
                return None;
            }
            warn!(kind, "the API server does not know the kind");
            return Some(Change::KindMissing);
        }
        self.metrics.failed(self.kind);
        warn!(kind, error = describe(error), "cannot watch");
        None
    }
}

/// What follows from what watches tell.
pub trait Keeper {
    /// What the watches tell.
    type Change;

    /// Takes in what a watch told.
    fn take_in(&mut self, change: Self::Change) -> Next;

    /// Does what is due, and says after which pause to do it again.
    fn act(&mut self) -> impl Future<Output = Option<Duration>> + Send;
}

/// When a [`Keeper`] acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// When it would have done so anyway, if at all.
    AsBefore,
    /// After so long, or earlier if it would have.
    Within(Duration),
    /// Not before something else is told.
    NotNow,
}

/// Has a keeper take in what is told, and act when that is due: for the first time after `first`.
/// It ends only if the changes do, which those of watches never do.
pub async fn keep<K: Keeper>(
    mut changes: BoxStream<'static, K::Change>,
    mut keeper: K,
    first: Option<Duration>,
) {
    let mut due = first.map(|pause| Instant::now() + pause);
    loop {
        tokio::select! {
            change = changes.next() => {
                let Some(change) = change else { return };
                due = match keeper.take_in(change) {
                    Next::AsBefore => due,
                    Next::NotNow => None,
                    Next::Within(pause) => {
                        let then = Instant::now() + pause;
                        Some(due.map_or(then, |due| due.min(then)))
                    }
                };
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = keeper.act().await.map(|pause| Instant::now() + pause);
            }
        }
    }
}

fn is_not_found(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404
    )
}

/// The error without anything that an object might hold: a response that cannot be read is not
/// quoted.
fn describe(error: &watcher::Error) -> String {
    use watcher::Error::{
        InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
    };
    match error {
        WatchError(status) => status.message.clone(),
        NoResourceVersion => error.to_string(),
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => match error {
            kube::Error::Api(status) => status.message.clone(),
            kube::Error::SerdeError(error) => format!(
                "the response cannot be read (line {}, column {})",
                error.line(),
                error.column()
            ),
            other => crate::chain(other),
        },
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::{ObjectMeta, Status};

    use super::*;
    use crate::metrics::Metrics;

    fn object(name: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("argocd".to_owned()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    fn key(name: &str) -> Key {
        Key {
            namespace: "argocd".to_owned(),
            name: name.to_owned(),
        }
    }

    /// Keeps the name, and nothing of what is called `odd`.
    fn keep_name(object: ConfigMap) -> Option<String> {
        object.metadata.name.filter(|name| name != "odd")
    }

    fn listed(names: &[&str]) -> Change<String> {
        let of = |name: &&str| (key(name), (*name).to_owned());
        Change::Listed(names.iter().map(of).collect())
    }

    fn refused(code: u16) -> watcher::Error {
        let status = Status {
            code,
            message: "no".to_owned(),
            ..Status::default()
        };
        watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
    }

    async fn changes(
        metrics: &Metrics,
        events: Vec<watcher::Result<Event<ConfigMap>>>,
    ) -> Vec<Change<String>> {
        let watch = Watch::new(WatchedKind::Settings, &metrics.watches, keep_name);
        watch.changes(stream::iter(events)).collect().await
    }

    #[tokio::test]
    async fn a_list_is_told_once_it_is_complete_and_without_what_is_left_of_another() {
        let events = vec![
            Ok(Event::Init),
            Ok(Event::InitApply(object("half"))),
            Ok(Event::Init),
            Ok(Event::InitApply(object("shop"))),
            Ok(Event::InitApply(object("odd"))),
            Ok(Event::InitDone),
        ];
        let told = changes(&Metrics::new(), events).await;
        assert_eq!(told, [listed(&["shop"])]);
    }

    #[tokio::test]
    async fn what_is_not_kept_any_more_is_gone() {
        let events = vec![
            Ok(Event::Apply(object("shop"))),
            Ok(Event::Apply(object("odd"))),
            Ok(Event::Delete(object("shop"))),
        ];
        let told = changes(&Metrics::new(), events).await;
        let applied = Change::Applied(key("shop"), "shop".to_owned());
        let deleted = |name| Change::Deleted(key(name));
        assert_eq!(told, [applied, deleted("odd"), deleted("shop")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_missing_is_told_once_and_is_no_failure() {
        let metrics = Metrics::new();
        let events = vec![
            Err(refused(404)),
            Err(refused(404)),
            Ok(Event::InitDone),
            Err(refused(404)),
        ];
        let told = changes(&metrics, events).await;
        assert_eq!(
            told,
            [Change::KindMissing, listed(&[]), Change::KindMissing]
        );
        assert_eq!(failures(&metrics), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_counted_and_tells_nothing() {
        let metrics = Metrics::new();
        let told = changes(&metrics, vec![Err(refused(403)), Ok(Event::InitDone)]).await;
        assert_eq!(told, [listed(&[])]);
        assert_eq!(failures(&metrics), 1);
    }

    fn failures(metrics: &Metrics) -> u64 {
        let name = r#"gitops_webhook_watch_failures_total{kind="ConfigMap argocd-cm"} "#;
        let metrics = metrics.encode().unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().parse().unwrap()
    }

    /// Notes when it acted, and acts once more after a second.
    struct Noting<'t> {
        started: Instant,
        acted: &'t mut Vec<Duration>,
    }

    impl Keeper for Noting<'_> {
        type Change = Next;

        fn take_in(&mut self, change: Next) -> Next {
            change
        }

        async fn act(&mut self) -> Option<Duration> {
            self.acted.push(self.started.elapsed());
            (self.acted.len() == 1).then_some(Duration::from_secs(1))
        }
    }

    async fn acted(told: &[(u64, Next)], first: Option<Duration>) -> Vec<Duration> {
        let started = Instant::now();
        let mut acted = Vec::new();
        let told = told.to_vec();
        let end = (10_000, Next::AsBefore);
        let changes =
            stream::iter(told.into_iter().chain([end])).then(move |(at, next)| async move {
                sleep_until(started + Duration::from_millis(at)).await;
                next
            });
        let keeper = Noting {
            started,
            acted: &mut acted,
        };
        keep(changes.boxed(), keeper, first).await;
        acted
    }

    fn milliseconds(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_done_at_the_earliest_moment_that_was_asked_for() {
        let within = |pause| Next::Within(Duration::from_millis(pause));
        assert_eq!(acted(&[], None).await, milliseconds(&[]));
        let twice = milliseconds(&[0, 1000]);
        assert_eq!(acted(&[], Some(Duration::ZERO)).await, twice);
        let later = [(100, within(50)), (120, within(50)), (130, Next::AsBefore)];
        assert_eq!(acted(&later, None).await, milliseconds(&[150, 1150]));
        let earlier = [(100, within(500)), (120, within(0))];
        assert_eq!(acted(&earlier, None).await, milliseconds(&[120, 1120]));
        let taken_back = [(100, within(50)), (120, Next::NotNow)];
        assert_eq!(acted(&taken_back, None).await, milliseconds(&[]));
    }
}
