//! Overrides that run out: told by the replica that leads, and shown as a metric.
//!
//! What an override let pass stays as it is when the override is over. From then on it counts as a
//! violation again, so somebody has to be told. Who leads watches the metadata of all objects that
//! may have an override, and keeps what is on those that do; a second after one has run out, the
//! object is judged. Whoever leads next tells again what ran out within the last hour: rather twice
//! than never.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{PartialObjectMeta, Request};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use policy::break_glass::Override;
use policy::finding::dotted;
use policy::{Finding, Inventory, Kind, Level, Object, RuleId, Subject, evaluate};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use tracing::warn;
use zeroize::Zeroizing;

use crate::admission::judging::out_of_the_way;
use crate::events::{Event, Reason};
use crate::index::watched::{
    ApplicationSetObject, ClusterObject, ProjectObject, Unreadable, Watchable, Watched,
};
use crate::labels::WatchedKind;
use crate::state::{BreakGlass, Caches, Webhook};
use crate::watch::{self, Change, Keeper, Next, Watch};

/// How often the clock is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How long what is known of a violation is good enough, while Argo CD writes to the object all the
/// time.
const LOOKED_AT: Duration = Duration::from_secs(5);

/// How long the API server may take to tell of an object.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long an Event is there to be seen. What ran out earlier was told by who led before.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(1);

/// Applications, of which nothing is kept.
#[derive(Debug)]
struct ApplicationObject;

impl Watchable for ApplicationObject {
    type Content = ();
    type Scope = NamespaceResourceScope;
    const GROUP: &'static str = Kind::Application.group();
    const VERSION: &'static str = Kind::Application.version();
    const KIND: &'static str = Kind::Application.as_str();
    const PLURAL: &'static str = Kind::Application.plural();
    const WATCHED: WatchedKind = WatchedKind::Application;

    fn read(_: &str) -> Result<(), Unreadable> {
        Ok(())
    }
}

/// Objects on which there may be an override.
trait Overridable: Watchable {
    const JUDGED: Kind;
}

impl Overridable for ApplicationObject {
    const JUDGED: Kind = Kind::Application;
}

impl Overridable for ApplicationSetObject {
    const JUDGED: Kind = Kind::ApplicationSet;
}

impl Overridable for ProjectObject {
    const JUDGED: Kind = Kind::AppProject;
}

impl Overridable for ClusterObject {
    const JUDGED: Kind = Kind::ClusterSecret;
}

/// Tells of overrides that run out, until it is dropped. It never ends by itself.
pub async fn run(client: Client, argocd_namespace: String, webhook: Arc<Webhook>) {
    let changes = changes(&client, &argocd_namespace, &webhook);
    let expiry = Expiry {
        client,
        webhook,
        overrides: BTreeMap::new(),
    };
    watch::keep(changes, expiry, Some(Duration::ZERO)).await;
}

/// What tells objects apart.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    kind: Kind,
    namespace: String,
    name: String,
}

impl Key {
    fn new(kind: Kind, key: watch::Key) -> Self {
        Key {
            kind,
            namespace: key.namespace,
            name: key.name,
        }
    }
}

/// The override that an object's annotations have.
#[derive(Debug)]
struct Written {
    uid: String,
    written: Override,
}

/// What a watch tells of the objects of a kind that have an override.
type Told = (Kind, Change<Written>);

fn changes(client: &Client, namespace: &str, webhook: &Webhook) -> BoxStream<'static, Told> {
    let all = watcher::Config::default;
    let secrets = watcher::Config::default().labels(argocd::names::CLUSTER_SECRETS);
    let client = || client.clone();
    stream::select_all([
        watch::<ApplicationObject>(Api::all(client()), all(), webhook),
        watch::<ApplicationSetObject>(Api::all(client()), all(), webhook),
        watch::<ProjectObject>(Api::namespaced(client(), namespace), all(), webhook),
        watch::<ClusterObject>(Api::namespaced(client(), namespace), secrets, webhook),
    ])
    .boxed()
}

fn watch<T: Overridable>(
    api: Api<PartialObjectMeta<Watched<T>>>,
    config: watcher::Config,
    webhook: &Webhook,
) -> BoxStream<'static, Told> {
    let watch = Watch::new(T::WATCHED, &webhook.metrics.watches, written::<Watched<T>>);
    let changes = watch::objects(api, config, watch);
    changes.map(|change| (T::JUDGED, change)).boxed()
}

/// The override on an object, if there is one. On what is being deleted none counts, and it ends
/// with that.
fn written<K>(object: PartialObjectMeta<K>) -> Option<Written> {
    let metadata = object.metadata;
    if metadata.deletion_timestamp.is_some() {
        return None;
    }
    let annotations = metadata.annotations.unwrap_or_default();
    let written = Override::among(|key| annotations.get(key).map(String::as_str));
    Some(Written {
        uid: metadata.uid.unwrap_or_default(),
        written: written.ok().flatten()?,
    })
}

/// What tells of overrides that run out.
struct Expiry {
    client: Client,
    webhook: Arc<Webhook>,
    /// The overrides that there are.
    overrides: BTreeMap<Key, One>,
}

/// One of them.
struct One {
    uid: String,
    written: Override,
    /// Whether it was seen before it ran out, or stood longer a moment ago. Then it is told however
    /// long ago that is.
    is_news: bool,
    /// What of its rules is violated since, as far as it has been looked at.
    violated: Vec<RuleId>,
    /// When it was looked at, since it ran out. That it ran out is told the first time.
    looked: Option<Instant>,
    /// Whether the object has been written since.
    is_stale: bool,
}

impl One {
    fn is_to_be_looked_at(&self, now: Timestamp) -> bool {
        self.written.is_expired(now)
            && self
                .looked
                .is_none_or(|looked| self.is_stale && looked.elapsed() >= LOOKED_AT)
    }
}

impl Keeper for Expiry {
    type Change = Told;

    fn take_in(&mut self, (kind, change): Told) -> Next {
        match change {
            Change::Listed(listed) => {
                let mut listed: BTreeMap<Key, Written> = listed
                    .into_iter()
                    .map(|(key, written)| (Key::new(kind, key), written))
                    .collect();
                self.overrides
                    .retain(|key, _| key.kind != kind || listed.contains_key(key));
                while let Some((key, written)) = listed.pop_first() {
                    self.put(key, written);
                }
            }
            Change::Applied(key, written) => self.put(Key::new(kind, key), written),
            Change::Deleted(key) => {
                self.overrides.remove(&Key::new(kind, key));
            }
            Change::KindMissing => {}
        }
        Next::AsBefore
    }

    async fn act(&mut self) -> Option<Duration> {
        self.look().await;
        Some(PERIOD)
    }
}

impl Drop for Expiry {
    /// Whoever leads next shows them.
    fn drop(&mut self) {
        self.webhook.metrics.break_glass.show(&[], &[]);
    }
}

impl Expiry {
    fn put(&mut self, key: Key, Written { uid, written }: Written) {
        let earlier = self.overrides.remove(&key).filter(|one| one.uid == uid);
        let one = match earlier {
            Some(one) if one.written == written => One {
                is_stale: true,
                ..one
            },
            earlier => One {
                uid,
                written,
                is_news: earlier.is_some(),
                violated: Vec::new(),
                looked: None,
                is_stale: false,
            },
        };
        self.overrides.insert(key, one);
    }

    /// Judges what has run out, tells of it, and counts.
    async fn look(&mut self) {
        let (client, webhook) = (&self.client, &*self.webhook);
        let now = webhook.clock.now();
        let caches = webhook.caches.load();
        let concerns = |key: &Key| match &**caches {
            Caches::Synced(inventory) => inventory.concerns(key.kind, &key.namespace),
            Caches::Syncing(_) => true,
        };
        for (key, one) in &mut self.overrides {
            if !concerns(key) {
                continue;
            }
            if !one.is_to_be_looked_at(now) {
                one.is_news |= !one.written.is_expired(now);
                continue;
            }
            let Some(found) = judge(client, webhook, key, &one.written, now).await else {
                continue;
            };
            let is_recent = now.duration_since(one.written.expires) < TOLD_FOR;
            if one.looked.is_none() && (one.is_news || is_recent) {
                tell(webhook, key, one, &found);
            }
            one.looked = Some(Instant::now());
            one.is_stale = false;
            one.violated = found.into_iter().map(|finding| finding.rule).collect();
            one.violated.sort_unstable();
            one.violated.dedup();
        }
        let ours = || self.overrides.iter().filter(|(key, _)| concerns(key));
        let active = ours().filter(|(_, one)| !one.written.is_expired(now));
        let active: Vec<RuleId> = active
            .flat_map(|(_, one)| one.written.rules.clone())
            .collect();
        let violated = ours().flat_map(|(_, one)| &one.violated);
        let violated: Vec<RuleId> = violated.copied().collect();
        webhook.metrics.break_glass.show(&active, &violated);
    }
}

/// What the rules of an override find in its object now; nothing if that cannot be told.
async fn judge(
    client: &Client,
    webhook: &Webhook,
    key: &Key,
    written: &Override,
    now: Timestamp,
) -> Option<Vec<Finding>> {
    let text = match timeout(TIMEOUT, list(client, key)).await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            warn!(
                kind = key.kind.as_str(),
                namespace = key.namespace,
                name = key.name,
                error = crate::chain(&error),
                "cannot judge what an override let pass"
            );
            return None;
        }
        Err(_) => return None,
    };
    // It may be an ApplicationSet with thousands of Applications.
    let _turn = webhook.turn(text.len()).await.ok()?;
    match &**webhook.caches.load() {
        Caches::Synced(inventory) => {
            out_of_the_way(|| Some(violations(key, &text, written, now, inventory)))
        }
        Caches::Syncing(_) => None,
    }
}

/// A list of the object alone, for which the rights are enough that the watches need.
async fn list(client: &Client, key: &Key) -> kube::Result<Zeroizing<String>> {
    let kind = key.kind;
    let resource = ApiResource {
        group: kind.group().to_owned(),
        version: kind.version().to_owned(),
        api_version: kind.api_version(),
        kind: kind.as_str().to_owned(),
        plural: kind.plural().to_owned(),
    };
    let url = DynamicObject::url_path(&resource, Some(&key.namespace));
    let named = ListParams::default().fields(&format!("metadata.name={}", key.name));
    let request = Request::new(url).list(&named);
    let request = request.map_err(kube::Error::BuildRequest)?;
    client.request_text(request).await.map(Zeroizing::new)
}

fn violations(
    key: &Key,
    text: &str,
    written: &Override,
    now: Timestamp,
    inventory: &Inventory,
) -> Vec<Finding> {
    // What cannot be read is denied by no rule.
    let Some(object) = only_item(text).and_then(|item| Object::from_json(key.kind, item).ok())
    else {
        return Vec::new();
    };
    let subject = Subject {
        now,
        ..Subject::new(object)
    };
    let mut findings = evaluate(&subject, inventory).findings;
    // What an ApplicationSet generates from what is not known here may be violated, and cannot be
    // told. An operation that runs at the moment is Argo CD's own.
    findings.retain(|finding| {
        written.names(finding.rule)
            && !finding.is_about_action()
            && matches!(finding.level(), Level::Deny | Level::Undecided)
    });
    findings
}

fn only_item(list: &str) -> Option<&str> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
    }
    let list: List<'_> = serde_json::from_str(list).ok()?;
    list.items.first().map(|item| item.get())
}

fn tell(webhook: &Webhook, key: &Key, one: &One, found: &[Finding]) {
    let names: Vec<&str> = one.written.rules.iter().map(|rule| rule.as_str()).collect();
    let (rules, expires) = (names.join(", "), one.written.expires);
    let violated = match found.first() {
        Some(first) => format!(
            "{}: {}: {}: {}; {}",
            match first.level() {
                Level::Undecided => "perhaps in violation",
                _ => "now in violation",
            },
            first.rule,
            dotted(&first.field),
            first.message,
            first.fix
        ),
        None => "nothing that it named is violated".to_owned(),
    };
    warn!(
        kind = key.kind.as_str(),
        namespace = key.namespace,
        name = key.name,
        rules,
        expires = expires.to_string(),
        violations = found.len(),
        "break-glass expired"
    );
    if let Some(BreakGlass { events, .. }) = &webhook.break_glass {
        events.publish(Event {
            reason: Reason::BreakGlassExpired,
            object: reference(key, &one.uid),
            note: format!("override of {rules} expired at {expires}; {violated}"),
        });
    }
}

fn reference(key: &Key, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(key.kind.api_version()),
        kind: Some(key.kind.as_str().to_owned()),
        namespace: Some(key.namespace.clone()),
        name: Some(key.name.clone()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn on_what_is_being_deleted_no_override_counts() {
        let written = |deletion: serde_json::Value| {
            let object: PartialObjectMeta = serde_json::from_value(json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {
                    "name": "orders", "namespace": "argocd", "uid": "u", "deletionTimestamp": deletion,
                    "annotations": {
                        "kubectl-gitops.io/break-glass": "prod-auto-sync",
                        "kubectl-gitops.io/break-glass-reason": "INC-1",
                        "kubectl-gitops.io/break-glass-expires": "2026-01-01T02:00:00Z",
                    },
                },
            }))
            .unwrap();
            written(object)
        };
        assert_eq!(written(json!(null)).unwrap().uid, "u");
        assert!(written(json!("2026-01-01T00:00:00Z")).is_none());
    }
}
