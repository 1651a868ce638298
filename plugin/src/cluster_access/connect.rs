//! From flags and kubeconfig to a connection.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Output;

use http::{HeaderName, HeaderValue};
use kube::client::AuthError;
use kube::config::{AuthInfo, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use secrecy::ExposeSecret;

use super::ApiServer;
use super::args::ClusterArgs;
use crate::error::{CommandError, chain};

/// Why there is no connection. What a kubeconfig or a credential plugin holds is in none of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("there is no kubeconfig, and this is no Pod")]
    NoKubeconfig,
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is no kubeconfig{place}", .path.display())]
    Form { path: PathBuf, place: String },
    #[error("the kubeconfigs cannot be merged: their kinds or versions differ")]
    Merge,
    #[error("the kubeconfig names no current context")]
    NoContext,
    #[error("the kubeconfig has no {what} {name}")]
    Missing { what: &'static str, name: String },
    #[error("the kubeconfig cannot be used")]
    Unusable(#[source] KubeconfigError),
    #[error("the Pod's service account cannot be used")]
    InCluster(#[source] InClusterError),
    #[error("--as or --as-group: not a name that can be sent")]
    Impersonation,
    #[error(
        "the bearer token is not a text that can be sent: it has a line break or another control character"
    )]
    Token,
    #[error("the credential plugin {program} failed: {reason}")]
    Plugin { program: String, reason: String },
    #[error("cannot log in: {0}")]
    LogIn(String),
    #[error("cannot connect")]
    Client(#[source] kube::Error),
}

impl ConnectError {
    /// Whether no cluster is known.
    pub(crate) fn is_without_cluster(&self) -> bool {
        matches!(self, ConnectError::NoKubeconfig)
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            ConnectError::NoKubeconfig => Some("name one by --kubeconfig or KUBECONFIG"),
            ConnectError::NoContext => Some("name one by --context"),
            ConnectError::Missing { .. } => Some("`kubectl config view` shows what there is"),
            _ => None,
        }
    }
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        let hint = error.hint();
        let error = CommandError::new(error);
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}

impl ClusterArgs {
    /// Connects. A credential plugin runs now.
    ///
    /// # Errors
    /// There is no usable kubeconfig, or its credentials cannot be had.
    pub(crate) async fn connect(&self) -> Result<ApiServer, ConnectError> {
        let mut config = self.config().await?;
        if let Some(server) = &self.server {
            config.cluster_url = server.clone();
        }
        if self.insecure_skip_tls_verify {
            config.accept_invalid_certs = true;
        }
        if let Some(file) = &self.certificate_authority {
            config.root_cert_file = Some(file.clone());
        }
        if let Some(name) = &self.tls_server_name {
            config.tls_server_name = Some(name.clone());
        }
        self.log_in_by_flags(&mut config.auth_info);
        check_token(&config.auth_info)?;
        config
            .headers
            .extend(self.impersonation(&config.auth_info)?);
        let address = config.cluster_url.to_string();
        let plugin = config.auth_info.exec.as_ref();
        let plugin = plugin.and_then(|plugin| plugin.command.clone());
        let client = Client::try_from(config).map_err(|error| connecting(error, plugin))?;
        Ok(ApiServer::new(client, address, self.request_timeout.0))
    }

    async fn config(&self) -> Result<Config, ConnectError> {
        let files = self.files();
        let names_something =
            self.context.is_some() || self.cluster.is_some() || self.user.is_some();
        if files.is_empty() && !names_something {
            return match &self.server {
                Some(server) => Ok(Config::new(server.clone())),
                None if env::var_os("KUBERNETES_SERVICE_HOST").is_some() => {
                    Config::incluster().map_err(ConnectError::InCluster)
                }
                None => Err(ConnectError::NoKubeconfig),
            };
        }
        let kubeconfig = read(&files)?;
        if let Some(user) = &self.user
            && !kubeconfig.auth_infos.iter().any(|info| info.name == *user)
        {
            return Err(missing("user", user));
        }
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
        };
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| match error {
                KubeconfigError::CurrentContextNotSet => ConnectError::NoContext,
                KubeconfigError::LoadContext(name) => missing("context", &name),
                KubeconfigError::LoadClusterOfContext(name) => missing("cluster", &name),
                other => ConnectError::Unusable(other),
            })
    }

    /// What flags say of credentials counts in place of the kubeconfig's. A token in place of all of them, as for kubectl.
    fn log_in_by_flags(&self, user: &mut AuthInfo) {
        let path = |path: &PathBuf| Some(path.to_string_lossy().into_owned());
        if let Some(token) = &self.token {
            user.token = Some(token.as_str().to_owned().into());
            user.token_file = None;
            user.username = None;
            user.password = None;
            user.auth_provider = None;
            user.exec = None;
        }
        if let Some(file) = &self.client_certificate {
            user.client_certificate = path(file);
            user.client_certificate_data = None;
        }
        if let Some(file) = &self.client_key {
            user.client_key = path(file);
            user.client_key_data = None;
        }
    }

    /// The kubeconfigs to read. Of those that are not named by a flag only the ones that there are.
    fn files(&self) -> Vec<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return vec![path.clone()];
        }
        let listed: Vec<PathBuf> = env::var_os("KUBECONFIG")
            .iter()
            .flat_map(env::split_paths)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        let paths = if listed.is_empty() {
            // By its name alone, as kubectl does; the second one is that of Windows.
            let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"));
            home.map(|home| Path::new(&home).join(".kube/config"))
                .into_iter()
                .collect()
        } else {
            listed
        };
        paths.into_iter().filter(|path| path.exists()).collect()
    }

    /// Whom to act as: by flags, else as the kubeconfig says.
    fn impersonation(
        &self,
        user: &AuthInfo,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, ConnectError> {
        let (name, uid, groups) = match &self.impersonate {
            Some(name) => (
                Some(name),
                self.impersonate_uid.as_ref(),
                &self.impersonate_groups[..],
            ),
            None => (
                user.impersonate.as_ref(),
                user.impersonate_uid.as_ref(),
                user.impersonate_groups.as_deref().unwrap_or_default(),
            ),
        };
        let user = name.map(|name| ("impersonate-user", name));
        let uid = uid.map(|uid| ("impersonate-uid", uid));
        let groups = groups.iter().map(|group| ("impersonate-group", group));
        user.into_iter()
            .chain(uid)
            .chain(groups)
            .map(|(header, value)| {
                let value =
                    HeaderValue::from_str(value).map_err(|_| ConnectError::Impersonation)?;
                Ok((HeaderName::from_static(header), value))
            })
            .collect()
    }
}

/// The client takes any text for a token, and panics when it sends one that is no header.
fn check_token(user: &AuthInfo) -> Result<(), ConnectError> {
    let token = user.token.as_ref().map(ExposeSecret::expose_secret);
    match token.map(HeaderValue::from_str) {
        Some(Err(_)) => Err(ConnectError::Token),
        _ => Ok(()),
    }
}

fn missing(what: &'static str, name: &str) -> ConnectError {
    ConnectError::Missing {
        what,
        name: name.to_owned(),
    }
}

/// Reads kubeconfigs; of what several say the first counts, as for kubectl.
fn read(files: &[PathBuf]) -> Result<Kubeconfig, ConnectError> {
    files
        .iter()
        .try_fold(Kubeconfig::default(), |merged, path| {
            let next = Kubeconfig::read_from(path).map_err(|error| unreadable(path, error))?;
            merged.merge(next).map_err(|_| ConnectError::Merge)
        })
}

/// The parser quotes what it cannot read, which may be a token.
fn unreadable(path: &Path, error: KubeconfigError) -> ConnectError {
    let path = path.to_owned();
    match error {
        KubeconfigError::ReadConfig(source, _) => ConnectError::Read { path, source },
        KubeconfigError::Parse(error) => ConnectError::Form {
            path,
            place: match error.location() {
                Some(location) => format!(" (line {})", location.line()),
                None => String::new(),
            },
        },
        other => ConnectError::Unusable(other),
    }
}

/// A credential plugin writes credentials to standard output; only what it says besides is told.
fn connecting(error: kube::Error, plugin: Option<String>) -> ConnectError {
    let kube::Error::Auth(error) = error else {
        return ConnectError::Client(error);
    };
    let reason = match error {
        AuthError::AuthExecRun { out, .. } => told_by_plugin(&out),
        AuthError::AuthExecParse(_) => "it answered something that is no ExecCredential".to_owned(),
        other => chain(&other),
    };
    match plugin {
        Some(program) => ConnectError::Plugin { program, reason },
        None => ConnectError::LogIn(reason),
    }
}

fn told_by_plugin(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.trim().lines().last().unwrap_or_default();
    match last {
        "" => output.status.to_string(),
        told => format!("{}: {told}", output.status),
    }
}
