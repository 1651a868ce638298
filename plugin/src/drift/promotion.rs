//! What a promotion would change: the Applications of one environment against their counterparts in
//! another one.

mod names;
mod pairing;

use std::collections::BTreeMap;

use argocd::comparison::differences;
use serde_json::Value;

use self::names::Words;
pub(crate) use self::pairing::{Candidate, Pairing, Selected, pair};
use super::field::{KEPT_BY_KUBERNETES, MASK, is_at_or_below, is_confidential};

/// An Application, and what it deploys.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) candidate: Candidate,
    pub(crate) spec: Value,
    /// What Git has of it, or why that is not known.
    pub(crate) objects: Result<Vec<Value>, String>,
    /// Whether the values of its Secrets are masked, so that they cannot be compared.
    pub(crate) is_masked: bool,
}

/// An Application and its counterpart, and what would change in that.
#[derive(Debug)]
pub(crate) struct Promotion {
    pub(crate) from: Candidate,
    pub(crate) to: Candidate,
    /// Fields of the Application's sources.
    pub(crate) values: Vec<Change>,
    pub(crate) images: Vec<ImageChange>,
    pub(crate) resources: Vec<ResourceChange>,
    /// How many fields differ only in what their environments are called.
    pub(crate) only_names: usize,
    /// Why only the values are known.
    pub(crate) reason: Option<String>,
}

/// A field that would change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// As a JSON Pointer, in what there is now.
    pub(crate) pointer: String,
    /// None where it is absent.
    pub(crate) now: Option<Value>,
    /// None where it would be absent.
    pub(crate) then: Option<Value>,
    /// Whether its values are hidden.
    pub(crate) masked: bool,
}

/// An image that would change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImageChange {
    pub(crate) object: ObjectName,
    pub(crate) container: String,
    pub(crate) now: Option<String>,
    pub(crate) then: Option<String>,
}

/// What an object is called.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ObjectName {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An object that would change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResourceChange {
    pub(crate) object: ObjectName,
    pub(crate) kind: ChangeKind,
    /// Its fields but for images; none of one that comes or goes.
    pub(crate) fields: Vec<Change>,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ChangeKind {
    Added,
    Changed,
    Removed,
}

impl ChangeKind {
    /// As reports have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
        }
    }
}

impl ObjectName {
    fn of(object: &Value) -> Self {
        let text = |pointer: &str| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let version = text("/apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        ObjectName {
            group: group.to_owned(),
            kind: text("/kind"),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
        }
    }

    /// `deployment/cart`.
    pub(crate) fn short(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }
}

impl Promotion {
    /// What would change in an Application if it got what its counterpart has.
    pub(crate) fn of(from: &Deployed, to: &Deployed) -> Self {
        let from_words = from.candidate.words(&to.candidate);
        let to_words = to.candidate.words(&from.candidate);
        let mut promotion = Promotion {
            from: from.candidate.clone(),
            to: to.candidate.clone(),
            values: Vec::new(),
            images: Vec::new(),
            resources: Vec::new(),
            only_names: 0,
            reason: None,
        };
        let comparer = Comparer {
            from: &from_words,
            to: &to_words,
        };
        let sources = [from, to].map(|side| sources(&side.spec));
        let (values, only_names) = comparer.changes(&sources[0], &sources[1]);
        promotion.values = values;
        promotion.only_names = only_names;
        match (&from.objects, &to.objects) {
            (Ok(then), Ok(now)) => {
                let is_masked = from.is_masked || to.is_masked;
                promotion.compare_objects(&comparer, then, now, is_masked);
            }
            (Err(reason), _) | (_, Err(reason)) => promotion.reason = Some(reason.clone()),
        }
        promotion
    }

    /// Whether it would change anything.
    pub(crate) fn changes(&self) -> bool {
        !(self.values.is_empty() && self.images.is_empty() && self.resources.is_empty())
    }

    fn compare_objects(
        &mut self,
        comparer: &Comparer<'_>,
        then: &[Value],
        now: &[Value],
        is_masked: bool,
    ) {
        let mut counterparts: BTreeMap<ObjectName, &Value> = BTreeMap::new();
        for object in then {
            counterparts.insert(comparer.from.key(&ObjectName::of(object)), object);
        }
        for object in now {
            let name = ObjectName::of(object);
            match counterparts.remove(&comparer.to.key(&name)) {
                Some(other) => self.compare_object(comparer, other, object, is_masked),
                None => self.resources.push(ResourceChange {
                    object: name,
                    kind: ChangeKind::Removed,
                    fields: Vec::new(),
                }),
            }
        }
        for object in counterparts.into_values() {
            self.resources.push(ResourceChange {
                object: ObjectName::of(object),
                kind: ChangeKind::Added,
                fields: Vec::new(),
            });
        }
        self.resources
            .sort_by(|one, other| one.object.cmp(&other.object));
        self.images
            .sort_by(|one, other| one.object.cmp(&other.object));
    }

    fn compare_object(
        &mut self,
        comparer: &Comparer<'_>,
        then: &Value,
        now: &Value,
        is_masked: bool,
    ) {
        let object = ObjectName::of(now);
        let is_secret = object.group.is_empty() && object.kind == "Secret";
        let (changes, only_names) = comparer.changes(&unmarked(then), &unmarked(now));
        self.only_names += only_names;
        let (mut fields, mut images) = (Vec::new(), Vec::new());
        for mut change in changes {
            let is_hidden = is_secret && is_confidential(&change.pointer);
            if is_hidden && is_masked && change.now.is_some() && change.then.is_some() {
                // What argocd-server masks differs in nothing but its length.
                continue;
            }
            if is_hidden {
                let mask = |value: Option<Value>| value.map(|_| Value::from(MASK));
                change.now = mask(change.now);
                change.then = mask(change.then);
                change.masked = true;
            }
            match container_of(&change.pointer, now, then) {
                Some(container) => images.push(ImageChange {
                    object: object.clone(),
                    container,
                    now: text(change.now),
                    then: text(change.then),
                }),
                None => fields.push(change),
            }
        }
        self.images.extend(images);
        if !fields.is_empty() {
            self.resources.push(ResourceChange {
                object,
                kind: ChangeKind::Changed,
                fields,
            });
        }
    }
}

fn text(value: Option<Value>) -> Option<String> {
    value.map(|value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    })
}

/// The container of which a field is the image.
fn container_of(pointer: &str, now: &Value, then: &Value) -> Option<String> {
    let container = pointer.strip_suffix("/image")?;
    let (list, place) = container.rsplit_once('/')?;
    let is_list = ["/containers", "/initContainers", "/ephemeralContainers"]
        .iter()
        .any(|name| list.ends_with(name));
    if !is_list || place.parse::<usize>().is_err() {
        return None;
    }
    let name = |object: &Value| {
        let name = object.pointer(container)?.get("name")?.as_str()?;
        Some(name.to_owned())
    };
    name(now).or_else(|| name(then))
}

/// What an Application is made from: all that is said of its sources.
fn sources(spec: &Value) -> Value {
    let mut sources = serde_json::Map::new();
    for name in ["source", "sources", "sourceHydrator"] {
        if let Some(value) = spec.get(name) {
            sources.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(serde_json::Map::from_iter([(
        "spec".to_owned(),
        Value::Object(sources),
    )]))
}

/// Without the marks of the Application that it is of.
fn unmarked(object: &Value) -> Value {
    const MARKS: [&str; 2] = [
        "argocd.argoproj.io/tracking-id",
        "argocd.argoproj.io/installation-id",
    ];
    let mut object = object.clone();
    if let Some(annotations) = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.retain(|name, _| !MARKS.contains(&name.as_str()));
    }
    let labels = object.pointer_mut("/metadata/labels");
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.remove("app.kubernetes.io/instance");
    }
    object
}

struct Comparer<'w> {
    from: &'w Words,
    to: &'w Words,
}

impl Comparer<'_> {
    /// What differs, and how many fields differ in the names of their environments only.
    fn changes(&self, then: &Value, now: &Value) -> (Vec<Change>, usize) {
        let mut only_names = 0;
        let mut changes = Vec::new();
        for difference in differences(then, now) {
            let mut kept = KEPT_BY_KUBERNETES.iter();
            if kept.any(|kept| is_at_or_below(&difference.pointer, kept)) {
                continue;
            }
            let is_same = match (&difference.desired, &difference.live) {
                (Some(then), Some(now)) => self.from.neutral(then) == self.to.neutral(now),
                _ => false,
            };
            if is_same {
                only_names += 1;
                continue;
            }
            changes.push(Change {
                pointer: difference.pointer,
                now: difference.live,
                then: difference.desired,
                masked: false,
            });
        }
        (changes, only_names)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployed(environment: &str, tag: &str, replicas: u8, more: &[Value]) -> Deployed {
        let name = format!("shop-{environment}");
        let mut objects = vec![json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "shop", "namespace": name,
                "annotations": {"argocd.argoproj.io/tracking-id": format!("{name}:x")},
            },
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [
                {"name": "shop", "image": format!("registry.example.com/shop:{tag}"), "env": [
                    {"name": "URL", "value": format!("https://shop.{environment}.example.com")},
                ]},
            ]}}},
        })];
        objects.extend_from_slice(more);
        Deployed {
            candidate: Candidate {
                namespace: "argocd".to_owned(),
                name: name.clone(),
                labels: BTreeMap::new(),
                words: Vec::new(),
            },
            spec: json!({
                "source": {
                    "repoURL": "https://git.example.com/shop.git", "path": format!("apps/shop/{environment}"),
                    "targetRevision": tag,
                },
                "destination": {"namespace": name},
            }),
            objects: Ok(objects),
            is_masked: false,
        }
    }

    fn secret(environment: &str, value: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": format!("{environment}-tokens"), "namespace": format!("shop-{environment}")},
            "data": {"token": value, "same": "c2FtZQ=="},
        })
    }

    #[test]
    fn values_and_images_are_told_apart_from_names_of_environments() {
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"}});
        let from = deployed("staging", "2.0.0", 2, &[secret("staging", "bmV3")]);
        let to = deployed(
            "production",
            "1.0.0",
            5,
            &[secret("production", "b2xk"), config],
        );
        let promotion = Promotion::of(&from, &to);
        let values: Vec<_> = promotion
            .values
            .iter()
            .map(|one| one.pointer.as_str())
            .collect();
        assert_eq!(values, ["/spec/source/targetRevision"]);
        let image = &promotion.images[0];
        assert_eq!(
            (
                image.container.as_str(),
                image.now.as_deref(),
                image.then.as_deref()
            ),
            (
                "shop",
                Some("registry.example.com/shop:1.0.0"),
                Some("registry.example.com/shop:2.0.0")
            )
        );
        let resources = promotion.resources.iter();
        let resources: Vec<_> = resources
            .map(|one| {
                let fields: Vec<_> = one
                    .fields
                    .iter()
                    .map(|field| field.pointer.as_str())
                    .collect();
                (one.object.short(), one.kind, fields)
            })
            .collect();
        assert_eq!(
            resources,
            [
                ("configmap/old".to_owned(), ChangeKind::Removed, vec![]),
                (
                    "secret/production-tokens".to_owned(),
                    ChangeKind::Changed,
                    vec!["/data/token"]
                ),
                (
                    "deployment/shop".to_owned(),
                    ChangeKind::Changed,
                    vec!["/spec/replicas"]
                ),
            ]
        );
        let token = &promotion.resources[1].fields[0];
        assert_eq!((&token.now, token.masked), (&Some(json!(MASK)), true));
        // The path, the URL, the namespaces and the name of the Secret.
        assert!(promotion.only_names >= 5, "{}", promotion.only_names);
        assert!(!Promotion::of(&from, &from).changes());
    }

    #[test]
    fn values_that_are_masked_are_not_compared() {
        let mut from = deployed("staging", "1.0.0", 2, &[secret("staging", "++++++++")]);
        from.is_masked = true;
        let to = deployed("production", "1.0.0", 2, &[secret("production", "++++")]);
        assert!(!Promotion::of(&from, &to).changes());
        from.objects = Err("Helm is not there".to_owned());
        let promotion = Promotion::of(&from, &to);
        assert_eq!(promotion.reason.as_deref(), Some("Helm is not there"));
    }
}
