//! Why nothing can be sent to argocd-server.

use std::path::PathBuf;

/// Nothing can be sent to argocd-server. No token is in any of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("no argocd-server is known")]
    NoServer,
    #[error("nobody is logged in to {0}")]
    NoToken(String),
    #[error("there is no token for argocd-server behind the API server")]
    NoTokenBehind,
    #[error("ARGOCD_OPTS: {0}")]
    Options(&'static str),
    #[error("cannot read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not a file of the argocd CLI{place}", .path.display())]
    Form { path: PathBuf, place: String },
    #[error("{} has no context {name}", .path)]
    NoContext { path: &'static str, name: String },
    #[error("{0:?} is not an address: expected HOST or HOST:PORT")]
    Address(String),
    #[error("the token for argocd-server is not a text that can be sent")]
    Token,
    #[error("{} holds no certificate in PEM", .0.display())]
    Certificate(PathBuf),
    #[error(
        "certificate-authority-data in the file of the argocd CLI is not Base64 of certificates in PEM"
    )]
    Authority,
}

impl SessionError {
    /// Whether there is just none.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(
            self,
            SessionError::NoServer | SessionError::NoToken(_) | SessionError::NoTokenBehind
        )
    }

    /// What may help.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            SessionError::NoServer => {
                Some("log in by `argocd login`, or name it by --argocd-server".to_owned())
            }
            SessionError::NoToken(address) => Some(format!(
                "log in by `argocd login {address}`, or set ARGOCD_AUTH_TOKEN"
            )),
            SessionError::NoTokenBehind => {
                Some("set ARGOCD_AUTH_TOKEN, or log in by `argocd login --port-forward`".to_owned())
            }
            _ => None,
        }
    }
}
