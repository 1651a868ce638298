//! Our judgement of Argo CD's objects.
//!
//! ```text
//!   AdmissionReview ─┐
//!   repository files ┼─> Subject + Inventory ─> evaluate() ─> Verdict
//!   live objects ────┘
//! ```
//!
//! The webhook and the plugin both call [`evaluate()`], so that what `kubectl gitops check` accepts
//! is what the API server admits. Everything a rule needs comes in as a [`Subject`] and an
//! [`Inventory`]; nothing here does I/O or asks for the time.
//!
//! The modules are layers, and import only from those below them:
//!
//! ```text
//!   verdict      all rules on one request, and what becomes of what they find
//!   consequence  what ApplicationSets generate, before a change and after it
//!   rules        one file each
//!   request      the object, who asks, what changes, what is known beside it
//!   terms        the policy, compiled
//!   finding      what rules find, and how it is compared with what there was before
//! ```

mod consequence;
pub mod finding;
mod request;
mod rule_list;
pub mod rules;
mod terms;
mod verdict;

pub use consequence::application_sets::generated_names;
pub use finding::{Finding, Level, RuleId, Waiver, missing};
pub use request::fan_out::FanOut;
pub use request::inventory::{Completeness, Inventory};
pub use request::object::{Object, ObjectRef};
pub use request::subject::{AnyRequest, Propagation, Request, Requester, Subject};
pub use request::{environment, fan_out, inventory, object, subject};
pub use rules::rule::Rule;
pub use rules::{registry, rule};
pub use terms::gitops_policy;
pub use terms::gitops_policy::{GitOpsPolicy, GitOpsPolicySpec};
pub use verdict::evaluate::{Outcome, Verdict};
pub use verdict::{break_glass, evaluate};
