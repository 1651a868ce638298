//! A checkout and the clusters themselves, while those are watched. The files of the checkout are
//! those of the beginning, and of each change of an Application.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use futures::stream::{LocalBoxStream, SelectAll, StreamExt as _};
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::until_interrupted;
use crate::commands::drift::DriftArgs;
use crate::commands::drift::facts::{Reader, configuration};
use crate::commands::drift::known::{Configuration, Found, Known};
use crate::commands::drift::local::{CLUSTERS_AT_ONCE, Opened, Run, Setup, by_destination, unseen};
use crate::commands::drift::told::{Judged, Readers, Told};
use crate::context::Context;
use crate::drift::autoscaler::Autoscalers;
use crate::drift::local::reconcile::{GroupKind, Interest};
use crate::drift::{Destination, Source};
use crate::error::{CommandError, chain};
use crate::exit_status::ExitStatus;
use crate::kubernetes::{AccessError, ApiServer, Objects, of_all_namespaces};

/// How long it is quiet before a cluster is read again, so that many changes at once are one.
const QUIET: Duration = Duration::from_millis(500);
/// How many changes are gathered at most.
const GATHERED: usize = 10_000;

/// What has changed.
enum Change {
    /// An object of a cluster, by the cluster's place.
    Object(usize),
    /// An Application, other than by its status.
    Application,
    /// Something cannot be watched for now.
    Interrupted(String),
}

type Changes = SelectAll<LocalBoxStream<'static, Change>>;

/// A cluster that is watched.
struct Cluster<'r> {
    found: Vec<Found>,
    /// None where it cannot be read.
    opened: Option<Opened<'r>>,
    interest: Interest,
}

/// Tells what differs between a checkout and the clusters, and goes on.
///
/// # Errors
/// Applications cannot be listed.
pub(super) async fn run(args: &DriftArgs, context: &Context) -> Result<ExitStatus, CommandError> {
    let devops = context.connect().await?;
    let configuration = configuration(&devops, context.argocd_namespace()).await;
    let told = Told::new(args, context, Source::Local);
    until_interrupted(told, async |told| {
        while round(args, context, &devops, &configuration, told).await? == Readers::Some {}
        Ok(())
    })
    .await
}

/// Reads all Applications, then what changes on the clusters, until an Application changes.
async fn round(
    args: &DriftArgs,
    context: &Context,
    devops: &ApiServer,
    configuration: &Configuration,
    told: &mut Told<'_>,
) -> Result<Readers, CommandError> {
    let reader = Reader::of_cluster(args, context, devops, configuration).await?;
    let mut known = reader.found(args, context, devops).await?;
    let written = known.applications.iter();
    let written = written.filter_map(|one| fingerprint_of_application(&one.json));
    let written = written.collect();
    args.keep_wanted(&mut known);
    let Known {
        applications,
        problems,
        webhook,
    } = known;
    if !told.has_begun() {
        for problem in &problems {
            let text = format!("{}: {}", problem.object, problem.message);
            context.streams.error(&text);
        }
    }
    forget_others(&applications, told);
    let setup = Setup::new(args, context, configuration)?;
    let run = setup.run(
        args,
        context,
        configuration,
        reader.fleet(),
        devops,
        webhook.as_ref(),
    );
    let clusters = futures::stream::iter(by_destination(applications))
        .map(|(destination, found)| first(&run, destination, found))
        .buffer_unordered(CLUSTERS_AT_ONCE);
    let clusters: Vec<_> = clusters.collect().await;
    let (mut all, mut watched) = (Vec::new(), Vec::new());
    for ((judged, autoscalers), cluster) in clusters {
        told.know(autoscalers);
        all.extend(judged);
        watched.push(cluster);
    }
    if told.tell(all)? == Readers::None {
        return Ok(Readers::None);
    }
    let mut changes: Changes = SelectAll::new();
    changes.push(applications_of(devops, &reader.objects, args, written));
    for (place, cluster) in watched.iter().enumerate() {
        cluster.watch(place, &mut changes);
    }
    follow(&run, context, &watched, changes, told).await
}

/// Reads clusters again on which something changed, until an Application changes.
async fn follow(
    run: &Run<'_>,
    context: &Context,
    clusters: &[Cluster<'_>],
    mut changes: Changes,
    told: &mut Told<'_>,
) -> Result<Readers, CommandError> {
    let mut warned = HashSet::new();
    loop {
        let mut places = BTreeSet::new();
        for news in gathered(&mut changes).await {
            match news {
                Change::Application => return Ok(Readers::Some),
                Change::Object(place) => {
                    places.insert(place);
                }
                Change::Interrupted(text) => {
                    if warned.insert(text.clone()) {
                        context.warn([text]);
                    }
                }
            }
        }
        for cluster in places.into_iter().filter_map(|place| clusters.get(place)) {
            let Some(opened) = &cluster.opened else {
                continue;
            };
            let found = cluster.found.clone();
            let (judged, autoscalers) = run.compare(opened, found, None).await;
            told.know(autoscalers);
            if told.tell(judged)? == Readers::None {
                return Ok(Readers::None);
            }
        }
    }
}

/// What changed until it is quiet.
async fn gathered(changes: &mut Changes) -> Vec<Change> {
    let mut all: Vec<Change> = changes.next().await.into_iter().collect();
    while all.len() < GATHERED
        && let Ok(Some(change)) = tokio::time::timeout(QUIET, changes.next()).await
    {
        all.push(change);
    }
    all
}

async fn first<'r>(
    run: &Run<'r>,
    destination: Destination,
    found: Vec<Found>,
) -> ((Vec<Judged>, Autoscalers), Cluster<'r>) {
    let mut interest = Interest::default();
    let (judged, opened) = match run.open(&destination).await {
        Ok(opened) => {
            let judged = run.compare(&opened, found.clone(), Some(&mut interest));
            (judged.await, Some(opened))
        }
        Err(reason) => {
            let judged = unseen(found.clone(), &reason);
            ((judged, Autoscalers::default()), None)
        }
    };
    let cluster = Cluster {
        found,
        opened,
        interest,
    };
    (judged, cluster)
}

/// Applications that are not there any more.
fn forget_others(applications: &[Found], told: &mut Told<'_>) {
    let is_there = |key: &(String, String)| {
        let mut all = applications.iter().map(|one| &one.overview);
        all.any(|one| one.namespace == key.0 && one.name == key.1)
    };
    let gone: Vec<_> = told.keys().filter(|key| !is_there(key)).cloned().collect();
    for key in &gone {
        told.forget(key);
    }
}

impl Cluster<'_> {
    /// Watches the kinds that its Applications have.
    fn watch(&self, place: usize, changes: &mut Changes) {
        let Some(opened) = &self.opened else { return };
        let kinds = self.interest.kinds.iter();
        for (group, kind) in kinds {
            let Some(resource) = opened.cluster.resource(group, kind) else {
                continue;
            };
            let objects = of_all_namespaces(resource.clone());
            let events = opened.server().watch(&objects, None);
            let mut seen = Seen {
                kind: (group.clone(), kind.clone()),
                interest: self.interest.clone(),
                fingerprints: BTreeMap::new(),
            };
            let events = events.filter_map(move |event| {
                let change = match event {
                    Ok(event) => seen.has_changed(&event).then_some(Change::Object(place)),
                    Err(error) => Some(interrupted(&error)),
                };
                std::future::ready(change)
            });
            changes.push(events.boxed_local());
        }
    }
}

fn interrupted(error: &AccessError) -> Change {
    Change::Interrupted(format!("{}: it is tried again", chain(error)))
}

/// Changes of Applications that are more than what Argo CD writes to their status.
fn applications_of(
    devops: &ApiServer,
    objects: &Objects,
    args: &DriftArgs,
    mut written: BTreeMap<String, String>,
) -> LocalBoxStream<'static, Change> {
    let events = devops.watch(objects, args.scope.selector.as_deref());
    let changes = events.filter_map(move |event| {
        let change = match event {
            Err(error) => Some(interrupted(&error)),
            Ok(Event::Delete(_)) => Some(Change::Application),
            Ok(event @ (Event::Apply(_) | Event::InitApply(_))) => {
                has_changed(&event, &mut written).then_some(Change::Application)
            }
            Ok(Event::Init | Event::InitDone) => None,
        };
        std::future::ready(change)
    });
    changes.boxed_local()
}

/// Whether an Application is written otherwise than before. One that is there at first and is not
/// known could not be read.
fn has_changed(event: &Event<String>, written: &mut BTreeMap<String, String>) -> bool {
    let (Event::Apply(json) | Event::InitApply(json)) = event else {
        return false;
    };
    let Some((name, now)) = fingerprint_of_application(json) else {
        return false;
    };
    match written.insert(name, now.clone()) {
        Some(before) => before != now,
        None => matches!(event, Event::Apply(_)),
    }
}

/// Annotations that ask Argo CD to do something, and are gone when it is done.
const REQUESTS: [&str; 2] = ["argocd.argoproj.io/refresh", "argocd.argoproj.io/hydrate"];

/// Its namespace and name, and what it is compared by.
fn fingerprint_of_application(json: &str) -> Option<(String, String)> {
    let mut application: Value = serde_json::from_str(json).ok()?;
    let spec = application.get_mut("spec").map(Value::take);
    let metadata = application.get_mut("metadata")?;
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.retain(|name, _| !REQUESTS.contains(&name.as_str()));
    }
    let annotations = metadata.get("annotations");
    // None at all is the same as none that count.
    let annotations = annotations.filter(|all| all.as_object().is_none_or(|all| !all.is_empty()));
    let text = |field: &str| metadata.get(field).and_then(Value::as_str);
    let name = format!("{}/{}", text("namespace")?, text("name")?);
    let parts = (metadata.get("labels"), annotations, spec);
    Some((name, format!("{parts:?}")))
}

/// What was seen of the objects of a kind that Applications want or have.
struct Seen {
    kind: GroupKind,
    interest: Interest,
    fingerprints: BTreeMap<String, String>,
}

impl Seen {
    /// Whether an event says something new of what counts. What is there at first may be newer than
    /// what was read before.
    fn has_changed(&mut self, event: &Event<String>) -> bool {
        let (json, is_gone) = match event {
            Event::InitDone => return true,
            Event::Init => return false,
            Event::Delete(json) => (json, true),
            Event::Apply(json) | Event::InitApply(json) => (json, false),
        };
        let Some(fingerprint) = self.interest.fingerprint(&self.kind, json) else {
            return false;
        };
        let (name, now) = fingerprint;
        if is_gone {
            return self.fingerprints.remove(&name).is_some();
        }
        let before = self.fingerprints.insert(name, now.clone());
        !matches!(event, Event::InitApply(_)) && before != Some(now)
    }
}
