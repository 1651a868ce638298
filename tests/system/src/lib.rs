//! The whole system, as tests and the demo use it: a real kube-apiserver on which `manifests/` are applied as they are,
//! with the real `gitops-webhook` behind the Service that they contain.
//!
//! [`Installation`] is all of it. The webhook runs as the Deployment would run it: with its arguments, as its
//! ServiceAccount, with no more rights than the manifests give it, and with the certificate that it issues for itself.
//! The API server finds it by the Service in the ValidatingWebhookConfiguration, of which nothing is changed.

mod clock;
pub mod demo;
mod http;
mod installation;
mod process;
pub mod programs;
mod transcript;
mod webhook;

pub use clock::TestClock;
pub use http::{http_get, http_send};
pub use installation::{
    Installation, Overlay, effective, expose, install, path, serve, serve_by, succeed,
};
pub use process::{Process, Signal};
pub use transcript::{told, told_as_written};
pub use webhook::{Webhook, WebhookLog};
