//! An addon's move from Terraform to Argo CD, by the commands of the page about it.
//!
//! Its chart has a Deployment with an autoscaler, a `StatefulSet`, Services, a ConfigMap whose
//! checksum is in the Pods, a webhook configuration, a definition in `crds/` and a hook. Terraform,
//! the helm provider, Argo CD, the API servers and the controllers of Kubernetes are the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};
use harness::addon::{NAME, Stack, write_chart};
use harness::argo_cd::{Fleet, Guard, Release, WorkloadCluster};
use harness::demo::Shell;
use harness::plugin::plugin;
use harness::{eventually, succeed};
use http::Method;
use serde_json::{Value, json};

use crate::support::{WITHIN, all_clusters};
use crate::walk_through::WalkThrough;

const PAGE: &str = "docs/src/move-an-addon.md";
/// The Applications, in the order of [`World::clusters`].
const APPLICATIONS: [&str; 2] = ["staging-issuer", "production-issuer"];

/// The values of staging and of production.
const VALUES: [&str; 2] = [
    "logLevel: debug\nstore:\n  size: 2Gi\n",
    "image: registry.example.com/platform/issuer:2.1.1\nautoscaler:\n  min: 3\nstore:\n  replicas: 2\n  size: 2Gi\n",
];
/// How many Pods of the controller and of the store these come to.
const PODS: [(u64, u64); 2] = [(2, 1), (3, 2)];

/// What the root deploys for it: that Argo CD takes what is in `applicationsets`, and what the
/// Applications of the addon may deploy.
const PLATFORM: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: root, annotations: { argocd.argoproj.io/sync-wave: "-1" } }
spec:
  sourceRepos: [https://git.example.com/shop/platform.git]
  destinations: [{ server: https://kubernetes.default.svc, namespace: argocd }]
  namespaceResourceWhitelist: [{ group: argoproj.io, kind: ApplicationSet }]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: applicationsets, annotations: { kubectl-gitops.io/autoscaled: "false" } }
spec:
  project: root
  source:
    repoURL: https://git.example.com/shop/platform.git
    path: applicationsets
    targetRevision: main
  destination: { server: https://kubernetes.default.svc, namespace: argocd }
  syncPolicy:
    automated: { prune: true, selfHeal: true }
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: { name: platform, annotations: { argocd.argoproj.io/sync-wave: "-1" } }
spec:
  sourceRepos: [https://git.example.com/shop/platform.git]
  destinations: [{ name: staging, namespace: issuer }, { name: production, namespace: issuer }]
  clusterResourceWhitelist:
    - { group: "", kind: Namespace }
    - { group: apiextensions.k8s.io, kind: CustomResourceDefinition }
    - { group: admissionregistration.k8s.io, kind: ValidatingWebhookConfiguration }
"#;

/// A fleet, and the stacks of Terraform that have the addon of its clusters.
struct World {
    fleet: Fleet,
    stacks: [Stack; 2],
    kubeconfig: String,
}

impl World {
    async fn start() -> Result<Self> {
        let fleet = Fleet::start(Guard::Webhook).await?;
        let repository = fleet.repository();
        let infrastructure = repository.folder().with_file_name("infrastructure");
        write_chart(&infrastructure)?;
        let [staging, production] = [fleet.staging(), fleet.production()];
        let stack = async |cluster: &WorkloadCluster, values: &str| {
            let admin = cluster.control_plane().admin();
            Stack::new(&infrastructure, cluster.name(), admin, values).await
        };
        let stacks = [
            stack(staging, VALUES[0]).await?,
            stack(production, VALUES[1]).await?,
        ];
        repository.write("apps/platform.yaml", PLATFORM)?;
        repository.write("applicationsets/.gitkeep", "")?;
        repository.commit("Add the platform")?;
        repository.set_origin()?;
        fleet.deployed().await?;
        fleet.compared("applicationsets").await?;
        Ok(Self {
            kubeconfig: all_clusters(&fleet)?,
            fleet,
            stacks,
        })
    }

    fn clusters(&self) -> [&WorkloadCluster; 2] {
        [self.fleet.staging(), self.fleet.production()]
    }

    /// Where the commands of the page are typed.
    fn shell(&self) -> Result<Shell> {
        let tofu = self.stacks[0].tofu();
        let folder = tofu.program().parent().context("tofu is in no folder")?;
        let shell = self.fleet.shell()?.with_programs(folder).offline();
        let kubeconfig = [("KUBECONFIG", self.kubeconfig.clone())];
        let shell = shell
            .with_variables(tofu.environment())
            .with_variables(kubeconfig);
        Ok(shell
            .hiding("file://", "<folder>", "/platform.git")
            .hiding_times())
    }

    /// Waits until autoscaler and controllers have done what they do by themselves.
    async fn settled(&self, cluster: usize) -> Result<()> {
        let (controllers, stores) = PODS[cluster];
        let cluster = self.clusters()[cluster];
        let what = format!("the addon is ready on {}", cluster.name());
        let ready = eventually(WITHIN, &what, async || {
            let objects = live(cluster).await;
            let objects = objects.map_err(|error| format!("{error:#}"))?;
            let ready = |name: &str| {
                let status = objects.get(name).map(|object| &object["status"]);
                let count = |field| status.and_then(|status| status[field].as_u64());
                (count("replicas"), count("readyReplicas"))
            };
            let [controller, store] = [
                ready("Deployment/issuer"),
                ready("StatefulSet/issuer-store"),
            ];
            let wanted = |count| (Some(count), Some(count));
            (controller == wanted(controllers) && store == wanted(stores))
                .then_some(())
                .ok_or_else(|| format!("{controller:?}, {store:?}"))
        });
        Ok(ready.await?)
    }

    /// Waits until Argo CD has compared an Application, and returns by the names of its resources
    /// which of them are in sync.
    async fn compared(&self, application: &'static str) -> Result<BTreeMap<String, bool>> {
        let revision = self.fleet.repository().head()?;
        let what = format!("Argo CD has compared {application}");
        self.fleet
            .eventually(&what, |applications| {
                let application = applications.get(application).ok_or("it is not there")?;
                let status = &application.data["status"];
                let is_compared = status["sync"]["revision"] == *revision
                    && matches!(
                        status["sync"]["status"].as_str(),
                        Some("Synced" | "OutOfSync")
                    );
                let resources = status["resources"].as_array().filter(|_| is_compared);
                let resources = resources.ok_or_else(|| status.to_string())?;
                let row = |one: &Value| (name_of(one, "name"), one["status"] == "Synced");
                Ok(resources.iter().map(row).collect())
            })
            .await
    }

    /// By the names of all objects, whether Argo CD would change anything, by its own word. It may
    /// be nothing but how an object is marked.
    async fn verdict(&self, application: &str) -> Result<BTreeMap<String, bool>> {
        let path = format!("/applications/{application}/managed-resources?appNamespace=argocd");
        let rest = self.fleet.argo_cd().rest();
        let (status, answer) = rest.send(Method::GET, &path, &Value::Null).await?;
        ensure!(status == 200, "{answer}");
        let items = answer["items"].as_array().context("there are no items")?;
        let mut verdict = BTreeMap::new();
        for item in items {
            let state = |field: &str| -> Result<Value> {
                let text = item[field].as_str().context("a state is missing")?;
                Ok(serde_json::from_str(text)?)
            };
            let [mut live, mut predicted] =
                [state("normalizedLiveState")?, state("predictedLiveState")?];
            let is_changed = live != predicted;
            for object in [&mut live, &mut predicted] {
                without_mark(object);
            }
            let name = name_of(item, "name");
            ensure!(live == predicted, "{name}: {live} becomes {predicted}");
            verdict.insert(name, is_changed);
        }
        Ok(verdict)
    }

    /// Brings a later version of the chart to both clusters, which has another image.
    async fn bump(&self) -> Result<()> {
        let repository = self.fleet.repository();
        for (path, from, to) in [
            ("charts/issuer/Chart.yaml", "1.4.0", "1.5.0"),
            (
                "charts/issuer/templates/deployment.yaml",
                "{{ .Values.image }}",
                "{{ .Values.image }}-1",
            ),
        ] {
            let text = repository.read(path)?;
            ensure!(text.contains(from), "{path}: {text}");
            repository.write(path, &text.replace(from, to))?;
        }
        repository.commit("Have the issuer in version 1.5.0")?;
        for application in APPLICATIONS {
            self.fleet
                .argocd(["app", "get", application, "--refresh"])
                .await?;
        }
        // Staging syncs by itself.
        self.fleet
            .argocd(["app", "sync", APPLICATIONS[1], "--timeout", "120"])
            .await?;
        self.fleet.synced_and_healthy(&APPLICATIONS).await
    }

    /// What `addon diff` says, by cluster: of each object whether it would be marked.
    async fn diff(&self) -> Result<BTreeMap<String, BTreeMap<String, bool>>> {
        let mut path = self.fleet.argo_cd().home().ancestors();
        let built = path.find(|folder| folder.join("built").is_dir());
        let built = built
            .context("Argo CD's programs are nowhere")?
            .join("built");
        let output = plugin()?
            .env("PATH", format!("{}:/usr/bin:/bin", built.display()))
            .args(["--kubeconfig", &self.kubeconfig, "addon", "diff", NAME])
            .args(["--output=json", "--repo"])
            .arg(self.fleet.repository().folder())
            .output()
            .await?;
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(0), complaints);
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let clusters = report["clusters"].as_array().context("clusters")?.iter();
        let rows = clusters.map(|cluster| {
            let objects = cluster["objects"].as_array().into_iter().flatten();
            let objects =
                objects.map(|one| (name_of(one, "name"), one["class"] == "tracking-only"));
            (text_of(cluster, "name"), objects.collect())
        });
        Ok(rows.collect())
    }
}

fn text_of(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

fn name_of(object: &Value, field: &str) -> String {
    format!("{}/{}", text_of(object, "kind"), text_of(object, field))
}

/// Leaves out what a sync marks an object by.
fn without_mark(object: &mut Value) {
    let metadata = object["metadata"].as_object_mut();
    let Some(metadata) = metadata else { return };
    let annotations = metadata.get_mut("annotations");
    let annotations = annotations.and_then(Value::as_object_mut);
    let is_empty = annotations.is_some_and(|annotations| {
        annotations.remove("argocd.argoproj.io/tracking-id");
        annotations.is_empty()
    });
    if is_empty {
        metadata.remove("annotations");
    }
}

/// All objects of the addon on a cluster, and those that controllers have made of them.
async fn live(cluster: &WorkloadCluster) -> Result<BTreeMap<String, Value>> {
    let admin = cluster.control_plane().admin();
    let namespaced = [
        "deployments",
        "replicasets",
        "statefulsets",
        "controllerrevisions",
        "pods",
        "services",
        "horizontalpodautoscalers",
        "configmaps",
        "secrets",
        "persistentvolumeclaims",
        "jobs",
    ];
    let namespaced = namespaced.join(",");
    let of_cluster =
        "customresourcedefinitions/issuers.example.com,validatingwebhookconfigurations/issuer";
    let of_cluster: Vec<&str> = of_cluster.split(',').collect();
    let mut objects = BTreeMap::new();
    for arguments in [&[&*namespaced, "--namespace", NAME][..], &of_cluster] {
        let get = admin.kubectl(["get", "--output", "json"]);
        let got = get.arguments(arguments).run().await?;
        ensure!(got.status.success(), "{}", got.stderr);
        let list: Value = serde_json::from_str(&got.stdout)?;
        for object in list["items"].as_array().context("there are no items")? {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            objects.insert(
                format!("{}/{name}", text_of(object, "kind")),
                object.clone(),
            );
        }
    }
    Ok(objects)
}

/// Does what is done to a webhook configuration by the injector of cert-manager.
async fn inject_ca_bundle(cluster: &WorkloadCluster) -> Result<()> {
    let admin = cluster.control_plane().admin();
    let kubeconfig: Value = serde_json::from_str(&fs::read_to_string(admin.kubeconfig())?)?;
    let authority = &kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"];
    let path = "/webhooks/0/clientConfig/caBundle";
    let change = json!([{"op": "add", "path": path, "value": authority}]).to_string();
    let kubectl = admin.kubectl(["patch", "validatingwebhookconfiguration", NAME]);
    let flags = [
        "--type=json",
        "--field-manager=cainjector",
        "--patch",
        &change,
    ];
    succeed(kubectl.arguments(flags)).await
}

/// By which one tells that an object was replaced, changed or restarted.
async fn identities(cluster: &WorkloadCluster) -> Result<BTreeMap<String, Value>> {
    let identity = |object: Value| {
        let metadata = &object["metadata"];
        // The API server counts a change of the annotations of a Deployment, and of nothing else, as
        // another generation of it.
        let is_deployment = object["kind"] == "Deployment";
        let containers = object["status"]["containerStatuses"].as_array();
        let restarts = containers.map(|all| all.iter().map(|one| one["restartCount"].clone()));
        json!({
            "uid": metadata["uid"],
            "generation": metadata["generation"].as_u64().filter(|_| !is_deployment),
            "spec": object["spec"],
            "webhooks": object["webhooks"],
            "data": object["data"],
            "hash": metadata["labels"]["pod-template-hash"],
            "revision": metadata["labels"]["controller-revision-hash"],
            "restarts": restarts.map(Iterator::collect::<Vec<_>>),
        })
    };
    let objects = live(cluster).await?.into_iter();
    Ok(objects
        .map(|(name, object)| (name, identity(object)))
        .collect())
}

/// What of one is otherwise in another.
fn changed(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let names = before.keys().chain(after.keys());
    let changed = names.filter(|name| before.get(*name) != after.get(*name));
    changed.cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_addon_moves_from_terraform_to_argo_cd_and_nothing_is_restarted() -> Result<()> {
    let world = World::start().await?;
    let moved = moves(&world).await;
    moved.with_context(|| world.fleet.state())
}

async fn moves(world: &World) -> Result<()> {
    let mut page = WalkThrough::of(PAGE, world.shell()?)?;

    // Terraform has installed it.
    let told = page.next([0; 4]).await?;
    ensure!(
        told.matches("1 added, 0 changed, 0 destroyed").count() == 2,
        told
    );
    let mut before = Vec::new();
    for (number, cluster) in world.clusters().into_iter().enumerate() {
        world.settled(number).await?;
        inject_ca_bundle(cluster).await?;
        before.push(identities(cluster).await?);
    }
    // What is compared is all there.
    assert_eq!(
        before[1]
            .keys()
            .filter(|name| name.starts_with("Pod/"))
            .count(),
        5
    );

    // The tool writes, and Argo CD generates.
    page.next([0; 3]).await?;
    let refresh = ["app", "get", "applicationsets", "--refresh"];
    world.fleet.argocd(refresh).await?;
    let mut verdicts = BTreeMap::new();
    for (application, cluster) in APPLICATIONS.into_iter().zip(world.clusters()) {
        let compared = world.compared(application).await?;
        ensure!(
            compared.values().any(|is_synced| !is_synced),
            "{compared:?}"
        );
        let verdict = world.verdict(application).await?;
        for (name, is_synced) in &compared {
            ensure!(
                verdict.get(name) == Some(&!is_synced),
                "{name}: {verdict:?}"
            );
        }
        verdicts.insert(cluster.name().to_owned(), verdict);
    }

    // The gate is open, and says of each object what Argo CD says.
    assert_eq!(world.diff().await?, verdicts);
    page.next([0; 2]).await?;

    // Terraform lets go.
    page.next([0; 2]).await?;
    for stack in &world.stacks {
        let main = stack.tofu().folder().join("main.tf");
        let text = fs::read_to_string(&main)?;
        let (rest, _) = text.split_once("resource ").context("it has no resource")?;
        fs::write(&main, rest)?;
        let plan: Value = serde_json::from_str(&stack.plan().await?)?;
        let changes = plan["resource_changes"].as_array();
        ensure!(changes.is_none_or(Vec::is_empty), "{plan}");
    }

    // Argo CD takes over, and nothing is replaced.
    page.next([0; 3]).await?;
    world.fleet.synced_and_healthy(&APPLICATIONS).await?;
    for (before, cluster) in before.iter().zip(world.clusters()) {
        assert_eq!(
            changed(before, &identities(cluster).await?),
            BTreeSet::new()
        );
        let verdict = &verdicts[cluster.name()];
        let objects = live(cluster).await?.into_iter();
        for (name, object) in objects.filter(|(name, _)| verdict.contains_key(name)) {
            let mark = &object["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"];
            let is_definition = name.starts_with("CustomResourceDefinition/");
            ensure!(mark.is_null() == is_definition, "{name}: {object}");
        }
    }
    if Release::chosen()?.is_newest() {
        page.end()?;
    }

    // A later version flows, and is seen by what tells that nothing was restarted.
    world.bump().await?;
    for (number, (before, cluster)) in before.iter().zip(world.clusters()).enumerate() {
        world.settled(number).await?;
        let after = identities(cluster).await?;
        let changed = changed(before, &after);
        let is_store = |name: &str| name.starts_with("Pod/issuer-store-");
        let is_controller = |name: &str| name.starts_with("Pod/") && !is_store(name);
        let gone = changed.iter().filter(|name| !after.contains_key(*name));
        let gone = gone.filter(|name| is_controller(name)).count();
        assert_eq!(u64::try_from(gone)?, PODS[number].0, "{changed:?}");
        assert!(!changed.iter().any(|name| is_store(name)), "{changed:?}");
        for (name, identity) in before {
            let stays = after
                .get(name)
                .is_none_or(|after| after["uid"] == identity["uid"]);
            ensure!(stays || name.starts_with("Pod/"), "{name} was replaced");
        }
    }
    if Release::chosen()?.is_newest() {
        deleting_what_deploys_it_runs_its_hook(world).await?;
    }
    Ok(())
}

/// What is kept stays as it is. A hook of deletion is run all the same (Argo CD 3.6.1,
/// `finalizeApplicationDeletion`): whoever gives the addon back has to see to that.
async fn deleting_what_deploys_it_runs_its_hook(world: &World) -> Result<()> {
    let mut before = Vec::new();
    for cluster in world.clusters() {
        before.push(identities(cluster).await?);
    }
    let delete = [
        "delete",
        "--namespace=argocd",
        "--cascade=orphan",
        "--wait=false",
    ];
    for application in APPLICATIONS {
        let delete = world.fleet.admin().kubectl(delete);
        succeed(delete.arguments(["application", application])).await?;
    }
    for (before, cluster) in before.iter().zip(world.clusters()) {
        let what = format!("the hook runs on {}", cluster.name());
        let hook = "Job/issuer-cleanup";
        let changed = eventually(WITHIN, &what, async || {
            let after = identities(cluster).await;
            let changed = changed(before, &after.map_err(|error| format!("{error:#}"))?);
            let is_run = changed.contains(hook);
            is_run
                .then_some(changed.clone())
                .ok_or_else(|| format!("{changed:?}"))
        });
        assert_eq!(changed.await?, BTreeSet::from([hook.to_owned()]));
    }
    Ok(())
}
