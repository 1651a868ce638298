//! What a checkout and the workload clusters say, by the caller's own kubeconfig.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::time::Duration;

use argocd::comparison::{ComparisonSettings, IgnoreRules, ResourcesFilter, Rules, Strategy};
use argocd::names::IN_CLUSTER_SERVER;
use argocd::tracking::Tracking;
use argocd::{Application, Fleet};
use futures::StreamExt as _;
use golang::work::Work;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::{spawn_blocking, yield_now};

use super::DriftArgs;
use super::known::{Configuration, Found, Known};
use crate::args::{ClusterArgs, RequestTimeout};
use crate::context::Context;
use crate::drift::autoscaler::{Autoscaler, Autoscalers};
use crate::drift::local::cluster::Cluster;
use crate::drift::local::desired::{self, DesiredError, Surroundings, desired};
use crate::drift::local::permitted::Permitted;
use crate::drift::local::reconcile::{
    Desired, GroupKind, Interest, NOT_WORKED_OUT, Plan, Reconciliation, Side, Undecided,
};
use crate::drift::local::{Key, managed_namespace};
use crate::drift::refusal::Webhook;
use crate::drift::{
    ApplicationDrift, Collected, ControllerSettings, Destination, Drift, Overview, Problem, Source,
    judge_found, strategy_choice,
};
use crate::error::{CommandError, chain};
use crate::kubernetes::{
    AccessError, ApiServer, ConnectError, ContextError, Contexts, DiscoveryError, FieldManager,
    Objects, Wanted, of_all_namespaces,
};
use crate::manifest_generation::ApplicationFacts;
use crate::repository::revisions::Revisions;
use crate::repository::work_trees::WorkTrees;

/// How many clusters are read at once.
pub(super) const CLUSTERS_AT_ONCE: usize = 16;
/// How many Applications of a cluster are rendered at once.
const RENDERED_AT_ONCE: usize = 4;
/// How many kinds of a cluster are listed at once.
const LISTS_AT_ONCE: usize = 8;
/// How many dry runs a cluster is asked for at once.
const DRY_RUNS_AT_ONCE: usize = 8;
/// How long an API server may take for an answer where `--request-timeout` says nothing: the others
/// are not to wait for one without end.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much work reading what an Application ignores may take.
const WORK: u64 = 1 << 24;

/// Why an Application is out of sync of which no resource need differ.
const NAMESPACE_CHANGED: &str =
    "spec.syncPolicy.managedNamespaceMetadata is otherwise than at the last sync";
/// What an API server says of an object that it cannot apply may quote any of its values.
const REFUSED_SECRET: &str =
    "the API server refuses the Secret, and why is not shown, as that may quote its values";

/// A cluster cannot be read.
#[derive(Debug, thiserror::Error)]
enum ClusterError {
    #[error("cluster {cluster}")]
    Context {
        cluster: String,
        #[source]
        source: ContextError,
    },
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("the credential plugin takes longer than {} s", .after.as_secs_f64())]
    SlowLogin { after: Duration },
}

/// What is the same for all clusters.
pub(super) struct Run<'a> {
    context: &'a Context,
    contexts: &'a Contexts,
    revisions: &'a Revisions,
    settings: &'a ComparisonSettings,
    tracking: &'a Tracking,
    configuration: &'a Configuration,
    fleet: &'a Fleet,
    filter: &'a ResourcesFilter,
    controller: ControllerSettings,
    devops: &'a ApiServer,
    /// Whether the API server is asked what a sync would make of each object.
    exact: bool,
    webhook: Option<&'a Webhook>,
}

/// What a run is made of.
pub(super) struct Setup {
    contexts: Contexts,
    revisions: Revisions,
    settings: ComparisonSettings,
    tracking: Tracking,
    filter: ResourcesFilter,
}

impl Setup {
    /// By the checkout, the kubeconfig and `argocd-cm`.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(super) fn new(
        args: &DriftArgs,
        context: &Context,
        configuration: &Configuration,
    ) -> Result<Self, CommandError> {
        let kubeconfig = context.cluster.kubeconfig().unwrap_or_default();
        let chosen = args.context_for.iter().cloned().collect();
        let data = configuration.settings.clone().unwrap_or_default();
        let mut settings = ComparisonSettings::from_config_map(&data);
        settings.generation = configuration.of_controller().generation;
        Ok(Setup {
            contexts: Contexts::new(&kubeconfig, chosen),
            revisions: args.revisions()?,
            settings,
            tracking: Tracking::of(|key| data.get(key).map(String::as_str)),
            filter: ResourcesFilter::from_config_map(&data).map_err(CommandError::new)?,
        })
    }

    /// What compares with it.
    pub(super) fn run<'a>(
        &'a self,
        args: &DriftArgs,
        context: &'a Context,
        configuration: &'a Configuration,
        fleet: &'a Fleet,
        devops: &'a ApiServer,
        webhook: Option<&'a Webhook>,
    ) -> Run<'a> {
        Run {
            context,
            contexts: &self.contexts,
            revisions: &self.revisions,
            settings: &self.settings,
            tracking: &self.tracking,
            configuration,
            fleet,
            filter: &self.filter,
            controller: configuration.of_controller(),
            devops,
            exact: args.exact,
            webhook,
        }
    }
}

/// Applications by the cluster that they go to.
pub(super) fn by_destination(all: Vec<Found>) -> BTreeMap<Destination, Vec<Found>> {
    let mut by_cluster: BTreeMap<Destination, Vec<Found>> = BTreeMap::new();
    for found in all {
        let cluster = found.overview.cluster.clone();
        by_cluster.entry(cluster).or_default().push(found);
    }
    by_cluster
}

/// A cluster that answers.
pub(super) struct Opened<'a> {
    connection: Connection<'a>,
    pub(super) cluster: Cluster,
}

enum Connection<'a> {
    /// The cluster that Argo CD runs on.
    Shared(&'a ApiServer),
    Own(ApiServer),
}

impl Opened<'_> {
    /// Its API server.
    pub(super) fn server(&self) -> &ApiServer {
        match &self.connection {
            Connection::Shared(server) => server,
            Connection::Own(server) => server,
        }
    }
}

/// What became of an Application.
type Judged = (ApplicationDrift, Autoscalers, Vec<Problem>);

/// What differs between a checkout and the clusters.
pub(super) async fn by_checkout(
    args: &DriftArgs,
    context: &Context,
    devops: &ApiServer,
    configuration: Configuration,
    fleet: &Fleet,
    known: Known<Found>,
) -> Result<Drift, CommandError> {
    let setup = Setup::new(args, context, &configuration)?;
    let webhook = known.webhook.as_ref();
    let run = setup.run(args, context, &configuration, fleet, devops, webhook);
    let count = known.applications.len();
    let progress = context.progress.begin("comparing", Some(count));
    let by_cluster = by_destination(known.applications);
    let mut drift = Drift {
        source: Source::Local,
        applications: Vec::with_capacity(count),
        problems: known.problems,
        autoscalers: Autoscalers::default(),
    };
    let clusters = futures::stream::iter(by_cluster)
        .map(|(cluster, found)| run.of_cluster(cluster, found))
        .buffer_unordered(CLUSTERS_AT_ONCE);
    let mut clusters = std::pin::pin!(clusters);
    while let Some((judged, autoscalers)) = clusters.next().await {
        drift.autoscalers.extend(autoscalers);
        for (application, autoscalers, problems) in judged {
            drift.applications.push(application);
            drift.autoscalers.extend(autoscalers);
            drift.problems.extend(problems);
        }
        progress.reached(drift.applications.len());
    }
    drift
        .problems
        .sort_by(|one, other| one.object.cmp(&other.object));
    drift.settle_autoscaled();
    Ok(drift)
}

/// What a checkout says that Applications are to have, in their order, or why that is not known.
pub(super) async fn generated(
    args: &DriftArgs,
    context: &Context,
    devops: &ApiServer,
    configuration: &Configuration,
    fleet: &Fleet,
    found: Vec<Found>,
) -> Result<Vec<Result<Vec<Value>, String>>, CommandError> {
    let setup = Setup::new(args, context, configuration)?;
    let run = &setup.run(args, context, configuration, fleet, devops, None);
    let destinations: BTreeSet<&Destination> =
        found.iter().map(|one| &one.overview.cluster).collect();
    let clusters: BTreeMap<&Destination, Result<Cluster, String>> =
        futures::stream::iter(destinations)
            .map(|destination| async move { (destination, run.discovered(destination).await) })
            .buffer_unordered(CLUSTERS_AT_ONCE)
            .collect()
            .await;
    let generated = futures::stream::iter(&found)
        .map(|one| async {
            match clusters.get(&one.overview.cluster) {
                Some(Ok(cluster)) => run.all_manifests(cluster, one).await,
                Some(Err(reason)) => Err(reason.clone()),
                None => Err(NOT_WORKED_OUT.to_owned()),
            }
        })
        .buffered(RENDERED_AT_ONCE);
    Ok(generated.collect().await)
}

impl DriftArgs {
    /// The work tree of the checkout.
    pub(super) fn work_trees(&self) -> Result<WorkTrees, CommandError> {
        let checkout = self.checkout.clone().unwrap_or_else(|| PathBuf::from("."));
        let trees = WorkTrees::of(&[checkout], self.repository.as_deref());
        trees.map_err(CommandError::new)
    }

    fn revisions(&self) -> Result<Revisions, CommandError> {
        Revisions::of(self.work_trees()?).map_err(CommandError::new)
    }
}

impl<'a> Run<'a> {
    /// What a cluster has.
    async fn discovered(&self, destination: &Destination) -> Result<Cluster, String> {
        Ok(self.open(destination).await?.cluster)
    }

    async fn of_cluster(
        &self,
        destination: Destination,
        found: Vec<Found>,
    ) -> (Vec<Judged>, Autoscalers) {
        match self.open(&destination).await {
            Ok(opened) => self.compare(&opened, found, None).await,
            Err(reason) => (unseen(found, &reason), Autoscalers::default()),
        }
    }

    /// Connects to a cluster, and asks what it has.
    ///
    /// # Errors
    /// It does not answer, or nobody can connect to it.
    pub(super) async fn open(&self, destination: &Destination) -> Result<Opened<'a>, String> {
        let connection = if destination.server.as_deref() == Some(IN_CLUSTER_SERVER) {
            Connection::Shared(self.devops)
        } else {
            let own = self.connect(destination).await;
            Connection::Own(own.map_err(|error| chain(&error))?)
        };
        let server: &ApiServer = match &connection {
            Connection::Shared(server) => server,
            Connection::Own(server) => server,
        };
        let cluster = Cluster::discover(server).await;
        let cluster = cluster.map_err(|error| chain(&error))?;
        Ok(Opened {
            cluster: cluster.known_by(destination.server.as_deref()),
            connection,
        })
    }

    async fn connect(&self, destination: &Destination) -> Result<ApiServer, ClusterError> {
        let wanted = Wanted {
            name: destination.name.as_deref(),
            server: destination.server.as_deref(),
            eks_name: None,
        };
        let name = self.contexts.of(wanted);
        let name = name.map_err(|source| ClusterError::Context {
            cluster: destination.display_name().to_owned(),
            source,
        })?;
        let own = &self.context.cluster;
        let timeout = own.request_timeout.unwrap_or(RequestTimeout(Some(TIMEOUT)));
        let args = ClusterArgs {
            kubeconfig: own.kubeconfig.clone(),
            context: Some(name.to_owned()),
            request_timeout: Some(timeout),
            ..ClusterArgs::default()
        };
        // A credential plugin blocks for as long as it runs.
        let runtime = tokio::runtime::Handle::current();
        let connected = spawn_blocking(move || runtime.block_on(args.connect(None)));
        let connected = match timeout.0 {
            None => connected.await,
            Some(after) => tokio::time::timeout(after, connected)
                .await
                .map_err(|_| ClusterError::SlowLogin { after })?,
        };
        // It was not cancelled, so it panicked.
        let connected = connected.unwrap_or_else(|ended| resume_unwind(ended.into_panic()));
        Ok(connected?)
    }

    /// Compares the Applications of a cluster, and says what of it counts for them, if that is
    /// asked for.
    pub(super) async fn compare(
        &self,
        opened: &Opened<'_>,
        found: Vec<Found>,
        interest: Option<&mut Interest>,
    ) -> (Vec<Judged>, Autoscalers) {
        let (server, cluster) = (opened.server(), &opened.cluster);
        let generated = futures::stream::iter(&found)
            .map(|one| self.desired(cluster, one))
            .buffered(RENDERED_AT_ONCE);
        let generated: Vec<_> = generated.collect().await;
        let (mut judged, mut prepared) = (Vec::new(), Vec::new());
        for (one, generated) in found.into_iter().zip(generated) {
            match generated {
                Ok(generated) => prepared.push((one.overview, generated)),
                Err(reason) => judged.push(unjudged(one, &reason)),
            }
        }
        let sides = prepared.iter_mut().map(|(overview, one)| {
            let plan = Plan {
                instance_name: std::mem::take(&mut one.instance_name),
                desired: std::mem::take(&mut one.desired),
                permitted: one.permitted.clone(),
                rules: Rules {
                    settings: self.settings,
                    ignore: &one.ignore,
                },
                strategy: one.strategy,
                own_strategy: one.own_strategy,
                webhook: self.webhook,
            };
            let mut side = Side::new(overview.clone(), plan);
            side.found.out_of_sync = one.out_of_sync.take();
            side.unsettled = std::mem::take(&mut one.not_permitted);
            side
        });
        let reconciliation = Reconciliation::new(sides.collect(), self.tracking);
        if let Some(interest) = interest {
            let kinds = self.kinds(cluster, &reconciliation);
            *interest = reconciliation.interest(kinds);
        }
        let (sides, autoscalers) = self.read(server, cluster, reconciliation).await;
        for (side, mut reasons) in sides {
            reasons.extend(side.unsettled);
            reasons.extend(side.error.iter().map(|error| chain(error)));
            // Kinds are read at the same time.
            reasons.sort();
            judged.push(judge_found(side.overview, side.found, reasons));
        }
        (judged, autoscalers)
    }

    /// Reads each kind once, and asks for dry runs where nothing else can tell. The second values
    /// are why kinds of an Application could not be read.
    async fn read<'s>(
        &self,
        server: &ApiServer,
        cluster: &Cluster,
        reconciliation: Reconciliation<'s>,
    ) -> (Vec<(Side<'s>, Vec<String>)>, Autoscalers) {
        let kinds = self.kinds(cluster, &reconciliation);
        let key = reconciliation.overviews().next();
        let key = key.map_or_else(String::new, |one| one.cluster.key().to_owned());
        let reading = Reading {
            server,
            cluster,
            key: key.clone(),
            reconciliation: RefCell::new(reconciliation),
            autoscalers: RefCell::default(),
            dry_runs: Semaphore::new(DRY_RUNS_AT_ONCE),
        };
        let lists = futures::stream::iter(&kinds)
            .map(|kind| reading.kind(kind))
            .buffer_unordered(LISTS_AT_ONCE);
        let outcomes: Vec<Result<(), (GroupKind, AccessError)>> = lists.collect().await;
        let unread: BTreeMap<_, _> = outcomes.into_iter().filter_map(Result::err).collect();
        let unread_kinds: BTreeSet<_> = unread.keys().cloned().collect();
        let sides = reading.reconciliation.into_inner().finish(&unread_kinds);
        let mut autoscalers = reading.autoscalers.into_inner();
        let mut autoscaler_kinds = Autoscaler::ALL.into_iter().map(Autoscaler::group_and_kind);
        let is_unread = |(group, kind): (&str, &str)| {
            unread_kinds.contains(&(group.to_owned(), kind.to_owned()))
        };
        if !autoscaler_kinds.any(is_unread) {
            autoscalers.are_all_of(&key);
        }
        let sides = sides.into_iter();
        let sides = sides.map(|side| {
            let kinds = side.unread.iter().filter_map(|kind| unread.get(kind));
            let reasons = kinds.map(|error| chain(error)).collect();
            (side, reasons)
        });
        (sides.collect(), autoscalers)
    }

    /// The kinds that are read of a cluster.
    fn kinds(&self, cluster: &Cluster, all: &Reconciliation<'_>) -> BTreeSet<GroupKind> {
        let mut kinds = kinds(all);
        kinds.retain(|(group, kind)| !self.filter.excludes(group, kind, &cluster.server));
        kinds
    }

    /// What marks name an Application by.
    fn instance_name(&self, overview: &Overview) -> String {
        if overview.namespace == self.context.argocd_namespace() {
            overview.name.clone()
        } else {
            format!("{}_{}", overview.namespace, overview.name)
        }
    }

    /// All that a checkout says that an Application is to have, hooks as well.
    async fn all_manifests(&self, cluster: &Cluster, found: &Found) -> Result<Vec<Value>, String> {
        let text = |error: serde_json::Error| chain(&error);
        let application: Application<'_> = serde_json::from_str(&found.json).map_err(text)?;
        let Written { spec, .. } = serde_json::from_str(&found.json).map_err(text)?;
        let namespace = &application.spec.destination.namespace;
        self.manifests(cluster, &found.overview, &spec, namespace)
            .await
    }

    async fn manifests(
        &self,
        cluster: &Cluster,
        overview: &Overview,
        spec: &Value,
        namespace: &str,
    ) -> Result<Vec<Value>, String> {
        let surroundings = Surroundings {
            revisions: self.revisions,
            cluster,
            tracking: self.tracking,
            kustomize_build_options: self.configuration.setting("kustomize.buildOptions"),
        };
        let application = desired::Application {
            facts: ApplicationFacts {
                name: &overview.name,
                instance_name: &self.instance_name(overview),
                project: &overview.project,
            },
            spec,
            namespace,
        };
        let generated = desired(application, surroundings).await;
        generated.map_err(|error: DesiredError| chain(&error))
    }

    async fn desired(&self, cluster: &Cluster, found: &Found) -> Result<Prepared<'_>, String> {
        let text = |error: &dyn std::error::Error| chain(error);
        // Others' requests are answered meanwhile.
        yield_now().await;
        let application: Application<'_> =
            serde_json::from_str(&found.json).map_err(|error| text(&error))?;
        let Written { spec, status } =
            serde_json::from_str(&found.json).map_err(|error| text(&error))?;
        let destination = &application.spec.destination;
        let overview = &found.overview;
        let instance_name = self.instance_name(overview);
        let namespace = &destination.namespace;
        let generated = self.manifests(cluster, overview, &spec, namespace);
        let mut generated = generated.await?;
        let destination_cluster = self.fleet.clusters.resolve(destination).ok();
        let permitted = Permitted::of(self.fleet, &overview.project, destination_cluster);
        let mut not_permitted = Vec::new();
        generated.retain(|object| {
            let key = Key::of(object);
            // Argo CD warns of it, and leaves it out.
            if self.filter.excludes(&key.group, &key.kind, &cluster.server) {
                return false;
            }
            let is_permitted = permitted.has(&key);
            if !is_permitted {
                let Key { kind, name, .. } = &key;
                let project = &overview.project;
                not_permitted.push(format!(
                    "{kind} {name}: project {project} does not permit it"
                ));
            }
            is_permitted
        });
        let managed_namespace = managed_namespace::desired(&spec, namespace, &generated);
        // Nothing of what was generated is left but the JSON.
        let mut desired: Vec<Desired> = generated.iter().filter_map(Desired::of).collect();
        desired.extend(managed_namespace.as_ref().map(Desired::if_marked));
        let synced = status.and_then(|status| status.operation_state?.sync_result);
        let out_of_sync = managed_namespace::has_changed(&spec, synced.as_ref());
        let own = strategy_choice(&application, self.controller).strategy();
        let asking = match own {
            own @ Strategy::ServerSide { .. } => own,
            Strategy::ClientSide | Strategy::Structured => Strategy::ServerSide {
                dry_run: None,
                mutation_webhooks: false,
            },
        };
        let ignored = &application.spec.ignore_differences;
        let work = Work::new(WORK);
        let ignore = IgnoreRules::new(ignored, &self.settings.customizations, &work);
        Ok(Prepared {
            instance_name,
            desired,
            permitted,
            not_permitted,
            out_of_sync: out_of_sync.then(|| NAMESPACE_CHANGED.to_owned()),
            ignore: ignore.map_err(|error| text(&error))?,
            strategy: if self.exact { asking } else { own },
            own_strategy: self.exact.then_some(own),
        })
    }
}

/// As much of an Application as is read beside what its type has: its status may be large.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    spec: Value,
    status: Option<WrittenStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenStatus {
    operation_state: Option<WrittenOperation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenOperation {
    sync_result: Option<Value>,
}

/// An Application, ready to be compared.
struct Prepared<'f> {
    instance_name: String,
    desired: Vec<Desired>,
    permitted: Permitted<'f>,
    /// What the project does not permit, in words.
    not_permitted: Vec<String>,
    out_of_sync: Option<String>,
    ignore: IgnoreRules,
    strategy: Strategy<'static>,
    own_strategy: Option<Strategy<'static>>,
}

/// A cluster while its objects are read.
struct Reading<'r, 's> {
    server: &'r ApiServer,
    cluster: &'r Cluster,
    /// What the cluster is called by which autoscalers are found.
    key: String,
    reconciliation: RefCell<Reconciliation<'s>>,
    autoscalers: RefCell<Autoscalers>,
    /// Permits for dry runs: all kinds share them.
    dry_runs: Semaphore,
}

impl Reading<'_, '_> {
    /// Reads a kind page by page; nothing of a page is left when the next one is asked for.
    async fn kind(&self, kind: &GroupKind) -> Result<(), (GroupKind, AccessError)> {
        let (group, name) = kind;
        let Some(resource) = self.cluster.resource(group, name) else {
            return Ok(());
        };
        let objects = of_all_namespaces(resource.clone());
        let is_autoscaler = Autoscaler::of_kind(group, name).is_some();
        let mut pages = self.server.page_by_page(&objects);
        loop {
            let meet = |json: &str| {
                if is_autoscaler && let Ok(object) = serde_json::from_str(json) {
                    let mut all = self.autoscalers.borrow_mut();
                    all.add(&self.key, group, name, &object);
                }
                let mut all = self.reconciliation.borrow_mut();
                all.meet(group, &objects.resource.version, name, json)
            };
            let page = pages.next(meet).await;
            let page = page.map_err(|error| (kind.clone(), error))?;
            let Some(undecided) = page else {
                return Ok(());
            };
            self.settle(undecided.into_iter().flatten()).await;
        }
    }

    /// Asks the API server what a sync would make of what cannot be compared without it.
    async fn settle(&self, undecided: impl Iterator<Item = Undecided>) {
        let asked = futures::stream::iter(undecided)
            .map(|one| async {
                // It is never closed.
                let _permit = self.dry_runs.acquire().await;
                let answer = predicted(self.server, self.cluster, &one).await;
                (one, answer)
            })
            .buffer_unordered(DRY_RUNS_AT_ONCE);
        let mut asked = std::pin::pin!(asked);
        while let Some((one, answer)) = asked.next().await {
            let mut all = self.reconciliation.borrow_mut();
            match answer {
                Ok(answer) => all.settle(one, &answer),
                Err(reason) => all.leave(&one, &reason),
            }
        }
    }
}

/// The kinds of what is desired, of what Argo CD says that Applications have, and of autoscalers.
fn kinds(reconciliation: &Reconciliation<'_>) -> BTreeSet<GroupKind> {
    let desired = reconciliation.kinds();
    let desired = desired.map(|(group, kind)| (group.to_owned(), kind.to_owned()));
    let overviews = reconciliation.overviews();
    let listed = overviews.flat_map(|overview| &overview.resources);
    let listed = listed.map(|one| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (text(&one.group), text(&one.kind))
    });
    let autoscalers = Autoscaler::ALL.into_iter().map(Autoscaler::group_and_kind);
    let autoscalers = autoscalers.map(|(group, kind)| (group.to_owned(), kind.to_owned()));
    desired.chain(listed).chain(autoscalers).collect()
}

/// What the API server says that a sync would make of an object.
async fn predicted(
    server: &ApiServer,
    cluster: &Cluster,
    undecided: &Undecided,
) -> Result<Value, String> {
    if undecided.reason.is_none() {
        return Err(NOT_WORKED_OUT.to_owned());
    }
    let key = &undecided.key;
    let resource = cluster.resource(&key.group, &key.kind);
    let resource = resource.ok_or_else(|| "the cluster has no such kind".to_owned())?;
    let objects = Objects {
        resource: resource.clone(),
        namespace: (!key.namespace.is_empty()).then(|| key.namespace.clone()),
    };
    let asked = server.predict(
        &objects,
        &key.name,
        &undecided.desired,
        FieldManager::ArgoCd,
    );
    let is_secret = key.group.is_empty() && key.kind == "Secret";
    asked.await.map_err(|error| {
        let why = if is_secret && !error.is_about_access() {
            REFUSED_SECRET.to_owned()
        } else {
            chain(&error)
        };
        format!("only a dry run can tell: {why}")
    })
}

/// Applications of a cluster of which nothing can be seen.
pub(super) fn unseen(found: Vec<Found>, reason: &str) -> Vec<Judged> {
    let found = found.into_iter();
    found.map(|one| unjudged(one, reason)).collect()
}

fn unjudged(found: Found, reason: &str) -> Judged {
    judge_found(
        found.overview,
        Collected::default(),
        vec![reason.to_owned()],
    )
}
