//! From an AdmissionReview to a decision and back.
//!
//! ```text
//!   bytes ──request──> Review ──decide──> Decision ──response──> bytes
//! ```
//!
//! Where there is no decision, [`crate::failure`] says why.

pub mod decide;
pub mod request;
pub mod response;
