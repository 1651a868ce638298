//! Bodies that are full of next to nothing: for each list, map, string and free value that a
//! decoder reads, the most of it that a body of some size can hold.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use argocd::cluster::ClusterSecret;
use argocd::{AppProject, Application, ApplicationSet};
use gitops_webhook::admission_review::decide::decide;
use gitops_webhook::admission_review::request::Review;
use gitops_webhook::admission_review::response;
use jiff::Timestamp;

use crate::fields::{Field, Shape, Step, fields};
use crate::world::INVENTORIES;

/// How much memory a body is decoded into, at most, in bytes for each byte of it. The worst there
/// is are sources of nothing, `[{},{},{}]`: each takes 232 bytes, and up to three times that while
/// the list grows.
pub const DECODED_RATIO: u64 = 256;

/// How much memory a body takes at once while it is judged, at most, in bytes: for what it is
/// decoded into, and for the parameter sets and the Applications of an ApplicationSet.
pub const JUDGED_MEMORY: u64 = 64 << 20;

/// A body that repeats one thing.
#[derive(Clone, Debug)]
pub struct HostileBody {
    /// Kind of the object.
    pub kind: &'static str,
    /// What is repeated, and where.
    pub name: String,
    before: String,
    repeated: Repeated,
    after: String,
}

/// What is repeated in a body.
#[derive(Clone, Debug)]
enum Repeated {
    /// As it is.
    Text(String),
    /// Behind a key of its own each time.
    Entry(String),
    /// As an item, with commas between.
    Item(String),
}

impl HostileBody {
    /// The body, with as much in it as makes it about `size` bytes long.
    pub fn of_size(&self, size: usize) -> Vec<u8> {
        let mut body = self.before.clone();
        let end = size.saturating_sub(self.after.len());
        for index in 0.. {
            let comma = if index == 0 { "" } else { "," };
            let written = match &self.repeated {
                Repeated::Text(text) => body.write_str(text),
                Repeated::Item(item) => write!(body, "{comma}{item}"),
                Repeated::Entry(value) => write!(body, "{comma}\"{index:x}\":{value}"),
            };
            assert!(written.is_ok());
            if body.len() >= end {
                break;
            }
        }
        body.push_str(&self.after);
        body.into_bytes()
    }
}

/// Decodes a body, has the rules decide on it, and writes the answer.
pub fn judge(body: &[u8]) {
    let Ok(mut review) = Review::from_json(body) else {
        return;
    };
    let decision = decide(&mut review, &INVENTORIES[0], Timestamp::UNIX_EPOCH).unanswered();
    let answer = response::to_json(&review, &decision);
    assert!(answer.is_ok(), "{answer:?}");
}

/// As many of them as asked for, by all that is allocated while one is judged: those that take
/// most.
pub fn worst_bodies(count: usize) -> Vec<HostileBody> {
    const MEASURED: usize = 8 << 10;
    let mut bodies = hostile_bodies();
    bodies.sort_by_cached_key(|hostile| {
        let body = hostile.of_size(MEASURED);
        Reverse(allocation_counter::measure(|| judge(&body)).bytes_total)
    });
    bodies.truncate(count);
    bodies
}

/// All of them, for each kind of object that is judged.
pub fn hostile_bodies() -> Vec<HostileBody> {
    let application = fields::<Application<'static>>();
    let mut set = fields::<ApplicationSet<'static>>();
    set.extend(of_templates(&application));
    set.extend(of_children(&set));
    let kinds = [
        ("Application", application),
        ("ApplicationSet", set),
        ("AppProject", fields::<AppProject>()),
        ("Secret", fields::<ClusterSecret<'static>>()),
    ];
    kinds
        .into_iter()
        .flat_map(|(kind, fields)| fields.into_iter().map(move |field| (kind, field)))
        .flat_map(|(kind, field)| bodies(kind, &field))
        .collect()
}

/// A template is read as a whole, and then as an Application.
fn of_templates(application: &BTreeSet<Field>) -> Vec<Field> {
    let named = |name: &str| Step::Field(name.to_owned());
    let templates = [
        vec![named("spec"), named("template")],
        vec![
            named("spec"),
            named("generators"),
            Step::Item,
            named("list"),
            named("template"),
        ],
    ];
    let parts = [named("metadata"), named("spec")];
    let fields = application.iter();
    fields
        .filter(|field| {
            field
                .path
                .first()
                .is_some_and(|first| parts.contains(first))
        })
        .flat_map(|field| {
            templates.iter().map(|template| Field {
                path: [template.as_slice(), &field.path].concat(),
                shape: field.shape,
            })
        })
        .collect()
}

/// The children of matrix and merge are kept as they are written, and then read like any other
/// generator.
fn of_children(set: &BTreeSet<Field>) -> Vec<Field> {
    let named = |name: &str| Step::Field(name.to_owned());
    let entry = [named("spec"), named("generators"), Step::Item];
    let children = ["matrix", "merge"].map(|name| [named(name), named("generators"), Step::Item]);
    let fields = set.iter();
    fields
        .filter_map(|field| Some((field.path.strip_prefix(entry.as_slice())?, field.shape)))
        .flat_map(|(rest, shape)| {
            let (entry, children) = (&entry, &children);
            children.iter().map(move |child| Field {
                path: [entry.as_slice(), child, rest].concat(),
                shape,
            })
        })
        .collect()
}

/// The bodies that have much of a field: in itself, and in each list or map on the way to it.
fn bodies(kind: &'static str, field: &Field) -> Vec<HostileBody> {
    let body = |steps: &[Step], repeated: Repeated, delimiters: (&str, &str)| {
        let (before, after) = around(kind, steps, delimiters);
        HostileBody {
            kind,
            name: format!("{} {repeated:?}", name(steps)),
            before,
            repeated,
            after,
        }
    };
    let quotes = ("\"", "\"");
    let own = leaves(field.shape);
    let mut bodies = Vec::new();
    let text = |text: &str| Repeated::Text(text.to_owned());
    if matches!(field.shape, Shape::Text | Shape::Any) {
        bodies.extend(["a", "\\n", "{{"].map(|part| body(&field.path, text(part), quotes)));
    }
    if field.shape == Shape::Any {
        for item in ["0", "\"\"", "[]", "{}", r#"{"":0}"#, "[[[[[[0]]]]]]"] {
            let item = item.to_owned();
            bodies.push(body(&field.path, Repeated::Item(item.clone()), ("[", "]")));
            bodies.push(body(&field.path, Repeated::Entry(item), ("{", "}")));
        }
    }
    for (place, step) in field.path.iter().enumerate() {
        let (steps, rest) = (&field.path[..place], &field.path[place + 1..]);
        for leaf in own {
            let inner = wrapped(rest, leaf);
            match step {
                Step::Field(_) => {}
                Step::Item => bodies.push(body(steps, Repeated::Item(inner), ("[", "]"))),
                Step::Entry => bodies.push(body(steps, Repeated::Entry(inner), ("{", "}"))),
            }
        }
    }
    bodies
}

/// The shortest values of a field, beginning with nothing.
fn leaves(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Text => &["\"\"", "\"a\""],
        Shape::Scalar => &["false", "0"],
        Shape::List => &["[]"],
        Shape::Map | Shape::Object => &["{}"],
        Shape::Any => &["{}", "[]", "\"\"", r#"{"":0}"#, r#"[{"":0}]"#],
    }
}

fn wrapped(steps: &[Step], leaf: &str) -> String {
    steps
        .iter()
        .rev()
        .fold(leaf.to_owned(), |inner, step| match step {
            Step::Field(name) => format!("{{\"{name}\":{inner}}}"),
            Step::Item => format!("[{inner}]"),
            Step::Entry => format!("{{\"key\":{inner}}}"),
        })
}

/// What stands before and after a value in a review of a new object.
fn around(kind: &str, steps: &[Step], (open, close): (&str, &str)) -> (String, String) {
    const MARK: &str = "\u{1}";
    let (group, metadata) = match kind {
        "Secret" => (
            "",
            r#"{"labels":{"argocd.argoproj.io/secret-type":"cluster"}}"#,
        ),
        _ => ("argoproj.io", r#"{"name":"a","namespace":"argocd"}"#),
    };
    let value = wrapped(steps, &format!("{open}{MARK}{close}"));
    // A field that is there twice could not be read.
    let own_metadata = steps.first() == Some(&Step::Field("metadata".to_owned()));
    let metadata = if own_metadata || steps.is_empty() {
        String::new()
    } else {
        format!("\"metadata\":{metadata},")
    };
    let object = value
        .strip_prefix('{')
        .map_or(value.clone(), |members| format!("{{{metadata}{members}"));
    let review = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"1","kind":{{"group":"{group}","version":"v1","kind":"{kind}"}},"operation":"CREATE","userInfo":{{"username":"mallory"}},"object":{object}}}}}"#
    );
    let (before, after) = review.split_once(MARK).unwrap_or_default();
    (before.to_owned(), after.to_owned())
}

fn name(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Field(name) => format!("{path}/{name}"),
        Step::Item => format!("{path}/0"),
        Step::Entry => format!("{path}/*"),
    })
}
