//! What a promotion would change.

use policy::finding::shorten;
use serde::Serialize;
use serde_json::Value;

use super::{API_VERSION, Cell, Detail, Page, Report, Row, Table, Tone, non_empty};
use crate::drift::MASK;
use crate::drift::promotion::{
    Candidate, Change, ChangeKind, ImageChange, ObjectName, Promotion, ResourceChange,
};

/// What was found.
pub(crate) struct PromotionReport<'p> {
    pub(crate) promotions: &'p [Promotion],
    /// Those without a counterpart, each with the side that it is on.
    pub(crate) alone: &'p [(Candidate, &'static str)],
    pub(crate) source: &'static str,
}

/// How long a value is shown in a table, in characters.
const VALUE: usize = 60;
/// How long a value is shown in a wide one.
const WIDE_VALUE: usize = 1_000;
/// How wide the columns of a table are at most: 100 with what is between them.
const WIDTHS: [usize; 4] = [26, 26, 30, 8];

impl Report for PromotionReport<'_> {
    fn document(&self) -> impl Serialize {
        Document {
            api_version: API_VERSION,
            kind: "PromotionReport",
            source: self.source,
            pairs: self.promotions.iter().map(PairDocument::new).collect(),
            alone: self.alone.iter().map(AloneDocument::new).collect(),
        }
    }

    /// A row for each Application whose values or images change, and for each resource.
    fn page(&self, detail: Detail) -> Page {
        let rows = self.promotions.iter().flat_map(|one| rows(one, detail));
        let alone = self.alone.iter().map(|(candidate, side)| {
            let texts = match *side {
                "from" => [candidate.name.as_str(), ""],
                _ => ["", candidate.name.as_str()],
            };
            let [from, to] = texts.map(|text| cut(text, 0, detail));
            let word = Cell::new("alone", Tone::Unknown);
            Row::from(vec![from, to, Cell::from(Cell::NONE), word])
        });
        Page {
            table: Table {
                header: vec!["FROM", "TO", "RESOURCE", "CHANGE"],
                rows: rows.chain(alone).collect(),
            },
            ..Page::default()
        }
    }
}

fn rows(promotion: &Promotion, detail: Detail) -> Vec<Row> {
    let row = |resource: &str, change: Cell, paragraphs: Vec<String>| Row {
        cells: vec![
            cut(&promotion.from.name, 0, detail),
            cut(&promotion.to.name, 1, detail),
            cut(resource, 2, detail),
            change,
        ],
        paragraphs,
    };
    let mut rows = Vec::new();
    if let Some(reason) = &promotion.reason {
        let unknown = Cell::new("unknown", Tone::Unknown);
        rows.push(row("", unknown, vec![reason.clone()]));
    }
    if !promotion.values.is_empty() {
        let lines = promotion.values.iter().map(|change| line(change, detail));
        let change = Cell::new("values", Tone::Attention);
        rows.push(row("application", change, lines.collect()));
    }
    for image in &promotion.images {
        let now = image.now.as_deref().unwrap_or("none");
        let then = image.then.as_deref().unwrap_or("none");
        let text = format!("container {}: now {now}, then {then}", image.container);
        let change = Cell::new("image", Tone::Attention);
        rows.push(row(&image.object.short(), change, vec![text]));
    }
    for resource in &promotion.resources {
        let tone = match resource.kind {
            ChangeKind::Removed => Tone::Bad,
            ChangeKind::Added | ChangeKind::Changed => Tone::Plain,
        };
        let change = Cell::new(resource.kind.as_str(), tone);
        let lines = resource.fields.iter().map(|change| line(change, detail));
        rows.push(row(&resource.object.short(), change, lines.collect()));
    }
    rows
}

fn cut(text: &str, column: usize, detail: Detail) -> Cell {
    match detail {
        Detail::Table => Cell::or_none(&shorten(text, WIDTHS[column])),
        Detail::Wide => Cell::or_none(text),
    }
}

/// `/spec/replicas: now 2, then 5`.
fn line(change: &Change, detail: Detail) -> String {
    let length = match detail {
        Detail::Table => VALUE,
        Detail::Wide => WIDE_VALUE,
    };
    let value = |value: &Option<Value>| match value {
        None => "none".to_owned(),
        Some(_) if change.masked => MASK.to_owned(),
        Some(Value::String(text)) => shorten(text, length),
        Some(value) => shorten(&value.to_string(), length),
    };
    let (now, then) = (value(&change.now), value(&change.then));
    format!("{}: now {now}, then {then}", change.pointer)
}

/// `kind: PromotionReport`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'p> {
    api_version: &'static str,
    kind: &'static str,
    source: &'static str,
    pairs: Vec<PairDocument<'p>>,
    /// Applications without a counterpart.
    alone: Vec<AloneDocument<'p>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PairDocument<'p> {
    from: NameDocument<'p>,
    to: NameDocument<'p>,
    /// Fields of the Application's sources.
    values: Vec<ChangeDocument<'p>>,
    images: Vec<ImageDocument<'p>>,
    resources: Vec<ResourceDocument<'p>>,
    /// How many fields differ in the names of environments alone.
    only_names: usize,
    /// Why only the values are known; null where all is.
    reason: Option<&'p str>,
}

#[derive(Serialize)]
struct NameDocument<'p> {
    namespace: &'p str,
    name: &'p str,
}

#[derive(Serialize)]
struct AloneDocument<'p> {
    namespace: &'p str,
    name: &'p str,
    /// `from` or `to`.
    side: &'static str,
}

#[derive(Serialize)]
struct ChangeDocument<'p> {
    path: &'p str,
    now: Option<&'p Value>,
    then: Option<&'p Value>,
    masked: bool,
}

#[derive(Serialize)]
struct ImageDocument<'p> {
    resource: ObjectDocument<'p>,
    container: &'p str,
    now: Option<&'p str>,
    then: Option<&'p str>,
}

#[derive(Serialize)]
struct ObjectDocument<'p> {
    /// Empty for the core group.
    group: &'p str,
    kind: &'p str,
    /// Null for one of the whole cluster.
    namespace: Option<&'p str>,
    name: &'p str,
}

#[derive(Serialize)]
struct ResourceDocument<'p> {
    #[serde(flatten)]
    object: ObjectDocument<'p>,
    /// `added`, `changed` or `removed`.
    change: &'static str,
    fields: Vec<ChangeDocument<'p>>,
}

impl<'p> PairDocument<'p> {
    fn new(promotion: &'p Promotion) -> Self {
        PairDocument {
            from: NameDocument::new(&promotion.from),
            to: NameDocument::new(&promotion.to),
            values: promotion.values.iter().map(ChangeDocument::new).collect(),
            images: promotion.images.iter().map(ImageDocument::new).collect(),
            resources: promotion
                .resources
                .iter()
                .map(ResourceDocument::new)
                .collect(),
            only_names: promotion.only_names,
            reason: promotion.reason.as_deref(),
        }
    }
}

impl<'p> NameDocument<'p> {
    fn new(candidate: &'p Candidate) -> Self {
        NameDocument {
            namespace: &candidate.namespace,
            name: &candidate.name,
        }
    }
}

impl<'p> AloneDocument<'p> {
    fn new((candidate, side): &'p (Candidate, &'static str)) -> Self {
        AloneDocument {
            namespace: &candidate.namespace,
            name: &candidate.name,
            side,
        }
    }
}

impl<'p> ChangeDocument<'p> {
    fn new(change: &'p Change) -> Self {
        ChangeDocument {
            path: &change.pointer,
            now: change.now.as_ref(),
            then: change.then.as_ref(),
            masked: change.masked,
        }
    }
}

impl<'p> ImageDocument<'p> {
    fn new(image: &'p ImageChange) -> Self {
        ImageDocument {
            resource: ObjectDocument::new(&image.object),
            container: &image.container,
            now: image.now.as_deref(),
            then: image.then.as_deref(),
        }
    }
}

impl<'p> ObjectDocument<'p> {
    fn new(object: &'p ObjectName) -> Self {
        ObjectDocument {
            group: &object.group,
            kind: &object.kind,
            namespace: non_empty(&object.namespace),
            name: &object.name,
        }
    }
}

impl<'p> ResourceDocument<'p> {
    fn new(resource: &'p ResourceChange) -> Self {
        ResourceDocument {
            object: ObjectDocument::new(&resource.object),
            change: resource.kind.as_str(),
            fields: resource.fields.iter().map(ChangeDocument::new).collect(),
        }
    }
}
