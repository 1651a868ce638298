//! A real kube-apiserver with a real etcd, for tests and for the demo.
//!
//! [`ControlPlane::start`] gives a test an API server of its own, with TLS, RBAC, an audit log and users that really
//! log in, so that what an admission webhook is told about a writer is what it is told in production.
//!
//! ```no_run
//! # async fn example() -> Result<(), control_plane::Error> {
//! let control_plane = control_plane::ControlPlane::start().await?;
//! let alice = control_plane.user("alice@example.com", &["developers"])?;
//! let applied = alice.kubectl(["apply", "-f", "-"]).input("kind: ConfigMap").run().await?;
//! assert!(!applied.status.success());
//! # Ok(())
//! # }
//! ```
//!
//! What a whole cluster has and this has not: there is no controller manager, so nothing deletes namespaces, collects
//! garbage, aggregates `ClusterRole`s (`admin`, `edit` and `view` have no rules) or makes default `ServiceAccount`s;
//! and no kubelet, so no Pod ever runs. Of Services the API server reaches those that are given a server on this
//! machine ([`ControlPlane::expose`]).
//!
//! With `USE_EXISTING_CLUSTER=true` nothing is started and the tests run on the cluster of the current kubeconfig
//! context, as its user. `ServiceAccount`s log in there too; what needs the keys of the control plane does not exist
//! ([`ControlPlane::user`], [`ControlPlane::audit_log`], [`ControlPlane::expose`]) and says so with [`Error::ExistingCluster`]. Nothing that a
//! test creates there is taken away again.

mod argo_cd;
mod authority;
mod binaries;
mod control_plane;
mod error;
mod go;
mod go_programs;
mod kubectl;
mod network;
mod progress;
mod servers;
mod supervisor;
mod user;
mod wait;

pub use argo_cd::{ARGO_CD_VERSION, ArgoCdError, argo_cd_crds};
pub use authority::CertificateError;
pub use binaries::{Binaries, BinariesError, KUBEBUILDER_ASSETS, kube_controller_manager};
pub use control_plane::{ControlPlane, USE_EXISTING_CLUSTER};
pub use error::Error;
pub use go::GoError;
pub use go_programs::{GoPrograms, GoProgramsError, ModuleFile};
pub use kubectl::{Kubectl, KubectlOutput};
pub use user::User;
pub use wait::{Unfulfilled, eventually, eventually_object, eventually_objects};
