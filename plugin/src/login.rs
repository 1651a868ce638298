//! Logging in to a cluster as Argo CD does, and proving that it works.
//!
//! What is proven is told link by link, by the names that `cluster onboard` has for them. A token
//! is in memory only, and in no error.

mod connection;
mod job;
mod needs;
mod proof;
mod target;
mod token;
mod verify;

pub(crate) use self::job::Controller;
pub(crate) use self::needs::{Need, needs};
pub(crate) use self::proof::{Proof, State, Verdict, Verification};
pub(crate) use self::target::Target;
pub(crate) use self::verify::{Identity, log_in, verify};
