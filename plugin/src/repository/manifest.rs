//! Objects in files: which of them matter, and where they stand.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use argocd::Cluster;
use argocd::known_fields::{UnknownField, nearest, unknown_fields};
use argocd::kubernetes::names::{Refused, check_name, check_namespace};
use argocd::names::{
    GROUP, LABEL_SECRET_TYPE, PARAMETERS_CONFIG_MAP, SECRET_TYPE_CLUSTER, SECRET_TYPE_REPOSITORY,
    SETTINGS_CONFIG_MAP, VERSION,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use golang::yaml::{Document, Lines};
use policy::finding::{dotted, shorten};
use policy::{Kind, Object, Unreadable};
use serde_json::{Map, Value, json};
use strsim::osa_distance;

use super::problem::Problem;
use crate::namespaces::Namespaces;

/// The kind of an object. A Secret means something only in Argo CD's namespace.
fn kind_of(object: &Value, reference: &ObjectReference, is_argo_cds: bool) -> Option<Kind> {
    let label = object
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get(LABEL_SECRET_TYPE))
        .and_then(Value::as_str);
    let is_like = |kind: &Kind| {
        reference.api_version == kind.api_version() && reference.kind == kind.as_str()
    };
    let is = |kind: &Kind| match kind {
        Kind::Application | Kind::ApplicationSet | Kind::AppProject | Kind::Policy => true,
        Kind::ClusterSecret => is_argo_cds && label == Some(SECRET_TYPE_CLUSTER),
        Kind::RepositorySecret => is_argo_cds && label == Some(SECRET_TYPE_REPOSITORY),
        Kind::Settings => reference.name.as_deref() == Some(SETTINGS_CONFIG_MAP),
        Kind::Parameters => reference.name.as_deref() == Some(PARAMETERS_CONFIG_MAP),
    };
    let mut kinds = Kind::ALL.into_iter();
    kinds.find(|kind| is_like(kind) && is(kind)).or_else(|| {
        let template = SecretTemplate::of(reference)?;
        (is_argo_cds && template.makes_cluster(object)).then_some(Kind::ClusterSecret)
    })
}

/// Where an object of another kind has the Secret that a controller makes from it.
#[derive(Clone, Copy, Debug)]
struct SecretTemplate {
    kind: &'static str,
    pointer: &'static str,
    /// Where it has the Secret's name, if that is not the object's own.
    name: &'static str,
}

const SECRET_TEMPLATES: [(&str, SecretTemplate); 3] = [
    (
        "external-secrets.io",
        SecretTemplate {
            kind: "ExternalSecret",
            pointer: "/spec/target/template",
            name: "/spec/target/name",
        },
    ),
    (
        "external-secrets.io",
        SecretTemplate {
            kind: "ClusterExternalSecret",
            pointer: "/spec/externalSecretSpec/target/template",
            name: "/spec/externalSecretSpec/target/name",
        },
    ),
    (
        "bitnami.com",
        SecretTemplate {
            kind: "SealedSecret",
            pointer: "/spec/template",
            name: "/spec/template/metadata/name",
        },
    ),
];

impl SecretTemplate {
    fn of(reference: &ObjectReference) -> Option<Self> {
        let (group, _) = reference.api_version.split_once('/')?;
        let mut all = SECRET_TEMPLATES.into_iter();
        let found =
            all.find(|(own, template)| *own == group && template.kind == reference.kind.as_str());
        found.map(|(_, template)| template)
    }

    fn makes_cluster(self, object: &Value) -> bool {
        let labels = object.pointer(&format!("{}/metadata/labels", self.pointer));
        let label = labels.and_then(|labels| labels.get(LABEL_SECRET_TYPE));
        label.and_then(Value::as_str) == Some(SECRET_TYPE_CLUSTER)
    }

    /// The Secret, with those of its values that are written as they will be.
    fn secret(self, object: &Value) -> Value {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let template = object.pointer(self.pointer);
        let part = |pointer| {
            let part = template.and_then(|template| template.pointer(pointer));
            part.filter(|part| part.is_object()).cloned()
        };
        let mut values = Map::new();
        if let Some(Value::Object(data)) = part("/data") {
            let is_whole = |value: &Value| value.as_str().is_some_and(|text| !text.contains("{{"));
            values.extend(data.into_iter().filter(|(_, value)| is_whole(value)));
        }
        json!({
            "metadata": {
                "name": text(self.name).or_else(|| text("/metadata/name")),
                "namespace": text("/metadata/namespace"),
                "labels": part("/metadata/labels"),
                "annotations": part("/metadata/annotations"),
            },
            "stringData": values,
        })
    }
}

/// An API group with kinds that are read.
struct Api {
    group: &'static str,
    kinds: &'static [&'static str],
    /// Who reads them.
    owner: &'static str,
}

const APIS: [Api; 2] = [
    Api {
        group: GROUP,
        kinds: &["Application", "ApplicationSet", "AppProject"],
        owner: "Argo CD",
    },
    Api {
        group: "kubectl-gitops.io",
        kinds: &["GitOpsPolicy"],
        owner: "kubectl gitops",
    },
];

impl Api {
    /// Whether an `apiVersion` of one of the kinds is meant to be of this group. Others have kinds
    /// of these names, too (`app.k8s.io`, `core.oam.dev`, `applications.argocd.crossplane.io`), so
    /// that only a few characters may differ.
    fn is_meant_by(&self, api_version: &str) -> bool {
        let written = api_version.to_lowercase();
        if written.len() > QUOTE_LIMIT {
            return false;
        }
        if let Some((group, version)) = written.split_once('/') {
            let differing = if version == VERSION { 3 } else { 2 };
            return osa_distance(group, self.group) <= differing;
        }
        let whole = format!("{}/{VERSION}", self.group);
        written == self.group || written == VERSION || osa_distance(&written, &whole) <= 2
    }
}

/// The longest name or `apiVersion` of which is told that it is wrong, in characters.
const QUOTE_LIMIT: usize = 64;

/// Whether a text has a variable of envsubst, Flux or Kustomize, or SOPS has encrypted it.
fn is_filled_in_later(text: &str) -> bool {
    text.contains("${") || text.contains("$(") || text.starts_with("ENC[")
}

/// Kinds of Argo's other projects, in the same group, that are like one of Argo CD's.
const OTHER_KINDS: [&str; 1] = ["ArgoCD"];

/// How Kubernetes names an object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct ObjectReference {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    /// As the file has it.
    pub(crate) namespace: Option<String>,
    /// None for an object that the API server is to name.
    pub(crate) name: Option<String>,
}

impl ObjectReference {
    fn of(object: &Value) -> Option<Self> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        Some(ObjectReference {
            api_version: text("/apiVersion")?.to_owned(),
            kind: text("/kind")?.to_owned(),
            namespace: text("/metadata/namespace").map(str::to_owned),
            name: text("/metadata/name").map(str::to_owned),
        })
    }

    /// The namespace that it names, or the one of objects that name none.
    fn namespace_or<'n>(&'n self, default: &'n str) -> &'n str {
        let own = self.namespace.as_deref();
        own.filter(|own| !own.is_empty()).unwrap_or(default)
    }

    /// Which field of its type looks like a misspelt one of Argo CD's, or of ours, and what that
    /// means.
    fn misspelt(&self) -> Option<(&'static str, String)> {
        let short = self.short();
        let ObjectReference {
            api_version, kind, ..
        } = self;
        if let Some(api) = APIS.iter().find(|api| api.kinds.contains(&kind.as_str())) {
            let text = format!(
                "{short} skipped: apiVersion {api_version} is not one that {} knows; did you mean {}/{VERSION}?",
                api.owner, api.group
            );
            return api
                .is_meant_by(api_version)
                .then_some(("/apiVersion", text));
        }
        let (group, _) = api_version.split_once('/')?;
        let api = APIS.iter().find(|api| api.group == group)?;
        // What is short or has another end is told apart by nobody's mistake.
        let is_other = OTHER_KINDS.contains(&kind.as_str()) || kind.ends_with("List");
        let meant = nearest(kind, api.kinds.iter().copied()).filter(|_| !is_other)?;
        let text = format!(
            "{kind} of {api_version} is not a known kind, so {short} is not judged: write kind: {meant}"
        );
        Some(("", text))
    }

    /// Which field of its name the API server refuses, and why.
    fn refused_name(&self) -> Option<(&'static str, String)> {
        let refused = |field, text: &Option<String>, check: fn(&str) -> Result<(), Refused>| {
            let text = text.as_deref()?;
            // The API server makes up what is empty, or it is filled in later.
            if text.is_empty() || is_filled_in_later(text) {
                return None;
            }
            let reason = check(text).err()?;
            let short = shorten(&self.short(), QUOTE_LIMIT);
            let written = shorten(text, QUOTE_LIMIT);
            let field_name = dotted(field);
            let text =
                format!("{short}: the API server refuses {field_name} {written:?}: {reason}");
            Some((field, text))
        };
        refused("/metadata/name", &self.name, check_name)
            .or_else(|| refused("/metadata/namespace", &self.namespace, check_namespace))
    }

    fn display_name(&self) -> &str {
        match self.name.as_deref() {
            None => "(no name)",
            // What SOPS leaves in the place of a name tells nobody anything.
            Some(name) if name.starts_with("ENC[") => "(encrypted name)",
            Some(name) => name,
        }
    }

    /// `application/NAME`.
    pub(crate) fn short(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.display_name())
    }

    /// `application.argoproj.io/NAME`, as `kubectl -o name` writes it.
    pub(crate) fn qualified(&self) -> String {
        let kind = self.kind.to_lowercase();
        match self.api_version.split_once('/') {
            Some((group, _)) => format!("{kind}.{group}/{}", self.display_name()),
            None => format!("{kind}/{}", self.display_name()),
        }
    }
}

/// An object in a file.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) kind: Kind,
    pub(crate) reference: ObjectReference,
    /// Where it is once it is applied.
    pub(crate) namespace: String,
    /// The name of the Secret that a controller makes from it.
    made_name: Option<String>,
    pub(crate) file: Arc<str>,
    /// The object as the API server would see it. JSON takes a tenth of a parsed value's memory.
    json: Box<str>,
    lines: Arc<Lines>,
    /// Where it is in its document.
    pointer: String,
    /// The keys of a Secret's `data` that the file has in `stringData`.
    plain_text: Vec<String>,
    /// The folder of a kustomization that changes the object before it is applied.
    pub(crate) overlay: Option<Arc<str>>,
    /// Fields that its kind does not have.
    pub(crate) unknown_fields: Vec<UnknownField>,
    /// The folders of the kustomizations, or of the chart, by which it is applied; none where it is
    /// applied as it is.
    pub(super) applied_by: Arc<BTreeSet<PathBuf>>,
    /// Where the file has the Secret, if it is one that a controller makes.
    template: Option<SecretTemplate>,
}

impl Manifest {
    /// Whether it is applied by the kustomization or the chart of one of some folders.
    pub(crate) fn is_applied_by(&self, folders: &BTreeSet<PathBuf>) -> bool {
        !self.applied_by.is_disjoint(folders)
    }

    /// Whether it is applied together with another one, as far as the files tell.
    pub(crate) fn is_applied_with(&self, other: &Self) -> bool {
        let (own, others) = (&self.applied_by, &other.applied_by);
        own.is_empty() && others.is_empty() || !own.is_disjoint(others)
    }

    /// The lines of its document, and where it is in that.
    pub(crate) fn lines(&self) -> (&Lines, &str) {
        (&self.lines, &self.pointer)
    }

    /// The line on which it starts.
    pub(crate) fn line(&self) -> usize {
        self.lines.line_of(&self.pointer)
    }

    /// The line of one of its fields, or of what is nearest above it.
    pub(crate) fn line_of(&self, field: &str) -> usize {
        self.lines.line_of(&format!("{}{field}", self.pointer))
    }

    /// What tells it from all others once it is applied, in the cluster that Argo CD has its
    /// objects in.
    pub(crate) fn applied_reference(&self) -> ObjectReference {
        let mut applied = self.reference.clone();
        applied.namespace = Some(self.namespace.clone());
        if self.template.is_some() {
            "v1".clone_into(&mut applied.api_version);
            "Secret".clone_into(&mut applied.kind);
            applied.name.clone_from(&self.made_name);
        }
        applied
    }

    /// A field of the object as the file has it: what stands in a Secret's `data` may have been
    /// written in `stringData`.
    pub(crate) fn field_in_file(&self, field: &str) -> String {
        if let Some(template) = self.template {
            return format!("{}{field}", template.pointer);
        }
        match field.strip_prefix("/data/") {
            Some(rest) if self.plain_text.iter().any(|key| key == first_token(rest)) => {
                format!("/stringData/{rest}")
            }
            _ => field.to_owned(),
        }
    }

    /// Reads the object as one that is judged.
    ///
    /// # Errors
    /// It is not judged, or a field has another type than its kind says.
    pub(crate) fn object(&self) -> Result<Object<'_>, Problem> {
        let object = Object::from_json(self.kind, &self.json);
        Ok(
            match (
                object.map_err(|error| self.unreadable(&error))?,
                self.template,
            ) {
                (Object::ClusterSecret(secret), Some(template)) => {
                    Object::ClusterSecret(Box::new(secret.made_from(template.kind)))
                }
                (object, _) => object,
            },
        )
    }

    /// The cluster that it describes, if it is a Secret that can be read.
    pub(crate) fn cluster(&self) -> Option<Cluster> {
        match self.object() {
            Ok(Object::ClusterSecret(secret)) => secret.cluster().ok(),
            _ => None,
        }
    }

    /// The object as the API server would see it, in JSON.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// The kind of the object that a controller makes it from, if one does.
    pub(crate) fn made_from(&self) -> Option<&'static str> {
        self.template.map(|template| template.kind)
    }

    /// That the object cannot be read.
    pub(crate) fn unreadable(&self, error: &Unreadable) -> Problem {
        let reason = error.at(&self.field_in_file(&error.field));
        self.problem_at(&error.field, reason)
    }

    /// That the object cannot be judged.
    pub(crate) fn problem(&self, reason: impl Into<String>) -> Problem {
        self.problem_at("", reason)
    }

    fn problem_at(&self, field: &str, reason: impl Into<String>) -> Problem {
        Problem::Object {
            file: self.file.to_string(),
            line: self.line_of(&self.field_in_file(field)),
            object: self.reference.short(),
            reason: reason.into(),
        }
    }
}

fn first_token(pointer: &str) -> &str {
    pointer.split('/').next().unwrap_or_default()
}

/// Adds the objects of a document that matter, those in a `List` one by one.
pub(super) fn collect(
    file: &Arc<str>,
    document: Document,
    namespaces: Namespaces<'_>,
    manifests: &mut Vec<Manifest>,
    warnings: &mut Vec<String>,
) {
    let Document { value, lines } = document;
    let lines = Arc::new(lines);
    for (pointer, mut value) in flatten(value, String::new()) {
        let Some(reference) = ObjectReference::of(&value) else {
            continue;
        };
        let namespace = reference.namespace_or(namespaces.objects).to_owned();
        let found = kind_of(&value, &reference, namespaces.may_be_argo_cds(&namespace));
        let mut warn = |field: &str, text: &str| {
            let line = lines.line_of(&format!("{pointer}{field}"));
            warnings.push(format!("{file}:{line}: {text}"));
        };
        if found.is_none()
            && let Some((field, misspelt)) = reference.misspelt()
        {
            warn(field, &misspelt);
        }
        if found.is_some()
            && let Some((field, refused)) = reference.refused_name()
        {
            warn(field, &refused);
        }
        if let Some(kind) = found {
            let template = SecretTemplate::of(&reference);
            let mut made_name = None;
            let unknown_fields = if kind.is_judged() && template.is_none() {
                unknown_fields(&reference.kind, &value)
            } else {
                Vec::new()
            };
            if let Some(template) = template {
                value = template.secret(&value);
                let name = value.pointer("/metadata/name").and_then(Value::as_str);
                made_name = name.map(str::to_owned);
            }
            let plain_text = admit(&mut value, kind, &namespace);
            manifests.push(Manifest {
                kind,
                reference,
                namespace,
                made_name,
                file: Arc::clone(file),
                json: value.to_string().into(),
                lines: Arc::clone(&lines),
                pointer,
                plain_text,
                overlay: None,
                unknown_fields,
                applied_by: Arc::default(),
                template,
            });
        }
    }
}

/// The objects of a document, each with its place. Items of a typed list such as an
/// `ApplicationList` may leave their type to it.
fn flatten(mut value: Value, pointer: String) -> Vec<(String, Value)> {
    let kind = |value: &Value| value.get("kind").and_then(Value::as_str).map(str::to_owned);
    let item_kind = kind(&value).and_then(|kind| kind.strip_suffix("List").map(str::to_owned));
    let (Some(item_kind), Some(Value::Array(items))) =
        (item_kind, value.get_mut("items").map(Value::take))
    else {
        return vec![(pointer, value)];
    };
    let api_version = value.get("apiVersion").cloned();
    let mut objects = Vec::with_capacity(items.len());
    for (index, mut item) in items.into_iter().enumerate() {
        if let Some(item) = item.as_object_mut().filter(|_| !item_kind.is_empty()) {
            item.entry("kind")
                .or_insert_with(|| item_kind.clone().into());
            if let Some(api_version) = &api_version {
                item.entry("apiVersion")
                    .or_insert_with(|| api_version.clone());
            }
        }
        objects.extend(flatten(item, format!("{pointer}/items/{index}")));
    }
    objects
}

/// Does to an object what the API server would: gives it the namespace that it is applied to, and
/// moves a Secret's `stringData` into its `data`. Returns the keys that were moved.
fn admit(object: &mut Value, kind: Kind, namespace: &str) -> Vec<String> {
    if kind != Kind::Policy
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata
            .get("namespace")
            .is_none_or(|value| value.is_null() || value == "")
    {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    if kind.is_secret() {
        object
            .as_object_mut()
            .map(merge_string_data)
            .unwrap_or_default()
    } else {
        Vec::new()
    }
}

/// Moves a Secret's `stringData` into its `data`. Returns the keys that were moved.
pub(crate) fn merge_string_data(secret: &mut Map<String, Value>) -> Vec<String> {
    let Some(Value::Object(plain)) = secret.remove("stringData") else {
        return Vec::new();
    };
    let data = secret.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else {
        return Vec::new();
    };
    let mut moved = Vec::with_capacity(plain.len());
    for (key, value) in plain {
        moved.push(key.clone());
        let value = match value {
            Value::String(text) => BASE64_STANDARD.encode(text).into(),
            other => other,
        };
        data.insert(key, value);
    }
    moved
}
