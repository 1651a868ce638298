//! How an override is meant to be used, from its beginning to its end.

use anyhow::Result;
use harness::objects::{Base, Session};
use harness::{Installation, Overlay, WebhookLog, eventually, serve_by, succeed};
use jiff::SignedDuration;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use super::world::{
    EXPIRES, Person, REASON, RULES, WITHIN, after, automated, both, change, granted, granting,
    patch_by, production, put_on_call, shared, violating,
};
#[tokio::test]
async fn whoever_may_overrules_in_the_same_request_or_ahead_of_it() -> Result<()> {
    let patch = both(&automated(), &granting(&json!({})));
    change("incident-at-once", Person::OnCall, &patch)
        .await?
        .admitted();
    granted("incident-ahead").await?;
    patch_by("incident-ahead", Person::OnCall, &automated())
        .await?
        .admitted();
    Ok(())
}

#[tokio::test]
async fn plain_kubectl_does_it_in_one_call() -> Result<()> {
    let installation = shared().await?;
    let admin = Session::of(installation.admin()).await?;
    admin
        .create(&production("incident-kubectl", &json!({}))?)
        .await?
        .admitted();
    let on_call = Person::OnCall.log_in(installation.control_plane()).await?;
    let kubectl = async |arguments: &[&str]| {
        let said = on_call
            .kubectl(["--namespace", "argocd"])
            .arguments(arguments)
            .run()
            .await?;
        anyhow::ensure!(said.status.success(), "{said:?}");
        anyhow::Ok(said.stdout)
    };
    let may = [
        "auth",
        "can-i",
        "break-glass",
        "gitopspolicies.kubectl-gitops.io/prod-auto-sync",
    ];
    assert_eq!(kubectl(&may).await?, "yes\n");

    let annotations = [
        format!("{RULES}=prod-auto-sync"),
        format!("{REASON}=INC-7: orders stand still"),
        format!("{EXPIRES}={}", after(1)),
    ];
    let annotate = ["annotate", "application", "incident-kubectl"];
    let annotate: Vec<&str> = annotate
        .into_iter()
        .chain(annotations.iter().map(String::as_str))
        .collect();
    kubectl(&annotate).await?;
    let automated = automated().to_string();
    kubectl(&[
        "patch",
        "application",
        "incident-kubectl",
        "--type=merge",
        "--patch",
        &automated,
    ])
    .await?;
    Ok(())
}

#[tokio::test]
async fn others_go_on_working_under_it() -> Result<()> {
    violating("incident-others").await?;
    let label = json!({"metadata": {"labels": {"team": "shop"}}});
    patch_by("incident-others", Person::Developer, &label)
        .await?
        .admitted();
    let release = json!({"spec": {"source": {"targetRevision": "v1.5.0"}}});
    let controller = Person::Account("argocd-application-controller");
    patch_by("incident-others", controller, &release)
        .await?
        .admitted();
    let right = json!({"spec": {"syncPolicy": {"automated": null}}});
    patch_by("incident-others", Person::Developer, &right)
        .await?
        .admitted();
    let off = json!({"metadata": {"annotations": {RULES: null, REASON: null, EXPIRES: null}}});
    patch_by("incident-others", Person::Developer, &off)
        .await?
        .admitted();
    Ok(())
}

#[tokio::test]
async fn a_service_account_that_the_policy_names_may_if_rbac_lets_it() -> Result<()> {
    let admin = Session::of(shared().await?.admin()).await?;
    admin
        .create(&production("incident-pipeline", &json!({}))?)
        .await?
        .admitted();
    let writers = [
        "create",
        "rolebinding",
        "release-pipeline",
        "--namespace=argocd",
        "--role=writers",
    ];
    let writers = shared().await?.admin().kubectl(writers);
    succeed(writers.arguments(["--serviceaccount=argocd:release-pipeline"])).await?;
    let pipeline = Person::Account("release-pipeline")
        .session(shared().await?)
        .await?;
    let patch = both(&automated(), &granting(&json!({})));
    let admitted = eventually(WITHIN, "the pipeline may write", async || {
        match pipeline
            .patch("Application", "incident-pipeline", &patch)
            .await
        {
            Ok(answer) => Ok(answer),
            Err(error) => Err(format!("{error:#}")),
        }
    });
    admitted.await?.admitted();
    Ok(())
}

#[tokio::test]
async fn every_judged_kind_can_be_overruled() -> Result<()> {
    // RBAC lets an administrator overrule everything.
    let admin = Session::of(shared().await?.admin()).await?;
    let mut secret = Base::Cluster.with("incident-secret", "{}")?;
    secret["stringData"]["config"] = json!(r#"{"bearerToken": "hunter2"}"#);
    let mut project = Base::Project.with("incident-prod", "{}")?;
    project["spec"]["sourceRepos"] = json!(["*"]);
    let mut template = production("incident-{{cluster}}", &automated())?;
    let template = template.as_object_mut().unwrap();
    template.retain(|field, _| field == "metadata" || field == "spec");
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "incident-set", "namespace": "argocd"},
        "spec": {
            "generators": [{"list": {"elements": [{"cluster": "prod"}]}}],
            "template": {"metadata": {"name": "incident-{{cluster}}"}, "spec": template["spec"]},
        },
    });
    for (mut object, rule) in [
        (secret, "cluster-credentials"),
        (project, "project-too-wide"),
        (set, "prod-auto-sync"),
    ] {
        let message = admin.create(&object).await?.refusal();
        assert!(message.starts_with(&format!("{rule}: ")), "{message}");
        json_patch::merge(&mut object, &granting(&json!({RULES: rule})));
        admin.create(&object).await?.admitted();
    }
    Ok(())
}

#[tokio::test]
async fn when_it_is_over_one_replica_tells_and_the_violation_counts_again() -> Result<()> {
    const EXPIRED: &str = "gitops_webhook_break_glass_expired{rule=\"prod-auto-sync\"}";
    const ACTIVE: &str = "gitops_webhook_break_glass_active{rule=\"prod-auto-sync\"}";
    let (installation, clock) = Installation::start_with_clock(Overlay::ProdDevops, "").await?;
    let second = serve_by(installation.control_plane(), &clock).await?;
    put_on_call(installation.control_plane()).await?;
    let on_call = Person::OnCall.session(&installation).await?;
    let developer = Person::Developer.session(&installation).await?;
    let object = production("orders", &both(&automated(), &granting(&json!({}))))?;
    on_call.create(&object).await?.admitted();
    let replicas = [installation.webhook(), &second];
    let shown = async |metric: &str| -> Result<u64> {
        let mut sum = 0;
        for replica in replicas {
            sum += replica.counter(metric).await?;
        }
        Ok(sum)
    };
    eventually(
        WITHIN,
        "the leader shows the override",
        async || match shown(ACTIVE).await {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await?;
    assert_eq!(shown(EXPIRED).await?, 0);

    clock.set_on(SignedDuration::from_hours(2))?;

    eventually(WITHIN, "the leader shows that it ran out", async || match (
        shown(ACTIVE).await,
        shown(EXPIRED).await,
    ) {
        (Ok(0), Ok(1)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await?;
    let events = Api::<Event>::namespaced(installation.admin().client().await?, "argocd");
    let told = eventually(WITHIN, "it is told in an Event", async || {
        let listed = events.list(&ListParams::default()).await;
        let listed = listed.map_err(|error| error.to_string())?.items;
        let expired = |event: &Event| event.reason.as_deref() == Some("BreakGlassExpired");
        let notes: Vec<String> = listed
            .into_iter()
            .filter(expired)
            .filter_map(|event| event.note)
            .collect();
        if notes.is_empty() {
            Err("none".to_owned())
        } else {
            Ok(notes)
        }
    });
    let told = told.await?;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with("override of prod-auto-sync expired at "),
        "{told:#?}"
    );
    assert!(
        told[0].contains("now in violation: prod-auto-sync: spec.syncPolicy.automated: "),
        "{told:#?}"
    );
    let lines = |log: &WebhookLog| log.entries_of("break-glass expired");
    let lines = [lines(replicas[0].log())?, lines(replicas[1].log())?].concat();
    assert_eq!(lines.len(), 1, "{lines:#?}");

    // What the rule reads is refused, even to who may overrule it; anything else passes.
    let pruned = json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}});
    let message = on_call
        .patch("Application", "orders", &pruned)
        .await?
        .refusal();
    assert!(message.starts_with("prod-auto-sync: "), "{message}");
    let label = json!({"metadata": {"labels": {"team": "shop"}}});
    developer
        .patch("Application", "orders", &label)
        .await?
        .admitted();
    let release = json!({"spec": {"source": {"targetRevision": "v1.5.0"}}});
    developer
        .patch("Application", "orders", &release)
        .await?
        .admitted();

    // Overruled anew, or put right.
    let anew = both(&pruned, &granting(&json!({EXPIRES: after(4)})));
    on_call
        .patch("Application", "orders", &anew)
        .await?
        .admitted();
    let right = json!({"spec": {"syncPolicy": {"automated": null}}});
    developer
        .patch("Application", "orders", &right)
        .await?
        .admitted();
    eventually(WITHIN, "nothing counts any more", async || {
        match shown(EXPIRED).await {
            Ok(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    Ok(())
}
