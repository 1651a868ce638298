//! What tests and demos run: the real thing, started for them, and ended with them.
//!
//! [`ControlPlane`] is a real kube-apiserver with its etcd. [`Installation`] is that with
//! `manifests/` applied as they are, and the real `gitops-webhook` behind the Service that they
//! contain. [`argo_cd::Fleet`] is all of it under the real Argo CD. [`eks::EksCluster`] is a
//! control plane that one logs in to by AWS.
//!
//! The webhook runs as the Deployment would run it: with its arguments, as its ServiceAccount, with
//! no more rights than the manifests give it, and with the certificate that it issues for itself.
//! The API server finds it by the Service in the ValidatingWebhookConfiguration, of which nothing
//! is changed.
//!
//! Whatever is started here ends with the process that started it, however that ends, and leaves no
//! file behind.

pub mod addon;
pub mod argo_cd;
mod clock;
pub mod control_plane;
mod definitions;
pub mod demo;
pub mod eks;
mod go;
mod go_programs;
mod http;
mod installation;
pub mod objects;
pub mod opentofu;
pub mod plugin;
mod port;
mod process;
pub mod programs;
mod progress;
mod reverse_proxy;
mod shared;
mod transcript;
mod wait;
mod webhook;

pub use clock::TestClock;
pub use control_plane::{ControlPlane, Kubectl, KubectlOutput, User};
pub use definitions::{ARGO_CD_VERSION, ArgoCdError, argo_cd_crds};
pub use go::GoError;
pub use go_programs::{GoPrograms, GoProgramsError, ModuleFile};
pub use http::{http_get, http_send};
pub use installation::{
    Installation, Overlay, effective, expose, install, path, serve, serve_by, succeed,
};
pub use process::{Process, Signal};
pub use reverse_proxy::{Answered, ReverseProxy};
pub use shared::{Alone, shared};
pub use transcript::{told, told_as_written};
pub use wait::{Unfulfilled, eventually, eventually_object, eventually_objects};
pub use webhook::{Webhook, WebhookLog};
