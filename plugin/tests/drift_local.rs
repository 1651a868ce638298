//! `kubectl gitops drift --source local`, with an API server that has a few objects: what is asked,
//! how often, and what of it is told.

mod support;

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use support::api_server::{ApiServer, status};
use support::{Folder, Ran};

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const CONFIG_MAPS: &str = "/api/v1/configmaps";
const SECRETS: &str = "/api/v1/secrets";
const SETTINGS: &str = "/api/v1/namespaces/argocd/configmaps/argocd-cm";
const URL: &str = "https://git.example.com/shop.git";
const PASSWORD: &str = "correct-horse-battery-staple";

/// A cluster on which Argo CD runs, to which it deploys, and a checkout.
struct World {
    cluster: ApiServer,
    folder: Folder,
}

fn resource(kind: &str, plural: &str, scope: &str) -> Value {
    json!({
        "resource": plural, "scope": scope, "singularResource": kind.to_lowercase(),
        "responseKind": {"group": "", "version": "v1", "kind": kind},
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    })
}

fn discovery(groups: &Value) -> Value {
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": groups})
}

fn application(name: &str, options: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name, "namespace": "argocd",
            "annotations": {"argocd.argoproj.io/compare-options": options},
        },
        "spec": {
            "project": "default",
            "source": {"repoURL": URL, "path": name},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
        },
    })
}

fn config_map(name: &str, greeting: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"greeting": greeting}})
}

/// An object as the API server lists it, marked as an Application's.
fn live(object: &Value, application: &str) -> Value {
    let mut live = object.clone();
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (kind, name) = (text("/kind"), text("/metadata/name"));
    let id = format!("{application}:/{kind}:shop/{name}");
    live["metadata"]["namespace"] = json!("shop");
    live["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": id});
    live.as_object_mut().into_iter().for_each(|members| {
        members.remove("apiVersion");
        members.remove("kind");
    });
    live
}

impl World {
    fn with(applications: &[Value], files: &[(&str, &str)]) -> Self {
        let cluster = ApiServer::start();
        let core = json!([{"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": [
            resource("ConfigMap", "configmaps", "Namespaced"),
            resource("Secret", "secrets", "Namespaced"),
            resource("Namespace", "namespaces", "Cluster"),
        ]}]}]);
        cluster.answers("/api", 200, discovery(&core));
        cluster.answers("/apis", 200, discovery(&json!([])));
        let version = json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
        });
        cluster.answers("/version", 200, version);
        cluster.lists(APPLICATIONS, applications);
        let folder = Folder::with(files);
        folder.add(&[(
            "kubeconfig",
            &cluster.kubeconfig("{token: for-the-cluster}"),
        )]);
        let git = Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(folder.path())
            .status();
        assert!(git.is_ok_and(|status| status.success()));
        World { cluster, folder }
    }

    fn drift(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"))
            .args(["drift", "--source", "local", "--repository", URL])
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .stdin(Stdio::null())
            .output();
        output.map_or_else(|error| panic!("{error}"), Ran::from)
    }

    /// The targets of all requests for a path, whatever their query is.
    fn asked(&self, path: &str) -> Vec<String> {
        let requests = self.cluster.requests().into_iter();
        let targets = requests.filter_map(|head| Some(head.split(' ').nth(1)?.to_owned()));
        targets
            .filter(|target| target.split('?').next() == Some(path))
            .collect()
    }
}

#[test]
fn each_kind_is_listed_once_for_all_applications_and_page_by_page() {
    let names: Vec<String> = (0..20).map(|number| format!("app-{number}")).collect();
    let applications: Vec<Value> = names.iter().map(|name| application(name, "")).collect();
    let files: Vec<(String, String)> = names
        .iter()
        .map(|name| {
            (
                format!("{name}/config.json"),
                config_map(name, "hello").to_string(),
            )
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let world = World::with(&applications, &files);
    let page = |numbers: std::ops::Range<usize>, next: &str| {
        let items: Vec<Value> = numbers
            .map(|number| {
                let greeting = if number == 7 { "hi" } else { "hello" };
                live(&config_map(&names[number], greeting), &names[number])
            })
            .collect();
        json!({"kind": "ConfigMapList", "metadata": {"continue": next}, "items": items})
    };
    world
        .cluster
        .answers(CONFIG_MAPS, 200, page(0..10, "second"));
    world
        .cluster
        .answers("/api/v1/configmaps#second", 200, page(10..19, ""));

    let ran = world.drift(&["-o", "json"]);

    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let report = ran.json();
    let summary = json!({"applications": 20, "clean": 18, "drifted": 2, "stale": 0, "unknown": 0, "resources": 2});
    assert_eq!(report["summary"], summary);
    let lists = world.asked(CONFIG_MAPS);
    assert_eq!(lists.len(), 2, "{lists:?}");
    // Exact lists: from its cache an API server would send all of it at once.
    assert!(
        lists.iter().all(|target| target.contains("limit=500")),
        "{lists:?}"
    );
    assert!(
        lists
            .iter()
            .all(|target| !target.contains("resourceVersion")),
        "{lists:?}"
    );
    for path in ["/api", "/apis", "/version"] {
        assert_eq!(world.asked(path).len(), 1, "{path}");
    }
    // Kinds that nobody wants are not read.
    assert_eq!(world.asked(SECRETS), [""; 0]);
}

#[test]
fn a_dry_run_is_asked_for_what_is_there_and_nothing_else() {
    let application = application("shop", "ServerSideDiff=true");
    let (first, gone) = (config_map("first", "hello"), config_map("gone", "hello"));
    let world = World::with(
        &[application],
        &[
            ("shop/first.json", &first.to_string()),
            ("shop/gone.json", &gone.to_string()),
        ],
    );
    let others = config_map("others", "hello");
    world.cluster.lists(
        CONFIG_MAPS,
        &[live(&first, "shop"), live(&others, "another")],
    );
    let mut answer = live(&config_map("first", "hello"), "shop");
    answer["apiVersion"] = json!("v1");
    answer["kind"] = json!("ConfigMap");
    answer["metadata"]["managedFields"] = json!([{
        "manager": "argocd-controller", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:greeting": {}}},
    }]);
    let path = "PATCH /api/v1/namespaces/shop/configmaps/first";
    world.cluster.accepts(path, 200, answer);

    let ran = world.drift(&["-o", "json"]);

    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let resources = &ran.json()["applications"][0]["resources"];
    assert_eq!(resources[0]["name"], "gone", "{resources}");
    assert_eq!(resources[1], Value::Null, "{resources}");
    let writes = world.cluster.writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert!(writes[0].0.contains("dryRun=All"), "{writes:?}");
}

/// What an API server says of a manifest that is not of its type quotes it.
#[test]
fn why_a_secret_is_refused_is_not_told_where_that_may_quote_it() {
    let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password"}, "data": {"password": 7_041_776}});
    let there = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password"},
        "data": {"password": BASE64_STANDARD.encode(PASSWORD)},
    });
    let world = World::with(
        &[application("shop", "")],
        &[("shop/secret.json", &manifest.to_string())],
    );
    world.cluster.lists(SECRETS, &[live(&there, "shop")]);
    let message = format!(
        "failed to create typed patch object (shop/password; /v1, Kind=Secret): .data.password: \
         expected string, got &value.valueUnstructured{{Value:7041776}}, was {PASSWORD}"
    );
    let path = "PATCH /api/v1/namespaces/shop/secrets/password";
    world
        .cluster
        .accepts(path, 500, status(500, "InternalError", &message));
    for format in [
        "table",
        "wide",
        "json",
        "yaml",
        "name",
        "markdown",
        "junit",
        "openmetrics",
        "html",
    ] {
        let ran = world.drift(&["-o", format, "--exact"]);
        let text = ran.transcript();
        assert_eq!(ran.status(), 2, "{text}");
        assert!(text.contains("the API server refuses the Secret"), "{text}");
        for value in [PASSWORD, "7041776", &BASE64_STANDARD.encode(PASSWORD)] {
            assert!(!text.contains(value), "{format}: {text}");
        }
    }
    // Of other kinds it is told.
    let world = World::with(
        &[application("shop", "")],
        &[(
            "shop/config.json",
            &config_map("first", "hello").to_string(),
        )],
    );
    world
        .cluster
        .lists(CONFIG_MAPS, &[live(&config_map("first", "hello"), "shop")]);
    let path = "PATCH /api/v1/namespaces/shop/configmaps/first";
    world
        .cluster
        .accepts(path, 422, status(422, "Invalid", "data is too long"));
    let ran = world.drift(&["--exact"]);
    assert!(
        ran.stderr().contains("data is too long"),
        "{}",
        ran.transcript()
    );
}

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
const NAMESPACES: &str = "/api/v1/namespaces";

fn secret(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"a": "YQ=="}})
}

#[test]
fn kinds_that_argo_cd_excludes_are_neither_desired_nor_read() {
    let (config, password) = (config_map("first", "hello"), secret("password"));
    let world = World::with(
        &[application("shop", "")],
        &[
            ("shop/config.json", &config.to_string()),
            ("shop/secret.json", &password.to_string()),
        ],
    );
    world.cluster.lists(CONFIG_MAPS, &[live(&config, "shop")]);
    world
        .cluster
        .lists(SECRETS, &[live(&secret("extra"), "shop")]);
    let ran = world.drift(&["-o", "json"]);
    assert_eq!(
        ran.json()["summary"]["resources"],
        2,
        "{}",
        ran.transcript()
    );

    let exclude = |clusters: &str| {
        let text = format!("[{{apiGroups: [''], kinds: [Secret], clusters: ['{clusters}']}}]");
        json!({"metadata": {"name": "argocd-cm"}, "data": {"resource.exclusions": text}})
    };
    world
        .cluster
        .answers(SETTINGS, 200, exclude("https://elsewhere*"));
    assert_eq!(world.drift(&[]).status(), 1);
    world
        .cluster
        .answers(SETTINGS, 200, exclude("https://kubernetes.default.svc"));
    let before = world.asked(SECRETS).len();
    let ran = world.drift(&[]);
    assert_eq!(ran.status(), 0, "{}", ran.transcript());
    assert_eq!(world.asked(SECRETS).len(), before);

    let broken =
        json!({"metadata": {"name": "argocd-cm"}, "data": {"resource.exclusions": "Secret"}});
    world.cluster.answers(SETTINGS, 200, broken);
    let ran = world.drift(&[]);
    assert_eq!(ran.status(), 2);
    let expected = "resource.exclusions: expected a list with apiGroups, kinds and clusters";
    assert!(ran.stderr().contains(expected), "{}", ran.transcript());
}

#[test]
fn what_the_project_does_not_permit_is_nothing_to_argo_cd() {
    let (config, password) = (config_map("first", "hello"), secret("password"));
    let mut application = application("shop", "");
    application["spec"]["project"] = json!("shop");
    let world = World::with(
        &[application],
        &[
            ("shop/config.json", &config.to_string()),
            ("shop/secret.json", &password.to_string()),
        ],
    );
    let permits = |change: &Value| {
        let mut project = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"server": "https://kubernetes.default.svc", "namespace": "shop"}],
            },
        });
        json_patch::merge(&mut project["spec"], change);
        world.cluster.lists(PROJECTS, &[project]);
    };
    world.cluster.lists(CONFIG_MAPS, &[live(&config, "shop")]);
    world.cluster.lists(
        SECRETS,
        &[live(&password, "shop"), live(&secret("extra"), "shop")],
    );
    permits(&json!({}));
    let ran = world.drift(&["-o", "json"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    assert_eq!(
        ran.json()["applications"][0]["resources"][0]["cause"],
        "extra"
    );

    // What is there counts for nothing, and what is desired never comes.
    permits(&json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}]}));
    let ran = world.drift(&["-o", "json"]);
    assert_eq!(ran.status(), 2, "{}", ran.transcript());
    let one = &ran.json()["applications"][0];
    assert_eq!(one["verdict"], "unknown");
    assert_eq!(
        one["reason"],
        "Secret password: project shop does not permit it"
    );
    assert_eq!(one["resources"], json!([]));

    permits(
        &json!({"destinations": [{"server": "https://kubernetes.default.svc", "namespace": "other"}]}),
    );
    let ran = world.drift(&["-o", "json"]);
    let problems = ran.json()["problems"].as_array().map(Vec::len);
    assert_eq!(problems, Some(2), "{}", ran.transcript());
}

#[test]
fn a_namespace_is_compared_as_the_application_describes_it() {
    let metadata = json!({"labels": {"team": "shop"}});
    let mut application = application("shop", "");
    application["spec"]["syncPolicy"] =
        json!({"syncOptions": ["CreateNamespace=true"], "managedNamespaceMetadata": metadata});
    let synced = |application: &mut Value, metadata: &Value| {
        application["status"] = json!({"operationState": {
            "phase": "Succeeded", "syncResult": {"revision": "abc", "managedNamespaceMetadata": metadata},
        }});
    };
    synced(&mut application, &metadata);
    let config = config_map("first", "hello");
    let world = World::with(
        &[application.clone()],
        &[("shop/config.json", &config.to_string())],
    );
    world.cluster.lists(CONFIG_MAPS, &[live(&config, "shop")]);
    let namespace = |team: &str, annotations: Value| json!({"metadata": {"name": "shop", "labels": {"team": team, "own": "yes"}, "annotations": annotations}});
    let marks = json!({
        "argocd.argoproj.io/tracking-id": "shop:/Namespace:shop/shop",
        "argocd.argoproj.io/sync-options": "ServerSideApply=true",
    });
    for (live, expected) in [
        (namespace("shop", marks.clone()), json!([])),
        // Argo CD knows those only that are marked.
        (namespace("other", json!({})), json!([])),
        (
            namespace("other", marks.clone()),
            json!(["/metadata/labels/team"]),
        ),
    ] {
        world.cluster.lists(NAMESPACES, &[live]);
        let ran = world.drift(&["-o", "json"]);
        let report = ran.json();
        let resources = report["applications"][0]["resources"]
            .as_array()
            .into_iter()
            .flatten();
        let fields = resources.flat_map(|one| one["fields"].as_array().into_iter().flatten());
        let paths: Vec<Value> = fields.map(|field| field["path"].clone()).collect();
        assert_eq!(json!(paths), expected, "{}", ran.transcript());
    }
    // One that is not there is created by the next sync, and is not missed before.
    world.cluster.lists(NAMESPACES, &[]);
    assert_eq!(world.drift(&[]).status(), 0);

    synced(&mut application, &json!({"labels": {"team": "before"}}));
    world.cluster.lists(APPLICATIONS, &[application]);
    let ran = world.drift(&["-o", "json"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let reason = "spec.syncPolicy.managedNamespaceMetadata is otherwise than at the last sync";
    assert_eq!(ran.json()["applications"][0]["reason"], reason);
}

/// It blocks for as long as it runs.
#[test]
fn a_credential_plugin_that_does_not_end_holds_up_its_own_cluster_only() {
    let config = config_map("first", "hello");
    let mut elsewhere = application("elsewhere", "");
    elsewhere["spec"]["destination"] =
        json!({"server": "https://slow.example.com", "namespace": "shop"});
    let world = World::with(
        &[application("shop", ""), elsewhere],
        &[("shop/config.json", &config.to_string())],
    );
    world.cluster.lists(CONFIG_MAPS, &[live(&config, "shop")]);
    let pipe = world.folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let slow = format!(
        "
  - name: slow
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: sh
        args: [-c, 'read line < {}']
        interactiveMode: Never
",
        pipe.display()
    );
    let kubeconfig = world.cluster.kubeconfig("{token: for-the-cluster}");
    let kubeconfig = kubeconfig
        .replace(
            "\nclusters:\n",
            "\n  - {name: slow, context: {cluster: slow, user: slow}}\nclusters:\n  - {name: slow, cluster: {server: 'https://slow.example.com'}}\n",
        )
        .replace("\nusers:\n", &format!("\nusers:{slow}"));
    world.folder.add(&[("kubeconfig", &kubeconfig)]);

    let ran = world.drift(&["-o", "json", "--request-timeout", "2s"]);

    // Whoever waits for the pipe ends.
    let opened = OpenOptions::new().read(true).write(true).open(&pipe);
    assert_eq!(ran.status(), 2, "{}", ran.transcript());
    let report = ran.json();
    let verdict = |name: &str| {
        let all = report["applications"].as_array().into_iter().flatten();
        let mut named = all.filter(|one| one["name"] == name);
        named
            .next()
            .map(|one| (one["verdict"].clone(), one["reason"].clone()))
    };
    assert_eq!(verdict("shop"), Some((json!("clean"), Value::Null)));
    let reason = "the credential plugin takes longer than 2 s";
    assert_eq!(
        verdict("elsewhere"),
        Some((json!("unknown"), json!(reason)))
    );
    assert!(opened.is_ok(), "{opened:?}");
}
