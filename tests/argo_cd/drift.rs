//! `kubectl gitops drift` by the real argocd-server: what people, controllers and an autoscaler
//! changed on a cluster is found, with who did it, and nothing else is.

use std::{env, fs};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use harness::argo_cd::Fleet;
use harness::plugin::{plugin, plugin_as};
use harness::{User, eventually, path, succeed};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use crate::support::{Turn, WITHIN, all_clusters, commit};

const NAME: &str = "drift-staging";
const PERSON: &str = "carol@example.com";
/// What the Secret holds by Git, and what somebody makes of it.
const PASSWORDS: [&str; 2] = ["correct-horse", "battery-staple"];

/// In each of these something is added, reordered or written otherwise. Whether that counts only
/// Argo CD can say; but a list that is one value is another one with another element.
const DAEMON_SETS: [&str; 5] = [
    "drift-added",
    "drift-reordered",
    "drift-reordered-ports",
    "drift-quantity",
    "drift-element",
];

/// What is deployed: each of these is tampered with in its own way.
fn objects() -> String {
    let deployment = |name: &str| {
        format!(
            r"
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: 2
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      containers:
        - name: web
          image: registry.example.com/drift/web:1.0.0
          env: [{{ name: COLOUR, value: blue }}, {{ name: SIZE, value: small }}]
          resources: {{ limits: {{ memory: 64Mi }} }}
"
        )
    };
    let deployments = [
        "drift-image",
        "drift-scaled",
        "drift-autoscaled",
        "drift-limits",
        "drift-same",
    ];
    let deployments: Vec<String> = deployments.into_iter().map(deployment).collect();
    // No controller makes Pods of these here.
    let daemon_set = |name: &str| {
        format!(
            r"
apiVersion: apps/v1
kind: DaemonSet
metadata: {{ name: {name} }}
spec:
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      containers:
        - name: agent
          image: registry.example.com/drift/agent:1.0.0
          args: [serve, --verbose]
          env: [{{ name: COLOUR, value: blue }}, {{ name: SIZE, value: small }}]
          ports: [{{ name: http, containerPort: 80 }}, {{ name: https, containerPort: 443 }}]
          resources: {{ limits: {{ cpu: 1000m, memory: 1.5Gi }} }}
"
        )
    };
    let daemon_sets = DAEMON_SETS.map(daemon_set);
    let password = BASE64_STANDARD.encode(PASSWORDS[0]);
    let others = format!(
        r"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{ name: drift-autoscaler }}
spec:
  scaleTargetRef: {{ apiVersion: apps/v1, kind: Deployment, name: drift-autoscaled }}
  minReplicas: 3
  maxReplicas: 4
  metrics:
    - type: ContainerResource
      containerResource: {{ name: cpu, container: web, target: {{ type: Utilization, averageUtilization: 80 }} }}
---
apiVersion: v1
kind: Service
metadata: {{ name: drift-gone }}
spec:
  selector: {{ app: drift-image }}
  ports: [{{ name: http, port: 80 }}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{ name: drift-label, labels: {{ team: shop }} }}
data: {{ greeting: hello }}
---
apiVersion: v1
kind: ConfigMap
metadata: {{ name: drift-annotation, annotations: {{ example.com/owner: shop }} }}
data: {{ greeting: hello }}
---
apiVersion: v1
kind: Secret
metadata: {{ name: drift-password }}
data: {{ password: {password} }}
"
    );
    let workloads = [deployments, daemon_sets.to_vec()].concat();
    format!("{}---{others}", workloads.join("---"))
}

fn application(fleet: &Fleet) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": NAME,
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "shop-staging",
            "source": {"repoURL": fleet.repository().url(), "path": "drift", "targetRevision": "main"},
            "destination": {"name": "staging", "namespace": "shop"},
        },
    })
}

#[tokio::test]
async fn what_was_tampered_with_is_found_with_who_did_it() -> Result<()> {
    let fleet = Turn::take().await?;
    let repository = fleet.repository();
    repository.write("drift/objects.yaml", &objects())?;
    repository.commit("Add what is tampered with")?;
    let apply = fleet.admin().kubectl(["apply", "--filename", "-"]);
    succeed(apply.input(application(&fleet).to_string())).await?;
    fleet
        .argocd(["app", "sync", NAME, "--timeout", "120"])
        .await?;

    let staging = fleet.staging().control_plane();
    let person = staging.user(PERSON, &["system:masters"])?;
    tamper(&person).await?;
    for is_server_side in [false, true] {
        compare_by(&fleet, is_server_side).await?;
        let status = out_of_sync(&fleet).await?;
        found(&fleet, &status, is_server_side).await?;
    }
    people_are_named(&fleet).await?;
    no_password_is_shown(&fleet).await?;
    the_page_shows_it(&fleet).await?;

    // The same where Argo CD applies on the server.
    let options = json!({"spec": {"syncPolicy": {"syncOptions": ["ServerSideApply=true"]}}});
    let patch = [
        "patch",
        "application",
        NAME,
        "--namespace=argocd",
        "--type=merge",
        "--patch",
    ];
    succeed(
        fleet
            .admin()
            .kubectl(patch)
            .arguments([options.to_string()]),
    )
    .await?;
    fleet
        .argocd(["app", "sync", NAME, "--prune", "--timeout", "120"])
        .await?;
    tamper(&person).await?;
    for is_server_side in [false, true] {
        compare_by(&fleet, is_server_side).await?;
        let status = out_of_sync(&fleet).await?;
        found(&fleet, &status, is_server_side).await?;
    }

    // A sync puts all of it right but what the autoscaler does again.
    fleet
        .argocd(["app", "sync", NAME, "--prune", "--timeout", "120"])
        .await?;
    let what = "nothing but the autoscaler's is left";
    let left = eventually(WITHIN, what, async || {
        let report = report(&fleet, &["--hide-expected"]).await;
        let (code, report) = report.map_err(|error| format!("{error:#}"))?;
        (code == 0)
            .then_some(report.clone())
            .ok_or_else(|| report.to_string())
    });
    assert_eq!(left.await?["applications"][0]["verdict"], "clean");

    fleet.delete("application", NAME).await?;
    repository.remove("drift/objects.yaml")?;
    commit(&fleet, "Remove what was tampered with", "root").await?;
    Ok(())
}

/// Has Argo CD compare by a dry run, or not.
async fn compare_by(fleet: &Turn, is_server_side: bool) -> Result<()> {
    let annotation = format!("argocd.argoproj.io/compare-options=ServerSideDiff={is_server_side}");
    let annotate = [
        "annotate",
        "application",
        NAME,
        "--namespace=argocd",
        "--overwrite",
    ];
    succeed(fleet.admin().kubectl(annotate).arguments([annotation])).await
}

/// Changes a `DaemonSet`, one after the other. The last of them surely counts, so that Argo CD has
/// seen the others once it has seen that.
async fn tamper_with_daemon_sets(person: &User) -> Result<()> {
    let container = "/spec/template/spec/containers/0";
    let changes = [
        json!([{"op": "add", "path": "/spec/minReadySeconds", "value": 7}]),
        json!([{"op": "replace", "path": format!("{container}/env"), "value": [
            {"name": "SIZE", "value": "small"}, {"name": "COLOUR", "value": "blue"},
        ]}]),
        json!([{"op": "replace", "path": format!("{container}/ports"), "value": [
            {"name": "https", "containerPort": 443}, {"name": "http", "containerPort": 80},
        ]}]),
        json!([{"op": "replace", "path": format!("{container}/resources/limits"), "value": {
            "cpu": "1", "memory": "1536Mi",
        }}]),
        json!([{"op": "add", "path": format!("{container}/args/-"), "value": "--debug"}]),
    ];
    for (name, change) in DAEMON_SETS.iter().zip(changes) {
        let patch = [
            "patch",
            "daemonset",
            name,
            "--namespace=shop",
            "--type=json",
            "--patch",
        ];
        succeed(person.kubectl(patch).arguments([change.to_string()])).await?;
    }
    Ok(())
}

/// Each of these is another kind of drift, or none.
async fn tamper(person: &User) -> Result<()> {
    tamper_with_daemon_sets(person).await?;
    let password = BASE64_STANDARD.encode(PASSWORDS[1]);
    let secret = json!({"data": {"password": password}}).to_string();
    let limits =
        json!([{"op": "remove", "path": "/spec/template/spec/containers/0/resources"}]).to_string();
    for arguments in [
        &[
            "set",
            "image",
            "deployment/drift-image",
            "web=registry.example.com/drift/web:debug",
        ][..],
        &["scale", "deployment/drift-scaled", "--replicas=5"],
        &[
            "patch",
            "deployment",
            "drift-limits",
            "--type=json",
            "--patch",
            &limits,
        ],
        // Fields that Git says nothing of do not count.
        &["label", "deployment", "drift-same", "debug=yes"],
        &["set", "env", "deployment/drift-same", "DEBUG=yes"],
        &[
            "annotate",
            "configmap",
            "drift-annotation",
            "example.com/owner=other",
            "--overwrite",
        ],
        &[
            "label",
            "configmap",
            "drift-label",
            "team=other",
            "--overwrite",
        ],
        &[
            "patch",
            "secret",
            "drift-password",
            "--type=merge",
            "--patch",
            &secret,
        ],
        &["delete", "service", "drift-gone"],
    ] {
        let kubectl = person.kubectl(["--namespace", "shop"]);
        succeed(kubectl.arguments(arguments)).await?;
    }
    let extra = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "drift-extra",
            "namespace": "shop",
            "annotations": {"argocd.argoproj.io/tracking-id": format!("{NAME}:/ConfigMap:shop/drift-extra")},
        },
    });
    let create = person.kubectl(["create", "--filename", "-"]);
    succeed(create.input(extra.to_string())).await
}

/// What is out of sync, however that is compared.
const SURE: [&str; 10] = [
    "drift-annotation",
    "drift-autoscaled",
    "drift-element",
    "drift-extra",
    "drift-gone",
    "drift-image",
    "drift-label",
    "drift-limits",
    "drift-password",
    "drift-scaled",
];

/// What of the Application is out of sync by Argo CD's own word, once it has seen all of it.
async fn out_of_sync(fleet: &Turn) -> Result<Vec<String>> {
    let what = "Argo CD has seen all that was done";
    let seen = eventually(WITHIN, what, async || {
        let status = compared(fleet).await;
        let names = status.map_err(|error| format!("{error:#}"))?;
        if SURE
            .iter()
            .all(|sure| names.iter().any(|name| name == sure))
        {
            Ok(names)
        } else {
            Err(format!("{names:?}"))
        }
    });
    Ok(seen.await?)
}

async fn compared(fleet: &Turn) -> Result<Vec<String>> {
    fleet.argocd(["app", "get", NAME, "--refresh"]).await?;
    let application = fleet.application(NAME).await?;
    let resources = application.data["status"]["resources"].as_array();
    let resources = resources.context("there are no resources")?.iter();
    let out = resources.filter(|one| one["status"] == "OutOfSync");
    let mut names: Vec<String> = out
        .filter_map(|one| one["name"].as_str())
        .map(str::to_owned)
        .collect();
    names.sort();
    Ok(names)
}

/// The status and the report.
async fn report(fleet: &Turn, arguments: &[&str]) -> Result<(i32, Value)> {
    let (code, text, stderr) = drift(fleet, &[&["--output", "json"], arguments].concat()).await?;
    let report = serde_json::from_str(&text).with_context(|| stderr)?;
    Ok((code, report))
}

/// As somebody for whom `argocd` is logged in.
async fn drift(fleet: &Turn, arguments: &[&str]) -> Result<(i32, String, String)> {
    let mut plugin = plugin_as(fleet.admin())?;
    plugin.env("HOME", fleet.argo_cd().home());
    plugin
        .args(["drift", NAME, "--namespace", "argocd"])
        .args(arguments);
    let output = plugin.output().await.context("cannot run the plugin")?;
    let code = output.status.code().context("the plugin was ended")?;
    Ok((
        code,
        String::from_utf8(output.stdout)?,
        String::from_utf8(output.stderr)?,
    ))
}

/// Each resource by its name: cause, effect, and path, desired, live, manager and subresource of
/// each field.
fn rows(report: &Value) -> Result<Map<String, Value>> {
    let resources = report["applications"][0]["resources"].as_array();
    let row = |resource: &Value| {
        let fields = resource["fields"].as_array().into_iter().flatten();
        let fields: Vec<Value> = fields
            .map(|field| {
                let manager = &field["managers"][0];
                let (name, subresource) = (&manager["manager"], &manager["subresource"]);
                json!([
                    field["path"],
                    field["desired"],
                    field["live"],
                    name,
                    subresource
                ])
            })
            .collect();
        let name = resource["name"].as_str().unwrap_or_default();
        let row = json!([resource["cause"], resource["effect"], fields]);
        (name.to_owned(), row)
    };
    let resources = resources.context("there are no resources")?;
    Ok(resources.iter().map(row).collect())
}

/// What was done to each object, as the report has it.
fn expected() -> Value {
    let image = "/spec/template/spec/containers/0/image";
    let (before, after) = (
        "registry.example.com/drift/web:1.0.0",
        "registry.example.com/drift/web:debug",
    );
    let replicas = "/spec/replicas";
    let hand = "changed-by-hand";
    json!({
        "drift-image": [hand, "restart", [[image, before, after, "kubectl-set", null]]],
        "drift-scaled": [hand, "in-place", [[replicas, 2, 5, "kubectl", "scale"]]],
        "drift-autoscaled": ["autoscaled", "in-place", [[replicas, 2, 3, "kube-controller-manager", "scale"]]],
        "drift-label": [hand, "in-place", [["/metadata/labels/team", "shop", "other", "kubectl-label", null]]],
        "drift-annotation": [hand, "in-place", [["/metadata/annotations/example.com~1owner", "shop", "other", "kubectl-annotate", null]]],
        "drift-password": [hand, "in-place", [["/data/password", "***", "***", "kubectl-patch", null]]],
        "drift-gone": ["missing", "create", [["", null, null, null, null]]],
        "drift-extra": ["extra", "nothing", [["", null, null, "kubectl-create", null]]],
    })
}

/// The same differences are found without Argo CD's own comparison.
async fn the_checkout_says_the_same(fleet: &Turn, expected: &Map<String, Value>) -> Result<()> {
    let (code, report) = by_checkout(fleet, &[NAME]).await?;
    ensure!(code == 1, "{code}: {report}");
    assert_eq!(report["applications"][0]["verdict"], "drifted", "{report}");
    assert_eq!(&rows(&report)?, expected);
    Ok(())
}

/// The status and the report of the fleet's repository against its clusters.
async fn by_checkout(fleet: &Turn, arguments: &[&str]) -> Result<(i32, Value)> {
    let checkout = fleet.repository().folder().display().to_string();
    let url = fleet.repository().url();
    let source = [
        "--source",
        "local",
        "--checkout",
        &checkout,
        "--repository",
        &url,
    ];
    let (code, report) = by_plugin(fleet, &[&source, arguments].concat()).await?;
    assert_eq!(report["source"], "local");
    Ok((code, report))
}

/// The same by whichever source is named, of all clusters.
async fn by_plugin(fleet: &Turn, arguments: &[&str]) -> Result<(i32, Value)> {
    let repository = fleet.repository();
    let mut home = fleet.argo_cd().home().ancestors();
    let built = home.find(|folder| folder.join("built").is_dir());
    let built = built
        .context("Argo CD's programs are nowhere")?
        .join("built");
    // Some Applications name the repository so, others by its folder.
    let git = Command::new("git")
        .current_dir(repository.folder())
        .args([
            "config",
            "remote.origin.url",
            "https://git.example.com/shop/platform.git",
        ])
        .status();
    ensure!(git.await?.success(), "git config failed");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [built].into_iter().chain(env::split_paths(&path));
    let mut plugin = plugin()?;
    plugin
        .env("PATH", env::join_paths(path)?)
        .env("HOME", fleet.argo_cd().home())
        .args(["drift", "--namespace", "argocd", "--output", "json"])
        .args(["--kubeconfig", &all_clusters(fleet)?])
        .args(arguments);
    let output = plugin.output().await.context("cannot run the plugin")?;
    let stderr = String::from_utf8(output.stderr)?;
    let code = output.status.code().context("the plugin was ended")?;
    let report: Value = serde_json::from_slice(&output.stdout).context(stderr)?;
    Ok((code, report))
}

/// Charts and kustomizations are rendered here as Argo CD renders them: what it has deployed of the
/// fleet is what the checkout says.
#[tokio::test]
async fn what_argo_cd_has_deployed_is_what_the_checkout_says() -> Result<()> {
    let fleet = Turn::take().await?;

    let (code, report) = by_checkout(&fleet, &[]).await?;

    let applications = report["applications"].as_array();
    let applications = applications.context("there are no Applications")?;
    assert!(applications.len() > 3, "{report}");
    for application in applications {
        let expected = if application["sync"] == "Synced" {
            "clean"
        } else {
            "drifted"
        };
        assert_eq!(application["verdict"], expected, "{application}");
    }
    ensure!(code < 2, "{code}: {report}");
    Ok(())
}

async fn found(fleet: &Turn, out_of_sync: &[String], is_server_side: bool) -> Result<()> {
    let (code, report) = report(fleet, &[]).await?;
    ensure!(code == 1, "{code}: {report}");
    let application = &report["applications"][0];
    assert_eq!(report["source"], "argocd");
    assert_eq!(application["verdict"], "drifted");
    assert_eq!(application["sync"], "OutOfSync");
    let strategy = if is_server_side {
        "server-side"
    } else {
        "three-way"
    };
    assert_eq!(application["strategy"], strategy);
    assert_eq!(application["cluster"]["name"], "staging");
    let mut rows = rows(&report)?;
    let mut names: Vec<_> = rows.keys().cloned().collect();
    names.sort();
    assert_eq!(names, out_of_sync, "{report}");
    the_checkout_says_the_same(fleet, &rows).await?;
    // A field that is gone has no owner. Which of the maps that are gone is named depends on how
    // Argo CD compares.
    let limits = rows.remove("drift-limits").context("no limits")?;
    assert_eq!(
        (&limits[0], &limits[1]),
        (&json!("unknown"), &json!("restart"))
    );
    let field = &limits[2][0];
    let path = field[0].as_str().unwrap_or_default();
    let top = "/spec/template/spec/containers/0/resources";
    assert!(path.starts_with(top), "{path}");
    assert_eq!((&field[2], &field[3]), (&Value::Null, &Value::Null));
    let element = rows.remove("drift-element").context("no element")?;
    assert_eq!(
        (&element[0], &element[1]),
        (&json!("changed-by-hand"), &json!("restart"))
    );
    assert_eq!(element[2][0][3], "kubectl-patch", "{element}");
    // What Argo CD says of these the checkout has said as well.
    rows.retain(|name, _| !DAEMON_SETS.contains(&name.as_str()));
    assert_eq!(Value::Object(rows), expected());
    Ok(())
}

/// What argocd-server generates of two Applications is what the checkout generates of them.
#[tokio::test]
async fn a_promotion_is_the_same_by_argo_cd_and_by_the_checkout() -> Result<()> {
    let fleet = Turn::take().await?;
    let between = ["--between", "shop-staging", "shop-production"];

    let (code, local) = by_checkout(&fleet, &between).await?;
    let (by_server, told) =
        by_plugin(&fleet, &[&between[..], &["--source", "argocd"]].concat()).await?;

    assert_eq!((code, by_server), (1, 1), "{local} {told}");
    assert_eq!(told["source"], "argocd");
    let pair = &told["pairs"][0];
    assert_eq!(pair["reason"], Value::Null, "{told}");
    let text = pair.to_string();
    assert!(text.contains("welcome to staging"), "{text}");
    assert_eq!(told["pairs"], local["pairs"]);
    Ok(())
}

/// The audit log of the cluster that was tampered with.
async fn people_are_named(fleet: &Turn) -> Result<()> {
    let log = fleet.staging().control_plane().audit_log()?;
    let log = log.to_str().context("the log has no name")?;
    let (_, report) = report(fleet, &["--audit-log", log]).await?;
    let resources = report["applications"][0]["resources"].as_array();
    for resource in resources.context("there are no resources")? {
        let name = resource["name"].as_str().unwrap_or_default();
        let person = &resource["fields"][0]["person"];
        let expected = match name {
            "drift-autoscaled" => {
                json!("system:serviceaccount:kube-system:horizontal-pod-autoscaler")
            }
            _ => json!(PERSON),
        };
        assert_eq!(*person, expected, "{name}: {resource}");
    }
    let (_, table, _) = drift(fleet, &["--audit-log", log]).await?;
    for words in [
        "by kubectl set (carol@example.com), ",
        "by kubectl scale (likely carol@example.com), ",
        "by kube-controller-manager (HPA drift-autoscaler)",
    ] {
        let line = table.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(line.contains(words), "{words}: {table}");
    }
    Ok(())
}

async fn no_password_is_shown(fleet: &Turn) -> Result<()> {
    for format in ["table", "wide", "json", "yaml", "name"] {
        let (_, stdout, stderr) = drift(fleet, &["--output", format]).await?;
        for password in PASSWORDS {
            for text in [password.to_owned(), BASE64_STANDARD.encode(password)] {
                ensure!(
                    !stdout.contains(&text) && !stderr.contains(&text),
                    "{format}: {stdout}"
                );
            }
        }
    }
    Ok(())
}

/// What is asked in the page, as it is typed there.
const TYPED: &str = "drift-staging --kind Deployment --hide-expected --audit-log audit.jsonl";

/// The page has what it prints. How long ago something was, and so how lines are wrapped, is of the
/// day on which it was written.
async fn the_page_shows_it(fleet: &Turn) -> Result<()> {
    let log = fleet.staging().control_plane().audit_log()?;
    let log = log.to_str().context("the log has no name")?;
    let arguments = [
        "--kind",
        "Deployment",
        "--hide-expected",
        "--audit-log",
        log,
    ];
    let (code, stdout, stderr) = drift(fleet, &arguments).await?;
    ensure!(code == 1, "{code}: {stderr}");
    let printed = format!("$ kubectl gitops drift {TYPED}\n{stdout}{stderr}");
    let page = path("../docs/src/drift.md");
    let text = fs::read_to_string(&page)?;
    let mark = text.find("<!-- drift: ").context("there is no mark")?;
    let begin = "```console\n";
    let at = text[mark..].find(begin).context("there is no transcript")?;
    let (before, rest) = text.split_at(mark + at + begin.len());
    let (written, after) = rest
        .split_once("```\n<!-- /drift -->")
        .context("the transcript has no end")?;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(
            &page,
            format!("{before}{printed}```\n<!-- /drift -->{after}"),
        )?;
        return Ok(());
    }
    assert_eq!(timeless(written), timeless(&printed));
    Ok(())
}

fn timeless(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    for at in 1..words.len() {
        if words[at].trim_end_matches([',', ';']) == "ago" {
            words[at - 1] = "AGE";
        }
    }
    words
}
