//! Break-glass: an annotation on an object overrules named rules, for whoever may do that, until it
//! expires.
//!
//! An annotation proves nothing by itself: anybody who may write the object may write it. So each
//! request that adds or changes one, or that needs one to pass, makes a [`Claim`], and somebody who can
//! ask the API server says whether the writer may. What is stored was claimed rightly at that time, and
//! lets nobody else's violation pass.
//!
//! - [`annotations`]: what is written.
//! - [`terms`]: what the policy allows.
//! - [`claim`]: what a request wants to overrule, and what becomes of that.

pub mod annotations;
pub mod claim;
pub mod terms;

pub use annotations::{InvalidOverride, Override};
pub use claim::{Claim, Claimed, Permission, Record, RecordKind};
pub use terms::{InvalidTerms, Terms};

use crate::rule::RuleId;

/// What findings on the annotations themselves are reported under, in place of a rule.
pub const BREAK_GLASS: RuleId = RuleId::new("break-glass");

/// The verb that whoever overrules a rule needs on the `gitopspolicies` of the rule's name.
pub const VERB: &str = "break-glass";
