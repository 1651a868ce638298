//! The plugin's commands on a real API server.

mod audit;
mod facts;
mod preview;
