//! What Argo CD's takeover of an addon would change, by the files of a checkout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use argocd::application_set::{ExpansionError, Generated, Limits};
use argocd::comparison::{IgnoreRules, Rules};
use argocd::{Application, ApplicationSet};
use futures::StreamExt as _;
use golang::work::Work;
use policy::{Inventory, Kind};
use serde_json::Value;

use super::fleet::{Fleet, Member};
use crate::addons::author::Places;
use crate::addons::gate::{Class, OnCluster, Takeover, hook, other_application};
use crate::context::Context;
use crate::drift::local::Key;
use crate::drift::local::cluster::Cluster;
use crate::error::{CommandError, chain};
use crate::fleet::Facts;
use crate::kubernetes::{ApiServer, FieldManager, Objects};
use crate::manifest_generation::{self, ApplicationFacts, Checkouts, Request, Source};
use crate::repository::manifests_of;

/// How many clusters are asked at once.
const CLUSTERS_AT_ONCE: usize = 8;
/// How many objects of a cluster are asked for at once.
const OBJECTS_AT_ONCE: usize = 8;
/// How much work reading what an Application ignores may take.
const WORK: u64 = 1 << 24;

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
/// Facts cannot be read, or the ApplicationSet of the checkout generates nothing for them.
pub(super) async fn takeovers(
    addon: InCheckout<'_>,
    fleet: &Fleet,
    context: &Context,
) -> Result<Vec<OnCluster>, CommandError> {
    let devops = context.connect().await?;
    let namespace = context.argocd_namespace();
    let (facts, lacking) = Facts::of_cluster_as_far_as_permitted(&devops, namespace).await?;
    context.warn(&lacking);
    let inventory = facts.inventory()?;
    let wanted = addon.wanted(fleet, &inventory, context);
    let wanted = wanted.map_err(CommandError::new)?;
    let count = wanted.len();
    let progress = context.progress.begin("comparing", Some(count));
    let compared = futures::stream::iter(&wanted)
        .map(|one| addon.on_cluster(one, fleet, context))
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
        let place = Places { name: self.name }.application_set();
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

    async fn on_cluster(&self, wanted: &Wanted<'_>, fleet: &Fleet, context: &Context) -> OnCluster {
        let mut on = OnCluster {
            name: wanted.member.name().to_owned(),
            application: String::new(),
            objects: Vec::new(),
            problems: Vec::new(),
        };
        if let Err(problem) = self.compare(wanted, fleet, context, &mut on).await {
            on.problems.push(problem);
        }
        on.objects.sort_by(|one, other| one.key.cmp(&other.key));
        on
    }

    async fn compare(
        &self,
        wanted: &Wanted<'_>,
        fleet: &Fleet,
        context: &Context,
        on: &mut OnCluster,
    ) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| chain(error);
        let application = Application::from_json(&wanted.json).map_err(|error| text(&error))?;
        let document: Value = serde_json::from_str(&wanted.json).map_err(|error| text(&error))?;
        let own = application.metadata.namespace.to_string();
        let name = application.metadata.name.to_string();
        let instance = if own == context.argocd_namespace() {
            name.clone()
        } else {
            format!("{own}_{name}")
        };
        on.application.clone_from(&name);
        let server = fleet.connect(wanted.member, context).await;
        let server = server.map_err(|error| text(&error))?;
        let cluster = Cluster::discover(&server).await;
        let cluster = cluster.map_err(|error| text(&error))?;
        let work = Work::new(WORK);
        let ignored = &application.spec.ignore_differences;
        let ignore = IgnoreRules::new(ignored, &fleet.comparison.customizations, &work);
        let asking = Asking {
            server: &server,
            cluster: &cluster,
            fleet,
            ignore: &ignore.map_err(|error| text(&error))?,
            instance: &instance,
            namespace: &application.spec.destination.namespace,
        };
        let rendered = self.rendered(&document, &name, &asking).await?;
        let takeovers = futures::stream::iter(rendered)
            .map(|object| asking.takeover(object))
            .buffered(OBJECTS_AT_ONCE);
        let takeovers: Vec<_> = takeovers.collect().await;
        on.objects.extend(takeovers.into_iter().flatten());
        Ok(())
    }

    /// What the files of the checkout render to, as they are.
    async fn rendered(
        &self,
        application: &Value,
        name: &str,
        asking: &Asking<'_>,
    ) -> Result<Vec<Value>, String> {
        let source = application.pointer("/spec/source");
        let source = source.ok_or("the Application has no spec.source")?;
        let path = source.get("path").and_then(Value::as_str);
        let path = path.ok_or("spec.source.path: it is not a folder of a repository")?;
        let project = application.pointer("/spec/project").and_then(Value::as_str);
        let top = self.repo.canonicalize().map_err(|error| chain(&error))?;
        let folder: PathBuf = top.join(Path::new(path.trim_start_matches('/')));
        let source = Source::read(source, &folder, name).map_err(|error| chain(&error))?;
        let references = BTreeMap::new();
        let request = Request {
            application: ApplicationFacts {
                name,
                instance_name: asking.instance,
                project: project.unwrap_or_default(),
            },
            source: &source,
            namespace: asking.namespace,
            revision: "",
            checkouts: Checkouts {
                folder: &folder,
                top: &top,
                references: &references,
            },
            capabilities: &asking.cluster.capabilities,
            kustomize_build_options: "",
        };
        let generated = manifest_generation::generate(&request).await;
        generated.map_err(|error| chain(&error))
    }
}

/// Whom is asked about the objects of an Application.
struct Asking<'a> {
    server: &'a ApiServer,
    cluster: &'a Cluster,
    fleet: &'a Fleet,
    ignore: &'a IgnoreRules,
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
        match hook(&object) {
            Some(true) => {
                let reason = "it is run at every sync";
                return Some(Takeover::of(key, Class::HookRun, reason));
            }
            Some(false) => return None,
            None => {}
        }
        Some(match self.compared(object, &key).await {
            Ok(takeover) => takeover,
            Err(reason) => Takeover::of(key, Class::Unknown, reason),
        })
    }

    /// Gives an object the namespace that it goes to.
    fn place(&self, object: &mut Value, key: &mut Key) {
        let is_namespaced = self.cluster.is_namespaced(&key.group, &key.kind);
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        let Some(metadata) = metadata else { return };
        if is_namespaced == Some(false) {
            metadata.remove("namespace");
            key.namespace.clear();
        } else if key.namespace.is_empty() {
            metadata.insert("namespace".to_owned(), self.namespace.into());
            self.namespace.clone_into(&mut key.namespace);
        }
    }

    async fn compared(&self, mut object: Value, key: &Key) -> Result<Takeover, String> {
        let Some(resource) = self.cluster.resource(&key.group, &key.kind) else {
            let reason = "the cluster has no such kind yet";
            return Ok(Takeover::of(key.clone(), Class::Create, reason));
        };
        let objects = Objects {
            resource: resource.clone(),
            namespace: (!key.namespace.is_empty()).then(|| key.namespace.clone()),
        };
        let read = |json: &str| serde_json::from_str::<Value>(json);
        let live = self.server.get(&objects, &key.name, read).await;
        let live = live.map_err(|error| chain(&error))?;
        let Some(live) = live else {
            let reason = "it is not there";
            return Ok(Takeover::of(key.clone(), Class::Create, reason));
        };
        let live = live.map_err(|_| "the live object cannot be read".to_owned())?;
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
        let rules = Rules {
            settings: &self.fleet.comparison,
            ignore: self.ignore,
        };
        let compared = Takeover::compared(key.clone(), object, &live, &answer, rules);
        compared.map_err(|error| chain(&error))
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
