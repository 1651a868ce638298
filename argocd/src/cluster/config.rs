//! `config` of a cluster Secret: which credentials it holds and which of them Argo CD uses.
//!
//! Only the kinds of credentials are kept. Their values are looked at once, to see whether they
//! are empty, and are never part of a type here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::go_json::{Members, Spelling, fold};

/// What a `config` says, as Argo CD reads it (Argo CD 3.5, `ClusterConfig`).
#[expect(
    clippy::struct_excessive_bools,
    reason = "each stands for a field of its own"
)]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterConfig {
    /// `bearerToken` is not empty.
    pub bearer_token: bool,
    /// `username` is not empty.
    pub username: bool,
    /// `password` is not empty.
    pub password: bool,
    /// `tlsClientConfig`.
    pub tls: TlsClientConfig,
    /// `awsAuthConfig`, which takes precedence over all others.
    pub aws: Option<AwsAuthConfig>,
    /// `execProviderConfig`.
    pub exec: Option<ExecProviderConfig>,
    /// Scheme of `proxyUrl`, if there is one; the rest of it can hold a password.
    pub proxy_scheme: Option<String>,
    /// `proxyUrl` holds a user name or password.
    pub proxy_user_info: bool,
    /// Names that only Go would accept, and names that come twice.
    pub irregular_names: Vec<IrregularName>,
}

/// `tlsClientConfig`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each stands for a field of its own"
)]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TlsClientConfig {
    /// The server's certificate is not verified.
    pub insecure: bool,
    /// `certData` is there.
    pub cert_data: bool,
    /// `keyData` is there.
    pub key_data: bool,
    /// `caData` is there.
    pub ca_data: bool,
}

/// `awsAuthConfig`: a signed request to AWS in place of a credential.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AwsAuthConfig {
    /// Name of the EKS cluster.
    pub cluster_name: String,
    /// Role to assume.
    pub role_arn: String,
    /// Profile of the AWS SDK.
    pub profile: String,
}

impl AwsAuthConfig {
    /// The arguments with which Argo CD runs `argocd-k8s-auth`.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "aws".to_owned(),
            "--cluster-name".to_owned(),
            self.cluster_name.clone(),
        ];
        for (flag, value) in [("--role-arn", &self.role_arn), ("--profile", &self.profile)] {
            if !value.is_empty() {
                arguments.extend([flag.to_owned(), value.clone()]);
            }
        }
        arguments
    }
}

/// `execProviderConfig`: a command that is run in Argo CD's pods.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExecProviderConfig {
    /// The command.
    pub command: String,
    /// Its arguments. They may hold secrets: never print them.
    pub args: Vec<String>,
    /// API version of the answer.
    pub api_version: String,
}

/// A field that Argo CD understands although it is not written as documented.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IrregularName {
    /// The field, as documented, with the path to it.
    pub field: String,
    /// What is irregular.
    pub kind: Irregularity,
}

/// Why a field name is irregular.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Irregularity {
    /// Another case or look-alike letters.
    Spelling,
    /// The field comes more than once; the last one counts.
    Repeated,
}

/// A `config` that Argo CD cannot read either. It then knows no such cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON, or followed by something.
    #[error("it is not one JSON object")]
    Syntax,
    /// A field of a wrong type.
    #[error("{0} has the wrong type")]
    Type(&'static str),
}

/// How Argo CD logs in (Argo CD 3.5, `Cluster.RawRestConfig`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Login {
    /// The service account of Argo CD's own pods.
    InCluster,
    /// `argocd-k8s-auth aws`.
    Aws(AwsAuthConfig),
    /// Another command.
    Exec(ExecProviderConfig),
    /// What is written: a token, a user name, or nothing.
    Static {
        /// A bearer token is sent.
        bearer_token: bool,
        /// A user name and password are sent.
        basic_auth: bool,
    },
}

/// A `config` that is read, but with which no client can be built.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoginError {
    /// The scheme of `proxyUrl`.
    #[error("proxyUrl must be http, https or socks5")]
    Proxy,
    /// Both kinds of static credentials.
    #[error("bearerToken and username/password exclude each other")]
    TwoCredentials,
    /// A CA that would not be used.
    #[error("caData and insecure exclude each other")]
    InsecureWithCa,
    /// An exec plugin of an API version that is gone.
    #[error("execProviderConfig.apiVersion is not one that Kubernetes knows")]
    ExecVersion,
}

impl ClusterConfig {
    /// Reads a `config`. An empty one is `{}`.
    ///
    /// # Errors
    /// Argo CD could not read it either.
    pub fn parse(json: &str) -> Result<Self, ConfigError> {
        let mut config = ClusterConfig::default();
        if json.is_empty() {
            return Ok(config);
        }
        let members: Members<'_> = serde_json::from_str(json).map_err(|_| ConfigError::Syntax)?;
        let mut names = Names::new("");
        for (name, value) in members.0.into_iter().flatten() {
            if let Some(field) = names.field(&name, &CONFIG_FIELDS) {
                config.apply(field, value, &mut names.irregular)?;
            }
        }
        config.irregular_names = names.irregular;
        Ok(config)
    }

    /// Sets one field. `null` clears what Go clears (pointers, lists, maps) and leaves the rest.
    fn apply(
        &mut self,
        field: &'static str,
        value: &RawValue,
        irregular: &mut Vec<IrregularName>,
    ) -> Result<(), ConfigError> {
        match field {
            "username" => set(&mut self.username, is_set(field, value)?),
            "password" => set(&mut self.password, is_set(field, value)?),
            "bearerToken" => set(&mut self.bearer_token, is_set(field, value)?),
            "disableCompression" => read::<Option<bool>>(field, value).map(drop)?,
            "proxyUrl" => {
                if let Some(url) = read::<Option<String>>(field, value)? {
                    let scheme =
                        |url: &str| url.split_once("://").map_or("", |(s, _)| s).to_owned();
                    self.proxy_scheme = (!url.is_empty()).then(|| scheme(&url).to_lowercase());
                    self.proxy_user_info = has_user_info(&url);
                }
            }
            "tlsClientConfig" => self.tls.merge(value, irregular)?,
            "awsAuthConfig" => merge_pointer(&mut self.aws, field, value, irregular)?,
            "execProviderConfig" => merge_pointer(&mut self.exec, field, value, irregular)?,
            _ => {}
        }
        Ok(())
    }

    /// Which of the credentials Argo CD uses.
    ///
    /// # Errors
    /// No client can be built from it.
    pub fn login(&self, in_cluster: bool) -> Result<Login, LoginError> {
        if in_cluster {
            return Ok(Login::InCluster);
        }
        match self.proxy_scheme.as_deref() {
            None | Some("http" | "https" | "socks5") => {}
            Some(_) => return Err(LoginError::Proxy),
        }
        if self.tls.insecure && self.tls.ca_data {
            return Err(LoginError::InsecureWithCa);
        }
        if let Some(aws) = &self.aws {
            return Ok(Login::Aws(aws.clone()));
        }
        if let Some(exec) = &self.exec {
            return match exec.api_version.as_str() {
                "client.authentication.k8s.io/v1beta1" | "client.authentication.k8s.io/v1" => {
                    Ok(Login::Exec(exec.clone()))
                }
                _ => Err(LoginError::ExecVersion),
            };
        }
        if self.bearer_token && (self.username || self.password) {
            return Err(LoginError::TwoCredentials);
        }
        Ok(Login::Static {
            bearer_token: self.bearer_token,
            basic_auth: self.username,
        })
    }
}

/// Whether a URL holds a user name or password, which Go's HTTP client would send.
pub fn has_user_info(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.contains('@')
}

const CONFIG_FIELDS: [&str; 8] = [
    "username",
    "password",
    "bearerToken",
    "tlsClientConfig",
    "awsAuthConfig",
    "execProviderConfig",
    "disableCompression",
    "proxyUrl",
];
const TLS_FIELDS: [&str; 5] = ["insecure", "serverName", "certData", "keyData", "caData"];
const AWS_FIELDS: [&str; 3] = ["clusterName", "roleARN", "profile"];
const EXEC_FIELDS: [&str; 7] = [
    "command",
    "args",
    "env",
    "apiVersion",
    "installHint",
    "provideClusterInfo",
    "config",
];

/// The names of one object, as they are met.
struct Names {
    path: &'static str,
    seen: Vec<&'static str>,
    irregular: Vec<IrregularName>,
}

impl Names {
    fn new(path: &'static str) -> Self {
        Names {
            path,
            seen: Vec::new(),
            irregular: Vec::new(),
        }
    }

    fn field(&mut self, name: &str, fields: &[&'static str]) -> Option<&'static str> {
        let (field, spelling) = fold(name, fields)?;
        if spelling == Spelling::Other {
            self.note(field, Irregularity::Spelling);
        }
        if self.seen.contains(&field) {
            self.note(field, Irregularity::Repeated);
        }
        self.seen.push(field);
        Some(field)
    }

    fn note(&mut self, field: &str, kind: Irregularity) {
        let field = match self.path {
            "" => field.to_owned(),
            path => format!("{path}.{field}"),
        };
        self.irregular.push(IrregularName { field, kind });
    }
}

/// An object of `config` into which later ones of the same name are merged.
trait Merge {
    fn merge(
        &mut self,
        value: &RawValue,
        irregular: &mut Vec<IrregularName>,
    ) -> Result<(), ConfigError>;
}

fn merge_members<'v>(
    path: &'static str,
    fields: &[&'static str],
    value: &'v RawValue,
    irregular: &mut Vec<IrregularName>,
    mut apply: impl FnMut(&'static str, &'v RawValue) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let members: Members<'v> = read(path, value)?;
    let mut names = Names::new(path);
    for (name, value) in members.0.into_iter().flatten() {
        if let Some(field) = names.field(&name, fields) {
            apply(field, value)?;
        }
    }
    irregular.append(&mut names.irregular);
    Ok(())
}

impl Merge for TlsClientConfig {
    fn merge(
        &mut self,
        value: &RawValue,
        irregular: &mut Vec<IrregularName>,
    ) -> Result<(), ConfigError> {
        merge_members(
            "tlsClientConfig",
            &TLS_FIELDS,
            value,
            irregular,
            |field, value| {
                match field {
                    "insecure" => set(&mut self.insecure, read(field, value)?),
                    "certData" => self.cert_data = is_set_bytes(field, value)?,
                    "keyData" => self.key_data = is_set_bytes(field, value)?,
                    "caData" => self.ca_data = is_set_bytes(field, value)?,
                    _ => is_set(field, value).map(drop)?,
                }
                Ok(())
            },
        )
    }
}

impl Merge for AwsAuthConfig {
    fn merge(
        &mut self,
        value: &RawValue,
        irregular: &mut Vec<IrregularName>,
    ) -> Result<(), ConfigError> {
        merge_members(
            "awsAuthConfig",
            &AWS_FIELDS,
            value,
            irregular,
            |field, value| {
                let target = match field {
                    "clusterName" => &mut self.cluster_name,
                    "roleARN" => &mut self.role_arn,
                    _ => &mut self.profile,
                };
                set(target, read(field, value)?);
                Ok(())
            },
        )
    }
}

impl Merge for ExecProviderConfig {
    fn merge(
        &mut self,
        value: &RawValue,
        irregular: &mut Vec<IrregularName>,
    ) -> Result<(), ConfigError> {
        merge_members(
            "execProviderConfig",
            &EXEC_FIELDS,
            value,
            irregular,
            |field, value| {
                match field {
                    "command" => set(&mut self.command, read(field, value)?),
                    "apiVersion" => set(&mut self.api_version, read(field, value)?),
                    "args" => {
                        self.args = read::<Option<Vec<String>>>(field, value)?.unwrap_or_default();
                    }
                    "env" => {
                        read::<Option<BTreeMap<String, Option<IsSet>>>>(field, value).map(drop)?;
                    }
                    "installHint" => is_set(field, value).map(drop)?,
                    "provideClusterInfo" => read::<Option<bool>>(field, value).map(drop)?,
                    // `config` is free JSON.
                    _ => {}
                }
                Ok(())
            },
        )
    }
}

/// An object behind a Go pointer: `null` clears it, an object is merged into what is there.
fn merge_pointer<T: Merge + Default>(
    target: &mut Option<T>,
    field: &'static str,
    value: &RawValue,
    irregular: &mut Vec<IrregularName>,
) -> Result<(), ConfigError> {
    if read::<Members<'_>>(field, value)?.0.is_none() {
        *target = None;
        return Ok(());
    }
    target.get_or_insert_default().merge(value, irregular)
}

/// Go leaves a plain field as it was when the document says `null`.
fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// Reads a value. Nothing of serde's message is kept, as it can quote the value.
fn read<'v, T: Deserialize<'v>>(
    field: &'static str,
    value: &'v RawValue,
) -> Result<T, ConfigError> {
    serde_json::from_str(value.get()).map_err(|_| ConfigError::Type(field))
}

fn is_set(field: &'static str, value: &RawValue) -> Result<Option<bool>, ConfigError> {
    Ok(read::<Option<IsSet>>(field, value)?.map(|IsSet(set)| set))
}

/// Whether a Go `[]byte`, written as base64, holds anything; `null` clears it.
fn is_set_bytes(field: &'static str, value: &RawValue) -> Result<bool, ConfigError> {
    let bytes: Option<IsBase64> = read(field, value)?;
    Ok(bytes.is_some_and(|IsBase64(set)| set))
}

/// A string of which only remains whether it is empty.
struct IsSet(bool);

impl<'de> Deserialize<'de> for IsSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IsSetVisitor;
        impl Visitor<'_> for IsSetVisitor {
            type Value = IsSet;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<IsSet, E> {
                Ok(IsSet(!text.is_empty()))
            }
        }
        deserializer.deserialize_str(IsSetVisitor)
    }
}

/// A base64 string of which only remains whether it is empty.
struct IsBase64(bool);

impl<'de> Deserialize<'de> for IsBase64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IsBase64Visitor;
        impl Visitor<'_> for IsBase64Visitor {
            type Value = IsBase64;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a base64 string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<IsBase64, E> {
                use base64::Engine as _;
                // Go skips line breaks in base64.
                let text: zeroize::Zeroizing<String> =
                    zeroize::Zeroizing::new(text.replace(['\r', '\n'], ""));
                let bytes = base64::prelude::BASE64_STANDARD
                    .decode(text.as_bytes())
                    .map(zeroize::Zeroizing::new)
                    .map_err(|_| E::custom("not base64"))?;
                Ok(IsBase64(!bytes.is_empty()))
            }
        }
        deserializer.deserialize_str(IsBase64Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> ClusterConfig {
        ClusterConfig::parse(json).unwrap()
    }

    #[test]
    fn another_spelling_is_still_a_bearer_token() {
        let config = parse(r#"{"BEARERTOKEN":"t","TLSClientConfig":{"Insecure":true}}"#);
        assert!(config.bearer_token);
        assert!(config.tls.insecure);
        assert_eq!(config.irregular_names.len(), 3);
        assert_eq!(config.irregular_names[2].field, "tlsClientConfig.insecure");
    }

    #[test]
    fn a_later_null_takes_aws_back() {
        let config = parse(
            r#"{"bearerToken":"a","awsAuthConfig":{"clusterName":"c"},"AwsAuthConfig":null}"#,
        );
        assert_eq!(config.aws, None);
        assert_eq!(
            config.login(false),
            Ok(Login::Static {
                bearer_token: true,
                basic_auth: false
            })
        );
    }

    #[test]
    fn null_leaves_strings_and_repeated_objects_merge() {
        assert!(parse(r#"{"bearerToken":"a","bearerToken":null}"#).bearer_token);
        assert!(!parse(r#"{"bearerToken":"a","bearerToken":""}"#).bearer_token);
        let config = parse(
            r#"{"awsAuthConfig":{"clusterName":"c"},"awsAuthConfig":{"roleARN":"r"},"tlsClientConfig":{"insecure":true},"tlsClientConfig":null}"#,
        );
        assert_eq!(
            config.aws,
            Some(AwsAuthConfig {
                cluster_name: "c".to_owned(),
                role_arn: "r".to_owned(),
                profile: String::new()
            })
        );
        assert!(config.tls.insecure);
    }

    #[test]
    fn errors_do_not_quote_values() {
        let error = ClusterConfig::parse(r#"{"bearerToken":["hunter2"]}"#).unwrap_err();
        assert_eq!(error, ConfigError::Type("bearerToken"));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(ClusterConfig::parse("{} x"), Err(ConfigError::Syntax));
    }
}
