//! ApplicationSet: what it says, and which Applications it generates.
//!
//! ```text
//!   generators ──> parameter sets ──┐
//!   (clusters, checkouts)           ├─> Applications, one for each set
//!   template, templatePatch ────────┘
//! ```
//!
//! Follows Argo CD 3.5: `applicationset/generators`, `applicationset/controllers/template` and
//! `applicationset/utils`. Whoever may write an ApplicationSet can make it large, or make a
//! template run away, so everything here is done within [`Limits`].
//!
//! What depends on the world outside (pull requests, repositories of an organisation, a plugin's
//! answer, a Git repository that is not at hand) is [`Undecided`]: reported with the template, of
//! which much can still be judged, and never guessed.

mod controller;
mod dialect;
mod error;
mod expansion;
mod fast_template;
mod functions;
mod generators;
mod lack;
mod limits;
mod parameters;
mod patch;
mod rolling_sync;
mod schema;
mod template;
#[cfg(test)]
mod tests;
mod written;

use std::fmt;

use golang::json::{null_as_default, object, objects, optional_object, strings};
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Map, Value};

pub use self::controller::{ControllerParameters, ProgressiveSyncs};
pub use self::dialect::{Dialect, ForeignPlaceholder};
pub use self::error::ExpansionError;
pub use self::expansion::{Expansion, Generated, GeneratedApplication, Undecided};
pub use self::generators::git::{Checkout, Checkouts, NoCheckouts};
use self::generators::{GeneratorEntry, Level};
pub use self::lack::Lack;
pub use self::limits::Limits;
pub use self::rolling_sync::RollingSyncStep;
use self::rolling_sync::RolloutStrategy;
use self::schema::{APPLICATION, Mismatch, Names};
use crate::kubernetes::Metadata;
use crate::kubernetes::StringMap;

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
    #[serde(deserialize_with = "null_as_default")]
    strategy: RolloutStrategy,
    #[serde(deserialize_with = "objects")]
    ignore_application_differences: Vec<IgnoredDifferences>,
}

/// An entry of `ignoreApplicationDifferences`: what the controller leaves alone in Applications
/// that it generated before.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct IgnoredDifferences {
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "strings")]
    json_pointers: Vec<String>,
    #[serde(deserialize_with = "strings")]
    jq_path_expressions: Vec<String>,
}

impl IgnoredDifferences {
    /// Whether a field of some Application may be left alone. Of jq only plain paths are read.
    fn may_cover(&self, field: &str) -> bool {
        let lies_on = |path: &str| {
            let (path, field) = (path.trim_end_matches('/'), field.trim_end_matches('/'));
            let is_below = |upper: &str, lower: &str| {
                lower
                    .strip_prefix(upper)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            is_below(path, field) || is_below(field, path)
        };
        let is_plain = |expression: &&String| {
            expression
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
        };
        self.json_pointers.iter().any(|pointer| lies_on(pointer))
            || self
                .jq_path_expressions
                .iter()
                .any(|expression| !is_plain(&expression) || lies_on(&expression.replace('.', "/")))
    }
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

/// The template of Applications: `metadata` and `spec`, as their Go types read them, without what
/// is empty in them.
#[derive(Clone, Default)]
struct Template(Map<String, Value>);

impl PartialEq for Template {
    /// Equal in meaning: Argo CD reads objects into Go types and writes them back, in which empty
    /// values come and go.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || without_empty(&self.0) == without_empty(&other.0)
    }
}

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

/// Where the patch stands.
const PATCH: &str = "/spec/templatePatch";

impl Template {
    /// Whether a field is written in it, given as a JSON Pointer.
    fn has(&self, field: &str) -> bool {
        let mut segments = field.split('/').skip(1);
        let found = segments.next().and_then(|first| {
            let first = self.0.get(first)?;
            segments.try_fold(first, |value, segment| match value {
                Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
                value => value.get(segment.replace("~1", "/").replace("~0", "~")),
            })
        });
        found.is_some_and(|value| !is_empty(value) || value.is_object())
    }

    fn new(value: Value) -> Result<Self, Mismatch> {
        let conformed = APPLICATION.conform(value, Names::Exact)?;
        Ok(match conformed {
            Some(Value::Object(members)) => Template(members),
            _ => Template::default(),
        })
    }

    /// Fills what is empty in it from another template (Argo CD 3.5, `mergeGeneratorTemplate`):
    /// maps are merged key by key, lists and free JSON are not.
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
    /// What is written as this.
    fn of(written: &str) -> Option<Self> {
        Some(match written {
            "sync" => ApplicationsSync::Sync,
            "create-only" => ApplicationsSync::CreateOnly,
            "create-update" => ApplicationsSync::CreateUpdate,
            "create-delete" => ApplicationsSync::CreateDelete,
            _ => return None,
        })
    }

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

    /// Where in the ApplicationSet a field of an Application is written that an entry of
    /// `generators` generates: in the template of its generator, in that of the ApplicationSet, or
    /// in the patch if only that has it. All as JSON Pointers.
    pub fn template_field(&self, entry: usize, field: &str) -> String {
        let of_generator = self.spec.generators.get(entry);
        let of_generator = of_generator.and_then(|entry| entry.generator_with(field));
        if let Some(generator) = of_generator {
            return format!("/spec/generators/{entry}/{generator}/template{field}");
        }
        let patched = self.spec.template_patch.as_deref().unwrap_or_default();
        let name = field.rsplit('/').next().unwrap_or_default();
        if !self.spec.template.has(field) && !name.is_empty() && patched.contains(name) {
            PATCH.to_owned()
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
        let mut entries = self.generators.iter();
        entries.any(|entry| entry.reads_clusters(Level::Top))
    }

    /// What becomes of Applications that change or are no longer generated, as far as the
    /// ApplicationSet says. What counts is [`ControllerParameters::applications_sync`].
    fn written_applications_sync(&self) -> Option<ApplicationsSync> {
        let policy = self.sync_policy.as_ref()?;
        ApplicationsSync::of(&policy.applications_sync)
    }

    /// The step of `strategy` in which an Application with these labels is synced by the
    /// ApplicationSet controller, where progressive syncs are enabled.
    pub fn rolling_sync_step(&self, labels: &StringMap<'_>) -> RollingSyncStep {
        self.strategy.step_of(labels)
    }

    /// Whether a field may have stayed as it was in Applications that are generated otherwise now.
    pub fn may_leave_alone(&self, field: &str) -> bool {
        let mut ignored = self.ignore_application_differences.iter();
        ignored.any(|ignored| ignored.may_cover(field))
    }

    /// Whether generated Applications get no finalizer, so that their resources outlive them.
    pub fn preserves_resources_on_deletion(&self) -> bool {
        self.sync_policy
            .as_ref()
            .is_some_and(|policy| policy.preserve_resources_on_deletion)
    }

    /// Whether both say the same to Argo CD, whatever empty values it has written into one of them.
    pub fn same_meaning(&self, other: &Self) -> bool {
        let ApplicationSetSpec {
            go_template,
            go_template_options,
            generators,
            template,
            template_patch,
            sync_policy: _,
            strategy,
            ignore_application_differences,
        } = self;
        *go_template == other.go_template
            && *go_template_options == other.go_template_options
            && *template_patch == other.template_patch
            && *strategy == other.strategy
            && *ignore_application_differences == other.ignore_application_differences
            && self.written_applications_sync() == other.written_applications_sync()
            && self.preserves_resources_on_deletion() == other.preserves_resources_on_deletion()
            && *template == other.template
            && *generators == other.generators
    }
}

impl ApplicationSetSpec {
    /// Whether what is not known here makes the same Applications of both as far as that can be
    /// told: with the same generators and patch, and a template that differs in nothing that is
    /// filled in.
    pub fn fills_in_alike(&self, other: &Self) -> bool {
        let is_filled_in = |value: &Value| value.to_string().contains("{{");
        self.go_template == other.go_template
            && self.go_template_options == other.go_template_options
            && self.template_patch.is_none()
            && other.template_patch.is_none()
            && self.generators == other.generators
            && self
                .template
                .0
                .iter()
                .chain(&other.template.0)
                .all(|(key, _)| {
                    let pair = (self.template.0.get(key), other.template.0.get(key));
                    differs_in_literals(pair, &is_filled_in)
                })
    }
}

/// Whether nothing in which two values differ is filled in, on either side.
fn differs_in_literals(
    pair: (Option<&Value>, Option<&Value>),
    is_filled_in: &impl Fn(&Value) -> bool,
) -> bool {
    match pair {
        (Some(Value::Object(one)), Some(Value::Object(other))) => one
            .keys()
            .chain(other.keys())
            .all(|key| differs_in_literals((one.get(key), other.get(key)), is_filled_in)),
        (one, other) if one == other => true,
        (one, other) => !one.into_iter().chain(other).any(is_filled_in),
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
