//! Break-glass: an annotation on an object overrules named rules, for whoever may do that, until it
//! expires.
//!
//! An annotation proves nothing by itself: anybody who may write the object may write it. So each
//! request that adds or changes one, or that needs one to pass, makes a [`Claim`], and somebody who
//! can ask the API server says whether the writer may. What is stored was claimed rightly at that
//! time, and lets nobody else's violation pass.
//!
//! - [`annotations`]: what is written.
//! - [`terms`]: what the policy allows.
//! - [`claim`]: what a request wants to overrule, and what becomes of that.

pub mod claim;

pub use crate::finding::BREAK_GLASS;
pub use crate::terms::annotations::{InvalidOverride, Override};
pub use crate::terms::break_glass::{Terms, VERB};
pub use crate::terms::gitops_policy::InvalidTerms;
pub use crate::terms::{annotations, break_glass as terms};
pub use claim::{Claim, Claimed, Permission, Record, RecordKind};
