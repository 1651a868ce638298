//! `kubectl gitops break-glass` on a real API server, with RBAC and without the webhook: what is
//! written, what is asked, and what is told.

use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::objects::{Base, api};
use harness::plugin::plugin_as;
use harness::{ControlPlane, User, argo_cd_crds, eventually, path, succeed};
use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// The API server notices a new policy within a second; a loaded machine may take its time.
const WITHIN: Duration = Duration::from_secs(30);

const RULES: &str = "kubectl-gitops.io/break-glass";
const REASON: &str = "kubectl-gitops.io/break-glass-reason";
const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

/// Who may overrule `prod-auto-sync`, and who only seems to.
const ACCESS: &str = r"
apiVersion: v1
kind: List
items:
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: { name: overrules-auto-sync }
    rules:
      - { apiGroups: [kubectl-gitops.io], resources: [gitopspolicies], resourceNames: [prod-auto-sync], verbs: [break-glass] }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: { name: on-call }
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: overrules-auto-sync }
    subjects:
      - { apiGroup: rbac.authorization.k8s.io, kind: Group, name: on-call }
      - { kind: ServiceAccount, name: release, namespace: argocd }
      - { kind: ServiceAccount, name: pipeline, namespace: argocd }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: { name: reads-policies }
    rules:
      - { apiGroups: [kubectl-gitops.io], resources: [gitopspolicies], verbs: [get] }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: { name: reads-policies }
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reads-policies }
    subjects:
      - { kind: ServiceAccount, name: release, namespace: argocd }
  - apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: { name: only-seems-to, namespace: argocd }
    roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: overrules-auto-sync }
    subjects:
      - { apiGroup: rbac.authorization.k8s.io, kind: User, name: carol@example.com }
";

/// A devops cluster with Argo CD's API and ours, and nothing behind them.
async fn cluster() -> Result<&'static ControlPlane> {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    SHARED.get_or_try_init(start).await
}

async fn start() -> Result<ControlPlane> {
    let cluster = ControlPlane::start().await?;
    let crds = spawn_blocking(argo_cd_crds).await??;
    cluster.install_crds(&crds).await?;
    cluster.service_account("argocd", "argocd-server").await?;
    let admin = cluster.admin();
    let files = ["demo/fleet", "demo/access.yaml"].map(|file| ["--filename".into(), path(file)]);
    succeed(admin.kubectl(["apply"]).arguments(files.as_flattened())).await?;
    let crds = path("../manifests/crds");
    succeed(admin.kubectl(["apply", "-k"]).arguments([crds])).await?;
    succeed(admin.kubectl(["create", "-f", "-"]).input(ACCESS)).await?;
    Ok(cluster)
}

/// Somebody who may write Applications and Secrets in Argo CD's namespace.
fn developer(cluster: &ControlPlane) -> Result<User> {
    Ok(cluster.user("alice@example.com", &["developers"])?)
}

async fn break_glass(user: &User, arguments: &[&str]) -> Result<Output> {
    let run = plugin_as(user)?.arg("break-glass").args(arguments).output();
    Ok(run.await?)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json_of(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| told(output))
}

/// Creates an object that belongs to one test.
async fn create(cluster: &ControlPlane, object: &Value) -> Result<()> {
    let kind = object["kind"].as_str().context("kind")?;
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let api = api(cluster.admin().client().await?, kind);
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

async fn merge(cluster: &ControlPlane, name: &str, change: &Value) -> Result<()> {
    let applications = api(cluster.admin().client().await?, "Application");
    let patch = Patch::Merge(change);
    applications
        .patch(name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

async fn get(cluster: &ControlPlane, kind: &str, name: &str) -> Result<Value> {
    let object = api(cluster.admin().client().await?, kind).get(name).await?;
    Ok(serde_json::to_value(object)?)
}

/// An Application that syncs production by itself.
fn automated(name: &str) -> Result<Value> {
    Base::Production.with(name, "spec: {syncPolicy: {automated: {}}}")
}

fn grant<'g>(target: &'g str, rule: &'g str) -> Vec<&'g str> {
    let start = ["grant", target, "--rule", rule, "--for", "2h"];
    [&start[..], &["--reason", "it burns", "--ticket", "INC-1"]].concat()
}

#[tokio::test]
async fn an_override_is_written_listed_cut_short_and_taken_off() -> Result<()> {
    let cluster = cluster().await?;
    let alice = developer(cluster)?;
    let name = "overridden-for-a-while";
    create(cluster, &automated(name)?).await?;

    let granted = break_glass(&alice, &grant(name, "prod-auto-sync")).await?;
    assert_eq!(granted.status.code(), Some(0), "{}", told(&granted));
    let denied = "prod-auto-sync: spec.syncPolicy.automated: auto-syncs production";
    assert!(stdout(&granted).contains(denied), "{}", stdout(&granted));
    let object = get(cluster, "Application", name).await?;
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(annotations[RULES], "prod-auto-sync");
    assert_eq!(annotations[REASON], "INC-1: it burns");
    assert!(annotations[EXPIRES].is_string(), "{annotations}");

    let list = break_glass(&alice, &["list", "-o", "json"]).await?;
    let list = json_of(&list)?;
    let items = list["items"].as_array().context("items")?;
    let own = items.iter().find(|item| item["object"]["name"] == name);
    let own = own.context("it is not listed")?;
    assert_eq!(own["state"], "active");
    assert_eq!(own["manager"], "kubectl-gitops");
    assert_eq!(own["expires"], annotations[EXPIRES]);
    assert_eq!(own["violations"][0]["rule"], "prod-auto-sync");

    let cut = break_glass(&alice, &["revoke", name]).await?;
    assert_eq!(cut.status.code(), Some(0), "{}", told(&cut));
    assert!(stdout(&cut).contains(denied), "{}", stdout(&cut));
    let left = get(cluster, "Application", name).await?["metadata"]["annotations"].clone();
    assert_ne!(left[EXPIRES], annotations[EXPIRES]);
    assert_eq!(
        (&left[RULES], &left[REASON]),
        (&annotations[RULES], &annotations[REASON])
    );
    let expired = break_glass(&alice, &["list", "--expired", "-o", "name"]).await?;
    let line = format!("application.argoproj.io/{name}\n");
    assert!(stdout(&expired).contains(&line), "{}", stdout(&expired));

    let put_right = json!({"spec": {"syncPolicy": {"automated": null}}});
    merge(cluster, name, &put_right).await?;
    let removed = break_glass(&alice, &["revoke", name]).await?;
    assert_eq!(removed.status.code(), Some(0), "{}", told(&removed));
    let object = get(cluster, "Application", name).await?;
    assert_eq!(object["metadata"]["annotations"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn what_wrote_an_override_last_is_what_the_api_server_keeps() -> Result<()> {
    let cluster = cluster().await?;
    let alice = developer(cluster)?;
    let name = "overridden-by-two-programs";
    create(cluster, &automated(name)?).await?;
    let writer = |json: &Value| (json["manager"].clone(), json["written"].clone());
    let listed = async || -> Result<(Value, Value)> {
        let list = json_of(&break_glass(&alice, &["list", "-o", "json"]).await?)?;
        let items = list["items"].as_array().context("items")?;
        let own = items.iter().find(|item| item["object"]["name"] == name);
        Ok(writer(own.context("it is not listed")?))
    };

    let json = [&grant(name, "prod-auto-sync")[..], &["-o", "json"]].concat();
    let granted = writer(&json_of(&break_glass(&alice, &json).await?)?);
    assert_eq!(granted.0, "kubectl-gitops");
    assert!(granted.1.is_string(), "{granted:?}");
    assert_eq!(granted, listed().await?);

    // The API server keeps whole seconds, so that what follows at once is as old.
    eventually(WITHIN, "another program wrote it last", async || {
        let end = format!("{EXPIRES}={}", Timestamp::now());
        let annotate = ["annotate", "--overwrite", "-n", "argocd", "application"];
        let annotate = alice.kubectl(annotate).arguments([name, &end]);
        succeed(annotate).await?;
        let (manager, _) = listed().await?;
        ensure!(manager == "kubectl-annotate", "{manager}");
        Ok(())
    })
    .await?;

    let put_right = json!({"spec": {"syncPolicy": {"automated": null}}});
    merge(cluster, name, &put_right).await?;
    for _ in ["what was there is taken off", "nothing is there any more"] {
        let left = json_of(&break_glass(&alice, &["revoke", name, "-o", "json"]).await?)?;
        assert_eq!(left["state"], "none");
        assert_eq!(writer(&left), (Value::Null, Value::Null));
    }
    Ok(())
}

#[tokio::test]
async fn a_selector_that_is_none_is_named() -> Result<()> {
    let alice = developer(cluster().await?)?;
    let run = break_glass(&alice, &["list", "-l", "!!bad"]).await?;
    assert_eq!(run.status.code(), Some(2), "{}", stdout(&run));
    let expected =
        "error: --selector \"!!bad\": cannot list applications.argoproj.io in namespace argocd: ";
    assert!(told(&run).contains(expected), "{}", told(&run));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_of_the_server_leaves_nothing_behind() -> Result<()> {
    let cluster = cluster().await?;
    let name = "overridden-by-a-dry-run";
    create(cluster, &automated(name)?).await?;

    let dry_run = [&grant(name, "prod-auto-sync")[..], &["--dry-run", "server"]];
    let run = break_glass(&developer(cluster)?, &dry_run.concat()).await?;

    assert_eq!(run.status.code(), Some(0), "{}", told(&run));
    assert!(
        stdout(&run).contains("(server dry run)"),
        "{}",
        stdout(&run)
    );
    let object = get(cluster, "Application", name).await?;
    assert_eq!(object["metadata"]["annotations"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_cluster_secret_keeps_what_it_holds() -> Result<()> {
    let cluster = cluster().await?;
    let name = "cluster-overridden";
    let change = r#"stringData: {name: overridden, server: "https://overridden.k8s.example.com", config: '{"bearerToken": "hunter2"}'}"#;
    create(cluster, &Base::Cluster.with(name, change)?).await?;
    let before = get(cluster, "Secret", name).await?;

    let target = format!("secret/{name}");
    let run = break_glass(&developer(cluster)?, &grant(&target, "cluster-credentials")).await?;

    assert_eq!(run.status.code(), Some(0), "{}", told(&run));
    assert!(
        stdout(&run).contains("holds a bearer token"),
        "{}",
        stdout(&run)
    );
    let after = get(cluster, "Secret", name).await?;
    assert_eq!(after["data"], before["data"]);
    assert_eq!(
        after["metadata"]["annotations"][RULES],
        "cluster-credentials"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_refused_sync_left_undone_is_synced_with_the_applications_options() -> Result<()> {
    let cluster = cluster().await?;
    let (root, name) = ("root-that-was-refused", "refused-in-a-sync");
    let mut application = automated(name)?;
    application["metadata"]["annotations"] = json!({
        "argocd.argoproj.io/tracking-id": format!("{root}:argoproj.io/Application:argocd/{name}"),
    });
    create(cluster, &application).await?;
    let refusal = "admission webhook \"applications.kubectl-gitops.io\" denied the request: prod-auto-sync: no";
    let mut parent = Base::Staging.with(
        root,
        "spec: {syncPolicy: {automated: {prune: true}, syncOptions: [ServerSideApply=true], retry: {limit: 2}}}",
    )?;
    parent["status"] = json!({"operationState": {
        "phase": "Failed",
        "message": format!("one or more objects failed to apply, reason: {refusal}"),
        "operation": {},
        "startedAt": "2026-01-01T00:00:00Z",
        "syncResult": {"revision": "a", "resources": [{
            "group": "argoproj.io", "version": "v1alpha1", "kind": "Application", "namespace": "argocd", "name": name,
            "status": "SyncFailed", "message": refusal,
        }]},
    }});
    create(cluster, &parent).await?;

    let alice = developer(cluster)?;
    let told_only = break_glass(&alice, &grant(name, "prod-auto-sync")).await?;
    let command = format!("argocd app sync {root}");
    assert!(told(&told_only).contains(&command), "{}", told(&told_only));
    let object = get(cluster, "Application", root).await?;
    assert_eq!(object["operation"], Value::Null);

    let sync = [&grant(name, "prod-auto-sync")[..], &["--sync"]].concat();
    let synced = break_glass(&alice, &sync).await?;
    assert_eq!(synced.status.code(), Some(0), "{}", told(&synced));
    let object = get(cluster, "Application", root).await?;
    assert_eq!(
        object["operation"],
        json!({
            "initiatedBy": {"username": "alice@example.com"},
            "sync": {"syncOptions": ["ServerSideApply=true"], "prune": true},
            "retry": {"limit": 2},
        })
    );
    Ok(())
}

/// A policy of the API server's own, which warns of an object's annotation as the webhook does.
const WARNS: &str = r"
apiVersion: v1
kind: List
items:
  - apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingAdmissionPolicy
    metadata: { name: warns-of-overrides }
    spec:
      matchConstraints:
        resourceRules:
          - { apiGroups: [argoproj.io], apiVersions: ['*'], operations: [UPDATE], resources: [applications] }
      matchConditions:
        - { name: of-this-test, expression: object.metadata.name == 'overridden-with-a-warning' }
      validations:
        - { expression: 'false', message: 'overruled, „on the record“' }
  - apiVersion: admissionregistration.k8s.io/v1
    kind: ValidatingAdmissionPolicyBinding
    metadata: { name: warns-of-overrides }
    spec: { policyName: warns-of-overrides, validationActions: [Warn] }
";

#[tokio::test]
async fn what_the_api_server_warns_of_reaches_the_terminal() -> Result<()> {
    let cluster = cluster().await?;
    let admin = cluster.admin();
    let name = "overridden-with-a-warning";
    create(cluster, &automated(name)?).await?;
    succeed(admin.kubectl(["create", "-f", "-"]).input(WARNS)).await?;
    let dry_run = [&grant(name, "prod-auto-sync")[..], &["--dry-run", "server"]].concat();

    eventually(WITHIN, "the warning is told", async || {
        let run = break_glass(admin, &dry_run).await;
        let told = told(&run.map_err(|error| error.to_string())?);
        let mut lines = told.lines();
        let warned = lines.any(|line| {
            line.starts_with("Warning: ") && line.ends_with("overruled, „on the record“")
        });
        if warned { Ok(()) } else { Err(told) }
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn who_may_not_write_the_object_is_told_what_is_missing() -> Result<()> {
    let cluster = cluster().await?;
    let name = "overridden-by-nobody";
    create(cluster, &automated(name)?).await?;
    let stranger = cluster.user("mallory@example.com", &["strangers"])?;

    let run = break_glass(&stranger, &grant(name, "prod-auto-sync")).await?;

    assert_eq!(run.status.code(), Some(2), "{}", told(&run));
    let expected = "error: cannot get applications.argoproj.io in namespace argocd: ";
    assert!(told(&run).contains(expected), "{}", told(&run));
    Ok(())
}

#[tokio::test]
async fn what_permits_somebody_to_overrule_a_rule_is_named() -> Result<()> {
    let cluster = cluster().await?;
    let on_call = cluster.user("bob@example.com", &["developers", "on-call"])?;

    let may = break_glass(&on_call, &["why", "prod-auto-sync"]).await?;
    assert_eq!(may.status.code(), Some(0), "{}", told(&may));
    let by =
        r#"ClusterRoleBinding "on-call" of ClusterRole "overrules-auto-sync" to Group "on-call""#;
    assert!(stdout(&may).contains(by), "{}", stdout(&may));
    assert!(
        told(&may).contains("asked as bob@example.com"),
        "{}",
        told(&may)
    );
    let target = ["why", "app/orders", "--rule", "prod-auto-sync"];
    let may = break_glass(&on_call, &target).await?;
    assert_eq!(may.status.code(), Some(0), "{}", stdout(&may));

    let all = break_glass(&on_call, &["why", "-o", "json"]).await?;
    assert_eq!(all.status.code(), Some(1), "{}", told(&all));
    let all = json_of(&all)?;
    let permissions = all["permissions"].as_array().context("permissions")?;
    let allowed: Vec<&Value> = permissions
        .iter()
        .filter(|permission| permission["allowed"] == true)
        .map(|permission| &permission["name"])
        .collect();
    assert_eq!(allowed, ["prod-auto-sync"]);
    Ok(())
}

#[tokio::test]
async fn who_may_not_overrule_a_rule_is_told_what_would_permit_it() -> Result<()> {
    let cluster = cluster().await?;
    let why = ["why", "prod-auto-sync"];
    let hint = "hint: you need a ClusterRole, bound by a ClusterRoleBinding, that allows `break-glass` on \
                gitopspolicies.kubectl-gitops.io/prod-auto-sync";
    // Carol's RoleBinding is in a namespace, and gitopspolicies are in none.
    for name in ["alice@example.com", "carol@example.com"] {
        let run = break_glass(&cluster.user(name, &["developers"])?, &why).await?;
        assert_eq!(run.status.code(), Some(1), "{name}: {}", stdout(&run));
        assert!(told(&run).contains(hint), "{}", told(&run));
    }
    // kubectl is asked the same.
    let can_i = [
        "auth",
        "can-i",
        "break-glass",
        "gitopspolicies/prod-auto-sync",
    ];
    let carol = cluster.user("carol@example.com", &["developers"])?;
    let answer = carol.kubectl(can_i).run().await?;
    assert!(!answer.status.success(), "{}", answer.stdout);

    let as_bob = ["--as", "bob@example.com", "--as-group", "on-call"];
    let run = break_glass(cluster.admin(), &[&why[..], &as_bob].concat()).await?;
    assert_eq!(run.status.code(), Some(0), "{}", stdout(&run));
    // RBAC permits it, and the webhook would not even ask.
    let release = cluster.service_account("argocd", "release").await?;
    let run = break_glass(&release, &why).await?;
    assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
    let named = "names no service account argocd/release";
    assert!(stdout(&run).contains(named), "{}", stdout(&run));
    // Who may not read whether the policy names them is not told that it does not.
    let pipeline = cluster.service_account("argocd", "pipeline").await?;
    let run = break_glass(&pipeline, &why).await?;
    assert_eq!(run.status.code(), Some(2), "{}", stdout(&run));
    let unknown =
        "unknown   unknown whether the GitOpsPolicy names service account argocd/pipeline";
    assert!(stdout(&run).contains(unknown), "{}", stdout(&run));
    let right = "that allows `get` on gitopspolicies.kubectl-gitops.io/default";
    assert!(told(&run).contains(right), "{}", told(&run));
    Ok(())
}
