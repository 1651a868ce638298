//! A repository that `kubectl gitops bootstrap` laid out, under the real Argo CD and behind the
//! webhook.
//!
//! The upstream charts cannot be fetched here, so that each of our wrappers gets a template of its
//! own in their place: what is seen is everything that Argo CD makes of the repository, but for
//! what is in those charts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gitops_documentation::{pages, root};
use harness::argo_cd::{ArgoCd, Devops, Guard, Programs};
use harness::demo::Shell;
use harness::{User, eventually_object, eventually_objects};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use tokio::task::spawn_blocking;

use crate::on_eks::{World, only_expected};

/// Argo CD takes seconds for what it is waited for; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_mins(3);
/// What the page names the repository.
const URL: &str = "https://git.example.com/platform/fleet.git";

/// A workload cluster that nobody reaches: what Argo CD generates for it is judged all the same.
const CLUSTER: &str = r#"
apiVersion: v1
kind: Secret
metadata:
  name: cluster-prod-eu
  namespace: argocd
  labels: { argocd.argoproj.io/secret-type: cluster, workload-cluster: "true", environment: prod }
  annotations: { kubectl-gitops.io/revision: v1.0.0 }
stringData:
  name: prod-eu
  server: https://127.0.0.1:1
  config: '{"awsAuthConfig": {"clusterName": "prod-eu", "roleARN": "arn:aws:iam::111122223333:role/argocd-prod-eu"}}'
"#;

/// An Application of a team.
const APPLICATION: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: orders-prod
  namespace: argocd
spec:
  project: orders-prod
  source: { repoURL: https://git.example.com/platform/fleet.git, path: charts/kyverno, targetRevision: v1.0.0 }
  destination: { name: prod-eu, namespace: orders-prod }
  ignoreDifferences:
    - { group: apps, kind: Deployment, jsonPointers: [/spec/replicas] }
  syncPolicy: { syncOptions: [RespectIgnoreDifferences=true] }
";

#[tokio::test]
async fn a_repository_that_is_laid_out_is_followed_by_the_real_argo_cd() -> Result<()> {
    let programs = spawn_blocking(Programs::locate).await??;
    let devops = Devops::start(Guard::Webhook, &programs).await?;
    let argo_cd = Box::pin(ArgoCd::start(devops.control_plane(), &programs, &[])).await?;
    let shell = Shell::new(devops.control_plane())?;
    let walk_through = WalkThrough::new(shell, devops.control_plane().folder())?;

    walk_through.lay_out("prod")?;
    walk_through.replace_charts()?;
    walk_through.write("clusters/prod-eu.yaml", CLUSTER)?;
    walk_through.write("applications/orders/orders-prod.yaml", APPLICATION)?;
    walk_through.push()?;
    walk_through.apply()?;

    let admin = devops.control_plane().admin();
    let applications = all(admin, "Application").await?;
    let synced = [
        "root",
        "applications",
        "applicationsets",
        "clusters",
        "policy",
        "projects",
    ];
    eventually_objects(
        WITHIN,
        "the app-of-apps is Synced",
        applications.clone(),
        |applications| {
            let others = synced
                .iter()
                .filter(|name| !is_synced(applications.get(**name)));
            let others: Vec<String> = others.map(|name| described(name, applications)).collect();
            if others.is_empty() {
                Ok(())
            } else {
                Err(others.join("; "))
            }
        },
    )
    .await?;
    projects_and_sets_are_there(admin).await?;
    generated_are_accepted(&applications).await?;

    // What is on the devops cluster itself is synced by a person, and permitted.
    let sync = ["app", "sync", "argo-cd", "--timeout", "120"];
    let output = argo_cd.run(sync).await?;
    ensure!(output.status.success(), "{}", output.stderr);

    // Run again, there is nothing left to do.
    let again = walk_through.apply()?;
    ensure!(again.contains("nothing is to be done"), "{again}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_eks_comes_into_such_a_repository_and_gets_its_addons() -> Result<()> {
    let world = World::start("staging-eu").await?;
    let folder = world.devops.control_plane().folder();
    let walk_through = WalkThrough::new(world.shell()?, folder)?;
    walk_through.lay_out("staging")?;
    walk_through.replace_charts()?;
    walk_through.push()?;
    walk_through.apply()?;

    let shell = walk_through.shell.clone();
    let register = command(|line| line.contains(" onboard "))? + " --yes";
    let register = spawn_blocking(move || shell.succeeds(&register));
    world.workload.following(&world.aws, register).await???;
    walk_through.commit("Register staging-eu")?;
    let refresh = ["app", "get", "clusters", "--refresh"];
    let output = world.argo_cd.run(refresh).await?;
    ensure!(output.status.success(), "{}", output.stderr);

    // From now on the Secret is what is in Git.
    let admin = world.devops.control_plane().admin();
    let secrets = Api::<Secret>::namespaced(admin.client().await?, "argocd");
    let what = "Argo CD has synced the cluster's Secret";
    eventually_object(WITHIN, what, secrets, "cluster-staging-eu", |secret| {
        let annotations = secret.and_then(|secret| secret.metadata.annotations.as_ref());
        let tracking = annotations.and_then(|all| all.get("argocd.argoproj.io/tracking-id"));
        tracking.map(drop).ok_or_else(|| format!("{annotations:?}"))
    })
    .await
    .with_context(|| world.state())?;

    let applications = all(admin, "Application").await?;
    let what = "the cluster has its addons";
    eventually_objects(WITHIN, what, applications, |applications| {
        let mut expected = ADDONS.map(|addon| format!("staging-eu-{addon}")).to_vec();
        expected.push("clusters".to_owned());
        let wanting = expected.iter().filter(|name| {
            let application = applications.get(*name);
            let is_healthy = application.is_some_and(|application| {
                application.data["status"]["health"]["status"] == "Healthy"
            });
            !(is_healthy && is_synced(application))
        });
        let wanting: Vec<String> = wanting.map(|name| described(name, applications)).collect();
        if wanting.is_empty() {
            Ok(())
        } else {
            Err(wanting.join("; "))
        }
    })
    .await
    .with_context(|| world.state())?;
    let verify = "kubectl gitops cluster verify staging-eu --profile devops \
        --engine-role-arn arn:aws:iam::444455556666:role/argocd-engine";
    walk_through.shell.succeeds(verify)?;
    only_expected(&world.search().await?)
}

/// What the ApplicationSets of the repository have for a workload cluster.
const ADDONS: [&str; 5] = [
    "cert-manager",
    "external-secrets",
    "kube-prometheus-stack",
    "kyverno",
    "metrics-server",
];

/// The page, as a person follows it.
struct WalkThrough {
    shell: Shell,
    folder: PathBuf,
}

impl WalkThrough {
    fn new(shell: Shell, folder: &Path) -> Result<Self> {
        let folder = folder.join("walk-through");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            shell: shell.in_folder(&folder),
            folder: folder.join("fleet"),
        })
    }

    fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    /// The command of the page that lays the repository out, for the one that is here and the Argo
    /// CD of an environment.
    fn lay_out(&self, environment: &str) -> Result<()> {
        let line = command(|line| line.contains("--yes") && line.contains(URL))?;
        let line = line.replace(URL, &self.url()) + " --engine " + environment;
        self.shell.succeeds(&line).map(drop)
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().context("it is in no folder")?)?;
        Ok(fs::write(path, text.replace(URL, &self.url()))?)
    }

    fn replace_charts(&self) -> Result<()> {
        for chart in self.folder.join("charts").read_dir()? {
            let name = chart?.file_name();
            let name = name.to_str().context("it is not in UTF-8")?;
            let chart = format!("charts/{name}");
            self.write(
                &format!("{chart}/Chart.yaml"),
                &format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n"),
            )?;
            self.write(
                &format!("{chart}/templates/config.yaml"),
                &format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name}-stand-in }}\n"
                ),
            )?;
        }
        Ok(())
    }

    fn push(&self) -> Result<()> {
        let folder = self.folder.display();
        let init = format!("git init --quiet --initial-branch main {folder}");
        self.shell.succeeds(&init)?;
        self.commit("Begin")?;
        let tag = format!("git -C {folder} tag v1.0.0");
        self.shell.succeeds(&tag).map(drop)
    }

    fn commit(&self, message: &str) -> Result<()> {
        let folder = self.folder.display();
        let git = format!("git -C {folder} -c user.name=alice -c user.email=alice@example.com");
        let commit = format!("{git} add --all && {git} commit --quiet --message '{message}'");
        self.shell.succeeds(&commit).map(drop)
    }

    /// The command of the page that lays the root into the cluster.
    fn apply(&self) -> Result<String> {
        let line = command(|line| line.contains("--apply") && line.contains("--yes"))?;
        Ok(self.shell.succeeds(&line)?.text)
    }
}

/// A command of the page, of those that need no test of their own and of those that do.
fn command(is_meant: impl Fn(&str) -> bool) -> Result<String> {
    let pages = pages(&root())?;
    let page = pages
        .iter()
        .find(|page| page.path.ends_with(Path::new("docs/src/bootstrap.md")));
    let blocks = page.context("there is no such page")?.blocks();
    let shell = blocks
        .iter()
        .filter(|block| block.language.starts_with("sh"));
    let lines = shell
        .map(|block| block.text.replace("\\\n", ""))
        .collect::<Vec<_>>()
        .join("\n");
    let mut commands = lines
        .lines()
        .filter(|line| line.starts_with("kubectl gitops "));
    let command = commands
        .find(|line| is_meant(line))
        .context("there is no such command")?;
    Ok(command.split_whitespace().collect::<Vec<_>>().join(" "))
}

async fn all(admin: &User, kind: &str) -> Result<Api<DynamicObject>> {
    let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind);
    let client = admin.client().await?;
    Ok(Api::namespaced_with(
        client,
        "argocd",
        &ApiResource::from_gvk(&kind),
    ))
}

fn is_synced(application: Option<&DynamicObject>) -> bool {
    application.is_some_and(|application| {
        application.data["status"]["sync"]["status"] == "Synced"
            && application.data["operation"].is_null()
    })
}

fn described(name: &str, applications: &BTreeMap<String, DynamicObject>) -> String {
    match applications.get(name) {
        Some(application) => format!("{name} is {}", application.data["status"]),
        None => format!("{name} does not exist"),
    }
}

async fn projects_and_sets_are_there(admin: &User) -> Result<()> {
    for (kind, expected) in [
        (
            "AppProject",
            &[
                "default",
                "devops",
                "orders-prod",
                "payments-prod",
                "platform-prod",
                "root",
            ][..],
        ),
        (
            "ApplicationSet",
            &["argo-cd", "foundation", "observability", "policy"],
        ),
    ] {
        let objects = all(admin, kind).await?;
        let what = format!("each {kind} is there");
        eventually_objects(WITHIN, &what, objects, |objects| {
            let names: Vec<&str> = objects.keys().map(String::as_str).collect();
            if names == expected {
                Ok(())
            } else {
                Err(names.join(", "))
            }
        })
        .await?;
    }
    let sets = all(admin, "ApplicationSet").await?;
    eventually_objects(WITHIN, "each ApplicationSet has generated", sets, |sets| {
        let failed = sets.iter().filter(|(_, set)| !has_generated(set));
        let failed: Vec<String> = failed
            .map(|(name, set)| format!("{name}: {}", set.data["status"]))
            .collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("; "))
        }
    })
    .await?;
    Ok(())
}

fn has_generated(set: &DynamicObject) -> bool {
    let conditions = set.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let mut up_to_date = conditions.filter(|condition| condition["type"] == "ResourcesUpToDate");
    up_to_date.any(|condition| condition["status"] == "True")
}

/// The webhook has admitted each of them, and Argo CD finds nothing wrong with what it says.
async fn generated_are_accepted(applications: &Api<DynamicObject>) -> Result<()> {
    let expected = [
        "argo-cd",
        "external-secrets",
        "orders-prod",
        "prod-eu-cert-manager",
        "prod-eu-external-secrets",
        "prod-eu-kube-prometheus-stack",
        "prod-eu-kyverno",
        "prod-eu-metrics-server",
        "secrets",
    ];
    let what = "Argo CD has looked at each Application";
    eventually_objects(WITHIN, what, applications.clone(), |applications| {
        let wanting = expected.iter().filter(|name| {
            let application = applications.get(**name);
            application
                .is_none_or(|application| application.data["status"]["sync"]["status"].is_null())
        });
        let wanting: Vec<String> = wanting.map(|name| described(name, applications)).collect();
        if !wanting.is_empty() {
            return Err(wanting.join("; "));
        }
        for application in applications.values() {
            let conditions = application.data["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten();
            let mut types = conditions.map(|condition| &condition["type"]);
            let is_invalid = types.any(|kind| kind == "InvalidSpecError");
            if is_invalid {
                return Err(application.data["status"]["conditions"].to_string());
            }
        }
        Ok(())
    })
    .await?;
    Ok(())
}
