//! Four connections send the worst that there is, while ordinary reviews keep their verdicts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::serving::{Running, allowed, post};
use crate::support::{application, automated_on_production, create, failures};

/// How many ordinary reviews are asked for.
const ORDINARY: u64 = 100;

/// How many connections send nothing but the worst.
const HOSTILE: usize = 4;

fn with(pointer: &str, value: Value) -> Value {
    let mut object = application();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let mut at = &mut object;
    for segment in parent.split('/').skip(1) {
        at = &mut at[segment];
    }
    at[field] = value;
    object
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| json!([inner]))
}

/// How many of the bodies that are full of one thing are sent, and how long each is, in bytes.
const FULL: (usize, usize) = (8, 1 << 20);

/// All that is sent: what is worst by its kind, and of all lists, maps and strings that a decoder
/// reads those that take most.
fn worst_bodies() -> Vec<Vec<u8>> {
    let (count, size) = FULL;
    let full = gitops_fuzz::worst_bodies(count).into_iter();
    let by_kind = worst_by_kind().into_iter().map(String::into_bytes);
    by_kind.chain(full.map(|body| body.of_size(size))).collect()
}

/// Bodies that cost most for what they are: deep nesting, many generators, programs, and plain
/// size. What a rule is found to be slow on belongs here.
fn worst_by_kind() -> Vec<String> {
    let many = |count: usize| Value::from(vec![json!({}); count]);
    let generators = vec![json!({"list": {"elements": [{"a": "b"}]}}); 500];
    let set = json!({
        "metadata": {"name": "many", "namespace": "argocd"},
        "spec": {
            "generators": generators,
            "template": {"metadata": {"name": "a-{{a}}"}, "spec": automated_on_production()["spec"]},
        },
    });
    let destinations: Vec<Value> = (0..2_000)
        .map(|number| json!({"server": format!("https://*{number}*"), "namespace": "*"}))
        .collect();
    let project = json!({
        "metadata": {"name": "wide", "namespace": "argocd"},
        "spec": {"sourceRepos": vec!["*"; 2_000], "destinations": destinations},
    });
    let programs =
        json!([{"group": "*", "kind": "*", "jqPathExpressions": vec![".spec.a[]?"; 200]}]);
    vec![
        create("Application", &with("/status/resources", many(300_000))),
        create("Application", &with("/spec/sources", many(2_000))),
        create(
            "Application",
            &with("/spec/ignoreDifferences", many(20_000)),
        ),
        create("Application", &with("/spec/ignoreDifferences", programs)),
        create(
            "Application",
            &with("/spec/source/helm/valuesObject", nested(90)),
        ),
        create(
            "Application",
            &with("/metadata/annotations/a", "x".repeat(3 << 20).into()),
        ),
        create("Application", &nested(400)),
        create("ApplicationSet", &set),
        create("AppProject", &project),
        "[".repeat(1 << 20),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordinary_reviews_keep_their_verdicts_under_the_worst_load() {
    let running = Arc::new(Running::start().await);
    let over = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let bodies = Arc::new(worst_bodies());
    let hostile: Vec<_> = (0..HOSTILE)
        .map(|first| {
            let (running, over) = (Arc::clone(&running), Arc::clone(&over));
            let (sent, bodies) = (Arc::clone(&sent), Arc::clone(&bodies));
            tokio::spawn(async move {
                let mut client = running.http1().await;
                // Its share of them once, and on until the ordinary ones are through.
                for round in 0.. {
                    let place = first + round * HOSTILE;
                    if place >= bodies.len() && over.load(Ordering::Relaxed) {
                        break;
                    }
                    let body = bodies[place % bodies.len()].clone();
                    client.ready().await.unwrap();
                    let answer = client.send_request(post(body)).await.unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                    let status = answer.status();
                    let expected = [
                        StatusCode::OK,
                        StatusCode::BAD_REQUEST,
                        // There is no room or no turn for it in time, which is what bounds are for.
                        StatusCode::SERVICE_UNAVAILABLE,
                    ];
                    assert!(expected.contains(&status), "{status}");
                    let answer = http_body_util::BodyExt::collect(answer.into_body()).await;
                    drop(answer.unwrap());
                }
            })
        })
        .collect();

    let mut client = running.http1().await;
    for number in 0..ORDINARY {
        let is_good = number % 2 == 0;
        let object = if is_good {
            application()
        } else {
            automated_on_production()
        };
        client.ready().await.unwrap();
        let answer = client.send_request(post(create("Application", &object)));
        assert_eq!(allowed(answer.await.unwrap()).await, is_good, "{number}");
    }
    over.store(true, Ordering::Relaxed);
    for hostile in hostile {
        hostile.await.unwrap();
    }

    // Nothing was lost, and nothing went wrong.
    let webhook = &running.webhook;
    let metrics = webhook.metrics.encode().unwrap();
    let counted: u64 = metrics
        .lines()
        .filter(|line| {
            line.starts_with("gitops_webhook_requests_total{")
                || line.starts_with("gitops_webhook_failures_total{")
        })
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, ORDINARY + sent.load(Ordering::Relaxed));
    for reason in ["late", "caller-gone", "defect", "body-timeout", "answer"] {
        assert_eq!(failures(webhook, reason), 0, "{reason}");
    }
    assert_eq!(webhook.metrics.requests.body_bytes().get(), 0);
}
