//! Argo CD's own objects: those of a checkout, and those of the cluster that it runs on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argocd::ApplicationSet;
use argocd::application_set::{ApplicationsSync, Generated, Limits};
use argocd::names::{GROUP, IN_CLUSTER_SERVER};
use argocd::tracking::Tracking;
use policy::{Inventory, Kind};
use serde_json::Value;

use super::DriftArgs;
use super::facts::configuration;
use super::known::{Configuration, Found};
use super::local::generated;
use crate::context::Context;
use crate::drift::autoscaler::Autoscalers;
use crate::drift::engine::{Engine, Identity, Maker, Present, Rewrites, Wanted, Wish};
use crate::drift::{Drift, Overview, Problem, Source, Written};
use crate::error::{CommandError, chain};
use crate::fleet::Facts;
use crate::kubernetes::{ApiServer, Objects, resource_of};
use crate::namespaces::Namespaces;
use crate::repository::exclusions::Exclusions;
use crate::repository::manifest::Manifest;
use crate::repository::work_trees::WorkTrees;
use crate::repository::{Reader, Repository};

const KINDS: [Kind; 3] = [Kind::AppProject, Kind::ApplicationSet, Kind::Application];

/// What Argo CD makes by itself where it is installed.
const DEFAULT_PROJECT: &str = "default";

/// What differs, before anything is left out of it.
pub(super) async fn found(args: &DriftArgs, context: &Context) -> Result<Drift, CommandError> {
    let trees = Arc::new(args.work_trees()?);
    let devops = context.connect().await?;
    let namespace = context.argocd_namespace();
    let (facts, lacking) = Facts::of_cluster_as_far_as_permitted(&devops, namespace).await?;
    for text in &lacking {
        context.streams.note(text);
    }
    let configuration = configuration(&devops, namespace).await;
    let data = configuration.settings.clone().unwrap_or_default();
    let run = Run {
        args,
        context,
        devops: &devops,
        configuration: &configuration,
        inventory: facts.inventory()?,
        tracking: Tracking::of(|key| data.get(key).map(String::as_str)),
        trees: &trees,
    };
    let repository = run.repository();
    let InCluster {
        mut present,
        parents,
        makers,
    } = run.present().await?;
    let rendered = run.rendered(makers).await?;
    rendered.settle_extra(&mut present, &parents);
    let (wanted, known_sets) = run.wanted(&repository, &rendered);
    // What a set does not make any more.
    for (identity, present) in &mut present {
        let set = maker_of(&present.object).map(str::to_owned);
        let set = set.map(|name| (identity.namespace.clone(), name));
        if let Some(deletes) = set.and_then(|set| known_sets.get(&set)) {
            present.is_extra = Ok(());
            present.is_deleted = *deletes;
        }
    }
    let mut parents_of_missing = run.parents_of_missing(&wanted, &present, &parents);
    parents_of_missing.extend(
        rendered
            .objects
            .iter()
            .map(|(identity, (parent, _))| (identity.clone(), *parent)),
    );
    let engine = Engine {
        wanted,
        present,
        parents_of_missing,
    };
    let nobody = Overview::of_nobody(namespace);
    let (applications, mut problems) = engine.judge(parents, nobody);
    let unread = repository.problems.iter().map(|problem| Problem {
        object: "checkout".to_owned(),
        message: chain(problem),
    });
    problems.extend(unread);
    Ok(Drift {
        source: Source::Local,
        applications,
        problems,
        autoscalers: Autoscalers::default(),
    })
}

struct Run<'a> {
    args: &'a DriftArgs,
    context: &'a Context,
    devops: &'a ApiServer,
    configuration: &'a Configuration,
    inventory: Inventory,
    tracking: Tracking,
    trees: &'a WorkTrees,
}

/// The ApplicationSets of which all is known that they make, by namespace and name, and whether each
/// deletes what it makes no more.
type KnownSets = BTreeMap<(String, String), bool>;

/// An object of the cluster.
struct Live {
    identity: Identity,
    object: Value,
    overview: Option<Overview>,
    /// As it is written, of an Application that applies some of Argo CD's own objects.
    json: Option<String>,
}

/// What there is.
struct InCluster {
    present: BTreeMap<Identity, Present>,
    /// The Applications.
    parents: Vec<Overview>,
    /// Those of them that apply some of Argo CD's own objects, by their index.
    makers: Vec<(usize, Found)>,
}

/// What Applications apply of Argo CD's own objects, as it is generated from the checkout.
#[derive(Default)]
struct Rendered {
    /// Each with the index of the Application.
    objects: BTreeMap<Identity, (usize, Value)>,
    /// Why it is not known of an Application; None where all of it is.
    by_parent: BTreeMap<usize, Option<String>>,
    /// The folders that are known by it.
    folders: BTreeSet<PathBuf>,
}

impl Rendered {
    fn add(&mut self, parent: usize, generated: Result<Vec<Value>, String>) {
        let objects = match generated {
            Ok(objects) => objects,
            Err(reason) => {
                self.by_parent.insert(parent, Some(reason));
                return;
            }
        };
        self.by_parent.insert(parent, None);
        for object in objects {
            if let Some(identity) = identity_of(&object) {
                self.objects.insert(identity, (parent, object));
            }
        }
    }

    /// What an Application applies and does not generate is extra, if what it generates is known.
    fn settle_extra(&self, present: &mut BTreeMap<Identity, Present>, parents: &[Overview]) {
        for present in present.values_mut() {
            let parent = present
                .parent
                .filter(|_| maker_of(&present.object).is_none());
            let Some((parent, known)) = parent.and_then(|one| self.by_parent.get_key_value(&one))
            else {
                continue;
            };
            present.is_extra = match known {
                None => Ok(()),
                Some(_) if present.is_extra.is_ok() => Ok(()),
                Some(reason) => Err(format!(
                    "Application {} applies it, and what that applies is not known: {reason}",
                    parents[*parent].name
                )),
            };
        }
    }
}

fn identity_of(object: &Value) -> Option<Identity> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (version, kind) = (text("/apiVersion")?, text("/kind")?);
    let is_of = |one: &Kind| one.as_str() == kind && one.api_version() == version;
    Some(Identity {
        kind: KINDS.into_iter().find(is_of)?,
        namespace: text("/metadata/namespace")?.to_owned(),
        name: text("/metadata/name")?.to_owned(),
    })
}

impl Run<'_> {
    /// What the checkout has. What names no namespace is in Argo CD's.
    fn repository(&self) -> Repository {
        let namespace = self.context.argocd_namespace();
        let reader = Reader {
            exclusions: &Arc::new(Exclusions::of(&[])),
            namespaces: Namespaces {
                objects: namespace,
                argocd: namespace,
                is_told: true,
            },
            progress: self.context.progress,
        };
        let checkout = self.args.checkout.clone();
        reader.read(&[checkout.unwrap_or_else(|| PathBuf::from("."))])
    }

    /// The namespaces that are looked at; None for all.
    fn namespace(&self, kind: Kind) -> Option<&str> {
        match kind {
            // Argo CD reads them there only.
            Kind::AppProject => Some(self.context.argocd_namespace()),
            _ if self.args.scope.all_namespaces => None,
            _ => Some(self.context.namespace_of(self.devops)),
        }
    }

    /// What there is, and the Applications that apply some of it.
    async fn present(&self) -> Result<InCluster, CommandError> {
        let mut all = Vec::new();
        for kind in KINDS {
            let objects = Objects {
                resource: resource_of(kind),
                namespace: self.namespace(kind).map(str::to_owned),
            };
            let listed = self
                .devops
                .list(&objects, None, |json| self.live(kind, json));
            all.extend(listed.await?.into_iter().flatten());
        }
        let (mut parents, mut makers) = (Vec::new(), Vec::new());
        for live in &mut all {
            let Some(overview) = live.overview.take() else {
                continue;
            };
            if let Some(json) = live.json.take() {
                let overview = overview.clone();
                makers.push((parents.len(), Found { overview, json }));
            }
            parents.push(overview);
        }
        let mut places = BTreeMap::new();
        for (place, parent) in parents.iter().enumerate() {
            let is_at_home = parent.namespace == self.context.argocd_namespace();
            let name = if is_at_home {
                parent.name.clone()
            } else {
                format!("{}_{}", parent.namespace, parent.name)
            };
            places.insert(name, place);
        }
        let mut present = BTreeMap::new();
        for Live {
            identity, object, ..
        } in all
        {
            let owner = self.tracking.application(&object);
            let parent = owner.and_then(|owner| places.get(owner).copied());
            let maker = maker_of(&object);
            let is_default = identity.kind == Kind::AppProject && identity.name == DEFAULT_PROJECT;
            let is_extra = match (maker, parent) {
                (Some(set), _) => Err(format!(
                    "ApplicationSet {set} has made it, and what it makes is not known from the checkout"
                )),
                (None, Some(parent)) => is_extra(&identity, &parents[parent]),
                (None, None) => Ok(()),
            };
            if !(is_default && parent.is_none()) {
                let entry = Present {
                    object,
                    parent,
                    is_extra,
                    is_deleted: false,
                };
                present.insert(identity, entry);
            }
        }
        Ok(InCluster {
            present,
            parents,
            makers,
        })
    }

    /// Generates what Applications apply of Argo CD's own objects.
    async fn rendered(&self, makers: Vec<(usize, Found)>) -> Result<Rendered, CommandError> {
        let (places, found): (Vec<usize>, Vec<Found>) = makers.into_iter().unzip();
        let folders: Vec<Vec<PathBuf>> = found
            .iter()
            .map(|one| self.folders_of(&one.overview))
            .collect();
        let fleet = &self.inventory.fleet;
        let all = generated(
            self.args,
            self.context,
            self.devops,
            self.configuration,
            fleet,
            found,
        );
        let mut rendered = Rendered::default();
        for ((place, folders), objects) in places.into_iter().zip(folders).zip(all.await?) {
            if objects.is_ok() {
                rendered.folders.extend(folders);
            }
            rendered.add(place, objects);
        }
        rendered
            .objects
            .retain(|identity, _| self.is_looked_at(identity));
        Ok(rendered)
    }

    /// The folders of the checkout that an Application is deployed from.
    fn folders_of(&self, overview: &Overview) -> Vec<PathBuf> {
        let folders = overview.sources.iter().filter_map(|source| {
            let top = self
                .trees
                .top_of_repository(&source.repository, &source.revision)?;
            let folder = top.join(source.path.trim_matches('/'));
            folder.canonicalize().ok()
        });
        folders.collect()
    }

    fn is_looked_at(&self, identity: &Identity) -> bool {
        self.namespace(identity.kind)
            .is_none_or(|namespace| namespace == identity.namespace)
    }

    fn live(&self, kind: Kind, json: &str) -> Option<Live> {
        let mut object: Value = serde_json::from_str(json).ok()?;
        let members = object.as_object_mut()?;
        members.insert("apiVersion".to_owned(), kind.api_version().into());
        members.insert("kind".to_owned(), kind.as_str().into());
        members.remove("status");
        members.remove("operation");
        let text = |pointer: &str| Some(object.pointer(pointer)?.as_str()?.to_owned());
        let identity = Identity {
            kind,
            namespace: text("/metadata/namespace")?,
            name: text("/metadata/name")?,
        };
        let overview = || {
            let settings = crate::drift::ControllerSettings::default();
            Overview::read(json, &self.inventory, settings, self.context.now()).ok()
        };
        let overview = (kind == Kind::Application).then(overview).flatten();
        let applies = |overview: &Overview| {
            let is_here = overview.cluster.server.as_deref() == Some(IN_CLUSTER_SERVER);
            let mut groups = overview.resources.iter().map(|one| one.group.as_deref());
            is_here && groups.any(|group| group == Some(GROUP))
        };
        Some(Live {
            json: overview
                .as_ref()
                .is_some_and(applies)
                .then(|| json.to_owned()),
            overview,
            identity,
            object,
        })
    }

    /// What is to be: manifests, what Applications generate, and what the ApplicationSets among them
    /// make.
    fn wanted(
        &self,
        repository: &Repository,
        rendered: &Rendered,
    ) -> (BTreeMap<Identity, Wanted>, KnownSets) {
        let mut files: BTreeMap<Identity, Vec<&Manifest>> = BTreeMap::new();
        for manifest in &repository.manifests {
            let Some(name) = &manifest.reference.name else {
                continue;
            };
            let identity = Identity {
                kind: manifest.kind,
                namespace: manifest.namespace.clone(),
                name: name.clone(),
            };
            if KINDS.contains(&manifest.kind) && self.is_looked_at(&identity) {
                files.entry(identity).or_default().push(manifest);
            }
        }
        let mut all = BTreeMap::new();
        for (identity, manifests) in files {
            let of_files = self.of_files(&manifests);
            let mut manifests = manifests.iter();
            let is_part = manifests.all(|one| one.is_applied_by(&rendered.folders));
            // A part of what is generated, and it may have another name there.
            if !(is_part && matches!(of_files, Wanted::Unknown(_))) {
                all.insert(identity, of_files);
            }
        }
        for (identity, (_, object)) in &rendered.objects {
            // A file says where it is written.
            if !matches!(all.get(identity), Some(Wanted::Known(_))) {
                let wish = Wish {
                    object: object.clone(),
                    maker: Maker::Manifest,
                    written: None,
                };
                all.insert(identity.clone(), Wanted::Known(Box::new(wish)));
            }
        }
        let (mut wanted, mut known_sets) = (BTreeMap::new(), KnownSets::new());
        for (identity, of_file) in all {
            if let (Kind::ApplicationSet, Wanted::Known(wish)) = (identity.kind, &of_file) {
                let deletes = self.generate(&identity, &wish.object, &mut wanted);
                let set = (identity.namespace.clone(), identity.name.clone());
                known_sets.extend(deletes.map(|deletes| (set, deletes)));
            }
            wanted.insert(identity, of_file);
        }
        (wanted, known_sets)
    }

    fn of_files(&self, manifests: &[&Manifest]) -> Wanted {
        let [manifest] = manifests else {
            let places: BTreeSet<String> = manifests.iter().map(|one| one.place()).collect();
            let places: Vec<String> = places.into_iter().collect();
            return Wanted::Unknown(format!("it is in several files: {}", places.join(", ")));
        };
        if let Some(overlay) = &manifest.overlay {
            return Wanted::Unknown(format!(
                "the kustomization {overlay} changes it before it is applied"
            ));
        }
        let mut object: Value = serde_json::from_str(manifest.json()).unwrap_or_default();
        object["metadata"]["namespace"] = manifest.namespace.as_str().into();
        let (lines, pointer) = manifest.lines();
        let file = self.trees.relative(Path::new(&*manifest.file));
        let file = file.unwrap_or_else(|| manifest.file.to_string());
        let written = Written::new(file, object.clone(), lines.clone(), pointer.to_owned());
        Wanted::Known(Box::new(Wish {
            object,
            maker: Maker::Manifest,
            written: Some(written),
        }))
    }

    /// Adds what an ApplicationSet makes, as far as that is known. Where all of it is, says whether
    /// the set deletes what it makes no more.
    fn generate(
        &self,
        set: &Identity,
        object: &Value,
        wanted: &mut BTreeMap<Identity, Wanted>,
    ) -> Option<bool> {
        let json = object.to_string();
        let read: ApplicationSet<'_> = serde_json::from_str(&json).ok()?;
        let clusters = &self.inventory.fleet.clusters;
        let expansion = read.expand(clusters, self.trees, &Limits::default()).ok()?;
        let controller = &self.inventory.application_set_controller;
        let policy = controller.applications_sync(&read.spec);
        let rewrites = match policy {
            ApplicationsSync::CreateOnly | ApplicationsSync::CreateDelete => Rewrites::Never,
            _ if read.spec.may_leave_alone("/spec") => Rewrites::Partly,
            _ => Rewrites::Always,
        };
        let mut generated = BTreeMap::new();
        for application in expansion.applications() {
            let Ok(Generated::Application(application)) = application else {
                return None;
            };
            let object: Value = serde_json::from_str(application.json()).unwrap_or_default();
            let name = object.pointer("/metadata/name").and_then(Value::as_str);
            let identity = Identity {
                kind: Kind::Application,
                namespace: set.namespace.clone(),
                name: name.unwrap_or_default().to_owned(),
            };
            let wish = Wish {
                object,
                maker: Maker::ApplicationSet(rewrites),
                written: None,
            };
            generated.insert(identity, Wanted::Known(Box::new(wish)));
        }
        wanted.extend(generated);
        let has_all_clusters = self.inventory.completeness.has_all_clusters();
        let is_known = expansion.undecided.is_empty()
            && (has_all_clusters || expansion.without_clusters.is_empty());
        let deletes = matches!(
            policy,
            ApplicationsSync::Sync | ApplicationsSync::CreateDelete
        );
        is_known.then_some(deletes)
    }

    /// Which Application would apply what is missing: the one whose folder has its file.
    fn parents_of_missing(
        &self,
        wanted: &BTreeMap<Identity, Wanted>,
        present: &BTreeMap<Identity, Present>,
        parents: &[Overview],
    ) -> BTreeMap<Identity, usize> {
        let mut found = BTreeMap::new();
        for (identity, wanted) in wanted {
            let Wanted::Known(wish) = wanted else {
                continue;
            };
            if let (Some(written), false) = (&wish.written, present.contains_key(identity)) {
                let parent = parents.iter().position(|parent| {
                    let mut sources = parent.sources.iter();
                    sources.any(|source| {
                        let is_here = self
                            .trees
                            .top_of_repository(&source.repository, &source.revision)
                            .is_some();
                        is_here
                            && Path::new(&written.file).starts_with(source.path.trim_matches('/'))
                    })
                });
                found.extend(parent.map(|parent| (identity.clone(), parent)));
            }
        }
        found
    }
}

/// The ApplicationSet that has made an Application.
fn maker_of(object: &Value) -> Option<&str> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let mut owners = owners.iter();
    let owner = owners.find(|owner| owner["kind"] == Kind::ApplicationSet.as_str())?;
    owner["name"].as_str()
}

/// Whether Argo CD itself found nothing of an object in Git.
fn is_extra(identity: &Identity, parent: &Overview) -> Result<(), String> {
    let kind = identity.kind.as_str();
    let listed = parent.listed(GROUP, kind, &identity.namespace, &identity.name);
    match listed {
        Some(listed) if !listed.is_extra() => Err(format!(
            "Application {} applies it, and the checkout has no manifest of it as it is: Helm or \
             Kustomize may make it",
            parent.name
        )),
        _ => Ok(()),
    }
}
