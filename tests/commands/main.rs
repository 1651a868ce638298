//! The plugin's commands on a real API server.

mod addons;
mod audit;
mod clusters;
mod drift;
mod facts;
mod helm_release;
mod preview;
mod terraform;
