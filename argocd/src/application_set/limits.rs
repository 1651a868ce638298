//! What expanding an ApplicationSet may take.

use golang::work::Work;

/// What anchors and aliases may add to YAML that an ApplicationSet brings, in nodes and bytes.
pub(super) const ALIASES: usize = 64 * 1024;

/// What expansions may take. Whoever may write an ApplicationSet can ask for any amount.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Generated Applications of one ApplicationSet, and parameter sets on the way to them.
    pub applications: usize,
    /// What is left of the work for all expansions together that share these limits.
    pub work: Work,
}

impl Limits {
    /// The most Applications that one ApplicationSet may generate here.
    pub const APPLICATIONS: usize = 10_000;
    /// Work for one answer: roughly the bytes that templates read and write. A processor does a
    /// hundred million of them in a second.
    pub const WORK: u64 = 256 << 20;
    /// Memory for the parameter sets and the compiled templates of one ApplicationSet, in bytes.
    pub const MEMORY: u64 = 32 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            applications: Limits::APPLICATIONS,
            work: Work::new(Limits::WORK),
        }
    }
}
