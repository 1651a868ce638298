use argocd::cluster::config::{
    ARGOCD_K8S_AUTH, ClusterConfig, ExecProviderConfig, Irregularity, has_user_info,
};
use argocd::cluster::{ClusterSecretError, UnknownValues};
use argocd::{Cluster, ClusterSecret};
use zeroize::Zeroizing;

use super::possible_credential::{
    Doubt, Suspect, among_arguments, has_form_of_credential, in_json,
};
use crate::finding::missing::MissingFact;
use crate::finding::{and_more, shorten};
use crate::request::subject::Request;
use crate::rules::rule::{Context, Findings, JudgedOn, ObjectRule, Reads, Scope, declare_rule};

declare_rule! {
    /// ## What it does
    ///
    /// Denies a cluster Secret that holds a bearer token, a user name and password (in its
    /// `config`, or in the URL of the server or the proxy) or a client key, that runs an exec
    /// plugin which the policy does not list, that gives an exec plugin an argument, an environment
    /// variable or a `config` which may be a credential, or that does not verify the server's
    /// certificate. What counts is what the Secret holds, whether Argo CD would use it or not: a
    /// token beside `awsAuthConfig` is ignored by Argo CD and still readable by everybody who may
    /// read the Secret.
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
    /// Nor can anybody tell what an argument is, or a member of the free
    /// `execProviderConfig.config`. Of a flag or member whose name speaks of a password, a secret,
    /// a token, a key and the like, any value is denied, unless the name says that it is only about
    /// one (`--token-file`, `secretName`). Names of clusters, regions, roles, identities, addresses
    /// and files may have any value that does not look like a credential; everything else must be
    /// plain words, small numbers, paths, UUIDs or ARNs, as subcommands are. Fields that Argo CD
    /// does not know are looked into, too, as they stay readable.
    ///
    /// `argocd-k8s-auth`, Argo CD's own plugin, is listed where the policy lists nothing: it gets
    /// short-lived credentials from the cloud that Argo CD runs in. `argocd-k8s-auth aws` is the
    /// same as `awsAuthConfig` and needs no listing.
    ///
    /// In a file, values that SOPS has encrypted, and those of a Secret that a controller makes
    /// from an `ExternalSecret` or a `SealedSecret`, cannot be judged: that is undecided. Its
    /// labels count.
    ///
    /// ## Why
    ///
    /// Such a token has no expiry and usually the rights of an administrator. Whoever reads the
    /// devops cluster's Secrets owns every workload cluster, and nobody notices.
    ///
    /// ## How to fix
    ///
    /// On EKS use `awsAuthConfig` with an access entry for the role: Argo CD then signs a request
    /// with its own AWS identity, and the Secret holds nothing that is worth stealing.
    /// `kubectl gitops cluster onboard NAME` says what is missing for that, and does it with
    /// `--apply`. `kubectl gitops cluster migrate NAME` moves a cluster that has a token today, and
    /// takes the token away with `--revoke`.
    ///
    /// On GKE and AKS use workload identity, with `argocd-k8s-auth gcp` or `azure`. Elsewhere use
    /// another exec plugin for short-lived credentials, and list its command in the policy under
    /// `rules.cluster-credentials.allowExec`. What the plugin needs belongs in the environment of
    /// Argo CD's own pods, or in a file there; a cluster whose plugin needs another harmless
    /// variable or argument can be exempted.
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
    ///       "command": "argocd-k8s-auth", "args": ["azure", "--client-secret", "example"],
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
    ///       "env": {"AAD_LOGIN_METHOD": "workloadidentity"},
    ///       "apiVersion": "client.authentication.k8s.io/v1beta1"}}
    /// ```
    pub struct ClusterCredentials {
        id: "cluster-credentials",
        summary: "no long-lived credentials in cluster Secrets",
        judges: [ClusterSecret],
        judged_on: JudgedOn::Writing,
        scope: Scope::Everywhere,
        reads: [Reads::ClusterSecretData],
    }
}

const CONFIG: &str = "/data/config";

/// Whose cluster it is, by which Argo CD can log in without a stored credential.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Provider {
    /// EKS, or not known.
    Amazon,
    Google,
    Microsoft,
}

impl Provider {
    fn of(cluster: &Cluster, config: &ClusterConfig) -> Self {
        let exec = config.exec.as_ref();
        let is_called = |word: &str| {
            let names = [cluster.name.as_str(), cluster.server.as_str()];
            let words = |name: &str| {
                let mut words = name.split(|c: char| !c.is_ascii_alphabetic());
                words.any(|own| own.eq_ignore_ascii_case(word))
            };
            names.into_iter().any(words)
        };
        let runs = |command: &str, argument: &str, variable: &str| {
            exec.is_some_and(|exec| {
                let own = exec.command.rsplit('/').next().unwrap_or_default();
                own == command
                    || own == ARGOCD_K8S_AUTH && exec.args.expose().next() == Some(argument)
                    || exec.env.keys().any(|name| name.starts_with(variable))
            })
        };
        let is_at = |domain: &str| cluster.server.contains(domain);
        if config.aws.is_some() || is_at(".eks.amazonaws.com") || is_at("arn:aws") {
            Provider::Amazon
        } else if is_at(".azmk8s.io") || runs("kubelogin", "azure", "AAD_") {
            Provider::Microsoft
        } else if is_at(".gke.goog")
            || runs("gke-gcloud-auth-plugin", "gcp", "CLOUDSDK_")
            || runs("gcloud", "gcp", "GOOGLE_")
        {
            Provider::Google
        } else if is_called("aks") || runs("az", "azure", "AZURE_") {
            Provider::Microsoft
        } else if is_called("gke") {
            Provider::Google
        } else {
            Provider::Amazon
        }
    }

    /// What to do in place of storing a credential.
    fn advice(self) -> &'static str {
        match self {
            Provider::Amazon => "use awsAuthConfig, which holds no credential",
            Provider::Google => "use workload identity: argocd-k8s-auth gcp holds no credential",
            Provider::Microsoft => {
                "use workload identity: argocd-k8s-auth azure holds no credential"
            }
        }
    }

    /// What to do in place of running a command that is not listed.
    fn advice_on_command(self, command: &str) -> &'static str {
        match self {
            _ if command == ARGOCD_K8S_AUTH => "list the command in allowExec",
            Provider::Amazon => "use awsAuthConfig, or list the command in allowExec",
            Provider::Google => "use argocd-k8s-auth gcp, or list the command in allowExec",
            Provider::Microsoft => "use argocd-k8s-auth azure, or list the command in allowExec",
        }
    }
}

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

impl ObjectRule<ClusterSecret<'_>> for ClusterCredentials {
    fn check(
        &self,
        request: Request<&ClusterSecret<'_>>,
        context: &Context<'_>,
        findings: &mut Findings,
    ) {
        let secret = request.object();
        let cluster = match secret.cluster() {
            Ok(cluster) => cluster,
            Err(error) => return unreadable(error, findings),
        };
        let unknown = secret.unknown_config();
        let nothing = ClusterConfig::default();
        let config = match secret.config() {
            _ if unknown.is_some() => &nothing,
            Ok(config) => config,
            Err(error) => {
                check_server(&cluster, Provider::Amazon, findings);
                return unreadable(error, findings);
            }
        };
        let provider = Provider::of(&cluster, config);
        check_server(&cluster, provider, findings);
        if let Some(unknown) = unknown {
            let (message, fix) = match unknown {
                UnknownValues::Encrypted => (
                    "its values are encrypted by SOPS and cannot be judged here".to_owned(),
                    "judge it decrypted: sops -d FILE | kubectl gitops check -",
                ),
                UnknownValues::MadeFrom(kind) => (
                    format!("this {kind} makes a cluster Secret whose values are not known here"),
                    "judge the Secret in its cluster: kubectl gitops audit",
                ),
            };
            let fact = MissingFact::ClusterSecret(cluster.secret_name.clone(), unknown);
            findings.undecided(CONFIG, message, fix).lack(fact);
            return;
        }
        let rules = &context.inventory.policy().rules;
        let allowed = &rules.cluster_credentials.allow_exec;
        check_config(config, provider, allowed, findings);
    }
}

fn check_server(cluster: &Cluster, provider: Provider, findings: &mut Findings) {
    if has_user_info(&cluster.server) {
        let message = "the URL holds a user name or password";
        findings.deny("/data/server", message, provider.advice());
    }
}

/// A Secret that Argo CD cannot read is not a cluster to it, until somebody repairs it: what it
/// then holds would not be asked about again.
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

fn check_config(
    config: &ClusterConfig,
    provider: Provider,
    allowed: &[String],
    findings: &mut Findings,
) {
    let advice = provider.advice();
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
            .deny(CONFIG, format!("holds a bearer token{unused}"), advice)
            .extend_to(credential("bearerToken", unused));
    }
    if config.username || config.password {
        findings
            .deny(
                CONFIG,
                format!("holds a user name and password{unused}"),
                advice,
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
        findings.deny(
            CONFIG,
            "holds a client key (tlsClientConfig.keyData)",
            advice,
        );
    }
    if let Some(exec) = &config.exec {
        check_exec(exec, provider, allowed, findings);
    }
    let others: Vec<Suspect> = config
        .other_fields
        .iter()
        .flat_map(|field| in_json(field.name.expose(), field.json.expose(), Doubt::Passes))
        // Where nothing reads the names, one of them may be the credential.
        .map(|_| Suspect { name: None })
        .collect();
    report("what Argo CD does not read", &others, "a field", findings);
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

fn check_exec(
    exec: &ExecProviderConfig,
    provider: Provider,
    allowed: &[String],
    findings: &mut Findings,
) {
    if !allowed.contains(&exec.command) && !exec.is_aws_login() {
        findings
            .deny(
                CONFIG,
                format!("runs {} in Argo CD's pods", program(&exec.command)),
                provider.advice_on_command(&exec.command),
            )
            // Its arguments are told with it.
            .extend_to([command_line(exec).as_str()]);
    } else {
        let arguments = among_arguments(exec.args.expose());
        report(
            "execProviderConfig.args",
            &arguments,
            "an argument",
            findings,
        );
    }
    let members = exec.config.as_ref().map_or_else(Vec::new, |config| {
        in_json("config", config.expose(), Doubt::Counts)
    });
    report("execProviderConfig.config", &members, "a value", findings);
    if has_form_of_credential(exec.install_hint.expose()) {
        findings.deny(
            CONFIG,
            "execProviderConfig.installHint looks like a credential",
            "leave it out",
        );
    }
    let suspects: Vec<&str> = exec
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .filter(|(name, value)| {
            let is_harmless = HARMLESS_VARIABLES.contains(name) && !has_form_of_credential(value);
            !value.is_empty() && !is_harmless
        })
        .map(|(name, _)| name)
        .collect();
    if let Some(first) = suspects.first() {
        let more = and_more(suspects.len() - 1);
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

/// Says that some of what is in a field may be credentials. None of their values is told.
fn report(place: &str, suspects: &[Suspect], unnamed: &str, findings: &mut Findings) {
    let Some(first) = suspects.first() else {
        return;
    };
    let name = first.name.as_deref().unwrap_or(unnamed);
    let more = and_more(suspects.len() - 1);
    // A credential may be replaced by another one, and not joined by one.
    let all = suspects.iter().enumerate().map(|(index, suspect)| {
        let name = suspect.name.clone();
        let name = name.unwrap_or_else(|| format!("{unnamed} {index}"));
        format!("{place} {name}")
    });
    findings
        .deny(
            CONFIG,
            format!("{place} has {name}{more}, which may be a credential"),
            "keep it in Argo CD's own pods, as a file or as an identity",
        )
        .extend_to(all);
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
