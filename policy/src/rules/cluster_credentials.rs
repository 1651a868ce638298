use argocd::cluster::ClusterSecretError;
use argocd::cluster::config::{ClusterConfig, ExecProviderConfig, Irregularity, has_user_info};

use zeroize::Zeroizing;

use crate::finding::shorten;
use crate::rule::{Context, Findings, Occasion, Rule, RuleMetadata, Scope, declare_rule};
use crate::subject::Object;

declare_rule! {
    /// ## What it does
    ///
    /// Denies a cluster Secret that holds a bearer token, a user name and password (in its `config`,
    /// or in the URL of the server or the proxy) or a client key,
    /// that runs an exec plugin which the policy does not list, that gives an exec plugin an
    /// environment variable which may be a credential, or that does not verify the
    /// server's certificate. What counts is what the Secret holds, whether Argo CD would use it or
    /// not: a token beside `awsAuthConfig` is ignored by Argo CD and still readable by everybody
    /// who may read the Secret.
    ///
    /// `config` is read as Argo CD reads it, which does not mind upper and lower case and lets the
    /// last of several equal names win. Names that are not spelt as documented, or come twice, are
    /// denied: other readers would see another Secret than Argo CD.
    ///
    /// Nobody can tell what a variable in `execProviderConfig.env` holds. Those that by their name
    /// hold a region, a profile, an identity or the path of a file pass:
    /// `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_PROFILE`, `AWS_STS_REGIONAL_ENDPOINTS`,
    /// `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`, `AWS_WEB_IDENTITY_TOKEN_FILE`,
    /// `AAD_ENVIRONMENT_NAME`, `AAD_LOGIN_METHOD`, `AAD_SERVICE_PRINCIPAL_CLIENT_ID`,
    /// `AZURE_AUTHORITY_HOST`, `AZURE_CLIENT_ID`, `AZURE_FEDERATED_TOKEN_FILE`,
    /// `AZURE_TENANT_ID`, `CLOUDSDK_CORE_PROJECT`, `GOOGLE_APPLICATION_CREDENTIALS` and
    /// `GOOGLE_CLOUD_PROJECT`. Any other with a value is denied, also of a command that the policy
    /// lists. Some of them, such as `PATH`, would moreover decide which program is run.
    ///
    /// ## Why
    ///
    /// Such a token has no expiry and usually the rights of an administrator. Whoever reads the
    /// devops cluster's Secrets owns every workload cluster, and nobody notices.
    ///
    /// ## How to fix
    ///
    /// On EKS use `awsAuthConfig` with an access entry for the role: Argo CD then signs a request
    /// with its own AWS identity, and the Secret holds nothing that is worth stealing. Elsewhere
    /// use an exec plugin for short-lived credentials, such as `argocd-k8s-auth gcp` or `azure`,
    /// and list its command in the policy under `rules.cluster-credentials.allowExec`. What the
    /// plugin needs in its environment belongs in the environment of Argo CD's own pods, or in a
    /// file there; a cluster whose plugin needs another harmless variable can be exempted.
    ///
    /// ## Denied
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Secret
    /// metadata:
    ///   name: cluster-staging-eu
    ///   namespace: argocd
    ///   labels: { argocd.argoproj.io/secret-type: cluster }
    /// stringData:
    ///   name: staging-eu
    ///   server: https://staging-eu.example.com
    ///   config: '{"bearerToken": "example", "tlsClientConfig": {"insecure": false}}'
    /// ```
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Secret
    /// metadata:
    ///   name: cluster-staging-eu
    ///   namespace: argocd
    ///   labels: { argocd.argoproj.io/secret-type: cluster }
    /// stringData:
    ///   name: staging-eu
    ///   server: https://staging-eu.example.com
    ///   config: '{"execProviderConfig": {"command": "sh", "apiVersion": "client.authentication.k8s.io/v1beta1"}}'
    /// ```
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Secret
    /// metadata:
    ///   name: cluster-staging-eu
    ///   namespace: argocd
    ///   labels: { argocd.argoproj.io/secret-type: cluster }
    /// stringData:
    ///   name: staging-eu
    ///   server: https://staging-eu.example.com
    ///   config: |
    ///     {"execProviderConfig": {
    ///       "command": "argocd-k8s-auth", "args": ["azure"],
    ///       "env": {"AAD_SERVICE_PRINCIPAL_CLIENT_SECRET": "example"},
    ///       "apiVersion": "client.authentication.k8s.io/v1beta1"}}
    /// ```
    ///
    /// ## Admitted
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Secret
    /// metadata:
    ///   name: cluster-staging-eu
    ///   namespace: argocd
    ///   labels: { argocd.argoproj.io/secret-type: cluster }
    /// stringData:
    ///   name: staging-eu
    ///   server: https://ABCDEF.gr7.eu-central-1.eks.amazonaws.com
    ///   config: '{"awsAuthConfig": {"clusterName": "staging-eu", "roleARN": "arn:aws:iam::111122223333:role/argocd"}, "tlsClientConfig": {"insecure": false}}'
    /// ```
    pub struct ClusterCredentials {
        id: "cluster-credentials",
        summary: "no long-lived credentials in cluster Secrets",
        judges: ["Secret"],
        occasion: Occasion::Writing,
        scope: Scope::Everywhere,
    }
}

const CONFIG: &str = "/data/config";
const FIX: &str = "use awsAuthConfig, which holds no credential";

/// Environment variables that by their name hold no credential, but a region, a profile, an
/// identity, or the path of a file in Argo CD's own pods.
const HARMLESS_VARIABLES: [&str; 17] = [
    "AAD_ENVIRONMENT_NAME",
    "AAD_LOGIN_METHOD",
    "AAD_SERVICE_PRINCIPAL_CLIENT_ID",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "CLOUDSDK_CORE_PROJECT",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
];

impl Rule for ClusterCredentials {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let Object::ClusterSecret(secret) = context.subject.object else {
            return;
        };
        match secret.cluster() {
            Ok(cluster) if has_user_info(&cluster.server) => {
                findings.deny("/data/server", "the URL holds a user name or password", FIX);
            }
            Ok(_) => {}
            Err(error) => return unreadable(error, findings),
        }
        match secret.config() {
            Ok(config) => {
                let allowed = &context
                    .inventory
                    .policy()
                    .rules
                    .cluster_credentials
                    .allow_exec;
                check_config(&config, allowed, findings);
            }
            Err(error) => unreadable(error, findings),
        }
    }
}

/// A Secret that Argo CD cannot read is no cluster to it, until somebody repairs it: what it then
/// holds would not be asked about again.
fn unreadable(error: ClusterSecretError, findings: &mut Findings) {
    let (field, message) = match error {
        ClusterSecretError::Encoding(key) => {
            (format!("/data/{key}"), "is not base64 of a text".to_owned())
        }
        ClusterSecretError::Config(source) => (
            CONFIG.to_owned(),
            format!("Argo CD cannot read it: {source}"),
        ),
    };
    findings.deny(field, message, "write it as Argo CD documents it");
}

fn check_config(config: &ClusterConfig, allowed: &[String], findings: &mut Findings) {
    for name in &config.irregular_names {
        let message = match name.kind {
            Irregularity::Spelling => {
                format!(
                    "{} is not spelt as documented, but Argo CD accepts it",
                    name.field
                )
            }
            Irregularity::Repeated => {
                format!(
                    "{} is there more than once, and the last one counts",
                    name.field
                )
            }
        };
        findings.deny(CONFIG, message, "write it once, as Argo CD documents it");
    }
    let unused = if config.aws.is_some() || config.exec.is_some() {
        ", unused but readable"
    } else {
        ""
    };
    if config.bearer_token {
        findings
            .deny(CONFIG, format!("holds a bearer token{unused}"), FIX)
            .extend_to(credential("bearerToken", unused));
    }
    if config.username || config.password {
        findings
            .deny(
                CONFIG,
                format!("holds a user name and password{unused}"),
                FIX,
            )
            .extend_to(credential("username", unused));
    }
    if config.proxy_user_info {
        findings.deny(
            CONFIG,
            "proxyUrl holds a user name or password",
            "use a proxy that knows Argo CD by its address",
        );
    }
    if config.tls.key_data {
        findings.deny(CONFIG, "holds a client key (tlsClientConfig.keyData)", FIX);
    }
    if let Some(exec) = &config.exec {
        check_exec(exec, allowed, findings);
    }
    if config.tls.insecure {
        findings.deny(
            CONFIG,
            "does not verify the server's certificate (tlsClientConfig.insecure)",
            "set caData and insecure: false",
        );
    }
}

/// A credential that Argo CD logs in with is more than one that it does not use.
fn credential(name: &str, unused: &str) -> impl Iterator<Item = String> {
    let used = unused.is_empty().then(|| format!("{name} in use"));
    [Some(name.to_owned()), used].into_iter().flatten()
}

fn command_line(exec: &ExecProviderConfig) -> Zeroizing<String> {
    let mut line = Zeroizing::new(exec.command.clone());
    for argument in exec.args.expose() {
        line.push('\0');
        line.push_str(argument);
    }
    line
}

fn check_exec(exec: &ExecProviderConfig, allowed: &[String], findings: &mut Findings) {
    if !allowed.contains(&exec.command) {
        findings
            .deny(
                CONFIG,
                format!("runs {} in Argo CD's pods", program(&exec.command)),
                "use awsAuthConfig, or list the command in allowExec",
            )
            .extend_to([command_line(exec).as_str()]);
    }
    let set = exec.env.iter().filter(|(_, is_set)| **is_set);
    let suspects = set.map(|(name, _)| name.as_str());
    let suspects: Vec<&str> = suspects
        .filter(|name| !HARMLESS_VARIABLES.contains(name))
        .collect();
    if let Some(first) = suspects.first() {
        let more = match suspects.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        findings
            .deny(
                CONFIG,
                format!(
                    "execProviderConfig.env sets {}{more}, which may be a credential",
                    variable(first)
                ),
                "set it in Argo CD's own pods",
            )
            .extend_to(suspects.iter().map(|name| format!("variable {name}")));
    }
}

/// The name of a variable, where it is one: a value may have slipped into its place.
fn variable(name: &str) -> String {
    let usual = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    if name.len() <= 40 && name.bytes().all(usual) {
        name.to_owned()
    } else {
        "a variable".to_owned()
    }
}

/// The program of a command, without what may be arguments.
fn program(command: &str) -> String {
    shorten(command.split_whitespace().next().unwrap_or("''"), 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_every_variable_that_passes() {
        let page = ClusterCredentials::METADATA.page();
        for variable in HARMLESS_VARIABLES {
            let named = format!("`{variable}`");
            assert!(page.contains(&named), "{variable}");
        }
    }
}
