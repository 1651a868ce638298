//! From flags and kubeconfig to a connection.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri};
use kube::Config;
use kube::client::AuthError;
use kube::config::{AuthInfo, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use secrecy::ExposeSecret;

use super::{ApiServer, http_client};
use crate::args::ClusterArgs;
use crate::args::target::parse_name;
use crate::error::{CommandError, chain};
use crate::streams::Streams;

/// Why there is no connection. What a kubeconfig or a credential plugin holds is in none of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("there is no kubeconfig, and this is not a Pod")]
    NoKubeconfig,
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not a kubeconfig{place}", .path.display())]
    Form { path: PathBuf, place: String },
    #[error("the kubeconfigs cannot be merged: their kinds or versions differ")]
    Merge,
    #[error("the kubeconfig names no current context")]
    NoContext,
    #[error("the kubeconfig has no {what} {name}")]
    Missing { what: &'static str, name: String },
    #[error("the context's namespace {0:?} is not a name of a namespace")]
    Namespace(String),
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

/// What says which cluster it is.
enum Origin {
    Kubeconfig(Box<Kubeconfig>),
    /// Only `--server` does.
    Flags(Uri),
    /// This is a Pod of the cluster.
    Pod,
}

impl ClusterArgs {
    /// Connects. A credential plugin runs now. What the API server warns of is told on the streams,
    /// if there are any.
    ///
    /// # Errors
    /// There is no usable kubeconfig, or its credentials cannot be had.
    pub(crate) async fn connect(
        &self,
        streams: Option<Arc<Streams>>,
    ) -> Result<ApiServer, ConnectError> {
        let origin = self.origin()?;
        let namespace = self.namespace_of(&origin)?;
        let mut config = self.config(origin).await?;
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
        let client = http_client::client(config).map_err(|error| connecting(error, plugin))?;
        let timeout = self.request_timeout.and_then(|timeout| timeout.0);
        Ok(ApiServer::new(client, address, timeout, namespace, streams))
    }

    /// The namespace that the context is for, where it names one, or that of the Pod. No cluster is
    /// asked.
    ///
    /// # Errors
    /// There is no usable kubeconfig.
    pub(crate) fn namespace(&self) -> Result<Option<String>, ConnectError> {
        self.namespace_of(&self.origin()?)
    }

    /// All that the kubeconfigs have.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(crate) fn kubeconfig(&self) -> Result<Kubeconfig, ConnectError> {
        read(&self.files())
    }

    fn origin(&self) -> Result<Origin, ConnectError> {
        let files = self.files();
        let names_something =
            self.context.is_some() || self.cluster.is_some() || self.user.is_some();
        if files.is_empty() && !names_something {
            return match &self.server {
                Some(server) => Ok(Origin::Flags(server.clone())),
                None if env::var_os("KUBERNETES_SERVICE_HOST").is_some() => Ok(Origin::Pod),
                None => Err(ConnectError::NoKubeconfig),
            };
        }
        Ok(Origin::Kubeconfig(Box::new(read(&files)?)))
    }

    fn namespace_of(&self, origin: &Origin) -> Result<Option<String>, ConnectError> {
        let namespace = match origin {
            Origin::Flags(_) => None,
            Origin::Pod => namespace_of_pod(
                env::var("POD_NAMESPACE").ok(),
                fs::read_to_string(POD_NAMESPACE_FILE).ok(),
            ),
            Origin::Kubeconfig(kubeconfig) => {
                let name = self
                    .context
                    .as_ref()
                    .or(kubeconfig.current_context.as_ref());
                let mut contexts = kubeconfig.contexts.iter();
                let context = contexts.find(|context| Some(&context.name) == name);
                let context = context.and_then(|context| context.context.as_ref());
                context.and_then(|context| context.namespace.clone())
            }
        };
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        let is_name = |namespace: String| {
            parse_name(&namespace).map_err(|_| ConnectError::Namespace(namespace))
        };
        namespace.map(is_name).transpose()
    }

    async fn config(&self, origin: Origin) -> Result<Config, ConnectError> {
        let kubeconfig = match origin {
            Origin::Flags(server) => return Ok(Config::new(server)),
            Origin::Pod => return Config::incluster().map_err(ConnectError::InCluster),
            Origin::Kubeconfig(kubeconfig) => *kubeconfig,
        };
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

    /// What flags say of credentials counts in place of the kubeconfig's. A token in place of all
    /// of them, as for kubectl.
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

/// Where a Pod finds the namespace of its service account.
const POD_NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// As for kubectl: of an environment variable, else of the service account (client-go,
/// `inClusterClientConfig.Namespace`).
fn namespace_of_pod(variable: Option<String>, file: Option<String>) -> Option<String> {
    let file = file.map(|text| text.trim().to_owned());
    let mut named = [variable, file].into_iter().flatten();
    named.find(|namespace| !namespace.is_empty())
}

/// The client takes any text for a token, and panics when it sends one that is not a header.
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
        AuthError::AuthExecParse(_) => {
            "it answered something that is not an ExecCredential".to_owned()
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_in_the_namespace_of_its_service_account_unless_told_otherwise() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(namespace_of_pod(None, text("ci\n")), text("ci"));
        assert_eq!(namespace_of_pod(text(""), text("ci")), text("ci"));
        assert_eq!(namespace_of_pod(text("shop"), text("ci")), text("shop"));
        assert_eq!(namespace_of_pod(None, text("\n")), None);
        assert_eq!(namespace_of_pod(None, None), None);
    }
}
