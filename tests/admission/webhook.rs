//! The webhook as the manifests run it: its certificate, its rights, what it tells, how it ends.

use std::time::Duration;

use anyhow::{Context, Result};
use harness::objects::{Base, Session, Writer};
use harness::{
    ControlPlane, Installation, Overlay, Signal, Webhook, argo_cd_crds, effective, eventually,
    expose, shared, succeed,
};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

const CONFIGURATIONS: &str = "validatingwebhookconfigurations.admissionregistration.k8s.io";
const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
const IMAGE_UPDATERS: &str = "/imageupdaters.argocd-image-updater.argoproj.io";
const LEASES: &str = "leases.coordination.k8s.io";
const POLICIES: &str = "gitopspolicies.kubectl-gitops.io";
const REVIEWS: &str = "subjectaccessreviews.authorization.k8s.io";
const WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn issues_its_certificate_and_makes_the_api_server_trust_it_and_changes_nothing_else()
-> Result<()> {
    let installation = shared().await?;
    let secrets = Api::<Secret>::namespaced(installation.admin().client().await?, "gitops-webhook");
    let secret = secrets.get("gitops-webhook-tls").await?;
    let authority = secret
        .data
        .unwrap_or_default()
        .remove("ca.crt")
        .context("ca.crt")?;
    let configuration = installation.configuration().await?;

    let webhooks = configuration.webhooks.unwrap_or_default();
    let trusted: Vec<(&str, bool)> = webhooks
        .iter()
        .map(|webhook| {
            (
                webhook.name.as_str(),
                webhook.client_config.ca_bundle.as_ref() == Some(&authority),
            )
        })
        .collect();
    let written = configuration.metadata.managed_fields.unwrap_or_default();
    let ours: Vec<Value> = written
        .into_iter()
        .filter(|entry| entry.manager.as_deref() == Some("gitops-webhook"))
        .filter_map(|entry| entry.fields_v1.map(|fields| fields.0))
        .collect();

    let names = ["applications", "applicationsets", "projects", "clusters"];
    let names = names.map(|name| format!("{name}.kubectl-gitops.io"));
    assert_eq!(trusted, names.each_ref().map(|name| (name.as_str(), true)));
    let bundle = json!({"f:clientConfig": {"f:caBundle": {}}});
    let bundles = names.map(|name| (format!(r#"k:{{"name":"{name}"}}"#), bundle.clone()));
    assert_eq!(
        ours,
        [json!({"f:webhooks": Value::Object(bundles.into_iter().collect())})]
    );
    Ok(())
}

#[tokio::test]
async fn has_the_rights_that_it_needs() -> Result<()> {
    let entries = shared().await?.webhook().log().entries()?;

    let complaints = ["WARN", "ERROR"].map(Value::from);
    let forbidden = entries.iter().filter(|entry| {
        complaints.contains(&entry["level"]) && entry.to_string().contains("forbidden")
    });
    assert_eq!(forbidden.collect::<Vec<_>>(), [] as [&Value; 0]);
    Ok(())
}

/// What RBAC lets the webhook do, and what not: a verb, a resource with its group, a namespace and
/// a name.
const RIGHTS: [(bool, &str, &str, &str); 41] = [
    (true, "list", "secrets", "argocd/"),
    (true, "get", "secrets", "gitops-webhook/gitops-webhook-tls"),
    (true, "patch", CONFIGURATIONS, "/gitops-webhook"),
    (true, "watch", CONFIGURATIONS, "/gitops-webhook"),
    (true, "create", "events.events.k8s.io", "shop/"),
    (true, "create", REVIEWS, "/"),
    (true, "create", LEASES, "gitops-webhook/"),
    (true, "update", LEASES, "gitops-webhook/gitops-webhook"),
    (false, "update", LEASES, "gitops-webhook/another"),
    (false, "delete", LEASES, "gitops-webhook/gitops-webhook"),
    (false, "create", LEASES, "argocd/"),
    (false, "list", "events.events.k8s.io", "argocd/"),
    (false, "break-glass", POLICIES, "/prod-auto-sync"),
    (false, "list", CONFIGURATIONS, "/"),
    (true, "list", POLICIES, "/default"),
    (false, "list", POLICIES, "/"),
    (false, "get", "configmaps", "argocd/argocd-cm"),
    (true, "list", "configmaps", "argocd/argocd-cmd-params-cm"),
    (true, "watch", "configmaps", "argocd/argocd-cmd-params-cm"),
    (false, "list", "configmaps", "argocd/"),
    (false, "list", "secrets", "/"),
    (false, "list", "secrets", "kube-system/"),
    (false, "get", "secrets", "argocd/cluster-prod"),
    (false, "create", "secrets", "argocd/"),
    (false, "patch", "secrets", "argocd/cluster-prod"),
    (false, "list", "secrets", "gitops-webhook/"),
    (false, "get", "secrets", "gitops-webhook/another"),
    (false, "get", "configmaps", "argocd/another"),
    (true, "list", "applications.argoproj.io", "shop/"),
    (true, "watch", "applications.argoproj.io", "/"),
    (false, "get", "applications.argoproj.io", "argocd/orders"),
    (true, "watch", DEFINITIONS, IMAGE_UPDATERS),
    (false, "get", DEFINITIONS, IMAGE_UPDATERS),
    (false, "watch", DEFINITIONS, "/"),
    (
        false,
        "list",
        "imageupdaters.argocd-image-updater.argoproj.io",
        "/",
    ),
    (false, "update", "applications.argoproj.io", "argocd/orders"),
    (false, "patch", "applications.argoproj.io", "argocd/orders"),
    (false, "update", "appprojects.argoproj.io", "argocd/default"),
    (false, "patch", POLICIES, "/default"),
    (false, "patch", CONFIGURATIONS, "/another"),
    (false, "delete", CONFIGURATIONS, "/gitops-webhook"),
];

/// Whether RBAC lets the webhook do something.
async fn may(
    reviews: &Api<SubjectAccessReview>,
    resource_attributes: ResourceAttributes,
) -> Result<bool> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some("system:serviceaccount:gitops-webhook:gitops-webhook".to_owned()),
            resource_attributes: Some(resource_attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let review = reviews.create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

#[tokio::test]
async fn has_no_other_rights() -> Result<()> {
    let reviews = Api::all(shared().await?.admin().client().await?);
    for (expected, verb, resource, object) in RIGHTS {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let (namespace, name) = object.split_once('/').context(object)?;
        let attributes = ResourceAttributes {
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(plural.to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ResourceAttributes::default()
        };
        let allowed = may(&reviews, attributes).await?;
        assert_eq!(allowed, expected, "{verb} {resource} {object}");
    }
    Ok(())
}

#[tokio::test]
async fn counts_and_logs_what_it_decides() -> Result<()> {
    const DENIED: &str =
        r#"gitops_webhook_requests_total{kind="Application",operation="CREATE",outcome="denied"}"#;
    const FOUND: &str = r#"gitops_webhook_findings_total{rule="default-project",level="deny"}"#;
    let installation = shared().await?;
    let webhook = installation.webhook();
    let before = (
        webhook.counter(DENIED).await?,
        webhook.counter(FOUND).await?,
    );
    let developer = Session::of(&Writer::Developer.log_in(installation).await?).await?;

    let object = Base::Staging.with("counted-and-logged", "spec: { project: default }")?;
    developer.create(&object).await?.refusal();

    let after = (
        webhook.counter(DENIED).await?,
        webhook.counter(FOUND).await?,
    );
    assert!(
        after.0 > before.0 && after.1 > before.1,
        "{before:?} {after:?}"
    );
    let mut decisions = webhook.log().entries_of("decision")?;
    decisions.retain(|entry| entry["name"] == "counted-and-logged");
    let decision = decisions.first().context("there is no log line")?;
    let told = [
        "kind",
        "namespace",
        "operation",
        "user",
        "dry_run",
        "verdict",
        "rules",
    ];
    assert_eq!(
        told.map(|field| decision[field].clone()),
        [
            json!("Application"),
            json!("argocd"),
            json!("CREATE"),
            json!("alice@example.com"),
            json!(false),
            json!("denied"),
            json!("default-project"),
        ]
    );
    assert!(
        decision["uid"].as_str().is_some_and(|uid| uid.len() == 36),
        "{decision}"
    );
    assert!(
        decision["duration_us"]
            .as_u64()
            .is_some_and(|took| took > 0),
        "{decision}"
    );
    Ok(())
}

/// A second replica, beside the one that everybody uses.
#[tokio::test]
async fn shares_its_certificate_with_other_replicas_and_ends_when_asked_to() -> Result<()> {
    let installation = shared().await?;
    let generation = installation.configuration().await?.metadata.generation;
    let replica = Webhook::start(installation.control_plane()).await?;
    replica.ready().await?;

    replica.signal(Signal::Terminate)?;
    let status = replica.ended().await?;

    assert!(status.success(), "{status}: {}", replica.log().text()?);
    assert_eq!(replica.log().entries_of("ended")?.len(), 1);
    assert_eq!(
        installation.configuration().await?.metadata.generation,
        generation
    );
    Ok(())
}

/// As `docs/src/operate.md` says to open the gate and to close it again.
#[tokio::test]
async fn is_trusted_again_after_its_configuration_was_deleted() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    let admin = installation.admin();

    succeed(admin.kubectl(["delete", CONFIGURATIONS, "gitops-webhook"])).await?;
    let overlay = Overlay::ProdDevops.path();
    succeed(admin.kubectl(["apply", "-k"]).arguments([overlay])).await?;

    effective(installation.control_plane()).await?;
    let webhooks = installation.configuration().await?.webhooks;
    let bundles = webhooks.iter().flatten();
    let bundles = bundles.map(|webhook| webhook.client_config.ca_bundle.is_some());
    assert_eq!(bundles.collect::<Vec<_>>(), [true; 4]);
    Ok(())
}

/// Whoever forgets the first step of the installation, and repeats the second.
#[tokio::test]
async fn is_whole_after_a_second_try_without_the_step_for_the_definition() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane
        .install_crds(&spawn_blocking(argo_cd_crds).await??)
        .await?;
    control_plane
        .service_account("argocd", "argocd-server")
        .await?;
    let overlay = [Overlay::ProdDevops.path()];
    let apply = || {
        control_plane
            .admin()
            .kubectl(["apply", "-k"])
            .arguments(&overlay)
    };

    let first = apply().run().await?;
    let webhook = Webhook::start(&control_plane).await?;
    webhook.ready().await?;
    expose(&control_plane, &webhook).await?;
    effective(&control_plane).await?;

    let complaint = "no matches for kind \"GitOpsPolicy\"";
    assert!(first.stderr.contains(complaint), "{}", first.stderr);
    let what = "the definition is established";
    eventually(WITHIN, what, async || {
        let applied = succeed(apply()).await;
        applied.map_err(|error| format!("{error:#}"))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn waits_for_an_api_server_and_ends_when_asked_to() -> Result<()> {
    // It accepts connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let server = format!("http://{}", silent.local_addr()?);
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": server}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    });
    std::fs::write(&kubeconfig, text.to_string())?;
    let webhook = Webhook::start_with(&kubeconfig, folder.path()).await?;

    let health = webhook.get("/healthz").await?;
    let readiness = webhook.get("/readyz").await?;
    webhook.signal(Signal::Terminate)?;
    let status = webhook.ended().await?;

    assert_eq!(health, (200, "ok\n".to_owned()));
    assert_eq!(readiness.0, 503);
    assert!(status.success(), "{status}: {}", webhook.log().text()?);
    Ok(())
}

#[tokio::test]
async fn while_it_is_down_specs_cannot_be_changed_and_argo_cd_goes_on() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    let admin = installation.admin();
    let session = Session::of(admin).await?;
    session
        .create(&Base::Production.with("orders", "{}")?)
        .await?
        .admitted();
    let changed = Base::Production.with("orders", "spec: { source: { path: elsewhere } }")?;

    installation.webhook().signal(Signal::Kill)?;
    installation.webhook().ended().await?;

    let what = "the API server notices that nobody answers";
    eventually(WITHIN, what, async || {
        let applied = admin
            .kubectl(["apply", "-f", "-"])
            .input(changed.to_string());
        let applied = applied.run().await.map_err(|error| error.to_string())?;
        if applied
            .stderr
            .contains(r#"failed calling webhook "applications.kubectl-gitops.io""#)
        {
            Ok(())
        } else {
            Err(applied.stderr)
        }
    })
    .await?;
    for change in [
        json!({"status": {"health": {"status": "Healthy"}}}),
        // As Argo CD 3.6 asks for a refresh.
        json!({"metadata": {"annotations": {
            "argocd.argoproj.io/refresh": "normal",
            "argocd.argoproj.io/refresh-timestamp": "2026-11-30T08:00:00.123456789Z",
            "argocd.argoproj.io/hydrate": "normal",
            "argocd.argoproj.io/hydrate-timestamp": "2026-11-30T08:00:00.123456789Z",
        }}}),
        json!({"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": "2026-11-30T08:00:00Z"}}}),
        json!({"operation": {"sync": {"revision": "v1.4.0"}}}),
    ] {
        session
            .patch("Application", "orders", &change)
            .await?
            .admitted();
    }
    session.delete("Application", "orders").await?.admitted();
    Ok(())
}
