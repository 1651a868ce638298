//! `kubectl gitops drift --source local` on a real API server: who did it, and whether what is
//! compared here is what the API server itself says.

mod agreement;
mod connection;
mod mutating_webhook;
mod objects;
mod random;
mod who;
mod world;
