//! Every target on its corpus, and on a bounded number of changes to it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

/// How often each input is changed and tried. The changes are the same in every run.
const CHANGES: usize = 8;

/// The largest input that is looked at, in bytes. Beyond it are only corpora that nobody minimised.
const LENGTH_LIMIT: usize = 16 * 1024;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpora")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn run(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    let mut random = fastrand::Rng::with_seed(0);
    for input in &corpus {
        assert!(input.len() <= LENGTH_LIMIT, "{} bytes", input.len());
        target(input);
        for _ in 0..CHANGES {
            let other = &corpus[random.usize(..corpus.len())];
            target(&changed(input, other, &mut random));
        }
    }
}

/// An input with one place of it left out, repeated, turned into something else, or taken from
/// another input.
fn changed(input: &[u8], other: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut place = |bytes: &[u8]| {
        let start = random.usize(..=bytes.len());
        start..random.usize(start..=bytes.len().min(start + 32))
    };
    let (own, others) = (place(input), place(other));
    let replacement = match random.u8(..4) {
        0 => Vec::new(),
        1 => input[own.clone()].repeat(2),
        2 => input[own.clone()]
            .iter()
            .map(|byte| byte ^ (1 << random.u8(..8)))
            .collect(),
        _ => other[others].to_vec(),
    };
    [&input[..own.start], &replacement, &input[own.end..]].concat()
}

#[test]
fn admission_reviews_keep_their_promises() {
    run("admission_review", gitops_fuzz::admission_review);
}

#[test]
fn cluster_configs_keep_their_promises() {
    run("cluster_config", gitops_fuzz::cluster_config);
}

#[test]
fn ignored_differences_keep_their_promises() {
    run("ignored_differences", gitops_fuzz::ignored_differences);
}

#[test]
fn application_sets_keep_their_promises() {
    run("application_set", gitops_fuzz::application_set);
}

#[test]
fn what_is_there_many_times_keeps_its_promises() {
    for input in corpus("admission_review") {
        gitops_fuzz::repeated_entries(&input);
    }
}
