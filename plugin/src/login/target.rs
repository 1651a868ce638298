//! What a cluster Secret says of the login.

use argocd::cluster::config::{AwsAuthConfig, Login, LoginError};
use argocd::cluster::{ClusterSecretError, Connection, RewriteError};
use argocd::{Cluster, ClusterSecret};

/// A cluster, and how Argo CD logs in to it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) cluster: Cluster,
    pub(super) login: Result<AwsLogin, Flaw>,
}

/// A login by AWS.
#[derive(Debug)]
pub(super) struct AwsLogin {
    pub(super) aws: AwsAuthConfig,
    pub(super) connection: Connection,
}

/// Why there is none.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Flaw {
    #[error(transparent)]
    Unreadable(#[from] ClusterSecretError),
    #[error("it is not clear what its config means")]
    NotClear(#[from] RewriteError),
    #[error("no client can be made of its config")]
    Unusable(#[from] LoginError),
    #[error("its config names no cluster of EKS (awsAuthConfig.clusterName)")]
    NoName,
    /// This is no flaw of the Secret, but nothing that is verified here.
    #[error("it logs in by {0}, which is not verified here")]
    Other(&'static str),
}

impl Target {
    /// That of a Secret.
    ///
    /// # Errors
    /// Nobody can say which cluster it describes.
    pub(crate) fn of(secret: &ClusterSecret<'_>) -> Result<Self, ClusterSecretError> {
        Ok(Target {
            cluster: secret.cluster()?,
            login: aws_login(secret),
        })
    }
}

impl Target {
    /// Whether AWS is asked for the login.
    pub(crate) fn is_by_aws(&self) -> bool {
        self.login.is_ok()
    }
}

fn aws_login(secret: &ClusterSecret<'_>) -> Result<AwsLogin, Flaw> {
    let config = secret.config()?;
    match config.login(secret.is_in_cluster())? {
        Login::Aws(aws) if aws.cluster_name.is_empty() => Err(Flaw::NoName),
        Login::Aws(aws) => Ok(AwsLogin {
            aws: aws.clone(),
            connection: secret.connection()?,
        }),
        Login::InCluster => Err(Flaw::Other("the service account of Argo CD's own pods")),
        Login::Exec(_) => Err(Flaw::Other("a command")),
        Login::Static {
            bearer_token: true, ..
        } => Err(Flaw::Other("a bearer token")),
        Login::Static {
            basic_auth: true, ..
        } => Err(Flaw::Other("a password")),
        Login::Static { .. } if config.tls.cert_data => Err(Flaw::Other("a client certificate")),
        Login::Static { .. } => Err(Flaw::Other("nothing that the Secret names")),
    }
}
