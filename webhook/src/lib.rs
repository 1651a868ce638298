//! The validating admission webhook for Argo CD's objects.
//!
//! ```text
//!                      ┌──────────── index: watches ───────────┐
//!   API server ──TLS── server ──> admission ──> policy         ├── API server
//!                                    └── reads ── state <──────┘
//!   kubelet, Prometheus ──────────> health ──────┘
//! ```
//!
//! - [`server`] accepts connections and drains them, [`admission`] answers requests, and
//!   [`admission_review`] is what they say; [`limits`] bound them.
//! - [`index`] keeps what the rules may know up to date, and [`state`] is where both meet: requests
//!   read it without a lock, changes replace it as a whole.
//! - [`watch`] lists, watches and tries again, for [`index`], [`expiry`] and [`trust`], which keep
//!   what they need.
//! - [`trust`] sees to it that the API server trusts the certificate of [`server`].
//! - [`authorisation`] asks the API server who may overrule a rule, [`events`] tells it that
//!   somebody did, and [`lease`] has one replica tell when that is over ([`expiry`]).
//! - [`health`] and [`metrics`] are for whoever runs it; [`labels`] and [`failure`] are the names
//!   that metrics and the log have for things. [`run`] puts all together.
//!
//! What is right and wrong is not decided here but in the crate `policy`.

pub mod admission;
pub mod admission_review;
pub mod args;
pub mod authorisation;
pub mod clock;
pub mod events;
pub mod expiry;
pub mod failure;
pub mod health;
pub mod index;
pub mod labels;
pub mod lease;
pub mod limits;
pub mod metrics;
pub mod process;
pub mod run;
pub mod server;
pub mod state;
pub mod telemetry;
pub mod trust;
pub mod watch;

use std::error::Error;

/// An error and all that led to it, on one line.
///
/// Some errors repeat their source in their own text; what was said once is not said again.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
