//! `kubectl gitops version`.

mod support;

use serde_json::{Value, json};

use support::api_server::ApiServer;
use support::{Folder, Ran};

const WEBHOOK: &str =
    "/apis/apps/v1/namespaces/gitops-webhook/deployments?app.kubernetes.io/name=gitops-webhook";
const ARGO_CD: &str = "/apis/apps/v1/namespaces/argocd/deployments\
    ?app.kubernetes.io/part-of=argocd,app.kubernetes.io/component=server";

fn deployment(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})
}

fn version(server: &ApiServer, arguments: &[&str]) -> Ran {
    let folder = Folder::with(&[("kubeconfig", &*server.kubeconfig("{}"))]);
    let start = ["version", "--kubeconfig", "kubeconfig"];
    folder.run(&[&start, arguments].concat())
}

#[test]
fn the_client_has_a_version_and_a_commit() {
    let run = Folder::with(&[]).run(&["version", "--client", "-o", "json"]);
    let report = run.json();
    assert_eq!(report["client"]["version"], env!("CARGO_PKG_VERSION"));
    let commit = report["client"]["commit"].as_str().unwrap_or_default();
    let is_commit = commit.len() >= 12 && commit.chars().all(|c| c.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown", "{}", run.transcript());
    assert_eq!((run.status(), run.stderr()), (0, String::new()));
}

#[test]
fn the_server_side_is_what_the_deployments_say() {
    let server = ApiServer::start();
    server.lists(
        WEBHOOK,
        &[deployment("ghcr.io/kubectl-gitops/gitops-webhook:v0.1.0")],
    );
    server.lists(ARGO_CD, &[deployment("quay.io/argoproj/argocd:v3.6.1")]);
    let run = version(&server, &[]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    for line in [
        "gitops-webhook   v0.1.0    ghcr.io/kubectl-gitops/gitops-webhook:v0.1.0",
        "Argo CD          v3.6.1    quay.io/argoproj/argocd:v3.6.1",
    ] {
        assert!(run.stdout().contains(line), "{}", run.transcript());
    }
    assert_eq!(
        version(&server, &["-o", "json"]).json()["argocd"]["version"],
        "v3.6.1"
    );
}

#[test]
fn a_server_side_that_is_not_there_or_not_readable_is_told() {
    let server = ApiServer::start();
    server.lists(WEBHOOK, &[]);
    server.forbids(ARGO_CD);
    let run = version(&server, &[]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    assert!(
        run.stdout().contains("gitops-webhook   <none>"),
        "{}",
        run.transcript()
    );
    assert!(
        run.stderr().contains("cannot list deployments.apps"),
        "{}",
        run.transcript()
    );
    let alone = Folder::with(&[]).run(&["version"]);
    assert_eq!(alone.status(), 0, "{}", alone.transcript());
    assert!(
        alone.stderr().contains("there is no kubeconfig"),
        "{}",
        alone.transcript()
    );
}
