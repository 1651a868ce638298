//! How a cluster comes into a fleet: what is there, what is missing and what is wrong, link by link,
//! from AWS to the cluster Secret.
//!
//! It is given facts; it neither prints nor reads the command line, nor asks AWS.

#[allow(dead_code)]
pub(crate) mod facts;
