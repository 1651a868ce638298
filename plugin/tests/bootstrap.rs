//! `kubectl gitops bootstrap`.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};

use support::api_server::ApiServer;
use support::{Folder, Ran};

const URL: &str = "https://git.example.com/platform/fleet.git";

/// Lays a repository out in `fleet`, with more flags.
fn laid_out(flags: &[&str]) -> Folder {
    let folder = Folder::with(&[]);
    let run = bootstrap(&folder, &[&["--yes"], flags].concat());
    assert_eq!(run.status(), 0, "{}", run.transcript());
    folder
}

fn bootstrap(folder: &Folder, flags: &[&str]) -> Ran {
    let start = ["bootstrap", "fleet", "--repository", URL];
    folder.run(&[&start, flags].concat())
}

fn cluster(name: &str, environment: &str, revision: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: Secret
metadata:
  name: cluster-{name}
  namespace: argocd
  labels:
    argocd.argoproj.io/secret-type: cluster
    workload-cluster: "true"
    environment: {environment}
  annotations:
    kubectl-gitops.io/revision: {revision}
stringData:
  name: {name}
  server: https://{name}.eks.example.com
  config: '{{"awsAuthConfig": {{"clusterName": "{name}", "roleARN": "arn:aws:iam::111122223333:role/argocd-{name}"}}}}'
"#
    )
}

/// What a check of the repository found, but for what is only not known.
fn findings(run: &Ran) -> Vec<Value> {
    let report = run.json();
    let findings = report["findings"].as_array().into_iter().flatten();
    findings.cloned().collect()
}

fn is_clean(folder: &Folder, flags: &[&str]) -> Value {
    let run = folder.run(&[&["check", "fleet", "-o", "json"], flags].concat());
    assert_eq!(run.status(), 0, "{}", run.transcript());
    let found = findings(&run);
    let decided = found
        .iter()
        .filter(|finding| finding["level"] != "undecided");
    assert_eq!(decided.collect::<Vec<_>>(), [&Value::Null; 0]);
    assert_eq!(run.json()["problems"], json!([]), "{}", run.transcript());
    run.json()
}

/// Flags that leave out, rename and add.
const VARIANTS: [&[&str]; 8] = [
    &[],
    &["--engine", "prod"],
    &["--engine", "staging"],
    &["--addon", "none"],
    &["--addon", "argo-cd,kyverno"],
    &["--addon", "external-secrets"],
    &[
        "--team",
        "orders,payments=git@git.example.com:payments/deploy.git",
        "--revision",
        "trunk",
    ],
    &[
        "--environment",
        "test,live,dr",
        "--production",
        "live,dr",
        "--argocd-namespace",
        "gitops",
    ],
];

#[test]
fn what_is_laid_out_is_clean() {
    for flags in VARIANTS {
        is_clean(&laid_out(flags), &[]);
    }
}

/// Nothing is denied as nothing is known is not what is meant.
#[test]
fn with_clusters_everything_is_decided_and_in_order() {
    for (flags, clusters) in [
        (
            &[][..],
            &[
                ("staging-eu", "staging"),
                ("prod", "prod"),
                ("prod-eu", "prod"),
            ][..],
        ),
        (&["--engine", "prod"], &[("prod-eu", "prod")]),
        (
            &["--environment", "test,live,dr", "--production", "live,dr"],
            &[("dr-eu", "dr"), ("test-1", "test")],
        ),
    ] {
        let folder = laid_out(flags);
        for (name, environment) in clusters {
            let path = format!("fleet/clusters/{name}.yaml");
            folder.add(&[(&path, &cluster(name, environment, "v1.0.0"))]);
        }
        let report = is_clean(&folder, &["--all-clusters-known"]);
        assert_eq!(report["findings"], json!([]));
    }
}

/// The applications that come of it, as `preview` has them.
#[test]
fn each_cluster_gets_the_addons_of_its_environment() {
    let folder = laid_out(&[]);
    folder.add(&[
        (
            "fleet/clusters/staging-eu.yaml",
            &cluster("staging-eu", "staging", "main"),
        ),
        (
            "fleet/clusters/prod-eu.yaml",
            &cluster("prod-eu", "prod", "v1.0.0"),
        ),
    ]);
    let mut changes = BTreeSet::new();
    for set in ["argo-cd", "foundation", "policy", "observability"] {
        let file = format!("fleet/applicationsets/{set}.yaml");
        let run = folder.run(&[
            "preview",
            "-f",
            &file,
            "--against",
            "fleet/clusters",
            "--facts",
            "fleet",
            "-o",
            "json",
        ]);
        let report = run.json();
        for application in report["applications"].as_array().unwrap() {
            changes.insert(application["name"].as_str().unwrap().to_owned());
        }
    }
    let expected = [
        "argo-cd",
        "external-secrets",
        "prod-eu-cert-manager",
        "prod-eu-external-secrets",
        "prod-eu-kube-prometheus-stack",
        "prod-eu-kyverno",
        "prod-eu-metrics-server",
        "staging-eu-cert-manager",
        "staging-eu-external-secrets",
        "staging-eu-kube-prometheus-stack",
        "staging-eu-kyverno",
        "staging-eu-metrics-server",
    ];
    assert_eq!(changes, expected.map(str::to_owned).into());
}

/// A devops cluster that counts as production holds the root of the app-of-apps and Argo CD, which
/// follow the branch.
#[test]
fn the_root_is_exempt_where_its_cluster_is_production() {
    let folder = laid_out(&["--engine", "prod"]);
    let own = cluster("prod-devops", "prod", "main").replace(
        "https://prod-devops.eks.example.com",
        "https://kubernetes.default.svc",
    );
    let own = own.replace("    workload-cluster: \"true\"\n", "");
    folder.add(&[("fleet/clusters/prod-devops.yaml", &own)]);
    let run = folder.run(&["check", "fleet"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());

    let path = folder.path().join("fleet/policy/gitops-policy.yaml");
    let policy = fs::read_to_string(&path).unwrap();
    let (without, _) = policy.split_once("  rules:\n").unwrap();
    fs::write(&path, without).unwrap();
    let run = folder.run(&["check", "fleet", "-o", "json"]);
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let denied = findings(&run);
    let denied = denied.iter().filter(|finding| finding["level"] == "deny");
    let rules: BTreeSet<&str> = denied
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["prod-auto-sync"].into());
}

#[test]
fn what_would_be_written_is_shown_and_not_written() {
    let folder = Folder::with(&[]);
    let run = bootstrap(&folder, &["--dry-run", "client"]);
    assert_snapshot!(run.transcript());
    assert!(!folder.path().join("fleet").exists());
}

#[test]
fn nothing_is_written_unless_somebody_agrees() {
    let folder = Folder::with(&[]);
    let run = bootstrap(&folder, &["--addon", "none"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr().contains("--yes does it without asking"),
        "{}",
        run.transcript()
    );
    assert!(!folder.path().join("fleet").exists());

    let start = ["bootstrap", "fleet", "--repository", URL, "--addon", "none"];
    let run = folder.run_with_input(&start, "y\n");
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert!(folder.path().join("fleet/bootstrap/root.yaml").exists());
}

#[test]
fn what_is_the_same_stays_and_what_differs_is_overwritten_only_on_demand() {
    let folder = laid_out(&[]);
    let run = bootstrap(&folder, &[]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert!(
        run.stderr().contains("nothing is to be done"),
        "{}",
        run.transcript()
    );

    let path = folder.path().join("fleet/charts/kyverno/values.yaml");
    fs::write(&path, "kyverno: {}\n").unwrap();
    folder.add(&[("fleet/charts/kyverno/templates/own.yaml", "a: 1\n")]);
    let run = bootstrap(&folder, &[]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    let warning = "fleet/charts/kyverno/values.yaml differs, and would be overwritten";
    assert!(run.stderr().contains(warning), "{}", run.transcript());
    assert_eq!(fs::read_to_string(&path).unwrap(), "kyverno: {}\n");

    let run = bootstrap(&folder, &["--yes", "-o", "json"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    let report = run.json();
    assert_eq!(
        (&report["kind"], &report["summary"]["done"]),
        (&json!("Bootstrap"), &json!(1))
    );
    assert_ne!(fs::read_to_string(&path).unwrap(), "kyverno: {}\n");
    assert!(
        folder
            .path()
            .join("fleet/charts/kyverno/templates/own.yaml")
            .exists()
    );
}

#[test]
fn the_repository_is_that_of_the_folder_unless_it_is_named() {
    let folder = Folder::with(&[]);
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null());
        assert!(git.status().unwrap().success());
    };
    let run = folder.run(&["bootstrap", "--yes"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr()
            .contains("--repository: nobody can be asked for it"),
        "{}",
        run.transcript()
    );
    git(&["init", "--quiet"]);
    git(&["remote", "add", "origin", URL]);
    let run = folder.run(&["bootstrap", "--yes", "--addon", "none"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    let root = fs::read_to_string(folder.path().join("bootstrap/root.yaml")).unwrap();
    assert!(root.contains(&format!("repoURL: {URL}\n")), "{root}");
    // One that has a credential in it is not taken over.
    git(&[
        "remote",
        "set-url",
        "origin",
        "https://alice:hunter2@git.example.com/fleet.git",
    ]);
    let run = folder.run(&["bootstrap", "--yes"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        !run.transcript().contains("hunter2"),
        "{}",
        run.transcript()
    );
}

#[test]
fn answers_that_cannot_be_used_are_refused_before_anything_is_written() {
    for (flags, said) in [
        (
            &["--environment", "test"][..],
            "--production: none of the environments test is production",
        ),
        (
            &["--engine", "live"],
            "--engine: live is none of the environments",
        ),
        (&["--team", "a,a"], "--team: a is named twice"),
        (
            &["--team", "platform"],
            "--team: none may be called platform",
        ),
        (
            &["--addon", "none,kyverno"],
            "--addon: none is named beside others",
        ),
        (
            &["--addon", "kyverno", "--chart", "argo-cd=1.2.3"],
            "--chart: argo-cd is none of the addons",
        ),
        (
            &["--addon", "redis"],
            "is no addon: expected one of argo-cd",
        ),
        (&["--chart", "kyverno=^3"], "is no exact version"),
        (
            &["--argocd-version", "latest"],
            "expected a version of Argo CD such as v3.6.1",
        ),
        (
            &["--environment", "prod-eu"],
            "expected lower-case letters and digits",
        ),
        (&["--revision", "a b"], "expected a branch or tag"),
        (&["--apply"], "cannot be used with"),
    ] {
        let folder = Folder::with(&[]);
        let run = bootstrap(&folder, &[&["--yes"], flags].concat());
        assert_eq!(run.status(), 2, "{}", run.transcript());
        assert!(run.stderr().contains(said), "{said}\n{}", run.transcript());
        assert!(!folder.path().join("fleet").exists(), "{flags:?}");
    }
}

#[test]
fn a_folder_that_is_a_file_is_told() {
    let folder = Folder::with(&[("fleet", "")]);
    let run = bootstrap(&folder, &["--yes"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr()
            .contains("fleet/README.md: expected a file or nothing"),
        "{}",
        run.transcript()
    );
}

const PROJECT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/root";
const ROOT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root";

fn root(status: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "root", "namespace": "argocd"},
        "status": status,
    })
}

/// Lays the root of a repository into a cluster, with more flags.
fn apply(folder: &Folder, server: &ApiServer, flags: &[&str]) -> Ran {
    folder.add(&[("kubeconfig", &server.kubeconfig("{}"))]);
    let start = [
        "bootstrap",
        "fleet",
        "--apply",
        "--kubeconfig",
        "kubeconfig",
    ];
    folder.run(&[&start, flags].concat())
}

/// An API server that takes the root, and on which Argo CD then does this.
fn devops(states: &[Value]) -> ApiServer {
    let server = ApiServer::start();
    for path in [PROJECT, ROOT] {
        server.accepts(
            &format!("PATCH {path}"),
            200,
            json!({"metadata": {"name": "root"}}),
        );
    }
    // It is asked for what is there and how that is.
    for _ in 0..2 {
        server.then_answers(
            ROOT,
            404,
            support::api_server::status(404, "NotFound", "there is none"),
        );
    }
    for state in states {
        server.then_answers(ROOT, 200, root(state));
    }
    server
}

#[test]
fn the_root_is_applied_and_waited_for() {
    let folder = laid_out(&[]);
    let server = devops(&[
        json!({}),
        json!({"sync": {"status": "OutOfSync"}, "operationState": {"phase": "Running"}}),
        json!({"sync": {"status": "Synced"}, "operationState": {"phase": "Succeeded"}}),
    ]);

    let run = apply(&folder, &server, &["--yes"]);

    assert_snapshot!(run.transcript());
    let writes = server.writes();
    let targets: Vec<&str> = writes.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(
        targets,
        [
            &*format!("PATCH {PROJECT}?&fieldManager=kubectl-gitops"),
            &*format!("PATCH {ROOT}?&fieldManager=kubectl-gitops"),
            &*format!("PATCH {ROOT}?&fieldManager=kubectl-gitops"),
        ]
    );
    let refresh = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}});
    assert_eq!(writes[2].1, refresh);
    let server_side = server.requests().into_iter().filter(|head| {
        head.to_lowercase()
            .contains("content-type: application/apply-patch+yaml")
    });
    assert_eq!(server_side.count(), 2);
}

#[test]
fn nobody_is_waited_for_longer_than_that() {
    let folder = laid_out(&[]);
    let failing = json!({
        "sync": {"status": "Unknown"},
        "conditions": [{"type": "ComparisonError", "message": "bootstrap: app path does not exist"}],
    });
    let run = apply(&folder, &devops(&[failing]), &["--yes", "--timeout", "1s"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    for said in [
        "Argo CD has not synced it within 1 s: it is Unknown; ComparisonError: bootstrap: app path does not exist",
        "`kubectl gitops bootstrap fleet --apply` goes on from there",
        "to go back: kubectl delete application/root --namespace argocd",
    ] {
        assert!(run.stderr().contains(said), "{said}\n{}", run.transcript());
    }
}

#[test]
fn a_sync_that_failed_for_good_is_not_waited_for() {
    let folder = laid_out(&[]);
    let failed = json!({
        "sync": {"status": "OutOfSync"},
        "operationState": {"phase": "Failed"},
        "conditions": [{"type": "SyncError", "message": "Failed last sync attempt: denied the request"}],
    });
    let run = apply(&folder, &devops(&[failed]), &["--yes", "-o", "json"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    let report = run.json();
    assert_eq!(report["summary"]["failed"], 1);
    let error = report["error"].as_str().unwrap();
    assert!(
        error.contains("Argo CD could not sync it: Failed last sync attempt: denied the request"),
        "{error}"
    );
}

#[test]
fn nothing_is_applied_unless_somebody_agrees() {
    let folder = laid_out(&[]);
    for flags in [&[][..], &["--dry-run", "client"]] {
        let server = devops(&[]);
        let run = apply(&folder, &server, flags);
        assert_eq!(
            run.status(),
            if flags.is_empty() { 2 } else { 0 },
            "{}",
            run.transcript()
        );
        assert!(server.writes().is_empty(), "{}", run.transcript());
    }
}

#[test]
fn the_api_server_is_asked_only_in_a_server_side_dry_run() {
    let folder = laid_out(&[]);
    let server = devops(&[]);
    let run = apply(&folder, &server, &["--dry-run", "server", "-o", "json"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    let summary = &run.json()["summary"];
    assert_eq!(
        (&summary["wouldBeDone"], &summary["notAsked"]),
        (&json!(1), &json!(2))
    );
    let writes = server.writes();
    assert!(
        writes
            .iter()
            .all(|(target, _)| target.contains("dryRun=All")),
        "{writes:?}"
    );
}

/// It goes on where it was.
#[test]
fn what_is_applied_already_is_not_applied_again() {
    let folder = laid_out(&[]);
    let read = |path: &str| {
        let text = fs::read_to_string(folder.path().join("fleet").join(path)).unwrap();
        golang::yaml::value(&text).unwrap()
    };
    let server = ApiServer::start();
    server.answers(PROJECT, 200, read("bootstrap/projects/root.yaml"));
    let mut application = read("bootstrap/root.yaml");
    application["status"] = json!({"sync": {"status": "Synced"}});
    server.answers(ROOT, 200, application.clone());
    let run = apply(&folder, &server, &[]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert!(
        run.stderr().contains("nothing is to be done"),
        "{}",
        run.transcript()
    );
    assert!(server.writes().is_empty());
}

#[test]
fn what_the_webhook_refuses_is_told() {
    let folder = laid_out(&[]);
    let server = devops(&[]);
    let message = "admission webhook \"applications.kubectl-gitops.io\" denied the request: project-scope: spec.project: no such project";
    let refusal = support::api_server::status(403, "Forbidden", message);
    server.accepts(&format!("PATCH {ROOT}"), 403, refusal);
    let run = apply(&folder, &server, &["--yes"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(run.stderr().contains(message), "{}", run.transcript());
    let undo = "to go back: kubectl delete appproject/root --namespace argocd";
    assert!(run.stderr().contains(undo), "{}", run.transcript());
}

#[test]
fn a_folder_without_a_root_is_told_with_what_comes_first() {
    let folder = Folder::with(&[]);
    let run = apply(&folder, &ApiServer::start(), &["--yes"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr()
            .contains("without --apply it lays out the repository"),
        "{}",
        run.transcript()
    );

    for (path, text, said) in [
        (
            "bootstrap/root.yaml",
            "kind: [",
            "cannot read fleet/bootstrap/root.yaml",
        ),
        (
            "bootstrap/root.yaml",
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: other}\n",
            "fleet/bootstrap/root.yaml: metadata.name: it is \"other\": expected root",
        ),
        (
            "bootstrap/root.yaml",
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: root, namespace: a/b}\n",
            "metadata.namespace: it is \"a/b\": expected the namespace that Argo CD runs in",
        ),
    ] {
        let folder = laid_out(&["--addon", "none"]);
        let path = Path::new("fleet").join(path);
        folder.add(&[(path.to_str().unwrap(), text)]);
        let run = apply(&folder, &ApiServer::start(), &["--yes"]);
        assert_eq!(run.status(), 2, "{}", run.transcript());
        assert!(run.stderr().contains(said), "{said}\n{}", run.transcript());
    }
}
