//! Words that a kubeconfig or a cluster has.

mod support;

use std::os::unix::fs::symlink;

use serde_json::json;

use support::api_server::{ApiServer, CLUSTERS};
use support::{Folder, run_as};

const ARGO_CD: &str = "/apis/argoproj.io/v1alpha1";

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: staging
contexts:
  - {name: staging, context: {cluster: staging-eu, user: alice}}
  - {name: prod, context: {cluster: prod-eu, user: bob, namespace: shop}}
  - {name: \"torn\\nname\", context: {cluster: prod-eu, user: bob}}
clusters:
  - {name: staging-eu, cluster: {server: 'http://127.0.0.1:1'}}
  - {name: prod-eu, cluster: {server: 'http://127.0.0.1:1'}}
users:
  - {name: alice, user: {token: hunter2}}
  - {name: bob, user: {token: hunter2}}
";

/// The candidates, without their help, and without flags.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn complete(folder: &Folder, words: &[&str]) -> Vec<String> {
    let completer = folder.path().join("kubectl_complete-gitops");
    if !completer.exists() {
        symlink(env!("CARGO_BIN_EXE_kubectl-gitops"), &completer).unwrap();
    }
    let run = run_as(&completer, folder.path(), words, "");
    assert_eq!((run.status(), &*run.stderr()), (0, ""), "{words:?}");
    assert!(!run.stdout().contains("hunter2"), "{}", run.stdout());
    let output = run.stdout();
    let mut lines: Vec<&str> = output.lines().collect();
    let directive = lines.pop().unwrap();
    assert!(directive.starts_with(':'), "{output}");
    let candidates = lines.into_iter().map(|line| match line.split_once('\t') {
        Some((candidate, _)) => candidate.to_owned(),
        None => line.to_owned(),
    });
    candidates
        .filter(|candidate| !candidate.starts_with('-'))
        .collect()
}

#[test]
fn what_the_kubeconfig_has_is_completed_wherever_a_flag_stands() {
    let folder = Folder::with(&[("kubeconfig", KUBECONFIG)]);
    for (flag, names) in [
        ("--context", ["staging", "prod"]),
        ("--cluster", ["staging-eu", "prod-eu"]),
        ("--user", ["alice", "bob"]),
    ] {
        for before in [
            &["--kubeconfig", "kubeconfig"][..],
            &["--kubeconfig=kubeconfig", "audit"],
            &["audit", "--kubeconfig", "kubeconfig"],
            &["break-glass", "--kubeconfig", "kubeconfig", "list"],
            &["preview", "-f", "x", "--kubeconfig", "kubeconfig"],
        ] {
            let words = [before, &[flag, ""]].concat();
            assert_eq!(complete(&folder, &words), names, "{words:?}");
        }
        let (first, _) = names[0].split_at(2);
        let words = ["--kubeconfig", "kubeconfig", "version", flag, first];
        assert_eq!(complete(&folder, &words), [names[0]], "{words:?}");
    }
    let words = ["check", "--kubeconfig", "kubeconfig", "--context=p"];
    let run = run_as(
        &folder.path().join("kubectl_complete-gitops"),
        folder.path(),
        &words,
        "",
    );
    assert_eq!(run.stdout(), "--context=prod\n:4\n");
}

#[test]
fn a_kubeconfig_that_cannot_be_read_has_no_words_and_is_not_complained_of() {
    let folder = Folder::with(&[("broken", "users: [{token: hunter2}\n")]);
    for words in [
        &["--kubeconfig", "broken", "check", "--context", ""][..],
        &["--kubeconfig", "absent", "check", "--context", ""],
        &["check", "--context", ""],
        &["--kubeconfig", "broken", "audit", "-n", ""],
        &["--kubeconfig", "broken", "break-glass", "grant", "app/"],
    ] {
        assert_eq!(complete(&folder, words), [""; 0], "{words:?}");
    }
}

/// Objects in Argo CD's namespace, and some in the one that a context is for.
fn server() -> ApiServer {
    let server = ApiServer::start();
    let named = |names: &[&str]| {
        let names = names.iter();
        names
            .map(|name| json!({"metadata": {"name": name}}))
            .collect::<Vec<_>>()
    };
    server.lists("/api/v1/namespaces", &named(&["argocd", "shop", "default"]));
    let own = format!("{ARGO_CD}/namespaces/argocd");
    server.lists(
        &format!("{own}/applications"),
        &named(&["orders", "carts", "applesauce"]),
    );
    server.lists(&format!("{own}/applicationsets"), &named(&["ingress"]));
    server.lists(
        &format!("{own}/appprojects"),
        &named(&["default", "platform"]),
    );
    server.lists(CLUSTERS, &named(&["prod-eu"]));
    let shop = format!("{ARGO_CD}/namespaces/shop/applications");
    server.lists(&shop, &named(&["baskets"]));
    server.warns("/api/v1/namespaces", "299 - \"nobody wants to read this\"");
    server
}

fn with_server(server: &ApiServer) -> Folder {
    let kubeconfig = server.kubeconfig("{}").replace(
        "contexts:\n",
        "contexts:\n  - {name: shop, context: {cluster: here, user: me, namespace: shop}}\n",
    );
    Folder::with(&[("kubeconfig", &*kubeconfig)])
}

#[test]
fn what_the_cluster_has_is_completed() {
    let server = server();
    let folder = with_server(&server);
    let kinds = ["application/", "applicationset/", "appproject/", "secret/"];
    for (words, expected) in [
        (&["audit", "-n", ""][..], &["argocd", "shop", "default"][..]),
        (&["check", "--namespace", "s"], &["shop"]),
        (&["preview", "--argocd-namespace", "a"], &["argocd"]),
        (&["break-glass", "list", "-n", "d"], &["default"]),
        (&["-n", "sh"], &["shop"]),
        (&["break-glass", "grant", "o"], &["orders"]),
        (
            &["break-glass", "revoke", "app"],
            &[
                "application/",
                "applicationset/",
                "appproject/",
                "applesauce",
            ],
        ),
        (
            &["break-glass", "grant", "app/"],
            &["app/orders", "app/carts", "app/applesauce"],
        ),
        (&["break-glass", "grant", "appset/"], &["appset/ingress"]),
        (
            &["break-glass", "revoke", "appproject/p"],
            &["appproject/platform"],
        ),
        (&["break-glass", "revoke", "secret/"], &["secret/prod-eu"]),
        (&["break-glass", "why", "secrets/p"], &["secrets/prod-eu"]),
        (&["break-glass", "why", "app/c"], &["app/carts"]),
        (
            &["break-glass", "why", "applicationset/"],
            &["applicationset/ingress"],
        ),
        (&["break-glass", "why", "prod-auto"], &["prod-auto-sync"]),
        (&["break-glass", "grant", "pod/"], &[]),
        (
            &["break-glass", "grant", "-n", "shop", ""],
            &[&kinds[..], &["baskets"]].concat(),
        ),
        (
            &["break-glass", "grant", "--context", "shop", "b"],
            &["baskets"],
        ),
        (
            &[
                "--context",
                "shop",
                "break-glass",
                "grant",
                "--rule",
                "x",
                "app/",
            ],
            &["app/baskets"],
        ),
    ] {
        let words = [&["--kubeconfig", "kubeconfig"], words].concat();
        assert_eq!(complete(&folder, &words), expected, "{words:?}");
    }
    let whole = complete(
        &folder,
        &["--kubeconfig", "kubeconfig", "break-glass", "why", ""],
    );
    assert!(
        whole.contains(&"secret/".to_owned()) && whole.contains(&"prod-auto-sync".to_owned()),
        "{whole:?}"
    );
    // Of no object more than its metadata was asked for.
    let requests = server.requests().join("\n").to_lowercase();
    assert!(
        !requests.contains("accept: application/json\r"),
        "{requests}"
    );
    assert!(server.writes().is_empty());
}

#[test]
fn the_shell_adds_no_space_where_a_name_is_to_follow() {
    let server = server();
    let folder = with_server(&server);
    complete(&folder, &[""]);
    let answer = |word: &str| {
        let words = ["--kubeconfig", "kubeconfig", "break-glass", "grant", word];
        let completer = folder.path().join("kubectl_complete-gitops");
        run_as(&completer, folder.path(), &words, "").stdout()
    };
    assert_eq!(answer("sec"), "secret/\n:6\n");
    assert_eq!(answer("secret/"), "secret/prod-eu\n:4\n");
}

#[test]
fn what_may_not_be_listed_is_not_complained_of() {
    let server = server();
    server.forbids("/api/v1/namespaces");
    server.forbids(CLUSTERS);
    let folder = with_server(&server);
    for words in [
        &["audit", "-n", ""][..],
        &["break-glass", "grant", "secret/"],
    ] {
        let words = [&["--kubeconfig", "kubeconfig"], words].concat();
        assert_eq!(complete(&folder, &words), [""; 0], "{words:?}");
    }
}

/// A credential plugin that waits for a browser must not hold up a shell.
#[test]
fn nobody_waits_for_a_cluster_that_does_not_answer() {
    let server = server();
    let script = r#"sleep 20; echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t0k3n"}}'"#;
    let user = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh",
        "args": ["-c", script], "interactiveMode": "Never",
    }});
    let folder = Folder::with(&[("kubeconfig", &*server.kubeconfig(&user.to_string()))]);
    // In the end it would log in.
    let words = ["--kubeconfig", "kubeconfig", "audit", "-n", ""];
    assert_eq!(complete(&folder, &words), [""; 0]);
}

#[test]
fn the_facts_of_files_are_files_or_live() {
    let folder = Folder::with(&[("library/x.yaml", "")]);
    for command in ["check", "preview"] {
        assert_eq!(
            complete(&folder, &[command, "--facts", "li"]),
            ["live", "library/"]
        );
        assert_eq!(
            complete(&folder, &[command, "--policy", "lib"]),
            ["library/"]
        );
    }
}
