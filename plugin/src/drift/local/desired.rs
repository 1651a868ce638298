//! What is desired of an Application, generated from a checkout.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use argocd::tracking::{Tracking, TrackingError};
use serde_json::Value;

use super::cluster::Cluster;
use crate::manifest_generation::{
    self, ApplicationFacts, Checkouts, GenerationError, Request, Source, SourceError,
};
use crate::repository::revisions::{Checkout, Revisions};

/// What an Application is deployed from, and where to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Application<'a> {
    pub(crate) facts: ApplicationFacts<'a>,
    pub(crate) spec: &'a Value,
    /// The namespace of the destination.
    pub(crate) namespace: &'a str,
}

/// What the cluster and Argo CD's settings make of manifests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) revisions: &'a Revisions,
    pub(crate) cluster: &'a Cluster,
    pub(crate) tracking: &'a Tracking,
    /// `kustomize.buildOptions` of `argocd-cm`.
    pub(crate) kustomize_build_options: &'a str,
}

/// What is desired cannot be told from the checkout.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DesiredError {
    #[error("{place}: the checkout does not have {repository} at {revision:?}")]
    OtherRepository {
        place: String,
        repository: String,
        revision: String,
    },
    #[error("{place}")]
    Source {
        place: String,
        #[source]
        source: SourceError,
    },
    #[error("{place}")]
    Generation {
        place: String,
        #[source]
        source: GenerationError,
    },
    #[error("{object}")]
    Tracking {
        object: String,
        #[source]
        source: TrackingError,
    },
}

/// The objects that an Application is to have, marked as its own, each with the namespace that it
/// goes to; of several with one key the last (Argo CD 3.6, `GetRepoObjs`,
/// `NormalizeTargetObjects`).
pub(crate) async fn desired(
    application: Application<'_>,
    surroundings: Surroundings<'_>,
) -> Result<Vec<Value>, DesiredError> {
    let sources = sources(application.spec);
    let references = references(&sources, surroundings.revisions);
    let mut objects = Vec::new();
    for (place, source) in &sources {
        objects.extend(generated(application, surroundings, &references, place, source).await?);
    }
    for object in &mut objects {
        settle(object, application, surroundings).map_err(|source| DesiredError::Tracking {
            object: name_of(object),
            source,
        })?;
    }
    Ok(last_of_each(objects))
}

/// The sources that count, each with where it stands in the Application.
fn sources(spec: &Value) -> Vec<(String, Value)> {
    let several = spec.get("sources").and_then(Value::as_array);
    if let Some(several) = several.filter(|several| !several.is_empty()) {
        let placed = several.iter().enumerate();
        return placed
            .map(|(index, source)| (format!("spec.sources[{index}]"), source.clone()))
            .collect();
    }
    if let Some(hydrator) = spec.get("sourceHydrator").filter(|one| one.is_object()) {
        let text = |pointer: &str| hydrator.pointer(pointer).and_then(Value::as_str);
        let own = text("/syncSource/repoURL").filter(|url| !url.is_empty());
        let source = serde_json::json!({
            "repoURL": own.or(text("/drySource/repoURL")).unwrap_or_default(),
            "path": text("/syncSource/path").unwrap_or_default(),
            "targetRevision": text("/syncSource/targetBranch").unwrap_or_default(),
        });
        return vec![("spec.sourceHydrator.syncSource".to_owned(), source)];
    }
    let source = spec.get("source").filter(|one| one.is_object());
    source
        .map(|source| ("spec.source".to_owned(), source.clone()))
        .into_iter()
        .collect()
}

fn text<'s>(source: &'s Value, field: &str) -> &'s str {
    source
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The checkouts that sources name by `ref`; None where it is not at hand. An Application with one
/// source has none.
fn references(
    sources: &[(String, Value)],
    revisions: &Revisions,
) -> BTreeMap<String, Option<PathBuf>> {
    if sources.len() < 2 {
        return BTreeMap::new();
    }
    let named = sources
        .iter()
        .filter(|(_, source)| !text(source, "ref").is_empty());
    named
        .map(|(_, source)| {
            let (repository, revision) = (text(source, "repoURL"), text(source, "targetRevision"));
            let checkout = revisions.checkout(repository, revision);
            let name = format!("${}", text(source, "ref"));
            (name, checkout.map(|checkout| checkout.top))
        })
        .collect()
}

async fn generated(
    application: Application<'_>,
    surroundings: Surroundings<'_>,
    references: &BTreeMap<String, Option<PathBuf>>,
    place: &str,
    written: &Value,
) -> Result<Vec<Value>, DesiredError> {
    let (path, chart) = (text(written, "path"), text(written, "chart"));
    // It is there for its files alone.
    if path.is_empty() && chart.is_empty() && !text(written, "ref").is_empty() {
        return Ok(Vec::new());
    }
    let in_source = |source| DesiredError::Generation {
        place: place.to_owned(),
        source,
    };
    if !chart.is_empty() {
        return Err(in_source(GenerationError::ChartOfARepository));
    }
    let (repository, revision) = (text(written, "repoURL"), text(written, "targetRevision"));
    let checkout = surroundings.revisions.checkout(repository, revision);
    let Checkout { top, commit } = checkout.ok_or_else(|| DesiredError::OtherRepository {
        place: place.to_owned(),
        repository: repository.to_owned(),
        revision: revision.to_owned(),
    })?;
    let folder = top.join(path.trim_start_matches('/'));
    let source = Source::read(written, &folder, application.facts.name);
    let source = source.map_err(|source| DesiredError::Source {
        place: place.to_owned(),
        source,
    })?;
    let request = Request {
        application: application.facts,
        source: &source,
        namespace: application.namespace,
        revision: &commit,
        checkouts: Checkouts {
            folder: &folder,
            top: &top,
            references,
        },
        capabilities: &surroundings.cluster.capabilities,
        kustomize_build_options: surroundings.kustomize_build_options,
    };
    manifest_generation::generate(&request)
        .await
        .map_err(in_source)
}

/// Gives an object the namespace that it goes to, and marks it as the Application's. Definitions of
/// custom resources are not marked.
fn settle(
    object: &mut Value,
    application: Application<'_>,
    surroundings: Surroundings<'_>,
) -> Result<(), TrackingError> {
    let (group, kind) = group_and_kind(object);
    let is_definition = group == "apiextensions.k8s.io" && kind == "CustomResourceDefinition";
    let is_namespaced = surroundings
        .cluster
        .is_namespaced(group, kind)
        .unwrap_or(true);
    let names_one = object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .is_some_and(|namespace| !namespace.is_empty());
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    match metadata {
        Some(metadata) if is_namespaced && !names_one => {
            metadata.insert("namespace".to_owned(), application.namespace.into());
        }
        Some(metadata) if !is_namespaced => {
            metadata.remove("namespace");
        }
        _ => {}
    }
    if is_definition {
        return Ok(());
    }
    let name = application.facts.instance_name;
    surroundings
        .tracking
        .mark(object, name, application.namespace)
}

pub(super) fn group_and_kind(object: &Value) -> (&str, &str) {
    let version = text(object, "apiVersion");
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group, text(object, "kind"))
}

fn name_of(object: &Value) -> String {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let kind = text(object, "kind").to_lowercase();
    format!("{kind}/{}", name.unwrap_or_default())
}

/// Of several objects with one key, the last.
fn last_of_each(objects: Vec<Value>) -> Vec<Value> {
    let mut places: HashMap<super::Key, usize> = HashMap::new();
    let mut kept: Vec<Value> = Vec::with_capacity(objects.len());
    for object in objects {
        match places.entry(super::Key::of(&object)) {
            std::collections::hash_map::Entry::Occupied(place) => kept[*place.get()] = object,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(object);
            }
        }
    }
    kept
}
