//! kubectl's flags: where they may stand, and which namespace counts.

mod support;

use serde_json::{Value, json};

use support::api_server::ApiServer;
use support::{Folder, Ran};

const ARGO_CD: &str = "/apis/argoproj.io/v1alpha1";

const APPLICATION_SET: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: carts}
spec:
  generators: [{list: {elements: [{name: a}]}}]
  template:
    metadata: {name: 'cart-{{name}}'}
    spec:
      project: shop
      source: {repoURL: https://git.example.com/shop.git, path: ., targetRevision: v1.0.0}
      destination: {server: https://kubernetes.default.svc, namespace: cart}
";

const PROJECT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop}
spec:
  sourceRepos: [https://git.example.com/shop.git]
  destinations: [{server: https://kubernetes.default.svc, namespace: cart}]
";

/// An API server on which each command finds something to do, in the namespaces argocd and shop.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn server() -> ApiServer {
    let server = ApiServer::start();
    let application = |namespace: &str| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "orders", "namespace": namespace, "resourceVersion": "1", "uid": "u"},
            "spec": {
                "project": "shop",
                "source": {"repoURL": "https://git.example.com/shop.git", "path": ".", "targetRevision": "v1.0.0"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "cart"},
            },
        })
    };
    for namespace in ["argocd", "shop"] {
        for plural in ["applications", "applicationsets", "appprojects"] {
            server.lists(&format!("{ARGO_CD}/namespaces/{namespace}/{plural}"), &[]);
        }
        let path = format!("{ARGO_CD}/namespaces/{namespace}/applications");
        server.lists(&path, &[application(namespace)]);
        server.answers(&format!("{path}/orders"), 200, application(namespace));
        server.accepts(&format!("PATCH {path}/orders"), 200, json!({}));
    }
    let project = golang::yaml::value(PROJECT).unwrap();
    let project = with(
        &project,
        &json!({"metadata": {"name": "shop", "namespace": "argocd"}}),
    );
    server.lists(
        &format!("{ARGO_CD}/namespaces/argocd/appprojects"),
        &[project],
    );
    server.accepts(
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        201,
        json!({"status": {"allowed": true}}),
    );
    server.accepts(
        "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
        201,
        json!({"status": {"userInfo": {"username": "alice"}}}),
    );
    server
}

fn with(object: &Value, change: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, change);
    object
}

/// Two contexts, of which the one that is not current is for the namespace shop.
fn kubeconfig(server: &ApiServer) -> String {
    server.kubeconfig("{}").replace(
        "contexts:\n",
        "contexts:\n  - {name: shop, context: {cluster: here, user: me, namespace: shop}}\n",
    )
}

fn folder(server: &ApiServer) -> Folder {
    Folder::with(&[
        ("kubeconfig", &*kubeconfig(server)),
        ("set.yaml", APPLICATION_SET),
    ])
}

/// What each command is called with, apart from the flags.
const COMMANDS: [&[&str]; 7] = [
    &["audit"],
    &["check", "--facts", "live", "set.yaml"],
    &["preview", "-f", "set.yaml"],
    &["break-glass", "list"],
    &["break-glass", "revoke", "orders"],
    &["break-glass", "why", "app/orders"],
    &["version"],
];

/// What goes over the wire: the first lines of all requests, and who asks.
fn asked(server: &ApiServer) -> Vec<String> {
    let requests = server.requests();
    let mut lines: Vec<String> = requests
        .iter()
        .map(|head| {
            let lower = head.to_lowercase();
            let lines = head.lines().zip(lower.lines());
            let told = lines
                .filter(|(_, line)| line.contains(" http/1.1") || line.starts_with("impersonate-"));
            told.map(|(line, _)| line).collect::<Vec<_>>().join(" ")
        })
        .collect();
    // Some are asked at the same time.
    lines.sort();
    lines
}

#[test]
fn flags_mean_the_same_before_and_behind_each_command() {
    let flags = [
        "--kubeconfig",
        "kubeconfig",
        "--context=shop",
        "--as",
        "alice",
        "--as-group",
        "a",
        "--as-group=b",
    ];
    for command in COMMANDS {
        let mut expected: Option<(i32, Vec<String>, String)> = None;
        for place in 0..=command.len() {
            let (before, behind) = command.split_at(place);
            // A flag and its value are not torn apart.
            if before
                .last()
                .is_some_and(|word| ["-f", "--facts"].contains(word))
            {
                continue;
            }
            let server = server();
            let words = [before, &flags, behind].concat();
            let run = folder(&server).run(&words);
            let got = (run.status(), asked(&server), run.stdout());
            assert_ne!(got.0, 2, "{words:?}: {}", run.transcript());
            assert!(
                got.1.iter().all(|request| request.contains("alice")),
                "{words:?}: {:#?}",
                got.1
            );
            match &expected {
                None => expected = Some(got),
                Some(expected) => assert_eq!(&got, expected, "{words:?}"),
            }
        }
    }
}

/// Flags on both sides add up; of two that contradict each other the later one counts, as for
/// kubectl.
#[test]
fn the_later_flag_counts_and_groups_add_up() {
    let server = server();
    let run = folder(&server).run(&[
        "--context",
        "nowhere",
        "--as-group",
        "a",
        "--kubeconfig",
        "kubeconfig",
        "break-glass",
        "--as-group",
        "b",
        "list",
        "--context",
        "here",
        "--as",
        "alice",
        "--as-group",
        "c",
    ]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    let requests = server.requests().join("\n").to_lowercase();
    for group in ["a", "b", "c"] {
        assert!(
            requests.contains(&format!("impersonate-group: {group}\r")),
            "{group}: {requests}"
        );
    }
}

#[test]
fn a_flag_that_needs_another_finds_it_wherever_that_stands() {
    let folder = Folder::with(&[]);
    let alone = folder.run(&["--as-group", "a", "audit"]);
    assert_eq!(alone.status(), 2);
    assert!(alone.stderr().contains("--as <USER>"), "{}", alone.stderr());
    let wrong = folder.run(&["--contxt", "a", "audit"]);
    assert_eq!(wrong.status(), 2);
    assert!(
        wrong.stderr().contains("unexpected argument '--contxt'"),
        "{}",
        wrong.stderr()
    );
    let none = folder.run(&["--context", "a"]);
    assert_eq!(none.status(), 2);
    assert!(
        none.stderr().contains("requires a subcommand"),
        "{}",
        none.stderr()
    );
}

#[test]
fn where_no_cluster_is_asked_flags_for_one_are_refused() {
    let folder = Folder::with(&[("set.yaml", APPLICATION_SET), ("there/p.yaml", PROJECT)]);
    let check: &[&str] = &["check", "set.yaml"];
    let preview: &[&str] = &["preview", "-f", "set.yaml", "--against", "there"];
    for (flag, value) in [
        ("--kubeconfig", Some("x")),
        ("--context", Some("x")),
        ("--cluster", Some("x")),
        ("--user", Some("x")),
        ("--server", Some("https://x")),
        ("--token", Some("hunter2")),
        ("--as", Some("x")),
        ("--request-timeout", Some("0")),
        ("--insecure-skip-tls-verify", None),
    ] {
        let given: Vec<_> = [flag].into_iter().chain(value).collect();
        for command in [check, preview] {
            for words in [[&given[..], command].concat(), [command, &given].concat()] {
                let run = folder.run(&words);
                assert_eq!(run.status(), 2, "{words:?}: {}", run.transcript());
                let start = format!("error: {flag}: ");
                assert!(
                    run.stderr().starts_with(&start) && run.stderr().contains("--facts live"),
                    "{words:?}: {}",
                    run.transcript()
                );
                assert!(!run.transcript().contains("hunter2"));
                assert_eq!(run.stdout(), "");
            }
        }
    }
}

/// As `kubectl completion` does.
#[test]
fn commands_that_never_ask_a_cluster_take_no_notice_of_flags_for_one() {
    let folder = Folder::with(&[]);
    let flags = ["--context", "x", "-n", "shop"];
    for command in [
        &["explain", "prod-auto-sync"][..],
        &["completion", "bash"],
        &["version", "--client", "-o", "json"],
    ] {
        let plain = folder.run(command).transcript();
        for words in [[&flags, command].concat(), [command, &flags].concat()] {
            assert_eq!(folder.run(&words).transcript(), plain, "{words:?}");
        }
        let help = folder.run(&[command[0], "--help"]).stdout();
        assert_eq!(
            help.contains("--context"),
            command[0] == "version",
            "{help}"
        );
    }
}

fn of_contexts(command: &[&str], flags: &[&str]) -> (Ran, Vec<String>) {
    let server = server();
    let run = folder(&server).run(&[&["--kubeconfig", "kubeconfig"], command, flags].concat());
    let requests = asked(&server);
    (run, requests)
}

/// It was believed that objects are looked for in Argo CD's namespace unless `-n` says otherwise.
#[test]
fn the_namespace_of_the_context_counts() {
    for (flags, namespace) in [
        (&[][..], "argocd"),
        (&["--context", "shop"], "shop"),
        (&["--context", "shop", "-n", "argocd"], "argocd"),
        (&["-n", "shop"], "shop"),
        (
            &["--context", "shop", "--argocd-namespace", "argocd"],
            "shop",
        ),
    ] {
        for (command, asked_for) in [
            (&["audit"][..], "applications"),
            (&["break-glass", "list"], "applications"),
            (&["break-glass", "revoke", "orders"], "applications/orders"),
            (&["break-glass", "why", "app/orders"], "applications/orders"),
            (
                &[
                    "break-glass",
                    "grant",
                    "orders",
                    "--rule",
                    "prod-auto-sync",
                    "--for",
                    "1h",
                    "--reason",
                    "x",
                    "--dry-run",
                    "client",
                ],
                "applications/orders",
            ),
        ] {
            let (run, requests) = of_contexts(command, flags);
            let is_asked = |namespace: &str| {
                let path = format!("GET {ARGO_CD}/namespaces/{namespace}/{asked_for}");
                requests.iter().any(|request| {
                    request
                        .strip_prefix(&path)
                        .is_some_and(|rest| rest.starts_with(['?', ' ']))
                })
            };
            let other = if namespace == "shop" {
                "argocd"
            } else {
                "shop"
            };
            assert!(
                is_asked(namespace) && !is_asked(other),
                "{command:?} {flags:?}: {requests:#?}\n{}",
                run.transcript()
            );
            // Where Argo CD runs is another question.
            assert!(
                requests
                    .iter()
                    .any(|request| request.contains("namespaces/argocd/"))
                    || command[1] == "why",
                "{command:?} {flags:?}: {requests:#?}"
            );
        }
    }
}

#[test]
fn the_namespace_of_a_context_must_be_one() {
    let server = server();
    let hostile = kubeconfig(&server).replace("namespace: shop", "namespace: 'a/../b'");
    let folder = Folder::with(&[("kubeconfig", &*hostile)]);
    let start = ["--kubeconfig", "kubeconfig", "audit", "--context"];
    let run = folder.run(&[&start[..], &["shop"]].concat());
    assert_eq!(run.status(), 2);
    assert_eq!(
        run.stderr(),
        "error: the context's namespace \"a/../b\" is not a name of a namespace\n"
    );
    assert!(server.requests().is_empty());
    let run = folder.run(&[&start[..], &["here"]].concat());
    assert!(run.status() < 2, "{}", run.transcript());
}

/// What names no namespace in FILE is put where `kubectl apply` would put it.
#[test]
fn a_preview_puts_objects_where_kubectl_would() {
    let in_namespace = |namespace: &str| {
        let set = golang::yaml::value(APPLICATION_SET).unwrap();
        let identity = json!({"metadata": {"name": "carts", "namespace": namespace}});
        with(&set, &identity)
    };
    for (flags, namespace) in [
        (&[][..], "argocd"),
        (&["--context", "shop"], "shop"),
        (&["-n", "shop"], "shop"),
        (&["--context", "shop", "-n", "argocd"], "argocd"),
    ] {
        let server = server();
        server.lists(
            &format!("{ARGO_CD}/applicationsets"),
            &[in_namespace(namespace)],
        );
        let words = [
            &["preview", "-f", "set.yaml", "--kubeconfig", "kubeconfig"],
            flags,
        ]
        .concat();
        let run = folder(&server).run(&words);
        // It is there already, so that nothing changes.
        assert_eq!(run.status(), 0, "{words:?}: {}", run.transcript());
        let facts = server.requests().join("\n");
        assert!(
            facts.contains("/namespaces/argocd/secrets"),
            "{words:?}: {facts}"
        );
    }
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: {argocd.argoproj.io/secret-type: cluster}}\nstringData: {name: a, server: https://a.example.com}\n";
    let server = server();
    let folder = folder(&server);
    folder.add(&[("secret.yaml", secret)]);
    let start = ["preview", "-f", "secret.yaml", "--kubeconfig", "kubeconfig"];
    let run = folder.run(&[&start[..], &["--context", "shop"]].concat());
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr()
            .contains("counts as being in shop, and a Secret is a cluster only in argocd"),
        "{}",
        run.transcript()
    );
}

/// `-n` was another name for `--argocd-namespace` to some commands, and refused beside it.
#[test]
fn files_are_in_one_namespace_and_argo_cd_in_another() {
    let application = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: orders}
spec:
  project: shop
  source: {repoURL: https://git.example.com/shop.git, path: ., targetRevision: v1.0.0}
  destination: {server: https://kubernetes.default.svc, namespace: cart}
";
    let of_argo_cd = PROJECT
        .replace("name: shop", "name: shop, namespace: gitops")
        .replace("spec:", "spec:\n  sourceNamespaces: [team]");
    let files = Folder::with(&[("orders.yaml", application), ("project.yaml", &*of_argo_cd)]);
    let run = files.run(&["check", "-n", "team", "--argocd-namespace", "gitops"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    // Without `-n` they are where Argo CD is.
    let run = files.run(&["--argocd-namespace", "gitops", "check"]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    // The project does not let Applications of other namespaces in.
    let run = files.run(&[
        "-n",
        "other",
        "--argocd-namespace",
        "gitops",
        "check",
        "-o",
        "json",
    ]);
    assert_eq!(
        run.levels_of("project-scope").len(),
        1,
        "{}",
        run.transcript()
    );

    let files = Folder::with(&[("project.yaml", PROJECT)]);
    let run = files.run(&["check", "-n", "gitops"]);
    assert!(
        run.stderr().contains(
            "note: Argo CD is taken to run in gitops, where AppProjects are; --argocd-namespace says where it runs"
        ),
        "{}",
        run.transcript()
    );
}

#[test]
fn all_namespaces_and_one_are_not_both() {
    let folder = Folder::with(&[]);
    for words in [
        &["-n", "shop", "audit", "-A"][..],
        &["break-glass", "-n", "shop", "list", "-A"],
    ] {
        let run = folder.run(words);
        assert_eq!(run.status(), 2);
        assert!(
            run.stderr().contains("cannot be used with"),
            "{}",
            run.stderr()
        );
    }
}

/// A context that is for a team's namespace says nothing about where Argo CD's Deployments are.
#[test]
fn versions_are_those_of_argo_cds_namespace() {
    for (flags, namespace) in [
        (&[][..], "argocd"),
        (&["--context", "shop"], "argocd"),
        (&["-n", "shop"], "shop"),
        (&["--argocd-namespace", "shop"], "shop"),
    ] {
        let (run, requests) = of_contexts(&["version"], flags);
        let expected = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        assert!(
            requests.iter().any(|request| request.contains(&expected)),
            "{flags:?}: {requests:#?} {}",
            run.transcript()
        );
    }
}
