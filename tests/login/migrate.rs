//! `cluster migrate`: a cluster with a token in its Secret becomes one that Argo CD logs in to by
//! AWS, and the token dies.

mod cut_off;
mod fleet;
mod long_lived;
mod rolled_back;

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::{ReverseProxy, User, eventually, succeed};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::world::{CLUSTER, CLUSTER_ROLE, ENGINE, ENGINE_ROLE, REGION, World};

/// What `argocd cluster add` makes on a cluster, but that the token is requested: no controller is
/// here that would fill a Secret with one that never expires.
const MANAGER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: argocd-manager-role }
rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: argocd-manager-role-binding }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: argocd-manager-role }
subjects: [{ kind: ServiceAccount, name: argocd-manager, namespace: kube-system }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: readers }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view }
subjects:
  - { kind: ServiceAccount, name: argocd-manager, namespace: kube-system }
  - { kind: ServiceAccount, name: monitoring, namespace: kube-system }
";

/// The controller that makes tokens which never expire, in Secrets, and deletes them with their
/// service account.
const TOKENS: &str = "serviceaccount-token-controller";

impl World {
    /// Registers the cluster as `argocd cluster add` does, and returns as whom.
    async fn register_by_token(&self) -> Result<Manager> {
        let control_plane = self.cluster.control_plane();
        succeed(
            control_plane
                .admin()
                .kubectl(["apply", "-f", "-"])
                .input(MANAGER),
        )
        .await?;
        let user = control_plane
            .service_account("kube-system", "argocd-manager")
            .await?;
        let kubeconfig: Value = serde_json::from_slice(&fs::read(user.kubeconfig())?)?;
        let token = kubeconfig["users"][0]["user"]["token"].as_str();
        let token = token.context("the kubeconfig has no token")?.to_owned();
        self.register(|config| {
            let tls = config["tlsClientConfig"].clone();
            *config = json!({"bearerToken": token, "tlsClientConfig": tls});
        })
        .await?;
        Ok(Manager { user, token })
    }

    /// `cluster migrate` as a process of its own, by a kubeconfig.
    fn migration(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command();
        command
            .args(["cluster", "migrate"])
            .args(arguments)
            .args(["--engine-role-arn", ENGINE_ROLE, "--region", REGION])
            .args(["--yes", "--kubeconfig"])
            .arg(kubeconfig);
        command
    }

    /// The plugin, as somebody of the account that Argo CD runs in.
    fn command(&self) -> Command {
        let mut command = Command::new(self.programs.plugin());
        command
            .env_clear()
            .envs(self.aws.environment(ENGINE))
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The kubeconfig of somebody who may do everything where Argo CD runs, through a proxy.
    async fn kubeconfig_through(&self, proxy: &ReverseProxy) -> Result<NamedTempFile> {
        let operator = self
            .devops
            .service_account("kube-system", "operator")
            .await?;
        let bind = ["create", "clusterrolebinding", "operator"];
        let to = [
            "--clusterrole=cluster-admin",
            "--serviceaccount=kube-system:operator",
        ];
        succeed(self.devops.admin().kubectl(bind).arguments(to)).await?;
        let mut kubeconfig: Value = serde_json::from_slice(&fs::read(operator.kubeconfig())?)?;
        kubeconfig["clusters"][0]["cluster"]["server"] = json!(proxy.url());
        let file = NamedTempFile::new()?;
        fs::write(file.path(), kubeconfig.to_string())?;
        Ok(file)
    }

    /// The whole Secret, but for its version.
    async fn secret(&self) -> Result<Value> {
        let get = ["get", "secret", "cluster-orders", "-n", "argocd"];
        let as_json = ["--show-managed-fields", "-o", "json"];
        let got = self
            .devops
            .admin()
            .kubectl(get)
            .arguments(as_json)
            .run()
            .await?;
        ensure!(got.status.success(), "{}", got.stderr);
        let mut secret: Value = serde_json::from_str(&got.stdout)?;
        let metadata = secret["metadata"].as_object_mut().context("metadata")?;
        metadata.remove("resourceVersion");
        Ok(secret)
    }

    async fn migrate(&self, arguments: &[&str]) -> Result<Migrated> {
        let migrate = ["cluster", "migrate"].into_iter();
        let engine = ["--engine-role-arn", ENGINE_ROLE, "--yes"].into_iter();
        let command: Vec<&str> = migrate
            .chain(arguments.iter().copied())
            .chain(engine)
            .collect();
        Ok(Migrated::new(&self.plugin(&command).await?))
    }

    /// The `config` of the Secret, and its annotations.
    async fn stored(&self) -> Result<(Value, Value)> {
        let get = [
            "get",
            "secret",
            "cluster-orders",
            "-n",
            "argocd",
            "-o",
            "json",
        ];
        let got = self.devops.admin().kubectl(get).run().await?;
        ensure!(got.status.success(), "{}", got.stderr);
        let secret: Value = serde_json::from_str(&got.stdout)?;
        let config = secret["data"]["config"].as_str().context("config")?;
        let config = serde_json::from_slice(&BASE64_STANDARD.decode(config)?)?;
        Ok((config, secret["metadata"].clone()))
    }

    /// What of the service account is left on the cluster.
    async fn left(&self) -> Result<String> {
        let kinds = "clusterroles,clusterrolebindings,serviceaccounts";
        let get = ["get", kinds, "-A", "-o", "name"];
        let got = self
            .cluster
            .control_plane()
            .admin()
            .kubectl(get)
            .run()
            .await?;
        ensure!(got.status.success(), "{}", got.stderr);
        let of_manager = got
            .stdout
            .lines()
            .filter(|line| line.contains("argocd-manager"));
        Ok(of_manager.collect::<Vec<_>>().join("\n"))
    }
}

/// Whom the token lets in.
struct Manager {
    user: User,
    token: String,
}

impl Manager {
    async fn is_let_in(&self) -> Result<bool> {
        let whoami = ["auth", "whoami", "--token", &self.token];
        let asked = self.user.kubectl(whoami).run().await?;
        Ok(asked.status.success())
    }

    /// The API server keeps for some seconds what it knows of a token.
    async fn is_dead(&self) -> Result<()> {
        let dead = eventually(
            Duration::from_mins(1),
            "the token is dead",
            async || match self.is_let_in().await {
                Ok(false) => Ok(()),
                Ok(true) => Err("it lets in".to_owned()),
                Err(error) => Err(format!("{error:#}")),
            },
        );
        Ok(dead.await?)
    }
}

struct Migrated {
    status: Option<i32>,
    text: String,
}

impl Migrated {
    fn new(output: &Output) -> Self {
        let streams = [&output.stdout, &output.stderr];
        Self {
            status: output.status.code(),
            text: streams
                .map(|stream| String::from_utf8_lossy(stream).into_owned())
                .concat(),
        }
    }

    /// That nothing that lets in was told.
    fn tells_nothing_of(&self, token: &str) {
        assert!(!self.text.contains("k8s-aws-v1."), "{}", self.text);
        for part in token.split('.') {
            assert!(!self.text.contains(part), "{}", self.text);
        }
    }
}

#[tokio::test]
async fn a_token_is_replaced_only_by_a_login_that_works_and_then_dies() {
    let world = World::start().await.unwrap();
    let manager = world.register_by_token().await.unwrap();
    let (before, _) = world.stored().await.unwrap();
    assert!(manager.is_let_in().await.unwrap());

    // A role that nobody may take on: nothing is written.
    let other = "arn:aws:iam::111122223333:role/other";
    let refused = world
        .migrate(&[CLUSTER, "--role-arn", other])
        .await
        .unwrap();
    assert_eq!(refused.status, Some(2), "{}", refused.text);
    assert!(
        refused.text.contains("so that nothing is changed"),
        "{}",
        refused.text
    );
    assert_eq!(world.stored().await.unwrap().0, before);

    // Without --revoke the token lives on, and it is on record whose it is.
    let switched = world
        .migrate(&[CLUSTER, "--role-arn", CLUSTER_ROLE])
        .await
        .unwrap();
    assert_eq!(switched.status, Some(0), "{}", switched.text);
    let (config, metadata) = world.stored().await.unwrap();
    let aws = json!({"clusterName": CLUSTER, "roleARN": CLUSTER_ROLE});
    assert_eq!(config["awsAuthConfig"], aws);
    assert_eq!(config["tlsClientConfig"], before["tlsClientConfig"]);
    assert!(config.get("bearerToken").is_none());
    let annotations = &metadata["annotations"];
    assert_eq!(
        annotations["kubectl-gitops.io/token-of"],
        "kube-system/argocd-manager"
    );
    assert_eq!(
        metadata["labels"]["argocd.argoproj.io/secret-type"],
        "cluster"
    );
    assert!(manager.is_let_in().await.unwrap());

    // As after a run that was cut off.
    let resumed = world.migrate(&["--resume"]).await.unwrap();
    assert_eq!(resumed.status, Some(0), "{}", resumed.text);
    assert_eq!(world.left().await.unwrap(), "");
    manager.is_dead().await.unwrap();
    let (_, metadata) = world.stored().await.unwrap();
    let annotations = &metadata["annotations"];
    assert!(
        annotations.get("kubectl-gitops.io/token-of").is_none(),
        "{annotations}"
    );
    // Others stay bound.
    let get = [
        "get",
        "clusterrolebinding",
        "readers",
        "-o",
        "jsonpath={.subjects[*].name}",
    ];
    let readers = world
        .cluster
        .control_plane()
        .admin()
        .kubectl(get)
        .run()
        .await
        .unwrap();
    assert_eq!(readers.stdout, "monitoring");

    let again = world.migrate(&[CLUSTER, "--revoke"]).await.unwrap();
    assert_eq!(again.status, Some(0), "{}", again.text);
    for run in [&refused, &switched, &resumed, &again] {
        run.tells_nothing_of(&manager.token);
    }
}

#[tokio::test]
async fn one_command_switches_a_cluster_and_proves_that_its_token_is_dead() {
    let world = World::start().await.unwrap();
    let manager = world.register_by_token().await.unwrap();

    let migrated = world
        .migrate(&[CLUSTER, "--role-arn", CLUSTER_ROLE, "--revoke"])
        .await
        .unwrap();
    assert_eq!(migrated.status, Some(0), "{}", migrated.text);
    migrated.tells_nothing_of(&manager.token);
    assert!(
        migrated
            .text
            .contains("old token of orders-production: done"),
        "{}",
        migrated.text
    );
    assert!(!manager.is_let_in().await.unwrap());
    assert_eq!(world.left().await.unwrap(), "");
    let log = world.cluster.control_plane().audit_log().unwrap();
    assert!(!fs::read_to_string(log).unwrap().contains(&manager.token));
}
