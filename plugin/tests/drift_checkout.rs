//! `kubectl gitops drift --source local`, with a checkout and a cluster that have a few objects.

#![expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use support::api_server::ApiServer;
use support::{Folder, Ran};

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const URL: &str = "https://git.example.com/shop.git";
/// The value of a Secret.
const SECRET: &str = "c3VwZXItc2VjcmV0";

/// What the folder of `shop` has.
const FILES: [(&str, &str); 3] = [
    (
        "apps/shop/deployment.yaml",
        "\
# The shop itself
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 2 # two are enough
  template:
    spec:
      containers:
        - name: proxy
          image: registry.example.com/proxy:1.0.0
        - name: shop
          image: registry.example.com/shop:1.0.0
          env: []
",
    ),
    (
        "apps/shop/config and more.yaml",
        "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {color: red}
---
apiVersion: v1
kind: Secret
metadata: {name: shop, namespace: shop}
data:
  password: bmV3
",
    ),
    (
        "apps/other/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {replicas: 1}\n",
    ),
];

fn application(name: &str, path: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "uid": name, "creationTimestamp": "2026-11-01T08:00:00Z"},
        "spec": {
            "project": "shop",
            "source": {"repoURL": URL, "path": path, "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
        },
    })
}

fn groups(groups: &[(&str, &[(&str, &str)])]) -> Value {
    let items = groups.iter().map(|(group, kinds)| {
        let resources = kinds.iter().map(|(plural, kind)| {
            json!({
                "resource": plural, "singularResource": kind.to_lowercase(), "scope": "Namespaced",
                "responseKind": {"group": group, "version": "v1", "kind": kind},
                "verbs": ["get", "list", "watch", "patch"],
            })
        });
        json!({
            "metadata": {"name": group},
            "versions": [{"version": "v1", "resources": resources.collect::<Vec<_>>()}],
        })
    });
    json!({
        "apiVersion": "apidiscovery.k8s.io/v2", "kind": "APIGroupDiscoveryList",
        "items": items.collect::<Vec<_>>(),
    })
}

/// A cluster on which Argo CD and what it deploys run, and a checkout.
struct World {
    cluster: ApiServer,
    folder: Folder,
}

impl World {
    fn with(applications: &[Value], files: &[(&str, &str)]) -> Self {
        let cluster = ApiServer::start();
        cluster.lists(APPLICATIONS, applications);
        let core = groups(&[(
            "",
            &[
                ("configmaps", "ConfigMap"),
                ("secrets", "Secret"),
                ("services", "Service"),
            ],
        )]);
        cluster.answers("/api", 200, core);
        cluster.answers(
            "/apis",
            200,
            groups(&[("apps", &[("deployments", "Deployment")])]),
        );
        let version = json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.1", "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
        });
        cluster.answers("/version", 200, version);
        let folder = Folder::with(files);
        folder.add(&[(
            "kubeconfig",
            &cluster.kubeconfig("{token: for-the-cluster}"),
        )]);
        let world = World { cluster, folder };
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.git(&["remote", "add", "origin", URL]);
        world.git(&["add", "."]);
        world
    }

    /// The shop, of which something is otherwise in the cluster.
    fn shop() -> Self {
        let world = World::with(&[application("shop", "apps/shop")], &FILES);
        let about = |kind: &str, name: &str| {
            let id = match kind {
                "Deployment" => format!("shop:apps/Deployment:shop/{name}"),
                kind => format!("shop:/{kind}:shop/{name}"),
            };
            json!({"name": name, "namespace": "shop", "annotations": {"argocd.argoproj.io/tracking-id": id}})
        };
        let container = |name: &str, image: &str| json!({"name": name, "image": image});
        let deployment = json!({
            "metadata": about("Deployment", "shop"),
            "spec": {"replicas": 5, "template": {"spec": {"containers": [
                container("proxy", "registry.example.com/proxy:1.0.0"),
                container("shop", "registry.example.com/shop:debug"),
            ]}}},
        });
        world.has("/apis/apps/v1/deployments", &[deployment]);
        let settings =
            json!({"metadata": about("ConfigMap", "settings"), "data": {"color": "blue"}});
        let other = json!({"metadata": about("ConfigMap", "left-over"), "data": {"a": "b"}});
        world.has("/api/v1/configmaps", &[settings, other]);
        let secret = json!({"metadata": about("Secret", "shop"), "data": {"password": SECRET}});
        world.has("/api/v1/secrets", &[secret]);
        world
    }

    fn has(&self, path: &str, objects: &[Value]) {
        self.cluster.lists(path, objects);
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .args(arguments)
            .current_dir(self.folder.path())
            .status();
        assert!(status.unwrap().success(), "{arguments:?}");
    }

    fn drift(&self, arguments: &[&str]) -> Ran {
        let folder: &Path = self.folder.path();
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"))
            .arg("drift")
            .args(arguments)
            .current_dir(folder)
            .env("HOME", folder)
            .env("KUBECONFIG", folder.join("kubeconfig"))
            .env_remove("KUBECTL_EXTERNAL_DIFF")
            .stdin(Stdio::null())
            .output();
        let ran: Ran = output.unwrap().into();
        for value in [SECRET, "bmV3"] {
            assert!(!ran.transcript().contains(value), "{}", ran.transcript());
        }
        ran
    }
}

/// What a log says of places: rule, message, file and line.
fn places(log: &Value) -> Vec<(String, String)> {
    let results = log["runs"][0]["results"].as_array().unwrap().iter();
    let mut places: Vec<_> = results
        .map(|result| {
            let location = &result["locations"][0];
            let physical = &location["physicalLocation"];
            let line = &physical["region"]["startLine"];
            let file = physical["artifactLocation"]["uri"]
                .as_str()
                .unwrap_or("nowhere");
            let object = location["logicalLocations"][0]["fullyQualifiedName"]
                .as_str()
                .unwrap();
            (object.to_owned(), format!("{file}:{line}"))
        })
        .collect();
    places.sort();
    places
}

#[test]
fn code_scanning_is_told_the_line_of_each_field() {
    let world = World::shop();
    let ran = world.drift(&["--source", "local", "-o", "sarif"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let log = ran.json();
    let schema = include_str!("schemas/sarif-2.1.0-rtm.5.json");
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema);
    let validator = validator.unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&log)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
    let mut broken = log.clone();
    broken["runs"][0]["results"][0]["level"] = json!("high");
    assert!(!validator.is_valid(&broken));
    let found = places(&log);
    let found: Vec<_> = found
        .iter()
        .map(|(object, place)| (&**object, &**place))
        .collect();
    assert_eq!(
        found,
        [
            ("argocd/shop/ConfigMap/shop/left-over", "nowhere:null"),
            (
                "argocd/shop/ConfigMap/shop/settings",
                "apps/shop/config%20and%20more.yaml:4"
            ),
            (
                "argocd/shop/Deployment.apps/shop/shop",
                "apps/shop/deployment.yaml:14"
            ),
            (
                "argocd/shop/Deployment.apps/shop/shop",
                "apps/shop/deployment.yaml:7"
            ),
            (
                "argocd/shop/Secret/shop/shop",
                "apps/shop/config%20and%20more.yaml:10"
            ),
        ]
    );
}

const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";
const SETS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applicationsets";

/// What differs, as `kind/name path cause effect`.
fn told(report: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for application in report["applications"].as_array().unwrap() {
        for resource in application["resources"].as_array().unwrap() {
            for field in resource["fields"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                lines.push(format!(
                    "{}: {} {} {} {} {}",
                    text(&application["name"]),
                    text(&resource["kind"]),
                    text(&resource["name"]),
                    text(&field["path"]),
                    text(&resource["cause"]),
                    text(&resource["effect"]),
                ));
            }
        }
    }
    lines.sort();
    lines
}

/// A root that applies a project, an Application and an ApplicationSet, all of which somebody has
/// changed.
#[expect(clippy::too_many_lines, reason = "most of it is what there is")]
fn platform() -> World {
    let spec = json!({
        "project": "shop",
        "source": {"repoURL": URL, "path": "apps/cart", "targetRevision": "main"},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "cart"},
    });
    let manifest = |kind: &str, name: &str, spec: &Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "argocd"}, "spec": spec,
        })
    };
    let project =
        json!({"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "cart"}]});
    let set = json!({
        "generators": [{"list": {"elements": [{"name": "eu"}, {"name": "us"}]}}],
        "template": {"metadata": {"name": "web-{{name}}"}, "spec": spec},
    });
    let files = [
        (
            "platform/cart.yaml",
            manifest("Application", "cart", &spec).to_string(),
        ),
        (
            "platform/shop.yaml",
            manifest("AppProject", "shop", &project).to_string(),
        ),
        (
            "platform/web.yaml",
            manifest("ApplicationSet", "web", &set).to_string(),
        ),
        (
            "platform/new.yaml",
            manifest("Application", "new", &spec).to_string(),
        ),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let live = |kind: &str, name: &str, spec: &Value, change: Value| {
        let mut object = manifest(kind, name, spec);
        object["metadata"]["managedFields"] = json!([{
            "manager": "kubectl-edit", "operation": "Update", "time": "2026-11-29T10:00:00Z",
            "apiVersion": "argoproj.io/v1alpha1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {
                "f:destinations": {}, "f:syncPolicy": {"f:automated": {}},
                "f:source": {"f:targetRevision": {}}, "f:sourceNamespaces": {},
            }},
        }]);
        object["metadata"]["annotations"] = json!({
            "argocd.argoproj.io/tracking-id": format!("root:argoproj.io/{kind}:argocd/{name}"),
            "kubectl.kubernetes.io/last-applied-configuration": manifest(kind, name, spec).to_string(),
        });
        json_patch::merge(&mut object, &change);
        object
    };
    let generated = |name: &str, change: Value| {
        let mut object = live("Application", name, &spec, change);
        object["metadata"]["annotations"] = Value::Null;
        object["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "web", "uid": "web",
        }]);
        object
    };
    let mut root = application("root", "platform");
    root["status"] = json!({
        "resources": [{"group": "argoproj.io", "kind": "Application", "namespace": "argocd", "name": "rendered", "status": "Synced"}],
    });
    let world = World::with(
        &[
            root,
            live(
                "Application",
                "cart",
                &spec,
                json!({"spec": {
                    "source": {"targetRevision": "debug"},
                    "syncPolicy": {"automated": {"prune": true}},
                }}),
            ),
            live("Application", "rendered", &spec, json!({})),
            generated(
                "web-eu",
                json!({"spec": {"source": {"targetRevision": "debug"}}}),
            ),
            generated("web-asia", json!({})),
        ],
        &files,
    );
    let wider = json!([{"server": "*", "namespace": "cart"}, {"server": "*", "namespace": "*"}]);
    world.has(
        PROJECTS,
        &[
            live(
                "AppProject",
                "shop",
                &project,
                json!({"spec": {"destinations": wider, "sourceNamespaces": ["a"]}}),
            ),
            live(
                "AppProject",
                "other",
                &project,
                json!({"metadata": {"annotations": null}}),
            ),
            live(
                "AppProject",
                "default",
                &project,
                json!({"metadata": {"annotations": null}}),
            ),
        ],
    );
    world.has(SETS, &[live("ApplicationSet", "web", &set, json!({}))]);
    world
}

#[test]
fn argo_cds_own_objects_are_compared_with_what_git_says_nothing_of() {
    let world = platform();
    let ran = world.drift(&["--engine", "-o", "json"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let report = ran.json();
    assert_eq!(
        told(&report),
        [
            ": AppProject other  extra nothing",
            ": Application root  extra nothing",
            ": Application web-asia  extra delete",
            ": Application web-eu /spec/source/targetRevision changed-by-hand in-place",
            ": Application web-us  missing create",
            "root: AppProject shop /spec/destinations changed-by-hand in-place",
            "root: AppProject shop /spec/sourceNamespaces changed-by-hand nothing",
            "root: Application cart /spec/source/targetRevision changed-by-hand in-place",
            "root: Application cart /spec/syncPolicy changed-by-hand nothing",
            "root: Application new  missing create",
            // Argo CD has made it of another revision: the checkout says nothing of it.
            "root: Application rendered  extra nothing",
        ]
    );
    assert_eq!(report["problems"], json!([]));
    let log = world
        .drift(&["--engine", "-o", "sarif", "--kind", "application"])
        .json();
    let found = places(&log);
    let place = found
        .iter()
        .find(|(object, _)| object.ends_with("/cart"))
        .unwrap();
    assert_eq!(place.1, "platform/cart.yaml:1");
    let diff = world
        .drift(&["--engine", "-o", "diff", "--kind", "application"])
        .stdout();
    assert!(
        diff.contains("-  syncPolicy:\n-    automated:\n-      prune: true\n"),
        "{diff}"
    );
}

#[test]
fn what_only_a_fleet_is_asked_for_is_not_asked_of_its_engine() {
    let world = World::shop();
    for arguments in [
        &["--engine", "shop"][..],
        &["--engine", "--source", "argocd"],
        &["--engine", "-l", "a=b"],
    ] {
        let ran = world.drift(arguments);
        assert_eq!(ran.status(), 2, "{}", ran.transcript());
        assert!(
            ran.stderr().contains("cannot be used with"),
            "{}",
            ran.stderr()
        );
    }
}

#[test]
fn a_promotion_is_what_would_change_but_for_names() {
    let deployment = |environment: &str, tag: &str, replicas: u8| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\nspec:\n  replicas: {replicas}\n  \
             template:\n    spec:\n      containers:\n        - name: shop\n          \
             image: registry.example.com/shop:{tag}\n          \
             env: [{{name: HOST, value: shop.{environment}.example.com}}]\n"
        )
    };
    let files = [
        ("shop/staging/a.yaml", deployment("staging", "2.0.0", 2)),
        ("shop/prod/a.yaml", deployment("prod", "1.0.0", 2)),
        ("cart/staging/a.yaml", deployment("staging", "1.0.0", 1)),
        ("cart/prod/a.yaml", deployment("prod", "1.0.0", 3)),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let labelled = |name: &str, environment: &str| {
        let mut one = application(
            &format!("{name}-{environment}"),
            &format!("{name}/{environment}"),
        );
        one["metadata"]["labels"] = json!({"env": environment, "app": name});
        one
    };
    let all = [
        labelled("shop", "staging"),
        labelled("shop", "prod"),
        labelled("cart", "staging"),
        labelled("cart", "prod"),
    ];
    let world = World::with(&all, &files);
    let ran = world.drift(&[
        "--between",
        "shop-staging",
        "shop-prod",
        "--source",
        "local",
    ]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let expected = "\
FROM           TO          RESOURCE          CHANGE
shop-staging   shop-prod   deployment/shop   image
    container shop: now registry.example.com/shop:1.0.0, then
    registry.example.com/shop:2.0.0
";
    assert_eq!(ran.stdout(), expected);
    let ran = world.drift(&[
        "--between",
        "argocd/cart-staging",
        "cart-prod",
        "--source",
        "local",
        "-o",
        "json",
    ]);
    let report = ran.json();
    assert_eq!(report["kind"], "PromotionReport");
    let fields = &report["pairs"][0]["resources"][0]["fields"];
    assert_eq!(
        *fields,
        json!([{"path": "/spec/replicas", "now": 3, "then": 1, "masked": false}])
    );
    for (arguments, status, told) in [
        (
            &["--between", "shop-staging", "nowhere"][..],
            2,
            "application/nowhere: there is none",
        ),
        (&["--between", "shop-staging"], 2, "2 values required"),
        (&["--with", "env=prod"], 2, "required"),
        (
            &["--between", "shop-staging", "shop-prod", "-o", "html"],
            2,
            "-o html: what a promotion changes",
        ),
        // Without Git only the Applications themselves are known.
        (
            &["--between", "shop-staging", "shop-prod"],
            2,
            "nobody is logged in to argocd-server",
        ),
        (
            &["--between", "shop-staging", "shop-prod", "--partial-ok"],
            0,
            "1 pair: 0 would change",
        ),
    ] {
        let ran = world.drift(arguments);
        assert_eq!(ran.status(), status, "{arguments:?} {}", ran.transcript());
        assert!(
            ran.stderr().contains(told),
            "{arguments:?} {}",
            ran.stderr()
        );
    }
}

/// The shop, whose Application is in the checkout as well.
fn shop_with_manifest() -> World {
    let world = World::shop();
    let manifest = "\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop, namespace: argocd}
spec:
  # Whose it is
  project: shop
";
    world.folder.add(&[("root/shop.yaml", manifest)]);
    world.git(&["add", "."]);
    world
}

#[test]
fn ways_back_are_proposed_and_nothing_is_written() {
    let world = shop_with_manifest();
    let ran = world.drift(&["fix", "--source", "local", "-o", "json"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let report = ran.json();
    let fix = |kind: &str, name: &str, path: &str| -> Value {
        let fixes = report["fixes"].as_array().unwrap().iter();
        let mut fixes = fixes.filter(|fix| {
            let resource = &fix["resource"];
            resource["kind"] == kind
                && resource["name"] == name
                && (fix["path"] == path || path.is_empty())
        });
        fixes.next().unwrap_or_else(|| panic!("{report}")).clone()
    };
    let replicas = fix("Deployment", "shop", "/spec/replicas");
    assert_eq!(replicas["adopt"], "apps/shop/deployment.yaml");
    assert_eq!(
        replicas["ignore"],
        json!({"group": "apps", "kind": "Deployment", "name": "shop", "namespace": "shop", "jsonPointers": ["/spec/replicas"]})
    );
    assert_eq!(
        replicas["sync"],
        "argocd app sync argocd/shop --resource 'apps:Deployment:shop/shop'"
    );
    let image = fix(
        "Deployment",
        "shop",
        "/spec/template/spec/containers/1/image",
    );
    assert_eq!(
        image["ignore"]["jqPathExpressions"][0],
        r#".spec.template.spec.containers[] | select(.name == "shop") | .image"#
    );
    // Of a Secret the name of a field is told, and nothing is edited.
    let secret = fix("Secret", "shop", "/data/password");
    assert_eq!(
        (&secret["adopt"], &secret["ignore"]["jsonPointers"][0]),
        (&Value::Null, &json!("/data/password"))
    );
    let extra = fix("ConfigMap", "left-over", "");
    assert_eq!(
        (&extra["adopt"], &extra["ignore"]),
        (&Value::Null, &Value::Null)
    );
    assert!(extra["sync"].as_str().unwrap().ends_with("--prune"));
    assert_eq!(report["files"][0]["written"], false);
    assert_eq!(world.read("apps/shop/deployment.yaml"), FILES[0].1);
    for (arguments, told) in [
        (&["fix", "--engine"][..], "have no way back"),
        (&["fix", "-o", "html"], "-o html: ways back are shown as"),
        (&["fix", "--ignore"], "--apply"),
    ] {
        let ran = world.drift(arguments);
        assert_eq!(ran.status(), 2, "{}", ran.transcript());
        assert!(ran.stderr().contains(told), "{}", ran.stderr());
    }
}

#[test]
fn git_says_what_is_there_once_edits_are_applied() {
    let world = shop_with_manifest();
    let ran = world.drift(&["fix", "--source", "local", "--apply"]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    let diff = "-  replicas: 2 # two are enough\n+  replicas: 5 # two are enough\n";
    assert!(ran.stdout().contains(diff), "{}", ran.stdout());
    let expected = FILES[0].1.replace("replicas: 2", "replicas: 5");
    let expected = expected.replace(
        "registry.example.com/shop:1.0.0",
        "registry.example.com/shop:debug",
    );
    assert_eq!(world.read("apps/shop/deployment.yaml"), expected);
    assert_eq!(
        world.read("apps/shop/config and more.yaml"),
        FILES[1].1.replace("red", "blue")
    );
    assert_eq!(world.read("apps/other/deployment.yaml"), FILES[2].1);
    let report = world.drift(&["--source", "local", "-o", "json"]).json();
    assert_eq!(
        told(&report),
        [
            "shop: ConfigMap left-over  extra nothing",
            "shop: Secret shop /data/password not-synced-yet in-place",
        ]
    );
}

#[test]
fn what_does_not_count_is_written_into_the_application() {
    let world = shop_with_manifest();
    let ran = world.drift(&[
        "fix",
        "--source",
        "local",
        "--kind",
        "deployment",
        "--apply",
        "--ignore",
    ]);
    assert_eq!(ran.status(), 1, "{}", ran.transcript());
    assert_eq!(world.read("apps/shop/deployment.yaml"), FILES[0].1);
    let written = world.read("root/shop.yaml");
    assert!(
        written.contains("spec:\n  # Whose it is\n  ignoreDifferences:\n    - "),
        "{written}"
    );
    assert_eq!(written.matches("/spec/replicas").count(), 1);
    // Again is not twice.
    let _ = world.drift(&[
        "fix",
        "--source",
        "local",
        "--kind",
        "deployment",
        "--apply",
        "--ignore",
    ]);
    assert_eq!(world.read("root/shop.yaml"), written);
}
