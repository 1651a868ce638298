//! What Terraform or OpenTofu has of a Helm release: where, who refers to it, how it lets go of it,
//! and that it has.
//!
//! ```text
//!   show -json of a state ──> State ──> HelmRelease ──> LettingGo, Restoring
//!   show -json of a plan  ──> Plan  ──> Referrer (who refers to it) · objections (it has let go)
//! ```
//!
//! The JSON is that of Terraform 0.12 or newer and of OpenTofu; a `helm_release` is read as the helm
//! provider v1 to v3 writes it. Only the values that are named here are read, and none that is
//! marked as sensitive is kept. Only [`Runner`] runs anything.

mod address;
mod configuration;
mod document;
mod error;
mod find;
mod letting_go;
mod proof;
#[cfg(test)]
mod recorded;
mod references;
mod release;
mod resource;
mod run;
#[cfg(test)]
mod testing;
mod tool;

pub(crate) use self::document::{Action, Plan, State};
pub(crate) use self::error::ReadError;
pub(crate) use self::find::FindError;
pub(crate) use self::letting_go::{LettingGo, Restoring, Step, WhyCommands};
pub(crate) use self::proof::Objection;
pub(crate) use self::references::{Referrer, ReferrerKind};
pub(crate) use self::release::HelmRelease;
pub(crate) use self::run::{RunError, Runner};
pub(crate) use self::tool::Tool;
