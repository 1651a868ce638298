//! Which differences between a manifest and the live object do not count.
//!
//! Follows Argo CD 3.5: `util/argo/normalizers/diff_normalizer.go` for pointers and jq paths,
//! `util/argo/managedfields` for field managers, `util/argo/diff/ignore.go` for which entries
//! apply. An ignored field is taken out of both objects before they are compared.

mod customizations;
mod jq;
mod managed_fields;
mod pointer;
mod rule;

use golang::work::Work;
use serde_json::Value;

pub use self::customizations::{Customizations, InvalidCustomization};
pub use self::jq::JqError;
use self::jq::{Conditions, JqPath, Undecided};
pub(super) use self::pointer::remove as remove_pointer;
use self::rule::{Identity, IgnoreRule, IgnoredFields};
use crate::application::IgnoreDifference;

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
    /// A jq path leaves nothing to compare.
    #[error("a jq path expression deletes the whole object")]
    NothingLeft,
    /// There is more of it than is judged. Argo CD goes on.
    #[error("there are more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The most that are judged.
        limit: usize,
    },
    /// It takes more work than may be spent on it. Argo CD goes on.
    #[error("it takes more work than is spent on it")]
    TooMuchWork,
}

/// How many entries, and how many pointers, paths and managers in all of them, are judged. Who may
/// write an Application may write a megabyte of them.
const ENTRY_LIMIT: usize = 256;
const FIELD_LIMIT: usize = 1_024;
/// The longest pattern or pointer, in bytes. A longer one matches nothing that exists.
const TEXT_LIMIT: usize = 512;
/// What is spent on each byte of a jq path that is compiled.
const COMPILATION: u64 = 64;
impl IgnoreRules {
    /// The work that is spent on what one Application ignores.
    pub const WORK: u64 = 4 << 20;
}

/// What an Application ignores, its own entries and the system's, ready to be applied.
#[derive(Clone, Debug)]
pub struct IgnoreRules {
    own: Vec<IgnoreRule>,
    system: Customizations,
}

/// Whether a difference is hidden.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hidden {
    /// It does not count.
    Yes,
    /// It counts.
    No,
    /// A jq path may hide it that is not worked out here.
    Undecided,
}

impl IgnoreRules {
    /// Reads `spec.ignoreDifferences` together with the system-wide customizations, which have been
    /// compiled before. Compiling the Application's own jq paths is taken off the work.
    ///
    /// # Errors
    /// A customization cannot be read, or a jq path does not compile: one is enough to fail the
    /// comparison of every object, whatever object it is for. There is too much of it.
    pub fn new(
        own: &[IgnoreDifference<'_>],
        customizations: &Customizations,
        work: &Work,
    ) -> Result<Self, ComparisonError> {
        customizations.rules()?;
        check_size(own)?;
        let mut rules = Vec::with_capacity(own.len());
        for entry in own {
            let texts = |texts: &[golang::json::Text<'_>]| {
                texts.iter().map(|text| text.as_str().to_owned()).collect()
            };
            let fields = IgnoredFields {
                json_pointers: texts(&entry.json_pointers),
                jq_path_expressions: texts(&entry.jq_path_expressions),
                managed_fields_managers: texts(&entry.managed_fields_managers),
            };
            let length: usize = fields.jq_path_expressions.iter().map(String::len).sum();
            work.spend((length as u64).saturating_mul(COMPILATION))
                .map_err(|_| ComparisonError::TooMuchWork)?;
            let mut rule = IgnoreRule::new(&entry.group, &entry.kind, fields)?;
            entry.name.as_str().clone_into(&mut rule.name);
            entry.namespace.as_str().clone_into(&mut rule.namespace);
            rules.push(rule);
        }
        Ok(IgnoreRules {
            own: rules,
            system: customizations.clone(),
        })
    }

    fn rules(&self) -> impl Iterator<Item = &IgnoreRule> {
        self.own
            .iter()
            .chain(self.system.rules().unwrap_or_default())
    }

    /// Names and namespaces of the objects of a kind that entries are limited to; empty where they
    /// are not.
    pub fn names<'r>(
        &'r self,
        group: &'r str,
        kind: &'r str,
    ) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.own
            .iter()
            .filter(move |rule| rule.group.matches(group) && rule.kind.matches(kind))
            .map(|rule| (rule.name.as_str(), rule.namespace.as_str()))
    }

    /// Takes out of both objects what does not count, and what that needs off the work. Whether
    /// that is all is [`Hidden::Undecided`] where a jq path is not worked out here.
    ///
    /// # Errors
    /// Nothing remains of either, on which Argo CD fails.
    pub fn normalize(
        &self,
        desired: &mut Value,
        live: &mut Value,
        work: &Work,
    ) -> Result<bool, ComparisonError> {
        self.normalize_managed(desired, live);
        let desired_is_known = self.patch(desired, Conditions::AsTheyAre, work);
        let live_is_known = self.patch(live, Conditions::AsTheyAre, work);
        if desired.is_null() && live.is_null() {
            return Err(ComparisonError::NothingLeft);
        }
        Ok(desired_is_known && live_is_known)
    }

    /// Whether fields of an object count for nothing if some manager owns them.
    pub(super) fn trusts_managers(&self, desired: &Value) -> bool {
        !self.managers(&Identity::of(desired)).is_empty()
    }

    /// Takes out of both objects the differing fields of trusted managers.
    pub(super) fn normalize_managed(&self, desired: &mut Value, live: &mut Value) {
        managed_fields::normalize(desired, live, &self.managers(&Identity::of(desired)));
    }

    /// Takes out of one object what pointers and jq paths select, and says whether all of them
    /// were worked out.
    ///
    /// # Errors
    /// Nothing remains, on which Argo CD fails.
    pub(super) fn remove(&self, object: &mut Value, work: &Work) -> Result<bool, ComparisonError> {
        let is_known = self.patch(object, Conditions::AsTheyAre, work);
        if object.is_null() {
            return Err(ComparisonError::NothingLeft);
        }
        Ok(is_known)
    }

    /// Applies pointers and jq paths, and says whether all of them were. Argo CD undoes all of it
    /// where something else than an object comes out.
    fn patch(&self, object: &mut Value, conditions: Conditions, work: &Work) -> bool {
        let identity = Identity::of(object);
        let applies = |rule: &&IgnoreRule| rule.applies_to(&identity);
        let runs_jq = |rule: &IgnoreRule| !rule.jq_paths.is_empty();
        // Only a jq path can make something else of it.
        let before = self
            .rules()
            .filter(applies)
            .any(runs_jq)
            .then(|| object.clone());
        let mut all = true;
        for rule in self.rules() {
            if work.spend(rule.cost).is_err() {
                return false;
            }
            if !rule.applies_to(&identity) {
                continue;
            }
            for pointer in &rule.pointers {
                pointer::remove(object, pointer);
            }
            for path in &rule.jq_paths {
                all &= delete(path, object, conditions, work).is_ok();
            }
        }
        if let Some(before) = before
            && !matches!(object, Value::Null | Value::Object(_))
        {
            *object = before;
        }
        all
    }

    /// Whether a difference at a place, in objects that are equal otherwise, is hidden. A field
    /// that is not desired is left alone by Argo CD, unless it was applied before (gitops-engine,
    /// `ThreeWayDiff`).
    ///
    /// # Errors
    /// Argo CD fails on the comparison.
    pub fn hides(
        &self,
        pointer: &str,
        desired: &Value,
        live: &Value,
        work: &Work,
    ) -> Result<Hidden, ComparisonError> {
        let (mut new, mut old) = (desired.clone(), live.clone());
        let mut known = self.normalize(&mut new, &mut old, work)?;
        let at = |object: &Value| {
            object
                .pointer(pointer)
                .filter(|value| !value.is_null())
                .cloned()
        };
        let counts = match (at(&new), at(&old)) {
            (Some(new), old) => Some(new) != old,
            (None, Some(_)) => last_applied(&old).is_some_and(|mut applied| {
                known &= self.patch(&mut applied, Conditions::AsTheyAre, work);
                at(&applied).is_some()
            }),
            (None, None) => false,
        };
        // An ignore that applies to one side only makes a difference elsewhere.
        let elsewhere = || {
            let rest = |object: &Value| {
                let mut rest = object.clone();
                pointer::remove(&mut rest, pointer);
                rest
            };
            is_part(&rest(desired), live) && !is_part(&rest(&new), &old)
        };
        Ok(match (counts || elsewhere(), known) {
            (false, _) => Hidden::Yes,
            (true, true) => Hidden::No,
            (true, false) => Hidden::Undecided,
        })
    }

    /// Whether a place may be ignored in an object that has something else in it than this one: a
    /// jq path looks at what is there, or is not worked out here.
    pub fn may_hide(&self, pointer: &str, object: &Value, work: &Work) -> bool {
        let mut left = object.clone();
        let known = self.patch(&mut left, Conditions::Either, work);
        !known || left.pointer(pointer).is_none()
    }

    fn managers(&self, object: &Identity) -> Vec<&str> {
        let key = format!("{}/{}", object.group, object.kind);
        let are_trusted = |rule: &&IgnoreRule| match &rule.managers_of {
            Some(only) => *only == key || only == "*/*",
            None => rule.applies_to(object),
        };
        let rules = self.rules().filter(are_trusted);
        rules
            .flat_map(|rule| &rule.managers)
            .map(String::as_str)
            .collect()
    }
}

fn delete(
    path: &JqPath,
    object: &mut Value,
    conditions: Conditions,
    work: &Work,
) -> Result<(), Undecided> {
    let before = work.left();
    let mut left = before;
    let outcome = path.delete_from(object, conditions, &mut left);
    let spent = work.spend(before.saturating_sub(left));
    outcome.and(spent.map_err(|_| Undecided))
}

/// What a live object says that it was made of.
fn last_applied(live: &Value) -> Option<Value> {
    let annotations = live.pointer("/metadata/annotations")?;
    let text = annotations.get("kubectl.kubernetes.io/last-applied-configuration")?;
    serde_json::from_str(text.as_str()?).ok()
}

/// Whether all that is desired is there.
fn is_part(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Null, _) => true,
        (Value::Object(desired), Value::Object(live)) => desired.iter().all(|(name, value)| {
            value.is_null() || live.get(name).is_some_and(|live| is_part(value, live))
        }),
        (Value::Array(desired), Value::Array(live)) => {
            let mut pairs = desired.iter().zip(live);
            desired.len() == live.len() && pairs.all(|(desired, live)| is_part(desired, live))
        }
        _ => desired == live,
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
