//! `cluster offboard --aws`: what AWS has for a cluster is taken back, in the reverse order of
//! onboarding, and what others use stays.

use std::sync::Arc;

use gitops_aws::{Aws, Fault};
use serde_json::{Value, json};

use crate::chain::{Accounts, BOTH, CLUSTER, Chain, allow, output, policy};
use crate::support::Ran;
use crate::support::api_server::CLUSTERS;

const SECRET: &str = "/api/v1/namespaces/argocd/secrets/cluster-orders";

impl Chain {
    /// A chain whose policy is one that onboarding makes, with its cluster in the fleet.
    async fn in_fleet(aws: &Arc<Aws>, number: usize) -> Chain {
        let chain = Chain::start(Arc::clone(aws), Accounts::number(number)).await;
        let may = policy(&json!([{
            "Effect": "Allow", "Action": BOTH, "Resource": chain.accounts.cluster_role("argocd"),
        }]));
        let name = format!("assume-{}-argocd", chain.accounts.workload);
        aws.allow(&chain.accounts.engine, "argocd-engine", &name, &may)
            .await
            .unwrap();
        chain.forget_policy().await;
        chain.register(&[chain.secret("cluster-orders", CLUSTER)]);
        chain
    }

    fn secret(&self, name: &str, cluster: &str) -> Value {
        let config = json!({
            "awsAuthConfig": {"clusterName": cluster, "roleARN": self.accounts.cluster_role("argocd")},
            "tlsClientConfig": {"insecure": false},
        });
        let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": "argocd",
                "uid": name,
                "labels": {"argocd.argoproj.io/secret-type": "cluster"},
            },
            "data": {
                "name": base64(cluster),
                "server": base64(&format!("https://{cluster}.example.com")),
                "config": base64(&config.to_string()),
            },
        })
    }

    /// The cluster Secrets that there are.
    fn register(&self, secrets: &[Value]) {
        self.server.lists(CLUSTERS, secrets);
        self.server
            .lists("/apis/argoproj.io/v1alpha1/applications", &[]);
        if let Some(own) = secrets.first() {
            self.server.answers(SECRET, 200, own.clone());
            self.server.accepts(
                &format!("DELETE {SECRET}"),
                200,
                json!({"kind": "Status", "status": "Success"}),
            );
        }
    }

    async fn offboard(&self, more: &[&str]) -> Ran {
        let mut command = self.program(env!("CARGO_BIN_EXE_kubectl-gitops"));
        for flags in [
            "cluster offboard orders -o json --aws --profile shop",
            "--engine-cluster devops --engine-profile devops",
        ] {
            command.args(flags.split(' '));
        }
        command.args(more);
        output(command).await.into()
    }
}

/// What a plan says of AWS: each step with what becomes of it.
fn results(plan: &Value) -> Vec<(String, String)> {
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = plan["steps"].as_array().unwrap().iter();
    steps
        .map(|step| (text(step, "step"), text(step, "result")))
        .collect()
}

fn expected(steps: &[(String, &str)]) -> Vec<(String, String)> {
    let steps = steps.iter();
    steps
        .map(|(step, result)| (step.clone(), (*result).to_owned()))
        .collect()
}

/// What takes back what onboarding made, in its reverse order.
fn all(chain: &Chain, result: &'static str) -> Vec<(String, &'static str)> {
    let role = chain.accounts.cluster_role("argocd");
    let engine = chain.accounts.engine_role("argocd-engine");
    let workload = &chain.accounts.workload;
    vec![
        ("secret/cluster-orders".to_owned(), result),
        (
            "access policy AmazonEKSClusterAdminPolicy in orders".to_owned(),
            result,
        ),
        ("access entry in orders".to_owned(), result),
        (
            format!("policy assume-{workload}-argocd of {engine}"),
            result,
        ),
        (format!("role {role}"), result),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serves_this_cluster_alone_is_taken_back_in_reverse_order() {
    let aws = Arc::new(Aws::start().await.unwrap());
    let chain = Chain::in_fleet(&aws, 0).await;

    let shown = chain.offboard(&["--dry-run", "client"]).await;
    assert_eq!(shown.status(), 0, "{}", shown.transcript());
    assert_eq!(results(&shown.json()), expected(&all(&chain, "notDone")));
    let asked = chain.offboard(&[]).await;
    assert_eq!(asked.status(), 2, "{}", asked.transcript());
    assert!(
        asked.stderr().contains("nobody agreed"),
        "{}",
        asked.stderr()
    );
    assert_eq!(chain.server.writes(), []);

    let before = aws.calls().unwrap().len();
    let done = chain.offboard(&["--yes"]).await;
    assert_eq!(done.status(), 0, "{}", done.transcript());
    assert_eq!(results(&done.json()), expected(&all(&chain, "done")));
    let calls = aws.calls().unwrap().split_off(before);
    let is_change = |call: &&String| {
        ["Describe", "List", "Get"]
            .iter()
            .all(|verb| !call.contains(&format!(":{verb}")))
    };
    let changes: Vec<&String> = calls.iter().filter(is_change).collect();
    assert_eq!(
        changes,
        [
            "eks:DisassociateAccessPolicy",
            "eks:DeleteAccessEntry",
            "iam:DeleteRolePolicy",
            "iam:DeleteRole",
        ]
    );

    // What Argo CD has for all clusters is as it was, and onboarding finds this one to be new.
    chain.register(&[]);
    let plan = chain.onboard(&[]).await.json();
    for (link, state) in [
        ("access-entry", "missing"),
        ("access-policy", "missing"),
        ("cluster-role", "missing"),
        ("engine-role-policy", "missing"),
        ("engine-role", "ok"),
        ("pod-identity", "ok"),
    ] {
        assert_eq!(crate::chain::link(&plan, link)["state"], state, "{link}");
    }
    aws.agrees_with_the_model().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_use_stays() {
    let aws = Arc::new(Aws::start().await.unwrap());

    // Another cluster of the fleet logs in by the same role.
    let chain = Chain::in_fleet(&aws, 0).await;
    chain.register(&[
        chain.secret("cluster-orders", CLUSTER),
        chain.secret("cluster-shop", "shop"),
    ]);
    let done = chain.offboard(&["--yes"]).await;
    assert_eq!(done.status(), 0, "{}", done.transcript());
    let mut steps = all(&chain, "done");
    steps[3].1 = "unchanged";
    steps[4].1 = "unchanged";
    assert_eq!(results(&done.json()), expected(&steps));
    assert!(
        done.stdout().contains("secret/cluster-shop may log in"),
        "{}",
        done.stdout()
    );

    // Another Secret is for the same cluster.
    let chain = Chain::in_fleet(&aws, 1).await;
    let mut second = chain.secret("second", CLUSTER);
    second["data"]["name"] = json!("b3RoZXI=");
    chain.register(&[chain.secret("cluster-orders", CLUSTER), second]);
    let done = chain.offboard(&["--yes"]).await;
    let mut steps = all(&chain, "unchanged");
    steps[0].1 = "done";
    assert_eq!(
        results(&done.json()),
        expected(&steps),
        "{}",
        done.transcript()
    );

    // Somebody else may assume the role: they keep it.
    let chain = Chain::in_fleet(&aws, 2).await;
    let Accounts { workload, .. } = &chain.accounts;
    let ci = chain.accounts.engine_role("ci");
    let engine = chain.accounts.engine_role("argocd-engine");
    let both = json!([allow(json!({"AWS": [engine, ci]}), &BOTH)]);
    chain.trust(workload, "argocd", &both).await;
    let done = chain.offboard(&["--yes"]).await;
    assert_eq!(
        results(&done.json()),
        expected(&all(&chain, "done")),
        "{}",
        done.transcript()
    );
    let role = chain.iam(workload).get_role().role_name("argocd").send();
    let role = role.await.unwrap().role.unwrap();
    // IAM tells it percent-encoded.
    let trust = role
        .assume_role_policy_document
        .unwrap()
        .replace("%2F", "/");
    assert!(trust.contains("role/ci"), "{trust}");
    assert!(!trust.contains("argocd-engine"), "{trust}");

    aws.agrees_with_the_model().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_serve_others_is_for_people() {
    let aws = Arc::new(Aws::start().await.unwrap());

    // The role has a policy of its own.
    let chain = Chain::in_fleet(&aws, 3).await;
    let Accounts { workload, .. } = &chain.accounts;
    let buckets = policy(&json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]));
    aws.allow(workload, "argocd", "buckets", &buckets)
        .await
        .unwrap();
    let done = chain.offboard(&["--yes"]).await;
    let mut steps = all(&chain, "done");
    steps[4].1 = "byHand";
    assert_eq!(
        results(&done.json()),
        expected(&steps),
        "{}",
        done.transcript()
    );
    assert!(
        done.stderr().contains("it has policies, buckets"),
        "{}",
        done.stderr()
    );

    // Another cluster lets it in.
    let chain = Chain::in_fleet(&aws, 4).await;
    let Accounts { workload, .. } = &chain.accounts;
    aws.create_cluster(workload, "eu-west-1", "second", "API")
        .await
        .unwrap();
    let create = chain
        .eks(workload)
        .create_access_entry()
        .cluster_name("second");
    let create = create.principal_arn(chain.accounts.cluster_role("argocd"));
    create.send().await.unwrap();
    let done = chain.offboard(&["--yes"]).await;
    let mut steps = all(&chain, "done");
    steps[4].1 = "byHand";
    assert_eq!(
        results(&done.json()),
        expected(&steps),
        "{}",
        done.transcript()
    );
    assert!(
        done.stderr().contains("second let it in as well"),
        "{}",
        done.stderr()
    );

    // A policy that is not of onboarding's making is for people, too.
    let chain = Chain::in_fleet(&aws, 5).await;
    let several = policy(&json!([{
        "Effect": "Allow",
        "Action": BOTH,
        "Resource": [chain.accounts.cluster_role("argocd"), "arn:aws:iam::999999999999:role/other"],
    }]));
    let name = format!("assume-{}-argocd", chain.accounts.workload);
    aws.allow(&chain.accounts.engine, "argocd-engine", &name, &several)
        .await
        .unwrap();
    let done = chain.offboard(&["--yes"]).await;
    let mut steps = all(&chain, "done");
    steps[3].1 = "byHand";
    assert_eq!(
        results(&done.json()),
        expected(&steps),
        "{}",
        done.transcript()
    );
    aws.agrees_with_the_model().unwrap();
}

/// The Secret is gone by then, which said what AWS has to be asked about.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_how_it_goes_on_without_the_secret() {
    let aws = Arc::new(Aws::start().await.unwrap());
    let chain = Chain::in_fleet(&aws, 0).await;
    let denied = Fault::Error {
        status: 403,
        code: "AccessDeniedException",
        message: "User: x is not authorized",
    };
    aws.fail("eks:DeleteAccessEntry", 1, &denied).unwrap();

    let failed = chain.offboard(&["--yes"]).await;

    assert_eq!(failed.status(), 2, "{}", failed.transcript());
    let stderr = failed.stderr();
    for part in [
        "access entry in orders: cannot delete the access entry of",
        "needs the permission eks:DeleteAccessEntry",
        "secret/cluster-orders: done",
        "to go back: aws eks associate-access-policy --cluster-name orders",
    ] {
        assert!(stderr.contains(part), "{part}: {}", failed.transcript());
    }
    chain.register(&[]);
    let again = crate::failures::between(&stderr, "what is done stays; `", "` goes on from there");
    let gone_on = chain.shell(again).await;
    assert_eq!(gone_on.status(), 0, "{}", gone_on.transcript());
    let steps = all(&chain, "done");
    assert_eq!(
        results(&gone_on.json()),
        expected(&steps[2..]),
        "{}",
        gone_on.transcript()
    );
    // Once more there is nothing left.
    let again = chain.shell(again).await;
    assert_eq!(results(&again.json()), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_aws_nothing_of_it_is_asked_and_that_is_said() {
    let aws = Arc::new(Aws::start().await.unwrap());
    let chain = Chain::in_fleet(&aws, 0).await;
    let before = aws.calls().unwrap().len();
    let mut command = chain.program(env!("CARGO_BIN_EXE_kubectl-gitops"));
    command.args("cluster offboard orders --yes".split(' '));

    let done: Ran = output(command).await.into();

    assert_eq!(done.status(), 0, "{}", done.transcript());
    assert!(
        done.stderr()
            .contains("AWS still lets Argo CD's role in: --aws"),
        "{}",
        done.stderr()
    );
    assert_eq!(aws.calls().unwrap().len(), before);
}
