//! What differs between Git and the clusters.

mod diffs;
mod gauges;
mod log;
mod read;
mod suites;

use jiff::Timestamp;
use policy::finding::shorten;
use serde::Serialize;
use serde_json::Value;

pub(crate) use self::read::{UnreadableReport, read};
use super::age::{away, rough};
use super::{
    API_VERSION, Cell, Detail, Gauge, Log, ObjectDiff, Page, Report, Row, Suite, Table, Tone, View,
    non_empty,
};
use crate::drift::autoscaler::ScaledBy;
use crate::drift::manager::Manager;
use crate::drift::person::Person;
use crate::drift::shard::Shard;
use crate::drift::{
    ApplicationDrift, Cause, Drift, Effect, FieldDrift, MASK, ResourceDrift, Strategy, Verdict,
};

/// What was found, and when.
pub(crate) struct DriftReport<'d> {
    pub(crate) drift: &'d Drift,
    pub(crate) now: Timestamp,
    /// Which part of the fleet it is of; None where it is all that was asked for.
    pub(crate) shard: Option<Shard>,
    /// Whether it says what changed since another report: then a table has no header, and says also
    /// what is clean now.
    pub(crate) is_change: bool,
}

impl Report for DriftReport<'_> {
    fn document(&self) -> impl Serialize {
        Document::new(self.drift, self.shard)
    }

    /// A row for each resource that differs, and for each Application of which nobody can say.
    fn page(&self, detail: Detail) -> Page {
        let applications = self.drift.applications.iter();
        let rows = applications.flat_map(|application| self.rows(application, detail));
        Page {
            table: Table {
                header: match detail {
                    _ if self.is_change => Vec::new(),
                    Detail::Table => HEADER.to_vec(),
                    Detail::Wide => WIDE_HEADER.to_vec(),
                },
                rows: rows.collect(),
            },
            ..Page::default()
        }
    }

    fn names(&self) -> Vec<String> {
        let drifted = self.drift.applications.iter();
        drifted
            .filter(|one| one.verdict == Verdict::Drifted)
            .map(|one| format!("application.argoproj.io/{}", one.overview.name))
            .collect()
    }

    fn suites(&self) -> Vec<Suite> {
        suites::of(self.drift)
    }

    fn gauges(&self) -> Vec<Gauge> {
        gauges::of(self.drift)
    }

    fn diffs(&self) -> Vec<ObjectDiff> {
        diffs::of(self.drift)
    }

    fn log(&self) -> Log {
        log::of(self.drift)
    }

    fn view(&self) -> View {
        View::Drift
    }
}

const HEADER: [&str; 5] = ["APPLICATION", "CLUSTER", "RESOURCE", "CAUSE", "EFFECT"];
/// How wide these columns are at most: 100 with what is between them.
const WIDTHS: [usize; 5] = [20, 12, 26, 21, 9];
const WIDE_HEADER: [&str; 9] = [
    "ENVIRONMENT",
    "NAMESPACE",
    "APPLICATION",
    "CLUSTER",
    "RESOURCE",
    "IN",
    "CAUSE",
    "EFFECT",
    "SINCE",
];
/// How many fields of a resource a table shows.
const FIELDS: usize = 8;
/// How long a value is shown in a table, in characters.
const VALUE: usize = 60;
/// How long a value is shown in a wide one.
const WIDE_VALUE: usize = 1_000;

impl DriftReport<'_> {
    fn rows(&self, application: &ApplicationDrift, detail: Detail) -> Vec<Row> {
        let mut rows = Vec::new();
        if matches!(application.verdict, Verdict::Stale | Verdict::Unknown) {
            let verdict = Cell::new(application.verdict.as_str(), Tone::Unknown);
            rows.push(Row {
                cells: cells(application, None, verdict, detail, self.now),
                paragraphs: application.reason.iter().cloned().collect(),
            });
        } else if application.verdict == Verdict::Drifted && application.resources.is_empty() {
            rows.push(Row {
                cells: cells(application, None, Cell::from("OutOfSync"), detail, self.now),
                paragraphs: Vec::new(),
            });
        } else if application.verdict == Verdict::Clean && self.is_change {
            let verdict = Cell::new(application.verdict.as_str(), Tone::Good);
            rows.push(Row {
                cells: cells(application, None, verdict, detail, self.now),
                paragraphs: application.reason.iter().cloned().collect(),
            });
        }
        for resource in &application.resources {
            let cause = Cell::new(resource.cause.as_str(), tone_of(resource.cause));
            rows.push(Row {
                cells: cells(application, Some(resource), cause, detail, self.now),
                paragraphs: self.fields(application, resource, detail),
            });
        }
        rows
    }

    fn fields(
        &self,
        application: &ApplicationDrift,
        resource: &ResourceDrift,
        detail: Detail,
    ) -> Vec<String> {
        let cluster = application.cluster_key();
        let scaled_by = self.drift.autoscalers.of(cluster, resource);
        let (limit, length) = match detail {
            Detail::Table => (FIELDS, VALUE),
            Detail::Wide => (usize::MAX, WIDE_VALUE),
        };
        let shown = resource.fields.iter().take(limit);
        let mut lines: Vec<String> = shown
            .filter_map(|field| self.field(field, scaled_by, length))
            .collect();
        let more = resource.fields.len().saturating_sub(limit);
        if more > 0 {
            lines.push(format!("and {more} more: -o wide has them"));
        }
        let refusal = resource.refusal.iter();
        lines.extend(refusal.map(|refusal| format!("a sync is refused: {refusal}")));
        lines
    }

    /// `/spec/replicas: desired 2, live 5; by kubectl scale (alice@example.com), 3m ago`.
    fn field(&self, field: &FieldDrift, scaled_by: ScaledBy<'_>, length: usize) -> Option<String> {
        let who = self.who(field, scaled_by);
        if field.pointer.is_empty() && field.desired.is_none() && field.live.is_none() {
            return who;
        }
        let value = |value: &Option<Value>| match value {
            None => "none".to_owned(),
            Some(_) if field.masked => MASK.to_owned(),
            Some(Value::String(text)) => shorten(text, length),
            Some(value) => shorten(&value.to_string(), length),
        };
        let (desired, live) = (value(&field.desired), value(&field.live));
        let differ = match (field.masked, &field.desired, &field.live) {
            (true, Some(_), Some(_)) => ", different",
            _ => "",
        };
        let who = who.map_or_else(String::new, |who| format!("; {who}"));
        let pointer = match &*field.pointer {
            "" => "the whole object",
            pointer => pointer,
        };
        Some(format!(
            "{pointer}: desired {desired}, live {live}{differ}{who}"
        ))
    }

    /// `by kubectl scale (alice@example.com), 3m ago`.
    fn who(&self, field: &FieldDrift, scaled_by: ScaledBy<'_>) -> Option<String> {
        let autoscaler = scaled_by.of_field(&field.pointer);
        let managers = field.managers.iter();
        let words: Vec<String> = managers
            .map(|manager| manager.words(&field.pointer, autoscaler))
            .collect();
        let person = field.person.as_ref().map(Person::words);
        let who = match (words.as_slice(), person) {
            ([], None) => return None,
            ([], Some(person)) => person,
            (words, None) => words.join(" and "),
            (words, Some(person)) => format!("{} ({person})", words.join(" and ")),
        };
        let when = field
            .since()
            .map(|time| format!(", {}", away(time, self.now)));
        Some(format!("by {who}{}", when.unwrap_or_default()))
    }
}

fn cells(
    application: &ApplicationDrift,
    resource: Option<&ResourceDrift>,
    cause: Cell,
    detail: Detail,
    now: Timestamp,
) -> Vec<Cell> {
    let overview = &application.overview;
    let cluster = &overview.cluster;
    let cluster = cluster.name.as_deref().or(cluster.server.as_deref());
    let cluster = cluster.unwrap_or_default();
    let object = resource.map(ResourceDrift::short).unwrap_or_default();
    let effect = resource.and_then(|resource| resource.effect);
    let effect = effect.map_or_else(
        || Cell::from(Cell::UNKNOWN),
        |effect| Cell::new(effect.as_str(), tone_of_effect(effect)),
    );
    let effect = match resource {
        Some(_) => effect,
        None => Cell::from(Cell::NONE),
    };
    let texts = [
        Cell::or_none(&overview.name),
        Cell::or_none(cluster),
        Cell::or_none(&object),
        cause,
        effect,
    ];
    match detail {
        Detail::Table => texts
            .into_iter()
            .zip(WIDTHS)
            .map(|(cell, width)| Cell::new(shorten(&cell.text, width), cell.tone))
            .collect(),
        Detail::Wide => {
            let since = resource.and_then(ResourceDrift::since);
            let since = since.map(|since| rough(now.duration_since(since)));
            let [name, cluster, object, cause, effect] = texts;
            vec![
                Cell::or_none(&overview.environments.join(",")),
                Cell::from(overview.namespace.as_str()),
                name,
                cluster,
                object,
                Cell::or_none(resource.map_or("", |resource| &resource.namespace)),
                cause,
                effect,
                since.map_or(Cell::from(Cell::UNKNOWN), Cell::from),
            ]
        }
    }
}

fn tone_of(cause: Cause) -> Tone {
    match cause {
        Cause::ChangedByHand | Cause::Missing | Cause::Extra => Tone::Bad,
        Cause::ChangedByController | Cause::NotSyncedYet => Tone::Attention,
        Cause::Autoscaled => Tone::Plain,
        Cause::Unknown => Tone::Unknown,
    }
}

fn tone_of_effect(effect: Effect) -> Tone {
    match effect {
        Effect::Nothing | Effect::InPlace | Effect::Create => Tone::Plain,
        Effect::Restart => Tone::Attention,
        Effect::Replace | Effect::Delete | Effect::Refused => Tone::Bad,
    }
}

/// `kind: DriftReport`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    api_version: &'static str,
    kind: &'static str,
    source: &'static str,
    /// Null where it is of all that was asked for.
    shard: Option<ShardDocument>,
    applications: Vec<ApplicationDocument<'d>>,
    summary: Summary,
    problems: Vec<ProblemDocument<'d>>,
}

#[derive(Serialize)]
struct ShardDocument {
    /// From 0.
    index: u32,
    count: u32,
}

#[derive(Serialize)]
struct Summary {
    applications: usize,
    clean: usize,
    drifted: usize,
    stale: usize,
    unknown: usize,
    /// Those that differ.
    resources: usize,
}

#[derive(Serialize)]
struct ProblemDocument<'d> {
    object: &'d str,
    message: &'d str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationDocument<'d> {
    namespace: &'d str,
    name: &'d str,
    project: &'d str,
    cluster: ClusterDocument<'d>,
    /// Production, if anything is evidence of it; null where nothing is of any.
    environment: Option<&'d str>,
    /// All that anything is evidence of, production first.
    environments: &'d [String],
    /// Whether one of them is production.
    production: bool,
    sync: &'static str,
    /// Null where Argo CD does not say.
    health: Option<&'d str>,
    verdict: &'static str,
    /// Null where it is clean or drifted, nothing is left out, and nothing is refused.
    reason: Option<String>,
    /// Null where it is not known.
    strategy: Option<&'static str>,
    /// Null where it was never compared.
    reconciled_at: Option<&'d str>,
    resources: Vec<ResourceDocument<'d>>,
}

#[derive(Serialize)]
struct ClusterDocument<'d> {
    /// Null where it has none that is known.
    name: Option<&'d str>,
    /// Null where it is not known.
    server: Option<&'d str>,
}

#[derive(Serialize)]
struct ResourceDocument<'d> {
    /// Empty for the core group.
    group: &'d str,
    version: Option<&'d str>,
    kind: &'d str,
    /// Null for one of the whole cluster.
    namespace: Option<&'d str>,
    name: &'d str,
    status: &'static str,
    cause: &'static str,
    /// Null where nobody can tell.
    effect: Option<&'static str>,
    /// What scales it, as far as that is known.
    autoscaler: Option<String>,
    /// By which rules the webhook refuses what a sync would do; null where it does not.
    refusal: Option<&'d str>,
    fields: Vec<FieldDocument<'d>>,
}

#[derive(Serialize)]
struct FieldDocument<'d> {
    path: &'d str,
    desired: Option<&'d Value>,
    live: Option<&'d Value>,
    managers: Vec<ManagerDocument<'d>>,
    /// Null where nobody is named, or several may have done it.
    person: Option<&'d str>,
    masked: bool,
}

#[derive(Serialize)]
struct ManagerDocument<'d> {
    manager: &'d str,
    operation: &'d str,
    subresource: Option<&'d str>,
    time: Option<Timestamp>,
}

impl<'d> Document<'d> {
    fn new(drift: &'d Drift, shard: Option<Shard>) -> Self {
        let problems = drift.problems.iter();
        let applications = drift.applications.iter();
        Document {
            api_version: API_VERSION,
            kind: read::KIND,
            source: drift.source.as_str(),
            shard: shard.map(|shard| ShardDocument {
                index: shard.index(),
                count: shard.count(),
            }),
            applications: applications
                .map(|one| ApplicationDocument::new(one, drift))
                .collect(),
            summary: Summary {
                applications: drift.applications.len(),
                clean: drift.count(Verdict::Clean),
                drifted: drift.count(Verdict::Drifted),
                stale: drift.count(Verdict::Stale),
                unknown: drift.count(Verdict::Unknown),
                resources: drift.resources(),
            },
            problems: problems
                .map(|problem| ProblemDocument {
                    object: &problem.object,
                    message: &problem.message,
                })
                .collect(),
        }
    }
}

impl<'d> ApplicationDocument<'d> {
    fn new(application: &'d ApplicationDrift, drift: &'d Drift) -> Self {
        let overview = &application.overview;
        let cluster = application.cluster_key();
        let resources = application.resources.iter();
        ApplicationDocument {
            namespace: &overview.namespace,
            name: &overview.name,
            project: &overview.project,
            cluster: ClusterDocument {
                name: overview.cluster.name.as_deref(),
                server: overview.cluster.server.as_deref(),
            },
            environment: overview.environments.first().map(String::as_str),
            environments: &overview.environments,
            production: overview.is_production,
            sync: overview.sync.as_str(),
            health: overview.health.as_deref(),
            verdict: application.verdict.as_str(),
            reason: application.explanation(),
            strategy: overview.strategy.map(Strategy::as_str),
            reconciled_at: overview.reconciled_at.as_deref(),
            resources: resources
                .map(|one| ResourceDocument::new(one, cluster, drift))
                .collect(),
        }
    }
}

impl<'d> ResourceDocument<'d> {
    fn new(resource: &'d ResourceDrift, cluster: &str, drift: &'d Drift) -> Self {
        let scaled_by = drift.autoscalers.of(cluster, resource);
        ResourceDocument {
            autoscaler: scaled_by.named(),
            refusal: resource.refusal.as_deref(),
            group: &resource.group,
            version: resource.version.as_deref(),
            kind: &resource.kind,
            namespace: non_empty(&resource.namespace),
            name: &resource.name,
            status: "OutOfSync",
            cause: resource.cause.as_str(),
            effect: resource.effect.map(Effect::as_str),
            fields: resource.fields.iter().map(FieldDocument::new).collect(),
        }
    }
}

impl<'d> FieldDocument<'d> {
    fn new(field: &'d FieldDrift) -> Self {
        let person = field.person.as_ref();
        let person = person.filter(|person| person.is_sure());
        FieldDocument {
            path: &field.pointer,
            desired: field.desired.as_ref(),
            live: field.live.as_ref(),
            managers: field.managers.iter().map(ManagerDocument::new).collect(),
            person: person.map(|person| person.name.as_str()),
            masked: field.masked,
        }
    }
}

impl<'d> ManagerDocument<'d> {
    fn new(manager: &'d Manager) -> Self {
        ManagerDocument {
            manager: &manager.name,
            operation: &manager.operation,
            subresource: manager.subresource.as_deref(),
            time: manager.time,
        }
    }
}
