//! The token by which one logs in to a cluster of EKS: a request to STS that says who one is,
//! signed and not sent (Argo CD 3.6, `argocd-k8s-auth aws`; aws-iam-authenticator 0.6,
//! `token.GetWithSTS`).

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::SecretString;

const PREFIX: &str = "k8s-aws-v1.";
/// Names the cluster that the token is for, and is signed.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";
const QUESTION: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// STS takes no notice of it; old authenticators want no more.
const EXPIRES_IN: Duration = Duration::from_mins(1);

/// There is no token. What it was made from is not in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("there is no STS in the region")]
    Region,
    #[error("the name of the cluster cannot be sent in a header")]
    ClusterName,
    #[error("the request cannot be signed")]
    Signature,
}

/// A token for the cluster of this name in EKS, as whoever has the credentials.
///
/// # Errors
/// A name cannot be signed.
pub(crate) async fn token(
    credentials: &Credentials,
    region: &str,
    cluster: &str,
    now: SystemTime,
) -> Result<SecretString, TokenError> {
    let is_sent_as_it_is = |byte: u8| byte.is_ascii_graphic();
    if cluster.is_empty() || !cluster.bytes().all(is_sent_as_it_is) {
        return Err(TokenError::ClusterName);
    }
    let url = format!("{}/?{QUESTION}", endpoint(region).await?);
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES_IN);
    let identity = credentials.clone().into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|_| TokenError::Signature)?
        .into();
    let headers = [(CLUSTER_HEADER, cluster)].into_iter();
    let request = SignableRequest::new("GET", &url, headers, SignableBody::Bytes(b""))
        .map_err(|_| TokenError::Signature)?;
    let signed = sign(request, &params).map_err(|_| TokenError::Signature)?;
    let mut request = http::Request::get(&url)
        .body(())
        .map_err(|_| TokenError::Signature)?;
    let (instructions, _) = signed.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(request.uri().to_string());
    Ok(SecretString::from(format!("{PREFIX}{encoded}")))
}

/// Where STS answers in a region, of whatever partition.
async fn endpoint(region: &str) -> Result<String, TokenError> {
    let params = Params::builder().region(region.to_owned()).build();
    let params = params.map_err(|_| TokenError::Region)?;
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).await;
    Ok(endpoint.map_err(|_| TokenError::Region)?.url().to_owned())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    /// Of the example keys of AWS's documentation.
    fn credentials() -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let session = Some("a session+token/=".to_owned());
        Credentials::new("AKIAIOSFODNN7EXAMPLE", secret, session, None, "test")
    }

    async fn url(region: &str, cluster: &str) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_000_000);
        let token = token(&credentials(), region, cluster, now).await.unwrap();
        let encoded = token
            .expose_secret()
            .strip_prefix(PREFIX)
            .unwrap()
            .to_owned();
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn it_is_a_signed_question_to_the_sts_of_the_region() {
        let url = url("eu-west-1", "orders-production").await;

        let (host, query) = url.split_once("/?").unwrap();
        assert_eq!(host, "https://sts.eu-west-1.amazonaws.com");
        let has = |part: &str| query.split('&').any(|given| given == part);
        for part in [
            "Action=GetCallerIdentity",
            "Version=2011-06-15",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Expires=60",
            "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id",
            "X-Amz-Security-Token=a%20session%2Btoken%2F%3D",
        ] {
            assert!(has(part), "{part} in {query}");
        }
        assert!(
            query.contains("%2Feu-west-1%2Fsts%2Faws4_request"),
            "{query}"
        );
        assert!(!url.contains("orders-production"));
    }

    #[tokio::test]
    async fn other_partitions_have_an_sts_of_their_own() {
        let url = url("cn-north-1", "orders").await;
        assert!(
            url.starts_with("https://sts.cn-north-1.amazonaws.com.cn/?"),
            "{url}"
        );
    }

    #[tokio::test]
    async fn each_cluster_has_a_token_of_its_own() {
        assert_ne!(url("eu-west-1", "one").await, url("eu-west-1", "two").await);
    }

    #[tokio::test]
    async fn what_cannot_be_a_name_is_refused() {
        for name in ["", "a b", "a\nb", "ä"] {
            let refused = token(&credentials(), "eu-west-1", name, SystemTime::now()).await;
            assert_eq!(refused.unwrap_err(), TokenError::ClusterName, "{name:?}");
        }
    }
}
