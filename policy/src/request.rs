//! What is asked: an object, its old self, who does what to it; what that changes; and what is
//! known beside it.

pub(crate) mod changes;
pub mod environment;
pub mod fan_out;
pub mod inventory;
pub mod object;
pub mod subject;
