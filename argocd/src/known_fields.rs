//! The fields that Argo CD's objects have. The API server drops any other without a word, and what
//! it says is lost.
//!
//! They are those of Argo CD's `CustomResourceDefinition`s, as `known_fields.txt` has them: a test
//! with Argo CD's own definitions proves that it is current.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// A field that Argo CD's objects of a kind do not have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownField {
    /// JSON Pointer.
    pub field: String,
    /// What may have been meant.
    pub meant: Option<Meant>,
}

/// What may have been meant by a field that is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Meant {
    /// Another field beside it.
    Name(String),
    /// The same field elsewhere: in the object with this path, such as `spec.syncPolicy`.
    Place(String),
}

/// The most unknown fields of one object that are told.
const LIMIT: usize = 32;

/// The longest name that is compared with others, in bytes: what is longer is none that was
/// misspelt.
const NAME_LIMIT: usize = 64;

/// The version of Argo CD whose fields these are, such as `v3.6.1`.
pub fn version() -> &'static str {
    KNOWN.version
}

/// The fields of an object that the API server drops as its kind does not have them. What is `null`
/// says nothing, and of `status` and free-form values nothing is told.
pub fn unknown_fields(kind: &str, object: &Value) -> Vec<UnknownField> {
    let mut search = Search {
        root: KNOWN.kinds.get(kind).map(|node| &KNOWN.nodes[*node]),
        path: String::new(),
        found: Vec::new(),
    };
    let Some(members) = object.as_object() else {
        return Vec::new();
    };
    match (kind, search.root) {
        ("Secret", _) => search.look_at_names(members, &SECRET),
        (_, Some(root)) => search.look_at(members, root),
        (_, None) => return Vec::new(),
    }
    if let Some(metadata) = object.get("metadata").and_then(Value::as_object) {
        search.path.push_str("/metadata");
        search.look_at_names(metadata, &METADATA);
    }
    search.found.truncate(LIMIT);
    search.found
}

/// The name that is most like another one, if one is like it at all. Case does not count.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > NAME_LIMIT {
        return None;
    }
    let wanted = name.to_lowercase();
    let alike = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.85);
    alike
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// The fields of a Secret (Kubernetes 1.34), and what SOPS adds to one in a file.
const SECRET: [&str; 8] = [
    "apiVersion",
    "data",
    "immutable",
    "kind",
    "metadata",
    "sops",
    "stringData",
    "type",
];

/// The fields of any object's `metadata` (Kubernetes 1.34, `ObjectMeta`).
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The fields of an object, by name, each with the node of what it holds if that has fields as
/// well. Lists are passed over.
type Node = BTreeMap<&'static str, Option<usize>>;

struct Known {
    version: &'static str,
    kinds: BTreeMap<&'static str, usize>,
    nodes: Vec<Node>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| Known::of(include_str!("known_fields.txt")));

impl Known {
    /// Reads what the test writes: comments, the version, a line for each kind, a line for each
    /// node.
    fn of(text: &'static str) -> Self {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let version = lines.next().unwrap_or_default();
        let (kinds, nodes): (Vec<&str>, Vec<&str>) =
            lines.partition(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
        let fields = |line: &'static str| -> Node {
            let fields = line.split(' ').map(|field| match field.split_once('=') {
                Some((name, node)) => (name, node.parse().ok()),
                None => (field, None),
            });
            fields.collect()
        };
        Known {
            version,
            kinds: kinds
                .into_iter()
                .filter_map(|line| line.split_once('='))
                .filter_map(|(kind, node)| Some((kind, node.parse().ok()?)))
                .collect(),
            nodes: nodes.into_iter().map(fields).collect(),
        }
    }
}

struct Search {
    root: Option<&'static Node>,
    /// JSON Pointer to what is looked at.
    path: String,
    found: Vec<UnknownField>,
}

impl Search {
    fn look_at(&mut self, members: &Map<String, Value>, node: &'static Node) {
        for (name, value) in members {
            if self.found.len() >= LIMIT {
                return;
            }
            match node.get(name.as_str()) {
                Some(Some(below)) => self.step(name, |search| search.look_below(value, *below)),
                Some(None) => {}
                None => self.tell(name, value, node.keys().copied(), members, node),
            }
        }
    }

    fn look_below(&mut self, value: &Value, node: usize) {
        match value {
            Value::Object(members) => self.look_at(members, &KNOWN.nodes[node]),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.step(&index.to_string(), |search| search.look_below(item, node));
                }
            }
            // It is of a wrong type, which is told elsewhere.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn look_at_names(&mut self, members: &Map<String, Value>, known: &[&'static str]) {
        for (name, value) in members {
            if !known.contains(&name.as_str()) && !value.is_null() {
                let meant = nearest(name, known.iter().copied());
                self.add(name, meant.map(|name| Meant::Name(name.to_owned())));
            }
        }
    }

    fn tell(
        &mut self,
        name: &str,
        value: &Value,
        known: impl Iterator<Item = &'static str>,
        members: &Map<String, Value>,
        node: &'static Node,
    ) {
        // SOPS adds its own to whatever it encrypts. That an entry has no generator but one that is
        // not known is told where it is expanded.
        let is_generator = node.contains_key("clusters")
            && !members.keys().any(|name| node.contains_key(name.as_str()));
        if value.is_null() || is_generator || self.path.is_empty() && name == "sops" {
            return;
        }
        // A name that stands elsewhere is not misspelt.
        let place = self.place(name).map(Meant::Place);
        let meant = place.or_else(|| {
            let known = known.filter(|known| !members.contains_key(*known));
            nearest(name, known).map(|name| Meant::Name(name.to_owned()))
        });
        self.add(name, meant);
    }

    fn add(&mut self, name: &str, meant: Option<Meant>) {
        self.found.push(UnknownField {
            field: format!("{}/{}", self.path, escaped(name)),
            meant,
        });
    }

    fn step(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(&escaped(name));
        look(self);
        self.path.truncate(length);
    }

    /// The one place nearest to the root of `spec` that has a field of a name. Where there are
    /// several, nobody knows which was meant.
    fn place(&self, name: &str) -> Option<String> {
        let spec = self.root?.get("spec").copied().flatten()?;
        let mut level = VecDeque::from([("spec".to_owned(), spec)]);
        for _ in 0..4 {
            let mut places: Vec<&String> = level
                .iter()
                .filter(|(_, node)| KNOWN.nodes[*node].contains_key(name))
                .map(|(path, _)| path)
                .collect();
            if let Some(place) = places.pop() {
                return places.is_empty().then(|| place.clone());
            }
            let below = level.drain(..).flat_map(|(path, node)| {
                let fields = KNOWN.nodes[node].iter();
                let fields = fields.filter(|(name, _)| **name != "generators");
                fields.filter_map(move |(name, node)| Some((format!("{path}.{name}"), (*node)?)))
            });
            level = below.collect();
        }
        None
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(kind: &str, object: &Value) -> Vec<(String, Option<Meant>)> {
        let found = unknown_fields(kind, object).into_iter();
        found
            .map(|unknown| (unknown.field, unknown.meant))
            .collect()
    }

    fn name(name: &str) -> Meant {
        Meant::Name(name.to_owned())
    }

    fn place(place: &str) -> Meant {
        Meant::Place(place.to_owned())
    }

    #[test]
    fn misspelt_fields_are_told_with_the_nearest() {
        for (kind, object, field, meant) in [
            (
                "Application",
                json!({"spec": {"syncPolicy": {"automated": {"selfheal": true}}}}),
                "/spec/syncPolicy/automated/selfheal",
                Some(name("selfHeal")),
            ),
            (
                "Application",
                json!({"spec": {"sources": [{}, {"targetRevison": "v1"}]}}),
                "/spec/sources/1/targetRevison",
                Some(name("targetRevision")),
            ),
            (
                "Application",
                json!({"spec": {"ignoreDifference": []}}),
                "/spec/ignoreDifference",
                Some(name("ignoreDifferences")),
            ),
            (
                "Application",
                json!({"metadata": {"annotation": {}}}),
                "/metadata/annotation",
                Some(name("annotations")),
            ),
            (
                "Application",
                json!({"spce": {}}),
                "/spce",
                Some(name("spec")),
            ),
            (
                "AppProject",
                json!({"spec": {"clusterResourcesWhitelist": []}}),
                "/spec/clusterResourcesWhitelist",
                Some(name("clusterResourceWhitelist")),
            ),
            (
                "AppProject",
                json!({"spec": {"destinations": [{"cluster": "a"}]}}),
                "/spec/destinations/0/cluster",
                None,
            ),
            (
                "ApplicationSet",
                json!({"spec": {"template": {"spec": {"syncPolicy": {"syncOption": []}}}}}),
                "/spec/template/spec/syncPolicy/syncOption",
                Some(name("syncOptions")),
            ),
            (
                "ApplicationSet",
                json!({"spec": {"generators": [{"clusters": {"selectors": {}}}]}}),
                "/spec/generators/0/clusters/selectors",
                Some(name("selector")),
            ),
            (
                "ApplicationSet",
                json!({"spec": {"generators": [{"matrix": {"generators": [{"git": {"directory": []}}]}}]}}),
                "/spec/generators/0/matrix/generators/0/git/directory",
                Some(name("directories")),
            ),
            (
                "Secret",
                json!({"stringdata": {}}),
                "/stringdata",
                Some(name("stringData")),
            ),
        ] {
            assert_eq!(
                found(kind, &object),
                [(field.to_owned(), meant)],
                "{object}"
            );
        }
    }

    #[test]
    fn fields_at_the_wrong_level_are_told_with_the_right_one() {
        for (kind, object, field, meant) in [
            (
                "ApplicationSet",
                json!({"spec": {"preserveResourcesOnDeletion": true}}),
                "/spec/preserveResourcesOnDeletion",
                Some(place("spec.syncPolicy")),
            ),
            (
                "Application",
                json!({"spec": {"syncOptions": ["a"]}}),
                "/spec/syncOptions",
                Some(place("spec.syncPolicy")),
            ),
            (
                "Application",
                json!({"spec": {"automated": {}}}),
                "/spec/automated",
                Some(place("spec.syncPolicy")),
            ),
            (
                "Application",
                json!({"spec": {"syncPolicy": {"selfHeal": true}}}),
                "/spec/syncPolicy/selfHeal",
                Some(place("spec.syncPolicy.automated")),
            ),
            (
                "ApplicationSet",
                json!({"goTemplate": true}),
                "/goTemplate",
                Some(place("spec")),
            ),
        ] {
            assert_eq!(
                found(kind, &object),
                [(field.to_owned(), meant)],
                "{object}"
            );
        }
    }

    #[test]
    fn what_is_known_free_or_nothing_is_not_told() {
        for (kind, object) in [
            (
                "Application",
                json!({
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                    "metadata": {"name": "a", "labels": {"x": "y"}, "creationTimestamp": null},
                    "spec": {"source": {"helm": {"valuesObject": {"any": {"thing": 1}}}}, "unknown": null},
                    "status": {"anything": 1},
                    "operation": {"sync": {"revision": "a"}},
                    "sops": {},
                }),
            ),
            (
                "ApplicationSet",
                json!({"spec": {"generators": [{"lst": {}}, {"list": {"elements": [{"any": 1}]}}]}}),
            ),
            ("Secret", json!({"sops": {}, "data": {"config": "x"}})),
            ("ConfigMap", json!({"anything": 1})),
            ("Application", json!("text")),
        ] {
            assert_eq!(found(kind, &object), [], "{object}");
        }
    }

    #[test]
    fn no_more_are_told_than_anybody_reads() {
        let fields: Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), json!(1))).collect();
        assert_eq!(found("Application", &json!({"spec": fields})).len(), LIMIT);
    }
}
