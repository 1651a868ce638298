//! ApplicationSet: what it says, and which Applications it generates.
//!
//! ```text
//!   generators ──> parameter sets ──┐
//!   (clusters, checkouts)           ├─> Applications, one for each set
//!   template, templatePatch ────────┘
//! ```
//!
//! Follows Argo CD 3.5: `applicationset/generators`, `applicationset/controllers/template` and
//! `applicationset/utils`. Whoever may write an ApplicationSet can make it large, or make a template
//! run away, so everything here is done within [`Limits`].
//!
//! What depends on the world outside (pull requests, repositories of an organisation, a plugin's answer, a
//! Git repository that is not at hand) is [`Undecided`]: reported with the template, of which much can
//! still be judged, and never guessed.

mod expansion;
mod fast_template;
mod generators;
mod parameters;
mod patch;
mod schema;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Map, Value};

pub use self::expansion::{
    Expansion, ExpansionError, Generated, GeneratedApplication, Limits, Undecided,
};
use self::generators::GeneratorEntry;
pub use self::generators::git::{Checkout, Checkouts, NoCheckouts};
use self::schema::{APPLICATION, Mismatch, Names};
use crate::kubernetes::Metadata;
use crate::text::{null_as_default, object, objects, optional_object, strings};

/// An ApplicationSet, the part of it that is read.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ApplicationSet<'a> {
    /// Name, namespace, labels, annotations.
    #[serde(borrow, deserialize_with = "object")]
    pub metadata: Metadata<'a>,
    /// What it generates.
    #[serde(deserialize_with = "object")]
    pub spec: ApplicationSetSpec,
}

/// `spec` of an ApplicationSet.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSetSpec {
    #[serde(deserialize_with = "null_as_default")]
    go_template: bool,
    #[serde(deserialize_with = "strings")]
    go_template_options: Vec<String>,
    #[serde(deserialize_with = "objects")]
    generators: Vec<GeneratorEntry>,
    #[serde(deserialize_with = "null_as_default")]
    template: Template,
    #[serde(deserialize_with = "null_as_default")]
    template_patch: Option<String>,
    #[serde(deserialize_with = "optional_object")]
    sync_policy: Option<ApplicationSetSyncPolicy>,
}

/// `spec.syncPolicy` of an ApplicationSet.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSetSyncPolicy {
    /// Generated Applications get no finalizer, so that their resources outlive them.
    #[serde(deserialize_with = "null_as_default")]
    pub preserve_resources_on_deletion: bool,
    #[serde(deserialize_with = "null_as_default")]
    applications_sync: String,
}

/// The template of Applications: `metadata` and `spec`, as their Go types read them, without what is
/// empty in them.
#[derive(Clone, Default, PartialEq)]
struct Template(Map<String, Value>);

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Template::new(value).map_err(|mismatch| {
            D::Error::custom(format_args!("template: {}: {mismatch}", mismatch.field))
        })
    }
}

impl Template {
    fn new(value: Value) -> Result<Self, Mismatch> {
        let conformed = APPLICATION.conform(value, Names::Exact)?;
        Ok(match conformed {
            Some(Value::Object(members)) => Template(members),
            _ => Template::default(),
        })
    }

    /// Fills what is empty in it from another template (Argo CD 3.5, `mergeGeneratorTemplate`): maps are
    /// merged key by key, lists and free JSON are not.
    fn filled_from(mut self, base: &Template) -> Self {
        fill(&mut self.0, &base.0);
        self
    }
}

fn fill(own: &mut Map<String, Value>, base: &Map<String, Value>) {
    for (name, value) in base {
        match (own.get_mut(name), value) {
            // Free JSON counts as a whole, even if it is `{}`.
            (Some(_), _) if name == "valuesObject" => {}
            (Some(Value::Object(own)), Value::Object(base)) => fill(own, base),
            (Some(present), _) if !is_empty(present) => {}
            _ => {
                own.insert(name.clone(), value.clone());
            }
        }
    }
}

/// What Go's libraries take for "not set".
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// What happens to an Application that is no longer generated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ApplicationsSync {
    /// It is deleted.
    Sync,
    /// It stays, and none is changed: `create-only`.
    CreateOnly,
    /// It stays: `create-update`.
    CreateUpdate,
    /// It is deleted, and none is changed: `create-delete`.
    CreateDelete,
}

impl ApplicationsSync {
    /// Whether Applications that are no longer generated are deleted.
    pub fn deletes(self) -> bool {
        matches!(
            self,
            ApplicationsSync::Sync | ApplicationsSync::CreateDelete
        )
    }

    /// Whether Applications that are generated otherwise than before are changed.
    pub fn updates(self) -> bool {
        matches!(
            self,
            ApplicationsSync::Sync | ApplicationsSync::CreateUpdate
        )
    }
}

impl<'a> ApplicationSet<'a> {
    /// Reads an ApplicationSet from its JSON.
    ///
    /// # Errors
    /// The text is not JSON, or a value has another type than Argo CD's.
    pub fn from_json(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Where in the ApplicationSet a field of its generated Applications is written: in the template, or in
    /// the patch if only that has it. Both as JSON Pointers.
    pub fn template_field(&self, field: &str) -> String {
        let mut segments = field.split('/').skip(1);
        let written = segments.next().and_then(|first| {
            let first = self.spec.template.0.get(first)?;
            segments.try_fold(first, |value, segment| match value {
                Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
                value => value.get(segment.replace("~1", "/").replace("~0", "~")),
            })
        });
        let patched = self.spec.template_patch.as_deref().unwrap_or_default();
        let name = field.rsplit('/').next().unwrap_or_default();
        if written.is_none() && !name.is_empty() && patched.contains(name) {
            "/spec/templatePatch".to_owned()
        } else {
            format!("/spec/template{field}")
        }
    }

    /// The same, independent of the document.
    pub fn into_owned(self) -> ApplicationSet<'static> {
        ApplicationSet {
            metadata: self.metadata.into_owned(),
            spec: self.spec,
        }
    }
}

impl ApplicationSetSpec {
    /// The places in `spec.generators` of entries without any generator, from which nothing comes.
    pub fn entries_without_generator(&self) -> impl Iterator<Item = usize> {
        let entries = self.generators.iter().enumerate();
        entries
            .filter(|(_, entry)| entry.is_empty())
            .map(|(index, _)| index)
    }

    /// Whether what is generated depends on the clusters that there are.
    pub fn reads_clusters(&self) -> bool {
        self.generators.iter().any(GeneratorEntry::reads_clusters)
    }

    /// What becomes of Applications that change or are no longer generated. Argo CD's controller can
    /// be started with a flag that overrides it.
    pub fn applications_sync(&self) -> ApplicationsSync {
        let written = self
            .sync_policy
            .as_ref()
            .map(|policy| &*policy.applications_sync);
        match written {
            Some("create-only") => ApplicationsSync::CreateOnly,
            Some("create-update") => ApplicationsSync::CreateUpdate,
            Some("create-delete") => ApplicationsSync::CreateDelete,
            _ => ApplicationsSync::Sync,
        }
    }

    /// Whether generated Applications get no finalizer, so that their resources outlive them.
    pub fn preserves_resources_on_deletion(&self) -> bool {
        self.sync_policy
            .as_ref()
            .is_some_and(|policy| policy.preserve_resources_on_deletion)
    }

    /// Whether both say the same to Argo CD. It reads objects into Go types and writes them back, in
    /// which empty values come and go.
    pub fn same_meaning(&self, other: &Self) -> bool {
        let ApplicationSetSpec {
            go_template,
            go_template_options,
            generators,
            template,
            template_patch,
            sync_policy: _,
        } = self;
        *go_template == other.go_template
            && *go_template_options == other.go_template_options
            && *template_patch == other.template_patch
            && self.applications_sync() == other.applications_sync()
            && self.preserves_resources_on_deletion() == other.preserves_resources_on_deletion()
            && without_empty(&template.0) == without_empty(&other.template.0)
            && generators.len() == other.generators.len()
            && generators
                .iter()
                .zip(&other.generators)
                .all(|(own, other)| own.same_meaning(other))
    }
}

/// Members whose emptiness says something.
const MEANT: [&str; 3] = ["automated", "enabled", "valuesObject"];

fn without_empty(members: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in members {
        let value = match value {
            Value::Object(members) if name != "valuesObject" => {
                Value::Object(without_empty(members))
            }
            Value::Array(items) => items.iter().map(item_without_empty).collect(),
            value => value.clone(),
        };
        if MEANT.contains(&name.as_str()) || !is_empty(&value) {
            kept.insert(name.clone(), value);
        }
    }
    kept
}

fn item_without_empty(item: &Value) -> Value {
    match item {
        Value::Object(members) => Value::Object(without_empty(members)),
        other => other.clone(),
    }
}
