//! What a bearer token says of itself, which is no secret.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The claims of a JSON Web Token. Nobody has verified them: they say what a credential is, not
/// what it is worth.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TokenClaims {
    /// When it was issued, in seconds of Unix time. Tokens of Secrets do not say.
    pub issued: Option<i64>,
    /// When it expires, in seconds of Unix time. Tokens of Secrets never do.
    pub expires: Option<i64>,
    /// The service account that it is of.
    pub service_account: Option<ServiceAccount>,
}

/// A service account of the cluster that a token is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Secret that holds the token, where it is one that never expires.
    pub secret: Option<String>,
}

/// The claims as Kubernetes writes them: flat ones in tokens of Secrets, a nested one in those of
/// the `TokenRequest` API (Kubernetes 1.36, `pkg/serviceaccount`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claims {
    iat: Option<f64>,
    exp: Option<f64>,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: Option<String>,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    name: Option<String>,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    secret: Option<String>,
    #[serde(rename = "kubernetes.io")]
    bound: Option<Bound>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bound {
    namespace: String,
    serviceaccount: Named,
    secret: Option<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

impl TokenClaims {
    /// The claims of a token; None if it is not a JSON Web Token (RFC 7519, in its compact form).
    pub fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if signature.is_empty() || parts.next().is_some() {
            return None;
        }
        let payload = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?);
        // serde would read a list as the fields in their order.
        if !payload.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        Some(TokenClaims {
            issued: claims.iat.map(seconds),
            expires: claims.exp.map(seconds),
            service_account: claims.service_account(),
        })
    }
}

impl Claims {
    fn service_account(self) -> Option<ServiceAccount> {
        if let (Some(namespace), Some(name)) = (self.namespace, self.name) {
            return Some(ServiceAccount {
                namespace,
                name,
                secret: self.secret,
            });
        }
        let bound = self.bound?;
        Some(ServiceAccount {
            namespace: bound.namespace,
            name: bound.serviceaccount.name,
            secret: bound.secret.map(|secret| secret.name),
        })
    }
}

/// Whole seconds of a `NumericDate`, which may have a fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is beyond all dates stays there: `as` saturates"
)]
fn seconds(date: f64) -> i64 {
    date as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(claims);
        format!("eyJhbGciOiJSUzI1NiJ9.{payload}.c2ln")
    }

    #[test]
    fn a_token_of_a_secret_says_whose_it_is_and_never_expires() {
        let claims = TokenClaims::of(&token(
            r#"{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"kube-system","kubernetes.io/serviceaccount/secret.name":"argocd-manager-long-lived-token","kubernetes.io/serviceaccount/service-account.name":"argocd-manager","sub":"system:serviceaccount:kube-system:argocd-manager"}"#,
        ));
        let service_account = ServiceAccount {
            namespace: "kube-system".to_owned(),
            name: "argocd-manager".to_owned(),
            secret: Some("argocd-manager-long-lived-token".to_owned()),
        };
        let expected = TokenClaims {
            issued: None,
            expires: None,
            service_account: Some(service_account),
        };
        assert_eq!(claims, Some(expected));
    }

    #[test]
    fn a_requested_token_has_a_beginning_and_an_end() {
        let claims = TokenClaims::of(&token(
            r#"{"exp":1767225600.5,"iat":1767222000,"kubernetes.io":{"namespace":"argocd","serviceaccount":{"name":"a","uid":"1"}}}"#,
        ));
        let claims = claims.unwrap();
        assert_eq!(
            (claims.issued, claims.expires),
            (Some(1_767_222_000), Some(1_767_225_600))
        );
        let service_account = claims.service_account.unwrap();
        assert_eq!(
            (&*service_account.namespace, &*service_account.name),
            ("argocd", "a")
        );
        assert_eq!(service_account.secret, None);
    }

    #[test]
    fn what_is_not_a_json_web_token_says_nothing() {
        for token in [
            "",
            "a",
            "a.b.c",
            "a.e30.",
            "a.e30.c.d",
            "a.W10.c",
            "..",
            "k8s-aws-v1.aHR0cHM6",
        ] {
            assert_eq!(TokenClaims::of(token), None, "{token}");
        }
        // All claims are optional.
        assert_eq!(TokenClaims::of("a.e30.c"), Some(TokenClaims::default()));
    }
}
