//! `kubectl gitops cluster onboard`, going by a description of the cluster.

#![allow(clippy::unwrap_used, reason = "a test that cannot start has failed")]

mod support;

use insta::assert_snapshot;
use serde_json::{Value, json};

use support::Folder;
use support::api_server::{ApiServer, CLUSTERS};

/// Base64 of a certificate in PEM that holds until 2046.
const CERTIFICATE: &str = include_str!("../src/onboarding/testing/certificate-authority.txt");

const LINKS: [&str; 11] = [
    "authentication-mode",
    "access-entry",
    "access-policy",
    "cluster-role",
    "cluster-role-trust",
    "engine-role",
    "engine-role-policy",
    "pod-identity",
    "endpoint",
    "certificate-authority",
    "cluster-secret",
];

const ROLES: [&str; 6] = [
    "--create-role",
    "argocd",
    "--engine-cluster",
    "devops",
    "--engine-role-arn",
    "arn:aws:iam::111122223333:role/argocd-engine",
];

/// What `aws eks describe-cluster` prints, of which fields that nobody reads are left out.
fn description() -> Value {
    json!({"cluster": {
        "name": "shop-prod-eu",
        "arn": "arn:aws:eks:eu-central-1:444455556666:cluster/shop-prod-eu",
        "createdAt": "2026-06-01T10:00:00.000000+02:00",
        "version": "1.35",
        "endpoint": "https://0123456789ABCDEF.gr7.eu-central-1.eks.amazonaws.com",
        "roleArn": "arn:aws:iam::444455556666:role/eks",
        "resourcesVpcConfig": {
            "subnetIds": ["subnet-1"],
            "endpointPublicAccess": true,
            "endpointPrivateAccess": false,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "certificateAuthority": {"data": CERTIFICATE.trim()},
        "status": "ACTIVE",
        "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"},
    }})
}

const PROJECT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: platform, namespace: argocd}
spec:
  sourceRepos: [https://git.example.com/ingress.git]
  destinations: [{name: prod-eu, namespace: ingress}]
";

/// What comes to each cluster of production.
const INGRESS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: ingress, namespace: argocd}
spec:
  generators: [{clusters: {selector: {matchLabels: {environment: prod}}}}]
  template:
    metadata:
      name: 'ingress-{{name}}'
      annotations: {kubectl-gitops.io/autoscaled: 'false'}
    spec:
      project: platform
      source: {repoURL: https://git.example.com/ingress.git, path: ., targetRevision: v1.0.0}
      destination: {name: '{{name}}', namespace: ingress}
";

const STAGING_ENGINE: &str = "\
apiVersion: kubectl-gitops.io/v1alpha1
kind: GitOpsPolicy
metadata: {name: default}
spec:
  engine: {environment: staging}
  environments:
    - {name: staging, match: {accounts: ['111122223333']}}
    - {name: prod, production: true, match: {accounts: ['444455556666']}}
";

fn folder() -> Folder {
    Folder::with(&[
        ("prod-eu.json", &description().to_string()),
        ("fleet/project.yaml", PROJECT),
        ("fleet/ingress.yaml", INGRESS),
    ])
}

fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [
        &[
            "cluster",
            "onboard",
            "prod-eu",
            "--describe",
            "prod-eu.json",
        ][..],
        &ROLES,
        more,
    ]
    .concat()
}

/// The state of a link in a plan.
fn state<'p>(plan: &'p Value, link: &str) -> &'p str {
    let links = plan["links"].as_array().unwrap();
    let found = links.iter().find(|one| one["link"] == link).unwrap();
    found["state"].as_str().unwrap()
}

#[test]
fn a_description_is_enough_for_a_plan() {
    let folder = folder();
    let run = folder.run(&arguments(&["-o", "json"]));
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let plan = run.json();
    let links = plan["links"].as_array().unwrap();
    let names: Vec<&str> = links
        .iter()
        .map(|link| link["link"].as_str().unwrap())
        .collect();
    assert_eq!(names, LINKS);
    for (link, expected) in [
        ("authentication-mode", "ok"),
        ("endpoint", "ok"),
        ("certificate-authority", "ok"),
        ("access-entry", "unknown"),
        ("pod-identity", "unknown"),
        ("cluster-secret", "unknown"),
    ] {
        assert_eq!(state(&plan, link), expected, "{link}");
    }
    assert_eq!(plan["apiVersion"], "kubectl-gitops.io/v1alpha1");
    assert_eq!(plan["kind"], "ClusterPlan");
    assert_eq!(
        plan["cluster"],
        json!({
            "name": "prod-eu",
            "server": "https://0123456789ABCDEF.gr7.eu-central-1.eks.amazonaws.com",
            "eksCluster": "shop-prod-eu",
            "region": "eu-central-1",
            "account": "444455556666",
        })
    );
    assert_eq!(
        plan["summary"],
        json!({"ok": 3, "missing": 0, "wrong": 0, "unknown": 8})
    );
    assert_eq!(plan["applied"], json!([]));
    assert_eq!(plan["fanOut"], json!([]));
    let config: Value =
        serde_json::from_str(plan["secret"]["stringData"]["config"].as_str().unwrap()).unwrap();
    assert_eq!(
        config,
        json!({
            "awsAuthConfig": {"clusterName": "shop-prod-eu", "roleARN": "arn:aws:iam::444455556666:role/argocd"},
            "tlsClientConfig": {"insecure": false, "caData": CERTIFICATE.trim()},
        })
    );
    // YAML and standard input say the same.
    let yaml = folder.run(&arguments(&["-o", "yaml"])).stdout();
    assert_eq!(golang::yaml::value(&yaml).unwrap(), plan);
    let mut piped = arguments(&["-o", "json"]);
    piped[4] = "-";
    assert_eq!(
        folder
            .run_with_input(&piped, &description().to_string())
            .json(),
        plan
    );
}

#[test]
fn people_read_what_is_and_what_mends_it() {
    let folder = folder();
    assert_snapshot!(
        folder
            .run(&arguments(&["-l", "environment=prod", "--facts", "fleet"]))
            .transcript()
            .replace(CERTIFICATE.trim(), "CERTIFICATE")
    );
}

#[test]
fn the_commands_come_in_an_order_that_grants_nothing_half_done() {
    let run = folder().run(&arguments(&[
        "--aws-cli",
        "--profile",
        "shop",
        "--engine-profile",
        "devops",
    ]));
    assert_snapshot!(run.transcript().replace(CERTIFICATE.trim(), "CERTIFICATE"));
}

#[test]
fn a_label_brings_applications() {
    let folder = folder();
    let fan_out = |more: &[&str]| {
        let flags = [&["--facts", "fleet", "-o", "json"], more].concat();
        folder.run(&arguments(&flags)).json()["fanOut"].clone()
    };
    assert_eq!(fan_out(&[]), json!([]));
    assert_eq!(
        fan_out(&["-l", "environment=prod"]),
        json!([{
            "application": "ingress-prod-eu",
            "namespace": "argocd",
            "project": "platform",
            "environment": "prod",
            "verdict": "admitted",
        }])
    );
    // What the rules say counts.
    folder.add(&[("fleet/ingress.yaml", &INGRESS.replace("v1.0.0", "HEAD"))]);
    assert_eq!(fan_out(&["-l", "environment=prod"])[0]["verdict"], "denied");
}

#[test]
fn an_engine_is_kept_from_the_accounts_of_others() {
    let folder = folder();
    folder.add(&[("fleet/policy.yaml", STAGING_ENGINE)]);
    let run = folder.run(&arguments(&["--facts", "fleet", "-o", "json"]));
    assert_eq!(run.status(), 1);
    let plan = run.json();
    assert_eq!(state(&plan, "cluster-secret"), "wrong");
    let finding = &plan["findings"][0];
    assert_eq!(finding["rule"], "engine-isolation");
    assert_eq!(finding["level"], "deny");
    assert_eq!(finding["field"], "/data/config");
    assert_eq!(finding["file"], Value::Null);
    assert!(
        finding["message"]
            .as_str()
            .unwrap()
            .contains("AWS account 444455556666")
    );
}

#[test]
fn what_is_written_belongs_in_git_and_is_then_ok() {
    let folder = folder();
    let write = arguments(&["--facts", "fleet", "--write", "clusters", "-o", "json"]);
    let run = folder.run(&write);
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let secret = read("clusters/cluster-prod-eu.yaml");
    assert_eq!(golang::yaml::value(&secret).unwrap(), run.json()["secret"]);
    assert!(
        read("clusters/kustomization.yaml").ends_with("resources:\n  - cluster-prod-eu.yaml\n")
    );
    let check = folder.run(&["check", "clusters"]);
    assert_eq!(check.status(), 0, "{}", check.transcript());
    // Again, it is left as it is.
    let again = folder.run(&write);
    assert!(
        again
            .stderr()
            .contains("clusters/cluster-prod-eu.yaml unchanged"),
        "{}",
        again.stderr()
    );
    assert_eq!(read("clusters/cluster-prod-eu.yaml"), secret);
    let known = folder.run(&arguments(&[
        "--facts", "fleet", "--facts", "clusters", "-o", "json",
    ]));
    assert_eq!(
        state(&known.json(), "cluster-secret"),
        "ok",
        "{}",
        known.stdout()
    );
}

#[test]
fn a_file_that_says_something_else_is_left_alone() {
    let folder = folder();
    folder.add(&[
        ("clusters/cluster-prod-eu.yaml", "kind: Secret\n"),
        ("clusters/kustomization.yaml", "resources: []\n"),
    ]);
    let run = folder.run(&arguments(&["--write", "clusters"]));
    assert_eq!(run.status(), 2);
    assert!(
        run.stderr()
            .contains("clusters/cluster-prod-eu.yaml is there already"),
        "{}",
        run.stderr()
    );
    let kustomization = std::fs::read_to_string(folder.path().join("clusters/kustomization.yaml"));
    assert_eq!(kustomization.unwrap(), "resources: []\n");
    // Nor is a folder made a kustomization that Argo CD reads as it is, also where there is only a
    // page in it, as `bootstrap` leaves it.
    folder.add(&[
        ("plain/other.yaml", "kind: Other\n"),
        ("page/README.md", "# Clusters\n"),
        ("empty/.gitkeep", ""),
    ]);
    for plain in ["plain", "page", "empty"] {
        for _ in 0..2 {
            assert_eq!(folder.run(&arguments(&["--write", plain])).status(), 1);
            let plain = folder.path().join(plain);
            assert!(plain.join("cluster-prod-eu.yaml").exists());
            assert!(
                !plain.join("kustomization.yaml").exists(),
                "{}",
                plain.display()
            );
        }
    }
}

#[test]
fn terraform_has_the_aws_side() {
    let folder = folder();
    let run = folder.run(&arguments(&["--terraform", "aws"]));
    assert_eq!(run.status(), 1, "{}", run.transcript());
    for name in ["argocd.tf", "cluster-prod-eu.tf"] {
        assert_snapshot!(
            name,
            std::fs::read_to_string(folder.path().join("aws").join(name)).unwrap()
        );
    }
    // A second cluster shares what is Argo CD's.
    let mut second = arguments(&["--terraform", "aws"]);
    second[2] = "prod-us";
    let run = folder.run(&second);
    assert!(
        run.stderr().contains("aws/argocd.tf unchanged"),
        "{}",
        run.stderr()
    );
    assert!(
        run.stderr().contains("aws/cluster-prod-us.tf created"),
        "{}",
        run.stderr()
    );
}

#[test]
fn the_argo_cd_of_aws_takes_the_arn() {
    let folder = folder();
    let capability = [
        "cluster",
        "onboard",
        "prod-eu",
        "--describe",
        "prod-eu.json",
        "--capability",
        "--engine-role-arn",
        ROLES[5],
        "-o",
        "json",
    ];
    let plan = folder.run(&capability).json();
    assert_eq!(
        plan["secret"]["stringData"],
        json!({"name": "prod-eu", "server": "arn:aws:eks:eu-central-1:444455556666:cluster/shop-prod-eu"})
    );
    assert_eq!(state(&plan, "cluster-role"), "ok");
    assert_eq!(state(&plan, "pod-identity"), "ok");
}

#[test]
fn a_live_fleet_is_asked() {
    let server = ApiServer::start();
    let object = |text: &str| golang::yaml::value(text).unwrap();
    server.lists(
        "/apis/argoproj.io/v1alpha1/applicationsets",
        &[object(INGRESS)],
    );
    server.lists(
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects",
        &[object(PROJECT)],
    );
    let token = object(
        "\
apiVersion: v1
kind: Secret
metadata: {name: old, namespace: argocd, labels: {argocd.argoproj.io/secret-type: cluster}}
data:
  name: cHJvZC1ldQ==
  server: aHR0cHM6Ly8wMTIzNDU2Nzg5QUJDREVGLmdyNy5ldS1jZW50cmFsLTEuZWtzLmFtYXpvbmF3cy5jb20=
  config: eyJiZWFyZXJUb2tlbiI6Imh1bnRlcjIifQ==
",
    );
    server.lists(CLUSTERS, &[token]);
    let folder = folder();
    folder.add(&[("config", &server.kubeconfig("{}"))]);
    let run = folder.run(&arguments(&[
        "--facts",
        "live",
        "--kubeconfig",
        "config",
        "-o",
        "json",
    ]));
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let plan = run.json();
    assert_eq!(state(&plan, "cluster-secret"), "wrong");
    let link = plan["links"].as_array().unwrap().last().unwrap();
    assert_eq!(
        link["mend"][0]["command"],
        "kubectl gitops cluster migrate prod-eu"
    );
    assert_eq!(plan["secret"]["metadata"]["name"], "old");
    assert!(!run.transcript().contains("hunter2"));
}

#[test]
fn mistakes_are_explained() {
    let folder = folder();
    folder.add(&[
        ("broken.json", "{\"cluster\": {\"name\": 1}}"),
        ("list.json", "[]"),
    ]);
    let with = |more: &[&str]| {
        let run = folder.run(&[&["cluster", "onboard", "prod-eu"], more].concat());
        assert_eq!(run.status(), 2, "{}", run.transcript());
        run.stderr()
    };
    let described = ["--describe", "prod-eu.json"];
    let all: Vec<String> = [
        with(&["--describe", "none.json"]),
        with(&["--describe", "broken.json"]),
        with(&["--describe", "list.json"]),
        with(&[&described[..], &["--eks-cluster", "other"]].concat()),
        with(&[&described[..], &["--region", "us-east-1"]].concat()),
        with(&[&described[..], &["--role-arn", "argocd"]].concat()),
        with(
            &[
                &described[..],
                &["--role-arn", "arn:aws:sts::444455556666:assumed-role/a/b"],
            ]
            .concat(),
        ),
        with(
            &[
                &described[..],
                &[
                    "--access-policy",
                    "arn:aws:iam::aws:policy/AdministratorAccess",
                ],
            ]
            .concat(),
        ),
        with(&[&described[..], &["--capability", "--create-role", "a"]].concat()),
        with(
            &[
                &described[..],
                &["-l", "argocd.argoproj.io/secret-type=cluster"],
            ]
            .concat(),
        ),
        with(&[&described[..], &["--context", "devops"]].concat()),
        with(&[&described[..], &["--write", "clusters"]].concat()),
        with(
            &[
                &described[..],
                &["--create-role", "a", "--terraform", "aws"],
            ]
            .concat(),
        ),
    ]
    .into();
    assert!(!folder.path().join("clusters").exists());
    assert_snapshot!(all.join("\n"));
}
