//! The terms: what a GitOpsPolicy says, and what it means, compiled.

pub mod annotations;
pub mod break_glass;
pub(crate) mod environment;
pub mod gitops_policy;
pub(crate) mod rule_metadata;
pub(crate) mod rule_policy;
