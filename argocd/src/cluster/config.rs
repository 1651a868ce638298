//! `config` of a cluster Secret: which credentials it holds and which of them Argo CD uses.
//!
//! Only the kinds of credentials are kept. Their values are looked at once, to see whether they
//! are empty, and are never part of a type here; but for the arguments of a command, which do not
//! print themselves and are wiped when dropped.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::secret_string::SecretString;
use crate::go_json::{Members, Spelling, fold};

/// What a `config` says, as Argo CD reads it (Argo CD 3.5, `ClusterConfig`).
#[expect(
    clippy::struct_excessive_bools,
    reason = "each stands for a field of its own"
)]
#[derive(Debug, Default, Eq, PartialEq)]
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
    /// Scheme of `proxyUrl`, if there is one, and empty if Argo CD takes no such proxy. The rest of
    /// the URL can hold a password.
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
#[derive(Default, Eq, PartialEq)]
pub struct ExecProviderConfig {
    /// The command. It may hold arguments, and they secrets: print no more than its program.
    pub command: String,
    /// Its arguments.
    pub args: Arguments,
    /// The names of the environment variables that are set, and whether to something. They are in
    /// the order of their names.
    pub env: BTreeMap<String, bool>,
    /// API version of the answer.
    pub api_version: String,
}

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
pub struct Arguments(Vec<Zeroizing<String>>);

impl Arguments {
    /// The arguments, which are not to be printed.
    pub fn expose(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|argument| argument.as_str())
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
    #[error("it is not one JSON object")]
    Syntax,
    /// A field of a wrong type.
    #[error("{0} has the wrong type")]
    Type(&'static str),
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
                let url = secret(field, value)?;
                if !url.is_null() {
                    let url = url.expose();
                    self.proxy_scheme = (!url.is_empty()).then(|| scheme(&url));
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
        if self.bearer_token && (self.username || self.password) {
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
                        let args: Option<Vec<&RawValue>> = read(field, value)?;
                        let args = args.into_iter().flatten();
                        self.args = args
                            .map(|value| Ok(secret(field, value)?.expose()))
                            .collect::<Result<_, _>>()
                            .map(Arguments)?;
                    }
                    "env" => {
                        let Some(members) = read::<Members<'_>>(field, value)?.0 else {
                            self.env.clear();
                            return Ok(());
                        };
                        for (name, value) in members {
                            let is_set = !secret(field, value)?.is_empty();
                            self.env.insert(name.to_string(), is_set);
                        }
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

fn secret<'v>(field: &'static str, value: &'v RawValue) -> Result<SecretString<'v>, ConfigError> {
    SecretString::new(value).ok_or(ConfigError::Type(field))
}

/// Whether a string holds anything; `None` for `null`, which leaves a Go `string` as it was.
fn is_set(field: &'static str, value: &RawValue) -> Result<Option<bool>, ConfigError> {
    let secret = secret(field, value)?;
    Ok((!secret.is_null()).then(|| !secret.is_empty()))
}

/// Whether a Go `[]byte`, written as base64, holds anything; `null` clears it.
fn is_set_bytes(field: &'static str, value: &RawValue) -> Result<bool, ConfigError> {
    let bytes = secret(field, value)?.decode();
    Ok(!bytes.ok_or(ConfigError::Type(field))?.is_empty())
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

    #[test]
    fn the_environment_is_known_by_name() {
        let exec = |config: &str| parse(config).exec.unwrap().env;
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
