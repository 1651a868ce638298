//! `kubectl gitops preview`.

mod support;

use insta::assert_snapshot;
use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS};
use support::{Folder, Ran, fixtures, run_in};

const PROJECT: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: shop, namespace: argocd}
spec:
  sourceRepos: [https://git.example.com/shop/services.git]
  destinations:
    - {name: staging, namespace: '*'}
    - {name: prod, namespace: '*'}
";

const CLUSTERS_FILE: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: staging
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: cluster, environment: staging}
stringData: {name: staging, server: https://staging.example.com, config: '{}'}
---
apiVersion: v1
kind: Secret
metadata:
  name: prod
  namespace: argocd
  labels: {argocd.argoproj.io/secret-type: cluster, environment: prod}
stringData: {name: prod, server: https://prod.example.com, config: '{\"bearerToken\": \"hunter2\"}'}
";

/// One Application a cluster.
const CARTS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: carts, namespace: argocd}
spec:
  generators:
    - clusters:
        selector:
          matchExpressions: [{key: environment, operator: Exists}]
  template:
    metadata: {name: 'cart-{{name}}'}
    spec:
      project: shop
      source: {repoURL: https://git.example.com/shop/services.git, path: cart, targetRevision: v1.0.0}
      destination: {name: '{{name}}', namespace: cart}
      ignoreDifferences: [{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]
      syncPolicy: {syncOptions: [RespectIgnoreDifferences=true]}
";

/// What is there, and a file that is to come.
fn against(new: &str) -> Folder {
    Folder::with(&[
        ("new.yaml", new),
        ("there/carts.yaml", CARTS),
        ("there/clusters.yaml", CLUSTERS_FILE),
        ("there/project.yaml", PROJECT),
    ])
}

fn preview(folder: &Folder, arguments: &[&str]) -> Ran {
    let start = ["preview", "-f", "new.yaml", "--against", "there"];
    folder.run(&[&start, arguments].concat())
}

#[test]
fn nothing_happens_where_nothing_changes() {
    assert_snapshot!(preview(&against(CARTS), &[]).transcript());
}

#[test]
fn an_application_set_creates_changes_and_deletes() {
    let new = CARTS
        .replace("operator: Exists", "operator: In, values: [prod]")
        .replace("path: cart,", "path: charts/cart,");
    assert_snapshot!(preview(&against(&new), &[]).transcript());
    let second = CARTS
        .replace("carts", "searches")
        .replace("cart-", "search-");
    assert_snapshot!(preview(&against(&second), &[]).transcript());
}

/// Each of them had been listed as created and admitted.
#[test]
fn what_several_make_is_not_admitted_twice() {
    let copy = CARTS.replace("name: carts", "name: copies");
    let in_another_namespace = copy.replace("namespace: argocd", "namespace: team-a");
    let declared = |namespace: &str| {
        format!(
            "{}---\napiVersion: argoproj.io/v1alpha1\nkind: Application\n\
             metadata: {{name: search-prod, namespace: {namespace}}}\nspec: {{project: shop}}\n",
            CARTS
                .replace("carts", "searches")
                .replace("cart-", "search-")
        )
    };
    let both = format!(
        "{copy}---\n{}",
        CARTS.replace("name: carts", "name: others")
    );
    for (new, name, told) in [
        (&*copy, "cart-prod", Some("argocd/carts makes it as well")),
        (
            &*both,
            "cart-staging",
            Some("argocd/carts and 1 more make it as well"),
        ),
        (&*in_another_namespace, "cart-prod", None),
        (
            &*declared("argocd"),
            "search-prod",
            Some("new.yaml:18 makes it as well"),
        ),
        (&*declared("team-a"), "search-prod", None),
    ] {
        let run = preview(&against(new), &["-o", "json"]);
        let report = run.json();
        let applications = report["applications"].as_array().unwrap().iter();
        let mut of_it = applications.filter(|application| application["name"] == name);
        let application = of_it
            .next()
            .unwrap_or_else(|| panic!("{}", run.transcript()));
        let findings = application["findings"].to_string();
        match told {
            Some(told) => {
                assert!(findings.contains(told), "{findings}");
                assert_eq!(application["verdict"], "undecided", "{application}");
            }
            None => assert!(!findings.contains("as well"), "{findings}"),
        }
    }
}

#[test]
fn a_name_that_the_api_server_refuses_is_not_admitted() {
    let new = CARTS.replace("'cart-{{name}}'", "'Cart-{{server}}'");
    let run = preview(&against(&new), &[]);
    assert!(
        run.stdout().contains("denied: generated-applications"),
        "{}",
        run.transcript()
    );
}

#[test]
fn each_application_has_the_verdict_that_it_would_get() {
    let new = CARTS
        .replace("{syncOptions:", "{automated: {}, syncOptions:")
        .replace("project: shop", "project: absent");
    let folder = against(&new);
    assert_snapshot!(preview(&folder, &[]).transcript());
    assert_snapshot!(preview(&folder, &["-o", "wide"]).transcript());
    let json = preview(&folder, &["-o", "json"]);
    assert_snapshot!(json.transcript());
    let yaml = preview(&folder, &["-o", "yaml"]);
    assert_eq!(golang::yaml::value(&yaml.stdout()).unwrap(), json.json());
    assert_snapshot!(preview(&folder, &["-o", "name"]).stdout(), @r"
    application.argoproj.io/cart-prod
    application.argoproj.io/cart-staging
    ");
}

#[test]
fn a_cluster_secret_takes_along_what_is_generated_for_it() {
    let (staging, _) = CLUSTERS_FILE.split_once("---").unwrap();
    let without_label = staging.replace(", environment: staging", "");
    assert_snapshot!(preview(&against(&without_label), &[]).transcript());
    let another = staging
        .replace("name: staging", "name: staging-us")
        .replace("staging.example", "staging-us.example");
    assert_snapshot!(preview(&against(&another), &[]).transcript());
    assert_snapshot!(preview(&against(staging), &["--delete"]).transcript());
}

#[test]
fn deleting_takes_everything_along() {
    assert_snapshot!(preview(&against(CARTS), &["--delete"]).transcript());
    let other = CARTS.replace("carts", "others");
    assert_snapshot!(preview(&against(&other), &["--delete"]).transcript());
}

#[test]
fn objects_come_one_after_the_other() {
    let (staging, _) = CLUSTERS_FILE.split_once("---").unwrap();
    let third = staging.replace("name: staging", "name: third");
    let with_path = CARTS.replace("path: cart,", "path: third,");
    let wider = PROJECT.replace(
        "{name: prod,",
        "{name: third, namespace: '*'}\n    - {name: prod,",
    );
    // The first creates what the second changes, and the project comes before both.
    let run = preview(
        &against(&[&third, &*with_path, &wider].join("---\n")),
        &["-o", "json"],
    );
    let applications = run.json()["applications"].clone();
    let changes: Vec<Value> = applications
        .as_array()
        .unwrap()
        .iter()
        .map(|application| {
            json!([
                application["name"],
                application["change"],
                application["verdict"]
            ])
        })
        .collect();
    assert_eq!(
        changes,
        [
            json!(["cart-prod", "change", "admitted"]),
            json!(["cart-staging", "change", "admitted"]),
            json!(["cart-third", "create", "admitted"]),
        ]
    );
}

#[test]
fn a_file_is_compared_with_what_else_there_is() {
    let folder = against("");
    let run = |flags: &[&str]| {
        let start = ["preview", "-f", "there/carts.yaml", "--against", "."];
        folder.run(&[&start, flags].concat()).stderr()
    };
    assert_eq!(
        run(&[]),
        "warning: there/carts.yaml is part of --against and left out of it: what it holds counts as new, \
         so nothing in it is shown as changed or deleted\n\
         2 Applications: 2 created, 0 changed, 0 deleted; 0 denied, 0 undecided\n"
    );
    let deleted = run(&["--delete"]);
    assert!(
        deleted.starts_with("2 Applications: 0 created, 0 changed, 2 deleted"),
        "{deleted}"
    );
}

#[test]
fn what_is_not_known_and_what_fails_is_below_the_table() {
    let generator = "    - pullRequest: {github: {owner: shop, repo: cart}}\n  template:";
    let partly = CARTS.replace("  template:", generator);
    let failing = CARTS
        .replace("name: carts", "name: broken")
        .replace("cart-{{name}}", "cart");
    let run = preview(&against(&format!("{partly}---\n{failing}")), &[]);
    assert_snapshot!(run.transcript());
    let not_known = CARTS
        .replace("    - clusters:\n        selector:\n          matchExpressions: [{key: environment, operator: Exists}]\n", "    - pullRequest: {github: {owner: shop, repo: cart}}\n")
        .replace("name: carts", "name: previews");
    assert_eq!(preview(&against(&not_known), &[]).status(), 1);
}

#[test]
fn what_a_file_lacks_is_told() {
    let folder = against(PROJECT);
    assert_snapshot!(preview(&folder, &[]).transcript());
    let broken = CARTS.replace("name: 'cart-{{name}}'", "name: [cart]");
    assert_snapshot!(preview(&against(&broken), &[]).transcript());
    let run = folder.run(&["preview", "-f", "nowhere.yaml", "--against", "there"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert_snapshot!(folder.run(&["preview"]).transcript());
    let run = folder.run(&[
        "preview",
        "-f",
        "new.yaml",
        "--against",
        "there",
        "--context",
        "a",
    ]);
    assert_snapshot!(run.transcript());
}

#[test]
fn no_format_shows_what_a_secret_holds() {
    let new = CLUSTERS_FILE.replace(", environment: prod", "");
    for format in ["table", "wide", "json", "yaml", "name"] {
        let run = preview(&against(&new), &["-o", format]);
        assert_eq!(run.status(), 1, "{}", run.transcript());
        assert!(!run.transcript().contains("hunter2"), "{format}");
    }
}

#[test]
fn one_more_cluster_of_the_platform() {
    let without = "staging-us/registered.yaml";
    let platform = ["--against", "platform"];
    let registered = [&["preview", "-f", without], &platform[..]].concat();
    assert_snapshot!(run_in(&fixtures(), &registered, "").transcript());
    let labelled = [
        &[
            "preview",
            "-f",
            "staging-us/labelled.yaml",
            "--against",
            without,
        ],
        &platform[..],
    ];
    assert_snapshot!(run_in(&fixtures(), &labelled.concat(), "").transcript());
}

/// Objects of YAML as an API server has them.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn stored(text: &str) -> Vec<Value> {
    let documents = golang::yaml::documents(text).map(|document| document.unwrap().value);
    documents
        .map(|mut object| {
            let plain = object.as_object_mut().unwrap().remove("stringData");
            if let Some(Value::Object(plain)) = plain {
                let encode = |value: &Value| {
                    base64::Engine::encode(
                        &base64::prelude::BASE64_STANDARD,
                        value.as_str().unwrap(),
                    )
                };
                let data = plain
                    .iter()
                    .map(|(key, value)| (key.clone(), encode(value).into()));
                object["data"] = Value::Object(data.collect());
            }
            object
        })
        .collect()
}

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
const SETS: &str = "/apis/argoproj.io/v1alpha1/applicationsets";
const OWN_SETS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets";
const POLICY: &str = "/apis/kubectl-gitops.io/v1alpha1/gitopspolicies/default";
const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.argoproj.io";

/// A cluster that has what [`against`] has in files.
fn live() -> ApiServer {
    let server = ApiServer::start();
    server.lists(PROJECTS, &stored(PROJECT));
    server.lists(SETS, &stored(CARTS));
    server.lists(CLUSTERS, &stored(CLUSTERS_FILE));
    server
}

/// A folder with a file that is to come and the kubeconfig of a cluster.
fn with_kubeconfig(new: &str, server: &ApiServer, user: &str) -> Folder {
    Folder::with(&[("new.yaml", new), ("kubeconfig", &*server.kubeconfig(user))])
}

fn preview_live(folder: &Folder, arguments: &[&str]) -> Ran {
    let start = ["preview", "-f", "new.yaml", "--kubeconfig", "kubeconfig"];
    folder.run(&[&start, arguments].concat())
}

#[test]
fn a_live_cluster_gives_the_same_as_its_files() {
    let server = live();
    for new in [
        CARTS.to_owned(),
        CARTS.replace("path: cart,", "path: charts/cart,"),
        CARTS
            .replace("carts", "searches")
            .replace("cart-", "search-"),
        CLUSTERS_FILE.replace("environment: prod", "env: prod"),
    ] {
        let files = preview(&against(&new), &[]);
        let cluster = preview_live(&with_kubeconfig(&new, &server, "{}"), &[]);
        assert_eq!(cluster.transcript(), files.transcript());
    }
}

#[test]
fn a_live_cluster_is_only_read() {
    let server = live();
    let run = preview_live(&with_kubeconfig(CARTS, &server, "{}"), &["--delete"]);
    assert_eq!(run.status(), 3, "{}", run.transcript());
    let requests = server.requests();
    assert_eq!(requests.len(), 8, "{requests:?}");
    assert!(requests.iter().all(|request| request.starts_with("GET ")));
}

#[test]
fn the_policy_and_the_definition_of_a_live_cluster_count() {
    let server = live();
    server.answers(
        POLICY,
        200,
        json!({
            "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
            "metadata": {"name": "default"},
            "spec": {"rules": {"blast-radius": {"maxDeletions": {"prod": 0}}}},
        }),
    );
    let automated = json!({"properties": {"prune": {}}});
    let spec = json!({"properties": {"syncPolicy": {"properties": {"automated": automated}}}});
    server.answers(
        DEFINITION,
        200,
        json!({"spec": {"versions": [{
            "name": "v1alpha1",
            "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}},
        }]}}),
    );
    let new = CARTS
        .replace("operator: Exists", "operator: In, values: [staging]")
        .replace(
            "{syncOptions:",
            "{automated: {enabled: false}, syncOptions:",
        );
    assert_snapshot!(preview_live(&with_kubeconfig(&new, &server, "{}"), &[]).transcript());
    let new = CARTS.replace(
        "{syncOptions:",
        "{automated: {enabled: false}, syncOptions:",
    );
    let run = preview_live(&with_kubeconfig(&new, &server, "{}"), &[]);
    assert!(
        run.stdout().contains("denied: prod-auto-sync"),
        "{}",
        run.transcript()
    );
}

#[test]
fn lists_are_read_to_their_end() {
    let server = live();
    let clusters = stored(CLUSTERS_FILE);
    let page = |object: &Value, next: &str| json!({"kind": "List", "metadata": {"continue": next}, "items": [object]});
    let second = format!("{CLUSTERS}#second");
    server.answers(CLUSTERS, 200, page(&clusters[0], "second"));
    server.answers(&second, 200, page(&clusters[1], ""));
    let new = CARTS.replace("path: cart,", "path: charts/cart,");
    let run = preview_live(&with_kubeconfig(&new, &server, "{}"), &["-o", "name"]);
    assert_eq!(run.stdout().lines().count(), 2, "{}", run.transcript());
    server.answers(&second, 200, page(&clusters[1], "second"));
    let endless = preview_live(&with_kubeconfig(&new, &server, "{}"), &[]);
    assert_snapshot!(endless.transcript());
}

#[test]
fn what_the_user_may_not_read_is_named() {
    for path in [PROJECTS, CLUSTERS] {
        let server = live();
        server.forbids(path);
        let run = preview_live(&with_kubeconfig(CARTS, &server, "{}"), &[]);
        let name = format!(
            "forbidden_{}",
            path.rsplit('/').next().unwrap().split('?').next().unwrap()
        );
        assert_snapshot!(name, run.transcript());
    }
}

#[test]
fn what_can_do_without_is_done_without_and_told() {
    let server = live();
    for path in [
        SETS,
        POLICY,
        DEFINITION,
        "/api/v1/namespaces/argocd/configmaps/argocd-cm",
    ] {
        server.forbids(path);
    }
    server.lists(OWN_SETS, &stored(CARTS));
    assert_snapshot!(preview_live(&with_kubeconfig(CARTS, &server, "{}"), &[]).transcript());
}

#[test]
fn objects_that_cannot_be_read_are_left_out_and_told() {
    let server = live();
    let mut secrets = stored(CLUSTERS_FILE);
    secrets[0]["data"]["server"] = "hunter2!".into();
    server.lists(CLUSTERS, &secrets);
    let run = preview_live(&with_kubeconfig(CARTS, &server, "{}"), &[]);
    assert!(
        !run.transcript().contains("hunter2"),
        "{}",
        run.transcript()
    );
    assert_snapshot!(run.transcript());
}

#[test]
fn a_cluster_without_argo_cd_is_no_cluster_to_compare_with() {
    let server = live();
    server.answers(PROJECTS, 404, json!({"kind": "Status", "code": 404, "message": "the server could not find the requested resource", "reason": "NotFound"}));
    assert_snapshot!(preview_live(&with_kubeconfig(CARTS, &server, "{}"), &[]).transcript());
    let elsewhere = live();
    elsewhere.lists(PROJECTS, &[]);
    let run = preview_live(&with_kubeconfig(CARTS, &elsewhere, "{}"), &[]);
    assert!(
        run.stderr()
            .contains("there is no AppProject in namespace argocd"),
        "{}",
        run.transcript()
    );
}

#[test]
fn an_api_server_that_does_not_answer_is_not_waited_for() {
    // The system takes the connection, and nobody reads from it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let folder = with_kubeconfig(CARTS, &live(), "{}");
    let run = preview_live(&folder, &["-s", &address, "--request-timeout", "50ms"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    let told = format!("{address}/ took longer than 0.05 s to answer");
    assert!(run.stderr().contains(&told), "{}", run.transcript());
}

#[test]
fn the_flags_of_kubectl_say_as_whom() {
    let server = live();
    let folder = with_kubeconfig(CARTS, &server, "{token: t0k3n}");
    let run = preview_live(
        &folder,
        &[
            "--as",
            "alice",
            "--as-group",
            "a",
            "--as-group",
            "b",
            "--as-uid",
            "7",
        ],
    );
    assert_eq!(run.status(), 0, "{}", run.transcript());
    for request in server.requests() {
        let request = request.to_lowercase();
        for header in [
            "authorization: bearer t0k3n",
            "impersonate-user: alice",
            "impersonate-group: a",
            "impersonate-group: b",
            "impersonate-uid: 7",
        ] {
            assert!(request.contains(header), "no {header} in {request}");
        }
    }
    let as_group_alone = preview_live(&folder, &["--as-group", "a"]);
    assert_eq!(as_group_alone.status(), 2);
}

#[test]
fn a_token_on_the_command_line_counts_in_place_of_all_other_credentials() {
    let exec = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: /no/such, interactiveMode: Never}}";
    for user in ["{token: other}", "{username: a, password: b}", exec, "{}"] {
        let server = live();
        let folder = with_kubeconfig(CARTS, &server, user);
        let run = preview_live(&folder, &["--token", "t0k3n"]);
        assert_eq!(run.status(), 0, "{user}: {}", run.transcript());
        let requests = server.requests().join("\n").to_lowercase();
        assert!(
            requests.contains("authorization: bearer t0k3n"),
            "{user}: {requests}"
        );
        assert!(
            !requests.contains("authorization: basic"),
            "{user}: {requests}"
        );
    }
    let folder = with_kubeconfig(CARTS, &live(), "{}");
    let run = preview_live(&folder, &["--token", "t0\nk3n"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(!run.transcript().contains("k3n"), "{}", run.transcript());
}

#[test]
fn a_kubeconfig_may_say_as_whom_too() {
    let server = live();
    let folder = with_kubeconfig(CARTS, &server, "{as: bob, as-groups: [c]}");
    assert_eq!(preview_live(&folder, &[]).status(), 0);
    let requests = server.requests().join("\n").to_lowercase();
    assert!(requests.contains("impersonate-user: bob"), "{requests}");
    assert!(requests.contains("impersonate-group: c"), "{requests}");
}

#[test]
fn a_credential_plugin_logs_in_and_what_it_says_is_not_told() {
    let user = |script: &str| {
        json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh",
            "args": ["-c", script], "interactiveMode": "Never",
        }})
        .to_string()
    };
    let server = live();
    let credential = r#"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t0k3n"}}'"#;
    let run = preview_live(&with_kubeconfig(CARTS, &server, &user(credential)), &[]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    let requests = server.requests().join("\n").to_lowercase();
    assert!(
        requests.contains("authorization: bearer t0k3n"),
        "{requests}"
    );

    for (name, script) in [
        (
            "plugin_fails",
            "echo t0k3n; echo 'session expired, log in' >&2; exit 3",
        ),
        ("plugin_answers_nonsense", "echo '{token: t0k3n'"),
    ] {
        let run = preview_live(&with_kubeconfig(CARTS, &server, &user(script)), &[]);
        assert!(!run.transcript().contains("t0k3n"), "{}", run.transcript());
        assert_snapshot!(name, run.transcript());
    }
}

#[test]
fn mistakes_about_the_cluster_are_explained() {
    let server = live();
    let folder = with_kubeconfig(CARTS, &server, "{}");
    std::fs::write(folder.path().join("broken"), "users: [{token: t0k3n}\n").unwrap();
    for (name, arguments) in [
        ("no_such_context", &["--context", "there"][..]),
        ("no_such_cluster", &["--cluster", "there"]),
        ("no_such_user", &["--user", "you"]),
        ("no_such_kubeconfig", &["--kubeconfig", "nowhere"]),
        ("no_kubeconfig", &["--kubeconfig", "broken"]),
        ("bad_timeout", &["--request-timeout", "soon"]),
    ] {
        let start = match arguments[0] {
            "--kubeconfig" => &["preview", "-f", "new.yaml"][..],
            _ => &["preview", "-f", "new.yaml", "--kubeconfig", "kubeconfig"],
        };
        let run = folder.run(&[start, arguments].concat());
        assert!(!run.transcript().contains("t0k3n"), "{}", run.transcript());
        assert_snapshot!(name, run.transcript());
    }
    assert_snapshot!(
        "nothing_to_compare_with",
        folder.run(&["preview", "-f", "new.yaml"]).transcript()
    );
    let run = preview_live(&folder, &["--server", "http://127.0.0.1:1"]);
    assert_snapshot!("unreachable", run.transcript());
}

/// An ApplicationSet with one Application for each of these clusters.
fn orders(elements: &str, sync_policy: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {{ name: orders, namespace: argocd }}\nspec:\n  \
        syncPolicy: {sync_policy}\n  generators: [{{ list: {{ elements: [{elements}] }} }}]\n  template:\n    metadata: \
        {{ name: 'orders-{{{{cluster}}}}' }}\n    spec:\n      project: shop-prod\n      source: {{ repoURL: \
        https://git.example.com/shop/orders.git, path: deploy, targetRevision: v1.4.0 }}\n      destination: {{ name: \
        '{{{{cluster}}}}', namespace: shop }}\n"
    )
}

/// It was believed that what is deleted is what was generated until now.
#[test]
fn what_was_left_behind_goes_with_the_second_step_and_is_told() {
    let ceiling = "apiVersion: kubectl-gitops.io/v1alpha1\nkind: GitOpsPolicy\nmetadata: { name: default }\nspec: { rules: { blast-radius: { maxDeletions: { prod: 0 } } } }\n";
    let step = |new: &str, old: &str| {
        Folder::with(&[
            ("new.yaml", new),
            ("there/old.yaml", old),
            ("there/policy.yaml", ceiling),
        ])
    };
    let both = orders("{ cluster: eu-2 }, { cluster: eu-1 }", "{}");
    let kept = orders("{ cluster: eu-2 }", "{ applicationsSync: create-update }");
    let one = orders("{ cluster: eu-2 }", "{}");
    let first = preview(&step(&kept, &both), &[]);
    assert!(first.stdout().contains("orphan"), "{}", first.transcript());
    assert!(
        first.stderr().contains("0 deleted, 1 left behind"),
        "{}",
        first.transcript()
    );
    for (folder, arguments) in [
        (step(&one, &kept), &[][..]),
        (step(&kept, &kept), &["--delete"]),
    ] {
        let second = preview(&folder, arguments);
        assert_eq!(second.status(), 3, "{}", second.transcript());
        let text = second.stdout();
        assert!(
            text.contains("argocd/orders: deletes what it generated earlier and left behind")
                && text.contains("Refused by the webhook as it is:"),
            "{}",
            second.transcript()
        );
    }
}

#[test]
fn json_has_what_could_not_be_read() {
    let folder = against(&format!(
        "{CARTS}---\nkind: ApplicationSet\napiVersion: argoproj.io/v1alpha1\nmetadata: [\n"
    ));
    let run = preview(&folder, &["-o", "json"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    let report = run.json();
    assert_eq!(report["problems"][0]["file"], "new.yaml");
    assert!(
        report["problems"][0]["line"].as_u64().unwrap() > 1,
        "{report}"
    );
}

#[test]
fn an_argo_cd_is_found_by_its_projects() {
    let elsewhere = |text: &str| text.replace("namespace: argocd", "namespace: openshift-gitops");
    let folder = Folder::with(&[
        ("new.yaml", &*elsewhere(CARTS)),
        ("there/clusters.yaml", &*elsewhere(CLUSTERS_FILE)),
        ("there/project.yaml", &*elsewhere(PROJECT)),
    ]);
    let run = preview(&folder, &[]);
    assert_eq!(run.status(), 1, "{}", run.transcript());
    let told = "2 created, 0 changed, 0 deleted; 0 denied, 0 undecided";
    assert!(run.stderr().contains(told), "{}", run.transcript());

    // What names no namespace is in Argo CD's.
    let silent = Folder::with(&[
        ("new.yaml", &*CARTS.replace(", namespace: argocd", "")),
        ("there/clusters.yaml", &*elsewhere(CLUSTERS_FILE)),
        ("there/project.yaml", &*elsewhere(PROJECT)),
    ]);
    let run = preview(&silent, &[]);
    assert!(run.stderr().contains(told), "{}", run.transcript());
}
