//! Patterns, in the flavours that Argo CD has.
//!
//! Most are globs of gobwas/glob ([`Glob`]). The resource lists of an AppProject and the Git
//! generator take those of Go's `path.Match` ([`golang::path`]), and `sourceNamespaces` takes
//! regular expressions of .NET beside globs.

pub(crate) mod dotnet;
mod glob;
pub(crate) mod overlap;

pub use self::glob::{Glob, Separators};
