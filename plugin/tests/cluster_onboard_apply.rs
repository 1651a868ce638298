//! `kubectl gitops cluster onboard --apply`, with a double of AWS.

#![allow(clippy::unwrap_used, reason = "a test that cannot start has failed")]

mod support;

use std::process::{Command, Stdio};

use gitops_aws::Aws;
use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS};
use support::{Folder, Ran};

const WORKLOAD: &str = "111122223333";
const ENGINE: &str = "444455556666";
const REGION: &str = "eu-west-1";
/// Base64 of a certificate in PEM that holds until 2046.
const CERTIFICATE: &str = include_str!("../src/onboarding/testing/certificate-authority.txt");

/// AWS, the API server of the cluster that Argo CD runs on, and a home with logins for both.
struct World {
    aws: Aws,
    server: ApiServer,
    home: Folder,
}

impl World {
    /// A cluster that nobody gets into but by its ConfigMap, and the one that Argo CD runs on.
    async fn start() -> Self {
        let aws = Aws::start().await.unwrap();
        aws.create_cluster(WORKLOAD, REGION, "orders", "CONFIG_MAP")
            .await
            .unwrap();
        aws.create_cluster(ENGINE, REGION, "devops", "API")
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
        aws.describe(WORKLOAD, REGION, "orders", &described)
            .unwrap();
        let server = ApiServer::start();
        server.lists("/apis/argoproj.io/v1alpha1/applicationsets", &[]);
        server.lists(
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects",
            &[project()],
        );
        server.lists(CLUSTERS, &[]);
        let secret = "PATCH /api/v1/namespaces/argocd/secrets/cluster-orders";
        server.accepts(
            secret,
            200,
            json!({"kind": "PartialObjectMetadata", "metadata": {"name": "cluster-orders"}}),
        );
        let profile = |name: &str, account: &str| {
            format!(
                "[profile {name}]\nregion = {REGION}\naws_access_key_id = {account}\naws_secret_access_key = test\n"
            )
        };
        let home = Folder::with(&[
            (
                "aws",
                &(profile("shop", WORKLOAD) + &profile("devops", ENGINE)),
            ),
            ("kubeconfig", &server.kubeconfig("{}")),
        ]);
        World { aws, server, home }
    }

    fn run(&self, more: &[&str]) -> Ran {
        let flags = [
            "cluster",
            "onboard",
            "orders",
            "--create-role",
            "argocd",
            "--profile",
            "shop",
            "--engine-cluster",
            "devops",
            "--engine-profile",
            "devops",
            "--engine-role-arn",
            "arn:aws:iam::444455556666:role/argocd-engine",
            "--kubeconfig",
            "kubeconfig",
            "-o",
            "json",
        ];
        let environment = self.aws.environment(WORKLOAD).into_iter();
        // The accounts are those of the profiles.
        let environment = environment
            .filter(|(name, _)| !name.contains("ACCESS_KEY") && *name != "AWS_CONFIG_FILE");
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"))
            .args(flags)
            .args(more)
            .current_dir(self.home.path())
            .env_clear()
            .envs(environment)
            .env("AWS_CONFIG_FILE", "aws")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .output();
        output.unwrap().into()
    }
}

fn project() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": "argocd"},
        "spec": {},
    })
}

fn states(plan: &Value) -> Vec<(String, String)> {
    let text = |link: &Value, key: &str| link[key].as_str().unwrap().to_owned();
    let links = plan["links"].as_array().unwrap().iter();
    links
        .map(|link| (text(link, "link"), text(link, "state")))
        .collect()
}

fn state(plan: &Value, link: &str) -> String {
    let states = states(plan);
    states.into_iter().find(|(name, _)| name == link).unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_comes_in_by_one_command_and_stays_as_it_is_by_the_next() {
    let world = World::start().await;
    let before = world.run(&[]);
    assert_eq!(before.status(), 1, "{}", before.transcript());
    let plan = before.json();
    for (link, expected) in [
        ("authentication-mode", "wrong"),
        ("access-entry", "missing"),
        ("access-policy", "missing"),
        ("cluster-role", "missing"),
        ("cluster-role-trust", "missing"),
        ("engine-role", "missing"),
        ("engine-role-policy", "missing"),
        ("pod-identity", "missing"),
        ("endpoint", "ok"),
        ("certificate-authority", "ok"),
        ("cluster-secret", "missing"),
    ] {
        assert_eq!(
            state(&plan, link),
            expected,
            "{link}: {}",
            before.transcript()
        );
    }
    assert!(world.server.writes().is_empty());

    let applied = world.run(&["--apply", "--yes"]);
    let plan = applied.json();
    let results = plan["applied"].as_array().unwrap();
    assert!(!results.is_empty());
    for result in results {
        assert!(
            ["done", "unchanged"].contains(&result["result"].as_str().unwrap()),
            "{}",
            applied.transcript()
        );
    }
    // The Secret comes last.
    assert_eq!(
        results.last().unwrap(),
        &json!({"link": "cluster-secret", "result": "done"})
    );
    let aws = |plan: &Value| {
        let states = states(plan).into_iter();
        states
            .filter(|(link, state)| link != "cluster-secret" && state != "ok")
            .collect::<Vec<_>>()
    };
    assert_eq!(aws(&plan), [], "{}", applied.transcript());
    let writes = world.server.writes();
    let [(request, secret)] = writes.as_slice() else {
        panic!("{writes:?}")
    };
    assert!(
        request.starts_with("PATCH /api/v1/namespaces/argocd/secrets/cluster-orders"),
        "{request}"
    );
    assert!(secret.get("stringData").is_none());

    // What was written is what is asked for: there is nothing to do any more.
    world.server.lists(CLUSTERS, std::slice::from_ref(secret));
    let again = world.run(&["--apply", "--yes"]);
    assert_eq!(again.status(), 0, "{}", again.transcript());
    assert_eq!(world.server.writes().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_unless_somebody_agrees() {
    let world = World::start().await;
    let asked = world.run(&["--apply"]);
    assert_eq!(asked.status(), 2, "{}", asked.transcript());
    assert!(
        asked.stderr().contains("nobody agreed"),
        "{}",
        asked.stderr()
    );
    let dry = world.run(&["--apply", "--dry-run", "client"]);
    assert_eq!(dry.status(), 1, "{}", dry.transcript());
    let plan = world.run(&[]).json();
    assert_eq!(state(&plan, "engine-role"), "missing");
    assert!(world.server.writes().is_empty());
}
