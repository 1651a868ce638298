//! The chain from Argo CD's pods to a cluster, broken and mended, with a double of AWS.

#![allow(clippy::unwrap_used, reason = "a test that cannot start has failed")]

mod chain;
mod failures;
mod mends;
mod offboard;
#[path = "../support/mod.rs"]
mod support;
