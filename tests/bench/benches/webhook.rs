//! What a request costs inside the webhook, without network and TLS.

use std::hint::black_box;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use gitops_bench::corpus::{Kind, Review, Updates, corpus};
use gitops_bench::fleet::inventory;
use gitops_webhook::admission::handler;
use gitops_webhook::admission_review::decide::decide;
use gitops_webhook::admission_review::request;
use gitops_webhook::limits::Limits;
use gitops_webhook::state::{Caches, Webhook, WebhookParts};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use tower::ServiceExt as _;

fn reviews(updates: Updates) -> Vec<Review> {
    corpus(updates).expect("the corpus can be written")
}

/// The whole corpus once, so that the throughput is that of its mix of sizes.
fn throughput(group: &mut BenchmarkGroup<'_, WallTime>, reviews: &[Review]) {
    let bytes: usize = reviews.iter().map(|review| review.body.len()).sum();
    group.throughput(Throughput::ElementsAndBytes {
        elements: reviews.len() as u64,
        bytes: bytes as u64,
    });
}

/// Reading the reviews: as the webhook does, as anybody would at first, and not at all but for the
/// syntax.
fn decode(criterion: &mut Criterion) {
    let reviews = reviews(Updates::Spec);
    let mut group = criterion.benchmark_group("decode");
    throughput(&mut group, &reviews);
    group.bench_function("typed", |bencher| {
        bencher.iter(|| {
            for review in &reviews {
                black_box(request::Review::from_json(&review.body).expect("it is a review"));
            }
        });
    });
    group.bench_function("serde_json::Value", |bencher| {
        bencher.iter(|| {
            for review in &reviews {
                let value: serde_json::Value =
                    serde_json::from_slice(&review.body).expect("it is JSON");
                black_box(value);
            }
        });
    });
    group.bench_function("syntax", |bencher| {
        bencher.iter(|| {
            for review in &reviews {
                serde_json::from_slice::<IgnoredAny>(&review.body).expect("it is JSON");
            }
        });
    });
    group.finish();
}

/// Judging what has been read, by kind.
fn evaluate(criterion: &mut Criterion) {
    let inventory = inventory().expect("the built-in policy is valid");
    let mut group = criterion.benchmark_group("evaluate");
    for (name, updates, kind, allowed) in [
        (
            "status update",
            Updates::Status,
            Kind::ApplicationUpdate,
            true,
        ),
        (
            "spec update, allowed",
            Updates::Spec,
            Kind::ApplicationUpdate,
            true,
        ),
        (
            "spec update, denied",
            Updates::Spec,
            Kind::ApplicationUpdate,
            false,
        ),
        (
            "new Application, allowed",
            Updates::Spec,
            Kind::ApplicationCreate,
            true,
        ),
        (
            "new Application, denied",
            Updates::Spec,
            Kind::ApplicationCreate,
            false,
        ),
        ("ApplicationSet", Updates::Spec, Kind::ApplicationSet, true),
        (
            "cluster Secret, allowed",
            Updates::Spec,
            Kind::ClusterSecret,
            true,
        ),
        (
            "cluster Secret, denied",
            Updates::Spec,
            Kind::ClusterSecret,
            false,
        ),
    ] {
        let mut reviews = reviews(updates);
        reviews.retain(|review| review.kind == kind && review.allowed == allowed);
        let mut reviews = reviews.iter().cycle();
        let mut read_next = move || {
            let review = reviews.next().expect("there is one of the kind");
            request::Review::from_json(&review.body).expect("it is a review")
        };
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                &mut read_next,
                |mut review| {
                    let decision =
                        decide(&mut review, &inventory, Timestamp::UNIX_EPOCH).unanswered();
                    (review, decision)
                },
                // Few, so that what has just been read is in the processor's cache, as it is in the
                // webhook.
                BatchSize::NumIterations(4),
            );
        });
    }
    group.finish();
}

/// The whole answer to a request that has arrived: reading, judging, counting, logging, writing.
fn handler(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("there can be a runtime");
    let inventory = inventory().expect("the built-in policy is valid");
    let webhook = Webhook::new(WebhookParts::alone(
        Caches::Synced(Box::new(inventory)),
        Limits::default(),
    ));
    let router = handler::router(Arc::new(webhook));
    let answer_all = |reviews: &[Review]| {
        runtime.block_on(async {
            for review in reviews {
                let request = Request::post("/validate").header("content-type", "application/json");
                let request = request.body(Body::from(review.body.clone()));
                let answer = router.clone().oneshot(request.expect("it is a request"));
                black_box(answer.await.expect("it cannot fail"));
            }
        });
    };
    let log = || {
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(io::sink)
            .finish()
    };
    let mut group = criterion.benchmark_group("handler");
    for (name, updates) in [
        ("status updates", Updates::Status),
        ("spec updates", Updates::Spec),
    ] {
        let reviews = reviews(updates);
        throughput(&mut group, &reviews);
        group.bench_function(format!("{name}, no log"), |bencher| {
            bencher.iter(|| answer_all(&reviews));
        });
        group.bench_function(format!("{name}, log in JSON"), |bencher| {
            tracing::subscriber::with_default(log(), || bencher.iter(|| answer_all(&reviews)));
        });
    }
    group.finish();
}

criterion_group!(benches, decode, evaluate, handler);
criterion_main!(benches);
