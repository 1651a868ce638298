//! `cluster onboard`: where the chain is broken, the login fails, and once it is mended, it works.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Result, ensure};
use harness::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::verify::authority_in;
use crate::world::{ADMIN, CLUSTER, CLUSTER_ROLE, ENGINE, ENGINE_ROLE, REGION, WORKLOAD, World};

pub(crate) const DEVOPS: &str = "devops";
const CONTROLLER: &str = "argocd-application-controller";
/// Where a login fails that has no credentials of AWS.
const CREDENTIALS: &str = "no credentials";
/// The role of another path that the cluster has at the end.
const ROLE_WITH_PATH: &str = "arn:aws:iam::111122223333:role/fleet/argocd-deployer";

/// Who looks after the fleet, with a login for either account.
pub(crate) struct Operator<'w> {
    pub(crate) world: &'w World,
    home: TempDir,
}

/// What a program said.
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) document: Value,
    pub(crate) text: String,
}

impl Ran {
    fn new(output: &Output) -> Result<Self> {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let text = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        ensure!(!text.contains("k8s-aws-v1."), "a token was told");
        Ok(Ran {
            status: output.status.code(),
            document: serde_json::from_str(&stdout).unwrap_or_default(),
            text,
        })
    }

    /// The state of a link of a plan.
    pub(crate) fn state(&self, name: &str) -> &str {
        let links = self.document["links"].as_array();
        let mut links = links.into_iter().flatten();
        let link = links.find(|link| link["link"] == name);
        link.and_then(|link| link["state"].as_str())
            .unwrap_or_default()
    }

    /// The first link of a login that does not hold, or what came before.
    fn flaw(&self) -> Option<&str> {
        if self.text.contains("there are no credentials") {
            return Some(CREDENTIALS);
        }
        let links = self.document["clusters"][0]["links"].as_array();
        let mut links = links.into_iter().flatten();
        links.find(|link| link["state"] != "ok")?["link"].as_str()
    }
}

impl<'w> Operator<'w> {
    pub(crate) fn of(world: &'w World) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let profile = |name: &str, account: &str| {
            format!(
                "[profile {name}]\nregion = {REGION}\naws_access_key_id = {account}\naws_secret_access_key = test\n"
            )
        };
        fs::write(
            home.path().join("aws"),
            profile("orders", WORKLOAD) + &profile("devops", ENGINE),
        )?;
        Ok(Operator { world, home })
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("aws")
    }

    async fn run(&self, arguments: &[&str]) -> Result<Ran> {
        self.run_in(self.environment(), arguments).await
    }

    /// That of somebody who has the profiles.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        let environment = self.world.aws.environment(ENGINE).into_iter();
        environment
            .filter(|(name, _)| !name.contains("ACCESS_KEY") && *name != "AWS_CONFIG_FILE")
            .chain([("AWS_CONFIG_FILE", self.config().display().to_string())])
    }

    async fn run_in(
        &self,
        environment: impl Iterator<Item = (&'static str, String)>,
        arguments: &[&str],
    ) -> Result<Ran> {
        let mut command = Command::new(self.world.programs.plugin());
        command
            .args(arguments)
            .args(["-o", "json"])
            .env_clear()
            .envs(environment)
            .env("KUBECONFIG", self.world.devops.admin().kubeconfig())
            .env("NO_PROXY", "127.0.0.1");
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        Ran::new(&output)
    }

    async fn onboard(&self, more: &[&str]) -> Result<Ran> {
        self.onboard_by(CLUSTER_ROLE, ENGINE_ROLE, more).await
    }

    /// By the role in the cluster's account, and that of Argo CD's pods.
    pub(crate) async fn onboard_by(
        &self,
        cluster: &str,
        engine: &str,
        more: &[&str],
    ) -> Result<Ran> {
        let onboard = [
            "cluster",
            "onboard",
            CLUSTER,
            "--profile",
            "orders",
            "--engine-profile",
            "devops",
            "--engine-cluster",
            DEVOPS,
            "--engine-role-arn",
            engine,
            "--role-arn",
            cluster,
        ];
        self.run(&[&onboard, more].concat()).await
    }

    /// Logs in as Argo CD does it, with what EKS gives the pods of its application controller.
    async fn log_in(&self) -> Result<Ran> {
        let devops = (ENGINE, REGION, DEVOPS);
        let pod = &self.world.aws;
        let pod = pod.environment_of_pod(devops, "argocd", CONTROLLER);
        self.run_in(pod.into_iter(), &["cluster", "verify", CLUSTER])
            .await
    }

    /// The authenticator reads its file of roles a moment after it is written.
    pub(crate) async fn until_login(&self, flaw: Option<&str>) -> Result<()> {
        let within = Duration::from_mins(1);
        eventually(within, "the login is as it should be", async || {
            let login = self.log_in().await.map_err(|error| format!("{error:#}"))?;
            if login.flaw() == flaw {
                Ok(())
            } else {
                Err(login.text)
            }
        })
        .await?;
        Ok(())
    }
}

/// A way in which the chain is broken.
struct Break {
    name: &'static str,
    broken: Broken,
    /// The link of which onboarding says that it does not hold.
    link: &'static str,
    /// The link at which the login fails.
    login: &'static str,
}

enum Broken {
    NoEntry,
    EntryOf(&'static str),
    NoAccessPolicy,
    /// The statements of the role's trust policy.
    Trust(Value),
    NoRole,
    /// What Argo CD's pods may do.
    EnginePolicy(Value),
    /// The statements of the trust policy of the role of Argo CD's pods.
    EngineTrust(Value),
    NoAgent,
    /// The application controller has no role.
    NoAssociation,
    /// A value of the Secret's `config`.
    Config(&'static str, Value),
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn breaks(world: &World) -> Vec<Break> {
    let allow = |principal: &str, actions: &[&str]| json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions});
    let both = ["sts:AssumeRole", "sts:TagSession"];
    let mut with_id = allow(ENGINE_ROLE, &both);
    with_id["Condition"] = json!({"StringEquals": {"sts:ExternalId": "fleet"}});
    let deny = json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"});
    let other = "arn:aws:iam::999999999999:role/other";
    let another_authority = authority_in(world.devops.admin().kubeconfig()).unwrap_or_default();
    let case = |name, broken, link, login| Break {
        name,
        broken,
        link,
        login,
    };
    let trust = "cluster-role-trust";
    vec![
        case("no entry", Broken::NoEntry, "access-entry", "access-entry"),
        case(
            "an entry of another role",
            Broken::EntryOf("arn:aws:iam::111122223333:role/argocd-before"),
            "access-entry",
            "access-entry",
        ),
        case(
            "no access policy",
            Broken::NoAccessPolicy,
            "access-policy",
            "access-policy",
        ),
        case(
            "the role trusts another",
            Broken::Trust(json!([allow(other, &both)])),
            trust,
            trust,
        ),
        case(
            "the trust lacks sts:AssumeRole",
            Broken::Trust(json!([allow(ENGINE_ROLE, &["sts:TagSession"])])),
            trust,
            trust,
        ),
        case(
            "the trust wants an external id",
            Broken::Trust(json!([with_id])),
            trust,
            trust,
        ),
        case(
            "the trust denies it",
            Broken::Trust(json!([allow(ENGINE_ROLE, &both), deny])),
            trust,
            trust,
        ),
        case(
            "the trust means a role that was deleted",
            Broken::Trust(json!([allow("AROAEXAMPLEEXAMPLE123", &both)])),
            trust,
            trust,
        ),
        case(
            "the trust lacks sts:TagSession",
            Broken::Trust(json!([allow(ENGINE_ROLE, &["sts:AssumeRole"])])),
            trust,
            trust,
        ),
        case(
            "Argo CD's pods may not hand on their tags",
            Broken::EnginePolicy(
                json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": CLUSTER_ROLE}]),
            ),
            "engine-role-policy",
            trust,
        ),
        case(
            "EKS may not give the pods their role with tags",
            Broken::EngineTrust(json!([{
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }])),
            "engine-role",
            CREDENTIALS,
        ),
        case("no agent", Broken::NoAgent, "pod-identity", CREDENTIALS),
        case(
            "the controller has no role",
            Broken::NoAssociation,
            "pod-identity",
            CREDENTIALS,
        ),
        case("no role", Broken::NoRole, "cluster-role", trust),
        case(
            "Argo CD's pods may assume another role",
            Broken::EnginePolicy(json!([{"Effect": "Allow", "Action": both, "Resource": other}])),
            "engine-role-policy",
            trust,
        ),
        case(
            "Argo CD's pods may not assume it",
            Broken::EnginePolicy(
                json!([{"Effect": "Allow", "Action": "sts:TagSession", "Resource": CLUSTER_ROLE}]),
            ),
            "engine-role-policy",
            trust,
        ),
        case(
            "another role in the Secret",
            Broken::Config("/awsAuthConfig/roleARN", json!(other)),
            "cluster-secret",
            trust,
        ),
        case(
            "another cluster in the Secret",
            Broken::Config("/awsAuthConfig/clusterName", json!("orders-staging")),
            "cluster-secret",
            "access-entry",
        ),
        case(
            "the authority of another cluster in the Secret",
            Broken::Config("/tlsClientConfig/caData", json!(another_authority)),
            "cluster-secret",
            "certificate-authority",
        ),
    ]
}

impl Broken {
    async fn happen(&self, world: &World) -> Result<()> {
        let config = world.aws.config(WORKLOAD, REGION);
        let engine = world.aws.config(ENGINE, REGION);
        let eks = aws_sdk_eks::Client::new(&config);
        let iam = aws_sdk_iam::Client::new(&config);
        let delete = eks.delete_access_entry().cluster_name(CLUSTER);
        let delete = delete.principal_arn(CLUSTER_ROLE);
        match self {
            Broken::NoEntry => {
                delete.send().await?;
            }
            Broken::EntryOf(principal) => {
                delete.send().await?;
                let create = eks.create_access_entry().cluster_name(CLUSTER);
                create.principal_arn(*principal).send().await?;
            }
            Broken::NoAccessPolicy => {
                let disassociate = eks.disassociate_access_policy().cluster_name(CLUSTER);
                let disassociate = disassociate.principal_arn(CLUSTER_ROLE).policy_arn(ADMIN);
                disassociate.send().await?;
            }
            Broken::Trust(statements) => {
                let policy = json!({"Version": "2012-10-17", "Statement": statements});
                let update = iam.update_assume_role_policy().role_name("argocd");
                update.policy_document(policy.to_string()).send().await?;
            }
            Broken::NoRole => {
                iam.delete_role().role_name("argocd").send().await?;
            }
            Broken::EnginePolicy(statements) => {
                let policy = json!({"Version": "2012-10-17", "Statement": statements});
                let iam = aws_sdk_iam::Client::new(&engine);
                let names = iam.list_role_policies().role_name("argocd-engine");
                for name in names.send().await?.policy_names() {
                    let put = iam.put_role_policy().role_name("argocd-engine");
                    let put = put.policy_name(name).policy_document(policy.to_string());
                    put.send().await?;
                }
            }
            Broken::EngineTrust(statements) => {
                let policy = json!({"Version": "2012-10-17", "Statement": statements});
                let iam = aws_sdk_iam::Client::new(&engine);
                let update = iam.update_assume_role_policy().role_name("argocd-engine");
                update.policy_document(policy.to_string()).send().await?;
            }
            Broken::NoAgent => {
                let eks = aws_sdk_eks::Client::new(&engine);
                let delete = eks.delete_addon().cluster_name(DEVOPS);
                let delete = delete.addon_name("eks-pod-identity-agent");
                delete.send().await?;
            }
            Broken::NoAssociation => {
                let eks = aws_sdk_eks::Client::new(&engine);
                let list = eks.list_pod_identity_associations().cluster_name(DEVOPS);
                let list = list.namespace("argocd").service_account(CONTROLLER);
                for found in list.send().await?.associations() {
                    let delete = eks.delete_pod_identity_association();
                    let delete = delete.cluster_name(DEVOPS);
                    let delete = delete.set_association_id(found.association_id.clone());
                    delete.send().await?;
                }
            }
            Broken::Config(pointer, value) => {
                let change = |config: &mut Value| {
                    if let Some(place) = config.pointer_mut(pointer) {
                        *place = value.clone();
                    }
                };
                world.register(change).await?;
            }
        }
        world.cluster.follow(&world.aws).await
    }
}

impl Operator<'_> {
    async fn is_mended(&self, broken: &Break) -> Result<()> {
        broken.broken.happen(self.world).await?;
        self.until_login(Some(broken.login)).await?;
        let plan = self.onboard(&[]).await?;
        let state = plan.state(broken.link);
        ensure!(
            ["missing", "wrong"].contains(&state),
            "{state}: {}",
            plan.text
        );
        let applied = self.onboard(&["--apply", "--yes"]).await?;
        ensure!(applied.status == Some(0), "{}", applied.text);
        self.world.cluster.follow(&self.world.aws).await?;
        self.until_login(None).await
    }
}

#[tokio::test]
async fn the_login_fails_where_the_chain_is_broken_and_works_once_it_is_mended() {
    let world = World::start().await.unwrap();
    world
        .aws
        .create_cluster(ENGINE, REGION, DEVOPS, "API")
        .await
        .unwrap();
    let operator = Operator::of(&world).unwrap();
    let all = operator.onboard(&["--apply", "--yes"]).await.unwrap();
    assert_eq!(all.status, Some(0), "{}", all.text);
    operator.until_login(None).await.unwrap();

    for broken in breaks(&world) {
        let mended = operator.is_mended(&broken).await;
        assert!(mended.is_ok(), "{}: {:#}", broken.name, mended.unwrap_err());
    }

    // A role with a path: the access entry has it, the session that logs in does not.
    let with_path = ["--role-arn", ROLE_WITH_PATH, "--apply", "--yes"];
    let applied = operator.onboard(&with_path).await.unwrap();
    assert_eq!(applied.status, Some(0), "{}", applied.text);
    world.cluster.follow(&world.aws).await.unwrap();
    operator.until_login(None).await.unwrap();
    let log = world.cluster.control_plane().audit_log().unwrap();
    let log = fs::read_to_string(log).unwrap();
    let user = "arn:aws:sts::111122223333:assumed-role/argocd-deployer/";
    assert!(log.contains(user), "nobody logged in");
    assert!(!log.contains("k8s-aws-v1."));
    world.aws.agrees_with_the_model().unwrap();
}
