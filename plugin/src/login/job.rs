//! The login as Argo CD's own pods make it: a Job with their service account and their image.
//!
//! That image has `argocd-k8s-auth`, which makes the token, and Helm, which is a client of
//! Kubernetes that goes by it as Argo CD does (client-go's exec plugin). So no image has to be
//! published for this. Of what both print nothing is kept but why they failed: no token is in a
//! log. What the role may do on the cluster is not asked there, as nothing in the image asks for
//! it.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd::cluster::Connection;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kube::api::PropagationPolicy;
use serde::Deserialize;
use serde_json::{Value, json};

use super::proof::{Link, Proof, State, Verification};
use super::target::{AwsLogin, Target};
use crate::error::chain;
use crate::kubernetes::{AccessError, ApiServer, Objects, resource};
use crate::wait::Wait;

/// The label of the controller that logs in to clusters, in Argo CD's manifests and in its chart.
const CONTROLLER: &str = "app.kubernetes.io/name=argocd-application-controller";
/// The annotation by which the Pod is told how the cluster is reached. There is no secret in it.
const KUBECONFIG: &str = "kubectl-gitops.io/kubeconfig";
/// How long such a Job may take: an image may have to be pulled, a private endpoint may not answer.
const WITHIN: Duration = Duration::from_mins(2);
const INTERVAL: Duration = Duration::from_millis(500);
/// How the script ends where there is no token, and where the API server does not take it.
const NO_TOKEN: i32 = 10;
const NOT_TAKEN: i32 = 20;

/// Is told the file for the reason, the kubeconfig, and the arguments of `argocd-k8s-auth`.
const SCRIPT: &str = r#"reason=$1 kubeconfig=$2
shift 2
export HOME=/tmp
argocd-k8s-auth "$@" >/dev/null 2>"$reason" || exit 10
helm list --namespace kube-system --kubeconfig "$kubeconfig" >/dev/null 2>"$reason" || exit 20
"#;

/// What of Argo CD's controller its pods are made of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    service_account_name: String,
    containers: Vec<Container>,
    image_pull_secrets: Vec<Value>,
    node_selector: BTreeMap<String, String>,
    tolerations: Vec<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    image: String,
    image_pull_policy: Option<String>,
    env: Vec<Value>,
    env_from: Vec<Value>,
}

/// Nothing can be tried as Argo CD.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("no StatefulSet or Deployment in namespace {0} has the label {CONTROLLER}")]
    NoController(String),
}

/// Argo CD's controller, as which clusters are logged in to.
pub(crate) struct Controller<'c> {
    server: &'c ApiServer,
    namespace: &'c str,
    pods: PodSpec,
}

/// How a container ended, or why it does not run.
enum End {
    Terminated { code: i32, message: String },
    None(String),
}

impl<'c> Controller<'c> {
    /// Finds it.
    ///
    /// # Errors
    /// There is none, or workloads cannot be read.
    pub(crate) async fn find(server: &'c ApiServer, namespace: &'c str) -> Result<Self, JobError> {
        for (kind, plural) in [
            ("StatefulSet", "statefulsets"),
            ("Deployment", "deployments"),
        ] {
            let workloads = Objects {
                resource: resource("apps", "v1", kind, plural),
                namespace: Some(namespace.to_owned()),
            };
            let found = server.list(&workloads, Some(CONTROLLER), pod_spec).await?;
            if let Some(pods) = found.into_iter().flatten().next() {
                return Ok(Controller {
                    server,
                    namespace,
                    pods,
                });
            }
        }
        Err(JobError::NoController(namespace.to_owned()))
    }

    /// Tries the login, and puts what is found into what was found from here.
    pub(crate) async fn verify(&self, target: &Target, found: &mut Verification) {
        let Ok(login) = &target.login else {
            return;
        };
        if has_password(&login.connection) {
            return found.replace(vec![unknown(
                "its proxy takes a password, which is not written into a Job",
            )]);
        }
        let tried = match self.run(login).await {
            Ok(end) => judged(&end, login),
            Err(error) => vec![unknown(chain(&error))],
        };
        found.replace(tried);
    }

    /// Runs the Job, and deletes it whatever becomes of it.
    async fn run(&self, login: &AwsLogin) -> Result<End, AccessError> {
        #[derive(Deserialize)]
        struct Created {
            metadata: Named,
        }
        #[derive(Deserialize)]
        struct Named {
            name: String,
            uid: String,
        }
        let jobs = self.own("batch", "Job", "jobs");
        let Created { metadata } = self.server.ask(&jobs, &self.job(login)).await?;
        let end = self.ended(&metadata.name).await;
        let deleted = self
            .server
            .delete_propagating(
                &jobs,
                &metadata.name,
                &metadata.uid,
                PropagationPolicy::Background,
            )
            .await;
        let end = end?;
        deleted?;
        Ok(end)
    }

    async fn ended(&self, job: &str) -> Result<End, AccessError> {
        let pods = self.own("", "Pod", "pods");
        let labels = format!("batch.kubernetes.io/job-name={job}");
        let mut wait = Wait::up_to(WITHIN, INTERVAL);
        let mut waiting = "no Pod was made".to_owned();
        loop {
            let found = self.server.list(&pods, Some(&labels), Pod::read).await?;
            match found.into_iter().flatten().next().map(Pod::end) {
                Some(end @ End::Terminated { .. }) => return Ok(end),
                Some(End::None(reason)) => waiting = reason,
                None => {}
            }
            if !wait.goes_on().await {
                return Ok(End::None(waiting));
            }
        }
    }

    fn own(&self, group: &str, kind: &str, plural: &str) -> Objects {
        Objects {
            resource: resource(group, "v1", kind, plural),
            namespace: Some(self.namespace.to_owned()),
        }
    }

    fn job(&self, login: &AwsLogin) -> Value {
        let pods = &self.pods;
        let container = pods.containers.first().cloned().unwrap_or_default();
        let arguments = ["/dev/termination-log", "/verify/kubeconfig"].map(str::to_owned);
        let arguments: Vec<String> = arguments.into_iter().chain(login.aws.arguments()).collect();
        let is_of_aws = |variable: &&Value| {
            let name = variable["name"].as_str().unwrap_or_default();
            name.starts_with("AWS_") || name.to_ascii_uppercase().ends_with("_PROXY")
        };
        let env: Vec<&Value> = container.env.iter().filter(is_of_aws).collect();
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "generateName": "kubectl-gitops-verify-",
                "labels": {"app.kubernetes.io/managed-by": "kubectl-gitops"},
            },
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": WITHIN.as_secs(),
                // Where nobody is left to delete it.
                "ttlSecondsAfterFinished": 60,
                "template": {
                    "metadata": {"annotations": {KUBECONFIG: kubeconfig(login).to_string()}},
                    "spec": {
                        "serviceAccountName": pods.service_account_name,
                        // Its identity in AWS is projected apart from this.
                        "automountServiceAccountToken": false,
                        "restartPolicy": "Never",
                        "imagePullSecrets": pods.image_pull_secrets,
                        "nodeSelector": pods.node_selector,
                        "tolerations": pods.tolerations,
                        "securityContext": {
                            "runAsNonRoot": true,
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "containers": [{
                            "name": "verify",
                            "image": container.image,
                            "imagePullPolicy": container.image_pull_policy,
                            "command": ["sh", "-c", SCRIPT, "verify"],
                            "args": arguments,
                            "env": env,
                            "envFrom": container.env_from,
                            "securityContext": {
                                "allowPrivilegeEscalation": false,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "volumeMounts": [{"name": "verify", "mountPath": "/verify"}],
                        }],
                        "volumes": [{
                            "name": "verify",
                            "downwardAPI": {"items": [{
                                "path": "kubeconfig",
                                "fieldRef": {"fieldPath": format!("metadata.annotations['{KUBECONFIG}']")},
                            }]},
                        }],
                    },
                },
            },
        })
    }
}

fn pod_spec(json: &str) -> Option<PodSpec> {
    #[derive(Deserialize)]
    struct Workload {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        template: Template,
    }
    #[derive(Deserialize)]
    struct Template {
        spec: PodSpec,
    }
    let workload: Workload = serde_json::from_str(json).ok()?;
    Some(workload.spec.template.spec)
}

fn has_password(connection: &Connection) -> bool {
    let proxy = connection.proxy_url.as_ref();
    proxy.is_some_and(|url| argocd::cluster::config::has_user_info(url.expose()))
}

/// How the cluster is reached, and that `argocd-k8s-auth` makes the token.
fn kubeconfig(login: &AwsLogin) -> Value {
    let Connection {
        server,
        server_name,
        ca_data,
        insecure,
        proxy_url,
        bearer_token: _,
    } = &login.connection;
    let authority = ca_data.as_ref().map(|pem| BASE64_STANDARD.encode(pem));
    let mut cluster = json!({"server": server, "insecure-skip-tls-verify": insecure});
    let proxy = proxy_url.as_ref().map(|url| url.expose().to_owned());
    for (key, value) in [
        ("tls-server-name", server_name.clone()),
        ("certificate-authority-data", authority),
        ("proxy-url", proxy),
    ] {
        if let Some(value) = value {
            cluster[key] = Value::from(value);
        }
    }
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "argocd", "user": {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "argocd-k8s-auth",
            "args": login.aws.arguments(),
            "interactiveMode": "Never",
        }}}],
        "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "argocd"}}],
        "current-context": "cluster",
    })
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Pod {
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    phase: String,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    state: ContainerState,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Terminated {
    exit_code: i32,
    message: String,
}

impl Pod {
    fn read(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    fn end(self) -> End {
        let PodStatus {
            phase,
            container_statuses,
        } = self.status;
        let state = container_statuses.into_iter().next();
        match state.map(|status| status.state) {
            Some(ContainerState {
                terminated: Some(Terminated { exit_code, message }),
                ..
            }) => End::Terminated {
                code: exit_code,
                message,
            },
            Some(ContainerState {
                waiting: Some(Waiting { reason, message }),
                ..
            }) => End::None(format!("its container waits: {reason} {message}")),
            _ => End::None(format!("its Pod is {phase}")),
        }
    }
}

/// The links that the end of the Job says something of.
fn judged(end: &End, login: &AwsLogin) -> Vec<Proof> {
    let role = &login.aws.role_arn;
    let taken_on = || {
        ok(
            Link::ClusterRoleTrust,
            format!("Argo CD's pods may take on {role}"),
        )
    };
    let answers = || ok(Link::Endpoint, "it answers Argo CD's pods");
    let is_its = || {
        ok(
            Link::CertificateAuthority,
            "its certificate is the one that the Secret holds it to",
        )
    };
    let is_known = || ok(Link::AccessEntry, "the API server knows the role");
    let (code, message) = match end {
        End::Terminated { code, message } => (*code, one_line(message)),
        End::None(reason) => {
            return vec![unknown(format!("the Job did not end in time: {reason}"))];
        }
    };
    let is_there = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    match code {
        0 => vec![taken_on(), answers(), is_its(), is_known()],
        NO_TOKEN => vec![wrong(
            Link::ClusterRoleTrust,
            &message,
            format!(
                "let the role of Argo CD's pods do sts:AssumeRole and sts:TagSession, in the trust policy of {role} \
                 and in a policy of its own; each of their service accounts needs a Pod Identity association"
            ),
        )],
        // Who may not list what Helm lists is somebody all the same.
        NOT_TAKEN if is_there(&["forbidden"]) => vec![taken_on(), answers(), is_its(), is_known()],
        NOT_TAKEN if is_there(&["x509:", "certificate"]) => vec![
            taken_on(),
            answers(),
            wrong(
                Link::CertificateAuthority,
                &message,
                "write cluster.certificateAuthority.data of `aws eks describe-cluster` into the Secret".to_owned(),
            ),
        ],
        NOT_TAKEN if is_there(&["provide credentials", "Unauthorized"]) => vec![
            taken_on(),
            answers(),
            is_its(),
            wrong(
                Link::AccessEntry,
                &message,
                format!(
                    "`aws eks create-access-entry --cluster-name {} --principal-arn {role}`, if there is none",
                    login.aws.cluster_name
                ),
            ),
        ],
        NOT_TAKEN => vec![
            taken_on(),
            wrong(
                Link::Endpoint,
                &message,
                "let Argo CD's pods reach it: its DNS name, routes, security groups and public access CIDRs".to_owned(),
            ),
        ],
        code => vec![unknown(format!("the Job ended with {code}: {message}"))],
    }
}

fn ok(link: Link, detail: impl Into<String>) -> Proof {
    Proof {
        link,
        state: State::Ok,
        detail: detail.into(),
        mend: None,
    }
}

fn wrong(link: Link, detail: &str, mend: String) -> Proof {
    Proof {
        link,
        state: State::Wrong,
        detail: detail.to_owned(),
        mend: Some(mend),
    }
}

fn unknown(detail: impl Into<String>) -> Proof {
    Proof {
        link: Link::ClusterRoleTrust,
        state: State::Unknown,
        detail: detail.into(),
        mend: None,
    }
}

/// What a program says over several lines, which ends with what is wrong.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

impl Verification {
    /// What was tried as Argo CD counts instead of what was found from here. After a link that does
    /// not hold, nothing is known.
    fn replace(&mut self, tried: Vec<Proof>) {
        let is_whole = tried.iter().all(|proof| proof.state == State::Ok);
        let last = tried.last().map(|proof| proof.link);
        for proof in tried {
            match self.proofs.iter_mut().find(|old| old.link == proof.link) {
                Some(old) => *old = proof,
                None => self.proofs.push(proof),
            }
        }
        if is_whole {
            let rights = |proof: &&mut Proof| proof.link == Link::AccessPolicy;
            if let Some(rights) = self.proofs.iter_mut().find(rights)
                && rights.state == State::Unknown
            {
                "nothing in Argo CD's image asks for that, and from here it could not be asked"
                    .clone_into(&mut rights.detail);
            }
            return;
        }
        let ended = Link::ALL.iter().position(|link| Some(*link) == last);
        self.proofs.truncate(ended.map_or(0, |index| index + 1));
        let found = std::mem::replace(self, Verification::new(&self.name, &self.server));
        *self = found.ended();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use argocd::cluster::config::AwsAuthConfig;

    use super::*;

    fn login() -> AwsLogin {
        AwsLogin {
            aws: AwsAuthConfig {
                cluster_name: "orders".to_owned(),
                role_arn: "arn:aws:iam::111122223333:role/argocd".to_owned(),
                profile: String::new(),
            },
            connection: Connection {
                server: "https://orders.example.com".to_owned(),
                server_name: None,
                ca_data: Some(b"a certificate".to_vec()),
                insecure: false,
                proxy_url: None,
                bearer_token: None,
            },
        }
    }

    fn terminated(code: i32, message: &str) -> End {
        End::Terminated {
            code,
            message: message.to_owned(),
        }
    }

    #[test]
    fn what_the_job_ends_with_says_which_link_does_not_hold() {
        let flaw = |code, message| {
            let mut found = Verification::new("orders", "https://orders.example.com");
            found.add(Link::ClusterSecret, State::Ok, "");
            let mut found = found.ended();
            found.replace(judged(&terminated(code, message), &login()));
            assert_eq!(found.proofs.len(), Link::ALL.len());
            let flaw = found.first_flaw().map(|proof| (proof.link, proof.state));
            flaw.unwrap()
        };
        // What the role may do is not asked there.
        let all_but_rights = (Link::AccessPolicy, State::Unknown);
        assert_eq!(flaw(0, ""), all_but_rights);
        for (code, message, link) in [
            (
                10,
                "operation error STS: AssumeRole, AccessDenied: not authorized",
                Link::ClusterRoleTrust,
            ),
            (
                20,
                "Error: Kubernetes cluster unreachable: the server has asked for the client to provide credentials",
                Link::AccessEntry,
            ),
            (
                20,
                "Error: tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Link::CertificateAuthority,
            ),
            (
                20,
                "Error: Kubernetes cluster unreachable: dial tcp 10.0.0.1:443: i/o timeout",
                Link::Endpoint,
            ),
        ] {
            assert_eq!(flaw(code, message), (link, State::Wrong), "{message}");
        }
        let forbidden = "Error: list: secrets is forbidden: User \"a\" cannot list resource";
        assert_eq!(flaw(20, forbidden), all_but_rights);
        assert_eq!(flaw(137, "").1, State::Unknown);
    }

    /// A program of this name, which prints a token, and fails by this text if there is one.
    fn program(folder: &Path, name: &str, failure: &str) {
        let path = folder.join(name);
        let end = i32::from(!failure.is_empty());
        let script =
            format!("#!/bin/sh\necho k8s-aws-v1.secret\necho '{failure}' >&2\nexit {end}\n");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_script_prints_nothing_and_tells_why_it_failed() {
        for (of_auth, of_helm, code, told) in [
            ("", "", 0, ""),
            ("denied", "", NO_TOKEN, "denied"),
            ("", "unreachable", NOT_TAKEN, "unreachable"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            program(folder.path(), "argocd-k8s-auth", of_auth);
            program(folder.path(), "helm", of_helm);
            let reason = folder.path().join("reason");
            let path = format!("{}:/usr/bin:/bin", folder.path().display());
            let output = Command::new("sh")
                .args(["-c", SCRIPT, "verify"])
                .arg(&reason)
                .args(["kubeconfig", "aws", "--cluster-name", "orders"])
                .env("PATH", path)
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(code));
            assert_eq!(output.stdout, b"");
            assert_eq!(output.stderr, b"");
            assert_eq!(fs::read_to_string(&reason).unwrap().trim(), told);
        }
    }

    #[test]
    fn the_kubeconfig_has_no_credential() {
        let config = kubeconfig(&login());
        let user = &config["users"][0]["user"];
        assert_eq!(user["exec"]["command"], "argocd-k8s-auth");
        assert_eq!(user.as_object().unwrap().len(), 1);
        let cluster = &config["clusters"][0]["cluster"];
        let authority = BASE64_STANDARD.encode("a certificate");
        assert_eq!(cluster["certificate-authority-data"], authority);
    }
}
