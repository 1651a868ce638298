//! A `DriftReport`, read back.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::drift::autoscaler::Autoscalers;
use crate::drift::manager::{Manager, WriterKind};
use crate::drift::person::{Confidence, Person};
use crate::drift::shard::Shard;
use crate::drift::{
    ApplicationDrift, Cause, Destination, Drift, Effect, FieldDrift, Overview, Problem,
    ResourceDrift, Source, Strategy, Sync, Verdict,
};
use crate::report::API_VERSION;

/// The kind of these reports.
pub(super) const KIND: &str = "DriftReport";

/// A text is not a `DriftReport`. What stands in it is not quoted, as it may be anything.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum UnreadableReport {
    #[error("it is empty")]
    Empty,
    #[error("it is neither JSON nor YAML")]
    Text,
    #[error("expected a {KIND}: it has no kind")]
    NoKind,
    #[error("expected a {KIND}: its kind is another")]
    Kind,
    #[error("expected apiVersion {API_VERSION}: its own is another")]
    Version,
    #[error("{0} is not what a {KIND} has there")]
    Field(String),
}

/// What a report says, and of which shard.
pub(crate) fn read(text: &str) -> Result<(Drift, Option<Shard>), UnreadableReport> {
    if text.trim().is_empty() {
        return Err(UnreadableReport::Empty);
    }
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        Err(_) => golang::yaml::value(text).map_err(|_| UnreadableReport::Text)?,
    };
    match value.get("kind").and_then(Value::as_str) {
        None => return Err(UnreadableReport::NoKind),
        Some(KIND) => {}
        Some(_) => return Err(UnreadableReport::Kind),
    }
    if value.get("apiVersion").and_then(Value::as_str) != Some(API_VERSION) {
        return Err(UnreadableReport::Version);
    }
    let document: Document = serde_path_to_error::deserialize(value)
        .map_err(|error| UnreadableReport::Field(error.path().to_string()))?;
    let shard = document.shard.map(|shard| {
        let shard = Shard::new(shard.index, shard.count);
        shard.map_err(|_| UnreadableReport::Field("shard".to_owned()))
    });
    let mut autoscalers = Autoscalers::default();
    let applications = document.applications.into_iter();
    let applications = applications.map(|one| one.read(&mut autoscalers)).collect();
    let drift = Drift {
        source: document.source,
        applications,
        problems: document.problems,
        autoscalers,
    };
    Ok((drift, shard.transpose()?))
}

#[derive(Deserialize)]
struct Document {
    source: Source,
    #[serde(deserialize_with = "given")]
    shard: Option<ShardDocument>,
    applications: Vec<ApplicationDocument>,
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct ShardDocument {
    index: u32,
    count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationDocument {
    namespace: String,
    name: String,
    project: String,
    cluster: Destination,
    environments: Vec<String>,
    production: bool,
    sync: Sync,
    #[serde(deserialize_with = "given")]
    health: Option<String>,
    verdict: Verdict,
    #[serde(deserialize_with = "given")]
    reason: Option<String>,
    #[serde(deserialize_with = "given")]
    strategy: Option<Strategy>,
    #[serde(deserialize_with = "given")]
    reconciled_at: Option<String>,
    resources: Vec<ResourceDocument>,
}

#[derive(Deserialize)]
struct ResourceDocument {
    group: String,
    #[serde(deserialize_with = "given")]
    version: Option<String>,
    kind: String,
    #[serde(deserialize_with = "given")]
    namespace: Option<String>,
    name: String,
    cause: Cause,
    #[serde(deserialize_with = "given")]
    effect: Option<Effect>,
    #[serde(deserialize_with = "given")]
    autoscaler: Option<String>,
    #[serde(deserialize_with = "given")]
    refusal: Option<String>,
    fields: Vec<FieldDocument>,
}

#[derive(Deserialize)]
struct FieldDocument {
    path: String,
    #[serde(deserialize_with = "given")]
    desired: Option<Value>,
    #[serde(deserialize_with = "given")]
    live: Option<Value>,
    managers: Vec<Manager>,
    #[serde(deserialize_with = "given")]
    person: Option<String>,
    masked: bool,
}

/// A key that is always there, with null where it does not apply.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

impl ApplicationDocument {
    fn read(self, autoscalers: &mut Autoscalers) -> ApplicationDrift {
        let cluster = self.cluster.key().to_owned();
        let resources = self.resources.into_iter();
        let resources = resources.map(|one| one.read(&cluster, autoscalers));
        ApplicationDrift {
            resources: resources.collect(),
            verdict: self.verdict,
            reason: self.reason,
            overview: Overview {
                namespace: self.namespace,
                name: self.name,
                created: None,
                project: self.project,
                cluster: self.cluster,
                sources: Vec::new(),
                environments: self.environments,
                is_production: self.production,
                sync: self.sync,
                health: self.health,
                reconciled_at: self.reconciled_at,
                strategy: self.strategy,
                prunes: false,
                is_revision_synced: false,
                stale: None,
                errors: Vec::new(),
                resources: Vec::new(),
            },
        }
    }
}

impl ResourceDocument {
    fn read(self, cluster: &str, autoscalers: &mut Autoscalers) -> ResourceDrift {
        let namespace = self.namespace.unwrap_or_default();
        if let Some(words) = self.autoscaler {
            autoscalers.insert([cluster, &namespace, &self.kind, &self.name], &words);
        }
        ResourceDrift {
            group: self.group,
            version: self.version,
            kind: self.kind,
            namespace,
            name: self.name,
            cause: self.cause,
            effect: self.effect,
            refusal: self.refusal,
            fields: self
                .fields
                .into_iter()
                .map(|one| one.read(self.cause))
                .collect(),
            sides: None,
            written: None,
        }
    }
}

impl FieldDocument {
    /// The report has causes of resources alone.
    fn read(self, cause: Cause) -> FieldDrift {
        FieldDrift {
            cause,
            pointer: self.path,
            desired: self.desired,
            live: self.live,
            managers: self.managers,
            person: self.person.map(|name| Person {
                name,
                // The report has causes that it led to, and nothing goes by it any more.
                writer: WriterKind::Hand,
                confidence: Confidence::Certain,
                time: None,
            }),
            masked: self.masked,
        }
    }
}
