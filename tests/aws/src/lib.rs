//! AWS for tests.
//!
//! [`Aws`] is EKS, IAM and STS in one process, by `ministack`, with signatures and permissions checked; what it lacks
//! of EKS is added in `ministack/double.py`, and every answer is held to the model of AWS's own SDK. There are as many
//! accounts as there are numbers of twelve digits: each is its own root's access key, with the secret `test`.
//! It is reached in two ways: at a URL of loopback, and through a proxy by the names of AWS, over TLS, as in production.
//!
//! [`EksCluster`] is a real kube-apiserver that asks the real `aws-iam-authenticator` who somebody is, which asks STS
//! of [`Aws`]: a token is accepted there if it would be by EKS. What is not real: which role is which user comes from
//! a file, where EKS goes by access entries ([`EksCluster::follow`] writes that file from the access entries of
//! [`Aws`]), and rights are RBAC's, as access policies are known to EKS alone.

mod authenticator;
mod aws;
mod cluster;
mod front;
mod process;
mod python;
mod tls;

pub use aws::{Aws, Fault};
pub use cluster::EksCluster;
pub use python::{PYTHON, ministack};

/// Makes sure that all that the tests need is there; this builds what is not.
///
/// # Errors
/// Something cannot be built.
pub fn prepare() -> anyhow::Result<()> {
    ministack()?;
    authenticator::program()?;
    Ok(())
}
