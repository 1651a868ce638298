//! Which differences between a manifest and the live object do not count.
//!
//! Follows Argo CD 3.5: `util/argo/normalizers/diff_normalizer.go` for pointers and jq paths,
//! `util/argo/managedfields` for field managers, `util/argo/diff/ignore.go` for which entries
//! apply. An ignored field is taken out of both objects before they are compared.

mod jq;
mod managed_fields;
mod paths;
mod pointer;

use serde_json::Value;

pub use self::jq::JqError;
use self::jq::JqPath;
use crate::application::IgnoreDifference;
use crate::glob::{Glob, Separators};
use crate::settings::{Customizations, InvalidCustomization};
use crate::text::Text;

/// Why Argo CD, or we, cannot compare. Argo CD then compares nothing of the whole Application.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ComparisonError {
    /// A customization in `argocd-cm`.
    #[error(transparent)]
    Settings(#[from] InvalidCustomization),
    /// A jq path.
    #[error("jq path expression {expression:?}")]
    Jq {
        /// The expression.
        expression: String,
        /// What is the matter with it.
        #[source]
        source: JqError,
    },
    /// There is more of it than is judged in bounded time.
    #[error("there are more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The most that are judged.
        limit: usize,
    },
}

/// How many entries, and how many pointers, paths and managers in all of them, are judged. Who may
/// write an Application may write a megabyte of them.
const ENTRY_LIMIT: usize = 256;
const FIELD_LIMIT: usize = 1_024;
/// The longest pattern or pointer, in bytes. A longer one matches nothing that exists.
const TEXT_LIMIT: usize = 512;
/// How many jq programs, as opposed to plain paths, are run; further ones are left out.
const PROGRAM_LIMIT: usize = 8;

/// What an Application ignores, its own entries and the system's, ready to be applied.
#[derive(Clone, Debug)]
pub struct IgnoredDifferences<'r> {
    entries: Vec<Entry<'r>>,
    customizations: &'r Customizations,
}

#[derive(Clone, Debug)]
struct Entry<'r> {
    group: Glob,
    kind: Glob,
    name: &'r str,
    namespace: &'r str,
    pointers: Vec<&'r str>,
    jq_paths: Vec<JqPath>,
    managers: Vec<&'r str>,
}

/// Group, kind, namespace and name of an object.
struct Identity {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

impl Identity {
    fn of(object: &Value) -> Self {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let group = text("/apiVersion").split_once('/');
        Identity {
            group: group.map_or("", |(group, _)| group).to_owned(),
            kind: text("/kind").to_owned(),
            namespace: text("/metadata/namespace").to_owned(),
            name: text("/metadata/name").to_owned(),
        }
    }
}

impl<'r> IgnoredDifferences<'r> {
    /// Reads `spec.ignoreDifferences` together with the system-wide customizations.
    ///
    /// # Errors
    /// A customization cannot be read, or a jq path does not compile: one is enough to fail the
    /// comparison of every object, whatever object it is for.
    pub fn new(
        own: &'r [IgnoreDifference<'_>],
        customizations: &'r Customizations,
    ) -> Result<Self, ComparisonError> {
        if let Some(invalid) = customizations.invalid() {
            return Err(invalid.clone().into());
        }
        check_size(own)?;
        let mut programs = Programs(0);
        let mut entries = Vec::with_capacity(own.len());
        for entry in own {
            entries.push(Entry {
                group: glob(&entry.group),
                kind: glob(&entry.kind),
                name: &entry.name,
                namespace: &entry.namespace,
                pointers: entry.json_pointers.iter().map(Text::as_str).collect(),
                jq_paths: programs.compile(entry.jq_path_expressions.iter().map(Text::as_str))?,
                managers: entry
                    .managed_fields_managers
                    .iter()
                    .map(Text::as_str)
                    .collect(),
            });
        }
        for customization in customizations.iter() {
            let fields = &customization.fields;
            let expressions = fields.jq_path_expressions.iter().map(String::as_str);
            entries.push(Entry {
                group: glob(&customization.group),
                kind: glob(&customization.kind),
                name: "",
                namespace: "",
                pointers: fields.json_pointers.iter().map(String::as_str).collect(),
                jq_paths: programs.compile(expressions)?,
                // Looked up by the exact kind; see `managers`.
                managers: Vec::new(),
            });
        }
        Ok(IgnoredDifferences {
            entries,
            customizations,
        })
    }

    /// What applies to objects of one kind, whatever their name.
    #[must_use]
    pub fn of_kind(mut self, group: &str, kind: &str) -> Self {
        self.entries
            .retain(|entry| entry.group.matches(group) && entry.kind.matches(kind));
        self
    }

    /// Names and namespaces of the objects that entries are limited to; empty where they are not.
    pub fn names(&self) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.entries
            .iter()
            .map(|entry| (entry.name, entry.namespace))
    }

    /// Takes out of both objects what does not count.
    pub fn normalize(&self, desired: &mut Value, live: &mut Value) {
        managed_fields::normalize(desired, live, &self.managers(&Identity::of(desired)));
        for object in [desired, live] {
            let identity = Identity::of(object);
            for entry in self.entries.iter().filter(|e| e.applies_to(&identity)) {
                for pointer in &entry.pointers {
                    pointer::remove(object, pointer);
                }
                for path in &entry.jq_paths {
                    path.delete_from(object);
                }
            }
        }
    }

    /// Whether a difference at a place, in objects that are equal otherwise, is hidden.
    pub fn hides(&self, pointer: &str, desired: &Value, live: &Value) -> bool {
        let (mut desired, mut live) = (desired.clone(), live.clone());
        self.normalize(&mut desired, &mut live);
        desired.pointer(pointer) == live.pointer(pointer)
    }

    fn managers(&self, object: &Identity) -> Vec<&str> {
        let own = self
            .entries
            .iter()
            .filter(|entry| entry.applies_to(object))
            .flat_map(|entry| entry.managers.iter().copied());
        let system = self
            .customizations
            .managers(&object.group, &object.kind)
            .map(String::as_str);
        own.chain(system).collect()
    }
}

/// Compiles jq paths and counts the programs among them.
struct Programs(usize);

impl Programs {
    fn compile<'e>(
        &mut self,
        expressions: impl Iterator<Item = &'e str>,
    ) -> Result<Vec<JqPath>, ComparisonError> {
        expressions
            .map(|expression| {
                let may_run = self.0 < PROGRAM_LIMIT;
                let path =
                    JqPath::compile(expression, may_run).map_err(|source| ComparisonError::Jq {
                        expression: expression.to_owned(),
                        source,
                    })?;
                self.0 += usize::from(path.is_program());
                Ok(path)
            })
            .collect()
    }
}

fn check_size(entries: &[IgnoreDifference<'_>]) -> Result<(), ComparisonError> {
    let too_much = |what, limit| Err(ComparisonError::TooMuch { what, limit });
    if entries.len() > ENTRY_LIMIT {
        return too_much("entries", ENTRY_LIMIT);
    }
    let fields = |entry: &IgnoreDifference<'_>| {
        entry.json_pointers.len()
            + entry.jq_path_expressions.len()
            + entry.managed_fields_managers.len()
    };
    if entries.iter().map(fields).sum::<usize>() > FIELD_LIMIT {
        return too_much("pointers, paths and managers", FIELD_LIMIT);
    }
    let longest = |entry: &IgnoreDifference<'_>| {
        let pointers = entry.json_pointers.iter().map(|pointer| pointer.len());
        pointers
            .chain([entry.group.len(), entry.kind.len()])
            .max()
            .unwrap_or_default()
    };
    if entries.iter().any(|entry| longest(entry) > TEXT_LIMIT) {
        return too_much("bytes in a pattern or pointer", TEXT_LIMIT);
    }
    Ok(())
}

fn glob(pattern: &str) -> Glob {
    Glob::new(pattern, Separators::None)
}

impl Entry<'_> {
    fn applies_to(&self, object: &Identity) -> bool {
        self.group.matches(&object.group)
            && self.kind.matches(&object.kind)
            && (self.name.is_empty() || self.name == object.name)
            && (self.namespace.is_empty() || self.namespace == object.namespace)
    }
}
