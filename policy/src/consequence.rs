//! What becomes of Applications with a change: what ApplicationSets generate is worked out, put to
//! the rules, and compared with what they generated before.

pub(crate) mod application_sets;
mod fan_out;
