//! What a checkout and the workload clusters say, by the caller's own kubeconfig.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use argocd::Application;
use argocd::comparison::{ComparisonSettings, IgnoreRules, Rules, Strategy};
use argocd::names::IN_CLUSTER_SERVER;
use argocd::tracking::Tracking;
use futures::StreamExt as _;
use golang::work::Work;
use serde_json::Value;

use super::DriftArgs;
use super::known::{Configuration, Found, Known};
use crate::args::{ClusterArgs, RequestTimeout};
use crate::context::Context;
use crate::drift::autoscaler::Autoscalers;
use crate::drift::local::cluster::Cluster;
use crate::drift::local::desired::{self, DesiredError, Surroundings, desired};
use crate::drift::local::reconcile::{GroupKind, Reconciliation, Settled, Side, Undecided};
use crate::drift::{
    ApplicationDrift, ControllerSettings, Destination, Drift, Overview, Problem, Source,
    judge_found, strategy_choice,
};
use crate::error::{CommandError, chain};
use crate::kubernetes::{
    AccessError, ApiServer, ConnectError, ContextError, Contexts, DiscoveryError, FieldManager,
    Objects, Wanted,
};
use crate::manifest_generation::ApplicationFacts;
use crate::repository::revisions::Revisions;
use crate::repository::work_trees::WorkTrees;

/// How many clusters are read at once.
const CLUSTERS_AT_ONCE: usize = 16;
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

/// Why a resource stays undecided.
const NOT_WORKED_OUT: &str = "a jq path of ignoreDifferences is not worked out";
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
}

/// What is the same for all clusters.
struct Run<'a> {
    context: &'a Context,
    contexts: &'a Contexts,
    revisions: &'a Revisions,
    settings: &'a ComparisonSettings,
    tracking: &'a Tracking,
    configuration: &'a Configuration,
    controller: ControllerSettings,
    devops: &'a ApiServer,
    /// Whether the API server is asked what a sync would make of each object.
    exact: bool,
}

/// What became of an Application.
type Judged = (ApplicationDrift, Autoscalers, Vec<Problem>);

/// What differs between a checkout and the clusters.
pub(super) async fn by_checkout(
    args: &DriftArgs,
    context: &Context,
    devops: &ApiServer,
    configuration: Configuration,
    known: Known<Found>,
) -> Result<Drift, CommandError> {
    let revisions = args.revisions()?;
    let kubeconfig = context.cluster.kubeconfig().unwrap_or_default();
    let chosen = args.context_for.iter().cloned().collect();
    let contexts = Contexts::new(&kubeconfig, chosen);
    let data = configuration.settings.clone().unwrap_or_default();
    let mut settings = ComparisonSettings::from_config_map(&data);
    let controller = configuration.of_controller();
    settings.generation = controller.generation;
    let tracking = Tracking::of(|key| data.get(key).map(String::as_str));
    let run = Run {
        context,
        contexts: &contexts,
        revisions: &revisions,
        settings: &settings,
        tracking: &tracking,
        configuration: &configuration,
        controller,
        devops,
        exact: args.exact,
    };
    let count = known.applications.len();
    let progress = context.progress.begin("comparing", Some(count));
    let mut by_cluster: BTreeMap<Destination, Vec<Found>> = BTreeMap::new();
    for found in known.applications {
        let cluster = found.overview.cluster.clone();
        by_cluster.entry(cluster).or_default().push(found);
    }
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
    while let Some(judged) = clusters.next().await {
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
    Ok(drift)
}

/// What a checkout says that Applications are to have, in their order, or why that is not known.
pub(super) async fn generated(
    args: &DriftArgs,
    context: &Context,
    devops: &ApiServer,
    configuration: &Configuration,
    found: Vec<Found>,
) -> Result<Vec<Result<Vec<Value>, String>>, CommandError> {
    let revisions = args.revisions()?;
    let kubeconfig = context.cluster.kubeconfig().unwrap_or_default();
    let contexts = Contexts::new(&kubeconfig, args.context_for.iter().cloned().collect());
    let data = configuration.settings.clone().unwrap_or_default();
    let tracking = Tracking::of(|key| data.get(key).map(String::as_str));
    let run = Run {
        context,
        contexts: &contexts,
        revisions: &revisions,
        settings: &ComparisonSettings::from_config_map(&data),
        tracking: &tracking,
        configuration,
        controller: configuration.of_controller(),
        devops,
        exact: false,
    };
    let mut clusters: BTreeMap<Destination, Result<Cluster, String>> = BTreeMap::new();
    for one in &found {
        let destination = &one.overview.cluster;
        if !clusters.contains_key(destination) {
            clusters.insert(destination.clone(), run.discovered(destination).await);
        }
    }
    let generated = futures::stream::iter(&found)
        .map(|one| async {
            match clusters.get(&one.overview.cluster) {
                Some(Ok(cluster)) => Ok(run.desired(cluster, one).await?.desired),
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

impl Run<'_> {
    /// What a cluster has.
    async fn discovered(&self, destination: &Destination) -> Result<Cluster, String> {
        let discovered = if destination.server.as_deref() == Some(IN_CLUSTER_SERVER) {
            Cluster::discover(self.devops).await
        } else {
            let server = self.connect(destination).await;
            Cluster::discover(&server.map_err(|error| chain(&error))?).await
        };
        discovered.map_err(|error| chain(&error))
    }

    async fn of_cluster(&self, destination: Destination, found: Vec<Found>) -> Vec<Judged> {
        let connection;
        let server = if destination.server.as_deref() == Some(IN_CLUSTER_SERVER) {
            self.devops
        } else {
            match self.connect(&destination).await {
                Ok(server) => {
                    connection = server;
                    &connection
                }
                Err(error) => return unseen(found, &chain(&error)),
            }
        };
        match Cluster::discover(server).await {
            Ok(cluster) => self.compare(server, &cluster, found).await,
            Err(error) => unseen(found, &chain(&error)),
        }
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
        let args = ClusterArgs {
            kubeconfig: own.kubeconfig.clone(),
            context: Some(name.to_owned()),
            request_timeout: own.request_timeout.or(Some(RequestTimeout(Some(TIMEOUT)))),
            ..ClusterArgs::default()
        };
        Ok(args.connect(None).await?)
    }

    async fn compare(
        &self,
        server: &ApiServer,
        cluster: &Cluster,
        found: Vec<Found>,
    ) -> Vec<Judged> {
        let generated = futures::stream::iter(&found)
            .map(|one| self.desired(cluster, one))
            .buffered(RENDERED_AT_ONCE);
        let generated: Vec<_> = generated.collect().await;
        let (mut judged, mut compared, mut sides) = (Vec::new(), Vec::new(), Vec::new());
        for (one, generated) in found.into_iter().zip(generated) {
            match generated {
                Ok(prepared) => {
                    compared.push(one.overview);
                    sides.push(prepared);
                }
                Err(reason) => judged.push(judge_found(one.overview, Vec::new(), vec![reason])),
            }
        }
        let sides = sides.iter_mut().map(|one| {
            let rules = Rules {
                settings: self.settings,
                ignore: &one.ignore,
            };
            let desired = std::mem::take(&mut one.desired);
            Side::new(one.instance_name.clone(), desired, rules, one.strategy)
        });
        let reconciliation = Reconciliation::new(sides.collect(), self.tracking);
        let sides = self.read(server, cluster, reconciliation, &compared).await;
        for (overview, (side, mut reasons)) in compared.into_iter().zip(sides) {
            reasons.extend(side.error.iter().map(|error| chain(error)));
            judged.push(judge_found(overview, side.resources, reasons));
        }
        judged
    }

    /// Reads each kind once, and asks for dry runs where nothing else can tell.
    async fn read<'s>(
        &self,
        server: &ApiServer,
        cluster: &Cluster,
        reconciliation: Reconciliation<'s>,
        compared: &[Overview],
    ) -> Vec<(Side<'s>, Vec<String>)> {
        let kinds = kinds(&reconciliation, compared);
        let reconciliation = RefCell::new(reconciliation);
        let lists = kinds.iter().filter_map(|(group, kind)| {
            let resource = cluster.resource(group, kind)?;
            let objects = Objects {
                resource: resource.clone(),
                namespace: None,
            };
            let meet = &reconciliation;
            Some(async move {
                let each = |json: &str| {
                    let version = &objects.resource.version;
                    meet.borrow_mut().meet(group, version, kind, json);
                };
                let listed = server.list(&objects, None, each).await;
                listed
                    .map(drop)
                    .map_err(|error| ((group.clone(), kind.clone()), error))
            })
        });
        let lists = futures::stream::iter(lists).buffer_unordered(LISTS_AT_ONCE);
        let outcomes: Vec<Result<(), (GroupKind, AccessError)>> = lists.collect().await;
        let unread: BTreeMap<_, _> = outcomes.into_iter().filter_map(Result::err).collect();
        let unread_kinds: BTreeSet<_> = unread.keys().cloned().collect();
        let sides = reconciliation.into_inner().finish(&unread_kinds);
        let mut finished = Vec::with_capacity(sides.len());
        for mut side in sides {
            let kinds = side.unread.iter().filter_map(|kind| unread.get(kind));
            let mut reasons: Vec<String> = kinds.map(|error| chain(error)).collect();
            self.settle(server, cluster, &mut side, &mut reasons).await;
            finished.push((side, reasons));
        }
        finished
    }

    /// Asks the API server what a sync would make of what cannot be compared without it.
    async fn settle(
        &self,
        server: &ApiServer,
        cluster: &Cluster,
        side: &mut Side<'_>,
        reasons: &mut Vec<String>,
    ) {
        let undecided = std::mem::take(&mut side.undecided);
        let asked = futures::stream::iter(undecided)
            .map(|one| async {
                let answer = predicted(server, cluster, &one).await;
                (one, answer)
            })
            .buffered(DRY_RUNS_AT_ONCE);
        let mut asked = std::pin::pin!(asked);
        while let Some((one, answer)) = asked.next().await {
            let name = format!("{} {}", one.key.kind, one.key.name);
            let outcome = match answer {
                Ok(answer) if side.settle(one, &answer) == Settled::Yes => None,
                Ok(_) => Some(NOT_WORKED_OUT.to_owned()),
                Err(reason) => Some(reason),
            };
            reasons.extend(outcome.map(|reason| format!("{name}: {reason}")));
        }
    }

    async fn desired(&self, cluster: &Cluster, found: &Found) -> Result<Prepared, String> {
        let text = |error: &dyn std::error::Error| chain(error);
        let application: Application<'_> =
            serde_json::from_str(&found.json).map_err(|error| text(&error))?;
        let document: Value = serde_json::from_str(&found.json).map_err(|error| text(&error))?;
        let spec = document.get("spec").unwrap_or(&Value::Null);
        let overview = &found.overview;
        let is_at_home = overview.namespace == self.context.argocd_namespace();
        let instance_name = if is_at_home {
            overview.name.clone()
        } else {
            format!("{}_{}", overview.namespace, overview.name)
        };
        let surroundings = Surroundings {
            revisions: self.revisions,
            cluster,
            tracking: self.tracking,
            kustomize_build_options: self.configuration.setting("kustomize.buildOptions"),
        };
        let generated = desired(
            desired::Application {
                facts: ApplicationFacts {
                    name: &overview.name,
                    instance_name: &instance_name,
                    project: &overview.project,
                },
                spec,
                namespace: &application.spec.destination.namespace,
            },
            surroundings,
        );
        let generated = generated
            .await
            .map_err(|error: DesiredError| text(&error))?;
        let own = &application.spec.ignore_differences;
        let work = Work::new(WORK);
        let ignore = IgnoreRules::new(own, &self.settings.customizations, &work);
        Ok(Prepared {
            instance_name,
            desired: generated,
            ignore: ignore.map_err(|error| text(&error))?,
            strategy: self.strategy(&application),
        })
    }

    fn strategy(&self, application: &Application<'_>) -> Strategy<'static> {
        if self.exact {
            return Strategy::ServerSide {
                dry_run: None,
                mutation_webhooks: false,
            };
        }
        strategy_choice(application, self.controller).strategy()
    }
}

/// An Application, ready to be compared.
struct Prepared {
    instance_name: String,
    desired: Vec<Value>,
    ignore: IgnoreRules,
    strategy: Strategy<'static>,
}

/// The kinds of what is desired, and of what Argo CD says that Applications have.
fn kinds(reconciliation: &Reconciliation<'_>, compared: &[Overview]) -> BTreeSet<GroupKind> {
    let desired = reconciliation.kinds();
    let desired = desired.map(|(group, kind)| (group.to_owned(), kind.to_owned()));
    let listed = compared.iter().flat_map(|overview| &overview.resources);
    let listed = listed.map(|one| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (text(&one.group), text(&one.kind))
    });
    desired.chain(listed).collect()
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
    asked
        .await
        .map_err(|error| format!("only a dry run can tell: {}", chain(&error)))
}

/// Applications of a cluster of which nothing can be seen.
fn unseen(found: Vec<Found>, reason: &str) -> Vec<Judged> {
    let found = found.into_iter();
    found
        .map(|one| judge_found(one.overview, Vec::new(), vec![reason.to_owned()]))
        .collect()
}
