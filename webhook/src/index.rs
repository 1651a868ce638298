//! What the rules may know, kept up to date by watches.
//!
//! ```text
//!   AppProject ──────────┐
//!   ApplicationSet ──────┤
//!   Secret, cluster ─────┤
//!   Secret, repository ──┤ watched   changes    store          caches
//!   ConfigMaps ──────────┼────────> ────────> tables ──────> Inventory, replaced as a whole
//!   GitOpsPolicy default ┤                             5 ms
//!   CRD of Application ──┤
//!   CRD of ImageUpdater ─┘ (for log and metric only)
//! ```
//!
//! - [`watched`] reads objects off the wire and drops what is not needed as it reads: credentials,
//!   managed fields, the last applied manifest. An object that cannot be read ends no watch.
//! - [`store`] holds what was read, and puts the inventory together when that has changed: Argo CD
//!   writes to its objects all the time, and most of it is not read.
//! - [`policy_file`] takes the policy from a file in place of the API server.
//!
//! Applications are not watched: what is kept does not grow with their number.

pub mod policy_file;
pub mod store;
pub mod watched;

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use kube::runtime::watcher;
use kube::{Api, Client};
use policy::GitOpsPolicySpec;
use tracing::error;

use self::store::{Change, Store};
use self::watched::{
    ApplicationDefinition, ApplicationSetObject, ClusterObject, Content, ImageUpdaterDefinition,
    ParametersObject, PolicyObject, ProjectObject, RepositoryObject, SettingsObject, Watchable,
    Watched,
};
use crate::state::{Caches, Webhook};
use crate::watch::{self, Keeper, Next, Watch};

/// How long changes are gathered before the inventory is put together anew: far below what anybody
/// would notice, and enough for a burst of thousands to cost a handful of inventories.
const GATHERING: Duration = Duration::from_millis(5);

/// Where the policy comes from.
#[derive(Debug)]
pub enum PolicyOrigin {
    /// The GitOpsPolicy `default` of the API server.
    Cluster,
    /// A file that was read at the start.
    File(Box<GitOpsPolicySpec>),
}

/// Watches what the inventory is made of and keeps the webhook's caches up to date, until the
/// returned future is dropped. It never ends by itself.
pub async fn run(
    client: Client,
    argocd_namespace: String,
    origin: PolicyOrigin,
    webhook: Arc<Webhook>,
) {
    let changes = changes(&client, &argocd_namespace, &origin, &webhook);
    let store = Store::new(argocd_namespace, origin);
    watch::keep(changes, Index { store, webhook }, None).await;
}

/// What keeps the caches up to date.
struct Index {
    store: Store,
    webhook: Arc<Webhook>,
}

impl Keeper for Index {
    type Change = Change;

    fn take_in(&mut self, change: Change) -> Next {
        if self.store.apply(change) {
            Next::Within(GATHERING)
        } else {
            Next::AsBefore
        }
    }

    async fn act(&mut self) -> Option<Duration> {
        publish(&mut self.store, &self.webhook);
        None
    }
}

fn publish(store: &mut Store, webhook: &Webhook) {
    let missing = store.missing();
    if !missing.is_empty() {
        // What was complete once stays, while a watch that broke off lists again.
        if let Caches::Syncing(_) = &**webhook.caches.load() {
            webhook.publish(Caches::Syncing(missing));
        }
        return;
    }
    match store.inventory() {
        Ok((inventory, source)) => {
            webhook.metrics.inventory.built(store.sizes(), source);
            let flaw = inventory.policy().flaw();
            webhook
                .metrics
                .inventory
                .policy_lacks_production(flaw.is_some());
            webhook
                .metrics
                .inventory
                .features_detected(store.features());
            store.tell_namespaces();
            webhook.publish(Caches::Synced(Box::new(inventory)));
        }
        // Only a defect can bring this about; what is known goes stale, and says so.
        Err(error) => error!(
            error = crate::chain(&error),
            "cannot put the inventory together"
        ),
    }
}

fn changes(
    client: &Client,
    namespace: &str,
    origin: &PolicyOrigin,
    webhook: &Webhook,
) -> BoxStream<'static, Change> {
    let named = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let secrets = |kind: &str| {
        watcher::Config::default().labels(&format!("{}={kind}", argocd::names::LABEL_SECRET_TYPE))
    };
    let mut streams = vec![
        watch(
            Api::<Watched<ProjectObject>>::namespaced(client.clone(), namespace),
            watcher::Config::default(),
            Change::Project,
            webhook,
        ),
        watch(
            Api::<Watched<ApplicationSetObject>>::all(client.clone()),
            watcher::Config::default(),
            Change::ApplicationSet,
            webhook,
        ),
        watch(
            Api::<Watched<ClusterObject>>::namespaced(client.clone(), namespace),
            secrets(argocd::names::SECRET_TYPE_CLUSTER),
            Change::Cluster,
            webhook,
        ),
        watch(
            Api::<Watched<RepositoryObject>>::namespaced(client.clone(), namespace),
            secrets(argocd::names::SECRET_TYPE_REPOSITORY),
            Change::Repository,
            webhook,
        ),
        watch(
            Api::<Watched<SettingsObject>>::namespaced(client.clone(), namespace),
            named(argocd::names::SETTINGS_CONFIG_MAP),
            Change::Settings,
            webhook,
        ),
        watch(
            Api::<Watched<ParametersObject>>::namespaced(client.clone(), namespace),
            named(argocd::names::PARAMETERS_CONFIG_MAP),
            Change::Parameters,
            webhook,
        ),
        watch(
            Api::<Watched<ApplicationDefinition>>::all(client.clone()),
            named(argocd::names::APPLICATION_DEFINITION),
            Change::ApplicationDefinition,
            webhook,
        ),
        watch(
            Api::<Watched<ImageUpdaterDefinition>>::all(client.clone()),
            named(argocd::names::IMAGE_UPDATER_DEFINITION),
            Change::ImageUpdaterDefinition,
            webhook,
        ),
    ];
    if let PolicyOrigin::Cluster = origin {
        streams.push(watch(
            Api::<Watched<PolicyObject>>::all(client.clone()),
            named(policy::gitops_policy::POLICY_NAME),
            Change::Policy,
            webhook,
        ));
    }
    stream::select_all(streams).boxed()
}

fn watch<T: Watchable>(
    api: Api<Watched<T>>,
    config: watcher::Config,
    change: fn(watch::Change<Content<T>>) -> Change,
    webhook: &Webhook,
) -> BoxStream<'static, Change> {
    let keep = |object: Watched<T>| Some(object.content);
    let watch = Watch::new(T::WATCHED, &webhook.metrics.watches, keep);
    watch::objects(api, config, watch).map(change).boxed()
}
