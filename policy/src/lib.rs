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

mod application_sets;
mod breadth;
pub mod break_glass;
mod changes;
pub mod environment;
pub mod evaluate;
pub mod fan_out;
pub mod finding;
pub mod gitops_policy;
pub mod inventory;
pub mod missing;
mod possible_credential;
mod ratchet;
pub mod registry;
pub mod rule;
mod rule_policy;
pub mod rules;
pub mod subject;

pub use application_sets::generated_names;
pub use evaluate::{Outcome, Verdict, evaluate};
pub use fan_out::FanOut;
pub use finding::{Finding, Level, Waiver};
pub use gitops_policy::{GitOpsPolicy, GitOpsPolicySpec};
pub use inventory::{Completeness, Inventory};
pub use rule::{Rule, RuleId};
pub use subject::{Object, Operation, Propagation, Requester, Subject, SubjectRef};
