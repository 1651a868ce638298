//! Each way in which the chain can be broken: `cluster onboard` names the link, and both the
//! commands that it prints, run by AWS's own command, and `--apply` mend it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, stream};
use gitops_aws::Aws;
use serde_json::{Value, json};

use crate::chain::{
    Accounts, BOTH, Broken, CLUSTER, Chain, REGION, SERVICE_ACCOUNTS, allow, flaws, link, may,
    pods, when,
};

/// There are two cores, and each case waits for programs.
const AT_ONCE: usize = 4;

/// A way in which the chain is broken, and what is told of it.
struct Case {
    name: &'static str,
    broken: Broken,
    /// What is asked for besides, from the beginning to the end.
    asked: &'static [&'static str],
    link: &'static str,
    state: &'static str,
    /// A part of what is told of the link.
    evidence: &'static str,
}

const fn case(
    name: &'static str,
    broken: Broken,
    link: &'static str,
    state: &'static str,
    evidence: &'static str,
) -> Case {
    Case {
        name,
        broken,
        asked: &[],
        link,
        state,
        evidence,
    }
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    use Broken::*;
    let asking = |asked, case| Case { asked, ..case };
    vec![
        case("the cluster has no access entries", Mode, "authentication-mode", "wrong", "CONFIG_MAP"),
        case("the role has no entry", NoEntry, "access-entry", "missing", "there is none of"),
        case("another role has the entry", EntryOf("ArgoCD"), "access-entry", "wrong", "is for the whole ARN"),
        case("a role of another path has the entry", EntryOf("team/argocd"), "access-entry", "wrong", "role/team/argocd"),
        case("the entry is for nodes", EntryForNodes, "access-entry", "wrong", "EC2_LINUX"),
        case("the entry means a role that was deleted", FormerEntry, "access-entry", "wrong", "the role was created after the entry"),
        asking(&["--kubernetes-group", "deployers"],
            case("the entry lacks a group", Nothing, "access-entry", "wrong", "lacks the group deployers")),
        case("the entry has no policy", Policies(&[]), "access-policy", "missing", "has none"),
        case("the entry has another policy", Policies(&[("AmazonEKSViewPolicy", None)]),
            "access-policy", "wrong", "AmazonEKSClusterAdminPolicy is not among them"),
        case("the policy holds in one namespace", Policies(&[("AmazonEKSClusterAdminPolicy", Some("shop"))]),
            "access-policy", "wrong", "type=namespace,namespaces=shop"),
        asking(&["--access-policy", "AmazonEKSViewPolicy"],
            case("the policies give more", Policies(&[("AmazonEKSViewPolicy", None), ("AmazonEKSAdminPolicy", None)]),
                "access-policy", "wrong", "AmazonEKSAdminPolicy gives more")),
        asking(&["--access-policy", "AmazonEKSEditPolicy", "--access-namespaces", "shop,shop-*", "--namespaces", "shop"],
            case("the policy holds everywhere", Policies(&[("AmazonEKSEditPolicy", None)]),
                "access-policy", "wrong", "type=namespace,namespaces=shop,shop-* is asked for")),
        case("there is no cluster role", NoClusterRole, "cluster-role", "missing", "there is no such role"),
        case("the cluster role trusts another role",
            ClusterTrust(|of| json!([allow(json!({"AWS": of.engine_role("other")}), &BOTH)])),
            "cluster-role-trust", "wrong", "is not let in"),
        case("the cluster role trusts the role of this name of another account",
            ClusterTrust(|of| json!([allow(json!({"AWS": of.cluster_role("argocd-engine")}), &BOTH)])),
            "cluster-role-trust", "wrong", "is not let in"),
        case("the trust lacks sts:TagSession",
            ClusterTrust(|of| json!([allow(json!({"AWS": of.engine_role("argocd-engine")}), &["sts:AssumeRole"])])),
            "cluster-role-trust", "wrong", "no statement allows sts:TagSession"),
        case("the trust lacks sts:AssumeRole",
            ClusterTrust(|of| json!([allow(json!({"AWS": of.engine_role("argocd-engine")}), &["sts:TagSession"])])),
            "cluster-role-trust", "wrong", "no statement allows sts:AssumeRole"),
        case("the trust wants an external id",
            ClusterTrust(|of| json!([when(allow(json!({"AWS": of.engine_role("argocd-engine")}), &BOTH),
                json!({"StringEquals": {"sts:ExternalId": "fleet"}}))])),
            "cluster-role-trust", "wrong", "sts:ExternalId"),
        case("the trust wants pods of another namespace",
            ClusterTrust(|of| json!([when(allow(json!({"AWS": of.engine_role("argocd-engine")}), &BOTH),
                json!({"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "ci"}}))])),
            "cluster-role-trust", "wrong", "kubernetes-namespace"),
        case("the trust denies it",
            ClusterTrust(|of| json!([
                allow(json!({"AWS": of.engine_role("argocd-engine")}), &BOTH),
                {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:*"},
            ])),
            "cluster-role-trust", "wrong", "denies"),
        case("the trust means a role that was deleted",
            ClusterTrust(|_| json!([allow(json!({"AWS": "AROAEXAMPLEEXAMPLE123"}), &BOTH)])),
            "cluster-role-trust", "wrong", "AROAEXAMPLEEXAMPLE123"),
        case("the trust means a user who was deleted",
            ClusterTrust(|_| json!([allow(json!({"AWS": "AIDAEXAMPLEEXAMPLE123"}), &BOTH)])),
            "cluster-role-trust", "wrong", "AIDAEXAMPLEEXAMPLE123"),
        case("the trust lets everybody in",
            ClusterTrust(|_| json!([allow(json!("*"), &BOTH)])),
            "cluster-role-trust", "wrong", "lets everybody in"),
        case("there is no engine role", NoEngineRole, "engine-role", "missing", "there is no role"),
        case("the engine role lacks sts:TagSession", EngineTrust(|_| json!([pods(&["sts:AssumeRole"])])),
            "engine-role", "wrong", "no statement allows sts:TagSession"),
        case("the engine role lacks sts:AssumeRole", EngineTrust(|_| json!([pods(&["sts:TagSession"])])),
            "engine-role", "wrong", "no statement allows sts:AssumeRole"),
        case("the engine role is for another service",
            EngineTrust(|_| json!([allow(json!({"Service": "ec2.amazonaws.com"}), &BOTH)])),
            "engine-role", "wrong", "is not let in"),
        case("the engine role is for another cluster",
            EngineTrust(|_| json!([when(pods(&BOTH), json!({"StringEquals": {"aws:RequestTag/eks-cluster-name": "ci"}}))])),
            "engine-role", "wrong", "eks-cluster-name"),
        case("the engine role is for one service account",
            EngineTrust(|_| json!([when(pods(&BOTH),
                json!({"StringEquals": {"aws:RequestTag/kubernetes-service-account": "argocd-server"}}))])),
            "engine-role", "wrong", "kubernetes-service-account"),
        case("the engine role has no policy", NoEnginePolicy, "engine-role-policy", "missing", "no policy of the role allows it"),
        case("the engine policy lacks sts:TagSession",
            EnginePolicy(|of| json!([may(&["sts:AssumeRole"], &of.cluster_role("argocd"))])),
            "engine-role-policy", "wrong", "no statement allows sts:TagSession"),
        case("the engine policy lacks sts:AssumeRole",
            EnginePolicy(|of| json!([may(&["sts:TagSession"], &of.cluster_role("argocd"))])),
            "engine-role-policy", "wrong", "no statement allows sts:AssumeRole"),
        case("the engine policy is for another role",
            EnginePolicy(|of| json!([may(&BOTH, &of.cluster_role("other"))])),
            "engine-role-policy", "wrong", "no statement allows sts:AssumeRole"),
        case("there is no agent", NoAgent, "pod-identity", "missing", "there is no eks-pod-identity-agent"),
        case("the agent failed", Agent("CREATE_FAILED"), "pod-identity", "wrong", "is CREATE_FAILED"),
        case("the controller has no role", NoAssociation(SERVICE_ACCOUNTS[0]),
            "pod-identity", "missing", "argocd-application-controller has no association"),
        case("the server has no role", NoAssociation(SERVICE_ACCOUNTS[1]),
            "pod-identity", "missing", "argocd-server has no association"),
        case("the ApplicationSet controller has no role", NoAssociation(SERVICE_ACCOUNTS[2]),
            "pod-identity", "missing", "argocd-applicationset-controller has no association"),
        case("the server has another role", Association("other", None),
            "pod-identity", "wrong", "argocd-server has arn:aws:iam::"),
        case("the server acts as another role", Association("argocd-engine", Some("other")),
            "pod-identity", "wrong", "acts as the target role"),
    ]
}

/// Which way a chain is mended.
#[derive(Clone, Copy, Debug)]
enum By {
    /// The commands that are printed, run by AWS's own.
    Commands,
    Apply,
}

impl Case {
    async fn is_named_and_mended(&self, chain: &Chain, by: By) {
        chain.break_it(self.broken).await;
        let found = chain.onboard(self.asked).await;
        assert_eq!(found.status(), 1, "{}", found.transcript());
        let plan = found.json();
        let named = link(&plan, self.link);
        assert_eq!(named["state"], self.state, "{named}");
        let told = format!("{} {}", named["observed"], named["detail"]);
        assert!(told.contains(self.evidence), "{named}");
        mend(chain, &plan, self.asked, by).await;
    }
}

/// Does what makes a chain hold, which then does.
async fn mend(chain: &Chain, plan: &Value, asked: &[&str], by: By) {
    let mended = match by {
        By::Commands => {
            chain.run_what_is_printed(plan).await;
            chain.onboard(asked).await
        }
        By::Apply => {
            let secret = "PATCH /api/v1/namespaces/argocd/secrets/cluster-orders";
            let answer =
                json!({"kind": "PartialObjectMetadata", "metadata": {"name": "cluster-orders"}});
            chain.server.accepts(secret, 200, answer);
            let applied = chain
                .onboard(&[asked, &["--apply", "--yes"]].concat())
                .await;
            assert!(
                !applied.stderr().contains("error"),
                "{}",
                applied.transcript()
            );
            assert_eq!(chain.server.writes().len(), 1);
            applied
        }
    };
    assert_eq!(
        flaws(&mended.json()),
        [] as [String; 0],
        "{}",
        mended.transcript()
    );
}

/// Nothing is broken: no link of AWS is told to be.
async fn holds(chain: &Chain) {
    let found = chain.onboard(&["--write", "fleet"]).await;
    assert_eq!(
        flaws(&found.json()),
        [] as [String; 0],
        "{}",
        found.transcript()
    );
    // The Secret is in a file of the fleet then, and all is well.
    let all = chain.onboard(&[]).await;
    assert_eq!(all.status(), 0, "{}", all.transcript());
    let applied = chain.onboard(&["--apply", "--yes"]).await;
    assert_eq!(applied.status(), 0, "{}", applied.transcript());
    assert!(
        applied.stderr().contains("nothing is to be done"),
        "{}",
        applied.stderr()
    );
    assert_eq!(chain.server.writes(), []);
}

async fn each_is_mended(by: By) {
    let aws = Arc::new(Aws::start().await.unwrap());
    let cases: Vec<Case> = cases();
    let mended = cases.iter().enumerate().map(async |(number, case)| {
        let mended = async {
            let chain = Chain::start(Arc::clone(&aws), Accounts::number(number)).await;
            case.is_named_and_mended(&chain, by).await;
        };
        // The others are still told about.
        let mended = AssertUnwindSafe(mended).catch_unwind().await;
        mended.err().map(|_| case.name)
    });
    let failed = stream::iter(mended).buffer_unordered(AT_ONCE);
    let failed: Vec<&str> = failed.filter_map(async |failed| failed).collect().await;
    assert_eq!(failed, [] as [&str; 0], "{by:?}");
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_that_are_printed_mend_each_break() {
    each_is_mended(By::Commands).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_mends_each_break() {
    each_is_mended(By::Apply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_is_left_alone() {
    let aws = Arc::new(Aws::start().await.unwrap());
    holds(&Chain::start(aws, Accounts::number(999)).await).await;
}

/// IAM knows a role by its name, and all others by its ARN, in which its path is.
#[tokio::test(flavor = "multi_thread")]
async fn roles_with_a_path_are_made_and_hold() {
    let aws = Arc::new(Aws::start().await.unwrap());
    for (number, by) in [By::Commands, By::Apply].into_iter().enumerate() {
        let chain = Chain::start(Arc::clone(&aws), Accounts::number(number)).await;
        let role = chain.accounts.cluster_role("fleet/team/argocd-deployer");
        let engine = chain.accounts.engine_role("fleet/argocd-pods");
        let asked = ["--role-arn", &role, "--engine-role-arn", &engine];
        let plan = chain.onboard(&asked).await.json();
        for (name, state) in [
            ("cluster-role", "missing"),
            ("access-entry", "missing"),
            ("engine-role", "missing"),
            ("engine-role-policy", "missing"),
            ("pod-identity", "wrong"),
        ] {
            assert_eq!(link(&plan, name)["state"], state, "{name}");
        }

        mend(&chain, &plan, &asked, by).await;

        let entry = link(&chain.onboard(&asked).await.json(), "access-entry").clone();
        assert_eq!(entry["observed"], format!("{role}, type STANDARD"));
        // The role of this name without the path is another one, which is not there.
        let other = chain.accounts.cluster_role("argocd-deployer");
        let plan = chain.onboard(&["--role-arn", &other]).await.json();
        let found = link(&plan, "cluster-role");
        assert_eq!(found["state"], "wrong", "{found}");
        assert_eq!(found["observed"], role);
    }
    aws.agrees_with_the_model().unwrap();
}

/// What only people can mend is named with what they have to say or do.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_wrongly_is_named() {
    let aws = Arc::new(Aws::start().await.unwrap());
    let chain = Chain::start(aws, Accounts::number(0)).await;
    let engine = chain.accounts.engine_role("argocd-engine");
    let elsewhere = "arn:aws:iam::999999999999:role/argocd";
    let linked = chain
        .accounts
        .cluster_role("aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS");
    for (asked, name, evidence, fix) in [
        (
            ["--role-arn", elsewhere],
            "cluster-role",
            "the role is in the account 999999999999",
            "--role-arn",
        ),
        (
            ["--role-arn", &linked],
            "cluster-role",
            "service-linked role",
            "--role-arn",
        ),
        (
            ["--engine-role-arn", elsewhere],
            "engine-role",
            "their cluster's own account",
            "--engine-role-arn",
        ),
        (
            ["--engine-role-arn", &chain.accounts.cluster_role("argocd")],
            "cluster-role",
            "may not assume itself",
            "--role-arn",
        ),
        (
            ["--role-arn", &engine],
            "cluster-role",
            "the role is in the account",
            "--role-arn",
        ),
        (
            ["--kubernetes-group", "system:masters"],
            "access-entry",
            "EKS takes no group that begins with",
            "--access-policy",
        ),
        (
            ["--eks-cluster", "nothing"],
            "authentication-mode",
            "EKS knows no cluster of this name",
            "--eks-cluster",
        ),
    ] {
        let found = chain.onboard(&asked).await;
        assert_eq!(found.status(), 1, "{asked:?}: {}", found.transcript());
        let plan = found.json();
        let found = link(&plan, name);
        assert!(
            ["wrong", "missing"].contains(&found["state"].as_str().unwrap()),
            "{found}"
        );
        assert!(
            found["detail"].as_str().unwrap().contains(evidence),
            "{found}"
        );
        let mend = &found["mend"][0];
        assert_eq!(mend["kind"], "manual", "{found}");
        assert!(mend["command"].as_str().unwrap().contains(fix), "{found}");
    }
    assert_eq!(flaws(&chain.onboard(&[]).await.json()), [] as [String; 0]);
}

/// What EKS says of the cluster itself is for people to put right, by a command that can be run as
/// it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_cluster_is_like_is_for_people() {
    let aws = Arc::new(Aws::start().await.unwrap());
    let chain = Chain::start(Arc::clone(&aws), Accounts::number(0)).await;
    let workload = &chain.accounts.workload;
    let nowhere = json!({"resourcesVpcConfig": {
        "endpointPublicAccess": false, "endpointPrivateAccess": false, "publicAccessCidrs": [],
    }});
    for (said, name, evidence) in [
        (nowhere, "endpoint", "neither public nor private"),
        (
            json!({"status": "CREATING"}),
            "authentication-mode",
            "the cluster is CREATING",
        ),
        (
            json!({"certificateAuthority": {"data": "bm90IFBFTQ=="}}),
            "certificate-authority",
            "no certificate in PEM",
        ),
    ] {
        aws.describe(workload, REGION, CLUSTER, &said).unwrap();

        let plan = chain.onboard(&[]).await.json();

        let found = link(&plan, name);
        assert_eq!(found["state"], "wrong", "{found}");
        let told = format!("{} {}", found["observed"], found["detail"]);
        assert!(told.contains(evidence), "{found}");
        let mend = &found["mend"][0];
        assert_eq!(mend["kind"], "manual", "{found}");
        let command = mend["command"].as_str().unwrap();
        let (_, command) = command.split_once("aws ").unwrap();
        assert!(
            command.ends_with("--region eu-west-1 --profile shop"),
            "{command}"
        );
        if name == "authentication-mode" {
            // It waits as long as a cluster takes to come.
            aws.describe(workload, REGION, CLUSTER, &json!({"status": "ACTIVE"}))
                .unwrap();
        }
        let ran = chain.shell(&format!("aws {command}")).await;
        assert_eq!(ran.status(), 0, "{}", ran.transcript());
    }
    let plan = chain.onboard(&[]).await.json();
    assert_eq!(link(&plan, "authentication-mode")["state"], "ok");
    // A private endpoint may be reached by the pods, or not.
    assert_eq!(link(&plan, "endpoint")["state"], "unknown");
    aws.agrees_with_the_model().unwrap();
}
