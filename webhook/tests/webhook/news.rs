//! What was created a moment before is not taken for missing, and what is missing is not waited for
//! long.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use futures::future;
use gitops_webhook::limits::Limits;
use gitops_webhook::state::{Caches, Webhook};
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{application, ask, create, inventory, inventory_with, send, webhook_with};

/// An Application that lacks its AppProject, and a webhook that has none at all.
fn without_projects() -> (Arc<Webhook>, String) {
    let webhook = webhook_with(Limits::default());
    webhook.publish(Caches::Synced(Box::new(inventory_with(Vec::new()))));
    (webhook, create("Application", &application()))
}

fn message(response: &Value) -> &str {
    response["status"]["message"].as_str().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_missing_project_is_waited_for_as_long_as_it_is_worth() {
    let (webhook, review) = without_projects();
    let started = Instant::now();
    let response = ask(&webhook, review).await.response();
    assert_eq!(response["allowed"], false);
    assert_eq!(
        message(&response),
        "project-scope: spec.project: there is no AppProject team-shop; create it first or name one that exists"
    );
    let waited = started.elapsed();
    assert!(
        (Duration::from_secs(1)..Duration::from_millis(1_100)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_project_that_appears_meanwhile_counts_at_once() {
    let (webhook, review) = without_projects();
    let started = Instant::now();
    let later = async {
        for caches in [inventory_with(Vec::new()), inventory()] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            webhook.publish(Caches::Synced(Box::new(caches)));
        }
    };
    let (answer, ()) = future::join(ask(&webhook, review), later).await;
    assert_eq!(answer.response()["allowed"], true);
    assert!(started.elapsed() < Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_missing_cluster_is_waited_for_too() {
    let webhook = webhook_with(Limits::default());
    let mut object = application();
    object["spec"]["destination"]["name"] = "nowhere".into();
    let started = Instant::now();
    let answer = ask(&webhook, create("Application", &object)).await;
    assert_eq!(answer.response()["allowed"], false);
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn other_denials_are_not_delayed() {
    let webhook = webhook_with(Limits::default());
    let started = Instant::now();
    let object = crate::support::automated_on_production();
    let answer = ask(&webhook, create("Application", &object)).await;
    assert_eq!(answer.response()["allowed"], false);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn of_many_that_lack_something_most_are_denied_at_once() {
    let (webhook, review) = without_projects();
    let started = Instant::now();
    let asked = (0..100).map(|_| {
        let webhook = Arc::clone(&webhook);
        let review = review.clone();
        tokio::spawn(async move {
            let request = Request::post("/validate")
                .header("content-type", "application/json")
                .header("content-length", review.len());
            let answer = send(&webhook, request.body(review.into()).unwrap()).await;
            assert_eq!(answer.response()["allowed"], false);
            started.elapsed()
        })
    });
    let waited = future::join_all(asked).await;
    let at_once = waited
        .iter()
        .filter(|waited| waited.as_ref().unwrap().is_zero());
    assert_eq!(at_once.count(), 84);
}
