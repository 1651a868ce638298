//! One module a command: its arguments, and what it does.

pub(crate) mod addon;
pub(crate) mod audit;
pub(crate) mod bootstrap;
pub(crate) mod break_glass;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod completion;
pub(crate) mod drift;
pub(crate) mod explain;
mod findings;
mod plan;
pub(crate) mod preview;
pub(crate) mod version;
