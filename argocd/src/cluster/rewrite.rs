//! A `config` in which Argo CD logs in by AWS instead of by a credential that is written there.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::config::{AwsAuthConfig, ClusterConfig, ConfigError, SecretText};
use super::secret_string::SecretString;

/// Why a `config` is not rewritten. Nothing of it is quoted but the names of documented fields.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RewriteError {
    /// Argo CD cannot read it either.
    #[error("data.config cannot be read")]
    Unreadable(#[source] ConfigError),
    /// What is there may be anybody's: it is not dropped.
    #[error(
        "data.config has a member that Argo CD has no field for ({0} in all), which would be lost: take it out first"
    )]
    OtherFields(usize),
    /// It is not clear which value is meant.
    #[error(
        "data.config: {0} is not spelt as documented, or is there twice: write it once, as Argo CD documents it"
    )]
    Irregular(String),
    /// A command logs in, and may be wanted.
    #[error(
        "data.config: execProviderConfig logs in by another command: take it out first if awsAuthConfig is to replace it"
    )]
    Exec,
}

/// How an API server is reached and known, and the token that lets in. It prints nothing of the
/// token and of the proxy, whose URL may hold a password.
#[derive(Debug)]
pub struct Connection {
    /// URL of the API server.
    pub server: String,
    /// The name in its certificate, where that is another than the host's.
    pub server_name: Option<String>,
    /// Its certificate authorities in PEM; none for those of the system.
    pub ca_data: Option<Vec<u8>>,
    /// Its certificate is not verified.
    pub insecure: bool,
    /// The proxy that it is reached through.
    pub proxy_url: Option<SecretText>,
    /// The token that lets in.
    pub bearer_token: Option<SecretText>,
}

/// The same as it is written.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Written<'c> {
    tls_client_config: Option<WrittenTls>,
    #[serde(borrow)]
    proxy_url: Option<&'c RawValue>,
    #[serde(borrow)]
    bearer_token: Option<&'c RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WrittenTls {
    insecure: Option<bool>,
    server_name: Option<String>,
    ca_data: Option<String>,
}

/// How the API server of a cluster is reached by its `config`.
///
/// # Errors
/// It cannot be read, or it is not clear which value is meant.
pub(super) fn connection(config: &str, server: String) -> Result<Connection, RewriteError> {
    let read = ClusterConfig::parse(config).map_err(RewriteError::Unreadable)?;
    if let Some(irregular) = read.irregular_names.first() {
        return Err(RewriteError::Irregular(irregular.field.clone()));
    }
    let config = if config.is_empty() { "{}" } else { config };
    let written: Written<'_> =
        serde_json::from_str(config).map_err(|_| wrong("tlsClientConfig"))?;
    let tls = written.tls_client_config.unwrap_or_default();
    let ca_data = tls.ca_data.filter(|data| !data.is_empty());
    let ca_data = ca_data.map(|data| BASE64_STANDARD.decode(data));
    Ok(Connection {
        server,
        server_name: tls.server_name.filter(|name| !name.is_empty()),
        ca_data: ca_data.transpose().map_err(|_| wrong("caData"))?,
        insecure: tls.insecure.unwrap_or_default(),
        proxy_url: secret(written.proxy_url),
        bearer_token: secret(written.bearer_token),
    })
}

fn wrong(field: &'static str) -> RewriteError {
    RewriteError::Unreadable(ConfigError::Type(field))
}

/// A text that is not empty.
fn secret(value: Option<&RawValue>) -> Option<SecretText> {
    let text = SecretString::new(value?)?.expose();
    (!text.is_empty()).then(|| SecretText::new(&text))
}

/// What is kept: how the API server is reached. `null` is nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept<'c> {
    #[serde(borrow)]
    tls_client_config: Option<KeptTls<'c>>,
    #[serde(borrow)]
    disable_compression: Option<&'c RawValue>,
    #[serde(borrow)]
    proxy_url: Option<&'c RawValue>,
}

/// What is kept of `tlsClientConfig`: how the API server is known, and not who we are to it.
#[derive(Default, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct KeptTls<'c> {
    /// Argo CD always writes it.
    insecure: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    server_name: Option<&'c RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    ca_data: Option<&'c RawValue>,
}

/// A `config` as Argo CD writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rewritten<'c> {
    aws_auth_config: WrittenAws<'c>,
    tls_client_config: KeptTls<'c>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_compression: Option<&'c RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_url: Option<&'c RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAws<'c> {
    cluster_name: &'c str,
    #[serde(rename = "roleARN", skip_serializing_if = "str::is_empty")]
    role_arn: &'c str,
    #[serde(skip_serializing_if = "str::is_empty")]
    profile: &'c str,
}

/// The `config` with `awsAuthConfig` in place of a token, a password or a client certificate. How
/// the API server is reached and known stays as it is.
///
/// # Errors
/// Something in it would be lost, or is not clear.
pub(super) fn with_aws_login(
    config: &str,
    aws: &AwsAuthConfig,
) -> Result<Zeroizing<String>, RewriteError> {
    let read = ClusterConfig::parse(config).map_err(RewriteError::Unreadable)?;
    if !read.other_fields.is_empty() {
        return Err(RewriteError::OtherFields(read.other_fields.len()));
    }
    if let Some(irregular) = read.irregular_names.first() {
        return Err(RewriteError::Irregular(irregular.field.clone()));
    }
    if read.exec.is_some_and(|exec| !exec.is_aws_login()) {
        return Err(RewriteError::Exec);
    }
    let config = if config.is_empty() { "{}" } else { config };
    let kept: Kept<'_> = serde_json::from_str(config).map_err(|_| wrong("tlsClientConfig"))?;
    let mut tls_client_config = kept.tls_client_config.unwrap_or_default();
    tls_client_config.insecure.get_or_insert_default();
    let rewritten = Rewritten {
        aws_auth_config: WrittenAws {
            cluster_name: &aws.cluster_name,
            role_arn: &aws.role_arn,
            profile: &aws.profile,
        },
        tls_client_config,
        disable_compression: kept.disable_compression,
        proxy_url: kept.proxy_url,
    };
    // What is kept may hold the password of a proxy. It is no longer than what it is made of.
    let room = config.len() + aws.cluster_name.len() + aws.role_arn.len() + aws.profile.len() + 128;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *text, &rewritten).map_err(|_| wrong("config"))?;
    String::from_utf8(std::mem::take(&mut *text))
        .map(Zeroizing::new)
        .map_err(|_| wrong("config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(config: &str) -> Result<String, RewriteError> {
        let aws = AwsAuthConfig {
            cluster_name: "prod".to_owned(),
            role_arn: "arn:aws:iam::1:role/argocd".to_owned(),
            profile: String::new(),
        };
        with_aws_login(config, &aws).map(|text| text.to_string())
    }

    #[test]
    fn how_a_server_is_reached_is_read_and_nothing_secret_printed() {
        let config = r#"{"bearerToken":"hunter2","proxyUrl":"http://u:hunter2@proxy","tlsClientConfig":{"caData":"Y2E=","serverName":"a"}}"#;
        let connection = connection(config, "https://a".to_owned()).unwrap();
        assert!(!format!("{connection:?}").contains("hunter2"));
        assert_eq!(
            connection.bearer_token.as_ref().unwrap().expose(),
            "hunter2"
        );
        assert_eq!(connection.ca_data.as_deref(), Some(&b"ca"[..]));
        assert_eq!(connection.server_name.as_deref(), Some("a"));
        assert!(!connection.insecure);
        let nothing = super::connection(r#"{"bearerToken":null,"proxyUrl":""}"#, String::new());
        let nothing = nothing.unwrap();
        assert!(nothing.bearer_token.is_none() && nothing.proxy_url.is_none());
        assert!(super::connection(r#"{"BEARERTOKEN":"t"}"#, String::new()).is_err());
    }

    const AWS: &str =
        r#""awsAuthConfig":{"clusterName":"prod","roleARN":"arn:aws:iam::1:role/argocd"}"#;

    #[test]
    fn credentials_go_and_how_the_server_is_known_stays() {
        for (config, tls) in [
            ("", r#"{"insecure":false}"#),
            (r#"{"bearerToken":"t"}"#, r#"{"insecure":false}"#),
            (
                r#"{"username":"u","password":"p","tlsClientConfig":{"insecure":true,"serverName":"a"}}"#,
                r#"{"insecure":true,"serverName":"a"}"#,
            ),
            (
                r#"{"bearerToken":"t","tlsClientConfig":{"caData":"Y2E=","certData":"Yw==","keyData":"aw=="}}"#,
                r#"{"insecure":false,"caData":"Y2E="}"#,
            ),
            (
                r#"{"bearerToken":"t","tlsClientConfig":null,"awsAuthConfig":null}"#,
                r#"{"insecure":false}"#,
            ),
            (
                r#"{"tlsClientConfig":{"insecure":null,"caData":null}}"#,
                r#"{"insecure":false}"#,
            ),
        ] {
            let expected = format!(r#"{{{AWS},"tlsClientConfig":{tls}}}"#);
            assert_eq!(rewritten(config), Ok(expected), "{config}");
        }
        assert_eq!(
            rewritten(
                r#"{"bearerToken":"t","disableCompression":true,"proxyUrl":"http://u:p@proxy"}"#
            ),
            Ok(format!(
                r#"{{{AWS},"tlsClientConfig":{{"insecure":false}},"disableCompression":true,"proxyUrl":"http://u:p@proxy"}}"#
            ))
        );
    }

    #[test]
    fn nothing_is_dropped_that_may_be_wanted() {
        for config in [
            r#"{"bearerToken":"t","more":1}"#,
            r#"{"tlsClientConfig":{"more":1}}"#,
            r#"{"BearerToken":"t"}"#,
            r#"{"bearerToken":"t","bearerToken":"u"}"#,
            r#"{"tlsClientConfig":{"Insecure":true}}"#,
            r#"{"bearerToken":1}"#,
            r#"{"execProviderConfig":{"command":"x"}}"#,
            "[]",
            "{",
        ] {
            let error = rewritten(config).unwrap_err();
            assert!(!error.to_string().contains("more"), "{error}");
        }
        // The same login by a command of its own.
        let exec = r#"{"execProviderConfig":{"command":"argocd-k8s-auth","args":["aws"]}}"#;
        assert!(rewritten(exec).is_ok());
    }
}
