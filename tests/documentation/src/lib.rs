//! The pages that people read: which there are, what they show in blocks of code, and where their
//! links lead.
//!
//! Each command in a block of the language `sh` is run by a test. [`Command::run_by`] says by
//! which; a block that no test can run, as it needs what only its reader has, says `sh,no_run`.

mod blocks;
mod links;
mod pages;

pub use blocks::{Block, Command, RunBy};
pub use links::broken_links;
pub use pages::{Page, pages, root};
