//! What the answers say.

use std::sync::Arc;

use axum::http::StatusCode;
use gitops_webhook::limits::Limits;
use gitops_webhook::state::{Caches, Webhook, WebhookParts};
use serde_json::{Value, json};

use crate::support::{application, ask, automated_on_production, create, review, webhook};

#[tokio::test]
async fn admits_with_nothing_to_say() {
    let response = ask(&webhook(), create("Application", &application()))
        .await
        .response();
    assert_eq!(
        response,
        json!({"uid": "u-1", "allowed": true, "auditAnnotations": {"verdict": "admitted"}})
    );
}

#[tokio::test]
async fn denies_with_every_reason_on_one_line() {
    let mut object = automated_on_production();
    object["spec"]["source"]["repoURL"] = json!("https://git.example.com/elsewhere");
    let response = ask(&webhook(), create("Application", &object))
        .await
        .response();
    assert_eq!(response["allowed"], false);
    let status = &response["status"];
    assert_eq!(status["status"], "Failure");
    assert_eq!(status["reason"], "Forbidden");
    assert_eq!(status["code"], 403);
    let message = status["message"].as_str().unwrap();
    assert!(!message.contains(char::is_control), "{message}");
    let causes = status["details"]["causes"].as_array().unwrap();
    let lines: Vec<&str> = message.split(" | ").collect();
    assert_eq!(lines.len(), causes.len(), "{message}");
    for (line, cause) in lines.iter().zip(causes) {
        assert!(line.chars().count() < 200, "{line}");
        let rule = cause["reason"].as_str().unwrap();
        let field = cause["field"].as_str().unwrap();
        assert!(line.starts_with(&format!("{rule}: {field}")), "{line}");
    }
    let rules = response["auditAnnotations"]["rules"].as_str().unwrap();
    for rule in ["project-scope", "prod-auto-sync", "replicas-ignored"] {
        assert!(rules.split(',').any(|found| found == rule), "{rules}");
    }
    assert_eq!(response["auditAnnotations"]["verdict"], "denied");
}

#[tokio::test]
async fn the_same_object_gets_the_same_answer() {
    let webhook = webhook();
    let body = create("Application", &automated_on_production());
    let first = ask(&webhook, body.clone()).await.body;
    assert_eq!(ask(&webhook, body).await.body, first);
}

#[tokio::test]
async fn warns_of_sync_options_that_do_nothing() {
    let mut object = application();
    object["spec"]["syncPolicy"]["syncOptions"] = json!(["CreateNamespaces=true", "Prune=false"]);
    object["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-options": "Prune=flase"});
    let response = ask(&webhook(), create("Application", &object))
        .await
        .response();
    assert_eq!(response["allowed"], true, "{response}");
    let warnings = response["warnings"].as_array().unwrap();
    let fixes: Vec<&str> = warnings
        .iter()
        .filter_map(|warning| warning.as_str()?.rsplit("; ").next())
        .collect();
    assert_eq!(
        fixes,
        [
            "write CreateNamespace=true",
            "its value is one of true, false, confirm"
        ],
        "{response}"
    );
}

#[tokio::test]
async fn warns_where_the_ignore_is_not_respected() {
    let mut object = application();
    object["spec"]["destination"] = json!({"name": "prod", "namespace": "web-prod"});
    object["spec"]["ignoreDifferences"] = json!([
        {"group": "*", "kind": "*", "jsonPointers": ["/spec/replicas"]},
    ]);
    let response = ask(&webhook(), create("Application", &object))
        .await
        .response();
    assert_eq!(response["allowed"], true, "{response}");
    let warnings = response["warnings"].as_array().unwrap();
    assert!(!warnings.is_empty());
    for warning in warnings {
        let warning = warning.as_str().unwrap();
        assert!(warning.chars().count() <= 256, "{warning}");
        assert!(!warning.contains(char::is_control), "{warning}");
        assert!(warning.starts_with("replicas-ignored: "), "{warning}");
    }
}

#[tokio::test]
async fn line_breaks_of_the_writer_stay_out_of_the_message() {
    let mut object = application();
    object["spec"]["project"] = json!("none\nof these\u{7}");
    let response = ask(&webhook(), create("Application", &object))
        .await
        .response();
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[tokio::test]
async fn a_cluster_secret_with_a_token_is_denied_and_the_token_not_repeated() {
    // {"bearerToken":"hunter2"}
    let secret = json!({
        "metadata": {"name": "c", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "data": {
            "name": "cHJvZA==", "server": "aHR0cHM6Ly9wcm9k",
            "config": "eyJiZWFyZXJUb2tlbiI6Imh1bnRlcjIifQ==",
        },
    });
    let answer = ask(&webhook(), create("Secret", &secret)).await;
    for secret in ["hunter2", "eyJiZWFyZXJUb2tlbiI6Imh1bnRlcjIifQ"] {
        assert!(!answer.body.contains(secret), "{}", answer.body);
    }
    let response = answer.response();
    assert_eq!(response["allowed"], false);
    assert_eq!(response["auditAnnotations"]["rules"], "cluster-credentials");
}

#[tokio::test]
async fn a_secret_that_is_no_cluster_is_not_judged() {
    let secret = |kind: &str| {
        json!({
            "metadata": {"name": "c", "labels": {"argocd.argoproj.io/secret-type": kind}},
            "data": {"config": "eyJiZWFyZXJUb2tlbiI6Imh1bnRlcjIifQ=="},
        })
    };
    let webhook = webhook();
    let created = create("Secret", &secret("repository"));
    let response = ask(&webhook, created).await.response();
    assert_eq!(response["auditAnnotations"]["verdict"], "not-judged");
    let label_removed = review("UPDATE", "Secret", &secret(""), &secret("cluster"));
    assert_eq!(
        ask(&webhook, label_removed).await.response()["allowed"],
        true
    );
    let label_added = review("UPDATE", "Secret", &secret("cluster"), &secret(""));
    assert_eq!(
        ask(&webhook, label_added).await.response()["allowed"],
        false
    );
}

/// What Kubernetes is asked to do with what an Application owns does not stop Argo CD's finalizer,
/// and the writer is told.
#[tokio::test]
async fn deleting_an_app_of_apps_is_denied_with_the_way_out() {
    let root = |finalizers: Value| {
        let mut root = application();
        root["metadata"]["finalizers"] = finalizers;
        root["status"] = json!({"resources": [{"group": "argoproj.io", "kind": "Application"}]});
        root
    };
    let deletion = |options: &str, finalizers: Value| {
        let review = review("DELETE", "Application", &Value::Null, &root(finalizers));
        review.replace(r#""options":{}"#, &format!(r#""options":{options}"#))
    };
    let webhook = webhook();
    let finalizer = json!(["resources-finalizer.argocd.argoproj.io"]);
    let message = async |options: &str| {
        let answer = ask(&webhook, deletion(options, finalizer.clone())).await;
        let response = answer.response();
        assert_eq!(response["allowed"], false, "{options}: {response}");
        response["status"]["message"].as_str().unwrap().to_owned()
    };
    let background = message("{}").await;
    assert_eq!(
        background,
        "cascade-delete: metadata.finalizers: deletes its Applications and all they deploy (labels of cluster prod); \
         argocd app delete --cascade=false, or first remove the finalizer"
    );
    for options in [
        "null",
        r#"{"propagationPolicy":null,"orphanDependents":null}"#,
        r#"{"propagationPolicy":"Foreground","gracePeriodSeconds":0}"#,
        r#"{"orphanDependents":false}"#,
    ] {
        assert_eq!(message(options).await, background, "{options}");
    }
    for options in [
        r#"{"propagationPolicy":"Orphan"}"#,
        r#"{"orphanDependents":true}"#,
    ] {
        let message = message(options).await;
        assert!(
            message.contains("deploy, whatever --cascade says (labels"),
            "{message}"
        );
    }
    let harmless = ask(&webhook, deletion("{}", Value::Null)).await.response();
    assert_eq!(harmless["auditAnnotations"]["verdict"], "admitted");
}

#[tokio::test]
async fn deleting_anything_else_is_never_denied() {
    let webhook = webhook();
    let body = review(
        "DELETE",
        "Application",
        &Value::Null,
        &automated_on_production(),
    );
    assert_eq!(ask(&webhook, body).await.response()["allowed"], true);
    let unreadable = review("DELETE", "Application", &Value::Null, &json!({"spec": 5}));
    let response = ask(&webhook, unreadable).await.response();
    assert_eq!(response["allowed"], true, "{response}");
}

#[tokio::test]
async fn a_status_write_changes_nothing() {
    let mut object = automated_on_production();
    object["status"] = json!({"sync": {"status": "Synced"}});
    let body = review("UPDATE", "Application", &object, &automated_on_production());
    let response = ask(&webhook(), body).await.response();
    assert_eq!(response["allowed"], true);
    assert_eq!(response["auditAnnotations"]["verdict"], "unchanged");
}

#[tokio::test]
async fn before_the_caches_are_complete_nothing_is_decided() {
    let caches = Caches::Syncing(vec!["AppProject", "cluster Secret"]);
    let webhook = Arc::new(Webhook::new(WebhookParts::alone(caches, Limits::default())));
    let answer = ask(&webhook, create("Application", &application())).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.body,
        "not ready: waiting for AppProject, cluster Secret\n"
    );
}

#[tokio::test]
async fn thousands_of_findings_make_an_answer_of_bounded_size() {
    let mut object = application();
    let source = json!({"repoURL": "https://git.example.com/elsewhere", "path": "p"});
    object["spec"]["sources"] = vec![source; 5_000].into();
    let answer = ask(&webhook(), create("Application", &object)).await;
    assert!(answer.body.len() < 40_000, "{} bytes", answer.body.len());
    let message = answer.response()["status"]["message"].to_string();
    assert!(message.contains(" | and "), "{message}");
}

#[tokio::test]
async fn metrics_count_verdicts_findings_and_failures() {
    let webhook = webhook();
    ask(&webhook, create("Application", &application())).await;
    ask(&webhook, create("Application", &automated_on_production())).await;
    ask(&webhook, "{}").await;
    let metrics = webhook.metrics.encode().unwrap();
    for line in [
        r#"gitops_webhook_requests_total{kind="Application",operation="CREATE",outcome="admitted"} 1"#,
        r#"gitops_webhook_requests_total{kind="Application",operation="CREATE",outcome="denied"} 1"#,
        r#"gitops_webhook_requests_total{kind="Secret",operation="UPDATE",outcome="denied"} 0"#,
        r#"gitops_webhook_findings_total{rule="prod-auto-sync",level="deny"} 1"#,
        r#"gitops_webhook_failures_total{reason="review"} 1"#,
        "gitops_webhook_request_duration_seconds_count 2",
        "gitops_webhook_request_bodies_in_flight_bytes 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "no {line} in\n{metrics}"
        );
    }
}
