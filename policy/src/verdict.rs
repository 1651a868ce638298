//! The verdict: what rules find, compared with what they found before, and what somebody may
//! overrule.

pub mod break_glass;
pub mod evaluate;

pub use evaluate::evaluate;
