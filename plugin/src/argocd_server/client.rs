//! Requests to argocd-server, and its answers.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use flate2::read::GzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use kube::client::Body;
use kube::config::AuthInfo;
use kube::{Client, Config};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::SessionError;
use super::session::Session;

/// How long an answer may take where nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How large an answer may be, in bytes, as it is sent and as it is meant.
const LIMIT: usize = 256 << 20;
/// What argocd-server answers to anybody, without TLS only where it has none.
const HEALTH: &str = "/healthz";
/// How much of what argocd-server says of an error is told.
const MESSAGE_LIMIT: usize = 200;

/// An argocd-server that somebody is logged in to.
pub(crate) struct ArgoCdServer {
    client: Client,
    address: String,
    timeout: Duration,
}

/// argocd-server gives no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("no client can be made for argocd-server {address}")]
    Client {
        address: String,
        #[source]
        source: kube::Error,
    },
    #[error(transparent)]
    Session(SessionError),
    #[error("argocd-server {address} does not answer: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("argocd-server {address} took longer than {} s to answer", .after.as_secs_f64())]
    TimedOut { address: String, after: Duration },
    #[error("argocd-server {address} does not know who you are: {message}")]
    Unauthorized { address: String, message: String },
    #[error("argocd-server does not let you: {0}")]
    Forbidden(String),
    #[error("argocd-server has no such Application")]
    NotFound,
    #[error("argocd-server sends on to another address: look at its URL, and at --plaintext")]
    Redirected,
    #[error("argocd-server answered {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("argocd-server's answer is larger than {} MiB", LIMIT >> 20)]
    TooLarge,
    #[error("argocd-server's answer cannot be read: {0}")]
    Answer(&'static str),
}

impl ServerError {
    /// What may help.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            ServerError::Unauthorized { address, .. } => {
                Some(format!("`argocd login {address}` logs in anew"))
            }
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: Option<String>,
    error: Option<String>,
}

impl ArgoCdServer {
    /// One that a session is for. Nothing is sent yet.
    ///
    /// # Errors
    /// What the session says makes no connection.
    pub(crate) fn new(session: Session, timeout: Option<Duration>) -> Result<Self, ServerError> {
        let url = session.url().map_err(ServerError::Session)?;
        let address = session.address().to_owned();
        let Session {
            token,
            insecure,
            authorities,
            client_certificate,
            ..
        } = session;
        let mut config = Config::new(url);
        config.accept_invalid_certs = insecure;
        config.root_cert = authorities;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = None;
        let (certificate, key) = client_certificate.unzip();
        config.auth_info = AuthInfo {
            token: Some(token),
            client_certificate_data: certificate,
            client_key_data: key,
            ..AuthInfo::default()
        };
        let client = Client::try_from(config).map_err(|source| ServerError::Client {
            address: address.clone(),
            source,
        })?;
        Ok(ArgoCdServer {
            client,
            address,
            timeout: timeout.unwrap_or(TIMEOUT),
        })
    }

    /// One behind the near end of a way through the API server. It is found out by a request
    /// without a token whether it speaks TLS, which its certificate is not checked for.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn behind(
        session: Session,
        near: SocketAddr,
        timeout: Option<Duration>,
    ) -> Result<Self, ServerError> {
        let address = near.to_string();
        let unreachable = |error: &dyn std::error::Error| ServerError::Unreachable {
            address: session.address().to_owned(),
            reason: innermost(error),
        };
        let url: Uri = format!("http://{address}/")
            .parse()
            .map_err(|_| ServerError::Answer("its address is none"))?;
        let mut config = Config::new(url);
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let client = Client::try_from(config).map_err(|error| unreachable(&error))?;
        let request = Request::get(HEALTH).body(Body::empty());
        let request = request.map_err(|_| ServerError::Answer("it cannot be asked"))?;
        let after = timeout.unwrap_or(TIMEOUT);
        let answer = tokio::time::timeout(after, client.send(request)).await;
        let answer = answer.map_err(|_| ServerError::TimedOut {
            address: session.address().to_owned(),
            after,
        })?;
        let answer = answer.map_err(|error| unreachable(&error))?;
        let plaintext = !answer.status().is_redirection();
        ArgoCdServer::new(session.through(near, plaintext), timeout)
    }

    /// Where it is, for people.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Namespace, name and time of creation of the Applications that it shows, as JSON. It lists no
    /// UIDs (Argo CD 3.6, `appFields`).
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn identities(&self) -> Result<Zeroizing<String>, ServerError> {
        let fields =
            "items.metadata.name,items.metadata.namespace,items.metadata.creationTimestamp";
        self.get(&format!("/api/v1/applications?fields={fields}"))
            .await
    }

    /// All Applications that it shows, with some labels, as JSON.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn applications(
        &self,
        selector: Option<&str>,
    ) -> Result<Zeroizing<String>, ServerError> {
        let selector = selector.map(|selector| format!("?selector={}", encoded(selector)));
        let path = format!("/api/v1/applications{}", selector.unwrap_or_default());
        self.get(&path).await
    }

    /// What it says of the resources of an Application, as JSON. It has a Secret's values masked,
    /// and the text is wiped all the same.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn managed_resources(
        &self,
        namespace: &str,
        name: &str,
        project: &str,
    ) -> Result<Zeroizing<String>, ServerError> {
        let [namespace, name, project] = [namespace, name, project].map(encoded);
        self.get(&format!(
            "/api/v1/applications/{name}/managed-resources?appNamespace={namespace}&project={project}"
        ))
        .await
    }

    /// What Git has of the resources of an Application, as JSON. It has a Secret's values masked, and
    /// the text is wiped all the same.
    ///
    /// # Errors
    /// There is no answer.
    pub(crate) async fn manifests(
        &self,
        namespace: &str,
        name: &str,
        project: &str,
    ) -> Result<Zeroizing<String>, ServerError> {
        let [namespace, name, project] = [namespace, name, project].map(encoded);
        self.get(&format!(
            "/api/v1/applications/{name}/manifests?appNamespace={namespace}&project={project}"
        ))
        .await
    }

    async fn get(&self, path: &str) -> Result<Zeroizing<String>, ServerError> {
        let answer = tokio::time::timeout(self.timeout, self.exchange(path)).await;
        answer.map_err(|_| ServerError::TimedOut {
            address: self.address.clone(),
            after: self.timeout,
        })?
    }

    async fn exchange(&self, path: &str) -> Result<Zeroizing<String>, ServerError> {
        let unreachable = |error: &dyn std::error::Error| ServerError::Unreachable {
            address: self.address.clone(),
            reason: innermost(error),
        };
        let request = Request::get(path).header(ACCEPT_ENCODING, "gzip");
        let request = request.body(Body::empty());
        let request = request.map_err(|_| ServerError::Answer("its name cannot be asked for"))?;
        let sent = self.client.send(request).await;
        let (head, body) = sent.map_err(|error| unreachable(&error))?.into_parts();
        let body = Limited::new(body, LIMIT).collect().await;
        let body = body.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                ServerError::TooLarge
            } else {
                unreachable(&*error)
            }
        })?;
        let bytes: Vec<u8> = body.to_bytes().into();
        let is_compressed = head.headers.get(CONTENT_ENCODING);
        let is_compressed = is_compressed.is_some_and(|encoding| encoding == "gzip");
        let bytes = if is_compressed {
            decompressed(&bytes)?
        } else {
            Zeroizing::new(bytes)
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| ServerError::Answer("it is not UTF-8"));
        if head.status.is_success() {
            return Ok(Zeroizing::new(text?.to_owned()));
        }
        Err(self.refusal(head.status, text.unwrap_or_default()))
    }

    fn refusal(&self, status: StatusCode, text: &str) -> ServerError {
        let said: Status = serde_json::from_str(text).unwrap_or_default();
        let message = said.message.or(said.error).unwrap_or_default();
        let message = policy::finding::shorten(&message, MESSAGE_LIMIT);
        match status.as_u16() {
            401 => ServerError::Unauthorized {
                address: self.address.clone(),
                message,
            },
            403 => ServerError::Forbidden(message),
            404 => ServerError::NotFound,
            300..=399 => ServerError::Redirected,
            code => ServerError::Refused { code, message },
        }
    }
}

fn decompressed(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, ServerError> {
    let mut plain = Zeroizing::new(Vec::new());
    let mut decoder = GzDecoder::new(bytes).take(LIMIT as u64 + 1);
    let read = decoder.read_to_end(&mut plain);
    read.map_err(|_| ServerError::Answer("it is not compressed as it says"))?;
    if plain.len() > LIMIT {
        return Err(ServerError::TooLarge);
    }
    Ok(plain)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The cause at the end of the chain. What is around it repeats it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
