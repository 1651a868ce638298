//! From an AdmissionReview to a decision and back.
//!
//! ```text
//!   bytes ──request──> Review ──decide──> Decision ──response──> bytes
//! ```
//!
//! Where there is no decision, [`failure`] says why.

pub mod decide;
pub mod failure;
pub mod request;
pub mod response;
