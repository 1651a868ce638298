//! `kubectl gitops audit`, and `check --live`, as it was called before.

mod support;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::{Settings, assert_snapshot};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS, status};
use support::{Folder, Ran};

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
const SETS: &str = "/apis/argoproj.io/v1alpha1/applicationsets";
const OWN_SETS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets";
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const POLICY: &str = "/apis/kubectl-gitops.io/v1alpha1/gitopspolicies/default";

const RULES: &str = "kubectl-gitops.io/break-glass";
const REASON: &str = "kubectl-gitops.io/break-glass-reason";
const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

fn with(object: &Value, change: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, change);
    object
}

/// An Application on production with which nothing is wrong.
fn good(name: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "uid": name},
        "spec": {
            "project": "shop",
            "source": {"repoURL": "https://git.example.com/shop.git", "path": "orders", "targetRevision": "v1.0.0"},
            "destination": {"name": "prod", "namespace": "orders"},
            "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}],
            "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
        },
    })
}

/// One that syncs production by itself.
fn automated(name: &str) -> Value {
    with(
        &good(name),
        &json!({"spec": {"syncPolicy": {"automated": {}}}}),
    )
}

/// The same, as an ApplicationSet generates it.
fn generated(name: &str, by: &str) -> Value {
    let owner = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": by, "uid": by, "controller": true,
    });
    with(
        &automated(name),
        &json!({"metadata": {"ownerReferences": [owner]}}),
    )
}

/// Generates an Application for each cluster that syncs it by itself.
fn application_set(name: &str) -> Value {
    let mut template = automated("x");
    template["metadata"] = json!({"name": format!("{name}-{{{{name}}}}")});
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": name, "namespace": "argocd", "uid": name},
        "spec": {
            "generators": [{"clusters": {"selector": {"matchLabels": {"environment": "prod"}}}}],
            "template": template,
        },
    })
}

/// An object with an override that ends so many hours from now, and half an hour.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn overridden(object: &Value, rules: &str, hours: i64) -> Value {
    let end = Timestamp::now() + SignedDuration::from_mins(hours * 60 + 30);
    let end = Timestamp::from_second(end.as_second()).unwrap();
    let annotations = json!({RULES: rules, REASON: "INC-1: it burns", EXPIRES: end.to_string()});
    with(object, &json!({"metadata": {"annotations": annotations}}))
}

fn project(name: &str, repository: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "sourceRepos": [repository],
            "destinations": [{"server": "https://prod.example.com", "namespace": "orders"}],
        },
    })
}

fn shop() -> Value {
    project("shop", "https://git.example.com/shop.git")
}

fn cluster(config: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "cluster-prod", "namespace": "argocd",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": "prod"},
        },
        "data": {
            "name": BASE64_STANDARD.encode("prod"),
            "server": BASE64_STANDARD.encode("https://prod.example.com"),
            "config": BASE64_STANDARD.encode(config),
        },
    })
}

const AWS: &str = r#"{"awsAuthConfig": {"clusterName": "prod"}}"#;

/// A cluster with these Applications and ApplicationSets, a project and the cluster prod, with
/// which nothing is wrong.
fn fleet(applications: &[Value], sets: &[Value]) -> ApiServer {
    let server = ApiServer::start();
    server.lists(PROJECTS, &[shop()]);
    server.lists(CLUSTERS, &[cluster(AWS)]);
    server.lists(APPLICATIONS, applications);
    server.lists(SETS, sets);
    server.lists(OWN_SETS, sets);
    server
}

fn audit(server: &ApiServer, arguments: &[&str]) -> Ran {
    let folder = Folder::with(&[("kubeconfig", &*server.kubeconfig("{}"))]);
    let start = ["audit", "--kubeconfig", "kubeconfig"];
    folder.run(&[&start, arguments].concat())
}

/// Compares with a snapshot in which no time is a certain one.
fn timeless(compare: impl FnOnce()) {
    let mut settings = Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>");
    settings.bind(compare);
}

/// `(level, rule, object's name)` of each finding.
fn findings(run: &Ran) -> Vec<[String; 3]> {
    let report = run.json();
    let findings = report["findings"].as_array();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |finding: &Value| {
        [
            text(&finding["level"]),
            text(&finding["rule"]),
            text(&finding["object"]["name"]),
        ]
    };
    findings.into_iter().flatten().map(row).collect()
}

fn row(level: &str, rule: &str, name: &str) -> [String; 3] {
    [level, rule, name].map(str::to_owned)
}

/// Something wrong of each kind, and something with which nothing is wrong.
fn violating() -> ApiServer {
    let server = fleet(
        &[automated("orders"), good("searches")],
        &[application_set("carts")],
    );
    server.lists(PROJECTS, &[shop(), project("wide", "*")]);
    server.lists(CLUSTERS, &[cluster(r#"{"bearerToken": "hunter2"}"#)]);
    server
}

#[test]
fn what_is_in_the_cluster_is_judged_as_files_are() {
    let server = violating();
    let table = audit(&server, &[]);
    assert_snapshot!("violating_table", table.transcript());
    let wide = audit(&server, &["-o", "wide"]);
    assert_snapshot!("violating_wide", wide.transcript());
    let json = audit(&server, &["-o", "json"]);
    assert_snapshot!("violating_json", json.transcript());
    let name = audit(&server, &["-o", "name"]);
    assert_snapshot!("violating_name", name.transcript());
    let yaml = audit(&server, &["-o", "yaml"]).stdout();
    assert_eq!(golang::yaml::value(&yaml).unwrap(), json.json());
    for run in [table, wide, json, name] {
        assert!(!run.transcript().contains("hunter2"), "{}", run.stdout());
    }
    assert_eq!(server.writes(), []);
}

#[test]
fn where_nothing_is_wrong_nothing_is_printed() {
    let server = fleet(&[good("orders")], &[]);
    assert_snapshot!(audit(&server, &[]).transcript(), @"
    status: 0
    --- stdout
    --- stderr
    3 objects in namespace argocd: 0 denied, 0 warned, 0 undecided
    production: 1 of 1 cluster (prod)
    ");
}

#[test]
fn the_pages_of_the_rules_are_printed_if_that_is_asked_for() {
    let server = fleet(&[automated("orders")], &[]);
    let explained = audit(&server, &["--explain"]).stdout();
    assert!(explained.contains("\n# prod-auto-sync\n"), "{explained}");
}

#[test]
fn the_policy_of_the_cluster_counts() {
    let server = fleet(&[automated("orders")], &[]);
    let policy = json!({
        "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
        "metadata": {"name": "default"},
        "spec": {"rules": {"prod-auto-sync": {"action": "Warn"}}},
    });
    server.answers(POLICY, 200, policy);
    let run = audit(&server, &["-o", "json"]);
    assert_eq!(
        (run.status(), findings(&run)),
        (0, vec![row("warn", "prod-auto-sync", "orders")])
    );
}

#[test]
fn a_project_that_is_not_there_does_not_exist() {
    let server = fleet(&[good("orders")], &[]);
    server.lists(
        PROJECTS,
        &[project("other", "https://git.example.com/x.git")],
    );
    let run = audit(&server, &["-o", "json"]);
    assert_eq!(
        (run.status(), findings(&run)),
        (1, vec![row("deny", "project-scope", "orders")])
    );
}

#[test]
fn what_overrides_let_pass_is_told_until_they_end() {
    let server = fleet(
        &[
            overridden(&automated("active"), "prod-auto-sync", 2),
            overridden(&automated("over"), "prod-auto-sync", -3),
            overridden(&automated("of-another-rule"), "image-updater", 2),
            overridden(&good("needless"), "prod-auto-sync", 2),
            overridden(&good("put-right"), "prod-auto-sync", -3),
        ],
        &[],
    );
    let run = audit(&server, &[]);
    timeless(|| assert_snapshot!(run.transcript()));
}

/// `(level, rule, waivedBy, message)` of each finding.
fn told(run: &Ran) -> Vec<[Value; 4]> {
    let report = run.json();
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let row = |finding: Value| {
        ["level", "rule", "waivedBy", "message"]
            .map(|key| finding.get(key).cloned().unwrap_or(json!("-")))
    };
    findings.into_iter().map(row).collect()
}

#[test]
fn an_override_is_told_in_a_cluster_as_in_a_file() {
    let policy = json!({
        "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
        "metadata": {"name": "default"},
        "spec": {"breakGlass": {"fromGit": true}},
    });
    let object = overridden(&automated("orders"), "prod-auto-sync", 2);
    let server = fleet(std::slice::from_ref(&object), &[]);
    server.answers(POLICY, 200, policy.clone());
    let in_cluster = audit(&server, &["-o", "json"]);
    let files = Folder::with(&[
        ("orders.json", &object.to_string()),
        ("shop.json", &shop().to_string()),
        ("prod.json", &cluster(AWS).to_string()),
        ("policy.json", &policy.to_string()),
    ]);
    let in_file = files.run(&["check", "-o", "json"]);
    let by_rule = |run: &Ran| {
        let mut told = told(run);
        told.sort_by_key(|[_, rule, ..]| rule.to_string());
        told
    };
    let told = by_rule(&in_cluster);
    assert_eq!(told, by_rule(&in_file));
    let until = object["metadata"]["annotations"][EXPIRES].as_str().unwrap();
    let [of_override, of_rule] = &told[..] else {
        panic!("{told:#?}");
    };
    assert_eq!(
        of_override,
        &[
            json!("warn"),
            json!("break-glass"),
            Value::Null,
            json!(format!(
                "prod-auto-sync overruled until {until}: INC-1: it burns"
            )),
        ]
    );
    let [level, rule, waived_by, message] = of_rule;
    assert_eq!(
        [level, rule, waived_by],
        [
            &json!("warn"),
            &json!("prod-auto-sync"),
            &json!("break-glass")
        ]
    );
    let start = format!("overruled until {until}: auto-syncs production");
    assert!(message.as_str().unwrap().starts_with(&start), "{message}");
}

#[test]
fn the_override_of_an_application_set_counts_for_what_it_generates() {
    let sets = [
        overridden(&application_set("active"), "prod-auto-sync", 2),
        overridden(&application_set("over"), "prod-auto-sync", -3),
    ];
    let stranger = with(
        &generated("stranger", "active"),
        &json!({"metadata": {"ownerReferences": [{
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "active", "uid": "gone", "controller": true,
        }]}}),
    );
    let applications = [
        generated("active-prod", "active"),
        generated("over-prod", "over"),
        stranger,
    ];
    let run = audit(&fleet(&applications, &sets), &["-o", "json"]);
    assert_eq!(
        findings(&run),
        [
            row("warn", "prod-auto-sync", "active-prod"),
            row("warn", "break-glass", "active-prod"),
            row("deny", "prod-auto-sync", "over-prod"),
            row("deny", "prod-auto-sync", "stranger"),
            row("warn", "prod-auto-sync", "active"),
            row("warn", "break-glass", "active"),
            row("deny", "prod-auto-sync", "over"),
            row("warn", "break-glass", "over"),
        ]
    );
}

#[test]
fn it_counts_for_whoever_may_not_read_secrets_as_well() {
    let sets = [overridden(&application_set("carts"), "prod-auto-sync", 2)];
    let server = fleet(&[generated("carts-prod", "carts")], &sets);
    server.forbids(CLUSTERS);
    let run = audit(&server, &["-o", "json"]);
    let of_application: Vec<_> = findings(&run)
        .into_iter()
        .filter(|[.., name]| name == "carts-prod")
        .collect();
    assert_eq!(
        (run.status(), of_application),
        (
            2,
            vec![
                row("undecided", "project-scope", "carts-prod"),
                row("warn", "prod-auto-sync", "carts-prod"),
                row("warn", "break-glass", "carts-prod"),
            ]
        ),
        "{}",
        run.stderr()
    );
}

#[test]
fn an_override_that_could_not_be_granted_overrules_nothing() {
    let server = fleet(
        &[
            overridden(&automated("for-years"), "prod-auto-sync", 20000),
            overridden(&good("for-years-in-vain"), "prod-auto-sync", 20000),
            overridden(&automated("mistaken"), "prod-autosync", 2),
            overridden(&generated("misplaced", "carts"), "prod-auto-sync", 2),
        ],
        &[],
    );
    let run = audit(&server, &[]);
    timeless(|| assert_snapshot!(run.transcript()));
}

#[test]
fn what_is_done_with_an_object_is_no_state_of_it() {
    let operation = json!({"sync": {"manifests": ["x"], "revision": "other"}});
    let syncing = with(
        &good("syncing"),
        &json!({
            "operation": operation,
            "status": {"operationState": {"phase": "Running", "operation": operation}},
        }),
    );
    let mut set = application_set("carts");
    set["spec"]["template"]["spec"]["syncPolicy"]
        .as_object_mut()
        .unwrap()
        .remove("automated");
    let run = audit(&fleet(&[syncing], &[set]), &["-o", "json"]);
    assert_eq!((run.status(), findings(&run)), (0, vec![]));
}

#[test]
fn lists_are_read_page_by_page() {
    let server = fleet(&[], &[]);
    let page = |objects: &[Value], next: &str| json!({"kind": "List", "metadata": {"continue": next}, "items": objects});
    server.answers(APPLICATIONS, 200, page(&[automated("first")], "2"));
    let second = format!("{APPLICATIONS}#2");
    server.answers(&second, 200, page(&[automated("second")], ""));
    let run = audit(&server, &["-o", "name"]);
    assert_snapshot!(run.transcript());
    let asked = |head: &String| head.contains("/applications?") && head.contains("limit=500");
    assert!(server.requests().iter().any(asked));
}

#[test]
fn a_kind_that_may_not_be_listed_is_left_out_and_told() {
    let server = violating();
    server.forbids(APPLICATIONS);
    assert_snapshot!(
        "without_applications",
        audit(&server, &["-o", "name"]).transcript()
    );
    let server = violating();
    server.forbids(CLUSTERS);
    assert_snapshot!("without_secrets", audit(&server, &[]).transcript());
}

#[test]
fn what_could_not_be_listed_is_not_told_to_be_in_order() {
    let server = fleet(&[automated("orders")], &[]);
    for path in [APPLICATIONS, SETS, OWN_SETS, PROJECTS, CLUSTERS] {
        server.forbids(path);
    }
    let run = audit(&server, &[]);
    assert_eq!(
        (run.status(), run.stderr().lines().last()),
        (
            2,
            Some(
                "0 objects in namespace argocd (not judged: applications.argoproj.io, applicationsets.argoproj.io, \
                 appprojects.argoproj.io, secrets): 0 denied, 0 warned, 0 undecided"
            )
        )
    );
}

#[test]
fn a_selector_that_is_none_is_named() {
    let server = fleet(&[], &[]);
    let refusal = "unable to parse requirement: found '!', expected: identifier";
    let path = format!("{APPLICATIONS}?%21%21bad");
    server.answers(&path, 400, status(400, "BadRequest", refusal));
    assert_snapshot!(audit(&server, &["-l", "!!bad"]).transcript(), @r#"
    status: 2
    --- stdout
    --- stderr
    error: --selector "!!bad": cannot list applications.argoproj.io in namespace argocd: unable to parse requirement: found '!', expected: identifier
    "#);
}

#[test]
fn an_object_that_cannot_be_read_is_told_once_and_the_others_are_judged() {
    let server = violating();
    let broken =
        json!({"metadata": {"name": "broken", "namespace": "argocd"}, "spec": {"project": 7}});
    server.lists(APPLICATIONS, &[broken, automated("orders")]);
    let broken = json!({"metadata": {"name": "broken", "namespace": "argocd"}, "spec": "hunter2"});
    server.lists(PROJECTS, &[broken, shop()]);
    assert_snapshot!(audit(&server, &["-o", "name"]).transcript());
}

#[test]
fn namespaces_and_labels_are_asked_for_as_kubectl_does() {
    let argo_cd = "/apis/argoproj.io/v1alpha1";
    for (arguments, place, told) in [
        (&["-A"][..], "", "2 objects in all namespaces"),
        (
            &["-n", "shop"],
            "/namespaces/shop",
            "1 object in namespace shop",
        ),
        (
            &["--namespace", "argocd"],
            "/namespaces/argocd",
            "2 objects in namespace argocd",
        ),
    ] {
        let server = fleet(&[], &[]);
        let list = |plural: &str, objects: &[Value]| {
            server.lists(&format!("{argo_cd}{place}/{plural}?team=shop"), objects);
        };
        list("applications", &[good("orders")]);
        list("applicationsets", &[]);
        list("appprojects", &[]);
        // Secrets elsewhere are not clusters to Argo CD.
        let own = "/api/v1/namespaces/argocd/secrets?team=shop";
        let clusters = format!("{own},argocd.argoproj.io/secret-type=cluster");
        server.lists(&clusters, &[cluster(AWS)]);
        let run = audit(&server, &[arguments, &["-l", "team=shop"]].concat());
        assert_eq!(
            (run.status(), run.stderr()),
            (
                0,
                format!(
                    "{told}: 0 denied, 0 warned, 0 undecided\nproduction: 1 of 1 cluster (prod)\n"
                )
            ),
            "{arguments:?}"
        );
    }
}

/// The webhook judges none of them either: they are another Argo CD's, or nobody's.
#[test]
fn what_argo_cd_has_nothing_to_do_with_is_not_judged() {
    let server = fleet(&[], &[]);
    let in_namespace = |namespace: &str| {
        with(
            &automated("orders"),
            &json!({"metadata": {"namespace": namespace}}),
        )
    };
    let all = [
        in_namespace("argocd"),
        in_namespace("shop-a"),
        in_namespace("gitops-b"),
    ];
    let argo_cd = "/apis/argoproj.io/v1alpha1";
    server.lists(&format!("{argo_cd}/applications"), &all);
    server.lists(&format!("{argo_cd}/applicationsets"), &[]);
    server.lists(&format!("{argo_cd}/appprojects"), &[shop()]);
    let places = |run: &Ran| {
        let report = run.json();
        let findings = report["findings"].as_array().unwrap().iter();
        let mut places: Vec<_> = findings
            .map(|finding| finding["object"]["namespace"].as_str().unwrap().to_owned())
            .collect();
        places.dedup();
        places
    };
    let run = audit(&server, &["-A", "-o", "json"]);
    assert_eq!(places(&run), ["argocd"], "{}", run.transcript());
    assert!(
        run.stderr().contains("not judged: 2 objects"),
        "{}",
        run.transcript()
    );

    let parameters = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "argocd-cmd-params-cm", "namespace": "argocd"},
        "data": {"application.namespaces": "shop-*"},
    });
    let path = "/api/v1/namespaces/argocd/configmaps/argocd-cmd-params-cm";
    server.answers(path, 200, parameters);
    let run = audit(&server, &["-A", "-o", "json"]);
    assert_eq!(places(&run), ["argocd", "shop-a"], "{}", run.transcript());
    assert!(
        run.stderr().contains("not judged: 1 object"),
        "{}",
        run.transcript()
    );
}

#[test]
fn argo_cd_may_run_elsewhere() {
    let server = ApiServer::start();
    let run = audit(&server, &["-n", "shop", "--argocd-namespace", "gitops"]);
    let expected = "cannot list appprojects.argoproj.io in namespace gitops";
    assert!(run.stderr().contains(expected), "{}", run.transcript());
}

#[test]
fn files_and_clusters_are_not_judged_together() {
    let folder = Folder::with(&[]);
    for (name, arguments) in [
        ("live_with_paths", &["check", "--live", "."][..]),
        ("live_with_files", &["check", "--live", "-f", "x.yaml"]),
        ("live_with_policy", &["check", "--live", "--policy", "x"]),
        (
            "live_with_repository",
            &["check", "--live", "--repository", "https://x"],
        ),
        (
            "live_in_one_and_all",
            &["check", "--live", "-A", "-n", "shop"],
        ),
        ("files_of_all_namespaces", &["check", "-A"]),
        ("files_of_labels", &["check", "-l", "a=b"]),
        ("files_of_a_context", &["check", "--context", "prod"]),
    ] {
        assert_snapshot!(name, folder.run(arguments).transcript());
    }
}

#[test]
fn check_live_is_the_same_by_its_former_name() {
    let server = fleet(&[automated("orders")], &[]);
    server.lists(
        "/apis/argoproj.io/v1alpha1/applications",
        &[automated("orders")],
    );
    server.lists("/apis/argoproj.io/v1alpha1/appprojects", &[shop()]);
    let folder = Folder::with(&[("kubeconfig", &*server.kubeconfig("{}"))]);
    let flags: [&[&str]; 8] = [
        &[],
        &["-o", "wide"],
        &["-o", "name"],
        &["-A", "-o", "json"],
        &["-A", "-l", "team=shop"],
        &["-n", "shop", "--argocd-namespace", "argocd"],
        &["--strict", "--show-undecided", "--argocd-version", "3.6"],
        &["--explain"],
    ];
    for flags in flags {
        let by = |command: &[&str]| {
            let words = [&["--kubeconfig", "kubeconfig"], command, flags].concat();
            folder.run(&words).transcript()
        };
        assert_eq!(by(&["check", "--live"]), by(&["audit"]), "{flags:?}");
    }
}

#[test]
fn the_former_name_is_not_shown() {
    let folder = Folder::with(&[]);
    for help in [&["check", "--help"][..], &["help", "check"]] {
        let help = folder.run(help).stdout();
        for hidden in ["--live", "--all-namespaces", "--selector"] {
            assert!(!help.contains(hidden), "{hidden}: {help}");
        }
    }
}
