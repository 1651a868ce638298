//! Several Argo CDs on one cluster: what is another one's is not judged.

use std::sync::Arc;

use argocd::Namespaces;
use gitops_webhook::limits::Limits;
use gitops_webhook::state::{Caches, Webhook, WebhookParts};
use serde_json::{Value, json};

use crate::support::{ask, automated_on_production, inventory, review};

/// A webhook whose Argo CD has its objects in these namespaces besides its own.
fn webhook(applications: &str, application_sets: &str) -> Arc<Webhook> {
    let parameters = json!({"data": {
        "application.namespaces": applications,
        "applicationsetcontroller.namespaces": application_sets,
    }});
    let parameters = serde_json::from_value(parameters).unwrap();
    let namespaces = Namespaces::new("argocd".to_owned(), &parameters);
    let mut inventory = inventory();
    inventory.namespaces = Some(Arc::new(namespaces));
    let caches = Caches::Synced(Box::new(inventory));
    Arc::new(Webhook::new(WebhookParts::alone(caches, Limits::default())))
}

/// The verdict on an object in a namespace.
async fn verdict(webhook: &Arc<Webhook>, write: &str, kind: &str, namespace: &str) -> String {
    let mut object = match kind {
        "Application" => automated_on_production(),
        "ApplicationSet" => json!({"spec": {
            "generators": [{"list": {"elements": [{}]}}],
            "template": {"metadata": {"name": "web"}, "spec": automated_on_production()["spec"]},
        }}),
        "AppProject" => json!({"spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
        }}),
        // {"bearerToken":"hunter2"}
        _ => json!({"data": {
            "name": "cHJvZA==", "server": "aHR0cHM6Ly9wcm9k",
            "config": "eyJiZWFyZXJUb2tlbiI6Imh1bnRlcjIifQ==",
        }}),
    };
    object["metadata"] = json!({
        "name": "of-somebody", "namespace": namespace,
        "labels": {"argocd.argoproj.io/secret-type": "cluster"},
    });
    let old = match write {
        "UPDATE" => json!({"metadata": object["metadata"], "spec": {}}),
        _ => Value::Null,
    };
    let body = review(write, kind, &object, &old);
    let body = body.replace(
        r#""namespace":"argocd","operation""#,
        &format!(r#""namespace":"{namespace}","operation""#),
    );
    let response = ask(webhook, body).await.response();
    response["auditAnnotations"]["verdict"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Every object violates a rule, so that it is denied where it is judged at all.
#[tokio::test]
async fn what_is_another_argo_cds_is_not_judged() {
    let table = [
        ("Application", "argocd", "denied"),
        ("Application", "team-a", "denied"),
        ("Application", "shop-7", "denied"),
        ("Application", "shop-x", "not-judged"),
        ("Application", "sets-a", "not-judged"),
        ("Application", "other-argocd", "not-judged"),
        ("ApplicationSet", "argocd", "denied"),
        ("ApplicationSet", "sets-a", "denied"),
        ("ApplicationSet", "team-a", "not-judged"),
        ("ApplicationSet", "other-argocd", "not-judged"),
        ("AppProject", "argocd", "denied"),
        ("AppProject", "team-a", "not-judged"),
        ("AppProject", "other-argocd", "not-judged"),
        ("Secret", "argocd", "denied"),
        ("Secret", "team-a", "not-judged"),
        ("Secret", "other-argocd", "not-judged"),
    ];
    let webhook = webhook("team-*, /^shop-[0-9]+$/", "sets-a");
    for (kind, namespace, expected) in table {
        for write in ["CREATE", "UPDATE"] {
            let found = verdict(&webhook, write, kind, namespace).await;
            assert_eq!(found, expected, "{write} {kind} {namespace}");
        }
    }
}

#[tokio::test]
async fn without_parameters_only_its_own_namespace_is_argo_cds() {
    let webhook = webhook("", "");
    for kind in ["Application", "ApplicationSet", "AppProject", "Secret"] {
        assert_eq!(verdict(&webhook, "CREATE", kind, "argocd").await, "denied");
        let elsewhere = verdict(&webhook, "CREATE", kind, "team-a").await;
        assert_eq!(elsewhere, "not-judged", "{kind}");
    }
}

/// An object of another Argo CD may have fields that ours does not know.
#[tokio::test]
async fn what_cannot_be_read_is_let_pass_where_it_is_another_argo_cds() {
    let webhook = webhook("", "");
    for (namespace, expected) in [("argocd", "unreadable"), ("elsewhere", "not-judged")] {
        let object = json!({"metadata": {"name": "odd", "namespace": namespace}, "spec": 5});
        let body = review("CREATE", "Application", &object, &Value::Null);
        let body = body.replace(
            r#""namespace":"argocd","operation""#,
            &format!(r#""namespace":"{namespace}","operation""#),
        );
        let response = ask(&webhook, body).await.response();
        assert_eq!(
            response["auditAnnotations"]["verdict"], expected,
            "{response}"
        );
    }
}
