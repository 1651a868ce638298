//! `--facts`: files judged by what a cluster knows, or by other files.

mod support;

use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS};
use support::{Folder, Ran};

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
const POLICY: &str = "/apis/kubectl-gitops.io/v1alpha1/gitopspolicies/default";
const SETTINGS: &str = "/api/v1/namespaces/argocd/configmaps/argocd-cm";

/// An Application on the cluster eu-1, which syncs it by itself.
const ORDERS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: orders, namespace: argocd}
spec:
  project: shop
  source: {repoURL: https://git.example.com/shop.git, path: ., targetRevision: v1.0.0}
  destination: {name: eu-1, namespace: orders}
  ignoreDifferences: [{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]
  syncPolicy: {automated: {}, syncOptions: [RespectIgnoreDifferences=true]}
";

const CARTS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: carts, namespace: argocd}
spec:
  generators: [{clusters: {selector: {matchExpressions: [{key: environment, operator: Exists}]}}}]
  template:
    metadata: {name: 'cart-{{name}}'}
    spec:
      project: shop
      source: {repoURL: https://git.example.com/shop.git, path: cart, targetRevision: v1.0.0}
      destination: {name: '{{name}}', namespace: orders}
      ignoreDifferences: [{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]
      syncPolicy: {syncOptions: [RespectIgnoreDifferences=true]}
";

fn project(repository: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "sourceRepos": [repository],
            "destinations": [{"server": "https://eu-1.example.com", "namespace": "orders"}],
        },
    })
}

fn cluster(environment: &str) -> Value {
    let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "cluster-1", "namespace": "argocd",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": environment},
        },
        "data": {
            "name": base64("eu-1"),
            "server": base64("https://eu-1.example.com"),
            "config": base64(r#"{"bearerToken": "hunter2"}"#),
        },
    })
}

/// One project, and the cluster eu-1.
fn live() -> ApiServer {
    let server = ApiServer::start();
    server.lists(PROJECTS, &[project("https://git.example.com/shop.git")]);
    server.lists(CLUSTERS, &[cluster("prod")]);
    server
}

fn check(server: &ApiServer, files: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let folder = Folder::with(files);
    folder.add(&[("config/kubeconfig", &server.kubeconfig("{}"))]);
    let start = [
        "--kubeconfig",
        "config/kubeconfig",
        "check",
        "--facts",
        "live",
    ];
    let run = folder.run(&[&start, arguments].concat());
    assert!(
        !run.transcript().contains("hunter2"),
        "{}",
        run.transcript()
    );
    assert!(server.writes().is_empty());
    run
}

/// `(level, rule)` of all findings.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn found(run: &Ran) -> Vec<(String, String)> {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .map(|finding| (text(&finding["level"]), text(&finding["rule"])))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(level, rule)| ((*level).to_owned(), (*rule).to_owned()))
        .collect()
}

#[test]
fn what_only_the_cluster_knows_decides() {
    let alone = Folder::with(&[("orders.yaml", ORDERS)]).run(&["check", "-o", "json"]);
    assert!(
        found(&alone).iter().all(|(level, _)| level == "undecided"),
        "{}",
        alone.transcript()
    );

    let run = check(&live(), &[("orders.yaml", ORDERS)], &["-o", "json"]);
    assert_eq!(run.status(), 1, "{}", run.transcript());
    assert_eq!(found(&run), pairs(&[("deny", "prod-auto-sync")]));
    assert_eq!(
        run.stderr(),
        "1 file, 1 object: 1 denied, 0 warned, 0 undecided\nproduction: 1 of 1 cluster (eu-1)\n"
    );

    let server = live();
    server.lists(CLUSTERS, &[cluster("staging")]);
    let run = check(&server, &[("orders.yaml", ORDERS)], &["-o", "json"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert_eq!(found(&run), []);
}

#[test]
fn what_is_neither_there_nor_in_the_files_does_not_exist() {
    let server = live();
    server.lists(CLUSTERS, &[]);
    let run = check(&server, &[("orders.yaml", ORDERS)], &["-o", "json"]);
    assert!(
        found(&run).contains(&("deny".to_owned(), "project-scope".to_owned())),
        "{}",
        run.transcript()
    );
    let server = live();
    server.lists(PROJECTS, &[]);
    let run = check(&server, &[("orders.yaml", ORDERS)], &["-o", "json"]);
    assert!(
        found(&run).contains(&("deny".to_owned(), "project-scope".to_owned())),
        "{}",
        run.transcript()
    );
    // An ApplicationSet that generates nothing is decided.
    let server = live();
    server.lists(CLUSTERS, &[]);
    let run = check(&server, &[("carts.yaml", CARTS)], &["-o", "json"]);
    assert!(
        found(&run).iter().all(|(level, _)| level != "undecided"),
        "{}",
        run.transcript()
    );
}

#[test]
fn files_override_and_add_to_what_the_cluster_knows() {
    let narrower = project("https://git.example.com/other.git").to_string();
    let wider = project("https://git.example.com/shop.git").to_string();
    let server = live();
    let run = check(
        &server,
        &[("orders.yaml", ORDERS), ("project.json", &narrower)],
        &["-o", "json"],
    );
    assert!(
        found(&run).contains(&("deny".to_owned(), "project-scope".to_owned())),
        "{}",
        run.transcript()
    );
    // Those that were given have the last word.
    let files = [
        ("judged/orders.yaml", ORDERS),
        ("judged/project.json", &*narrower),
        ("given/project.json", &*wider),
        ("given/cluster.json", &cluster("staging").to_string()),
    ];
    for flag in ["--facts", "--policy"] {
        let run = check(&server, &files, &["judged", flag, "given", "-o", "json"]);
        assert_eq!(run.status(), 0, "{flag}: {}", run.transcript());
        assert_eq!(found(&run), []);
    }
    // A cluster that only the files have is one more.
    let second = cluster("staging")
        .to_string()
        .replace("cluster-1", "cluster-2")
        .replace("ZXUtMQ==", "ZGV2")
        .replace(
            "aHR0cHM6Ly9ldS0xLmV4YW1wbGUuY29t",
            "aHR0cHM6Ly9kZXYuZXhhbXBsZS5jb20=",
        );
    let run = check(
        &server,
        &[("orders.yaml", ORDERS), ("facts/second.json", &second)],
        &["orders.yaml", "--facts", "facts"],
    );
    assert!(
        run.stderr().contains("production: 1 of 2 clusters (eu-1)"),
        "{}",
        run.transcript()
    );
}

#[test]
fn the_policy_and_the_settings_of_the_cluster_count() {
    let policy = |rules: Value| {
        json!({
            "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
            "metadata": {"name": "default"}, "spec": {"rules": rules},
        })
    };
    let server = live();
    let warns = policy(json!({"prod-auto-sync": {"action": "Warn"}}));
    server.answers(POLICY, 200, warns);
    let run = check(&server, &[("orders.yaml", ORDERS)], &["-o", "json"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert_eq!(found(&run), pairs(&[("warn", "prod-auto-sync")]));
    // The policy of the files is the one that will be there.
    let denies = policy(json!({"prod-auto-sync": {"action": "Deny"}})).to_string();
    let run = check(
        &server,
        &[("orders.yaml", ORDERS), ("policy.json", &denies)],
        &["-o", "json"],
    );
    assert_eq!(found(&run), pairs(&[("deny", "prod-auto-sync")]));

    // What the cluster has may not be usable, which is told before anything is judged.
    let flawed = json!({
        "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
        "metadata": {"name": "default"},
        "spec": {"environments": [{"name": "dev", "match": {"words": ["dev"]}}]},
    });
    server.answers(POLICY, 200, flawed);
    let run = check(&server, &[("orders.yaml", ORDERS)], &[]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr()
            .contains("gitopspolicy/default: spec.environments: "),
        "{}",
        run.transcript()
    );

    let server = live();
    server.forbids(SETTINGS);
    let run = check(&server, &[("orders.yaml", ORDERS)], &[]);
    assert!(
        run.stderr().contains("argocd-cm is taken to be empty"),
        "{}",
        run.transcript()
    );
}

#[test]
fn what_may_not_be_listed_is_told_and_may_exist() {
    for (path, objects, rule) in [
        (CLUSTERS, "secrets", "prod-auto-sync"),
        (PROJECTS, "appprojects.argoproj.io", "project-scope"),
    ] {
        let server = live();
        server.forbids(path);
        let run = check(&server, &[("orders.yaml", ORDERS)], &["-o", "json"]);
        let expected = format!("warning: cannot list {objects} in namespace argocd: ");
        assert!(
            run.stderr().contains(&expected)
                && run.stderr().contains("what depends on them is undecided"),
            "{}",
            run.transcript()
        );
        let undecided = ("undecided".to_owned(), rule.to_owned());
        assert!(
            found(&run).contains(&undecided)
                && !found(&run)
                    .iter()
                    .any(|(level, rule)| level == "deny" && rule == "project-scope"),
            "{objects}: {}",
            run.transcript()
        );
        // The cluster was asked, so that it is not only the files that have no such object.
        let run = check(&server, &[("orders.yaml", ORDERS)], &[]);
        let ask = "fix: ask for the right to list";
        assert!(
            run.stdout().contains("not known") && run.stdout().contains(ask),
            "{objects}: {}",
            run.transcript()
        );
        assert!(
            !run.stdout().contains("among the files"),
            "{}",
            run.transcript()
        );
    }
}

/// An encrypted Secret would have taken the place of the one that the cluster has.
#[test]
fn the_cluster_tells_what_a_file_keeps_secret() {
    let encrypted = "\
apiVersion: v1
kind: Secret
metadata:
  name: cluster-1
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: cluster}
stringData:
  name: ENC[AES256_GCM,data:YWJj,iv:YQ==,tag:YQ==,type:str]
  server: ENC[AES256_GCM,data:YWJj,iv:YQ==,tag:YQ==,type:str]
  config: ENC[AES256_GCM,data:YWJj,iv:YQ==,tag:YQ==,type:str]
sops: {version: 3.9.0}
";
    let external = "\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: prod, namespace: argocd}
spec:
  target:
    name: cluster-1
    template:
      metadata: {labels: {argocd.argoproj.io/secret-type: cluster}}
      data: {name: eu-1, server: '{{ .server }}', config: '{{ .config }}'}
";
    for secret in [encrypted, external] {
        let run = check(
            &live(),
            &[("orders.yaml", ORDERS), ("secret.yaml", secret)],
            &["-o", "json"],
        );
        let of_orders = run.levels_of("prod-auto-sync");
        let expected = ("orders.yaml".to_owned(), "deny".to_owned());
        assert_eq!(of_orders, [expected], "{}", run.transcript());
        assert_eq!(run.levels_of("project-scope"), [], "{}", run.transcript());
    }
    // Of one that the cluster has not got yet nobody knows which destination it is.
    let unknown = encrypted.replace("cluster-1", "cluster-2");
    let elsewhere = ORDERS.replace("name: eu-1", "name: next");
    let run = check(
        &live(),
        &[("orders.yaml", &elsewhere), ("secret.yaml", &unknown)],
        &["-o", "json"],
    );
    assert_eq!(
        run.levels_of("project-scope"),
        [("orders.yaml".to_owned(), "undecided".to_owned())],
        "{}",
        run.transcript()
    );
}

#[test]
fn facts_of_a_cluster_are_not_for_what_is_in_it() {
    let folder = Folder::with(&[]);
    for flag in ["--facts", "--policy"] {
        let run = folder.run(&["check", "--live", flag, "live"]);
        assert_eq!(run.status(), 2);
        assert!(
            run.stderr().contains("cannot be used with"),
            "{}",
            run.stderr()
        );
    }
    let run = folder.run(&["check", "--facts", "live"]);
    assert_eq!(run.status(), 2);
    assert!(
        run.stderr()
            .starts_with("error: there is no kubeconfig, and this is not a Pod"),
        "{}",
        run.stderr()
    );
}

#[test]
fn a_folder_of_that_name_is_a_path_with_a_slash() {
    let folder = Folder::with(&[
        ("orders.yaml", ORDERS),
        (
            "live/project.json",
            &*project("https://git.example.com/shop.git").to_string(),
        ),
        ("live/cluster.json", &*cluster("prod").to_string()),
    ]);
    let run = folder.run(&["check", "orders.yaml", "--facts", "./live", "-o", "json"]);
    assert_eq!(found(&run), pairs(&[("deny", "prod-auto-sync")]));
}

fn preview(server: &ApiServer, files: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let folder = Folder::with(files);
    folder.add(&[("config/kubeconfig", &server.kubeconfig("{}"))]);
    let start = ["preview", "-f", "new.yaml", "-o", "json"];
    let login = ["--kubeconfig", "config/kubeconfig"];
    let run = folder.run(&[&start, &login[..], arguments].concat());
    assert!(server.writes().is_empty());
    run
}

/// `(name, change, verdict)` of each Application.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn applications(run: &Ran) -> Vec<[String; 3]> {
    let report = run.json();
    let applications = report["applications"].as_array().unwrap().iter();
    applications
        .map(|application| {
            ["name", "change", "verdict"].map(|key| application[key].as_str().unwrap().to_owned())
        })
        .collect()
}

fn rows(rows: &[[&str; 3]]) -> Vec<[String; 3]> {
    rows.iter().map(|row| row.map(str::to_owned)).collect()
}

/// The files say which ApplicationSets there are now, the cluster everything else.
#[test]
fn a_preview_against_files_is_judged_by_what_the_cluster_knows() {
    let new = CARTS.replace("shop.git", "carts.git");
    let files = [("new.yaml", &*new), ("there/carts.yaml", CARTS)];
    let server = live();
    server.lists(PROJECTS, &[project("https://git.example.com/*")]);
    // What it has of ApplicationSets plays no part.
    server.forbids("/apis/argoproj.io/v1alpha1/applicationsets");
    server.forbids("/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets");
    let arguments = ["--against", "there", "--facts", "live"];
    let run = preview(&server, &files, &arguments);
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "change", "admitted"]]),
        "{}",
        run.transcript()
    );
    assert!(
        !server
            .requests()
            .iter()
            .any(|request| request.contains("/applicationsets")),
    );
    let server = live();
    let run = preview(&server, &files, &arguments);
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "change", "denied"]]),
        "{}",
        run.transcript()
    );
    // The files that were given have the last word.
    let wider = project("https://git.example.com/*").to_string();
    let files = [files[0], files[1], ("given/project.json", &wider)];
    let run = preview(
        &server,
        &files,
        &[&arguments[..], &["--facts", "given"]].concat(),
    );
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "change", "admitted"]]),
        "{}",
        run.transcript()
    );
}

#[test]
fn a_preview_of_a_cluster_can_be_judged_by_other_facts() {
    let server = live();
    let narrower = project("https://git.example.com/other.git").to_string();
    let files = [("new.yaml", CARTS), ("given/project.json", &*narrower)];
    let run = preview(&server, &files, &["--facts", "live"]);
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "create", "admitted"]]),
        "{}",
        run.transcript()
    );
    let run = preview(&server, &files, &["--facts", "given"]);
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "create", "denied"]]),
        "{}",
        run.transcript()
    );
    // What may not be listed leaves open what becomes of it.
    server.forbids(PROJECTS);
    let run = preview(&server, &files, &["--facts", "live"]);
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "create", "undecided"]]),
        "{}",
        run.transcript()
    );
    assert!(
        run.stderr()
            .contains("warning: cannot list appprojects.argoproj.io in namespace argocd: "),
        "{}",
        run.transcript()
    );
}

#[test]
fn a_preview_of_files_alone_takes_facts_of_files() {
    let folder = Folder::with(&[
        ("new.yaml", CARTS),
        ("there/cluster.json", &*cluster("prod").to_string()),
        (
            "given/project.json",
            &*project("https://git.example.com/shop.git").to_string(),
        ),
    ]);
    let start = [
        "preview",
        "-f",
        "new.yaml",
        "-o",
        "json",
        "--against",
        "there",
    ];
    let run = folder.run(&start);
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "create", "undecided"]])
    );
    let run = folder.run(&[&start[..], &["--facts", "given"]].concat());
    assert_eq!(
        applications(&run),
        rows(&[["cart-eu-1", "create", "admitted"]]),
        "{}",
        run.transcript()
    );
}
