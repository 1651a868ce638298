//! `bootstrap`: a repository for a fleet, and its root in the devops cluster.
//!
//! ```text
//!   answers ──> layout (files, of templates) ──> folder (what is there, and writing)
//!                                                    │
//!                                                 root (applied, and waited for)
//! ```

pub(crate) mod answers;
pub(crate) mod charts;
pub(crate) mod folder;
mod layout;
pub(crate) mod root;
mod template;

pub(crate) use self::answers::Answers;
pub(crate) use self::folder::Folder;
pub(crate) use self::layout::{File, layout};
