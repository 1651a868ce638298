//! `config` of a cluster Secret: which credentials it holds and which of them Argo CD uses.
//!
//! Only the kinds of credentials are kept. Their values are looked at once, to see whether they are
//! empty, and are never part of a type here; but for texts of which nobody can say what they are,
//! as the arguments of a command: these do not print themselves and are wiped when dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use golang::json::members::{Members, Spelling, fold};
use golang::pem;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::secret_string::SecretString;
use super::token::TokenClaims;

/// What a `config` says, as Argo CD reads it (Argo CD 3.5, `ClusterConfig`).
#[expect(
    clippy::struct_excessive_bools,
    reason = "each stands for a field of its own"
)]
#[derive(Debug, Default, Eq, PartialEq)]
pub struct ClusterConfig {
    /// `bearerToken` is not empty.
    pub bearer_token: bool,
    /// What `bearerToken` says of itself, if it is a JSON Web Token.
    pub bearer_token_claims: Option<TokenClaims>,
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
    /// Scheme of `proxyUrl`, if there is one, and empty if Argo CD takes no such proxy. The rest of
    /// the URL can hold a password.
    pub proxy_scheme: Option<String>,
    /// `proxyUrl` holds a user name or password.
    pub proxy_user_info: bool,
    /// Names that only Go would accept, and names that come twice.
    pub irregular_names: Vec<IrregularName>,
    /// What Argo CD knows no field for and ignores.
    pub other_fields: Vec<OtherField>,
}

/// A text that may be a secret. It prints nothing, is wiped when dropped, and cannot be cloned.
#[derive(Default, Eq, PartialEq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(super) fn new(text: &str) -> Self {
        SecretText(Zeroizing::new(text.to_owned()))
    }

    /// The text, which is not to be printed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(not shown)")
    }
}

/// A member of `config`, or of an object in it, that is none of its fields.
#[derive(Debug, Eq, PartialEq)]
pub struct OtherField {
    /// Its name, which may be anything.
    pub name: SecretText,
    /// Its value, as JSON.
    pub json: SecretText,
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
    /// `caData` holds a certificate in PEM.
    pub ca_data_is_usable: bool,
    /// `certData` holds a certificate in PEM.
    pub cert_data_is_usable: bool,
    /// From when to when that is valid, in seconds of Unix time.
    pub cert_data_validity: Option<(i64, i64)>,
    /// `keyData` holds a key in PEM.
    pub key_data_is_usable: bool,
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
#[derive(Default, Eq, PartialEq)]
pub struct ExecProviderConfig {
    /// The command. It may hold arguments, and they secrets: print no more than its program.
    pub command: String,
    /// Its arguments.
    pub args: Arguments,
    /// The environment variables that are set, if only to nothing, in the order of their names.
    pub env: BTreeMap<String, SecretText>,
    /// API version of the answer.
    pub api_version: String,
    /// What people are told where the command is not there.
    pub install_hint: SecretText,
    /// What the command is told of the cluster: free JSON.
    pub config: Option<SecretText>,
}

impl ExecProviderConfig {
    /// Whether it logs in as `awsAuthConfig` does, by Argo CD's own plugin.
    pub fn is_aws_login(&self) -> bool {
        self.command == ARGOCD_K8S_AUTH && self.args.expose().next() == Some("aws")
    }
}

/// Argo CD's own exec plugin. It gets short-lived credentials from the cloud that it is run in.
pub const ARGOCD_K8S_AUTH: &str = "argocd-k8s-auth";

impl fmt::Debug for ExecProviderConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExecProviderConfig")
            .field("api_version", &self.api_version)
            .finish_non_exhaustive()
    }
}

/// Arguments of a command, which may hold secrets.
#[derive(Default, Eq, PartialEq)]
pub struct Arguments(Vec<SecretText>);

impl Arguments {
    /// The arguments, which are not to be printed.
    pub fn expose(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(SecretText::expose)
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Arguments({} not shown)", self.0.len())
    }
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
    #[error("it is not one JSON object, see {0}")]
    Syntax(SyntaxError),
    /// A field of a wrong type.
    #[error("{0} has the wrong type")]
    Type(&'static str),
}

/// Where JSON ends to be JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
    /// What stands there, if it is a punctuation mark: anything else may be part of a secret.
    pub mark: Option<char>,
    /// Whether the text ends there.
    pub is_end: bool,
}

impl SyntaxError {
    fn new(json: &str, error: &serde_json::Error) -> Self {
        let line = json.split('\n').nth(error.line().saturating_sub(1));
        let before = error.column().saturating_sub(1);
        let rest = line.and_then(|line| line.get(before..)).unwrap_or_default();
        let text = line.and_then(|line| line.get(..before)).unwrap_or_default();
        SyntaxError {
            line: error.line(),
            column: text.chars().count() + 1,
            mark: rest.chars().next().filter(char::is_ascii_punctuation),
            is_end: error.is_eof(),
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)?;
        match self.mark {
            _ if self.is_end => formatter.write_str(", where it ends"),
            Some('#' | '/') => formatter.write_str(", a comment"),
            Some('\'') => formatter.write_str(", a single quote"),
            Some(mark) => write!(formatter, ", a {mark}"),
            None => Ok(()),
        }
    }
}

/// How Argo CD logs in (Argo CD 3.5, `Cluster.RawRestConfig`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Login<'c> {
    /// The service account of Argo CD's own pods.
    InCluster,
    /// `argocd-k8s-auth aws`.
    Aws(&'c AwsAuthConfig),
    /// Another command.
    Exec(&'c ExecProviderConfig),
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
    /// A CA that cannot be read.
    #[error("tlsClientConfig.caData holds no certificate in PEM")]
    CaData,
    /// A client certificate, or its key, that cannot be read.
    #[error("tlsClientConfig.certData and keyData are not a certificate and key in PEM")]
    ClientCertificate,
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
        let members: Members<'_> = serde_json::from_str(json)
            .map_err(|error| ConfigError::Syntax(SyntaxError::new(json, &error)))?;
        let mut noted = Noted::default();
        let mut names = Names::new("");
        for (name, value) in members.0.into_iter().flatten() {
            match names.field(&name, &CONFIG_FIELDS, &mut noted) {
                Some(field) => config.apply(field, value, &mut noted)?,
                None => noted.add_other(&name, value),
            }
        }
        config.irregular_names = noted.irregular;
        config.other_fields = noted.others;
        Ok(config)
    }

    /// Sets one field. `null` clears what Go clears (pointers, lists, maps) and leaves the rest.
    fn apply(
        &mut self,
        field: &'static str,
        value: &RawValue,
        noted: &mut Noted,
    ) -> Result<(), ConfigError> {
        match field {
            "username" => set(&mut self.username, is_set(field, value)?),
            "password" => set(&mut self.password, is_set(field, value)?),
            "bearerToken" => {
                let token = secret(field, value)?;
                if !token.is_null() {
                    self.bearer_token = !token.is_empty();
                    self.bearer_token_claims = TokenClaims::of(&token.expose());
                }
            }
            "disableCompression" => read::<Option<bool>>(field, value).map(drop)?,
            "proxyUrl" => {
                let url = secret(field, value)?;
                if !url.is_null() {
                    let url = url.expose();
                    self.proxy_scheme = (!url.is_empty()).then(|| scheme(&url));
                    self.proxy_user_info = has_user_info(&url);
                }
            }
            "tlsClientConfig" => self.tls.merge(value, noted)?,
            "awsAuthConfig" => merge_pointer(&mut self.aws, field, value, noted)?,
            "execProviderConfig" => merge_pointer(&mut self.exec, field, value, noted)?,
            _ => {}
        }
        Ok(())
    }

    /// Which of the credentials Argo CD uses.
    ///
    /// # Errors
    /// No client can be built from it (client-go 0.36, `transport.TLSConfigFor`).
    pub fn login(&self, in_cluster: bool) -> Result<Login<'_>, LoginError> {
        if in_cluster {
            return Ok(Login::InCluster);
        }
        if self.proxy_scheme.as_deref() == Some("") {
            return Err(LoginError::Proxy);
        }
        if self.tls.insecure && self.tls.ca_data {
            return Err(LoginError::InsecureWithCa);
        }
        if self.tls.ca_data && !self.tls.ca_data_is_usable {
            return Err(LoginError::CaData);
        }
        // One without the other is not looked at.
        if self.tls.cert_data
            && self.tls.key_data
            && !(self.tls.cert_data_is_usable && self.tls.key_data_is_usable)
        {
            return Err(LoginError::ClientCertificate);
        }
        if let Some(aws) = &self.aws {
            return Ok(Login::Aws(aws));
        }
        if let Some(exec) = &self.exec {
            return match exec.api_version.as_str() {
                "client.authentication.k8s.io/v1beta1" | "client.authentication.k8s.io/v1" => {
                    Ok(Login::Exec(exec))
                }
                _ => Err(LoginError::ExecVersion),
            };
        }
        if self.bearer_token && self.username {
            return Err(LoginError::TwoCredentials);
        }
        Ok(Login::Static {
            bearer_token: self.bearer_token,
            basic_auth: self.username,
        })
    }
}

/// The scheme of a proxy, empty if Argo CD takes none such. It is never another part of the URL.
fn scheme(url: &str) -> String {
    let (scheme, _) = url.split_once("://").unwrap_or_default();
    let scheme = scheme.to_lowercase();
    if PROXY_SCHEMES.contains(&scheme.as_str()) {
        scheme
    } else {
        String::new()
    }
}

/// Whether a URL holds a user name or password, which Go's HTTP client would send.
pub fn has_user_info(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.contains('@')
}

const PROXY_SCHEMES: [&str; 3] = ["http", "https", "socks5"];

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

/// What is noted on the way: names that are not as documented, and members that are not fields.
#[derive(Default)]
struct Noted {
    irregular: Vec<IrregularName>,
    others: Vec<OtherField>,
}

impl Noted {
    fn add_other(&mut self, name: &str, value: &RawValue) {
        self.others.push(OtherField {
            name: SecretText::new(name),
            json: SecretText::new(value.get()),
        });
    }
}

/// The names of one object, as they are met.
struct Names {
    path: &'static str,
    seen: BTreeSet<&'static str>,
}

impl Names {
    fn new(path: &'static str) -> Self {
        Names {
            path,
            seen: BTreeSet::new(),
        }
    }

    fn field(
        &mut self,
        name: &str,
        fields: &[&'static str],
        noted: &mut Noted,
    ) -> Option<&'static str> {
        let (field, spelling) = fold(name, fields)?;
        let mut note = |kind| {
            let field = match self.path {
                "" => field.to_owned(),
                path => format!("{path}.{field}"),
            };
            noted.irregular.push(IrregularName { field, kind });
        };
        if spelling == Spelling::Other {
            note(Irregularity::Spelling);
        }
        if !self.seen.insert(field) {
            note(Irregularity::Repeated);
        }
        Some(field)
    }
}

/// An object of `config` into which later ones of the same name are merged.
trait Merge {
    fn merge(&mut self, value: &RawValue, noted: &mut Noted) -> Result<(), ConfigError>;
}

fn merge_members<'v>(
    path: &'static str,
    fields: &[&'static str],
    value: &'v RawValue,
    noted: &mut Noted,
    mut apply: impl FnMut(&'static str, &'v RawValue) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let members: Members<'v> = read(path, value)?;
    let mut names = Names::new(path);
    for (name, value) in members.0.into_iter().flatten() {
        match names.field(&name, fields, noted) {
            Some(field) => apply(field, value)?,
            None => noted.add_other(&name, value),
        }
    }
    Ok(())
}

impl Merge for TlsClientConfig {
    fn merge(&mut self, value: &RawValue, noted: &mut Noted) -> Result<(), ConfigError> {
        merge_members(
            "tlsClientConfig",
            &TLS_FIELDS,
            value,
            noted,
            |field, value| {
                match field {
                    "insecure" => set(&mut self.insecure, read(field, value)?),
                    "certData" => {
                        let data = bytes(field, value)?;
                        self.cert_data = !data.is_empty();
                        self.cert_data_is_usable = pem::has_certificate(&data);
                        self.cert_data_validity = pem::validity(&data);
                    }
                    "keyData" => {
                        let data = bytes(field, value)?;
                        self.key_data = !data.is_empty();
                        self.key_data_is_usable = pem::has_private_key(&data);
                    }
                    "caData" => {
                        let data = bytes(field, value)?;
                        self.ca_data = !data.is_empty();
                        self.ca_data_is_usable = pem::has_certificate_authority(&data);
                    }
                    _ => is_set(field, value).map(drop)?,
                }
                Ok(())
            },
        )
    }
}

impl Merge for AwsAuthConfig {
    fn merge(&mut self, value: &RawValue, noted: &mut Noted) -> Result<(), ConfigError> {
        merge_members(
            "awsAuthConfig",
            &AWS_FIELDS,
            value,
            noted,
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
    fn merge(&mut self, value: &RawValue, noted: &mut Noted) -> Result<(), ConfigError> {
        merge_members(
            "execProviderConfig",
            &EXEC_FIELDS,
            value,
            noted,
            |field, value| {
                match field {
                    "command" => set(&mut self.command, read(field, value)?),
                    "apiVersion" => set(&mut self.api_version, read(field, value)?),
                    "args" => {
                        let args: Option<Vec<&RawValue>> = read(field, value)?;
                        let args = args.into_iter().flatten();
                        self.args = args
                            .map(|value| Ok(SecretText(secret(field, value)?.expose())))
                            .collect::<Result<_, _>>()
                            .map(Arguments)?;
                    }
                    "env" => {
                        let Some(members) = read::<Members<'_>>(field, value)?.0 else {
                            self.env.clear();
                            return Ok(());
                        };
                        for (name, value) in members {
                            let value = SecretText(secret(field, value)?.expose());
                            self.env.insert(name.to_string(), value);
                        }
                    }
                    "installHint" => {
                        let hint = secret(field, value)?;
                        let hint = (!hint.is_null()).then(|| SecretText(hint.expose()));
                        set(&mut self.install_hint, hint);
                    }
                    "provideClusterInfo" => read::<Option<bool>>(field, value).map(drop)?,
                    _ => {
                        let is_null = value.get() == "null";
                        self.config = (!is_null).then(|| SecretText::new(value.get()));
                    }
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
    noted: &mut Noted,
) -> Result<(), ConfigError> {
    if read::<Members<'_>>(field, value)?.0.is_none() {
        *target = None;
        return Ok(());
    }
    target.get_or_insert_default().merge(value, noted)
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

fn secret<'v>(field: &'static str, value: &'v RawValue) -> Result<SecretString<'v>, ConfigError> {
    SecretString::new(value).ok_or(ConfigError::Type(field))
}

/// Whether a string holds anything; `None` for `null`, which leaves a Go `string` as it was.
fn is_set(field: &'static str, value: &RawValue) -> Result<Option<bool>, ConfigError> {
    let secret = secret(field, value)?;
    Ok((!secret.is_null()).then(|| !secret.is_empty()))
}

/// A Go `[]byte`, written as base64; `null` clears it.
fn bytes(field: &'static str, value: &RawValue) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let bytes = secret(field, value)?.decode();
    bytes.ok_or(ConfigError::Type(field))
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
        let token = r#"{"bearerToken":hunter2}"#;
        let error = ClusterConfig::parse(token).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let told = |json: &str| ClusterConfig::parse(json).unwrap_err().to_string();
        for (json, place) in [
            (
                "{\n  \"a\": \"é\", # optional\n  \"b\": 1}",
                "line 2, column 13, a comment",
            ),
            ("{\n  // optional\n}", "line 2, column 3, a comment"),
            (
                r#"{"awsAuthConfig":{"clusterName":"x1",},}"#,
                "line 1, column 38, a }",
            ),
            ("{'awsAuthConfig':{}}", "line 1, column 2, a single quote"),
            ("{\n", "line 2, column 1, where it ends"),
            (r#"{"a":"#, "line 1, column 5, where it ends"),
            ("{} x", "line 1, column 4"),
            ("{a: 1}", "line 1, column 2"),
        ] {
            let expected = format!("it is not one JSON object, see {place}");
            assert_eq!(told(json), expected, "{json}");
        }
    }

    #[test]
    fn argo_cds_own_plugin_logs_in_to_aws_as_its_own_field_does() {
        let exec = |config: &str| parse(config).exec.unwrap().is_aws_login();
        assert!(exec(
            r#"{"execProviderConfig":{"command":"argocd-k8s-auth","args":["aws","--cluster-name","a"]}}"#
        ));
        for other in [
            r#"{"execProviderConfig":{"command":"argocd-k8s-auth","args":["gcp"]}}"#,
            r#"{"execProviderConfig":{"command":"argocd-k8s-auth"}}"#,
            r#"{"execProviderConfig":{"command":"aws","args":["aws"]}}"#,
        ] {
            assert!(!exec(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_field_is_kept_apart() {
        let config = parse(
            r#"{"a":1,"tlsClientConfig":{"b":"x"},"awsAuthConfig":{"c":null},"execProviderConfig":{"d":[],"config":{"e":1}}}"#,
        );
        let names: Vec<&str> = config
            .other_fields
            .iter()
            .map(|field| field.name.expose())
            .collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let exec = config.exec.unwrap();
        assert_eq!(exec.config.unwrap().expose(), r#"{"e":1}"#);
        let cleared = parse(r#"{"execProviderConfig":{"config":{},"config":null}}"#);
        assert_eq!(cleared.exec.unwrap().config, None);
    }

    /// Whatever was there was believed to be used.
    #[test]
    fn no_client_is_built_from_what_is_no_pem() {
        let login = |tls: &str| {
            let config = format!(r#"{{"bearerToken":"t","tlsClientConfig":{tls}}}"#);
            let config = parse(&config);
            config.login(false).map(drop)
        };
        assert_eq!(login(r#"{"caData":"Y2E="}"#), Err(LoginError::CaData));
        assert_eq!(
            login(r#"{"certData":"YQ==","keyData":"YQ=="}"#),
            Err(LoginError::ClientCertificate)
        );
        assert_eq!(login(r#"{"certData":"YQ=="}"#), Ok(()));
        assert_eq!(login(r#"{"keyData":"YQ=="}"#), Ok(()));
        assert_eq!(login(r#"{"caData":""}"#), Ok(()));
        let in_cluster = parse(r#"{"tlsClientConfig":{"caData":"Y2E="}}"#);
        assert_eq!(in_cluster.login(true), Ok(Login::InCluster));
    }

    #[test]
    fn a_password_without_a_name_is_no_second_credential() {
        let login = |config: &str| parse(config).login(false).map(drop);
        assert_eq!(login(r#"{"bearerToken":"t","password":"p"}"#), Ok(()));
        assert_eq!(
            login(r#"{"bearerToken":"t","username":"u"}"#),
            Err(LoginError::TwoCredentials)
        );
    }

    #[test]
    fn the_environment_is_known_by_name() {
        let exec = |config: &str| {
            let env = parse(config).exec.unwrap().env.into_iter();
            env.map(|(name, value)| (name, !value.expose().is_empty()))
                .collect::<BTreeMap<_, _>>()
        };
        let env = |entries: &[(&str, bool)]| {
            let entries = entries.iter();
            entries
                .map(|&(name, set)| (name.to_owned(), set))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(
            exec(r#"{"execProviderConfig":{"env":{"B":"b","A":"","C":null}}}"#),
            env(&[("A", false), ("B", true), ("C", false)])
        );
        // Maps merge, and the last of equal names counts.
        assert_eq!(
            exec(
                r#"{"execProviderConfig":{"env":{"A":"a","A":"","B":"b"},"env":{"B":null,"C":"c"}}}"#
            ),
            env(&[("A", false), ("B", false), ("C", true)])
        );
        assert_eq!(
            exec(r#"{"execProviderConfig":{"env":{"A":"a"},"env":null}}"#),
            env(&[])
        );
        for wrong in [r#"["A"]"#, r#"{"A":1}"#] {
            let config = format!(r#"{{"execProviderConfig":{{"env":{wrong}}}}}"#);
            assert_eq!(ClusterConfig::parse(&config), Err(ConfigError::Type("env")));
        }
    }

    #[test]
    fn no_part_of_a_proxy_but_its_scheme_is_kept() {
        for (url, scheme) in [
            ("HTTPS://proxy", Some("https")),
            ("socks5://u:p@proxy", Some("socks5")),
            ("hunter2://proxy", Some("")),
            ("u:hunter2@proxy", Some("")),
            ("", None),
        ] {
            let config = parse(&format!(r#"{{"proxyUrl":"{url}"}}"#));
            assert_eq!(config.proxy_scheme.as_deref(), scheme, "{url}");
            assert_eq!(config.login(false).is_err(), scheme == Some(""), "{url}");
        }
    }

    /// A derived `Debug` printed the arguments, and whatever comes before `://`.
    #[test]
    fn debug_output_quotes_no_credential() {
        for json in [
            r#"{"bearerToken":"hunter2","username":"hunter2","tlsClientConfig":{"keyData":"hunter2="}}"#,
            r#"{"execProviderConfig":{"command":"get-token","args":["--password","hunter2"],"env":{"A":"hunter2"}}}"#,
            r#"{"proxyUrl":"user:hunter2@proxy://"}"#,
            r#"{"proxyUrl":"hunter2://proxy"}"#,
            r#"{"proxyUrl":"http://user:hunter2@proxy"}"#,
        ] {
            let config = ClusterConfig::parse(json);
            let login = config.as_ref().map(|config| config.login(false));
            let printed = format!("{config:?} {login:?}").to_lowercase();
            assert!(!printed.contains("hunter2"), "{printed}");
        }
    }
}
