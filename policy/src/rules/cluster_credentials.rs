use argocd::cluster::ClusterSecretError;
use argocd::cluster::config::{ClusterConfig, Irregularity, has_user_info};

use crate::finding::shorten;
use crate::rule::{Context, Findings, Rule, RuleMetadata, Scope, declare_rule};
use crate::subject::Object;

declare_rule! {
    /// ## What it does
    ///
    /// Denies a cluster Secret that holds a bearer token, a user name and password (in its `config`,
    /// or in the URL of the server or the proxy) or a client key,
    /// that runs an exec plugin which the policy does not list, or that does not verify the
    /// server's certificate. What counts is what the Secret holds, whether Argo CD would use it or
    /// not: a token beside `awsAuthConfig` is ignored by Argo CD and still readable by everybody
    /// who may read the Secret.
    ///
    /// `config` is read as Argo CD reads it, which does not mind upper and lower case and lets the
    /// last of several equal names win. Names that are not spelt as documented, or come twice, are
    /// denied: other readers would see another Secret than Argo CD.
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
    /// and list its command in the policy under `rules.cluster-credentials.allowExec`.
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
        scope: Scope::Everywhere,
    }
}

const CONFIG: &str = "/data/config";
const FIX: &str = "use awsAuthConfig, which holds no credential";

impl Rule for ClusterCredentials {
    fn metadata(&self) -> &'static RuleMetadata {
        &Self::METADATA
    }

    fn check(&self, context: &Context<'_>, findings: &mut Findings) {
        let Object::ClusterSecret(secret) = &context.subject.object else {
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
        findings.deny(CONFIG, format!("holds a bearer token{unused}"), FIX);
    }
    if config.username || config.password {
        findings.deny(
            CONFIG,
            format!("holds a user name and password{unused}"),
            FIX,
        );
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
    if let Some(exec) = &config.exec
        && !allowed.contains(&exec.command)
    {
        findings.deny(
            CONFIG,
            format!("runs {} in Argo CD's pods", program(&exec.command)),
            "use awsAuthConfig, or list the command in allowExec",
        );
    }
    if config.tls.insecure {
        findings.deny(
            CONFIG,
            "does not verify the server's certificate (tlsClientConfig.insecure)",
            "set caData and insecure: false",
        );
    }
}

/// The program of a command, without what may be arguments.
fn program(command: &str) -> String {
    shorten(command.split_whitespace().next().unwrap_or("''"), 40)
}
