//! Each way to let something pass that must not.

use std::net::SocketAddr;

use anyhow::Result;
use harness::objects::{Answer, Base, Session};
use harness::{Installation, Overlay, eventually, succeed};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::world::{
    EXPIRES, Person, REASON, RULES, WITHIN, after, automated, both, change, granted, granting,
    patch_by, production, put_on_call, shared, violating,
};
/// The line of the refusal that is about the override.
fn reason(answer: Answer) -> String {
    let message = answer.refusal();
    let mut lines = message.split(" | ");
    let of_override = lines
        .find_map(|line| line.strip_prefix("break-glass: metadata.annotations[kubectl-gitops.io/"));
    let of_override = of_override.and_then(|line| line.split_once("]: "));
    let Some((_, rest)) = of_override else {
        panic!("nothing is said of the override: {message}");
    };
    rest.rsplit_once("; ")
        .map_or(rest, |(reason, _)| reason)
        .to_owned()
}

/// What somebody on call is told who writes this override, and the change that it is for.
async fn refused(name: &str, patch: &Value) -> Result<String> {
    let patch = both(&automated(), &granting(patch));
    Ok(reason(change(name, Person::OnCall, &patch).await?))
}

#[tokio::test]
async fn by_somebody_who_may_not() -> Result<()> {
    let patch = both(&automated(), &granting(&json!({})));
    let answer = change("misuse-user", Person::Developer, &patch).await?;
    assert_eq!(reason(answer), "its writer may not overrule prod-auto-sync");
    Ok(())
}

#[tokio::test]
async fn by_somebody_who_may_not_ahead_of_any_change() -> Result<()> {
    let answer = change("misuse-ahead", Person::Developer, &granting(&json!({}))).await?;
    assert_eq!(reason(answer), "its writer may not overrule prod-auto-sync");
    Ok(())
}

#[tokio::test]
async fn of_a_rule_that_the_writer_may_not_overrule() -> Result<()> {
    let said = refused("misuse-rule", &json!({RULES: "project-scope"})).await?;
    assert_eq!(said, "its writer may not overrule project-scope");
    Ok(())
}

#[tokio::test]
async fn of_a_second_rule_that_the_writer_may_not_overrule() -> Result<()> {
    let said = refused(
        "misuse-second",
        &json!({RULES: "prod-auto-sync,default-project"}),
    )
    .await?;
    assert_eq!(said, "its writer may not overrule default-project");
    Ok(())
}

#[tokio::test]
async fn of_a_rule_that_there_is_not() -> Result<()> {
    let said = refused("misuse-typo", &json!({RULES: "prod-auto-snyc"})).await?;
    assert_eq!(said, "there is no rule \"prod-auto-snyc\"");
    Ok(())
}

#[tokio::test]
async fn of_all_rules() -> Result<()> {
    assert_eq!(
        refused("misuse-all", &json!({RULES: "*"})).await?,
        "there is no rule \"*\""
    );
    Ok(())
}

#[tokio::test]
async fn of_no_rule() -> Result<()> {
    assert_eq!(
        refused("misuse-none", &json!({RULES: ""})).await?,
        "names no rule"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_reason() -> Result<()> {
    assert_eq!(
        refused("misuse-reason", &json!({REASON: null})).await?,
        "gives no reason"
    );
    Ok(())
}

#[tokio::test]
async fn with_a_blank_reason() -> Result<()> {
    assert_eq!(
        refused("misuse-blank", &json!({REASON: "  "})).await?,
        "gives no reason"
    );
    Ok(())
}

#[tokio::test]
async fn without_an_end() -> Result<()> {
    assert_eq!(
        refused("misuse-end", &json!({EXPIRES: null})).await?,
        "says not when it expires"
    );
    Ok(())
}

#[tokio::test]
async fn with_an_end_that_is_no_time() -> Result<()> {
    let said = refused("misuse-time", &json!({EXPIRES: "2h"})).await?;
    assert_eq!(said, "\"2h\" is not a time of RFC 3339");
    Ok(())
}

#[tokio::test]
async fn that_is_over() -> Result<()> {
    let said = refused("misuse-over", &json!({EXPIRES: "2026-01-01T00:00:00Z"})).await?;
    assert_eq!(said, "it expired at 2026-01-01T00:00:00Z");
    Ok(())
}

#[tokio::test]
async fn that_lasts_too_long() -> Result<()> {
    let said = refused("misuse-long", &json!({EXPIRES: after(5)})).await?;
    assert_eq!(said, "it would last longer than 4h");
    Ok(())
}

#[tokio::test]
async fn for_ever() -> Result<()> {
    let said = refused("misuse-ever", &json!({EXPIRES: "9999-12-30T00:00:00Z"})).await?;
    assert_eq!(said, "it would last longer than 4h");
    Ok(())
}

#[tokio::test]
async fn copied_to_another_object() -> Result<()> {
    violating("misuse-original").await?;
    let admin = Session::of(shared().await?.admin()).await?;
    let original = admin.get("Application", "misuse-original").await?;
    let original = serde_json::to_value(original)?;
    let copy = json!({
        "apiVersion": original["apiVersion"],
        "kind": original["kind"],
        "metadata": {"name": "misuse-copy", "annotations": original["metadata"]["annotations"]},
        "spec": original["spec"],
    });
    let developer = Person::Developer.session(shared().await?).await?;
    let answer = developer.create(&copy).await?;
    assert_eq!(reason(answer), "its writer may not overrule prod-auto-sync");
    Ok(())
}

#[tokio::test]
async fn made_longer_by_somebody_else() -> Result<()> {
    granted("misuse-longer").await?;
    let longer = json!({"metadata": {"annotations": {EXPIRES: after(3)}}});
    let answer = patch_by("misuse-longer", Person::Developer, &longer).await?;
    assert_eq!(reason(answer), "its writer may not overrule prod-auto-sync");
    Ok(())
}

#[tokio::test]
async fn given_another_reason_by_somebody_else() -> Result<()> {
    granted("misuse-reworded").await?;
    let other = json!({"metadata": {"annotations": {REASON: "INC-2: mine"}}});
    let answer = patch_by("misuse-reworded", Person::Developer, &other).await?;
    assert_eq!(reason(answer), "its writer may not overrule prod-auto-sync");
    Ok(())
}

#[tokio::test]
async fn widened_by_somebody_else() -> Result<()> {
    granted("misuse-widened").await?;
    let wider = json!({"metadata": {"annotations": {RULES: "prod-auto-sync,replicas-ignored"}}});
    let answer = patch_by("misuse-widened", Person::Developer, &wider).await?;
    assert_eq!(
        reason(answer),
        "its writer may not overrule replicas-ignored"
    );
    Ok(())
}

#[tokio::test]
async fn widened_beyond_what_its_writer_may() -> Result<()> {
    granted("misuse-beyond").await?;
    let wider = json!({"metadata": {"annotations": {RULES: "prod-auto-sync,project-scope"}}});
    let answer = patch_by("misuse-beyond", Person::OnCall, &wider).await?;
    assert_eq!(reason(answer), "its writer may not overrule project-scope");
    Ok(())
}

#[tokio::test]
async fn used_by_somebody_else() -> Result<()> {
    granted("misuse-used").await?;
    let answer = patch_by("misuse-used", Person::Developer, &automated()).await?;
    assert_eq!(
        reason(answer),
        "does not cover what somebody who may not overrule prod-auto-sync writes"
    );
    Ok(())
}

#[tokio::test]
async fn made_worse_by_somebody_else() -> Result<()> {
    violating("misuse-worse").await?;
    let worse = json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}});
    let answer = patch_by("misuse-worse", Person::Developer, &worse).await?;
    assert_eq!(
        reason(answer),
        "does not cover what somebody who may not overrule prod-auto-sync writes"
    );
    Ok(())
}

#[tokio::test]
async fn used_for_a_rule_that_it_does_not_name() -> Result<()> {
    granted("misuse-other-rule").await?;
    let change = json!({"spec": {"ignoreDifferences": null}});
    let answer = patch_by("misuse-other-rule", Person::OnCall, &change).await?;
    let message = answer.refusal();
    assert!(message.starts_with("replicas-ignored: "), "{message}");
    assert!(!message.contains(" | "), "{message}");
    Ok(())
}

#[tokio::test]
async fn taken_off_so_that_the_violation_would_look_old() -> Result<()> {
    violating("misuse-taken-off").await?;
    let without = json!({"metadata": {"annotations": {RULES: null, REASON: null, EXPIRES: null}}});
    let answer = patch_by("misuse-taken-off", Person::OnCall, &without).await?;
    let message = answer.refusal();
    assert!(message.starts_with("prod-auto-sync: "), "{message}");
    Ok(())
}

#[tokio::test]
async fn written_over_by_another_so_that_the_violation_would_look_old() -> Result<()> {
    violating("misuse-over-written").await?;
    let other = granting(&json!({RULES: "replicas-ignored"}));
    let answer = patch_by("misuse-over-written", Person::OnCall, &other).await?;
    let message = answer.refusal();
    assert!(message.starts_with("prod-auto-sync: "), "{message}");
    Ok(())
}

/// What a service account is told, whatever RBAC would let it do.
async fn refused_to(account: &'static str) -> Result<()> {
    let patch = both(&automated(), &granting(&json!({})));
    let name = format!("misuse-by-{account}");
    let answer = change(&name, Person::Account(account), &patch).await?;
    assert_eq!(
        reason(answer),
        format!("nobody knows on whose behalf system:serviceaccount:argocd:{account} writes")
    );
    Ok(())
}

#[tokio::test]
async fn from_git_without_leave() -> Result<()> {
    refused_to("argocd-application-controller").await
}

#[tokio::test]
async fn through_argocd_server() -> Result<()> {
    refused_to("argocd-server").await
}

#[tokio::test]
async fn by_the_application_set_controller() -> Result<()> {
    refused_to("argocd-applicationset-controller").await
}

#[tokio::test]
async fn by_a_service_account_that_the_policy_does_not_name() -> Result<()> {
    refused_to("argocd-image-updater").await
}

#[tokio::test]
async fn used_by_argo_cd_which_carries_out_what_git_says() -> Result<()> {
    granted("misuse-by-git").await?;
    let controller = Person::Account("argocd-application-controller");
    let answer = patch_by("misuse-by-git", controller, &automated()).await?;
    let message = answer.refusal();
    assert!(
        message.starts_with("Application argocd/misuse-by-git: prod-auto-sync: "),
        "{message}"
    );
    assert!(
        message.contains("nobody knows on whose behalf"),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn on_what_an_application_set_generates() -> Result<()> {
    let admin = Session::of(shared().await?.admin()).await?;
    let owner = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shop", "uid": "5a0b", "controller": true,
    }]}});
    admin
        .create(&production("misuse-generated", &owner)?)
        .await?
        .admitted();
    let answer = patch_by("misuse-generated", Person::OnCall, &granting(&json!({}))).await?;
    assert_eq!(
        reason(answer),
        "ApplicationSet shop generates this and overwrites it"
    );
    Ok(())
}

#[tokio::test]
async fn taken_from_its_application_set_so_that_the_violation_would_look_old() -> Result<()> {
    let controller = Person::Account("argocd-applicationset-controller");
    let installation = shared().await?;
    let on_call = Person::OnCall.session(installation).await?;
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "misuse-owner", "namespace": "argocd"},
        "spec": {
            "generators": [{"list": {"elements": []}}],
            "template": {
                "metadata": {"name": "misuse-owned"},
                "spec": production("misuse-owned", &json!({}))?["spec"],
            },
        },
    });
    let granted = both(&set, &granting(&json!({})));
    on_call.create(&granted).await?.admitted();
    let admin = Session::of(installation.admin()).await?;
    let stored = serde_json::to_value(admin.get("ApplicationSet", "misuse-owner").await?)?;
    let generated = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "misuse-owner",
        "uid": stored["metadata"]["uid"], "controller": true,
    }]}});
    let child = production("misuse-owned", &both(&automated(), &generated))?;
    let controller = controller.session(installation).await?;
    eventually(WITHIN, "the override of the set counts", async || {
        let answer = controller.create(&child).await;
        match answer.map_err(|error| format!("{error:#}"))? {
            Answer::Admitted => Ok(()),
            refused @ Answer::Refused(_) => Err(format!("{refused:?}")),
        }
    })
    .await?;

    let alone = json!({"metadata": {"ownerReferences": null}});
    for person in [Person::Developer, Person::OnCall] {
        let answer = patch_by("misuse-owned", person, &alone).await?;
        let message = answer.refusal();
        assert!(message.starts_with("prod-auto-sync: "), "{message}");
    }
    let without = json!({"metadata": {"annotations": {RULES: null, REASON: null, EXPIRES: null}}});
    let developer = Person::Developer.session(installation).await?;
    let answer = developer
        .patch("ApplicationSet", "misuse-owner", &without)
        .await?;
    assert_eq!(
        reason(answer),
        "is taken off by somebody who may not overrule prod-a…; what it let pass may still be there"
    );
    let orphaning = developer_deletes_alone(installation, "misuse-owner").await?;
    assert!(
        orphaning.contains("is taken off by somebody who may not overrule prod-a"),
        "{orphaning}"
    );
    Ok(())
}

/// What somebody is told who deletes an ApplicationSet and leaves its Applications.
async fn developer_deletes_alone(installation: &Installation, name: &str) -> Result<String> {
    let developer = Person::Developer
        .log_in(installation.control_plane())
        .await?;
    let delete = [
        "delete",
        "applicationset",
        name,
        "--namespace",
        "argocd",
        "--cascade=orphan",
    ];
    let run = developer.kubectl(delete).run().await?;
    Ok(run.stderr)
}

#[tokio::test]
async fn inherited_from_a_template() -> Result<()> {
    let on_call = Person::OnCall.session(shared().await?).await?;
    let mut template = production("misuse-{{cluster}}", &granting(&json!({})))?;
    let template = template.as_object_mut().unwrap();
    template.retain(|field, _| field == "metadata" || field == "spec");
    template["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("namespace");
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "misuse-template", "namespace": "argocd"},
        "spec": {"generators": [{"list": {"elements": [{"cluster": "prod"}]}}], "template": template},
    });
    let message = on_call.create(&set).await?.refusal();
    assert!(
        message.contains("an override is not inherited"),
        "{message}"
    );
    Ok(())
}

#[tokio::test]
async fn of_a_deletion_by_somebody_else() -> Result<()> {
    let on_call = Person::OnCall.session(shared().await?).await?;
    let developer = Person::Developer.session(shared().await?).await?;
    let root = json!({
        "metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "status": {"resources": [{"group": "argoproj.io", "kind": "Application", "name": "orders"}]},
    });
    let admin = Session::of(shared().await?.admin()).await?;
    let granting = granting(&json!({RULES: "cascade-delete"}));
    admin
        .create(&production("misuse-deleted", &both(&root, &granting))?)
        .await?
        .admitted();
    for session in [developer, on_call] {
        let message = session
            .delete("Application", "misuse-deleted")
            .await?
            .refusal();
        assert!(message.starts_with("cascade-delete: "), "{message}");
    }
    admin
        .delete("Application", "misuse-deleted")
        .await?
        .admitted();
    Ok(())
}

#[tokio::test]
async fn of_a_cluster_secret_by_somebody_who_may_not() -> Result<()> {
    let on_call = Person::OnCall.session(shared().await?).await?;
    let mut secret = Base::Cluster.with("misuse-secret", "{}")?;
    json_patch::merge(
        &mut secret,
        &granting(&json!({RULES: "cluster-credentials"})),
    );
    secret["stringData"]["config"] = json!(r#"{"bearerToken": "hunter2"}"#);
    let message = on_call.create(&secret).await?.refusal();
    assert!(
        message.contains("its writer may not overrule cluster-credentials"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
    Ok(())
}

#[tokio::test]
async fn in_a_dry_run() -> Result<()> {
    let developer = Person::Developer
        .log_in(shared().await?.control_plane())
        .await?;
    let object = production("misuse-dry-run", &both(&automated(), &granting(&json!({}))))?;
    let answer =
        harness::objects::kubectl_apply(&developer, &object, &["--dry-run=server"]).await?;
    assert_eq!(reason(answer), "its writer may not overrule prod-auto-sync");
    Ok(())
}

#[tokio::test]
async fn without_the_number_of_a_ticket_where_the_policy_wants_one() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    put_on_call(installation.control_plane()).await?;
    let terms =
        json!({"spec": {"breakGlass": {"ticketPattern": r"INC-\d+", "maxDuration": "90m"}}});
    let patch = ["patch", "gop", "default", "--type=merge", "--patch"];
    succeed(
        installation
            .admin()
            .kubectl(patch)
            .arguments([terms.to_string()]),
    )
    .await?;
    let on_call = Person::OnCall.session(&installation).await?;
    let judged = async |name: &str, patch: Value| {
        let object = production(name, &both(&automated(), &granting(&patch)))?;
        on_call.create(&object).await
    };

    // The webhook notices the policy a moment later.
    eventually(WITHIN, "the policy's terms hold", async || {
        let answer = judged("misuse-terms", json!({EXPIRES: after(2)})).await;
        match answer.map_err(|error| format!("{error:#}"))? {
            Answer::Refused(message) if message.contains("longer than 1h 30m") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;

    let no_ticket = json!({EXPIRES: after(1), REASON: "it burns"});
    let said = reason(judged("misuse-ticket", no_ticket).await?);
    assert_eq!(said, r"its reason names no ticket like INC-\d+");
    judged("misuse-with-ticket", json!({EXPIRES: after(1)}))
        .await?
        .admitted();
    Ok(())
}

#[tokio::test]
async fn where_the_webhook_may_not_ask_who_may() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    put_on_call(installation.control_plane()).await?;
    let without = ["delete", "clusterrolebinding", "gitops-webhook"];
    succeed(installation.admin().kubectl(without)).await?;

    let said = refused_while_nobody_can_be_asked(&installation).await?;

    assert_eq!(said, "the API server could not be asked about its writer");
    Ok(())
}

#[tokio::test]
async fn where_the_api_server_takes_too_long_to_say_who_may() -> Result<()> {
    let installation = Installation::start(Overlay::ProdDevops, "").await?;
    put_on_call(installation.control_plane()).await?;
    let silence = TcpListener::bind("127.0.0.1:0").await?;
    let slow = slows_reviews_down(silence.local_addr()?);
    let create = installation.admin().kubectl(["create", "--filename", "-"]);
    succeed(create.input(slow.to_string())).await?;

    let said = refused_while_nobody_can_be_asked(&installation).await?;

    assert_eq!(said, "the API server could not be asked about its writer");
    let log = installation
        .webhook()
        .log()
        .entries_of("cannot ask who may break glass")?;
    let error = log
        .last()
        .map(|entry| entry["error"].as_str().unwrap_or_default().to_owned());
    let error = error.unwrap_or_default();
    assert!(
        error.contains("did not answer a SubjectAccessReview within 2 s"),
        "{error}"
    );
    Ok(())
}

/// What somebody on call is told as soon as nobody can be asked any more.
async fn refused_while_nobody_can_be_asked(installation: &Installation) -> Result<String> {
    let on_call = Person::OnCall.session(installation).await?;
    let object = production("misuse-nobody", &both(&automated(), &granting(&json!({}))))?;
    let said = eventually(WITHIN, "it is refused", async || {
        let answer = on_call
            .create(&object)
            .await
            .map_err(|error| format!("{error:#}"))?;
        match answer {
            Answer::Refused(_) => Ok(reason(answer)),
            // What was changed just now does not count yet.
            Answer::Admitted => {
                let deleted = on_call.delete("Application", "misuse-nobody").await;
                deleted.map_err(|error| format!("{error:#}"))?.admitted();
                Err("it is admitted".to_owned())
            }
        }
    });
    Ok(said.await?)
}

/// A webhook that never answers, on every `SubjectAccessReview`.
fn slows_reviews_down(address: SocketAddr) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "slow"},
        "webhooks": [{
            "name": "slow.example.com",
            "rules": [{
                "apiGroups": ["authorization.k8s.io"],
                "apiVersions": ["v1"],
                "resources": ["subjectaccessreviews"],
                "operations": ["CREATE"],
            }],
            "clientConfig": {"url": format!("https://{address}/")},
            "failurePolicy": "Ignore",
            "timeoutSeconds": 4,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    })
}
