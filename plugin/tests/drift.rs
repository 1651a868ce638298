//! `kubectl gitops drift`, with an API server and an argocd-server that have a few objects.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::{Settings, assert_snapshot};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS, status};
use support::{Folder, Ran};

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const IDENTITIES: &str = "/api/v1/applications";
const POLICY: &str = "/apis/kubectl-gitops.io/v1alpha1/gitopspolicies/default";
const TOKEN: &str = "a-token-that-nobody-may-see";
/// The value of a Secret, as an argocd-server would send it that masks nothing.
const SECRET: &str = "c3VwZXItc2VjcmV0";
const OTHER_SECRET: &str = "YW5vdGhlci1zZWNyZXQ=";

/// So many minutes ago.
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn ago(minutes: i64) -> String {
    let time = Timestamp::now() - SignedDuration::from_mins(minutes);
    let time = Timestamp::from_second(time.as_second()).unwrap();
    time.to_string()
}

fn with(object: &Value, change: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, change);
    object
}

/// An Application that was compared a moment ago.
fn application(name: &str, sync: &str, resources: &Value) -> Value {
    let source = json!({"repoURL": "https://git.example.com/shop.git", "path": "deploy", "targetRevision": "main"});
    let destination = json!({"name": if name.ends_with("production") { "production" } else { "staging" }, "namespace": "shop"});
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "uid": format!("uid-of-{name}"), "creationTimestamp": ago(9000)},
        "spec": {
            "project": "shop", "source": source, "destination": destination,
            "syncPolicy": {"automated": {"prune": true}},
        },
        "status": {
            "sync": {
                "status": sync, "revision": "abc",
                "comparedTo": {"source": source, "destination": destination},
            },
            "health": {"status": "Healthy"},
            "reconciledAt": ago(1),
            "resources": resources,
            "operationState": {"phase": "Succeeded", "syncResult": {"revision": "abc"}},
        },
    })
}

fn listed(group: &str, kind: &str, name: &str, more: &Value) -> Value {
    let listed = json!({
        "group": group, "version": "v1", "kind": kind, "namespace": "shop", "name": name, "status": "OutOfSync",
    });
    with(&listed, more)
}

/// The Secret of a cluster.
fn registration(name: &str) -> Value {
    let data = [
        ("name", name.to_owned()),
        ("server", format!("https://{name}.example.com")),
        ("config", "{}".to_owned()),
    ];
    let data = data.map(|(key, value)| (key, BASE64_STANDARD.encode(value)));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": name},
        },
        "data": BTreeMap::from(data),
    })
}

/// What production says of itself, most of which is out of sync.
fn production() -> Value {
    let resources = json!([
        listed("apps", "Deployment", "shop", &json!({})),
        listed("", "Secret", "shop", &json!({})),
        listed(
            "",
            "Service",
            "shop",
            &json!({"health": {"status": "Missing"}})
        ),
        listed(
            "",
            "ConfigMap",
            "left-over",
            &json!({"requiresPruning": true})
        ),
        listed(
            "autoscaling",
            "HorizontalPodAutoscaler",
            "orders",
            &json!({"status": "Synced"})
        ),
    ]);
    application("shop-production", "OutOfSync", &resources)
}

fn entry(manager: &str, subresource: &str, time: Option<String>, fields: &Value) -> Value {
    let mut entry = json!({
        "manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
    });
    if !subresource.is_empty() {
        entry["subresource"] = json!(subresource);
    }
    if let Some(time) = time {
        entry["time"] = json!(time);
    }
    entry
}

fn item(group: &str, kind: &str, name: &str, states: [&Value; 4]) -> Value {
    let [target, live, normalized, predicted] = states.map(ToString::to_string);
    let mut item = json!({
        "group": group, "kind": kind, "namespace": "shop", "name": name,
        "targetState": target, "liveState": live, "normalizedLiveState": normalized, "predictedLiveState": predicted,
    });
    if predicted != normalized && target != "null" {
        item["modified"] = json!(true);
    }
    item
}

/// An object that Git has as `desired` and the cluster as `live`.
fn modified(
    group: &str,
    kind: &str,
    name: &str,
    desired: &Value,
    live: &Value,
    entries: &Value,
) -> Value {
    let version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    let about = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}});
    let (desired, normalized) = (with(&about, desired), with(&about, live));
    let live = with(
        &normalized,
        &json!({"metadata": {"managedFields": entries}}),
    );
    item(group, kind, name, [&desired, &live, &normalized, &desired])
}

fn deployment(name: &str, replicas: u8, image: &str) -> Value {
    json!({
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": name, "image": image}]}},
        },
    })
}

/// An edited Deployment and a scaled one, a Secret, a Service that is gone, a ConfigMap that nobody
/// wants, an autoscaler.
fn managed_resources() -> Value {
    let image = |name: &str| {
        let key = format!(r#"k:{{"name":"{name}"}}"#);
        json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {key: {"f:image": {}}}}}}})
    };
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let shop = modified(
        "apps",
        "Deployment",
        "shop",
        &deployment("shop", 2, "registry.example.com/shop:1.0.0"),
        &deployment("shop", 5, "registry.example.com/shop:debug"),
        &json!([
            entry(
                "argocd-controller",
                "",
                Some(ago(500)),
                &json!({"f:metadata": {"f:labels": {"f:app": {}}}})
            ),
            entry("kubectl-edit", "", Some(ago(90)), &image("shop")),
            entry("kubectl", "scale", None, &replicas),
        ]),
    );
    let orders = modified(
        "apps",
        "Deployment",
        "orders",
        &deployment("orders", 2, "registry.example.com/orders:1.0.0"),
        &deployment("orders", 4, "registry.example.com/orders:1.0.0"),
        &json!([entry("kube-controller-manager", "scale", None, &replicas)]),
    );
    let secret = modified(
        "",
        "Secret",
        "shop",
        &json!({"data": {"password": SECRET, "same": "x"}}),
        &json!({"data": {"password": OTHER_SECRET, "same": "x", "new": SECRET}}),
        &json!([entry(
            "kubectl-patch",
            "",
            Some(ago(30)),
            &json!({"f:data": {"f:password": {}, "f:new": {}}})
        )]),
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": "shop"}});
    let left_over = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "left-over", "namespace": "shop",
            "managedFields": [entry("kubectl-create", "", Some(ago(3000)), &json!({"f:data": {}}))],
        },
    });
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "orders"}},
    });
    let none = Value::Null;
    json!({"items": [
        shop,
        orders,
        secret,
        item("", "Service", "shop", [&service, &none, &none, &service]),
        item("", "ConfigMap", "left-over", [&none, &left_over, &left_over, &none]),
        item("autoscaling", "HorizontalPodAutoscaler", "orders", [&autoscaler; 4]),
    ]})
}

/// A cluster on which Argo CD runs, an argocd-server, and somebody who is logged in to both.
struct World {
    cluster: ApiServer,
    argocd: ApiServer,
    folder: Folder,
}

impl World {
    fn with(applications: &[Value]) -> Self {
        let cluster = ApiServer::start();
        cluster.lists(CLUSTERS, &["production", "staging"].map(registration));
        let world = World {
            cluster,
            argocd: ApiServer::start(),
            folder: Folder::with(&[]),
        };
        world.has(applications);
        world.folder.add(&[(
            "kubeconfig",
            &world.cluster.kubeconfig("{token: for-the-cluster}"),
        )]);
        world
    }

    /// What there is, on the cluster and by argocd-server.
    fn has(&self, applications: &[Value]) {
        self.cluster.lists(APPLICATIONS, applications);
        let items: Vec<Value> = applications
            .iter()
            .map(|one| json!({"metadata": one["metadata"]}))
            .collect();
        self.argocd
            .answers(IDENTITIES, 200, json!({"items": items}));
    }

    fn answers(&self, name: &str, answer: Value) {
        self.argocd.answers(&path_of(name), 200, answer);
    }

    /// Logs in as the argocd CLI does.
    fn logged_in(self) -> Self {
        let address = self.address();
        let config = format!(
            "\
contexts:
- {{name: here, server: '{address}', user: me}}
current-context: here
servers:
- {{server: '{address}', plain-text: true, grpc-web-root-path: ''}}
users:
- {{name: me, auth-token: {TOKEN}, refresh-token: {TOKEN}}}
"
        );
        self.folder.add(&[(".config/argocd/config", &config)]);
        self
    }

    fn address(&self) -> String {
        self.argocd.address()
    }

    fn drift(&self, arguments: &[&str]) -> Ran {
        self.drift_with(&[], arguments)
    }

    fn drift_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let ran = run(self.folder.path(), environment, arguments);
        assert!(!ran.transcript().contains(TOKEN), "{}", ran.transcript());
        ran
    }
}

#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn run(folder: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"))
        .arg("drift")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.into()
}

fn path_of(name: &str) -> String {
    let name = name.replace('-', "%2D");
    format!("/api/v1/applications/{name}/managed-resources")
}

fn shop() -> World {
    let staging = application("shop-staging", "Synced", &json!([]));
    let world = World::with(&[staging, production()]).logged_in();
    world.answers("shop-staging", json!({"items": []}));
    world.answers("shop-production", managed_resources());
    world
}

/// Compares what it printed, without the times in it.
fn assert_printed(name: &str, ran: &Ran) {
    let mut settings = Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[TIME]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "[ADDRESS]");
    settings.add_filter(r"\d+[dhm](\d+m)? ago", "[AGO]");
    settings.add_filter(r"\b(2d|1h30m|30m)\b", "[AGE]");
    settings.bind(|| assert_snapshot!(name, ran.transcript()));
}

#[test]
fn fields_have_values_and_owners() {
    let world = shop();
    let ran = world.drift(&[]);
    assert_printed("drift_table", &ran);
    let longest = ran.stdout().lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{longest:?}");
    let ran = world.drift(&["-o", "json"]);
    assert_printed("drift_json", &ran);
    assert_eq!(ran.status(), 1);
    assert_printed("drift_wide", &world.drift(&["-o", "wide"]));
    let yaml = world.drift(&["-o", "yaml"]).stdout();
    assert!(yaml.contains("kind: DriftReport"), "{yaml}");
    assert_eq!(
        world.drift(&["-o", "name"]).stdout(),
        "application.argoproj.io/shop-production\n"
    );
}

/// The root of an app-of-apps, whose child is to be as a rule does not let it.
#[test]
fn what_the_webhook_would_not_admit_is_refused() {
    let to = |destination: &str| {
        json!({
            "status": {"sync": {"comparedTo": {"destination": {"name": destination}}}},
            "spec": {"destination": {"name": destination}},
        })
    };
    let root = application("root", "OutOfSync", &json!([]));
    let child = |project: &str, revision: &str| {
        json!({
            "metadata": {"namespace": "argocd"},
            "apiVersion": "argoproj.io/v1alpha1",
            "spec": {
                "project": project,
                "source": {
                    "repoURL": "https://git.example.com/shop.git", "path": ".",
                    "targetRevision": revision,
                },
                "destination": {"name": "staging", "namespace": "shop"},
            },
        })
    };
    let item = |name: &str, desired: &Value, live: &Value| {
        let mut item = modified(
            "argoproj.io",
            "Application",
            name,
            desired,
            live,
            &json!([]),
        );
        item["namespace"] = json!("argocd");
        item
    };
    let answer = json!({"items": [
        item("bad", &child("default", "v1"), &child("shop", "v1")),
        item("good", &child("shop", "v2"), &child("shop", "v1")),
        // What was so before may stay so.
        item("old", &child("default", "v2"), &child("default", "v1")),
    ]});
    let effects = |destination: &str, has_policy: bool| {
        let world = World::with(&[with(&root, &to(destination))]).logged_in();
        if has_policy {
            let policy = json!({
                "apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "GitOpsPolicy",
                "metadata": {"name": "default"}, "spec": {},
            });
            world.cluster.answers(POLICY, 200, policy);
        }
        world.answers("root", answer.clone());
        let report = world.drift(&["-o", "json"]).json();
        let application = &report["applications"][0];
        let resources = application["resources"].as_array().cloned();
        let effects = resources
            .unwrap_or_default()
            .into_iter()
            .map(|resource| json!([resource["name"], resource["effect"]]));
        let effects: Vec<Value> = effects.collect();
        (effects, application["reason"].clone(), world.drift(&[]))
    };
    let in_place = |name: &str| json!([name, "in-place"]);
    let (found, reason, table) = effects("in-cluster", true);
    let refused = json!(["bad", "refused"]);
    assert_eq!(found, [refused, in_place("good"), in_place("old")]);
    let reason = reason.as_str().unwrap_or_default();
    assert!(
        reason.starts_with("a sync of application/bad is refused: ")
            && reason.contains("default-project: "),
        "{reason}"
    );
    let table = table.stdout();
    assert!(table.contains("a sync is refused: "), "{table}");
    // No webhook judges what is written elsewhere, nor where there is none.
    let nothing = [in_place("bad"), in_place("good"), in_place("old")];
    for (destination, has_policy) in [("staging", true), ("in-cluster", false)] {
        let (found, reason, _) = effects(destination, has_policy);
        assert_eq!(found, nothing);
        assert_eq!(reason, Value::Null);
    }
}

#[test]
fn a_token_goes_to_the_server_that_gave_it_and_nowhere_else() {
    let world = shop();
    let _ = world.drift(&[]);
    let bearer = format!("bearer {TOKEN}");
    let has_token = |head: &String| head.to_lowercase().contains(&bearer);
    assert!(world.argocd.requests().iter().all(has_token));
    assert!(!world.cluster.requests().iter().any(has_token));
    let other = ApiServer::start();
    let ran = world.drift(&["--argocd-server", &other.address(), "--plaintext"]);
    assert_eq!(ran.status(), 2);
    assert!(
        ran.stderr().contains("nobody is logged in to 127.0.0.1"),
        "{}",
        ran.stderr()
    );
    assert_eq!(other.requests(), [""; 0]);
}

#[test]
fn no_value_of_a_secret_is_printed_in_any_format() {
    let world = shop();
    for format in [
        "table",
        "wide",
        "json",
        "yaml",
        "name",
        "diff",
        "markdown",
        "sarif",
        "junit",
        "openmetrics",
        "html",
    ] {
        let printed = world.drift(&["-o", format]).transcript();
        for value in [SECRET, OTHER_SECRET] {
            assert!(!printed.contains(value), "{format}: {printed}");
        }
    }
    let report = world.drift(&["-o", "json", "--kind", "secret"]).json();
    let fields = &report["applications"][0]["resources"][0]["fields"];
    let managers = &fields[0]["managers"];
    assert_eq!(managers[0]["manager"], "kubectl-patch");
    assert_eq!(
        *fields,
        json!([
            {"path": "/data/new", "desired": null, "live": "***", "managers": managers, "person": null, "masked": true},
            {"path": "/data/password", "desired": "***", "live": "***", "managers": managers, "person": null, "masked": true},
        ])
    );
}

#[test]
fn a_diff_is_from_what_is_there_to_what_a_sync_makes_of_it() {
    let world = shop();
    let ran = world.drift(&["-o", "diff"]);
    assert_eq!(ran.status(), 1);
    assert_printed("drift_diff", &ran);
    // What nobody asked for is no part of it.
    let ran = world.drift(&["-o", "diff", "--by", "kubectl-edit"]);
    let changes = |ran: &Ran| {
        let is_change = |line: &&str| {
            line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---")
        };
        let lines: Vec<String> = ran
            .stdout()
            .lines()
            .filter(is_change)
            .map(str::to_owned)
            .collect();
        lines
    };
    assert_eq!(
        changes(&ran),
        [
            "-      - image: registry.example.com/shop:debug",
            "+      - image: registry.example.com/shop:1.0.0",
        ]
    );
    // Without fields there is nothing to show, and that is told.
    let ran = world.drift(&["-o", "diff", "--source", "status"]);
    assert_eq!((ran.status(), ran.stdout()), (1, String::new()));
    let told = "note: deployment/shop of argocd/shop-production differs: fields are not known";
    assert!(ran.stderr().contains(told), "{}", ran.stderr());
}

/// A program that says what it was given, and ends as it is told to.
#[cfg(unix)]
#[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
fn differ(folder: &Path, status: u8) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let script = format!(
        "#!/bin/sh\necho \"$1\" \"$2\" >> folders\nshift 0\nlive=$1; merged=$2; shift 2\n\
         echo \"arguments: $*\"\nls -ld \"$live\" \"$merged\" | cut -c1-10\n\
         ls -l \"$live\" | tail -n +2 | cut -c1-10 | sort -u\n\
         (cd \"$live\" && ls)\necho --\n(cd \"$merged\" && ls)\ncat \"$live\"/* \"$merged\"/*\n\
         exit {status}\n"
    );
    let path = folder.join("differ");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[cfg(unix)]
#[test]
fn the_program_of_the_environment_shows_what_differs() {
    let world = shop();
    let program = differ(world.folder.path(), 1);
    let command = format!("{program} -N --color=always ;touch $(x)");
    let variable = [
        ("KUBECTL_EXTERNAL_DIFF", command.as_str()),
        ("PATH", "/usr/bin:/bin"),
    ];
    let ran = world.drift_with(&variable, &["-o", "diff"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let stdout = ran.stdout();
    let expected = "\
arguments: -N --color=always
drwx------
drwx------
-rw-------
argocd.shop-production.apps.v1.Deployment.shop.orders
argocd.shop-production.apps.v1.Deployment.shop.shop
argocd.shop-production.v1.ConfigMap.shop.left-over
argocd.shop-production.v1.Secret.shop.shop
--
argocd.shop-production.apps.v1.Deployment.shop.orders
argocd.shop-production.apps.v1.Deployment.shop.shop
argocd.shop-production.v1.Secret.shop.shop
argocd.shop-production.v1.Service.shop.shop
";
    assert!(stdout.starts_with(expected), "{stdout}");
    assert!(stdout.contains("password: \"*** (before)\""), "{stdout}");
    for value in [SECRET, OTHER_SECRET] {
        assert!(!ran.transcript().contains(value), "{stdout}");
    }
    assert!(
        ran.stderr().contains(r#"the argument "$(x)" is left out"#),
        "{}",
        ran.stderr()
    );
    let folders = std::fs::read_to_string(world.folder.path().join("folders")).unwrap();
    let folders: Vec<&str> = folders.split_whitespace().collect();
    let names: Vec<_> = folders
        .iter()
        .map(|path| Path::new(path).file_name().unwrap())
        .collect();
    let starts = |at: usize, start: &str| names[at].to_str().unwrap().starts_with(start);
    assert!(starts(0, "LIVE-") && starts(1, "MERGED-"), "{folders:?}");
    assert!(folders.iter().all(|folder| !Path::new(folder).exists()));
}

#[cfg(unix)]
#[test]
fn the_program_of_the_environment_says_whether_anything_differs() {
    let world = shop();
    for (status, expected) in [(0, 0), (1, 1), (2, 2), (3, 2), (127, 2)] {
        let program = differ(world.folder.path(), status);
        let variable = [
            ("KUBECTL_EXTERNAL_DIFF", program.as_str()),
            ("PATH", "/usr/bin:/bin"),
        ];
        let ran = world.drift_with(&variable, &["-o", "diff"]);
        assert_eq!(ran.status(), expected, "{}", ran.transcript());
        // What could not be seen is more.
        let ran = world.drift_with(&variable, &["-o", "diff", "shop-production", "nowhere"]);
        assert_eq!(ran.status(), 2, "{}", ran.transcript());
        // Another format is ours, and so is a diff where there is none.
        assert_eq!(world.drift_with(&variable, &["-o", "name"]).status(), 1);
        assert_eq!(
            world
                .drift_with(&variable, &["-o", "diff", "shop-staging"])
                .status(),
            0
        );
    }
    let variable = [("KUBECTL_EXTERNAL_DIFF", "/nowhere/differ -u")];
    let ran = world.drift_with(&variable, &["-o", "diff"]);
    assert_eq!(ran.status(), 2);
    let told = r#"KUBECTL_EXTERNAL_DIFF: cannot run "/nowhere/differ""#;
    assert!(ran.stderr().contains(told), "{}", ran.stderr());
}

#[test]
fn without_argocd_server_it_is_what_applications_say_of_themselves() {
    let world = World::with(&[
        production(),
        with(
            &application("old", "Synced", &json!([])),
            &json!({"status": {"reconciledAt": "2026-01-01T00:00:00Z"}}),
        ),
        with(
            &application("broken", "Unknown", &json!([])),
            &json!({"status": {"conditions": [{"type": "ComparisonError", "message": "rpc error: no\u{1b}[2Jrepository"}]}}),
        ),
    ]);
    let ran = world.drift(&[]);
    assert_printed("drift_status", &ran);
    assert_eq!(ran.status(), 2);
    assert_eq!(world.argocd.requests(), [""; 0]);
    let report = world.drift(&["-o", "json", "--partial-ok"]);
    assert_eq!(report.status(), 1);
    assert_eq!(report.json()["source"], "status");
}

#[test]
fn the_status_says_whether_something_differs() {
    let world = shop();
    for (arguments, expected) in [
        (&[][..], 1),
        (&["--exit-zero"], 0),
        (&["shop-staging"], 0),
        (&["argocd/shop-production"], 1),
        (&["shop-staging", "nowhere"], 2),
        (&["shop-staging", "nowhere", "--partial-ok"], 0),
        (&["--cluster", "staging"], 0),
        (&["--cluster", "production"], 1),
        (&["--environment", "production"], 1),
        (&["--environment", "prod"], 1),
        (&["--environment", "other"], 2),
        (&["--project", "other"], 2),
        (&["--project", "shop", "--partial-ok"], 1),
        (&["--kind", "Ingress"], 0),
        (&["--kind", "deployment"], 1),
        (&["--by", "kubectl edit"], 1),
        (&["--by", "kubectl-patch"], 1),
        (&["--by", "nobody"], 0),
        (&["--source", "status"], 1),
        (&["--nonsense"], 2),
        (&["--since", "soon"], 2),
        (&["-o", "xml"], 2),
        (&["--source", "argocd", "--argocd-server", "a b"], 2),
    ] {
        let ran = world.drift(arguments);
        assert_eq!(
            ran.status(),
            expected,
            "{arguments:?}: {}",
            ran.transcript()
        );
    }
}

#[test]
fn what_is_left_out_is_told() {
    let world = shop();
    let names = |arguments: &[&str]| {
        let report = world.drift(&[&["-o", "json", "shop-production"], arguments].concat());
        let report = report.json();
        let application = &report["applications"][0];
        let resources = application["resources"].as_array().unwrap().iter();
        let mut names: Vec<String> = resources
            .map(|one| {
                format!(
                    "{}/{}",
                    one["kind"].as_str().unwrap(),
                    one["name"].as_str().unwrap()
                )
            })
            .collect();
        names.sort();
        (
            names.join(" "),
            application["reason"].clone(),
            application["verdict"].clone(),
        )
    };
    let (all, reason, verdict) = names(&[]);
    assert_eq!(
        all,
        "ConfigMap/left-over Deployment/orders Deployment/shop Secret/shop Service/shop"
    );
    assert_eq!((reason, verdict), (Value::Null, json!("drifted")));
    let (expected, ..) = names(&["--hide-expected"]);
    assert_eq!(
        expected,
        "ConfigMap/left-over Deployment/shop Secret/shop Service/shop"
    );
    // What has no time may be as recent.
    let (recent, ..) = names(&["--since", "1h"]);
    assert_eq!(
        recent,
        "Deployment/orders Deployment/shop Secret/shop Service/shop"
    );
    let (none, reason, verdict) = names(&["--kind", "Ingress"]);
    assert_eq!(none, "");
    assert_eq!(reason, "left out: 5 resources that differ");
    assert_eq!(verdict, "clean");
}

#[test]
fn a_hostile_answer_is_told_and_the_rest_is_judged() {
    let names = ["a", "b", "c", "d", "e", "f", "shop-production"];
    let mut applications: Vec<Value> = names[..6]
        .iter()
        .map(|name| application(name, "Synced", &json!([])))
        .collect();
    applications.push(production());
    let world = World::with(&applications).logged_in();
    let large = json!({"data": {"a": "x".repeat(10 << 20)}}).to_string();
    let item = |change: Value| {
        let object = json!({"kind": "ConfigMap"});
        let item = item("", "ConfigMap", "cart", [&object; 4]);
        json!({"items": [with(&with(&item, &json!({"modified": true})), &change)]})
    };
    world
        .argocd
        .says(&path_of("a"), 200, "<html>\u{1b}[2J garbage");
    world.answers("b", item(json!({"liveState": large})));
    world.answers("c", item(json!({"name": "cart\u{1b}[2J\u{7}"})));
    world.answers("d", json!({"items": {"kind": SECRET}}));
    world.answers("e", item(json!({"liveState": 7})));
    world
        .argocd
        .answers(&path_of("f"), 500, json!({"message": "no\u{1b}[2Jredis"}));
    world.answers("shop-production", managed_resources());
    let ran = world.drift(&["-o", "json"]);
    assert_eq!(ran.status(), 2);
    let stderr = ran.stderr();
    assert!(
        !stderr.contains('\u{1b}') && !stderr.contains('\u{7}'),
        "{stderr}"
    );
    let report = ran.json();
    let mut problems: Vec<&str> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["message"].as_str().unwrap())
        .collect();
    problems.sort_unstable();
    assert_eq!(
        problems,
        [
            "argocd-server answered 500: no [2Jredis",
            "argocd-server answered something else than managed resources: it is not JSON",
            "argocd-server answered something else than managed resources: items is not what Argo CD writes there",
            "argocd-server: item 1, ConfigMap cart [2J ,: its name is not a name of Kubernetes",
            "argocd-server: item 1, ConfigMap cart,: its liveState is larger than 4 MiB, which no object is",
            "argocd-server: item 1: liveState is not what Argo CD writes there",
        ]
    );
    let verdicts = report["applications"].as_array().unwrap().iter();
    let verdicts: Vec<_> = verdicts
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(verdicts[0], ("shop-production", "drifted"));
    assert!(
        verdicts[1..]
            .iter()
            .all(|(_, verdict)| *verdict == "unknown")
    );
    assert_eq!(world.drift(&["--partial-ok"]).status(), 1);
}

#[test]
fn an_argocd_server_of_another_cluster_is_not_believed() {
    let world = shop();
    let items = json!({"items": [{"metadata": {"namespace": "argocd", "name": "shop-production", "creationTimestamp": "2026-01-01T00:00:00Z"}}]});
    world.argocd.answers(IDENTITIES, 200, items);
    let ran = world.drift(&[]);
    assert_eq!(ran.status(), 2);
    let stderr = ran.stderr();
    assert!(
        stderr.contains("has another Application of this name"),
        "{stderr}"
    );
    assert!(stderr.contains("does not show it to you"), "{stderr}");
}

#[test]
fn a_server_that_cannot_be_asked_is_told() {
    let world = shop();
    world.argocd.answers(
        IDENTITIES,
        401,
        json!({"error": "no session", "message": "no session"}),
    );
    let ran = world.drift(&[]);
    let stderr = ran.stderr();
    assert_eq!(ran.status(), 1, "{stderr}");
    assert!(
        stderr.contains("does not know who you are: no session: fields are not known"),
        "{stderr}"
    );
    let ran = world.drift(&["--source", "argocd"]);
    assert_eq!(ran.status(), 2);
    assert!(
        ran.stderr().contains("hint: `argocd login 127.0.0.1:"),
        "{}",
        ran.stderr()
    );
    let nobody = World::with(&[production()]);
    let ran = nobody.drift(&["--source", "argocd"]);
    assert_eq!(ran.status(), 2);
    assert!(
        ran.stderr().contains("no argocd-server is known"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn the_environment_says_where_argocd_server_is() {
    let world = World::with(&[production()]);
    world.answers("shop-production", managed_resources());
    let address = world.address();
    let token = ("ARGOCD_AUTH_TOKEN", TOKEN);
    for environment in [
        &[
            ("ARGOCD_SERVER", &*address),
            token,
            ("ARGOCD_OPTS", "--plaintext"),
        ][..],
        &[(
            "ARGOCD_OPTS",
            &*format!("--server={address} --plaintext --auth-token '{TOKEN}'"),
        )],
    ] {
        let ran = world.drift_with(environment, &["-o", "json"]);
        assert_eq!(ran.json()["source"], "argocd", "{}", ran.transcript());
    }
    let ran = world.drift_with(&[("ARGOCD_OPTS", TOKEN)], &[]);
    assert_eq!(ran.status(), 2);
}

#[test]
fn applications_come_from_argocd_server_where_there_is_no_cluster() {
    let world = shop();
    world
        .argocd
        .answers(IDENTITIES, 200, json!({"items": [production()]}));
    std::fs::remove_file(world.folder.path().join("kubeconfig")).unwrap();
    let ran = world.drift(&["-o", "json"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let report = ran.json();
    assert_eq!(report["source"], "argocd");
    assert_eq!(report["summary"]["drifted"], 1);
}

#[test]
fn only_applications_need_be_readable() {
    let world = World::with(&[production()]);
    for path in [
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects",
        "/apis/argoproj.io/v1alpha1/applicationsets",
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets",
        CLUSTERS,
        support::api_server::REPOSITORIES,
        "/api/v1/namespaces/argocd/configmaps/argocd-cm",
        "/api/v1/namespaces/argocd/configmaps/argocd-cmd-params-cm",
        "/apis/kubectl-gitops.io/v1alpha1/gitopspolicies/default",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.argoproj.io",
    ] {
        world.cluster.forbids(path);
    }
    let ran = world.drift(&["-o", "json"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    // Which of both strategies it is depends on what may not be read.
    assert_eq!(ran.json()["applications"][0]["strategy"], Value::Null);
    world.cluster.answers(
        APPLICATIONS,
        403,
        status(403, "Forbidden", "User \"alice\" may not"),
    );
    assert_eq!(world.drift(&[]).status(), 2);
}

#[test]
fn an_audit_log_names_people() {
    let world = shop();
    let event = |user: &str, uri: &str, object: Value, verb: &str, minutes: i64| {
        json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "stage": "ResponseComplete",
            "verb": verb, "requestURI": uri, "user": {"username": user}, "userAgent": "kubectl/v1.36.1 (linux/amd64)",
            "objectRef": with(&json!({"namespace": "shop", "name": "shop"}), &object), "responseStatus": {"code": 200},
            "stageTimestamp": ago(minutes),
        })
        .to_string()
    };
    let deployments = json!({"apiGroup": "apps", "resource": "deployments"});
    let scale = json!({"apiGroup": "apps", "resource": "deployments", "subresource": "scale"});
    let lines = [
        event(
            "alice@example.com",
            "/x?fieldManager=kubectl-edit",
            deployments.clone(),
            "patch",
            90,
        ),
        event(
            "bob@example.com",
            "/x?fieldManager=kubectl-edit",
            deployments,
            "patch",
            60,
        ),
        event("carol@example.com", "/x", scale, "patch", 80),
        event(
            "dave@example.com",
            "/x",
            json!({"resource": "services"}),
            "delete",
            70,
        ),
    ];
    world.folder.add(&[("audit.jsonl", &lines.join("\n"))]);
    let ran = world.drift(&["-o", "json", "--audit-log", "audit.jsonl"]);
    let report = ran.json();
    let person = |kind: &str, path: &str| {
        let resources = report["applications"][0]["resources"]
            .as_array()
            .unwrap()
            .iter();
        let mut resources = resources.filter(|one| one["kind"] == kind && one["name"] == "shop");
        let fields = resources.next().unwrap()["fields"].as_array().unwrap();
        let field = fields.iter().find(|field| field["path"] == path).unwrap();
        field["person"].clone()
    };
    assert_eq!(
        person("Deployment", "/spec/template/spec/containers/0/image"),
        "alice@example.com"
    );
    assert_eq!(person("Deployment", "/spec/replicas"), "carol@example.com");
    assert_eq!(person("Service", ""), "dave@example.com");
    assert_eq!(person("Secret", "/data/password"), Value::Null);
    let table = world.drift(&["--audit-log", "audit.jsonl", "--by", "carol@example.com"]);
    let words: Vec<_> = table
        .stdout()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let words = words.join(" ");
    assert!(
        words.contains("by kubectl scale (likely carol@example.com)"),
        "{words}"
    );
    let wrong = world.drift(&["--audit-log", "kubeconfig"]);
    assert_eq!(wrong.status(), 2);
    assert!(
        wrong.stderr().contains("kubeconfig: line 1 is not JSON"),
        "{}",
        wrong.stderr()
    );
    assert_eq!(world.drift(&["--audit-log", "nowhere"]).status(), 2);
}

/// kubectl's own flag of the name has another one behind this command.
#[test]
fn the_cluster_of_the_kubeconfig_can_be_named_as_well() {
    let world = shop();
    let ran = world.drift(&["--kubeconfig-cluster", "nowhere"]);
    assert_eq!(ran.status(), 2);
    assert!(
        ran.stderr()
            .contains("the kubeconfig has no cluster nowhere"),
        "{}",
        ran.stderr()
    );
    let ran = world.drift(&["--kubeconfig-cluster", "here", "--cluster", "staging"]);
    assert_eq!(ran.status(), 0, "{}", ran.transcript());
}

/// A Pod of argocd-server whose port has a name, and one that is not ready.
fn behind_the_cluster(world: &World) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "argocd-server"},
        "spec": {
            "selector": {"app.kubernetes.io/name": "argocd-server"},
            "ports": [{"name": "http", "port": 80, "targetPort": "server"}],
        },
    });
    let pod = |name: &str, ready: &str| {
        json!({
            "metadata": {"name": name},
            "spec": {"containers": [{"ports": [{"name": "metrics", "containerPort": 8083}, {"name": "server", "containerPort": 8080}]}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        })
    };
    let namespace = "/api/v1/namespaces/argocd";
    let pods = [pod("starting", "False"), pod("ready", "True")];
    let path = format!("{namespace}/services/argocd-server");
    world.cluster.answers(&path, 200, service);
    let path = format!("{namespace}/pods?app.kubernetes.io/name=argocd-server");
    world.cluster.lists(&path, &pods);
    world.cluster.forwards_to(&world.argocd);
    world.argocd.says("/healthz", 200, "ok");
}

#[test]
fn argocd_server_is_reached_through_the_api_server() {
    let world = World::with(&[production()]);
    world.answers("shop-production", managed_resources());
    behind_the_cluster(&world);
    let token = [("ARGOCD_AUTH_TOKEN", TOKEN)];
    for arguments in [&["-o", "json"][..], &["-o", "json", "--port-forward"]] {
        let ran = world.drift_with(&token, arguments);
        assert_eq!(ran.status(), 1, "{}", ran.transcript());
        let report = ran.json();
        assert_eq!(report["source"], "argocd");
        assert_eq!(report["summary"]["resources"], 5);
    }
    let to_pod = "GET /api/v1/namespaces/argocd/pods/ready/portforward?&ports=8080 ";
    let requests = world.cluster.requests();
    let is_to_pod = |head: &&String| head.contains("/portforward");
    let ways: Vec<_> = requests.iter().filter(is_to_pod).collect();
    assert!(!ways.is_empty());
    assert!(ways.iter().all(|head| head.starts_with(to_pod)), "{ways:?}");
    // Nobody is asked for a token, and none is sent to find out how argocd-server speaks.
    let health = world.argocd.requests();
    let health = health.iter().find(|head| head.starts_with("GET /healthz"));
    assert!(!health.unwrap().contains(TOKEN));
}

#[test]
fn a_way_through_the_api_server_that_is_barred_is_told() {
    let world = World::with(&[production()]);
    behind_the_cluster(&world);
    world
        .cluster
        .forbids("/api/v1/namespaces/argocd/pods/ready/portforward");
    let token = [("ARGOCD_AUTH_TOKEN", TOKEN)];
    let barred = "you may not `create` pods/portforward in namespace argocd";
    let ran = world.drift_with(&token, &["--port-forward"]);
    assert_eq!(ran.status(), 2);
    assert!(ran.stderr().contains(barred), "{}", ran.stderr());
    let ran = world.drift_with(&token, &[]);
    assert_eq!(ran.status(), 1);
    assert!(ran.stderr().contains(barred), "{}", ran.stderr());
    let ran = world.drift(&["--port-forward"]);
    assert_eq!(ran.status(), 2);
    assert!(
        ran.stderr()
            .contains("there is no token for argocd-server behind the API server"),
        "{}",
        ran.stderr()
    );
}
