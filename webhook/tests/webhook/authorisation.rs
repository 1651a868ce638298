//! Who may break glass, as an API server says. Time is tokio's and stands still, except where a
//! test or a timeout moves it.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use gitops_webhook::authorisation::{
    AUTHORISED_FOR, AuthorisationError, Authoriser, TIMEOUT, User,
};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use tokio::time::{Instant, advance};

use crate::api_server::{self, Asked, refusal};

/// How the API server answers.
#[derive(Clone)]
enum Mood {
    /// With this status of the review.
    Says(Value),
    /// With an error.
    Fails,
    /// Not at all.
    Hangs,
}

/// An API server that takes reviews, and keeps them.
#[derive(Clone)]
struct ApiServer {
    mood: Arc<Mutex<Mood>>,
    reviews: Arc<Mutex<Vec<Value>>>,
}

impl ApiServer {
    fn that(mood: Mood) -> Self {
        ApiServer {
            mood: Arc::new(Mutex::new(mood)),
            reviews: Arc::default(),
        }
    }

    fn allows() -> Self {
        ApiServer::that(Mood::Says(json!({"allowed": true})))
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn authoriser(&self) -> Authoriser {
        let server = self.clone();
        let client = api_server::client(move |asked| {
            let server = server.clone();
            async move { server.answer(asked).await }
        });
        Authoriser::new(client)
    }

    async fn answer(&self, asked: Asked) -> (StatusCode, Value) {
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        assert_eq!((asked.method, asked.path.as_str()), (Method::POST, path));
        let mut review = asked.body;
        self.reviews.lock().unwrap().push(review.clone());
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Says(status) => {
                review["status"] = status;
                (StatusCode::CREATED, review)
            }
            Mood::Fails => refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Mood::Hangs => pending().await,
        }
    }

    /// How often it was asked.
    fn count(&self) -> usize {
        self.reviews.lock().unwrap().len()
    }
}

/// Somebody as the API server tells of them in an admission request.
fn alice() -> User {
    let user_info = json!({
        "username": "alice@example.com",
        "uid": "6f1c",
        "groups": ["platform", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]},
    });
    serde_json::from_value(user_info).unwrap()
}

const RULE: &str = "prod-auto-sync";

#[tokio::test(start_paused = true)]
async fn the_review_names_the_rule_and_carries_all_that_is_known_of_the_user() {
    let server = ApiServer::allows();

    let allowed = server.authoriser().may_break_glass(&alice(), RULE).await;

    assert!(allowed.unwrap());
    let reviews = server.reviews.lock().unwrap();
    assert_json_snapshot!(*reviews, @r#"
    [
      {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {
          "extra": {
            "authentication.kubernetes.io/credential-id": [
              "JTI=1"
            ]
          },
          "groups": [
            "platform",
            "system:authenticated"
          ],
          "resourceAttributes": {
            "group": "kubectl-gitops.io",
            "name": "prod-auto-sync",
            "resource": "gitopspolicies",
            "verb": "break-glass",
            "version": "v1alpha1"
          },
          "uid": "6f1c",
          "user": "alice@example.com"
        }
      }
    ]
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_user_of_whom_only_the_name_is_known_can_be_asked_about() {
    let server = ApiServer::allows();
    let user = serde_json::from_value(json!({"username": "bob"})).unwrap();

    let allowed = server.authoriser().may_break_glass(&user, RULE).await;

    assert!(allowed.unwrap());
    assert_eq!(server.reviews.lock().unwrap()[0]["spec"]["user"], "bob");
}

#[tokio::test(start_paused = true)]
async fn only_a_plain_yes_is_one() {
    for (status, expected) in [
        (json!({"allowed": true}), true),
        (
            json!({"allowed": true, "evaluationError": "a role is missing"}),
            true,
        ),
        (json!({"allowed": false}), false),
        (
            json!({"allowed": false, "evaluationError": "a role is missing"}),
            false,
        ),
        (json!({"allowed": false, "denied": true}), false),
        (json!({"allowed": true, "denied": true}), false),
    ] {
        let authoriser = ApiServer::that(Mood::Says(status.clone())).authoriser();

        let allowed = authoriser.may_break_glass(&alice(), RULE).await;

        assert_eq!(allowed.unwrap(), expected, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_whatever_it_is() {
    for says in [true, false] {
        let server = ApiServer::that(Mood::Says(json!({"allowed": says})));
        let authoriser = server.authoriser();
        for _ in 0..3 {
            let allowed = authoriser.may_break_glass(&alice(), RULE).await;
            assert_eq!(allowed.unwrap(), says);
        }
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_kept_for_one_rule_and_all_of_one_user() {
    let server = ApiServer::allows();
    let authoriser = server.authoriser();
    authoriser.may_break_glass(&alice(), RULE).await.unwrap();
    server.becomes(Mood::Says(json!({"allowed": false})));
    let extra = [("scopes".to_owned(), vec!["view".to_owned()])];
    let others = [
        (
            User {
                username: "bob".to_owned(),
                ..alice()
            },
            RULE,
        ),
        (
            User {
                groups: Vec::new(),
                ..alice()
            },
            RULE,
        ),
        (
            User {
                uid: "77aa".to_owned(),
                ..alice()
            },
            RULE,
        ),
        (
            User {
                extra: extra.into(),
                ..alice()
            },
            RULE,
        ),
        (alice(), "project-scope"),
    ];

    for (user, rule) in &others {
        let allowed = authoriser.may_break_glass(user, rule).await;
        assert!(!allowed.unwrap(), "{rule} {user:?}");
    }

    assert_eq!(server.count(), 1 + others.len());
    assert!(authoriser.may_break_glass(&alice(), RULE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_old_is_asked_for_again() {
    let server = ApiServer::allows();
    let authoriser = server.authoriser();
    authoriser.may_break_glass(&alice(), RULE).await.unwrap();
    server.becomes(Mood::Says(json!({"allowed": false})));

    let moment = Duration::from_millis(1);
    advance(AUTHORISED_FOR.saturating_sub(moment)).await;
    assert!(authoriser.may_break_glass(&alice(), RULE).await.unwrap());
    advance(moment).await;
    assert!(!authoriser.may_break_glass(&alice(), RULE).await.unwrap());

    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_authorises_nobody_and_is_not_kept() {
    let server = ApiServer::that(Mood::Fails);
    let authoriser = server.authoriser();

    let error = authoriser.may_break_glass(&alice(), RULE).await;
    assert!(matches!(error, Err(AuthorisationError::Ask(_))));

    server.becomes(Mood::Says(json!({"allowed": true})));
    assert!(authoriser.may_break_glass(&alice(), RULE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_review_without_status_authorises_nobody_and_is_not_kept() {
    let server = ApiServer::that(Mood::Says(Value::Null));
    let authoriser = server.authoriser();

    let error = authoriser.may_break_glass(&alice(), RULE).await;
    assert!(matches!(error, Err(AuthorisationError::NoStatus)));

    server.becomes(Mood::Says(json!({"allowed": true})));
    assert!(authoriser.may_break_glass(&alice(), RULE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_authorises_nobody_and_is_asked_again() {
    let server = ApiServer::that(Mood::Hangs);
    let authoriser = server.authoriser();
    let began = Instant::now();

    let error = authoriser.may_break_glass(&alice(), RULE).await;
    assert!(matches!(error, Err(AuthorisationError::Timeout)));
    assert!(began.elapsed() < TIMEOUT + Duration::from_millis(10));

    server.becomes(Mood::Says(json!({"allowed": true})));
    assert!(authoriser.may_break_glass(&alice(), RULE).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_the_same_at_the_same_time_share_one_review() {
    let server = ApiServer::allows();
    let authoriser = server.authoriser();
    let user = alice();

    let asking = (0..20).map(|_| authoriser.may_break_glass(&user, RULE));
    let answers = futures::future::join_all(asking).await;

    assert!(answers.into_iter().all(Result::unwrap));
    assert_eq!(server.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_somebody_elses_review_wait_no_longer_than_for_their_own() {
    let server = ApiServer::that(Mood::Hangs);
    let authoriser = server.authoriser();
    let user = alice();
    let began = Instant::now();

    let asking = (0..20).map(|_| authoriser.may_break_glass(&user, RULE));
    let answers = futures::future::join_all(asking).await;

    assert!(answers.iter().all(Result::is_err));
    assert!(began.elapsed() < TIMEOUT + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_only_so_many_answers_are_kept() {
    let server = ApiServer::allows();
    let authoriser = server.authoriser();
    let user = |number: usize| User {
        username: format!("user-{number}"),
        ..User::default()
    };
    let all = 2_000;
    for _ in 0..2 {
        for number in 0..all {
            authoriser
                .may_break_glass(&user(number), RULE)
                .await
                .unwrap();
        }
    }
    let kept = 2 * all - server.count();
    assert!(kept <= 256, "{kept} answers were kept");
}
