//! Somebody who logs in to the API server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedAuthInfo,
    NamedCluster, NamedContext,
};
use kube::{Client, Config};

use crate::control_plane::authority::Identity;
use crate::control_plane::error::{Error, api, context};
use crate::control_plane::kubectl::Kubectl;

/// Somebody whom the API server knows by what it authenticates itself: no header claims an
/// identity.
///
/// Cheap to clone, and no longer of use once its control plane is dropped.
#[derive(Clone)]
pub struct User(Arc<Login>);

#[derive(Clone)]
struct Login {
    name: String,
    kubeconfig: Kubeconfig,
    path: PathBuf,
    surroundings: Surroundings,
}

/// What a user of one control plane needs besides credentials.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// Where kubeconfigs are written.
    pub(crate) folder: PathBuf,
    pub(crate) kubectl: PathBuf,
    /// The control plane is ours, so neither a proxy nor anything else of the caller's environment
    /// concerns it. The user of an existing cluster may need all of it to log in.
    pub(crate) isolated: bool,
}

impl User {
    pub(crate) fn new(
        name: &str,
        kubeconfig: Kubeconfig,
        surroundings: Surroundings,
    ) -> Result<Self, Error> {
        let json = serde_json::to_vec(&kubeconfig).map_err(|source| Error::WriteKubeconfig {
            user: name.to_owned(),
            source,
        })?;
        let path =
            write(&surroundings.folder, &json).map_err(context("cannot write a kubeconfig"))?;
        Ok(Self(Arc::new(Login {
            name: name.to_owned(),
            kubeconfig,
            path,
            surroundings,
        })))
    }

    pub(crate) fn renamed(&self, name: String) -> Self {
        let login = Login::clone(&self.0);
        Self(Arc::new(Login { name, ..login }))
    }

    /// The name by which the API server knows this user, as in `userInfo.username` of an admission
    /// review.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// A kubeconfig file, whose only context logs in as this user.
    pub fn kubeconfig(&self) -> &Path {
        &self.0.path
    }

    /// A client that logs in as this user. It belongs to the current runtime: a test that shares
    /// its control plane with others makes a client of its own.
    pub async fn client(&self) -> Result<Client, Error> {
        self.client_for(self.config().await?)
    }

    /// Like [`User::client`], and gives up at the first answer where that one tries again.
    pub(crate) async fn impatient_client(&self) -> Result<Client, Error> {
        let mut config = self.config().await?;
        config.default_retry = false;
        self.client_for(config)
    }

    /// `kubectl` with these arguments, as this user.
    pub fn kubectl<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Kubectl {
        let Surroundings {
            folder,
            kubectl,
            isolated,
        } = &self.0.surroundings;
        Kubectl::new(kubectl, self.kubeconfig(), isolated.then_some(folder)).arguments(arguments)
    }

    async fn config(&self) -> Result<Config, Error> {
        let config = Config::from_custom_kubeconfig(
            self.0.kubeconfig.clone(),
            &KubeConfigOptions::default(),
        )
        .await;
        let mut config = config.map_err(|source| unusable(self.name(), source))?;
        if self.0.surroundings.isolated {
            config.proxy_url = None;
        }
        Ok(config)
    }

    fn client_for(&self, config: Config) -> Result<Client, Error> {
        Client::try_from(config).map_err(api(format!("log in as {}", self.name())))
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("User").field(&self.0.name).finish()
    }
}

pub(crate) fn unusable(user: &str, source: KubeconfigError) -> Error {
    Error::Kubeconfig {
        user: user.to_owned(),
        source: Box::new(source),
    }
}

/// Logs in with a client certificate.
pub(crate) fn with_certificate(identity: &Identity) -> AuthInfo {
    AuthInfo {
        client_certificate_data: Some(base64(&identity.certificate)),
        client_key_data: Some(base64(&identity.key).into()),
        ..AuthInfo::default()
    }
}

/// Logs in with a bearer token.
pub(crate) fn with_token(token: String) -> AuthInfo {
    AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    }
}

/// A kubeconfig with one context.
pub(crate) fn kubeconfig(cluster: Cluster, login: AuthInfo) -> Kubeconfig {
    let name = || "control-plane".to_owned();
    Kubeconfig {
        api_version: Some("v1".to_owned()),
        kind: Some("Config".to_owned()),
        clusters: vec![NamedCluster {
            name: name(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: name(),
            auth_info: Some(login),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: name(),
            context: Some(Context {
                cluster: name(),
                user: Some(name()),
                ..Context::default()
            }),
            ..NamedContext::default()
        }],
        current_context: Some(name()),
        ..Kubeconfig::default()
    }
}

pub(crate) fn base64(pem: &str) -> String {
    STANDARD.encode(pem)
}

/// Into a file that only its owner may read.
fn write(folder: &Path, json: &[u8]) -> std::io::Result<PathBuf> {
    let mut file = tempfile::Builder::new()
        .prefix("kubeconfig-")
        .suffix(".json")
        .tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, json)?;
    Ok(file.into_temp_path().keep()?)
}
