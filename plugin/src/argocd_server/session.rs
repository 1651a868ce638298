//! Where argocd-server is, and what one logs in to it with, from flags, the environment and what
//! the argocd CLI keeps.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Uri};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::command_line::{LocalConfig, LoggedIn, Options};
use super::error::SessionError;
use crate::args::ArgoCdServerArgs;

/// What it takes to talk to an argocd-server.
pub(crate) struct Session {
    place: Place,
    /// The path under which argocd-server answers, without slashes at its ends.
    root: String,
    pub(super) token: SecretString,
    pub(super) insecure: bool,
    /// Certificates in DER; None for those of the system.
    pub(super) authorities: Option<Vec<Vec<u8>>>,
    /// Certificate and key, each Base64 of PEM.
    pub(super) client_certificate: Option<(String, SecretString)>,
}

/// Where argocd-server is.
enum Place {
    /// At an address, as people write it, with or without TLS.
    At { address: String, plaintext: bool },
    /// Behind the API server of the cluster.
    Behind,
}

/// What the argocd CLI calls a server that it reaches by a port-forward.
const PORT_FORWARD: &str = "port-forward";

impl Session {
    /// Whether it takes a way through the API server.
    pub(crate) fn is_behind_cluster(&self) -> bool {
        matches!(self.place, Place::Behind)
    }

    /// What argocd-server is called to people.
    pub(super) fn address(&self) -> &str {
        match &self.place {
            Place::At { address, .. } => address,
            Place::Behind => "behind the API server",
        }
    }

    /// `https://HOST:PORT/PATH`.
    ///
    /// # Errors
    /// The address is not one.
    pub(super) fn url(&self) -> Result<Uri, SessionError> {
        match &self.place {
            Place::At { address, plaintext } => url(address, *plaintext, &self.root),
            Place::Behind => Err(SessionError::NoServer),
        }
    }

    /// The same session at the near end of such a way. Its far end is proven by the API server, and
    /// so argocd-server's certificate is not.
    pub(crate) fn through(self, near: SocketAddr, plaintext: bool) -> Self {
        Session {
            place: Place::At {
                address: near.to_string(),
                plaintext,
            },
            insecure: true,
            ..self
        }
    }

    /// The session that flags, environment and the argocd CLI's file amount to, in this order.
    ///
    /// # Errors
    /// There is none, or what is said of it cannot be used.
    pub(crate) fn find(args: &ArgoCdServerArgs) -> Result<Self, SessionError> {
        let options = Options::of_environment()?;
        let config = LocalConfig::read(&options)?;
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let named = args
            .argocd_server
            .clone()
            .or_else(|| options.get("server").map(str::to_owned))
            .or_else(|| variable("ARGOCD_SERVER"));
        let is_forwarded = args.port_forward
            || args.argocd_server.is_none()
                && (options.is_on("port-forward")
                    || options.get("port-forward-namespace").is_some());
        let known = match &named {
            _ if is_forwarded => config.of_address(PORT_FORWARD),
            Some(address) => config.of_address(address),
            None => current(&config, &options)?,
        };
        let address = named.or_else(|| known.as_ref().map(|known| known.server.server.clone()));
        let address = address.filter(|address| !is_forwarded && address != PORT_FORWARD);
        let (server, kept) = known.map_or_else(Default::default, |LoggedIn { server, token }| {
            (server, token)
        });
        let given = options.get("auth-token").map(str::to_owned);
        let given = given.or_else(|| variable("ARGOCD_AUTH_TOKEN"));
        let token = given.map(|token| SecretString::from(token.trim().to_owned()));
        let token = token
            .or(kept)
            .filter(|token| !token.expose_secret().is_empty());
        let token = match (token, &address) {
            (Some(token), _) => token,
            (None, Some(address)) => return Err(SessionError::NoToken(address.clone())),
            (None, None) if is_forwarded => return Err(SessionError::NoTokenBehind),
            (None, None) => return Err(SessionError::NoServer),
        };
        HeaderValue::from_str(token.expose_secret()).map_err(|_| SessionError::Token)?;
        let file = args.server_crt.clone();
        let file = file.or_else(|| options.get("server-crt").map(PathBuf::from));
        let authorities = match (file, &server.certificate_authority_data) {
            (Some(path), _) => Some(certificates_of(path)?),
            (None, Some(data)) if !data.is_empty() => {
                let pem = BASE64_STANDARD.decode(data).ok();
                let certificates = pem.and_then(|pem| certificates(&pem));
                Some(certificates.ok_or(SessionError::Authority)?)
            }
            _ => None,
        };
        let plaintext = args.plaintext || options.is_on("plaintext") || server.plain_text;
        let root = options.get("grpc-web-root-path");
        let root = root.or(server.grpc_web_root_path.as_deref());
        let session = Session {
            place: match address {
                Some(address) => Place::At { address, plaintext },
                None => Place::Behind,
            },
            root: root.unwrap_or_default().trim_matches('/').to_owned(),
            token,
            insecure: args.insecure || options.is_on("insecure") || server.insecure,
            authorities,
            client_certificate: server
                .client_certificate_data
                .zip(server.client_certificate_key_data),
        };
        if !session.is_behind_cluster() {
            session.url()?;
        }
        Ok(session)
    }
}

/// The context that is the argocd CLI's current one, or that `ARGOCD_OPTS` names. One of
/// `argocd login --core` has no argocd-server.
fn current(config: &LocalConfig, options: &Options) -> Result<Option<LoggedIn>, SessionError> {
    let named = options.get("argocd-context");
    let Some(name) = named.or(config.current_context.as_deref()) else {
        return Ok(None);
    };
    match config.of_context(name) {
        Some(known) if known.server.core => Ok(None),
        Some(known) => Ok(Some(known)),
        None if named.is_none() && name.is_empty() => Ok(None),
        None => Err(SessionError::NoContext {
            path: "the file of the argocd CLI",
            name: name.to_owned(),
        }),
    }
}

/// The scheme is a matter of `--plaintext`, and may be written all the same.
fn url(address: &str, plaintext: bool, root: &str) -> Result<Uri, SessionError> {
    let wrong = || SessionError::Address(address.to_owned());
    let (scheme, other) = if plaintext {
        ("http", "https://")
    } else {
        ("https", "http://")
    };
    if address.starts_with(other) {
        return Err(wrong());
    }
    let host = address
        .strip_prefix(&format!("{scheme}://"))
        .unwrap_or(address);
    let host = host.trim_end_matches('/');
    let root = root.trim_matches('/');
    let url: Uri = format!("{scheme}://{host}/{root}")
        .parse()
        .map_err(|_| wrong())?;
    let authority = url.authority().ok_or_else(wrong)?;
    if authority.host().is_empty() || authority.as_str().contains('@') || url.query().is_some() {
        return Err(wrong());
    }
    Ok(url)
}

fn certificates_of(path: PathBuf) -> Result<Vec<Vec<u8>>, SessionError> {
    let pem = match fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(SessionError::Read { path, source }),
    };
    certificates(&pem).ok_or(SessionError::Certificate(path))
}

/// The certificates of a text in PEM, of which there is at least one.
fn certificates(pem: &[u8]) -> Option<Vec<Vec<u8>>> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    let certificates: Result<Vec<_>, _> = certificates
        .map(|one| one.map(|der| der.to_vec()))
        .collect();
    certificates.ok().filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        let url = |address, plaintext, root| {
            url(address, plaintext, root)
                .map(|url| url.to_string())
                .ok()
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            url("argocd.example.com", false, ""),
            text("https://argocd.example.com/")
        );
        assert_eq!(
            url("localhost:8080", true, "/argocd/"),
            text("http://localhost:8080/argocd")
        );
        assert_eq!(
            url("https://argocd.example.com/", false, ""),
            text("https://argocd.example.com/")
        );
        for wrong in [
            "http://argocd.example.com",
            "a b",
            "",
            "user@host",
            "host?x=y",
        ] {
            assert_eq!(url(wrong, false, ""), None, "{wrong}");
        }
    }
}
