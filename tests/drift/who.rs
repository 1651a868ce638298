//! Nine kinds of writers and more: each changes an object of its own, and is told from the others,
//! without an audit log and with that of the API server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::argo_cd::{ControllerManager, Release};
use harness::{User, eventually_object, succeed};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::{Map, Value, json};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use crate::mutating_webhook::{LABEL, MutatingWebhook};
use crate::world::{ARGO_CD, NAMESPACE, World, tracked};

const WITHIN: Duration = Duration::from_mins(1);
const IMAGE: &str = "/spec/template/spec/containers/0/image";
const SIDECAR: &str = "/spec/template/spec/containers/1/image";
const REPLICAS: &str = "/spec/replicas";
const MIRRORED: &str = "mirror.example.com/web:1.0.0";
/// Who writes to the status of a Deployment here.
const OPERATOR: &str = "system:serviceaccount:operators:rollout-operator";

/// Each is written by somebody else.
const NAMES: [&str; 15] = [
    "by-edit",
    "by-apply",
    "by-scale",
    "by-manager",
    "by-autoscaler",
    "by-keda",
    "by-argo-cd",
    "by-helm",
    "by-webhook",
    "by-status",
    "by-set-and-status",
    "by-two",
    "by-removal",
    "by-impersonation",
    "by-deletion",
];

fn deployment(name: &str) -> Value {
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"team": "shop"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [
                    {
                        "name": "web", "image": "web:1.0.0",
                        "env": [{"name": "COLOUR", "value": "blue"}],
                    },
                    {"name": "sidecar", "image": "sidecar:1.0.0"},
                ]},
            },
        },
    });
    if name == "by-webhook" {
        deployment["metadata"]["labels"][LABEL] = json!("");
    }
    if name == "by-status" {
        deployment["status"] = json!({"replicas": 1});
    }
    deployment
}

/// Does as each of the writers does.
async fn write(world: &World) -> Result<()> {
    let namespace = ["--namespace", NAMESPACE];
    let by = async |name: &str, arguments: &[&str]| {
        let person = world.person(name)?;
        succeed(person.kubectl(namespace).arguments(arguments)).await
    };
    edit(
        &world.person("alice")?,
        "by-edit",
        "s/ image: web:1.0.0/ image: web:debug/",
    )
    .await?;
    // As the file in Git is, which does not have Argo CD's mark.
    let mut applied = deployment("by-apply");
    applied["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = json!("red");
    let apply = world.person("bob")?.kubectl(["apply", "-f", "-"]);
    let apply = apply.arguments(namespace);
    succeed(apply.input(applied.to_string())).await?;
    by("carol", &["scale", "deployment/by-scale", "--replicas=5"]).await?;
    let owned = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "by-manager"},
        "spec": {"template": {"spec": {
            "containers": [{"name": "sidecar", "image": "sidecar:debug"}],
        }}},
    });
    let flags = [
        "--server-side",
        "--field-manager=team-a",
        "--force-conflicts",
    ];
    let apply = world.person("dave")?.kubectl(["apply", "-f", "-"]);
    let apply = apply.arguments(flags).arguments(namespace);
    succeed(apply.input(owned.to_string())).await?;
    let keda = [
        "patch",
        "deployment/by-keda",
        "--subresource=scale",
        "--field-manager=keda",
        "--type=merge",
        "--patch",
        r#"{"spec": {"replicas": 6}}"#,
    ];
    by("keda", &keda).await?;
    let operator = world.control_plane.user(OPERATOR, &["system:masters"])?;
    for name in ["by-status", "by-set-and-status"] {
        if name == "by-set-and-status" {
            let set = [
                "set",
                "image",
                "deployment/by-set-and-status",
                "web=web:debug",
            ];
            by("frank", &set).await?;
        }
        let patch = [
            "patch",
            "deployment",
            name,
            "--subresource=status",
            "--field-manager=rollout-operator",
            "--type=merge",
            "--patch",
            r#"{"status": {"replicas": 7, "observedGeneration": 9}}"#,
        ];
        succeed(operator.kubectl(namespace).arguments(patch)).await?;
    }
    let before = "s/ image: web:1.0.0/ image: web:debug/";
    edit(&world.person("grace")?, "by-two", before).await?;
    let after = "s/ image: sidecar:1.0.0/ image: sidecar:debug/";
    edit(&world.person("heidi")?, "by-two", after).await?;
    let removal = r#"[{"op": "remove", "path": "/metadata/labels/team"}]"#;
    let patch = ["patch", "deployment/by-removal", "--type=json", "--patch"];
    by("ivan", &[&patch[..], &[removal]].concat()).await?;
    let label = [
        "label",
        "deployment/by-impersonation",
        "team=other",
        "--overwrite",
    ];
    let as_kim = ["--as=kim@example.com", "--as-group=system:masters"];
    by("judy", &[&label[..], &as_kim].concat()).await?;
    by("lena", &["delete", "deployment/by-deletion"]).await?;
    // The second write to it is a controller's.
    let extra = tracked(&deployment("by-creation"));
    let create = world.person("mike")?.kubectl(["create", "-f", "-"]);
    succeed(create.input(extra.to_string())).await?;
    let patch = [
        "patch",
        "deployment/by-creation",
        "--subresource=status",
        "--field-manager=rollout-operator",
        "--type=merge",
        "--patch",
        r#"{"status": {"replicas": 7}}"#,
    ];
    succeed(operator.kubectl(namespace).arguments(patch)).await
}

/// By `kubectl edit`, with an editor that needs nobody.
async fn edit(person: &User, name: &str, script: &str) -> Result<()> {
    let edit = person.kubectl(["edit", "--namespace", NAMESPACE, "deployment", name]);
    let mut edit = edit.into_command();
    edit.env("KUBE_EDITOR", format!("sed -i '{script}'"));
    let output = edit.output().await?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(told.contains(" edited"), "{told}{output:?}");
    Ok(())
}

/// A release of the real Helm, of which a value changes after Argo CD has adopted its object.
struct Helm {
    folder: tempfile::TempDir,
    person: User,
}

impl Helm {
    fn of(world: &World) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let chart = folder.path().join("chart");
        std::fs::create_dir_all(chart.join("templates"))?;
        std::fs::write(
            chart.join("Chart.yaml"),
            "apiVersion: v2\nname: cart\nversion: 1.0.0\n",
        )?;
        let template = deployment("by-helm").to_string();
        let template = template.replace("web:1.0.0", "web:{{ .Values.tag }}");
        std::fs::write(chart.join("templates/deployment.yaml"), template)?;
        Ok(Helm {
            folder,
            person: world.person("erin")?,
        })
    }

    async fn run(&self, verb: &str, tag: &str) -> Result<()> {
        let program = spawn_blocking(|| anyhow::Ok(Release::chosen()?.helm()?)).await??;
        let output = Command::new(program)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.person.kubeconfig())
            .args([verb, "cart", "--namespace", NAMESPACE])
            .args(["--set", &format!("tag={tag}")])
            .arg(self.folder.path().join("chart"))
            .output()
            .await?;
        ensure!(output.status.success(), "{output:?}");
        Ok(())
    }
}

/// Nobody deploys them by Argo CD.
async fn create_autoscalers(world: &World) -> Result<()> {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced",
            "names": {
                "kind": "ScaledObject", "listKind": "ScaledObjectList",
                "plural": "scaledobjects", "singular": "scaledobject",
            },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    });
    let definition = serde_json::from_value(definition)?;
    world.control_plane.install_crds(&[definition]).await?;
    world
        .create(&json!({
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "pacer", "namespace": NAMESPACE},
            "spec": {"scaleTargetRef": {"name": "by-keda"}},
        }))
        .await?;
    world
        .create(&json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "scaler", "namespace": NAMESPACE},
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": "apps/v1", "kind": "Deployment", "name": "by-autoscaler",
                },
                "minReplicas": 3,
                "maxReplicas": 4,
            },
        }))
        .await
}

async fn scaled(world: &World) -> Result<()> {
    let deployments = Api::<Deployment>::namespaced(world.admin().client().await?, NAMESPACE);
    let what = "the autoscaler has set replicas";
    let scaled = eventually_object(WITHIN, what, deployments, "by-autoscaler", |found| {
        let spec = found.and_then(|found| found.spec.as_ref());
        match spec.and_then(|spec| spec.replicas) {
            Some(3) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    Ok(Box::pin(scaled).await?)
}

/// Each resource by its name: cause, and path, owners and person of each field.
fn rows(report: &Value) -> Result<Map<String, Value>> {
    let resources = report["applications"][0]["resources"].as_array();
    let row = |resource: &Value| {
        let fields = resource["fields"].as_array().into_iter().flatten();
        let fields: Vec<Value> = fields
            .map(|field| {
                let managers = field["managers"].as_array().into_iter().flatten();
                let owners: Vec<String> = managers
                    .map(|manager| {
                        let text = |key: &str| manager[key].as_str().unwrap_or_default();
                        let parts = ["manager", "operation", "subresource"].map(text);
                        parts.join(" ").trim_end().to_owned()
                    })
                    .collect();
                json!([field["path"], owners, field["person"]])
            })
            .collect();
        let name = resource["name"].as_str().unwrap_or_default();
        (name.to_owned(), json!([resource["cause"], fields]))
    };
    let resources = resources.context("there are no resources")?;
    Ok(resources.iter().map(row).collect())
}

/// What is known of each, and what the audit log adds.
fn expected(has_log: bool) -> Value {
    let person = |name: &str| {
        if has_log {
            json!(format!("{name}@example.com"))
        } else {
            Value::Null
        }
    };
    let account = |name: &str| if has_log { json!(name) } else { Value::Null };
    let hand = "changed-by-hand";
    let mark = "/metadata/annotations/argocd.argoproj.io~1tracking-id";
    let colour = "/spec/template/spec/containers/0/env/0/value";
    let apply = "kubectl-client-side-apply Update";
    let edit = "kubectl-edit Update";
    let scale = "kube-controller-manager Update scale";
    let status = "rollout-operator Update status";
    let team = "/metadata/labels/team";
    // Nobody owns what is gone, so only the log can tell.
    let removed = if has_log { hand } else { "unknown" };
    let autoscaler = account("system:serviceaccount:kube-system:horizontal-pod-autoscaler");
    let webhook = account("mutating webhook mesh/mirror.mesh.example.com");
    let impersonated = account("kim@example.com, impersonated by judy@example.com");
    json!({
        "by-edit": [hand, [[IMAGE, [edit], person("alice")]]],
        "by-apply": [hand, [[mark, [], person("bob")], [colour, [apply], person("bob")]]],
        "by-scale": [hand, [[REPLICAS, ["kubectl Update scale"], person("carol")]]],
        "by-manager": [hand, [[SIDECAR, ["team-a Apply"], person("dave")]]],
        "by-autoscaler": ["autoscaled", [[REPLICAS, [scale], autoscaler]]],
        "by-keda": ["autoscaled", [[REPLICAS, ["keda Update scale"], person("keda")]]],
        "by-argo-cd": [
            "not-synced-yet",
            [[REPLICAS, ["argocd-controller Update"], account(ARGO_CD)]],
        ],
        "by-helm": [hand, [[IMAGE, ["helm Apply"], person("erin")]]],
        "by-webhook": [
            "changed-by-controller",
            [[IMAGE, ["argocd-controller Update"], webhook]],
        ],
        "by-status": ["changed-by-controller", [["/status/replicas", [status], account(OPERATOR)]]],
        "by-set-and-status": [hand, [[IMAGE, ["kubectl-set Update"], person("frank")]]],
        // Either of them may have done either.
        "by-two": [hand, [[IMAGE, [edit], null], [SIDECAR, [edit], null]]],
        "by-removal": [removed, [[team, [], person("ivan")]]],
        "by-impersonation": [hand, [[team, ["kubectl-label Update"], impersonated]]],
        "by-deletion": ["missing", [["", [], person("lena")]]],
        "by-creation": ["extra", [["", ["kubectl-create Update"], person("mike")]]],
    })
}

#[tokio::test]
async fn each_writer_is_told_from_the_others() -> Result<()> {
    let settings = json!({"resource.compareoptions": "ignoreResourceStatusField: none"});
    let world = World::start(&settings).await?;
    let _webhook = MutatingWebhook::start(&world.control_plane, MIRRORED).await?;
    let helm = Helm::of(&world)?;
    let objects = NAMES.map(deployment);
    world.desire(&objects)?;
    helm.run("install", "1.0.0").await?;
    let mut synced = objects.clone();
    for object in &mut synced {
        // Git has moved on from it since.
        if object["metadata"]["name"] == "by-argo-cd" {
            object["spec"]["replicas"] = json!(4);
        }
    }
    world.sync(&synced).await?;
    create_autoscalers(&world).await?;
    let controllers = ["horizontal-pod-autoscaler-controller"];
    let controllers = ControllerManager::start_built(&world.control_plane, &controllers)?;
    write(&world).await?;
    helm.run("upgrade", "debug").await?;
    scaled(&world).await?;

    let without = world.report(&[]).await?;
    assert_eq!(Value::Object(rows(&without)?), expected(false));

    let log = world.control_plane.audit_log()?;
    let log = log.to_str().context("the log has no name")?;
    let with = world.report(&["--audit-log", log]).await?;
    assert_eq!(Value::Object(rows(&with)?), expected(true));

    let (_, table) = world
        .drift(&["--output", "wide", "--audit-log", log])
        .await?;
    let table = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "by kubectl edit (alice@example.com), ",
        "by kubectl apply (bob@example.com), ",
        "by kubectl scale (likely carol@example.com), ",
        "by team-a (dave@example.com), ",
        "by kube-controller-manager (HPA scaler) (likely system:serviceaccount:kube-system:",
        "by keda (KEDA pacer) (likely keda@example.com), ",
        "by helm (erin@example.com), ",
        "by argocd-controller (mutating webhook mesh/mirror.mesh.example.com), ",
        "by kubectl edit (perhaps heidi@example.com), ",
    ] {
        ensure!(table.contains(words), "{words}: {table}");
    }

    // What no autoscaler says any more is not as it should be.
    drop(controllers);
    for kind in ["horizontalpodautoscaler/scaler", "scaledobject/pacer"] {
        let delete = ["delete", "--namespace", NAMESPACE, kind];
        succeed(world.admin().kubectl(delete)).await?;
    }
    let left = world.report(&["--hide-expected"]).await?;
    let left = rows(&left)?;
    assert_eq!(
        left["by-autoscaler"][0], "changed-by-controller",
        "{left:?}"
    );
    assert_eq!(left["by-keda"][0], "changed-by-controller", "{left:?}");
    Ok(())
}
