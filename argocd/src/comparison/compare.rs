//! From a manifest and a live object to Argo CD's verdict.
//!
//! Follows Argo CD 3.5: `util/argo/diff` (`StateDiffs`, `preDiffNormalize`) and gitops-engine
//! `pkg/diff/diff.go` (`Diff`, `ThreeWayDiff`, `TwoWayDiff`, `applyPatch`), with which 3.2 and 3.6
//! agree but for what [`Generation`] says.

mod client_side;
mod server_side;
mod structured;

use golang::work::Work;
use golang::yaml;
use serde_json::Value;

use self::structured::Structured;
use super::fields::Invalid;
use super::ignore::{ComparisonError, IgnoreRules, remove_pointer};
use super::known_types;
use super::normalize;
use super::object::{annotation, group_of, kind_of, with_integers};
use super::scheme::{Scheme, remarshal};
use super::settings::{ComparisonSettings, IgnoredStatus};
use super::strategic::PatchError;
use super::tracking;
use super::verdict::{Comparison, Generation, Method, NeedsDryRun, Strategy, Verdict, has_option};
use crate::sync_options::SYNC_OPTIONS;

/// The field manager as which Argo CD applies.
const MANAGER: &str = "argocd-controller";
const IGNORE_DIFFERENCES: &str = "argocd.argoproj.io/ignore-differences";

/// A resource: what is wanted, with Argo CD's tracking mark, and what is there. One of them may be
/// missing; where both are, nothing differs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// The manifest.
    pub desired: Option<Value>,
    /// The live object, with its `managedFields`.
    pub live: Option<Value>,
}

/// What does not count, in an Application and in all of them.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// How the installation compares.
    pub settings: &'r ComparisonSettings,
    /// What the Application ignores, read with the customizations of the same installation.
    pub ignore: &'r IgnoreRules,
}

impl Rules<'_> {
    /// Whether a resource is compared by who owns the fields of the live object. If not, its
    /// `managedFields` need not be read.
    pub fn need_owners(&self, desired: &Value, strategy: Strategy<'_>) -> bool {
        !matches!(strategy, Strategy::ClientSide)
            || self.make_structured(desired)
            || self.ignore.trusts_managers(desired)
    }

    /// Whether a resource asks to be compared by its managed fields.
    fn make_structured(&self, desired: &Value) -> bool {
        self.settings.generation == Generation::UpTo35
            && has_option(annotation(desired, SYNC_OPTIONS), "ServerSideApply=true")
    }
}

/// Why Argo CD cannot compare a resource. It then says nothing of the whole Application.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CompareError {
    /// What is ignored cannot be worked out.
    #[error(transparent)]
    Ignore(#[from] ComparisonError),
    /// No patch can be made of what differs.
    #[error("the manifest and the live object cannot be merged")]
    Patch(#[from] PatchError),
    /// Argo CD fails on an object like this one.
    #[error("expected metadata to be an object")]
    Metadata,
    /// An object that is not of its type cannot be merged by its managed fields.
    #[error("expected an object with only fields that its kind has")]
    Type,
    /// Two items of a list that is merged have the same key.
    #[error("expected the items of a merged list to have different keys")]
    Duplicate,
    /// The answer to a dry run does not say that Argo CD manages anything.
    #[error("expected managedFields of {MANAGER} in the answer to a dry run")]
    NotManaged,
}

impl From<Invalid> for CompareError {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Type => CompareError::Type,
            Invalid::Duplicate => CompareError::Duplicate,
        }
    }
}

/// Compares a resource. What that needs is taken off the work.
///
/// Hooks, and resources that a sync skips, are not set apart here.
///
/// # Errors
/// Argo CD cannot compare it, and then says nothing of the whole Application either.
pub fn compare(
    pair: Pair,
    strategy: Strategy<'_>,
    rules: Rules<'_>,
    work: &Work,
) -> Result<Verdict, CompareError> {
    let mut state = Comparer {
        rules,
        work,
        own: Vec::new(),
        decided: true,
    };
    let verdict = state.compare(pair, strategy)?;
    Ok(match verdict {
        Verdict::Compared(_) if !state.decided => Verdict::Undecided,
        verdict => verdict,
    })
}

struct Comparer<'c> {
    rules: Rules<'c>,
    work: &'c Work,
    /// What the resource itself ignores.
    own: Vec<String>,
    /// Whether every jq path was worked out.
    decided: bool,
}

impl Comparer<'_> {
    fn compare(&mut self, pair: Pair, strategy: Strategy<'_>) -> Result<Verdict, CompareError> {
        match (pair.desired, pair.live) {
            (Some(desired), Some(live)) => self.compare_both(desired, live, strategy),
            (desired, live) => {
                let of_one = |object: Option<Value>, comparer: &mut Self| match object {
                    Some(object) => comparer.prepared(object, strategy),
                    None => Ok(Value::Null),
                };
                let modified = desired.is_some();
                Ok(compared(Comparison {
                    modified,
                    predicted: of_one(desired, self)?,
                    live: of_one(live, self)?,
                    method: Method::Existence,
                }))
            }
        }
    }

    fn compare_both(
        &mut self,
        mut desired: Value,
        mut live: Value,
        strategy: Strategy<'_>,
    ) -> Result<Verdict, CompareError> {
        if self.rules.settings.generation == Generation::Since36 {
            self.own = own_pointers(&desired);
        }
        tracking::normalize(&desired, &mut live, self.rules.settings);
        self.rules.ignore.normalize_managed(&mut desired, &mut live);
        let desired = self.prepared(desired, strategy)?;
        let live = self.prepared(live, strategy)?;
        match strategy {
            Strategy::ServerSide { dry_run: None, .. } => {
                Ok(Verdict::NeedsDryRun(NeedsDryRun::ServerSideDiff))
            }
            Strategy::ServerSide {
                dry_run: Some(dry_run),
                mutation_webhooks,
            } => self
                .server_side(live, dry_run, mutation_webhooks)
                .map(compared),
            Strategy::ClientSide if !self.rules.make_structured(&desired) => {
                self.client_side(&desired, live).map(compared)
            }
            Strategy::ClientSide | Strategy::Structured => {
                Ok(match structured::compare(&desired, live)? {
                    Structured::Compared(comparison) => compared(comparison),
                    Structured::NeedsDryRun(reason) => Verdict::NeedsDryRun(reason),
                })
            }
        }
    }

    /// An object as its Go type writes it, without what does not count.
    fn prepared(&mut self, object: Value, strategy: Strategy<'_>) -> Result<Value, CompareError> {
        let mut object = remarshalled(object);
        if matches!(strategy, Strategy::ServerSide { .. }) {
            // What does not count is taken out of the answer instead, when there is one.
            normalize::normalize(&mut object, self.rules.settings.ignore_aggregated_roles);
            return Ok(object);
        }
        self.normalize(&mut object)?;
        Ok(object)
    }

    /// Takes out what does not count.
    fn normalize(&mut self, object: &mut Value) -> Result<(), CompareError> {
        let settings = self.rules.settings;
        normalize::normalize(object, settings.ignore_aggregated_roles);
        for pointer in &self.own {
            remove_pointer(object, pointer);
        }
        self.decided &= self.rules.ignore.remove(object, self.work)?;
        let of_definition = group_of(object) == "apiextensions.k8s.io"
            && kind_of(object).1 == "CustomResourceDefinition";
        if settings.status == IgnoredStatus::All
            || settings.status == IgnoredStatus::Definitions && of_definition
        {
            remove_pointer(object, "/status");
        }
        // Argo CD goes on with what it could not read.
        let _ = known_types::normalize(object, &settings.known_types);
        Ok(())
    }
}

/// An object as its Go type writes it, or as it is where it is not of its type (Argo CD 3.6.1,
/// gitops-engine `remarshal`).
pub fn remarshalled(mut object: Value) -> Value {
    with_integers(&mut object);
    let (version, kind) = kind_of(&object);
    let number = Scheme::kubernetes().kind(version, kind);
    match number.map(|number| remarshal(number, &object)) {
        Some(Ok(written)) => written,
        _ => object,
    }
}

fn compared(comparison: Comparison) -> Verdict {
    Verdict::Compared(Box::new(comparison))
}

/// What a resource ignores of itself (Argo CD 3.6 `ExtractIgnoreDifferencesFromAnnotations`).
fn own_pointers(desired: &Value) -> Vec<String> {
    let text = annotation(desired, IGNORE_DIFFERENCES);
    let Ok(Value::Object(members)) = yaml::value(text) else {
        return Vec::new();
    };
    let pointers = members.get("jsonPointers").and_then(Value::as_array);
    let texts = pointers
        .into_iter()
        .flatten()
        .map(|pointer| pointer.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().unwrap_or_default()
}

#[cfg(test)]
mod tests;
