//! What is not a request for a verdict is told so, in words, and never judged.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::support::{
    application, ask, ask_json, automated_on_production, create, review, send, webhook,
};

async fn refusal(body: impl Into<Body>) -> String {
    let answer = ask(&webhook(), body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn a_body_that_is_not_json_says_where() {
    assert_eq!(
        refusal("").await,
        "the body is not JSON (line 1, column 0)\n"
    );
    assert_eq!(
        refusal("{\"kind\":").await,
        "the body is not JSON (line 1, column 8)\n"
    );
    assert_eq!(
        refusal("<html>").await,
        "the body is not JSON (line 1, column 1)\n"
    );
    assert_eq!(refusal(vec![0xff, 0xfe]).await, "the body is not UTF-8\n");
    let cut_off = create("Application", &application());
    let cut_off = cut_off[..cut_off.len() - 1].to_owned();
    assert!(refusal(cut_off).await.starts_with("the body is not JSON"));
    let followed = create("Application", &application()) + "{}";
    assert!(refusal(followed).await.starts_with("the body is not JSON"));
}

#[tokio::test]
async fn json_that_is_no_review_is_named() {
    assert_eq!(
        refusal(application().to_string()).await,
        "the body is of kind \"Application\", expected \"AdmissionReview\"\n"
    );
    assert_eq!(
        refusal("{}").await,
        "the body is of kind \"\", expected \"AdmissionReview\"\n"
    );
    assert!(
        refusal("[]")
            .await
            .starts_with("the AdmissionReview is malformed")
    );
    assert!(
        refusal("5")
            .await
            .starts_with("the AdmissionReview is malformed")
    );
}

#[tokio::test]
async fn another_version_is_told_what_was_expected() {
    for version in ["admission.k8s.io/v1beta1", "admission.k8s.io/v2", "v1"] {
        let body = create("Application", &application()).replace("admission.k8s.io/v1", version);
        assert_eq!(
            refusal(body).await,
            format!(
                "the AdmissionReview is of version {version:?}, expected \"admission.k8s.io/v1\"\n"
            )
        );
    }
    // Another version may look different inside, and is still only another version.
    let body = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v2","request":[1]}"#;
    assert!(refusal(body).await.contains("admission.k8s.io/v2"));
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let without = |field: &str| {
        let mut review: Value =
            serde_json::from_str(&create("Application", &application())).unwrap();
        review["request"].as_object_mut().unwrap().remove(field);
        review.to_string()
    };
    for field in ["uid", "kind", "operation", "object"] {
        assert_eq!(
            refusal(without(field)).await,
            format!("the AdmissionReview's request has no {field}\n")
        );
    }
    let deletion = review("DELETE", "Application", &Value::Null, &Value::Null);
    assert!(refusal(deletion).await.ends_with("has no oldObject\n"));
    for request in ["", r#","request":null"#, r#","response":{"uid":"u"}"#] {
        let body =
            format!(r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"{request}}}"#);
        assert_eq!(refusal(body).await, "the AdmissionReview has no request\n");
    }
}

#[tokio::test]
async fn a_field_that_is_there_twice_is_malformed() {
    let twice = create("Application", &application())
        .replace(r#""dryRun":false"#, r#""dryRun":false,"uid":"u-2""#);
    assert!(
        refusal(twice)
            .await
            .starts_with("the AdmissionReview is malformed")
    );
}

#[tokio::test]
async fn only_json_is_taken() {
    let webhook = webhook();
    let body = create("Application", &application());
    for content_type in ["text/plain", "application/yaml", ""] {
        let request = Request::post("/validate").header("content-type", content_type);
        let answer = send(&webhook, request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body, "the content type must be application/json\n");
    }
    let request =
        Request::post("/validate").header("content-type", "Application/JSON; charset=utf-8");
    let answer = send(&webhook, request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.response()["allowed"], true);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let webhook = webhook();
    let get = Request::get("/validate").body(Body::empty()).unwrap();
    assert_eq!(
        send(&webhook, get).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let elsewhere = Request::post("/").body(Body::empty()).unwrap();
    assert_eq!(
        send(&webhook, elsewhere).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_denied_with_the_place() {
    let mut object = application();
    object["spec"]["syncPolicy"] = json!({"automated": {"prune": "yes"}});
    let response = ask(&webhook(), create("Application", &object))
        .await
        .response();
    assert_eq!(response["allowed"], false);
    assert_eq!(response["uid"], "u-1");
    assert_eq!(response["status"]["code"], 403);
    assert_eq!(response["auditAnnotations"]["verdict"], "unreadable");
    assert_eq!(
        response["status"]["message"],
        "the object cannot be read, so it cannot be judged: spec.syncPolicy.automated.prune: \
         invalid type: string \"yes\", expected a boolean"
    );
}

#[tokio::test]
async fn nothing_is_quoted_of_a_secret_that_cannot_be_read() {
    let secret = json!({
        "metadata": {"name": "c", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "data": {"config": {"bearerToken": "hunter2"}},
    });
    let answer = ask(&webhook(), create("Secret", &secret)).await;
    assert!(!answer.body.contains("hunter2"), "{}", answer.body);
    let response = answer.response();
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.contains("data.config"), "{message}");
}

#[tokio::test]
async fn an_unreadable_object_in_deletion_may_go() {
    let mut object = application();
    object["spec"] = json!(5);
    object["metadata"]["deletionTimestamp"] = json!("2026-11-22T06:29:22Z");
    let body = review("UPDATE", "Application", &object, &object);
    assert_eq!(ask(&webhook(), body).await.response()["allowed"], true);
}

#[tokio::test]
async fn an_unreadable_old_object_does_not_keep_it_from_being_mended() {
    let mut old = application();
    old["spec"] = json!(5);
    let mended = review("UPDATE", "Application", &application(), &old);
    assert_eq!(ask(&webhook(), mended).await.response()["allowed"], true);
    let not_mended = review("UPDATE", "Application", &automated_on_production(), &old);
    assert_eq!(
        ask(&webhook(), not_mended).await.response()["allowed"],
        false
    );
}

#[tokio::test]
async fn the_order_of_fields_does_not_matter() {
    // serde_json's maps are sorted: `kind` comes before `object`, but so does `dryRun`, and here
    // everything is turned round.
    let object = automated_on_production();
    let body = format!(
        r#"{{"request":{{"userInfo":{{"username":"alice"}},"oldObject":null,"object":{object},"operation":"CREATE",
        "kind":{{"kind":"Application","group":"argoproj.io"}},"uid":"u-1"}},
        "apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}}"#
    );
    let response = ask(&webhook(), body).await.response();
    assert_eq!(response["allowed"], false);
    assert_eq!(response["auditAnnotations"]["verdict"], "denied");
}

/// A review with some of its bytes replaced, cut out or repeated.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let objects = (any::<bool>(), any::<bool>()).prop_map(|(secret, update)| {
        let object = automated_on_production();
        let kind = if secret { "Secret" } else { "Application" };
        let operation = if update { "UPDATE" } else { "CREATE" };
        review(operation, kind, &object, &application()).into_bytes()
    });
    let mutation = (
        any::<Index>(),
        0_usize..40,
        prop::collection::vec(any::<u8>(), 0..6),
    );
    let json = prop::sample::select(vec![
        "null",
        "{}",
        "[]",
        "\"\"",
        "-1",
        "1e999",
        "\\ud800",
        "\"kind\":",
        ",",
        "}}",
        "true",
    ]);
    let splice = (any::<Index>(), 0_usize..200, json);
    (
        objects,
        prop::collection::vec(mutation, 0..4),
        prop::collection::vec(splice, 0..3),
    )
        .prop_map(|(mut body, mutations, splices)| {
            let mut replace = |at: Index, length: usize, with: &[u8]| {
                let start = at.index(body.len() + 1);
                let end = (start + length).min(body.len());
                body.splice(start..end, with.iter().copied());
            };
            for (at, length, with) in mutations {
                replace(at, length, &with);
            }
            for (at, length, with) in splices {
                replace(at, length, with.as_bytes());
            }
            body
        })
}

/// Whatever comes, there is an answer, and it is either a verdict or a refusal.
#[test]
fn no_body_breaks_the_webhook() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let webhook = webhook();
    proptest!(|(body in mutated())| {
        let answer = runtime.block_on(ask(&webhook, body));
        prop_assert!(
            [StatusCode::OK, StatusCode::BAD_REQUEST].contains(&answer.status),
            "{} {}", answer.status, answer.body
        );
    });
}

#[tokio::test]
async fn deep_nesting_is_refused_and_not_followed() {
    let deep = "[".repeat(200_000);
    let body = create("Application", &application())
        .replace(r#""options":{}"#, &format!(r#""options":{deep}"#));
    refusal(body).await;
    let mut object = application();
    object["spec"]["source"]["helm"] = json!("HERE");
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = create("Application", &object).replace("\"HERE\"", &nested);
    let answer = ask(&webhook(), body).await;
    assert!(
        [StatusCode::OK, StatusCode::BAD_REQUEST].contains(&answer.status),
        "{answer:?}"
    );
}

#[tokio::test]
async fn requests_for_what_is_not_judged_pass() {
    let webhook = webhook();
    let pod = json!({"metadata": {"name": "p"}, "spec": 5});
    for kind in ["Pod", "Deployment"] {
        let response = ask(&webhook, create(kind, &pod)).await.response();
        assert_eq!(response["allowed"], true);
        assert_eq!(response["auditAnnotations"]["verdict"], "not-judged");
    }
    let mut status: Value =
        serde_json::from_str(&create("Application", &automated_on_production())).unwrap();
    status["request"]["subResource"] = json!("status");
    assert_eq!(
        ask_json(&webhook, &status).await.response()["allowed"],
        true
    );
}
