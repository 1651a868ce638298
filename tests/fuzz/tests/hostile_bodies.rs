//! What the largest bodies make of the webhook, measured in bytes that are allocated.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use allocation_counter::{AllocationInfo, measure};
use gitops_fuzz::{DECODED_RATIO, HostileBody, JUDGED_MEMORY, hostile_bodies, judge};
use gitops_webhook::admission_review::request::Review;
use gitops_webhook::limits::OBJECT_MEMORY;

/// A body of some size, in which every field is tried.
const SIZE: usize = 16 << 10;

/// The largest that an API server accepts.
const LARGEST: usize = 3 << 20;

/// How many of the worst bodies are tried in the largest size.
const WORST: usize = 24;

/// How much memory is taken altogether while a body is decoded, at most, in bytes for each byte of
/// it: a measure of work. A list that grows is moved, and what cannot be read is read again to say
/// why.
const WORK_RATIO: u64 = 512;

fn decoded(body: &[u8]) -> AllocationInfo {
    measure(|| drop(Review::from_json(body).unwrap()))
}

#[test]
fn every_field_that_is_read_is_tried() {
    let bodies = hostile_bodies();
    let is_tried = |kind: &str, path: &str| {
        let mut names = bodies.iter().filter(|body| body.kind == kind);
        names.any(|body| body.name.starts_with(path))
    };
    for (kind, path) in [
        ("Application", "/status/resources Item"),
        (
            "Application",
            "/status/operationState/operation/sync/sources Item",
        ),
        ("Application", "/metadata/annotations Entry"),
        ("Application", "/spec/source/helm Item"),
        ("ApplicationSet", "/spec/generators Item"),
        ("ApplicationSet", "/spec/generators/0/list/elements Item"),
        (
            "ApplicationSet",
            "/spec/generators/0/matrix/generators/0/list/elements Item",
        ),
        ("ApplicationSet", "/spec/template/spec/sources Item"),
        ("AppProject", "/spec/destinations Item"),
        ("Secret", "/data/config Text"),
    ] {
        assert!(is_tried(kind, path), "{kind} {path}");
    }
}

/// What every body makes of the decoder: memory at once, and memory altogether.
#[test]
fn what_a_body_is_decoded_into_is_bounded_by_its_length() {
    let mut peaks = Vec::new();
    for body in hostile_bodies() {
        let HostileBody { kind, name, .. } = &body;
        let info = decoded(&body.of_size(SIZE));
        let (peak, total) = (info.bytes_max, info.bytes_total);
        let limit = DECODED_RATIO * SIZE as u64;
        assert!(peak <= limit, "{peak} bytes at once: {kind} {name}");
        let limit = WORK_RATIO * SIZE as u64;
        assert!(total <= limit, "{total} bytes altogether: {kind} {name}");
        peaks.push((peak, body));
    }
    peaks.sort_by_key(|(peak, _)| std::cmp::Reverse(*peak));
    for (_, body) in peaks.iter().take(WORST) {
        let peak = decoded(&body.of_size(LARGEST)).bytes_max;
        let limit = OBJECT_MEMORY + LARGEST as u64;
        assert!(
            peak <= limit,
            "{peak} bytes at once: {} {}",
            body.kind,
            body.name
        );
        let peak = measure(|| judge(&body.of_size(LARGEST))).bytes_max;
        assert!(
            peak <= JUDGED_MEMORY,
            "{peak} bytes at once: {} {}",
            body.kind,
            body.name
        );
    }
}

/// A review of a new ApplicationSet with these generators.
fn review_of_generators(generators: &str) -> Vec<u8> {
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"1","kind":{{"group":"argoproj.io","version":"v1alpha1","kind":"ApplicationSet"}},"operation":"CREATE","userInfo":{{"username":"mallory"}},"object":{{"metadata":{{"name":"a","namespace":"argocd"}},"spec":{{"generators":[{generators}],"template":{{"metadata":{{"name":"{{{{a}}}}","labels":{{"a":"b"}}}},"spec":{{"project":"default","source":{{"repoURL":"https://git.example.com/a.git","path":"a"}},"destination":{{"name":"staging","namespace":"a"}}}}}}}}}}}}}}"#
    )
    .into_bytes()
}

/// The template of the ApplicationSet was compiled for each of its generators, which took 845 MB
/// for 40,000.
#[test]
fn generators_share_the_template_that_they_have_in_common() {
    for generators in [1_000, 9_000, 40_000] {
        let generators: Vec<String> = (0..generators)
            .map(|index| format!(r#"{{"list":{{"elements":[{{"a":"{index}"}}]}}}}"#))
            .collect();
        let body = review_of_generators(&generators.join(","));
        let peak = measure(|| judge(&body)).bytes_max;
        assert!(
            peak <= JUDGED_MEMORY,
            "{peak} bytes of {} generators",
            generators.len()
        );
    }
}

/// The templates of what is not known were kept for each generator.
#[test]
fn what_is_not_known_shares_the_template_as_well() {
    for generator in [
        r#"{"plugin":{}}"#,
        r#"{"unheardOf":{}}"#,
        r#"{"git":{"files":[{}]}}"#,
    ] {
        let body = review_of_generators(&vec![generator; 100_000].join(","));
        let peak = measure(|| judge(&body)).bytes_max;
        assert!(peak <= JUDGED_MEMORY, "{peak} bytes of {generator}");
    }
}
