//! A chain from Argo CD's pods to a cluster that holds, to break, and who looks at it. AWS is a
//! double.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use aws_sdk_eks::types::AccessScope;
use gitops_aws::Aws;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::api_server::ApiServer;
use crate::support::{Folder, Ran};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const CLUSTER: &str = "orders";
pub(crate) const DEVOPS: &str = "devops";
pub(crate) const AGENT: &str = "eks-pod-identity-agent";
pub(crate) const SERVICE_ACCOUNTS: [&str; 3] = [
    "argocd-application-controller",
    "argocd-server",
    "argocd-applicationset-controller",
];
pub(crate) const BOTH: [&str; 2] = ["sts:AssumeRole", "sts:TagSession"];
/// Base64 of a certificate in PEM that holds until 2046.
const CERTIFICATE: &str = include_str!("../../src/onboarding/testing/certificate-authority.txt");
/// The order in which links are mended.
const BY_MENDING: [&str; 11] = [
    "authentication-mode",
    "certificate-authority",
    "endpoint",
    "engine-role",
    "cluster-role",
    "cluster-role-trust",
    "engine-role-policy",
    "pod-identity",
    "access-entry",
    "access-policy",
    "cluster-secret",
];
/// What is broken.
#[derive(Clone, Copy)]
pub(crate) enum Broken {
    Mode,
    NoEntry,
    /// There is one of another role of this name.
    EntryOf(&'static str),
    EntryForNodes,
    /// The role was created anew after the entry.
    FormerEntry,
    /// These access policies of EKS, each everywhere or in a namespace.
    Policies(&'static [(&'static str, Option<&'static str>)]),
    NoClusterRole,
    /// The statements of the trust policy.
    ClusterTrust(fn(&Accounts) -> Value),
    NoEngineRole,
    EngineTrust(fn(&Accounts) -> Value),
    NoEnginePolicy,
    EnginePolicy(fn(&Accounts) -> Value),
    NoAgent,
    Agent(&'static str),
    NoAssociation(&'static str),
    /// A service account has another role, or another one as its target.
    Association(&'static str, Option<&'static str>),
    /// Nothing: what is asked for is.
    Nothing,
}

/// Those of a case, so that no two meet.
pub(crate) struct Accounts {
    pub(crate) workload: String,
    pub(crate) engine: String,
}

impl Accounts {
    pub(crate) fn number(number: usize) -> Self {
        Accounts {
            workload: format!("1111222{number:05}"),
            engine: format!("4444555{number:05}"),
        }
    }

    pub(crate) fn cluster_role(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.workload)
    }

    pub(crate) fn engine_role(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.engine)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "tables read better so")]
pub(crate) fn allow(principal: Value, actions: &[&str]) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": actions})
}

pub(crate) fn pods(actions: &[&str]) -> Value {
    allow(json!({"Service": "pods.eks.amazonaws.com"}), actions)
}

pub(crate) fn may(actions: &[&str], role: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": role})
}

pub(crate) fn when(mut statement: Value, condition: Value) -> Value {
    statement["Condition"] = condition;
    statement
}

pub(crate) fn policy(statements: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

pub(crate) fn access_policy(name: &str) -> String {
    format!("arn:aws:eks::aws:cluster-access-policy/{name}")
}

/// A chain that holds, in accounts of its own, and who looks at it.
pub(crate) struct Chain {
    pub(crate) aws: Arc<Aws>,
    pub(crate) accounts: Accounts,
    pub(crate) home: Folder,
    pub(crate) server: ApiServer,
    commands: PathBuf,
}

impl Chain {
    pub(crate) async fn start(aws: Arc<Aws>, accounts: Accounts) -> Self {
        let chain = Chain::without_roles(aws, accounts).await;
        chain.engine().await;
        chain.cluster().await;
        chain
    }

    /// Two clusters, and nothing that leads from one to the other.
    pub(crate) async fn without_roles(aws: Arc<Aws>, accounts: Accounts) -> Self {
        let Accounts { workload, engine } = &accounts;
        aws.create_cluster(workload, REGION, CLUSTER, "API_AND_CONFIG_MAP")
            .await
            .unwrap();
        aws.create_cluster(engine, REGION, DEVOPS, "API")
            .await
            .unwrap();
        let described = json!({
            "endpoint": "https://127.0.0.1:1",
            "certificateAuthority": {"data": CERTIFICATE.trim()},
            "resourcesVpcConfig": {
                "endpointPublicAccess": true,
                "endpointPrivateAccess": false,
                "publicAccessCidrs": ["0.0.0.0/0"],
            },
        });
        aws.describe(workload, REGION, CLUSTER, &described).unwrap();
        let server = ApiServer::start();
        let profile = |name: &str, account: &str| {
            format!(
                "[profile {name}]\nregion = {REGION}\naws_access_key_id = {account}\naws_secret_access_key = test\n"
            )
        };
        let project = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default", "namespace": "argocd"},
            "spec": {},
        });
        let home = Folder::with(&[
            (
                "aws",
                &(profile("shop", workload) + &profile("devops", engine)),
            ),
            ("kubeconfig", &server.kubeconfig("{}")),
            ("fleet/project.yaml", &project.to_string()),
        ]);
        let commands = spawn_blocking(gitops_aws::commands).await.unwrap().unwrap();
        Chain {
            aws,
            accounts,
            home,
            server,
            commands,
        }
    }

    pub(crate) fn eks(&self, account: &str) -> aws_sdk_eks::Client {
        aws_sdk_eks::Client::new(&self.aws.config(account, REGION))
    }

    pub(crate) fn iam(&self, account: &str) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.aws.config(account, REGION))
    }

    /// The role of Argo CD's pods, and what gives it to them.
    async fn engine(&self) {
        let Accounts { engine, .. } = &self.accounts;
        let trust = policy(&json!([pods(&BOTH)]));
        self.aws
            .create_role(engine, "argocd-engine", &trust)
            .await
            .unwrap();
        let may = policy(&json!([may(&BOTH, &self.accounts.cluster_role("argocd"))]));
        self.aws
            .allow(engine, "argocd-engine", "fleet", &may)
            .await
            .unwrap();
        let eks = self.eks(engine);
        let agent = eks.create_addon().cluster_name(DEVOPS).addon_name(AGENT);
        agent.send().await.unwrap();
        for account in SERVICE_ACCOUNTS {
            let associate = eks.create_pod_identity_association().cluster_name(DEVOPS);
            let associate = associate.namespace("argocd").service_account(account);
            let role = self.accounts.engine_role("argocd-engine");
            associate.role_arn(role).send().await.unwrap();
        }
    }

    /// The role that Argo CD assumes, and what lets it into the cluster.
    async fn cluster(&self) {
        let engine = self.accounts.engine_role("argocd-engine");
        let trust = policy(&json!([allow(json!({"AWS": engine}), &BOTH)]));
        self.aws
            .create_role(&self.accounts.workload, "argocd", &trust)
            .await
            .unwrap();
        self.enter(&self.accounts.cluster_role("argocd"), "STANDARD")
            .await;
        self.associate("AmazonEKSClusterAdminPolicy", None).await;
    }

    pub(crate) async fn enter(&self, principal: &str, kind: &str) {
        let eks = self.eks(&self.accounts.workload);
        let create = eks.create_access_entry().cluster_name(CLUSTER);
        let create = create.principal_arn(principal).r#type(kind);
        create.send().await.unwrap();
    }

    async fn leave(&self) {
        let eks = self.eks(&self.accounts.workload);
        let delete = eks.delete_access_entry().cluster_name(CLUSTER);
        let role = self.accounts.cluster_role("argocd");
        delete.principal_arn(role).send().await.unwrap();
    }

    pub(crate) async fn associate(&self, name: &str, namespace: Option<&str>) {
        let scope = AccessScope::builder();
        let scope = match namespace {
            Some(namespace) => scope.r#type("namespace".into()).namespaces(namespace),
            None => scope.r#type("cluster".into()),
        };
        let eks = self.eks(&self.accounts.workload);
        let associate = eks.associate_access_policy().cluster_name(CLUSTER);
        let associate = associate.principal_arn(self.accounts.cluster_role("argocd"));
        let associate = associate.policy_arn(access_policy(name));
        associate.access_scope(scope.build()).send().await.unwrap();
    }

    async fn disassociate(&self, name: &str) {
        let eks = self.eks(&self.accounts.workload);
        let disassociate = eks.disassociate_access_policy().cluster_name(CLUSTER);
        let disassociate = disassociate.principal_arn(self.accounts.cluster_role("argocd"));
        let disassociate = disassociate.policy_arn(access_policy(name));
        disassociate.send().await.unwrap();
    }

    pub(crate) async fn trust(&self, account: &str, role: &str, statements: &Value) {
        let update = self.iam(account).update_assume_role_policy();
        let update = update.role_name(role);
        let update = update.policy_document(policy(statements).to_string());
        update.send().await.unwrap();
    }

    pub(crate) async fn forget_policy(&self) {
        let delete = self.iam(&self.accounts.engine).delete_role_policy();
        let delete = delete.role_name("argocd-engine").policy_name("fleet");
        delete.send().await.unwrap();
    }

    async fn dissociate(&self, service_account: &str) {
        let eks = self.eks(&self.accounts.engine);
        let list = eks.list_pod_identity_associations().cluster_name(DEVOPS);
        let list = list.namespace("argocd").service_account(service_account);
        let found = list.send().await.unwrap();
        let id = found.associations()[0].association_id().unwrap();
        let delete = eks.delete_pod_identity_association().cluster_name(DEVOPS);
        delete.association_id(id).send().await.unwrap();
    }

    pub(crate) async fn break_it(&self, broken: Broken) {
        let Accounts { workload, engine } = &self.accounts;
        match broken {
            Broken::Nothing => {}
            Broken::Mode => {
                let mode = json!({"accessConfig": {"authenticationMode": "CONFIG_MAP"}});
                self.leave().await;
                self.aws.describe(workload, REGION, CLUSTER, &mode).unwrap();
            }
            Broken::NoEntry => self.leave().await,
            Broken::EntryOf(role) => {
                self.leave().await;
                self.enter(&self.accounts.cluster_role(role), "STANDARD")
                    .await;
            }
            Broken::EntryForNodes => {
                self.leave().await;
                self.enter(&self.accounts.cluster_role("argocd"), "EC2_LINUX")
                    .await;
            }
            Broken::FormerEntry => {
                let role = self.accounts.cluster_role("argocd");
                let before = json!({"createdAt": 1_700_000_000});
                self.aws
                    .describe_access_entry(workload, REGION, CLUSTER, &role, &before)
                    .unwrap();
            }
            Broken::Policies(policies) => {
                self.disassociate("AmazonEKSClusterAdminPolicy").await;
                for (name, namespace) in policies {
                    self.associate(name, *namespace).await;
                }
            }
            Broken::NoClusterRole => {
                let delete = self.iam(workload).delete_role().role_name("argocd");
                delete.send().await.unwrap();
            }
            Broken::ClusterTrust(statements) => {
                self.trust(workload, "argocd", &statements(&self.accounts))
                    .await;
            }
            Broken::NoEngineRole => {
                self.forget_policy().await;
                let delete = self.iam(engine).delete_role().role_name("argocd-engine");
                delete.send().await.unwrap();
            }
            Broken::EngineTrust(statements) => {
                self.trust(engine, "argocd-engine", &statements(&self.accounts))
                    .await;
            }
            Broken::NoEnginePolicy => self.forget_policy().await,
            Broken::EnginePolicy(statements) => {
                let document = policy(&statements(&self.accounts));
                self.aws
                    .allow(engine, "argocd-engine", "fleet", &document)
                    .await
                    .unwrap();
            }
            Broken::NoAgent => {
                let delete = self.eks(engine).delete_addon().cluster_name(DEVOPS);
                delete.addon_name(AGENT).send().await.unwrap();
            }
            Broken::Agent(status) => {
                let status = json!({"status": status});
                self.aws
                    .describe_addon(engine, REGION, DEVOPS, AGENT, &status)
                    .unwrap();
            }
            Broken::NoAssociation(account) => self.dissociate(account).await,
            Broken::Association(role, target) => {
                self.dissociate("argocd-server").await;
                let eks = self.eks(engine);
                let associate = eks.create_pod_identity_association().cluster_name(DEVOPS);
                let associate = associate
                    .namespace("argocd")
                    .service_account("argocd-server");
                let associate = associate.role_arn(self.accounts.engine_role(role));
                let target = target.map(|target| self.accounts.cluster_role(target));
                associate.set_target_role_arn(target).send().await.unwrap();
            }
        }
    }

    /// The environment that AWS's own command and the plugin find their logins in.
    pub(crate) fn program(&self, program: &str) -> Command {
        let environment = self.aws.environment(&self.accounts.workload).into_iter();
        // The accounts are those of the profiles.
        let environment = environment
            .filter(|(name, _)| !name.contains("ACCESS_KEY") && *name != "AWS_CONFIG_FILE");
        let mut command = Command::new(program);
        command
            .current_dir(self.home.path())
            .env_clear()
            .envs(environment)
            .env("AWS_CONFIG_FILE", "aws")
            .env("KUBECONFIG", "kubeconfig")
            .env("NO_PROXY", "127.0.0.1")
            .env("HOME", self.home.path())
            .env("PATH", format!("{}:/usr/bin:/bin", self.commands.display()))
            .stdin(Stdio::null());
        command
    }

    pub(crate) async fn onboard(&self, more: &[&str]) -> Ran {
        output(self.onboarding(more)).await.into()
    }

    fn onboarding(&self, more: &[&str]) -> Command {
        let role = self.accounts.cluster_role("argocd");
        let engine = self.accounts.engine_role("argocd-engine");
        let mut command = self.program(env!("CARGO_BIN_EXE_kubectl-gitops"));
        for flags in [
            "cluster onboard orders --profile shop --engine-cluster devops --engine-profile devops",
            "--facts fleet --all-clusters-known -o json",
        ] {
            command.args(flags.split(' '));
        }
        command.args(["--role-arn", &role, "--engine-role-arn", &engine]);
        command.args(more);
        command
    }

    /// Runs the commands that a plan prints for AWS.
    pub(crate) async fn run_what_is_printed(&self, plan: &Value) {
        for link in BY_MENDING {
            for mend in mends(plan, link) {
                let line = mend["command"].as_str().unwrap();
                if mend["kind"] == "aws" {
                    let mut shell = self.program("/bin/sh");
                    shell.args(["-ec", line]);
                    let Output { status, stderr, .. } = output(shell).await;
                    let stderr = String::from_utf8_lossy(&stderr);
                    assert!(status.success(), "{line}: {stderr}");
                }
            }
        }
    }
}

pub(crate) async fn output(mut command: Command) -> Output {
    let output = spawn_blocking(move || command.output());
    output.await.unwrap().unwrap()
}

pub(crate) fn link<'p>(plan: &'p Value, name: &str) -> &'p Value {
    let mut links = plan["links"].as_array().unwrap().iter();
    links.find(|link| link["link"] == name).unwrap()
}

pub(crate) fn mends(plan: &Value, name: &str) -> Vec<Value> {
    let link = link(plan, name);
    let is_ok = link["state"] == "ok";
    let mends = link["mend"].as_array().filter(|_| !is_ok).cloned();
    mends.unwrap_or_default()
}

/// The links of AWS that do not hold. The Secret is written to no file here.
pub(crate) fn flaws(plan: &Value) -> Vec<String> {
    let links = plan["links"].as_array().unwrap().iter();
    let flawed = links.filter(|link| link["state"] != "ok" && link["link"] != "cluster-secret");
    flawed.map(ToString::to_string).collect()
}
