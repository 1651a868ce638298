//! `kubectl gitops drift --shard` and `drift merge`: the parts of a fleet are the whole.

mod support;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use support::api_server::{ApiServer, CLUSTERS};
use support::{Folder, Ran};

const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
const IDENTITIES: &str = "/api/v1/applications";
const CLUSTER_COUNT: usize = 8;
const FORMATS: [&str; 9] = [
    "table",
    "wide",
    "json",
    "yaml",
    "name",
    "markdown",
    "junit",
    "openmetrics",
    "html",
];

/// A cluster, every other of which is production.
fn registration(number: usize) -> Value {
    let data = [
        ("name", format!("cluster-{number}")),
        ("server", format!("https://{number}.example.com")),
        ("config", "{}".to_owned()),
    ];
    let data = data.map(|(key, value)| (key, BASE64_STANDARD.encode(value)));
    let environment = ["production", "staging"][number % 2];
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("cluster-{number}"),
            "namespace": "argocd",
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "environment": environment},
        },
        "data": BTreeMap::from(data),
    })
}

fn name(number: usize) -> String {
    format!("shop-{number}")
}

/// Three Applications a cluster, named by both ways of naming one. Some have no cluster that is
/// known.
fn application(number: usize) -> Value {
    let destination = match number % 3 {
        0 => json!({"name": format!("cluster-{}", number / 3), "namespace": "shop"}),
        _ => {
            json!({"server": format!("https://{}.example.com", number / 3), "namespace": "shop"})
        }
    };
    let source = json!({"repoURL": "https://git.example.com/shop.git", "path": "deploy"});
    let sync = ["OutOfSync", "Synced", "OutOfSync", "Unknown"][number % 4];
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name(number), "namespace": "argocd", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"project": "shop", "source": source, "destination": destination},
        "status": {
            "sync": {"status": sync, "comparedTo": {"source": source, "destination": destination}},
            "reconciledAt": Timestamp::now().to_string(),
            "resources": [{"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "shop", "status": sync}],
        },
    })
}

/// What argocd-server says of one: a Deployment that an autoscaler scales and somebody edits.
fn managed_resources(number: usize) -> Value {
    let live = |replicas: usize, image: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name(number), "namespace": "shop"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "shop", "image": image}]}}},
        })
    };
    let (desired, normalized) = (live(1, "shop:1"), live(2 + number, "shop:debug"));
    let mut live = normalized.clone();
    let time = format!("2026-11-{:02}T10:00:00Z", 1 + number % 28);
    live["metadata"]["managedFields"] = json!([
        {
            "manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
            "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}},
        },
        {
            "manager": "kubectl-edit", "operation": "Update", "time": time,
            "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {r#"k:{"name":"shop"}"#: {"f:image": {}}}}}}},
        },
    ]);
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": format!("scaler-{number}"), "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name(number)}},
    });
    let item = |group: &str, kind: &str, name: &str, states: [&Value; 4], modified: bool| {
        let [target, live, normalized, predicted] = states.map(ToString::to_string);
        json!({
            "group": group, "kind": kind, "namespace": "shop", "name": name, "modified": modified,
            "targetState": target, "liveState": live,
            "normalizedLiveState": normalized, "predictedLiveState": predicted,
        })
    };
    json!({"items": [
        item("apps", "Deployment", &name(number), [&desired, &live, &normalized, &desired], true),
        item("autoscaling", "HorizontalPodAutoscaler", &format!("scaler-{number}"), [&scaler; 4], false),
    ]})
}

struct World {
    _cluster: ApiServer,
    argocd: ApiServer,
    folder: Folder,
}

impl World {
    /// Some Applications cannot be read, and of some argocd-server says nothing.
    fn start() -> Self {
        let (cluster, argocd) = (ApiServer::start(), ApiServer::start());
        let registered: Vec<Value> = (0..CLUSTER_COUNT).map(registration).collect();
        cluster.lists(CLUSTERS, &registered);
        let mut applications: Vec<Value> = (0..CLUSTER_COUNT * 3 + 2).map(application).collect();
        let identities: Vec<Value> = applications
            .iter()
            .map(|one| json!({"metadata": one["metadata"]}))
            .collect();
        applications
            .push(json!({"metadata": {"name": "broken", "namespace": "argocd"}, "spec": 7}));
        cluster.lists(APPLICATIONS, &applications);
        argocd.answers(IDENTITIES, 200, json!({"items": identities}));
        for number in (0..applications.len()).filter(|number| number % 5 != 4) {
            let path = format!("{IDENTITIES}/shop%2D{number}/managed-resources");
            argocd.answers(&path, 200, managed_resources(number));
        }
        let kubeconfig = cluster.kubeconfig("{token: for-the-cluster}");
        World {
            folder: Folder::with(&[("kubeconfig", &kubeconfig)]),
            _cluster: cluster,
            argocd,
        }
    }

    #[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
    fn drift(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-gitops"))
            .arg("drift")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("ARGOCD_SERVER", self.argocd.address())
            .env("ARGOCD_AUTH_TOKEN", "token")
            .env("ARGOCD_OPTS", "--plaintext")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.into()
    }

    /// Writes the report of each of so many shards, and returns their files.
    fn shards(&self, count: usize, more: &[&str]) -> Vec<String> {
        let shards = (0..count).map(|index| {
            let shard = format!("{index}/{count}");
            let arguments = [&["-o", "json", "--shard", &shard], more].concat();
            let file = format!("shard-{index}.json");
            let ran = self.drift(&arguments);
            assert_eq!(ran.json()["shard"], json!({"index": index, "count": count}));
            self.folder.add(&[(&file, &ran.stdout())]);
            file
        });
        shards.collect()
    }

    fn merge(&self, files: &[String], more: &[&str]) -> Ran {
        let files = files.iter().map(String::as_str);
        let arguments: Vec<&str> = ["merge"]
            .into_iter()
            .chain(files)
            .chain(more.iter().copied())
            .collect();
        self.drift(&arguments)
    }
}

fn assert_is_one_run(world: &World, counts: &[usize], flags: &[&str]) {
    for &count in counts {
        let files = world.shards(count, flags);
        for format in FORMATS {
            let whole = world.drift(&[&["-o", format], flags].concat());
            let merged = world.merge(&files, &["-o", format]);
            assert_eq!(merged.stdout(), whole.stdout(), "{format} of {count}");
            assert_eq!(merged.status(), whole.status(), "{format} of {count}");
            let last = |ran: &Ran| ran.stderr().lines().last().map(str::to_owned);
            assert_eq!(last(&merged), last(&whole), "{format} of {count}");
        }
    }
}

#[test]
fn shards_put_together_are_what_one_run_finds() {
    let world = World::start();
    assert_is_one_run(&world, &[1, 3], &[]);
    assert_is_one_run(
        &world,
        &[5],
        &["--hide-expected", "shop-1", "shop-2", "gone"],
    );
}

#[test]
fn shards_of_what_applications_say_of_themselves_are_one_run() {
    let world = World::start();
    assert_is_one_run(&world, &[2, 20], &["--source", "status"]);
}

#[test]
fn a_shard_has_all_of_a_cluster_and_nothing_twice() {
    let world = World::start();
    let mut shards: BTreeMap<String, usize> = BTreeMap::new();
    let files = world.shards(4, &["--source", "status"]);
    let mut all = 0;
    for index in 0..files.len() {
        let shard = format!("{index}/4");
        let report = world
            .drift(&["-o", "json", "--source", "status", "--shard", &shard])
            .json();
        for one in report["applications"].as_array().into_iter().flatten() {
            all += 1;
            let cluster = one["cluster"]["server"].to_string();
            assert_eq!(*shards.entry(cluster).or_insert(index), index);
        }
    }
    assert_eq!(all, CLUSTER_COUNT * 3 + 2);
    assert!(shards.values().any(|index| *index > 0), "{shards:?}");
}

#[test]
fn a_shard_that_is_not_there_is_noticed() {
    let world = World::start();
    let flags = ["--source", "status", "shop-1"];
    let mut files = world.shards(3, &flags);
    let missing = files.remove(1);
    let ran = world.merge(&files, &["-o", "json"]);
    assert_eq!(ran.status(), 2, "{missing}");
    assert!(
        ran.stderr()
            .contains("error: shard 1/3: no report of it is there"),
        "{}",
        ran.stderr()
    );
    let problem = json!({"object": "shard 1/3", "message": "no report of it is there"});
    let report = ran.json();
    let problems = report["problems"].as_array();
    assert!(
        problems.is_some_and(|all| all.contains(&problem)),
        "{report}"
    );
    assert_ne!(world.merge(&files, &["--partial-ok"]).status(), 2);
}

#[test]
fn reports_that_do_not_fit_together_are_refused_by_their_names() {
    let world = World::start();
    let files = world.shards(2, &["--source", "status"]);
    let other = world.drift(&["-o", "json", "--shard", "2/3", "--source", "status"]);
    let whole = world.drift(&["-o", "json", "--source", "status"]);
    let by_server = world.drift(&["-o", "json", "--shard", "1/2"]);
    let mut newer = whole.json();
    newer["apiVersion"] = json!("kubectl-gitops.io/v2");
    let mut wrong = whole.json();
    wrong["applications"][1]["verdict"] = json!("hunter2");
    let mut without = whole.json();
    without["applications"][0]
        .as_object_mut()
        .into_iter()
        .for_each(|one| drop(one.remove("health")));
    let mut of_none = whole.json();
    of_none["shard"] = json!({"index": 3, "count": 3});
    world.folder.add(&[
        ("other.json", &other.stdout()),
        ("whole.json", &whole.stdout()),
        ("argocd.json", &by_server.stdout()),
        ("newer.json", &newer.to_string()),
        ("wrong.json", &wrong.to_string()),
        ("without.json", &without.to_string()),
        ("of-none.json", &of_none.to_string()),
        ("empty.json", "\n"),
        (
            "check.json",
            r#"{"apiVersion": "kubectl-gitops.io/v1alpha1", "kind": "CheckReport"}"#,
        ),
        ("list.json", "[]"),
        ("text.json", "{hunter2: ["),
    ]);
    let [first, second] = [files[0].as_str(), files[1].as_str()];
    for (files, expected) in [
        (
            &[first, second, second][..],
            "shard-1.json: it is shard 1/2, and so is shard-1.json",
        ),
        (
            &[first, "other.json"],
            "other.json: it is shard 2/3, shard-0.json is one of 2",
        ),
        (
            &["whole.json", first],
            "whole.json: it is not a shard, shard-0.json is one",
        ),
        (
            &["whole.json", "whole.json"],
            "whole.json: it has application argocd/",
        ),
        (
            &[first, "argocd.json"],
            "argocd.json: its source is argocd, that of shard-0.json is status",
        ),
        (
            &["newer.json"],
            "newer.json: expected apiVersion kubectl-gitops.io/v1alpha1",
        ),
        (
            &["wrong.json"],
            "wrong.json: applications[1].verdict is not what a DriftReport has there",
        ),
        (&["without.json"], "without.json: applications[0]"),
        (
            &["of-none.json"],
            "of-none.json: shard is not what a DriftReport has there",
        ),
        (&["empty.json"], "empty.json: it is empty"),
        (
            &["check.json"],
            "check.json: expected a DriftReport: its kind is another",
        ),
        (
            &["list.json"],
            "list.json: expected a DriftReport: it has no kind",
        ),
        (&["text.json"], "text.json: it is neither JSON nor YAML"),
        (&["nowhere.json"], "cannot read nowhere.json"),
    ] {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let ran = world.merge(&files, &["--partial-ok"]);
        assert_eq!(ran.status(), 2, "{files:?}: {}", ran.transcript());
        assert_eq!(ran.stdout(), "", "{files:?}");
        assert!(
            ran.stderr().contains(expected),
            "{files:?}: {}",
            ran.stderr()
        );
        assert!(!ran.stderr().contains("hunter2"), "{}", ran.stderr());
    }
    let none = world.merge(&[], &[]);
    assert_eq!(none.status(), 2, "{}", none.transcript());
}

#[test]
fn a_report_in_yaml_is_read_as_well() {
    let world = World::start();
    let flags = ["--source", "status"];
    let yaml = world
        .drift(&[&["-o", "yaml"], &flags[..]].concat())
        .stdout();
    world.folder.add(&[("whole.yaml", &yaml)]);
    let merged = world.merge(&["whole.yaml".to_owned()], &["-o", "yaml"]);
    assert_eq!(merged.stdout(), yaml);
}

#[test]
fn a_shard_that_cannot_be_is_refused() {
    let world = World::start();
    for shard in ["2/2", "one", "1", "$(JOB_COMPLETION_INDEX)/4"] {
        let ran = world.drift(&["--shard", shard]);
        assert_eq!(ran.status(), 2);
        assert!(ran.stderr().contains("expected I/N"), "{}", ran.stderr());
    }
}
