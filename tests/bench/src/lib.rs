//! What the benchmarks of the webhook send, and to what fleet it belongs.
//!
//! - [`fleet`]: AppProjects, clusters and Applications of a platform team of some size.
//! - [`corpus`]: a thousand admission requests of that fleet, each with the verdict that is right.
//!
//! Both are the same in every run: whatever differs between two runs is not what was sent.

pub mod corpus;
pub mod fleet;
