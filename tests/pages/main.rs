//! What the pages show and tell, where that takes a cluster.

mod demo;
mod readme;
