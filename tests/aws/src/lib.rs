//! AWS for tests.
//!
//! [`Aws`] is EKS, IAM and STS in one process, by `ministack`, with signatures and permissions
//! checked; what it lacks of EKS is added in `ministack/double.py`, and every answer of EKS is held
//! to the model of AWS's own SDK. There are as many accounts as there are numbers of twelve digits:
//! each is its own root's access key, with the secret `test`. It is reached in two ways: at a URL
//! of loopback, and through a proxy by the names of AWS, over TLS, as in production.
//!
//! AWS's own command comes with it ([`commands`]).
//!
//! What is not real: nothing runs in a cluster, so that add-ons are active at once, and the agent
//! of EKS Pod Identity takes a pod at its word ([`Aws::environment_of_pod`]); and access policies
//! grant nothing.

mod aws;
mod front;
mod process;
mod python;
mod tls;

pub use aws::{Aws, Fault};
pub use python::{PYTHON, commands, ministack};
