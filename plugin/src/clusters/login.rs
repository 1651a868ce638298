//! How Argo CD logs in to a cluster, and what of it is a credential that lasts.

use argocd::ClusterSecret;
use argocd::cluster::config::{ClusterConfig, Login as Configured};
use jiff::Timestamp;

use crate::error::chain;

/// How Argo CD logs in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Login {
    /// As the service account of its own Pods.
    InCluster,
    /// By AWS: a request that it signs each time.
    Aws,
    /// By another command.
    Exec,
    /// By a bearer token.
    Token,
    /// By a user name and password.
    Basic,
    /// By a client certificate.
    Certificate,
    /// By the capability of EKS that runs it: nothing is written.
    Capability,
    /// As nobody.
    Anonymous,
    /// It does not: the Secret cannot be used.
    Broken(String),
    /// The Secret may not be read.
    Unknown,
}

/// Something that is written in a Secret and lets in whoever reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Credential {
    pub(crate) kind: CredentialKind,
    /// None where it does not say.
    pub(crate) issued: Option<Timestamp>,
    pub(crate) expires: Expiry,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CredentialKind {
    BearerToken,
    Password,
    ClientCertificate,
}

/// When a credential ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expiry {
    /// It does not end by itself.
    Never,
    At(Timestamp),
    /// It does not say.
    Unknown,
}

impl Login {
    /// As it is typed and shown.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Login::InCluster => "in-cluster",
            Login::Aws => "aws",
            Login::Exec => "exec",
            Login::Token => "token",
            Login::Basic => "basic",
            Login::Certificate => "certificate",
            Login::Capability => "capability",
            Login::Anonymous => "anonymous",
            Login::Broken(_) => "broken",
            Login::Unknown => "unknown",
        }
    }

    /// The names of all that there are.
    pub(crate) const NAMES: [&'static str; 10] = [
        "token",
        "basic",
        "certificate",
        "aws",
        "exec",
        "in-cluster",
        "capability",
        "anonymous",
        "broken",
        "unknown",
    ];

    /// That of a cluster Secret for a server.
    pub(crate) fn of(secret: &ClusterSecret<'_>, server: &str) -> (Self, Vec<Credential>) {
        if let Some(unknown) = secret.unknown_config() {
            return (Login::Broken(unknown.to_string()), Vec::new());
        }
        match secret.config() {
            Ok(config) => {
                let login = Login::by(config, server, secret.is_in_cluster());
                (login, credentials(config))
            }
            Err(error) => (Login::Broken(chain(&error)), Vec::new()),
        }
    }

    fn by(config: &ClusterConfig, server: &str, in_cluster: bool) -> Self {
        match config.login(in_cluster) {
            Ok(Configured::InCluster) => Login::InCluster,
            Ok(Configured::Aws(_)) => Login::Aws,
            Ok(Configured::Exec(exec)) if exec.is_aws_login() => Login::Aws,
            Ok(Configured::Exec(_)) => Login::Exec,
            Ok(Configured::Static {
                bearer_token,
                basic_auth,
            }) => match (bearer_token, basic_auth) {
                (true, _) => Login::Token,
                (_, true) => Login::Basic,
                _ if config.tls.cert_data && config.tls.key_data => Login::Certificate,
                _ if server.starts_with("arn:") => Login::Capability,
                _ => Login::Anonymous,
            },
            Err(error) => Login::Broken(error.to_string()),
        }
    }
}

impl CredentialKind {
    /// As it is shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CredentialKind::BearerToken => "bearerToken",
            CredentialKind::Password => "password",
            CredentialKind::ClientCertificate => "clientCertificate",
        }
    }
}

impl Expiry {
    /// Whether it has ended.
    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        matches!(self, Expiry::At(end) if end <= now)
    }
}

/// What is written, used or not: what is not used can be read all the same.
fn credentials(config: &ClusterConfig) -> Vec<Credential> {
    let mut credentials = Vec::new();
    if config.bearer_token {
        let claims = config.bearer_token_claims.as_ref();
        let expires = match claims {
            Some(claims) => claims.expires.map_or(Expiry::Never, Expiry::of),
            None => Expiry::Unknown,
        };
        credentials.push(Credential {
            kind: CredentialKind::BearerToken,
            issued: claims.and_then(|claims| time(claims.issued?)),
            expires,
        });
    }
    if config.password {
        credentials.push(Credential {
            kind: CredentialKind::Password,
            issued: None,
            expires: Expiry::Never,
        });
    }
    if config.tls.key_data {
        let validity = config.tls.cert_data_validity;
        credentials.push(Credential {
            kind: CredentialKind::ClientCertificate,
            issued: validity.and_then(|(start, _)| time(start)),
            expires: validity.map_or(Expiry::Unknown, |(_, end)| Expiry::of(end)),
        });
    }
    credentials
}

impl Expiry {
    fn of(seconds: i64) -> Self {
        time(seconds).map_or(Expiry::Unknown, Expiry::At)
    }
}

fn time(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    const REMOTE: &str = "https://prod.example.com";

    fn read(server: &str, config: &str) -> (Login, Vec<Credential>) {
        let [server_data, config] = [server, config].map(|text| BASE64_STANDARD.encode(text));
        let json = format!(r#"{{"data":{{"server":"{server_data}","config":"{config}"}}}}"#);
        let secret: ClusterSecret<'_> = serde_json::from_str(&json).unwrap();
        Login::of(&secret, server)
    }

    fn token(claims: &str) -> String {
        format!("a.{}.c", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn each_way_to_log_in_has_a_name() {
        for (server, config, name) in [
            (REMOTE, r#"{"bearerToken":"t"}"#, "token"),
            (REMOTE, r#"{"BEARERTOKEN":"t"}"#, "token"),
            (REMOTE, r#"{"username":"u","password":"p"}"#, "basic"),
            (REMOTE, r#"{"awsAuthConfig":{},"bearerToken":"t"}"#, "aws"),
            (
                REMOTE,
                r#"{"execProviderConfig":{"command":"argocd-k8s-auth","args":["aws"],"apiVersion":"client.authentication.k8s.io/v1beta1"}}"#,
                "aws",
            ),
            (
                REMOTE,
                r#"{"execProviderConfig":{"command":"x","apiVersion":"client.authentication.k8s.io/v1"}}"#,
                "exec",
            ),
            (REMOTE, "{}", "anonymous"),
            (REMOTE, "", "anonymous"),
            (REMOTE, r#"{"bearerToken":"t","username":"u"}"#, "broken"),
            (REMOTE, r#"{"bearerToken":1}"#, "broken"),
            ("https://kubernetes.default.svc/", "", "in-cluster"),
            ("arn:aws:eks:eu-west-1:1:cluster/a", "", "capability"),
        ] {
            assert_eq!(read(server, config).0.as_str(), name, "{config}");
            assert!(Login::NAMES.contains(&name));
        }
    }

    #[test]
    fn a_credential_says_when_it_ends_as_far_as_it_knows() {
        let expiry = |token: &str| {
            let config = format!(r#"{{"bearerToken":"{token}"}}"#);
            read(REMOTE, &config).1[0].expires
        };
        assert_eq!(expiry("opaque"), Expiry::Unknown);
        assert_eq!(expiry(&token("{}")), Expiry::Never);
        let end = Timestamp::from_second(1_767_225_600).unwrap();
        assert_eq!(expiry(&token(r#"{"exp":1767225600}"#)), Expiry::At(end));
        assert!(Expiry::At(end).is_over(end));
        assert!(!Expiry::Never.is_over(Timestamp::MAX));
        // No date that there is.
        assert_eq!(expiry(&token(r#"{"exp":1e300}"#)), Expiry::Unknown);
    }

    #[test]
    fn what_is_written_and_not_used_is_a_credential_all_the_same() {
        let (login, credentials) = read(
            REMOTE,
            r#"{"awsAuthConfig":{},"bearerToken":"t","password":"p"}"#,
        );
        assert_eq!(login, Login::Aws);
        let kinds: Vec<&str> = credentials.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds, ["bearerToken", "password"]);
    }
}
