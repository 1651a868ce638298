//! Who writes for others is told which object it is about: Argo CD shows the message of its
//! controllers' writes to people, and nothing beside it.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::support::{ask, automated_on_production, create, review, webhook};

const APPLICATION_CONTROLLER: &str = "system:serviceaccount:argocd:argocd-application-controller";
const SET_CONTROLLER: &str = "system:serviceaccount:argocd:argocd-applicationset-controller";

async fn message(body: &str, username: &str) -> String {
    let body = body.replace(
        r#""username":"alice""#,
        &format!(r#""username":"{username}""#),
    );
    let response = ask(&webhook(), body).await.response();
    assert_eq!(response["allowed"], false, "{response}");
    response["status"]["message"].as_str().unwrap().to_owned()
}

fn named(name: &str, mut object: Value) -> Value {
    object["metadata"]["name"] = name.into();
    object
}

#[tokio::test]
async fn a_denial_begins_with_the_object_where_a_controller_writes_it() {
    let child = named("shop-production", automated_on_production());
    for (username, begins) in [
        (
            APPLICATION_CONTROLLER,
            "Application argocd/shop-production: project-scope: ",
        ),
        (
            SET_CONTROLLER,
            "Application argocd/shop-production: project-scope: ",
        ),
        ("alice", "project-scope: "),
        (
            "system:serviceaccount:argocd:argocd-server",
            "project-scope: ",
        ),
        (
            "system:serviceaccount:other:argocd-application-controller",
            "project-scope: ",
        ),
    ] {
        let mut child = child.clone();
        child["spec"]["source"]["repoURL"] = "https://git.example.com/elsewhere".into();
        let message = message(&create("Application", &child), username).await;
        assert!(message.starts_with(begins), "{username}: {message}");
        // Once, however many rules it violates.
        let lines: Vec<&str> = message.split(" | ").collect();
        assert!(lines.len() > 1, "{message}");
        assert_eq!(
            message.matches("argocd/shop-production").count(),
            usize::from(begins.starts_with('A'))
        );
        for line in lines {
            assert!(line.chars().count() < 200, "{line}");
        }
    }
}

#[tokio::test]
async fn every_kind_is_named_also_when_it_is_changed_or_cannot_be_read() {
    let everything = json!({
        "metadata": {"name": "everything", "namespace": "argocd"},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    });
    let set = json!({
        "metadata": {"name": "all-shops", "namespace": "argocd"},
        "spec": {
            "generators": [{"list": {"elements": [{}]}}],
            "template": {"metadata": {"name": "web"}, "spec": automated_on_production()["spec"]},
        },
    });
    let mut other = named("shop", automated_on_production());
    other["spec"]["syncPolicy"] = Value::Null;
    let odd = json!({"metadata": {"name": "odd", "namespace": "argocd"}, "spec": 5});
    for (body, begins) in [
        (
            create("AppProject", &everything),
            "AppProject argocd/everything: project-too-wide: ",
        ),
        (
            create("ApplicationSet", &set),
            "ApplicationSet argocd/all-shops: ",
        ),
        (
            review(
                "UPDATE",
                "Application",
                &named("shop", automated_on_production()),
                &other,
            ),
            "Application argocd/shop: prod-auto-sync: ",
        ),
        (
            create("Application", &odd),
            "Application argocd/odd: the object cannot be read, ",
        ),
    ] {
        let message = message(&body, APPLICATION_CONTROLLER).await;
        assert!(message.starts_with(begins), "{message}");
    }
}

/// However long the names are, what is wrong is said as well.
#[tokio::test]
async fn a_long_name_leaves_room_for_the_rule_and_the_field() {
    for length in [1, 40, 63, 253] {
        let name = "n".repeat(length);
        let child = named(&name, automated_on_production());
        let message = message(&create("Application", &child), APPLICATION_CONTROLLER).await;
        let line = message.split(" | ").next().unwrap();
        assert!(line.chars().count() < 200, "{line}");
        assert!(
            line.starts_with(&format!("Application argocd/{}", &name[..length.min(60)])),
            "{line}"
        );
        assert!(
            line.contains(": prod-auto-sync: spec.syncPolicy.automated: "),
            "{line}"
        );
        assert!(line.contains("; remove `automated`"), "{line}");
    }
}

/// Nothing else of the answer depends on who reads the message.
#[tokio::test]
async fn the_causes_are_the_same_for_everybody() {
    let body = create("Application", &automated_on_production());
    let by_controller = body.replace(
        r#""username":"alice""#,
        &format!(r#""username":"{APPLICATION_CONTROLLER}""#),
    );
    let (own, others) = (
        ask(&webhook(), body).await,
        ask(&webhook(), by_controller).await,
    );
    assert_eq!(
        (own.status, others.status),
        (StatusCode::OK, StatusCode::OK)
    );
    let (own, others) = (own.response(), others.response());
    assert_eq!(own["status"]["details"], others["status"]["details"]);
    assert_eq!(own["auditAnnotations"], others["auditAnnotations"]);
}
