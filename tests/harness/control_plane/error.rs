//! What can go wrong with a control plane.

use std::io;

use kube::config::KubeconfigError;
use thiserror::Error;

use crate::control_plane::authority::CertificateError;
use crate::control_plane::binaries::BinariesError;
use crate::wait::Unfulfilled;

/// A control plane cannot be started or used.
#[derive(Debug, Error)]
pub enum Error {
    /// Its programs are not there.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// A certificate or key cannot be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file or process cannot be used.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It was started and did not become ready.
    #[error(
        "{reason}\n\nend of the log of etcd:\n{etcd_log}\n\nend of the log of kube-apiserver:\n{kube_apiserver_log}"
    )]
    NotReady {
        /// What was waited for.
        reason: String,
        /// The last lines that etcd logged.
        etcd_log: String,
        /// The last lines that kube-apiserver logged.
        kube_apiserver_log: String,
    },
    /// A kubeconfig cannot be read or used.
    #[error("cannot use the kubeconfig of {user}")]
    Kubeconfig {
        /// Whose it is.
        user: String,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// A kubeconfig cannot be written.
    #[error("cannot write the kubeconfig of {user}")]
    WriteKubeconfig {
        /// Whose it is.
        user: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The API server cannot be asked, or refuses.
    #[error("cannot {what}")]
    Api {
        /// What was asked of it.
        what: String,
        /// What it answered.
        source: Box<kube::Error>,
    },
    /// The API server gave a `ServiceAccount` no token.
    #[error("the API server gave ServiceAccount {namespace}/{name} no token")]
    NoToken {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The context of the existing cluster names no cluster.
    #[error("the current context of the kubeconfig names no cluster")]
    NoCluster,
    /// This needs a control plane of its own.
    #[error("an existing cluster has {what} that tests can use: unset USE_EXISTING_CLUSTER")]
    ExistingCluster {
        /// What it lacks, such as "no audit log".
        what: &'static str,
    },
    /// Something was waited for and did not come.
    #[error(transparent)]
    Unfulfilled(#[from] Unfulfilled),
    /// Background work was cut off, because the runtime is shutting down.
    #[error("background work was cut off")]
    Cancelled(#[from] tokio::task::JoinError),
}

pub(crate) fn context(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::System { what, source }
}

pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
    |source| Error::Api {
        what: what.into(),
        source: Box::new(source),
    }
}
