//! `kubectl gitops break-glass`.

mod support;

use insta::{Settings, assert_snapshot};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS, status};
use support::{Folder, Ran};

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
const SETS: &str = "/apis/argoproj.io/v1alpha1/applicationsets";
const OWN_SETS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets";
const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const ORDERS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/orders";
const ROOT: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root";
const CARTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets/carts";
const PROD: &str = "/api/v1/namespaces/argocd/secrets/prod";
const POLICY: &str = "/apis/kubectl-gitops.io/v1alpha1/gitopspolicies/default";
const WHO: &str = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews";
const MAY: &str = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

const RULES: &str = "kubectl-gitops.io/break-glass";
const REASON: &str = "kubectl-gitops.io/break-glass-reason";
const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

/// An Application on production, with auto-sync if it says so.
fn orders(change: &Value) -> Value {
    with(
        &json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "orders", "namespace": "argocd", "resourceVersion": "7", "uid": "u"},
            "spec": {
                "project": "shop",
                "source": {"repoURL": "https://git.example.com/shop.git", "path": "orders", "targetRevision": "v1.0.0"},
                "destination": {"name": "prod", "namespace": "orders"},
                "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}],
                "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
            },
        }),
        change,
    )
}

fn automated() -> Value {
    orders(&json!({"spec": {"syncPolicy": {"automated": {}}}}))
}

/// An object with an override that ends so many hours from now, and half an hour, so that this is
/// as long a text however slow the test is.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn overridden(object: &Value, rules: &str, hours: i64) -> Value {
    let end = Timestamp::now() + SignedDuration::from_mins(hours * 60 + 30);
    let end = Timestamp::from_second(end.as_second()).unwrap();
    let annotations = json!({RULES: rules, REASON: "INC-1: it burns", EXPIRES: end.to_string()});
    let managed = json!([
        {"manager": "kubectl-edit", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}},
        {
            "manager": "kubectl-gitops",
            "time": "2026-01-01T00:00:00Z",
            "fieldsV1": {"f:metadata": {"f:annotations": {"f:kubectl-gitops.io/break-glass": {}}}},
        },
    ]);
    let change = json!({"metadata": {"annotations": annotations, "managedFields": managed}});
    with(object, &change)
}

fn with(object: &Value, change: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, change);
    object
}

/// One Application a cluster, with auto-sync.
fn carts() -> Value {
    let mut template = automated();
    template["metadata"] = json!({"name": "cart-{{name}}"});
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "carts", "namespace": "argocd", "resourceVersion": "8", "uid": "s"},
        "spec": {"generators": [{"clusters": {}}], "template": template},
    })
}

fn generated() -> Value {
    let owner = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "carts", "uid": "s", "controller": true,
    });
    with(
        &automated(),
        &json!({"metadata": {"ownerReferences": [owner]}}),
    )
}

fn prod() -> Value {
    let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "prod", "namespace": "argocd", "resourceVersion": "9",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": "prod"},
        },
        "data": {
            "name": base64("prod"),
            "server": base64("https://prod.example.com"),
            "config": base64(r#"{"bearerToken": "hunter2"}"#),
        },
    })
}

fn policy(break_glass: &Value) -> Value {
    json!({
        "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
        "metadata": {"name": "default"},
        "spec": {"breakGlass": break_glass},
    })
}

/// A cluster with one project, the cluster prod, an ApplicationSet and an Application, to which may
/// be written.
fn live(application: &Value) -> ApiServer {
    let server = ApiServer::start();
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "shop", "namespace": "argocd", "resourceVersion": "6"},
        "spec": {
            "sourceRepos": ["https://git.example.com/shop.git"],
            "destinations": [{"server": "https://prod.example.com", "namespace": "*"}],
        },
    });
    server.lists(PROJECTS, &[project]);
    server.lists(SETS, &[carts()]);
    server.lists(OWN_SETS, &[carts()]);
    server.lists(APPLICATIONS, std::slice::from_ref(application));
    server.lists(CLUSTERS, &[prod()]);
    server.answers(ORDERS, 200, application.clone());
    server.answers(CARTS, 200, carts());
    server.answers(PROD, 200, prod());
    for path in [ORDERS, CARTS, PROD, ROOT] {
        server.accepts(&format!("PATCH {path}"), 200, json!({}));
    }
    server.accepts(
        WHO,
        201,
        json!({"status": {"userInfo": {"username": "alice", "groups": ["on-call"]}}}),
    );
    server
}

fn run(server: &ApiServer, arguments: &[&str]) -> Ran {
    let folder = Folder::with(&[("kubeconfig", &*server.kubeconfig("{}"))]);
    let end = ["--kubeconfig", "kubeconfig"];
    folder.run(&[&["break-glass"], arguments, &end].concat())
}

const GRANT: [&str; 8] = [
    "grant",
    "orders",
    "--rule",
    "prod-auto-sync",
    "--for",
    "2h",
    "--reason",
    "it burns",
];

fn grant(server: &ApiServer, arguments: &[&str]) -> Ran {
    run(server, &[&GRANT, arguments].concat())
}

/// Compares with a snapshot in which no time is a certain one.
fn timeless(compare: impl FnOnce()) {
    let mut settings = Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>");
    settings.add_filter(r"\((in )?\d+h(29|30|31)m( ago)?\)", "($1<time>$3)");
    settings.bind(compare);
}

/// The annotations that the only write sets, without the end, and how long that is from now.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
fn written(server: &ApiServer) -> (Value, SignedDuration) {
    let writes = server.writes();
    let [(_, content)] = &writes[..] else {
        panic!("{writes:#?}");
    };
    let mut annotations = content["metadata"]["annotations"].clone();
    let end = annotations
        .as_object_mut()
        .unwrap()
        .remove(EXPIRES)
        .unwrap();
    let end: Timestamp = end.as_str().unwrap().parse().unwrap();
    (annotations, end.duration_since(Timestamp::now()))
}

#[test]
fn an_override_is_shown_and_written_in_one_request() {
    let server = live(&automated());
    let run = grant(&server, &["--ticket", "INC-1"]);
    timeless(|| assert_snapshot!(run.transcript()));
    let (annotations, lasts) = written(&server);
    assert_eq!(
        annotations,
        json!({RULES: "prod-auto-sync", REASON: "INC-1: it burns"})
    );
    let asked = SignedDuration::from_hours(2);
    assert!(
        lasts <= asked && lasts > asked - SignedDuration::from_mins(5),
        "{lasts}"
    );
    let (request, content) = server.writes().remove(0);
    assert_eq!(
        request,
        format!("PATCH {ORDERS}?&fieldManager=kubectl-gitops")
    );
    assert_eq!(content["metadata"]["resourceVersion"], "7");
    let patch = server
        .requests()
        .into_iter()
        .find(|head| head.starts_with("PATCH"));
    let patch = patch.unwrap().to_lowercase();
    assert!(
        patch.contains("content-type: application/merge-patch+json"),
        "{patch}"
    );
}

#[test]
fn it_may_be_for_a_change_to_come_and_for_several_rules() {
    let server = live(&orders(&json!({})));
    let run = grant(&server, &["--rule", "image-updater,cascade-delete"]);
    timeless(|| assert_snapshot!(run.transcript()));
    let (annotations, _) = written(&server);
    assert_eq!(
        annotations[RULES],
        "prod-auto-sync,image-updater,cascade-delete"
    );
}

#[test]
fn what_is_denied_when_it_is_deleted_is_shown_too() {
    let root = orders(&json!({
        "metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "status": {"resources": [{"group": "argoproj.io", "kind": "Application", "name": "x"}]},
    }));
    let server = live(&root);
    let run = run(
        &server,
        &[
            "grant",
            "app/orders",
            "--rule",
            "cascade-delete",
            "--for",
            "1h",
            "--reason",
            "moves",
        ],
    );
    timeless(|| assert_snapshot!(run.transcript()));
}

#[test]
fn what_stands_already_is_told_and_replaced() {
    let server = live(&overridden(&automated(), "replicas-ignored", 2));
    let run = grant(&server, &["--replace"]);
    timeless(|| assert_snapshot!(run.transcript()));
    assert_eq!(written(&server).0[RULES], "prod-auto-sync");
}

/// Runs the same with an answer to what it asks.
fn grant_answering(server: &ApiServer, answer: &str) -> Ran {
    let folder = Folder::with(&[("kubeconfig", &*server.kubeconfig("{}"))]);
    let end = ["--kubeconfig", "kubeconfig"];
    folder.run_with_input(&[&["break-glass"], &GRANT[..], &end].concat(), answer)
}

#[test]
fn nobody_elses_override_is_replaced_unasked() {
    let server = live(&overridden(&automated(), "replicas-ignored", 2));
    timeless(|| assert_snapshot!("replace_unanswered", grant(&server, &[]).transcript()));
    for answer in ["n\n", "\n", "no way\n"] {
        assert_eq!(grant_answering(&server, answer).status(), 2, "{answer:?}");
    }
    assert_eq!(server.writes(), []);
    assert_eq!(grant_answering(&server, "Yes\n").status(), 0);
    assert_eq!(written(&server).0[RULES], "prod-auto-sync");
    // What overrules nothing is replaced by any, and nothing is replaced by what is not written.
    for object in [
        overridden(&automated(), "replicas-ignored", -2),
        overridden(&automated(), "replica-ignored", 2),
    ] {
        assert_eq!(grant(&live(&object), &[]).status(), 0);
    }
    let existing = live(&overridden(&automated(), "replicas-ignored", 2));
    assert_eq!(grant(&existing, &["--dry-run", "client"]).status(), 0);
}

#[test]
fn a_rule_is_added_to_what_stands_without_touching_the_rest() {
    let object = overridden(&automated(), "replicas-ignored", 1);
    let server = live(&object);
    let extend = [
        "grant",
        "orders",
        "--rule",
        "prod-auto-sync",
        "--reason",
        "it burns",
        "--extend",
    ];
    let granted = run(&server, &extend);
    assert_eq!(granted.status(), 0, "{}", granted.transcript());
    let (_, content) = server.writes().remove(0);
    assert_eq!(
        content["metadata"]["annotations"],
        json!({
            RULES: "replicas-ignored,prod-auto-sync",
            REASON: "INC-1: it burns; it burns",
            EXPIRES: object["metadata"]["annotations"][EXPIRES],
        })
    );
    let without = live(&automated());
    assert_snapshot!(run(&without, &extend).stderr(), @"error: --extend: application/orders has no override that could be extended
");
    assert_eq!(without.writes(), []);
    for conflict in ["--replace", "--for=1h"] {
        let run = run(&server, &[&extend[..], &[conflict]].concat());
        assert_eq!(run.status(), 2, "{}", run.transcript());
    }
}

#[test]
fn on_what_is_being_deleted_an_override_counts_for_nothing() {
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/x"]}});
    let object = with(&overridden(&automated(), "prod-auto-sync", 2), &going);
    let server = live(&object);
    assert_snapshot!(grant(&server, &["--replace"]).stderr(), @"error: application/orders: metadata.deletionTimestamp: it is being deleted, and an override on it counts for nothing
");
    assert_eq!(server.writes(), []);
    let listed = run(&server, &["list", "-o", "json"]).json();
    assert_eq!(listed["items"][0]["state"], "terminating");
    server.accepts(MAY, 201, json!({"status": allowed()}));
    let why = run(&server, &["why", "app/orders", "--rule", "prod-auto-sync"]);
    assert_eq!(why.status(), 1, "{}", why.transcript());
    assert!(
        why.stdout().contains("it is being deleted"),
        "{}",
        why.transcript()
    );
    let secret = with(&overridden(&prod(), "cluster-credentials", 2), &going);
    server.lists(CLUSTERS, std::slice::from_ref(&secret));
    server.answers(PROD, 200, secret);
    let listed = run(&server, &["list", "-o", "json"]).json();
    assert_eq!(listed["items"][1]["state"], "terminating");
    let grant = [
        "grant",
        "secret/prod",
        "--rule",
        "cluster-credentials",
        "--for",
        "1h",
        "--reason",
        "x",
    ];
    assert_eq!(run(&server, &grant).status(), 2);
}

/// An Event of the webhook's about the Application.
fn event(time: &str, action: &str, note: &str) -> Value {
    json!({
        "metadata": {"name": format!("orders.{time}"), "namespace": "argocd"},
        "eventTime": time, "reason": "BreakGlassAllowed", "action": action, "note": note,
        "regarding": {"kind": "Application", "namespace": "argocd", "name": "orders"},
    })
}

#[test]
fn who_granted_an_override_is_known_from_the_record() {
    let object = overridden(&automated(), "prod-auto-sync", 2);
    let end = object["metadata"]["annotations"][EXPIRES]
        .as_str()
        .unwrap()
        .to_owned();
    let server = live(&automated());
    server.lists(APPLICATIONS, &[object]);
    let events = "/apis/events.k8s.io/v1/namespaces/argocd/events";
    let granted_by = || {
        let listed = run(&server, &["list", "-o", "json"]);
        assert_eq!(listed.status(), 0, "{}", listed.transcript());
        listed.json()["items"][0]["grantedBy"].clone()
    };
    assert_eq!(granted_by(), Value::Null);
    let note = |user: &str, verb: &str, end: &str| {
        format!("prod-auto-sync {verb} by {user} until {end}: INC-1: it burns")
    };
    let of = |time, action, user: &str, end: &str| {
        event(time, action, &note(user, "may be overruled", end))
    };
    server.lists(
        events,
        &[
            of("2026-01-01T00:00:01Z", "Admit", "alice until noon: x", &end),
            of(
                "2026-01-01T00:00:02Z",
                "Admit",
                "carol",
                "2026-01-01T00:00:00Z",
            ),
            event(
                "2026-01-01T00:00:03Z",
                "Use",
                &note("dave", "overruled", &end),
            ),
        ],
    );
    assert_eq!(granted_by(), "alice until noon: x");
    let table = run(&server, &["list"]).stdout();
    assert!(
        table.contains("GRANTED-BY") && table.contains("alice"),
        "{table}"
    );
    server.forbids(events);
    assert_eq!(granted_by(), Value::Null);
}

#[test]
fn what_acts_on_a_terminal_is_in_no_output() {
    let hostile = "INC-1\u{202e} \u{1b}[2J\u{9b}31m\u{7}\u{2066}\u{e0041}";
    let mut object = overridden(&automated(), "prod-auto-sync", 2);
    object["metadata"]["annotations"][REASON] = hostile.into();
    object["metadata"]["managedFields"][1]["manager"] = hostile.into();
    let server = live(&object);
    for arguments in [
        &["list"][..],
        &["list", "-o", "wide"],
        &["list", "-o", "json"],
        &["list", "-o", "yaml"],
        &["list", "-o", "name"],
        &["revoke", "orders", "--dry-run", "client", "-o", "yaml"],
        &["revoke", "orders", "--dry-run", "client"],
        &["revoke", hostile],
        &["why", hostile],
        &["list", "-n", hostile],
        &["list", "-l", hostile],
        &[
            "grant",
            "orders",
            "--rule",
            "replicas-ignored",
            "--for",
            "1h",
            "--reason",
            "x",
            "--dry-run",
            "client",
        ],
        &[
            "grant",
            "orders",
            "--rule",
            "replicas-ignored",
            "--for",
            "1h",
            "--reason",
            "x",
        ],
        &[
            "grant",
            "orders",
            "--rule",
            "replicas-ignored",
            "--for",
            "1h",
            "--reason",
            hostile,
        ],
    ] {
        let run = run(&server, arguments);
        let left = run.transcript();
        let acts = left
            .chars()
            .find(|c| !policy::finding::is_printed(*c) && *c != '\n');
        assert_eq!(acts, None, "{arguments:?}: {left:?}");
    }
    let json = run(&server, &["list", "-o", "json"]).json();
    assert_eq!(json["items"][0]["reason"], hostile);
    let yaml = golang::yaml::value(&run(&server, &["list", "-o", "yaml"]).stdout());
    assert_eq!(yaml.unwrap(), json);
}

#[test]
fn off_a_set_an_override_is_taken_by_whoever_may_overrule_its_rules() {
    let mut fixed = overridden(&carts(), "prod-auto-sync", 2);
    fixed["spec"]["template"]["spec"]["syncPolicy"] = json!({});
    for (may, taken_off) in [(true, true), (false, false)] {
        let server = live(&automated());
        server.answers(CARTS, 200, fixed.clone());
        server.accepts(MAY, 201, json!({"status": {"allowed": may}}));
        let run = run(&server, &["revoke", "appset/carts"]);
        assert_eq!(run.status(), 0, "{}", run.transcript());
        let (_, content) = server.writes().pop().unwrap();
        let annotations = content["metadata"]["annotations"]
            .as_object()
            .unwrap()
            .clone();
        assert_eq!(
            annotations.contains_key(RULES),
            taken_off,
            "{annotations:?}"
        );
        assert_eq!(annotations[EXPIRES].is_null(), taken_off, "{annotations:?}");
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let server = live(&automated());
    let run = grant(&server, &["--dry-run", "client"]);
    timeless(|| assert_snapshot!(run.transcript()));
    assert_eq!(server.writes(), []);
    let run = grant(&server, &["--dry-run=server", "-o", "name"]);
    assert_eq!(
        run.transcript(),
        "status: 0\n--- stdout\napplication.argoproj.io/orders\n--- stderr\n"
    );
    let (request, _) = server.writes().remove(0);
    assert_eq!(
        request,
        format!("PATCH {ORDERS}?&dryRun=All&fieldManager=kubectl-gitops")
    );
}

#[test]
fn programs_get_a_versioned_object() {
    let server = live(&automated());
    let json = grant(&server, &["-o", "json"]);
    timeless(|| assert_snapshot!(json.transcript()));
    let yaml = grant(&server, &["-o", "yaml", "--dry-run", "client"]);
    let mut yaml = golang::yaml::value(&yaml.stdout()).unwrap();
    yaml["expires"] = json.json()["expires"].clone();
    assert_eq!(yaml, json.json());
}

/// Who wrote when which annotations.
type Entry<'e> = (&'e str, &'e str, &'e [&'e str]);

/// The metadata of an Application with what the API server keeps of who wrote its annotations.
fn managed(entries: &[Entry<'_>]) -> Value {
    let entry = |(manager, time, annotations): &Entry<'_>| {
        let fields: serde_json::Map<String, Value> = annotations
            .iter()
            .map(|annotation| (format!("f:{annotation}"), json!({})))
            .collect();
        let fields = json!({"f:metadata": {"f:annotations": fields}});
        json!({"manager": manager, "time": time, "fieldsV1": fields})
    };
    let entries: Vec<Value> = entries.iter().map(entry).collect();
    json!({"metadata": {"name": "orders", "namespace": "argocd", "managedFields": entries}})
}

/// `manager` and `written` of an override in JSON.
fn writer(json: &Value) -> (&Value, &Value) {
    (&json["manager"], &json["written"])
}

#[test]
fn what_wrote_an_override_is_what_the_api_server_answers() {
    let now = "2026-02-02T00:00:00Z";
    let answer = managed(&[("kubectl-gitops", now, &[RULES, REASON, EXPIRES])]);
    let written = (&json!("kubectl-gitops"), &json!(now));
    let nobody = (&Value::Null, &Value::Null);
    // On a first one, and on one that replaces another.
    for object in [automated(), overridden(&automated(), "replicas-ignored", 2)] {
        let server = live(&object);
        server.accepts(&format!("PATCH {ORDERS}"), 200, answer.clone());
        for (dry_run, expected) in [("none", written), ("server", written), ("client", nobody)] {
            let arguments = ["-o", "json", "--replace", "--dry-run", dry_run];
            let run = grant(&server, &arguments).json();
            assert_eq!(writer(&run), expected, "{dry_run}");
        }
    }
    // On one that is cut short, and on what is left of one that is taken off.
    let cut = live(&overridden(&automated(), "prod-auto-sync", 2));
    cut.accepts(&format!("PATCH {ORDERS}"), 200, answer);
    let run_of = |server: &ApiServer, dry_run: &str| {
        let arguments = ["revoke", "orders", "-o", "json", "--dry-run", dry_run];
        run(server, &arguments).json()
    };
    assert_eq!(writer(&run_of(&cut, "none")), written);
    assert_eq!(writer(&run_of(&cut, "client")), nobody);
    let removed = live(&overridden(&orders(&json!({})), "prod-auto-sync", 2));
    removed.accepts(&format!("PATCH {ORDERS}"), 200, managed(&[]));
    for dry_run in ["none", "server", "client"] {
        let left = run_of(&removed, dry_run);
        assert_eq!((&left["state"], writer(&left)), (&json!("none"), nobody));
    }
}

#[test]
fn an_override_that_could_never_overrule_anything_is_not_written() {
    let server = live(&generated());
    let mut told = Vec::new();
    for (target, rule) in [
        ("secret/prod", "cluster-credentials,prod-auto-sync"),
        ("appset/carts", "cluster-credentials"),
        // It would stand on the ApplicationSet, which has no operation.
        ("orders", "operation-override"),
    ] {
        let start = ["grant", target, "--rule", rule, "--for", "1h"];
        let run = run(&server, &[&start[..], &["--reason", "x"]].concat());
        assert_eq!(
            (run.status(), &*run.stdout()),
            (2, ""),
            "{}",
            run.transcript()
        );
        told.push(run.stderr());
    }
    assert_snapshot!(told.concat());
    assert_eq!(server.writes(), []);
}

#[test]
fn a_ticket_and_a_reason_are_texts_of_one_line() {
    let server = live(&automated());
    for (flag, value) in [
        ("--ticket", ""),
        ("--ticket", "  "),
        ("--ticket", "INC\n1"),
        ("--reason", " "),
        ("--reason", "it\nburns"),
        ("--reason", "it \u{1b}[2Jburns"),
    ] {
        let mut arguments = GRANT.to_vec();
        match flag {
            "--reason" => arguments[7] = value,
            flag => arguments.extend([flag, value]),
        }
        let run = run(&server, &arguments);
        assert_eq!(
            (run.status(), &*run.stdout()),
            (2, ""),
            "{}",
            run.transcript()
        );
        let told = run.stderr();
        assert!(told.starts_with(&format!("error: {flag}: ")), "{told}");
        let line = told.trim_end();
        assert!(!line.contains(char::is_control), "{told:?}");
    }
    assert_eq!(server.requests(), [] as [String; 0]);
}

#[test]
fn what_the_policy_does_not_allow_is_refused_before_anything_is_written() {
    let server = live(&automated());
    let strict = json!({"maxDuration": "4h", "ticketPattern": "INC-\\d+"});
    server.answers(POLICY, 200, policy(&strict));
    let mut told = Vec::new();
    let long = "INC-1 ".repeat(40);
    for (flag, value) in [
        ("--for", "8h"),
        ("--for", "1ms"),
        ("--reason", "it burns"),
        ("--reason", ""),
        ("--reason", &long),
        ("--ticket", "OPS-1"),
    ] {
        let mut arguments = GRANT.map(str::to_owned).to_vec();
        arguments[7] = "INC-1: it burns".to_owned();
        match flag {
            "--for" => arguments[5] = value.to_owned(),
            "--reason" => arguments[7] = value.to_owned(),
            _ => {
                arguments[7] = "it burns".to_owned();
                arguments.extend([flag.to_owned(), value.to_owned()]);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = run(&server, &arguments);
        assert_eq!(
            (run.status(), &*run.stdout()),
            (2, ""),
            "{}",
            run.transcript()
        );
        told.push(run.stderr());
    }
    assert_snapshot!(told.concat());
    assert_eq!(server.writes(), []);
    assert_eq!(grant(&server, &["--ticket", "INC-1"]).status(), 0);
}

#[test]
fn mistakes_on_the_command_line_are_explained() {
    let server = live(&automated());
    for (name, arguments) in [
        ("no_duration", &["--for", "soon"][..]),
        ("negative_duration", &["--for=-2h"]),
        ("no_rule", &["--rule", "prod-autosync"]),
        ("no_kind", &["pod/orders"]),
        ("no_name", &["app/Orders"]),
    ] {
        let mut all = vec!["grant", "--reason", "x"];
        if name != "no_rule" {
            all.extend(["--rule", "prod-auto-sync"]);
        }
        if !name.ends_with("duration") {
            all.extend(["--for", "2h"]);
        }
        if !arguments.iter().any(|argument| argument.contains('/')) {
            all.push("orders");
        }
        let run = run(&server, &[&all, arguments].concat());
        assert_snapshot!(format!("mistake_{name}"), run.transcript());
    }
    assert_eq!(server.requests(), [] as [String; 0]);
}

#[test]
fn what_is_not_there_is_named() {
    let server = live(&automated());
    for target in ["absent", "appset/absent", "secret/absent"] {
        let run = run(&server, &["revoke", target]);
        assert_snapshot!(
            format!("absent_{}", target.replace('/', "_")),
            run.transcript()
        );
    }
    let other = with(&prod(), &json!({"metadata": {"labels": null}}));
    server.answers(PROD, 200, other);
    assert_snapshot!(
        "no_cluster_secret",
        run(&server, &["revoke", "secret/prod"]).transcript()
    );
}

#[test]
fn a_generated_application_is_overridden_on_its_application_set() {
    let server = live(&generated());
    let run = grant(&server, &[]);
    timeless(|| assert_snapshot!(run.transcript()));
    let (request, content) = server.writes().remove(0);
    assert_eq!(
        request,
        format!("PATCH {CARTS}?&fieldManager=kubectl-gitops")
    );
    assert_eq!(content["metadata"]["resourceVersion"], "8");
}

#[test]
fn what_an_object_says_of_others_is_no_part_of_a_request_or_of_the_screen() {
    let mut owned = generated();
    owned["metadata"]["ownerReferences"][0]["name"] = "../../secrets?x=".into();
    let server = live(&owned);
    let run = grant(&server, &[]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr().contains("is not the name of an object"),
        "{}",
        run.transcript()
    );
    let asked = server.requests();
    assert!(
        !asked.iter().any(|head| head.contains("secrets?x=")),
        "{asked:?}"
    );

    let server = live(&part_of_root());
    let mut noted = root();
    let results = &mut noted["status"]["operationState"]["syncResult"]["resources"];
    let refusal =
        "admission webhook \"applications.kubectl-gitops.io\" denied the request: \u{1b}[2J";
    results[0]["message"] = refusal.into();
    server.answers(ROOT, 200, noted);
    let told = grant(&server, &[]).stderr();
    assert!(told.contains("denied the request"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told}");
}

#[test]
fn a_cluster_secret_is_overridden_and_what_it_holds_is_not_shown() {
    let server = live(&automated());
    for arguments in [
        &[
            "grant",
            "secret/prod",
            "--rule",
            "cluster-credentials",
            "--for",
            "1h",
            "--reason",
            "x",
        ][..],
        &["list", "-o", "json"],
        &["revoke", "secret/prod"],
    ] {
        let run = run(&server, arguments);
        assert_eq!(run.status(), 0, "{}", run.transcript());
        assert!(
            !run.transcript().contains("hunter2"),
            "{}",
            run.transcript()
        );
    }
    let grant = &run(
        &server,
        &[
            "grant",
            "secret/prod",
            "--rule",
            "cluster-credentials",
            "--for",
            "1h",
            "--reason",
            "x",
        ],
    );
    timeless(|| assert_snapshot!(grant.transcript()));
    let requests = server.requests();
    let patch = requests
        .iter()
        .find(|head| head.starts_with("PATCH"))
        .unwrap();
    assert!(patch.contains("as=PartialObjectMetadata"), "{patch}");
}

#[test]
fn somebody_elses_override_is_not_overwritten() {
    let server = live(&automated());
    let patch = format!("PATCH {ORDERS}");
    let conflict = status(409, "Conflict", "the object has been modified");
    // Argo CD wrote its status in between,
    server.answers(&patch, 409, conflict.clone());
    server.then_answers(&patch, 200, json!({}));
    let newer = with(
        &automated(),
        &json!({"metadata": {"resourceVersion": "70"}}),
    );
    server.then_answers(ORDERS, 200, automated());
    server.then_answers(ORDERS, 200, newer);
    let run = grant(&server, &[]);
    assert_eq!(run.status(), 0, "{}", run.transcript());
    let versions: Vec<Value> = server
        .writes()
        .iter()
        .map(|(_, content)| content["metadata"]["resourceVersion"].clone())
        .collect();
    assert_eq!(versions, ["7", "70"]);
    // or somebody else was faster.
    let server = live(&automated());
    server.answers(&patch, 409, conflict.clone());
    server.then_answers(ORDERS, 200, automated());
    server.then_answers(ORDERS, 200, overridden(&automated(), "replicas-ignored", 2));
    let run = grant(&server, &[]);
    timeless(|| assert_snapshot!(run.transcript()));
    assert_eq!(server.writes().len(), 1);
    // It is not tried for ever.
    let server = live(&automated());
    server.answers(&patch, 409, conflict);
    let run = grant(&server, &[]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr()
            .contains("somebody else changed it at the same time"),
        "{}",
        run.transcript()
    );
}

#[test]
fn what_the_webhook_says_reaches_the_terminal() {
    let server = live(&automated());
    let patch = format!("PATCH {ORDERS}");
    server.warns(
        &patch,
        r#"299 - "prod-auto-sync overruled", 299 - "second \"one\"""#,
    );
    let run = grant(&server, &["-o", "name"]);
    assert_eq!(
        run.stderr(),
        "Warning: prod-auto-sync overruled\nWarning: second \"one\"\n"
    );
    let refusal = "admission webhook \"applications.kubectl-gitops.io\" denied the request: break-glass: its writer may not";
    server.answers(&patch, 403, status(403, "Forbidden", refusal));
    timeless(|| assert_snapshot!(grant(&server, &[]).transcript()));
    server.forbids(&patch);
    timeless(|| {
        assert_snapshot!(
            "may_not_patch",
            grant(&server, &["-o", "name"]).transcript()
        );
    });
}

/// An Application whose last sync the webhook refused, of another Application.
fn root() -> Value {
    let refusal = "admission webhook \"applications.kubectl-gitops.io\" denied the request: prod-auto-sync: spec";
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "root", "namespace": "argocd", "resourceVersion": "5"},
        "spec": {"syncPolicy": {
            "automated": {"prune": true},
            "syncOptions": ["ServerSideApply=true"],
            "retry": {"limit": 3},
        }},
        "status": {"operationState": {
            "phase": "Failed",
            "message": format!("one or more objects failed to apply, reason: {refusal}"),
            "syncResult": {"resources": [{
                "kind": "Application", "namespace": "argocd", "name": "orders", "message": refusal,
            }]},
        }},
    })
}

fn part_of_root() -> Value {
    let tracking = "root:argoproj.io/Application:argocd/orders";
    with(
        &automated(),
        &json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": tracking}}}),
    )
}

#[test]
fn that_argo_cd_does_not_try_again_by_itself_is_told() {
    let server = live(&part_of_root());
    server.answers(ROOT, 200, root());
    timeless(|| assert_snapshot!(grant(&server, &[]).transcript()));
    assert_eq!(server.writes().len(), 1);
    // Another reason, or another object, is none of ours.
    let other = with(
        &root(),
        &json!({"status": {"operationState": {"syncResult": {"resources": []}}}}),
    );
    server.answers(ROOT, 200, other);
    assert_eq!(grant(&server, &[]).stderr(), "");
    server.forbids(ROOT);
    assert_eq!(grant(&server, &[]).stderr(), "");
}

#[test]
fn a_sync_is_started_with_the_options_of_the_application() {
    let server = live(&part_of_root());
    server.answers(ROOT, 200, root());
    server.answers(POLICY, 200, policy(&json!({"fromGit": true})));
    let run = grant(&server, &["--sync"]);
    timeless(|| assert_snapshot!(run.transcript()));
    let writes = server.writes();
    let requests: Vec<&str> = writes.iter().map(|(request, _)| request.as_str()).collect();
    let root_patch = format!("PATCH {ROOT}?&fieldManager=kubectl-gitops");
    let who = format!("{WHO}?");
    assert_eq!(requests[1..], [who.as_str(), &root_patch]);
    assert_eq!(
        writes[2].1,
        json!({
            "metadata": {"resourceVersion": "5"},
            "operation": {
                "initiatedBy": {"username": "alice"},
                "sync": {"syncOptions": ["ServerSideApply=true"], "prune": true},
                "retry": {"limit": 3},
            },
        })
    );
    let busy = with(&root(), &json!({"operation": {"sync": {}}}));
    server.answers(ROOT, 200, busy);
    let run = grant(&server, &["--sync"]);
    assert_eq!(run.status(), 2, "{}", run.transcript());
    assert!(
        run.stderr()
            .contains("application/root: operation: a sync is under way already"),
        "{}",
        run.transcript()
    );
}

#[test]
fn an_application_set_is_tried_again_at_once() {
    let refusal = "admission webhook \"applications.kubectl-gitops.io\" denied the request: prod-auto-sync: spec";
    let server = live(&generated());
    let failed = with(
        &carts(),
        &json!({"status": {"conditions": [{"type": "ErrorOccurred", "status": "True", "message": refusal}]}}),
    );
    server.answers(CARTS, 200, failed);
    timeless(|| assert_snapshot!(grant(&server, &[]).transcript()));
    let run = grant(&server, &["--sync"]);
    timeless(|| assert_snapshot!("an_application_set_is_refreshed", run.transcript()));
    let (_, content) = server.writes().pop().unwrap();
    assert_eq!(
        content["metadata"]["annotations"],
        json!({"argocd.argoproj.io/application-set-refresh": "true"})
    );
}

#[test]
fn who_may_read_little_may_grant_all_the_same() {
    let server = live(&automated());
    server.forbids(CLUSTERS);
    server.forbids(POLICY);
    timeless(|| assert_snapshot!(grant(&server, &[]).transcript()));
    assert_eq!(server.writes().len(), 1);
    // The policy may allow more than there is without one.
    let longer = [
        "grant",
        "orders",
        "--rule",
        "prod-auto-sync",
        "--for",
        "8h",
        "--reason",
        "x",
    ];
    assert_eq!(run(&server, &longer).status(), 0);
}

/// One of each kind, in each state.
fn with_overrides() -> ApiServer {
    let server = live(&automated());
    let named = |object: &Value, name: &str| with(object, &json!({"metadata": {"name": name}}));
    server.lists(
        APPLICATIONS,
        &[
            overridden(&automated(), "prod-auto-sync", 2),
            orders(&json!({"metadata": {"name": "without"}})),
            named(
                &overridden(&automated(), "prod-auto-sync,replicas-ignored", -3),
                "searches",
            ),
            named(
                &overridden(&orders(&json!({})), "prod-auto-sync", 2),
                "fixed",
            ),
            named(
                &overridden(&orders(&json!({})), "prod-autosync", 2),
                "mistaken",
            ),
        ],
    );
    server.lists(OWN_SETS, &[overridden(&carts(), "prod-auto-sync", 72)]);
    server.lists(CLUSTERS, &[overridden(&prod(), "cluster-credentials", -1)]);
    server
}

#[test]
fn overrides_are_listed_with_what_they_are_good_for() {
    let server = with_overrides();
    let list = |arguments: &[&str]| run(&server, &[&["list"], arguments].concat()).transcript();
    timeless(|| assert_snapshot!("list_table", list(&[])));
    timeless(|| assert_snapshot!("list_wide", list(&["-o", "wide"])));
    timeless(|| assert_snapshot!("list_json", list(&["-o", "json"])));
    assert_snapshot!("list_expired", list(&["--expired", "-o", "name"]));
    let json = run(&server, &["list", "-o", "json"]).json();
    let yaml = run(&server, &["list", "-o", "yaml"]).stdout();
    assert_eq!(golang::yaml::value(&yaml).unwrap(), json);
}

#[test]
fn what_wrote_an_override_last_is_what_wrote_one_of_its_annotations_last() {
    let granted: Entry<'_> = ("kubectl-gitops", "2026-01-01T00:00:00Z", &[RULES, REASON]);
    let edited: Entry<'_> = ("kubectl-annotate", "2026-01-02T00:00:00Z", &[EXPIRES]);
    let other: Entry<'_> = ("argocd-server", "2026-01-03T00:00:00Z", &["other"]);
    let listed = |entries: &[Entry<'_>]| {
        let server = live(&automated());
        let object = with(
            &overridden(&automated(), "prod-auto-sync", 2),
            &managed(entries),
        );
        server.lists(APPLICATIONS, &[object]);
        let item = run(&server, &["list", "-o", "json"]).json()["items"][0].clone();
        let (manager, written) = writer(&item);
        (manager.clone(), written.clone())
    };
    let last = (json!("kubectl-annotate"), json!("2026-01-02T00:00:00Z"));
    assert_eq!(listed(&[granted, edited, other]), last);
    assert_eq!(listed(&[other, edited, granted]), last);
}

#[test]
fn where_there_is_none_that_is_told() {
    let server = live(&automated());
    assert_snapshot!(run(&server, &["list"]).transcript(), @r"
    status: 0
    --- stdout
    --- stderr
    no override in namespace argocd
    ");
}

#[test]
fn namespaces_and_labels_are_asked_for_as_kubectl_does() {
    let server = live(&automated());
    let paths = |namespace: &str| {
        ["applications", "applicationsets", "appprojects"].map(|plural| match namespace {
            "" => format!("/apis/argoproj.io/v1alpha1/{plural}"),
            namespace => format!("/apis/argoproj.io/v1alpha1/namespaces/{namespace}/{plural}"),
        })
    };
    for path in [paths(""), paths("shop")].as_flattened() {
        server.lists(&format!("{path}?team=shop"), &[]);
    }
    let cluster = ",argocd.argoproj.io/secret-type=cluster";
    // Secrets elsewhere are not clusters to Argo CD.
    server.lists(
        &format!("/api/v1/namespaces/argocd/secrets?team=shop{cluster}"),
        &[],
    );
    for (arguments, told) in [
        (
            &["-A", "-l", "team=shop"][..],
            "no override in any namespace\n",
        ),
        (
            &["-n", "shop", "-l", "team=shop"],
            "no override in namespace shop\n",
        ),
    ] {
        let run = run(&server, &[&["list"], arguments].concat());
        assert_eq!(
            (run.status(), &*run.stderr()),
            (0, told),
            "{}",
            run.transcript()
        );
    }
}

#[test]
fn what_may_not_be_listed_is_left_out_and_told() {
    let server = with_overrides();
    server.forbids(CLUSTERS);
    let run = run(&server, &["list", "-o", "name"]);
    assert_snapshot!(run.transcript());
}

#[test]
fn that_there_is_none_is_not_told_of_what_could_not_be_read() {
    let server = live(&automated());
    server.forbids(CLUSTERS);
    server.forbids(OWN_SETS);
    let told = |arguments: &[&str]| {
        let run = run(&server, &[&["list"], arguments].concat());
        assert_eq!(run.status(), 2, "{}", run.transcript());
        run.stderr().lines().last().map(str::to_owned)
    };
    assert_eq!(
        told(&[]).as_deref(),
        Some(
            "no override found in namespace argocd, but not all of it is known: applicationsets.argoproj.io, secrets could \
             not be read"
        )
    );
    let broken = json!({"metadata": {
        "name": "broken", "namespace": "argocd", "annotations": {RULES: "prod-auto-sync"},
    }, "spec": 7});
    server.lists(APPLICATIONS, &[broken]);
    server.lists(OWN_SETS, &[]);
    assert_eq!(
        told(&["--expired"]).as_deref(),
        Some(
            "no override that is over found in namespace argocd, but not all of it is known: secrets, application/broken could \
             not be read"
        )
    );
}

#[test]
fn a_selector_that_is_none_is_named() {
    let server = live(&automated());
    let refusal = "unable to parse requirement: found '!', expected: identifier";
    let path = format!("{APPLICATIONS}?%21%21bad");
    server.answers(&path, 400, status(400, "BadRequest", refusal));
    assert_snapshot!(run(&server, &["list", "-l", "!!bad"]).transcript(), @r#"
    status: 2
    --- stdout
    --- stderr
    error: --selector "!!bad": cannot list applications.argoproj.io in namespace argocd: unable to parse requirement: found '!', expected: identifier
    "#);
}

#[test]
fn an_override_is_taken_off_where_nothing_is_violated_any_more() {
    let server = live(&overridden(&orders(&json!({})), "prod-auto-sync", 2));
    let run = run(&server, &["revoke", "orders"]);
    assert_snapshot!(run.transcript());
    let (_, content) = server.writes().remove(0);
    assert_eq!(
        content["metadata"],
        json!({"resourceVersion": "7", "annotations": {RULES: null, REASON: null, EXPIRES: null}})
    );
}

#[test]
fn an_override_that_is_needed_is_cut_short_and_the_violation_is_shown() {
    let server = live(&overridden(&automated(), "prod-auto-sync,image-updater", 2));
    let run = run(&server, &["revoke", "orders"]);
    timeless(|| assert_snapshot!(run.transcript()));
    let (annotations, lasts) = written(&server);
    assert_eq!(annotations, json!({}));
    assert!(
        lasts <= SignedDuration::ZERO && lasts > -SignedDuration::from_mins(5),
        "{lasts}"
    );
}

#[test]
fn an_override_is_ended_where_it_stands() {
    let server = live(&generated());
    server.answers(CARTS, 200, overridden(&carts(), "prod-auto-sync", 2));
    let of_set = run(&server, &["revoke", "orders", "--dry-run", "server"]);
    timeless(|| assert_snapshot!(of_set.transcript()));
    let (request, _) = server.writes().remove(0);
    assert_eq!(
        request,
        format!("PATCH {CARTS}?&dryRun=All&fieldManager=kubectl-gitops")
    );
}

#[test]
fn there_may_be_nothing_left_to_end() {
    let over = live(&overridden(&automated(), "prod-auto-sync", -2));
    timeless(|| assert_snapshot!("over", run(&over, &["revoke", "orders"]).transcript()));
    assert_eq!(over.writes(), []);
    let without = live(&automated());
    assert_snapshot!("without", run(&without, &["revoke", "orders"]).transcript());
    assert_eq!(without.writes(), []);
    let mistaken = live(&overridden(&automated(), "prod-autosync", 2));
    let run = run(&mistaken, &["revoke", "orders", "--dry-run", "client"]);
    assert_snapshot!("mistaken", run.transcript());
}

/// An API server that answers such reviews, one after the other.
fn answering(permissions: &[Value]) -> ApiServer {
    let server = live(&automated());
    for permission in permissions {
        server.then_answers(MAY, 201, json!({"status": permission}));
    }
    server
}

fn allowed() -> Value {
    let reason = r#"RBAC: allowed by ClusterRoleBinding "on-call" of ClusterRole "break-glass" to Group "on-call""#;
    json!({"allowed": true, "reason": reason})
}

#[test]
fn what_permits_to_overrule_a_rule_is_told() {
    let server = answering(&[allowed()]);
    assert_snapshot!(run(&server, &["why", "prod-auto-sync"]).transcript());
    let (_, question) = server.writes().pop().unwrap();
    assert_eq!(
        question["spec"]["resourceAttributes"],
        json!({
            "verb": "break-glass", "group": "kubectl-gitops.io", "version": "v1alpha1",
            "resource": "gitopspolicies", "namespace": null, "name": "prod-auto-sync",
        })
    );
    let every = run(&server, &["why"]);
    assert_eq!(
        (every.status(), every.stdout().lines().count()),
        (0, 15),
        "{}",
        every.transcript()
    );
}

#[test]
fn what_is_missing_to_overrule_a_rule_is_told() {
    let arguments = [
        "why",
        "app/orders",
        "--rule",
        "prod-auto-sync,project-scope",
    ];
    let answers = [
        allowed(),
        json!({"allowed": false}),
        json!({"allowed": false}),
    ];
    assert_snapshot!(
        "why_not",
        run(&answering(&answers), &arguments).transcript()
    );
    let json = run(
        &answering(&answers),
        &[&arguments[..], &["-o", "json"]].concat(),
    );
    assert_snapshot!("why_not_json", json.transcript());
    let yaml = run(
        &answering(&answers),
        &[&arguments[..], &["-o", "yaml"]].concat(),
    );
    assert_eq!(golang::yaml::value(&yaml.stdout()).unwrap(), json.json());
    let no_patch = [allowed(), allowed(), json!({"allowed": false})];
    let run = run(&answering(&no_patch), &arguments);
    assert_eq!(run.status(), 1);
    assert_eq!(
        run.stderr(),
        "asked as alice (groups on-call)\n\
         hint: you need a Role or ClusterRole that allows `patch` on applications.argoproj.io/orders in namespace argocd\n"
    );
}

#[test]
fn what_is_missing_for_several_rules_is_told_once() {
    let denied = json!({"allowed": false});
    let run = run(&answering(&[allowed(), denied]), &["why"]);
    assert_eq!(run.status(), 1);
    assert_eq!(
        run.stderr(),
        "asked as alice (groups on-call)\n\
         hint: each rule that you may not overrule needs a ClusterRole, bound by a ClusterRoleBinding, that allows \
         `break-glass` on gitopspolicies.kubectl-gitops.io/RULE\n"
    );
}

#[test]
fn of_a_generated_application_it_is_asked_where_the_override_would_stand() {
    let arguments = ["why", "app/orders", "--rule", "prod-auto-sync"];
    let asked = |server: &ApiServer| {
        let (_, question) = server.writes().pop().unwrap();
        let asked = question["spec"]["resourceAttributes"].clone();
        (asked["resource"].clone(), asked["name"].clone())
    };
    let server = answering(&[allowed()]);
    server.answers(ORDERS, 200, generated());
    assert_snapshot!("why_generated", run(&server, &arguments).transcript());
    assert_eq!(asked(&server), (json!("applicationsets"), json!("carts")));
    // Of one that is still to come nothing generates it.
    let server = answering(&[allowed()]);
    server.answers(ORDERS, 404, status(404, "NotFound", "there is none"));
    assert_eq!(run(&server, &arguments).status(), 0);
    assert_eq!(asked(&server), (json!("applications"), json!("orders")));
    // Who may not read it is told no more than can be told.
    let server = answering(&[allowed()]);
    server.forbids(ORDERS);
    assert_snapshot!("why_unread", run(&server, &arguments).transcript());
}

#[test]
fn a_service_account_must_be_named_in_the_policy_as_well() {
    let server = answering(&[allowed()]);
    let named = |account: &str| {
        let username = format!("system:serviceaccount:{account}");
        server.answers(
            WHO,
            201,
            json!({"status": {"userInfo": {"username": username}}}),
        );
    };
    let why = || run(&server, &["why", "prod-auto-sync"]);
    named("ci:release");
    assert_snapshot!(why().transcript());
    server.answers(
        POLICY,
        200,
        policy(&json!({"serviceAccounts": ["ci/release"]})),
    );
    assert_eq!(why().status(), 0);
    named("argocd:argocd-application-controller");
    assert_eq!(why().status(), 1);
    server.answers(POLICY, 200, policy(&json!({"fromGit": true})));
    assert_eq!(why().status(), 0);
}

#[test]
fn whether_a_service_account_may_is_unknown_where_the_policy_cannot_be_read() {
    let denied = json!({"allowed": false});
    let server = answering(&[allowed(), denied.clone(), allowed(), denied]);
    let username = "system:serviceaccount:ci:release";
    server.answers(
        WHO,
        201,
        json!({"status": {"userInfo": {"username": username}}}),
    );
    server.forbids(POLICY);
    let why = ["why", "--rule", "prod-auto-sync,image-updater"];
    let table = run(&server, &why);
    assert_snapshot!("why_unknown", table.transcript());
    let json = run(&server, &[&why[..], &["-o", "json"]].concat());
    assert_eq!(json.status(), 2);
    let json = json.json();
    // What RBAC denies is denied, whatever the policy says.
    assert_eq!(json["allowed"], json!(false));
    assert_eq!(json["permissions"][0]["allowed"], Value::Null);
    assert_eq!(json["permissions"][1]["allowed"], json!(false));
}

#[test]
fn nothing_is_asked_in_the_name_of_what_is_no_rule() {
    let server = live(&automated());
    let run = run(&server, &["why", "prod-autosync"]);
    assert_snapshot!(run.transcript());
    assert_eq!(server.requests(), [] as [String; 0]);
}
