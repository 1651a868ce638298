//! From the body of a request to an answer.
//!
//! ```text
//!   bytes ──review──> Review ──decide──> Decision ──response──> bytes
//!                                 │
//!                                 └──> one log line, metrics
//! ```
//!
//! [`handler`] does what is HTTP about it. A request that was understood is answered with an
//! AdmissionReview; a failure of our own is an HTTP error, so that `failurePolicy` decides.

pub mod break_glass;
pub mod decide;
pub mod handler;
pub mod response;
pub mod review;
