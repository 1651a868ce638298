//! The kinds that are built into Kubernetes, as Go reads and writes them.
//!
//! Argo CD compares a built-in kind by its Go type: fields of another name are unknown, empty ones
//! are left out or not, quantities are written in one way (gitops-engine `remarshal` and
//! `applyPatch`, with client-go's `kubernetes/scheme`). The types are generated from those of Go,
//! `scheme/types.txt`; a test proves that they are current.

mod decode;
mod defaults;
mod duration;
mod quantity;
mod table;
mod time;

pub(super) use self::decode::{Mismatch, decode, encode, keep_fields, keep_members, remarshal};
pub(super) use self::defaults::set_defaults;
pub(super) use self::table::{Field, ListType, Scheme, Type};
