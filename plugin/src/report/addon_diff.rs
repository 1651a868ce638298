//! Whether Argo CD's takeover of an addon would change anything.

use serde::Serialize;
use serde_json::Value;

use super::{API_VERSION, Cell, Detail, Page, Report, Row, Table, Tone, non_empty};
use crate::addons::gate::{Class, Field, OnCluster, Remedy, State, Takeover};
use crate::text::{counted, printable};

/// What a first sync would do, cluster by cluster.
pub(crate) struct AddonDiff {
    pub(crate) addon: String,
    pub(crate) clusters: Vec<OnCluster>,
}

impl AddonDiff {
    /// Whether all gates are open.
    pub(crate) fn is_open(&self) -> bool {
        self.clusters.iter().all(|one| one.state() == State::Open)
    }

    /// Whether something could not be seen, or Argo CD itself says otherwise of an open gate.
    pub(crate) fn is_unknown(&self) -> bool {
        let mut clusters = self.clusters.iter();
        clusters.any(|one| !one.problems.is_empty() || one.state() == State::Unknown)
    }

    fn count(&self, state: State) -> usize {
        let clusters = self.clusters.iter();
        clusters.filter(|one| one.state() == state).count()
    }

    fn total(&self) -> String {
        format!(
            "{}: {} open, {} shut, {} unknown",
            counted(self.clusters.len(), "gate"),
            self.count(State::Open),
            self.count(State::Shut),
            self.count(State::Unknown)
        )
    }
}

impl Report for AddonDiff {
    fn document(&self) -> impl Serialize {
        Document {
            api_version: API_VERSION,
            kind: "AddonDiff",
            addon: &self.addon,
            clusters: self.clusters.iter().map(ClusterDocument::new).collect(),
            summary: Summary {
                open: self.count(State::Open),
                shut: self.count(State::Shut),
                unknown: self.count(State::Unknown),
            },
        }
    }

    fn page(&self, detail: Detail) -> Page {
        let rows = self.clusters.iter().flat_map(|cluster| {
            let objects = cluster.objects.iter();
            let shown = objects.filter(move |one| detail == Detail::Wide || !one.class.is_open());
            let shown = shown.map(|one| row(cluster, one));
            shown.chain(rows_of_cluster(cluster))
        });
        Page {
            table: Table {
                header: vec!["CLUSTER", "NAMESPACE", "OBJECT", "TAKEOVER", "REASON"],
                rows: rows.collect(),
            },
            text: self.total() + "\n",
            ..Page::default()
        }
    }
}

fn row(cluster: &OnCluster, one: &Takeover) -> Row {
    let key = &one.key;
    let object = format!("{}/{}", key.kind.to_lowercase(), key.name);
    let tone = match one.class {
        Class::Nothing | Class::TrackingOnly => Tone::Good,
        Class::InPlace | Class::Create | Class::HookRun => Tone::Attention,
        Class::Restart | Class::Replace | Class::Delete => Tone::Bad,
        Class::Unknown => Tone::Unknown,
    };
    Row {
        cells: vec![
            Cell::from(printable(&cluster.name)),
            Cell::or_none(&printable(&key.namespace)),
            Cell::from(printable(&object)),
            Cell::new(one.class.as_str(), tone),
            Cell::or_none(&printable(one.reason.as_deref().unwrap_or_default())),
        ],
        paragraphs: one.fields.iter().map(words).collect(),
    }
}

/// What concerns no single object.
fn rows_of_cluster(cluster: &OnCluster) -> impl Iterator<Item = Row> {
    let obstacles = cluster.obstacles.iter();
    let obstacles = obstacles.map(|text| (Cell::new("shut", Tone::Bad), text));
    let otherwise = cluster.disagreements.iter();
    let otherwise = otherwise.map(|text| (Cell::new("unknown", Tone::Unknown), text));
    obstacles.chain(otherwise).map(|(state, text)| Row {
        cells: vec![
            Cell::from(printable(&cluster.name)),
            Cell::or_none(""),
            Cell::or_none(""),
            state,
            Cell::from(printable(text)),
        ],
        paragraphs: Vec::new(),
    })
}

fn words(field: &Field) -> String {
    let shown = |value: &Option<Value>| match value {
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    };
    let owners = match field.owners.as_slice() {
        [] => "nobody".to_owned(),
        owners => owners.join(", "),
    };
    let remedy = field.remedy.as_ref().map(|remedy| {
        let Remedy { file, path, value } = remedy;
        format!("; {path}: {value} in {file} leaves it as it is")
    });
    printable(&format!(
        "{}: {} becomes {} (owned by {owners}){}",
        field.pointer,
        shown(&field.live),
        shown(&field.desired),
        remedy.unwrap_or_default()
    ))
}

/// `kind: AddonDiff`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    api_version: &'static str,
    kind: &'static str,
    addon: &'r str,
    clusters: Vec<ClusterDocument<'r>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Summary {
    open: usize,
    shut: usize,
    unknown: usize,
}

#[derive(Serialize)]
struct ClusterDocument<'r> {
    name: &'r str,
    /// Null where there is none.
    application: Option<&'r str>,
    gate: &'static str,
    objects: Vec<ObjectDocument<'r>>,
    /// What shuts the gate beside objects.
    obstacles: &'r [String],
    /// Where Argo CD itself says otherwise.
    disagreements: &'r [String],
    problems: &'r [String],
}

#[derive(Serialize)]
struct ObjectDocument<'r> {
    group: &'r str,
    kind: &'r str,
    /// Null for one of the whole cluster.
    namespace: Option<&'r str>,
    name: &'r str,
    class: &'static str,
    /// Null where fields say it.
    reason: Option<&'r str>,
    fields: Vec<FieldDocument<'r>>,
}

#[derive(Serialize)]
struct FieldDocument<'r> {
    path: &'r str,
    live: &'r Option<Value>,
    desired: &'r Option<Value>,
    owners: &'r [String],
    /// Null where it was not worked out.
    remedy: Option<RemedyDocument<'r>>,
}

#[derive(Serialize)]
struct RemedyDocument<'r> {
    file: &'r str,
    path: &'r str,
    value: &'r Value,
}

impl<'r> ClusterDocument<'r> {
    fn new(cluster: &'r OnCluster) -> Self {
        ClusterDocument {
            name: &cluster.name,
            application: non_empty(&cluster.application),
            gate: cluster.state().as_str(),
            objects: cluster.objects.iter().map(ObjectDocument::new).collect(),
            obstacles: &cluster.obstacles,
            disagreements: &cluster.disagreements,
            problems: &cluster.problems,
        }
    }
}

impl<'r> ObjectDocument<'r> {
    fn new(one: &'r Takeover) -> Self {
        let fields = one.fields.iter().map(|field| FieldDocument {
            path: &field.pointer,
            live: &field.live,
            desired: &field.desired,
            owners: &field.owners,
            remedy: field.remedy.as_ref().map(|remedy| RemedyDocument {
                file: &remedy.file,
                path: &remedy.path,
                value: &remedy.value,
            }),
        });
        ObjectDocument {
            group: &one.key.group,
            kind: &one.key.kind,
            namespace: non_empty(&one.key.namespace),
            name: &one.key.name,
            class: one.class.as_str(),
            reason: one.reason.as_deref(),
            fields: fields.collect(),
        }
    }
}
