//! Logging in to a cluster by AWS, with the real authenticator behind a real API server.

mod as_engine;
mod migrate;
mod onboard;
mod opentofu;
mod verify;
mod world;
