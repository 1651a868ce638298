//! What must hold whatever anybody sends.
//!
//! Each target takes bytes, makes of them what the project would, and panics where something that
//! it promises does not hold. `tests/corpora.rs` runs them on their corpora and on a bounded number
//! of changes to them; the programs in `libfuzzer/` let libFuzzer look for bytes that nobody has
//! thought of.
#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a target panics where a promise does not hold; that is what it is for"
)]

mod admission_review;
mod application_set;
mod cluster_config;
mod fields;
mod hostile;
mod ignored_differences;
mod repeated_entries;
mod world;

pub use admission_review::admission_review;
pub use application_set::application_set;
pub use cluster_config::cluster_config;
pub use hostile::{DECODED_RATIO, HostileBody, JUDGED_MEMORY, hostile_bodies, judge, worst_bodies};
pub use ignored_differences::ignored_differences;
pub use repeated_entries::repeated_entries;

/// Stands for a credential. Corpora have it where credentials are, and no answer may repeat it.
const SECRET: &str = "hunter2";
/// As it is in `data`, without what depends on what follows.
const SECRET_IN_BASE64: &str = "aHVudGVyMg";
