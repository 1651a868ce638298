//! Requests over HTTP, and the time that they have.
//!
//! [`handler`] does what is HTTP about it, and `judging` sees to it that long work is out of the
//! way of short work. All that a request waits for ends at one moment, [`deadline`], before its
//! caller gives up. A request that was understood is answered with an AdmissionReview; a failure of
//! our own is an HTTP error, so that `failurePolicy` decides.

mod body;
pub mod break_glass;
pub mod deadline;
pub mod handler;
pub(crate) mod judging;
mod unanswered;
