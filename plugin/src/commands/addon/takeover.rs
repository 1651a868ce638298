//! What Argo CD's takeover of an addon would change, by the files of a checkout.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use argocd::application::{AutomatedSync, EnabledField};
use argocd::application_set::{ExpansionError, Generated, Limits};
use argocd::comparison::{Customizations, IgnoreRules};
use argocd::sync_options::SYNC_OPTIONS;
use argocd::{Application, ApplicationSet};
use futures::StreamExt as _;
use golang::work::Work;
use policy::{Inventory, Kind};
use serde_json::{Value, json};

use super::fleet::{Fleet, Member};
use crate::addons::author::Places;
use crate::addons::checkout::Checkout;
use crate::addons::gate::{
    Class, Judging, OnCluster, RUN_HOOKS, Remedy, Takeover, hook, other_application,
};
use crate::addons::read::{OneError, one};
use crate::addons::remedy::{candidates, merged};
use crate::addons::said::{Live, Said};
use crate::context::Context;
use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;
use crate::drift::local::permitted::Permitted;
use crate::error::{CommandError, chain};
use crate::kubernetes::{ApiServer, FieldManager, Objects, objects_of};
use crate::manifest_generation::{self, ApplicationFacts, Checkouts, Request, Source};
use crate::releases::Release;
use crate::repository::manifests_of;

/// How many clusters are asked at once.
const CLUSTERS_AT_ONCE: usize = 8;
/// How many objects of a cluster are asked for at once.
const OBJECTS_AT_ONCE: usize = 8;
/// How much work reading what an Application ignores may take.
const WORK: u64 = 1 << 24;
/// For how many fields of a cluster it is worked out which value would leave them as they are. Each
/// takes a rendering or more.
const REMEDIES: usize = 8;

const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";

/// Nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub(super) enum TakeoverError {
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}: there is no ApplicationSet in it that can be read", .0.display())]
    NoSet(PathBuf),
    #[error("{}", .path.display())]
    Expansion {
        path: PathBuf,
        #[source]
        source: ExpansionError,
    },
    #[error("{} generates nothing for the clusters that are meant", .0.display())]
    Nothing(PathBuf),
}

/// An Application for a cluster that is meant.
pub(super) struct Wanted<'f> {
    pub(super) member: &'f Member,
    pub(super) json: String,
}

/// An addon in a checkout.
#[derive(Clone, Copy)]
pub(super) struct InCheckout<'c> {
    pub(super) name: &'c str,
    /// The top of the repository.
    pub(super) repo: &'c Path,
}

/// What a first sync would do, on all clusters of a fleet that are meant.
///
/// # Errors
/// The files of the checkout cannot be used, or its ApplicationSet generates nothing for them.
pub(super) async fn takeovers(
    addon: InCheckout<'_>,
    fleet: &Fleet,
    context: &Context,
) -> Result<Vec<OnCluster>, CommandError> {
    let wanted = addon.wanted(fleet, &fleet.inventory, context);
    let wanted = wanted.map_err(CommandError::new)?;
    let checkout = Checkout::of(addon.repo, addon.places()).await;
    let run = Run {
        addon,
        fleet,
        checkout: &checkout.map_err(CommandError::new)?,
        devops: &context.connect().await?,
        context,
    };
    let count = wanted.len();
    let progress = context.progress.begin("comparing", Some(count));
    let compared = futures::stream::iter(&wanted)
        .map(|one| run.on_cluster(one))
        .buffered(CLUSTERS_AT_ONCE);
    let mut compared = std::pin::pin!(compared);
    let mut clusters = Vec::with_capacity(count);
    while let Some(cluster) = compared.next().await {
        clusters.push(cluster);
        progress.reached(clusters.len());
    }
    Ok(clusters)
}

impl InCheckout<'_> {
    fn places(&self) -> Places<'_> {
        Places { name: self.name }
    }

    /// The Applications that the ApplicationSet of the checkout generates for clusters that are
    /// meant.
    ///
    /// # Errors
    /// It cannot be read, or generates nothing for them.
    pub(super) fn wanted<'f>(
        &self,
        fleet: &'f Fleet,
        inventory: &Inventory,
        context: &Context,
    ) -> Result<Vec<Wanted<'f>>, TakeoverError> {
        let place = self.places().application_set();
        let path = self.repo.join(&place);
        let text = std::fs::read_to_string(&path).map_err(|source| TakeoverError::Read {
            path: path.clone(),
            source,
        })?;
        let manifests = manifests_of(&place, &text, context.namespaces.of_files());
        let set = manifests
            .iter()
            .find(|one| one.kind == Kind::ApplicationSet);
        let set = set.and_then(|one| ApplicationSet::from_json(one.json()).ok());
        let set = set.ok_or_else(|| TakeoverError::NoSet(path.clone()))?;
        let clusters = &inventory.fleet.clusters;
        let failed = |source| TakeoverError::Expansion {
            path: path.clone(),
            source,
        };
        let limits = Limits::default();
        let expansion = set.expand(clusters, &*inventory.checkouts, &limits);
        let mut wanted = Vec::new();
        for generated in expansion.map_err(failed)?.applications() {
            let Generated::Application(generated) = generated.map_err(failed)? else {
                continue;
            };
            let destination = generated.application().ok();
            let cluster = destination
                .as_ref()
                .and_then(|application| clusters.resolve(&application.spec.destination).ok());
            let member = cluster.and_then(|cluster| fleet.member(&cluster.server));
            wanted.extend(member.map(|member| Wanted {
                member,
                json: generated.json().to_owned(),
            }));
        }
        if wanted.is_empty() {
            return Err(TakeoverError::Nothing(path));
        }
        Ok(wanted)
    }
}

/// What is the same for all clusters.
struct Run<'r> {
    addon: InCheckout<'r>,
    fleet: &'r Fleet,
    checkout: &'r Checkout,
    devops: &'r ApiServer,
    context: &'r Context,
}

impl Run<'_> {
    async fn on_cluster(&self, wanted: &Wanted<'_>) -> OnCluster {
        let mut on = OnCluster {
            name: wanted.member.name().to_owned(),
            ..OnCluster::default()
        };
        if let Err(problem) = self.compare(wanted, &mut on).await {
            on.problems.push(problem);
        }
        on.objects.sort_by(|one, other| one.key.cmp(&other.key));
        on
    }

    async fn compare(&self, wanted: &Wanted<'_>, on: &mut OnCluster) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| chain(error);
        let application = Application::from_json(&wanted.json).map_err(|error| text(&error))?;
        let document: Value = serde_json::from_str(&wanted.json).map_err(|error| text(&error))?;
        let own = application.metadata.namespace.to_string();
        let name = application.metadata.name.to_string();
        let instance = if own == self.context.argocd_namespace() {
            name.clone()
        } else {
            format!("{own}_{name}")
        };
        on.application.clone_from(&name);
        let server = self.fleet.connect(wanted.member, self.context).await;
        let server = server.map_err(|error| text(&error))?;
        let cluster = Cluster::discover(&server).await;
        let cluster = cluster.map_err(|error| text(&error))?;
        let (work, nothing) = (Work::new(WORK), Customizations::default());
        let ignored = &application.spec.ignore_differences;
        let ignore = IgnoreRules::new(ignored, &self.fleet.comparison.customizations, &work);
        let ignore = ignore.map_err(|error| text(&error))?;
        let written = IgnoreRules::new(&[], &nothing, &work).map_err(|error| text(&error))?;
        let annotations = document.pointer("/metadata/annotations");
        let annotation = |name: &str| annotations?.get(name);
        let asking = Asking {
            server: &server,
            cluster: &cluster,
            fleet: self.fleet,
            member: wanted.member,
            judging: Judging {
                settings: &self.fleet.comparison,
                ignored: &ignore,
                written_anyway: (!application.spec.sync_policy().respects_ignore_differences())
                    .then_some(&written),
                mutation_webhooks: has_option(
                    annotation(COMPARE_OPTIONS),
                    "IncludeMutationWebhook=true",
                ),
            },
            options: Options::of(&application),
            run_hooks: annotation(RUN_HOOKS),
            permitted: Permitted::of(
                &self.fleet.inventory.fleet,
                application.spec.project(),
                Some(wanted.member.cluster()),
            ),
            project: application.spec.project(),
            instance: &instance,
            namespace: &application.spec.destination.namespace,
        };
        let rendering = Rendering {
            run: self,
            document: &document,
            name: &name,
            asking: &asking,
        };
        let live = self.live_application(&own, &name, on).await;
        let release = self.release(&rendering, on).await;
        self.add_obstacles(&application, release.as_ref(), &live, on);
        let rendered = rendering.objects(None).await?;
        let takeovers = futures::stream::iter(rendered)
            .map(|object| asking.takeover(object))
            .buffered(OBJECTS_AT_ONCE);
        let takeovers: Vec<_> = takeovers.collect().await;
        on.objects.extend(takeovers.into_iter().flatten());
        let said = live.said();
        asking.add_left_over(release.as_ref(), said, on).await;
        if let Some(said) = said {
            on.disagreements = said.disagreements(&on.objects);
        }
        rendering.add_remedies(on).await;
        Ok(())
    }

    /// The Application, as far as it is known.
    async fn live_application(&self, namespace: &str, name: &str, on: &mut OnCluster) -> Live {
        let objects = objects_of(Kind::Application, namespace);
        let read = |json: &str| serde_json::from_str::<Value>(json).unwrap_or_default();
        match self.devops.get(&objects, name, read).await {
            Ok(Some(application)) => Live::There(Said::read(&application)),
            Ok(None) => Live::Absent,
            Err(error) => {
                on.problems.push(chain(&error));
                Live::Unread
            }
        }
    }

    /// The release that Helm keeps. One that it has not deployed, or keeps twice, is an obstacle.
    async fn release(&self, rendering: &Rendering<'_>, on: &mut OnCluster) -> Option<Release> {
        let (name, namespace) = rendering.release();
        match one(rendering.asking.server, name, namespace).await {
            Ok(release) => Some(release),
            // Helm does not know it any more.
            Err(OneError::None { .. }) => None,
            Err(error @ (OneError::NotDeployed { .. } | OneError::Two { .. })) => {
                on.obstacles.push(chain(&error));
                None
            }
            Err(error) => {
                on.problems.push(chain(&error));
                None
            }
        }
    }

    /// What must not be before Argo CD has synced for the first time.
    fn add_obstacles(
        &self,
        application: &Application<'_>,
        release: Option<&Release>,
        live: &Live,
        on: &mut OnCluster,
    ) {
        let policy = application.spec.sync_policy();
        let is_automated = matches!(
            policy.automated_sync(EnabledField::Supported),
            AutomatedSync::On { .. }
        );
        if is_automated && matches!(live, Live::Absent) {
            on.obstacles.push(
                "the ApplicationSet has spec.template.spec.syncPolicy.automated, which switches \
                 automation on even where it is empty: Argo CD would sync before anybody has looked"
                    .to_owned(),
            );
        }
        let was_synced = live.said().is_some_and(Said::was_synced);
        let version = self.checkout.chart_version(self.addon.places());
        if let (Some(release), Some(version), false) = (release, version, was_synced)
            && release.chart.metadata.version != version
        {
            on.obstacles.push(format!(
                "charts/{} has version {version}, and Helm has installed {} {}",
                self.addon.name, release.chart.metadata.name, release.chart.metadata.version
            ));
        }
    }
}

/// What the files of the checkout render to for an Application.
struct Rendering<'r> {
    run: &'r Run<'r>,
    document: &'r Value,
    name: &'r str,
    asking: &'r Asking<'r>,
}

impl Rendering<'_> {
    /// Name and namespace of the release that is rendered.
    fn release(&self) -> (&str, &str) {
        let text = |pointer: &str| {
            let text = self.document.pointer(pointer).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let name = text("/spec/source/helm/releaseName").unwrap_or(self.name);
        let namespace = text("/spec/source/helm/namespace").unwrap_or(self.asking.namespace);
        (name, namespace)
    }

    /// The objects, with values over those of the files.
    async fn objects(&self, values: Option<&Value>) -> Result<Vec<Value>, String> {
        let source = self.document.pointer("/spec/source");
        let mut source = source
            .cloned()
            .ok_or("the Application has no spec.source")?;
        if let Some(values) = values {
            source["helm"]["valuesObject"] = values.clone();
        }
        let path = source.get("path").and_then(Value::as_str);
        let path = path.ok_or("spec.source.path: it is not a folder of a repository")?;
        let top = self.run.checkout.top();
        let folder: PathBuf = top.join(Path::new(path.trim_start_matches('/')));
        let source = Source::read(&source, &folder, self.name).map_err(|error| chain(&error))?;
        let references = BTreeMap::new();
        let request = Request {
            application: ApplicationFacts {
                name: self.name,
                instance_name: self.asking.instance,
                project: self.asking.project,
            },
            source: &source,
            namespace: self.asking.namespace,
            revision: "",
            checkouts: Checkouts {
                folder: &folder,
                top,
                references: &references,
            },
            capabilities: &self.asking.cluster.capabilities,
            kustomize_build_options: "",
        };
        let generated = manifest_generation::generate(&request).await;
        generated.map_err(|error| chain(&error))
    }

    /// Works out which values would leave fields as they are. What cannot be worked out has none.
    async fn add_remedies(&self, on: &mut OnCluster) {
        let helm = self.document.pointer("/spec/source/helm");
        let has = |field: &str| helm.and_then(|helm| helm.get(field)).is_some();
        if helm.is_none() || has("valuesObject") || has("values") {
            return;
        }
        let places = self.run.addon.places();
        let own = places.override_of(&on.name);
        let defaults = format!("{}/values.yaml", places.chart());
        let shared = format!("{}/{}", places.chart(), Places::SHARED);
        let files = [&defaults, &shared, &own].map(|file| self.run.checkout.values(file));
        let values = merged(&files);
        let mut left = REMEDIES;
        for object in &mut on.objects {
            let is_secret = object.key.group.is_empty() && object.key.kind == "Secret";
            // What an admission webhook changes, no value changes back.
            if is_secret || object.reason.is_some() {
                continue;
            }
            for field in &mut object.fields {
                let (Some(rendered), Some(live)) = (&field.desired, &field.live) else {
                    continue;
                };
                if left == 0 {
                    return;
                }
                left -= 1;
                for candidate in candidates(&values, rendered, live) {
                    let instead = self.objects(Some(&candidate.values())).await;
                    let instead = instead.unwrap_or_default();
                    let key = &object.key;
                    let of_object = |one: &&Value| self.asking.key_of(one) == *key;
                    let found = instead.iter().find(of_object);
                    let found = found.and_then(|one| one.pointer(&field.pointer));
                    if found == Some(live) {
                        field.remedy = Some(Remedy {
                            file: own.clone(),
                            path: candidate.name(),
                            value: candidate.value,
                        });
                        break;
                    }
                }
            }
        }
    }
}

/// The sync options that decide what a sync does to an object.
struct Options(Vec<String>);

impl Options {
    fn of(application: &Application<'_>) -> Self {
        let options = &application.spec.sync_policy().sync_options;
        Options(options.iter().map(ToString::to_string).collect())
    }

    /// Whether an option is set for an object: its own annotation counts before the Application.
    fn has(&self, object: &Value, name: &str) -> bool {
        let annotations = object.pointer("/metadata/annotations");
        let own = annotations.and_then(|all| all.get(SYNC_OPTIONS)?.as_str());
        let mut own = own.unwrap_or_default().split(',');
        let own = own.find_map(|option| option.trim().strip_prefix(name)?.strip_prefix('='));
        match own {
            Some(value) => value == "true",
            None => self
                .0
                .iter()
                .any(|option| *option == format!("{name}=true")),
        }
    }

    /// Whether an object that is no longer in Git stays.
    fn keeps(&self, object: &Value) -> bool {
        let annotation = object.pointer("/metadata/annotations");
        let own = annotation.and_then(|all| all.get(SYNC_OPTIONS));
        has_option(own, "Prune=false") || self.0.iter().any(|option| option == "Prune=false")
    }
}

/// Whether an annotation has an option among others.
fn has_option(annotation: Option<&Value>, option: &str) -> bool {
    let text = annotation.and_then(Value::as_str).unwrap_or_default();
    text.split(',').any(|one| one.trim() == option)
}

/// Whom is asked about the objects of an Application.
struct Asking<'a> {
    server: &'a ApiServer,
    cluster: &'a Cluster,
    fleet: &'a Fleet,
    member: &'a Member,
    judging: Judging<'a>,
    options: Options,
    /// Hooks that may run at every sync.
    run_hooks: Option<&'a Value>,
    permitted: Permitted<'a>,
    project: &'a str,
    /// By which name objects are marked.
    instance: &'a str,
    /// Where objects go that name no namespace.
    namespace: &'a str,
}

impl Asking<'_> {
    /// What a first sync would do to an object; None where it leaves it out.
    async fn takeover(&self, mut object: Value) -> Option<Takeover> {
        let mut key = Key::of(&object);
        self.place(&mut object, &mut key);
        if self.is_excluded(&key) {
            let reason = "resource.exclusions of argocd-cm leave it out: Argo CD does not sync it";
            return Some(Takeover::of(key, Class::Nothing, reason));
        }
        if !self.permitted.has(&key) {
            let project = self.project;
            let reason = format!("the AppProject {project} does not permit it: a sync fails");
            return Some(Takeover::of(key, Class::Unknown, reason));
        }
        match hook(&object) {
            Some(true) => {
                let name = format!("{}/{}", key.kind.to_lowercase(), key.name);
                return Some(if has_option(self.run_hooks, &name) {
                    let reason = format!("it is run at every sync, as {RUN_HOOKS} says");
                    Takeover::of(key, Class::Nothing, reason)
                } else {
                    let reason = format!(
                        "it is run at every sync; {RUN_HOOKS}: {name} on the Application says that it \
                         may, argocd.argoproj.io/hook: Skip on it leaves it out"
                    );
                    Takeover::of(key, Class::HookRun, reason)
                });
            }
            Some(false) => return None,
            None => {}
        }
        if self.options.has(&object, "Replace") {
            let reason = "the sync option Replace=true puts it anew, with all that others have set";
            return Some(Takeover::of(key, Class::Replace, reason));
        }
        if !self.options.has(&object, "ServerSideApply") {
            let reason = "the sync option ServerSideApply=true is missing: what a client-side apply \
                          would do is not worked out";
            return Some(Takeover::of(key, Class::Unknown, reason));
        }
        Some(match self.compared(object, &key).await {
            Ok(takeover) => takeover,
            Err(reason) => Takeover::of(key, Class::Unknown, reason),
        })
    }

    fn is_excluded(&self, key: &Key) -> bool {
        let server = &self.member.cluster().server;
        self.fleet.filter.excludes(&key.group, &key.kind, server)
    }

    /// What names an object on the cluster.
    fn key_of(&self, object: &Value) -> Key {
        let mut key = Key::of(object);
        match self.cluster.is_namespaced(&key.group, &key.kind) {
            Some(false) => key.namespace.clear(),
            _ if key.namespace.is_empty() => self.namespace.clone_into(&mut key.namespace),
            _ => {}
        }
        key
    }

    /// Gives an object the namespace that it goes to.
    fn place(&self, object: &mut Value, key: &mut Key) {
        *key = self.key_of(object);
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        let Some(metadata) = metadata else { return };
        if key.namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.insert("namespace".to_owned(), json!(key.namespace));
        }
    }

    fn objects_of(&self, key: &Key) -> Option<Objects> {
        Some(Objects {
            resource: self.cluster.resource(&key.group, &key.kind)?.clone(),
            namespace: (!key.namespace.is_empty()).then(|| key.namespace.clone()),
        })
    }

    async fn live(&self, objects: &Objects, name: &str) -> Result<Option<Value>, String> {
        let read = |json: &str| serde_json::from_str::<Value>(json);
        let live = self.server.get(objects, name, read).await;
        let live = live.map_err(|error| chain(&error))?.transpose();
        live.map_err(|_| "the live object cannot be read".to_owned())
    }

    async fn compared(&self, mut object: Value, key: &Key) -> Result<Takeover, String> {
        let Some(objects) = self.objects_of(key) else {
            let reason = "the cluster has no such kind yet";
            return Ok(Takeover::of(key.clone(), Class::Create, reason));
        };
        let Some(live) = self.live(&objects, &key.name).await? else {
            let reason = "it is not there";
            return Ok(Takeover::of(key.clone(), Class::Create, reason));
        };
        let tracking = &self.fleet.tracking;
        if let Some(other) = other_application(&live, tracking, self.instance) {
            let reason = format!("the Application {other} has it already");
            return Ok(Takeover::of(key.clone(), Class::Unknown, reason));
        }
        let is_definition =
            key.group == "apiextensions.k8s.io" && key.kind == "CustomResourceDefinition";
        if !is_definition {
            let marked = tracking.mark(&mut object, self.instance, self.namespace);
            marked.map_err(|error| chain(&error))?;
        }
        let manager = FieldManager::ArgoCd;
        let answer = self.server.predict(&objects, &key.name, &object, manager);
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(error) => return Ok(refused(key, &chain(&error))),
        };
        let compared = Takeover::compared(key.clone(), &object, &live, &answer, self.judging);
        compared.map_err(|error| chain(&error))
    }

    /// Adds what is there and not rendered any more: of the release, and of the Application.
    async fn add_left_over(
        &self,
        release: Option<&Release>,
        said: Option<&Said>,
        on: &mut OnCluster,
    ) {
        let rendered: BTreeSet<&Key> = on.objects.iter().map(|one| &one.key).collect();
        let of_release = match release.map(Release::objects) {
            None => Vec::new(),
            Some(Ok(objects)) => objects,
            Some(Err(error)) => {
                on.problems.push(error.to_string());
                return;
            }
        };
        let of_release: BTreeSet<Key> = of_release.iter().map(|one| self.key_of(one)).collect();
        let of_application = said.into_iter().flat_map(Said::objects);
        let all: BTreeSet<&Key> = of_release.iter().chain(of_application).collect();
        let mut left = Vec::new();
        for key in all.difference(&rendered) {
            match self.left_over(key, of_release.contains(*key)).await {
                Ok(found) => left.extend(found),
                Err(reason) => left.push(Takeover::of((*key).clone(), Class::Unknown, reason)),
            }
        }
        on.objects.extend(left);
    }

    /// What becomes of an object that is not rendered any more; None where it is not there.
    async fn left_over(&self, key: &Key, is_of_release: bool) -> Result<Option<Takeover>, String> {
        let Some(objects) = self.objects_of(key) else {
            return Ok(None);
        };
        let Some(live) = self.live(&objects, &key.name).await? else {
            return Ok(None);
        };
        let is_own = self.fleet.tracking.application(&live) == Some(self.instance);
        let found = match (is_own, is_of_release) {
            (true, _) if self.options.keeps(&live) => {
                let reason = "it is not rendered any more, and stays: Prune=false";
                Takeover::of(key.clone(), Class::Nothing, reason)
            }
            (true, _) => {
                let reason = "it is not rendered any more: a sync that prunes deletes it";
                Takeover::of(key.clone(), Class::Delete, reason)
            }
            (false, true) => {
                let reason = "the release has it, and it is not rendered: Argo CD would leave it to \
                              nobody";
                Takeover::of(key.clone(), Class::Delete, reason)
            }
            (false, false) => return Ok(None),
        };
        Ok(Some(found))
    }
}
/// What it means that the API server refuses what a sync would do. Its words are not told of a
/// Secret, as they may quote it.
fn refused(key: &Key, words: &str) -> Takeover {
    let class = if words.contains("field is immutable") || words.contains("updates to ") {
        Class::Replace
    } else {
        Class::Unknown
    };
    let is_secret = key.group.is_empty() && key.kind == "Secret";
    let reason = if is_secret {
        "the API server refuses what a sync would make of it"
    } else {
        words
    };
    Takeover::of(key.clone(), class, reason)
}
