//! While the webhook is down, with `failurePolicy: Fail`, and after it.

use std::collections::BTreeSet;

use anyhow::Result;
use harness::argo_cd::{Fleet, Guard};
use harness::{Signal, eventually, serve};
use serde_json::Value;

use crate::support::{Request, WITHIN, commit, greeting, service_is_put_back};

/// An ApplicationSet whose Applications change with the folders of the repository, and not with
/// itself.
const TOOLS: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: { name: tools }
spec:
  goTemplate: true
  generators:
    - git:
        repoURL: https://git.example.com/shop/platform.git
        revision: main
        directories: [{ path: tools/* }]
        # Instead of three minutes.
        requeueAfterSeconds: 1
  template:
    metadata:
      name: "{{ .path.basename }}-staging"
      annotations: { kubectl-gitops.io/autoscaled: "false" }
    spec:
      project: addons-staging
      source:
        repoURL: https://git.example.com/shop/platform.git
        path: "{{ .path.path }}"
        targetRevision: main
      destination: { name: staging, namespace: addons }
      syncPolicy: { automated: {} }
"#;
const NEW_APPLICATION: &str = r"
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: search-staging, namespace: argocd }
spec:
  project: shop-staging
  source: { repoURL: https://git.example.com/shop/platform.git, path: charts/shop, targetRevision: main }
  destination: { name: staging, namespace: shop }
";

#[tokio::test]
async fn argo_cd_deploys_on_without_the_webhook_and_what_was_refused_comes_when_it_is_back()
-> Result<()> {
    let fleet = Fleet::start(Guard::Webhook).await?;
    fleet.deployed().await?;
    generate_tools(&fleet).await?;

    let webhook = fleet.devops().webhook()?;
    webhook.signal(Signal::Kill)?;
    webhook.ended().await?;
    people_cannot_change_what_is_judged(&fleet).await?;
    commits_are_deployed(&fleet).await?;
    drift_is_healed(&fleet).await?;
    unchanged_applications_are_refreshed_and_synced(&fleet).await?;
    let failed = changed_applications_are_refused(&fleet).await?;

    let _webhook = serve(fleet.devops().control_plane()).await?;
    // The ApplicationSet controller goes on trying, Argo CD's automated sync does not.
    fleet.synced_and_healthy(&["linter-staging"]).await?;
    the_root_does_not_try_again_by_itself(&fleet, &failed).await?;
    let sync = ["app", "sync", "root", "--timeout", "120"];
    fleet.argocd(sync).await?;

    greeting(fleet.staging(), "shop", "said by the root").await?;
    fleet.deployed().await?;
    let tools = ["scanner-staging", "linter-staging"];
    fleet.synced_and_healthy(&tools).await?;
    nothing_else_of_argo_cd_was_refused(&fleet)
}

async fn generate_tools(fleet: &Fleet) -> Result<()> {
    fleet.repository().write("apps/tools.yaml", TOOLS)?;
    write_tool(fleet, "scanner")?;
    commit(fleet, "Add tools", "root").await?;
    fleet.synced_and_healthy(&["root", "scanner-staging"]).await
}

/// By kubectl or by argocd.
async fn people_cannot_change_what_is_judged(fleet: &Fleet) -> Result<()> {
    let label = |object| vec!["label", object, "team=shop"];
    for (webhook, command) in [
        ("applications", label("application/shop-production")),
        ("applications", vec!["create", "--filename=-"]),
        ("applicationsets", label("applicationset/addons")),
        ("projects", label("appproject/shop-production")),
        ("clusters", label("secret/cluster-production")),
    ] {
        let refused = format!("failed calling webhook \"{webhook}.kubectl-gitops.io\"");
        // The API server takes a moment to notice.
        eventually(WITHIN, &refused, async || {
            let kubectl = fleet.admin().kubectl(["--namespace=argocd"]);
            let kubectl = kubectl.arguments(&command).input(NEW_APPLICATION);
            let output = kubectl.run().await.map_err(|error| error.to_string())?;
            let is_refused = !output.status.success() && output.stderr.contains(&refused);
            is_refused.then_some(()).ok_or(output.stderr)
        })
        .await?;
    }
    let set = ["app", "set", "shop-production", "--revision", "main"];
    let output = fleet.argo_cd().run(set).await?;
    let refused = "failed calling webhook \\\"applications.kubectl-gitops.io\\\"";
    assert!(!output.status.success());
    assert!(output.stderr.contains(refused), "{}", output.stderr);
    Ok(())
}

async fn commits_are_deployed(fleet: &Fleet) -> Result<()> {
    let values = fleet.repository().read("charts/shop/values.yaml")?;
    let values = values.replace("welcome to staging", "hello");
    fleet
        .repository()
        .write("charts/shop/values.yaml", &values)?;
    commit(fleet, "Greet shorter", "root").await?;
    fleet
        .argocd(["app", "get", "shop-staging", "--refresh"])
        .await?;
    greeting(fleet.staging(), "shop", "hello").await
}

async fn drift_is_healed(fleet: &Fleet) -> Result<()> {
    service_is_put_back(fleet.staging(), "shop").await?;
    let by_itself = ["root", "shop-staging", "reporter-staging"];
    fleet.synced_and_healthy(&by_itself).await
}

/// Which also means that their status is written.
async fn unchanged_applications_are_refreshed_and_synced(fleet: &Fleet) -> Result<()> {
    for name in ["root", "shop-production", "reporter-production"] {
        fleet.argocd(["app", "get", name, "--refresh"]).await?;
        fleet.argocd(["app", "get", name, "--hard-refresh"]).await?;
        let sync = ["app", "sync", name, "--timeout", "120"];
        fleet.argocd(sync).await?;
        fleet.synced_and_healthy(&[name]).await?;
    }
    Ok(())
}

/// A child of the root and one of an ApplicationSet. Returns the failed sync of the root.
async fn changed_applications_are_refused(fleet: &Fleet) -> Result<Value> {
    const REFUSED: &str = "failed calling webhook \"applications.kubectl-gitops.io\"";
    let repository = fleet.repository();
    let revision = "targetRevision: main\n";
    let parameter = "    helm: { parameters: [{ name: greeting, value: said by the root }] }\n";
    let shop = repository.read("apps/shop.yaml")?;
    let shop = shop.replace(revision, &format!("{revision}{parameter}"));
    repository.write("apps/shop.yaml", &shop)?;
    write_tool(fleet, "linter")?;
    let revision = commit(fleet, "Have the root greet, and add a tool", "root").await?;

    let what = "the root has failed to sync";
    let failed = fleet.eventually(what, |applications| {
        let root = applications.get("root").ok_or("root does not exist")?;
        let operation = &root.data["status"]["operationState"];
        let is_new = operation["syncResult"]["revision"] == *revision;
        let has_failed = is_new && operation["phase"] == "Failed";
        has_failed
            .then(|| operation.clone())
            .ok_or_else(|| operation.to_string())
    });
    let failed = failed.await?;
    let said = failed["message"].as_str().unwrap_or_default();
    assert!(said.contains(REFUSED), "{said}");
    let get = ["get", "applicationset", "tools", "--namespace=argocd"];
    let condition = "--output=jsonpath={.status.conditions[?(@.type=='ErrorOccurred')].message}";
    let what = "the ApplicationSet says what it could not do";
    eventually(WITHIN, what, async || {
        let kubectl = fleet.admin().kubectl(get).arguments([condition]);
        let output = kubectl.run().await.map_err(|error| error.to_string())?;
        let is_said = output.stdout.contains(REFUSED);
        is_said.then_some(()).ok_or(output.stdout)
    })
    .await?;
    Ok(failed)
}

/// Not this revision: a person syncs it, or makes a new commit.
async fn the_root_does_not_try_again_by_itself(fleet: &Fleet, failed: &Value) -> Result<()> {
    // It decides about an automated sync before it says that it has refreshed.
    fleet
        .argocd(["app", "get", "root", "--hard-refresh"])
        .await?;

    let root = fleet.applications().await?.get("root").await?;
    let status = &root.data["status"];
    assert_eq!(status["sync"]["status"], "OutOfSync");
    assert_eq!(root.data["operation"], Value::Null);
    assert_eq!(status["operationState"], *failed);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let kinds: Vec<_> = conditions.map(|condition| &condition["type"]).collect();
    assert_eq!(kinds, ["SyncError"]);
    Ok(())
}

fn nothing_else_of_argo_cd_was_refused(fleet: &Fleet) -> Result<()> {
    let requests = Request::by_argo_cd(fleet.devops().control_plane())?;
    let refused = requests.iter().filter(|request| request.is_refused());
    let refused: BTreeSet<_> = refused
        .map(|request| (request.user(), request.object_name()))
        .collect();
    let expected = [
        ("argocd-application-controller", "shop-staging"),
        ("argocd-applicationset-controller", "linter-staging"),
        // A person has asked for it.
        ("argocd-server", "shop-production"),
    ]
    .map(|(account, object)| (format!("system:serviceaccount:argocd:{account}"), object));
    let expected = expected.iter().map(|(user, object)| (&**user, *object));
    assert_eq!(refused, expected.collect());
    Ok(())
}

fn write_tool(fleet: &Fleet, name: &str) -> Result<()> {
    let manifest = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\n");
    let path = format!("tools/{name}/settings.yaml");
    fleet.repository().write(path, &manifest)
}
