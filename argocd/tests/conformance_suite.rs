//! The run of the vectors itself: nothing that is wrong goes unseen.

#[path = "conformance/suite.rs"]
mod suite;

use std::fs;

use serde_json::{Value, json};
use suite::{Suite, UNMET, without_messages};

/// Answers whether a number is even; dislikes seven.
fn even(input: &Value) -> Value {
    let number = input.as_u64().expect("a number");
    assert_ne!(number, 7, "seven");
    json!({"even": number.is_multiple_of(2)})
}

const SUITE: Suite<'_> = Suite {
    kinds: &[("even", even, without_messages)],
    skipped: &[("odd", "nobody asked")],
};

const TWO: &str = r#"{"id":"even/two","input":2,"expect":{"even":true,"message":"of Argo CD"}}"#;
const ONE: &str = r#"{"id":"even/one","input":1,"expect":{"even":false}}"#;
const WRONG: &str = r#"{"id":"even/wrong","input":3,"expect":{"even":true}}"#;

/// Whether all is well, and what is printed.
fn run(files: &[(&str, &str)]) -> (bool, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, text) in files {
        fs::write(folder.path().join(file), text).expect("a file is written");
    }
    let mut out = Vec::new();
    let well = SUITE
        .run(folder.path(), &mut out)
        .expect("lines are written");
    let lines = String::from_utf8(out).expect("text");
    (well, lines.lines().map(str::to_owned).collect())
}

fn lines(vectors: &[&str]) -> String {
    vectors.join("\n")
}

#[test]
fn all_vectors_pass_and_what_is_skipped_is_told() {
    let (well, printed) = run(&[("even.jsonl", &lines(&[TWO, ONE]))]);
    assert!(well);
    assert_eq!(
        printed,
        [
            "odd: skipped, nobody asked",
            "even: 2 passed, 0 failed, 0 unmet",
            "2 passed, 0 failed"
        ]
    );
    let files = [("even.jsonl", TWO), ("odd.jsonl", ""), ("README.md", "")];
    assert!(run(&files).0);
}

#[test]
fn a_mismatch_is_told_and_the_run_goes_on() {
    let (well, printed) = run(&[("even.jsonl", &lines(&[WRONG, TWO]))]);
    assert!(!well);
    assert_eq!(
        printed[1..],
        [
            "mismatch even/wrong",
            "  input    3",
            r#"  expected {"even":true}"#,
            r#"  got      {"even":false}"#,
            "even: 1 passed, 1 failed, 0 unmet",
            "1 passed, 1 failed"
        ]
    );
}

#[test]
fn a_panic_is_a_mismatch() {
    let seven = r#"{"id":"even/seven","input":7,"expect":{"even":false}}"#;
    let (well, printed) = run(&[("even.jsonl", &lines(&[seven, TWO]))]);
    assert!(!well);
    assert_eq!(printed[4], "  got      a panic");
    assert_eq!(printed[6], "1 passed, 1 failed");
}

#[test]
fn an_unmet_vector_is_told_and_counts_as_neither() {
    let unmet = "# Why\n\neven/wrong  cannot be met\n";
    let files = [("even.jsonl", &*lines(&[WRONG, TWO])), (UNMET, unmet)];
    let (well, printed) = run(&files);
    assert!(well);
    assert_eq!(
        printed,
        [
            "unmet: even/wrong: cannot be met",
            "odd: skipped, nobody asked",
            "even: 1 passed, 0 failed, 1 unmet",
            "1 passed, 0 failed"
        ]
    );
}

/// What is printed of a run that has one problem and the vector `even/two`.
fn problem(files: &[(&str, &str)]) -> String {
    let (well, printed) = run(files);
    assert!(!well);
    let (last, others) = printed.split_last().expect("a last line");
    assert!(last.ends_with(" passed, 1 failed"), "{last}");
    let mut errors = others
        .iter()
        .filter_map(|line| line.strip_prefix("error: "));
    let error = errors.next().expect("an error").to_owned();
    assert_eq!(errors.next(), None);
    error
}

#[test]
fn the_list_of_unmet_vectors_must_be_true() {
    let even = ("even.jsonl", TWO);
    assert_eq!(
        problem(&[even, (UNMET, "even/two never met")]),
        "even.jsonl, line 1: even/two is listed in unmet.txt and passes"
    );
    assert_eq!(
        problem(&[even, (UNMET, "even/gone never met")]),
        "even/gone is listed in unmet.txt and does not exist"
    );
    assert_eq!(
        problem(&[even, (UNMET, "even/two")]),
        "unmet.txt, line 1: expected an id and a reason"
    );
}

#[test]
fn unknown_missing_and_empty_files_are_errors() {
    assert_eq!(
        problem(&[("even.jsonl", TWO), ("prime.jsonl", "")]),
        "prime.jsonl: no such kind of vector is known"
    );
    assert!(problem(&[]).starts_with("even.jsonl: "));
    assert_eq!(problem(&[("even.jsonl", "\n")]), "even.jsonl: no vectors");
}

#[test]
fn a_vector_must_be_one() {
    for (line, expected) in [
        ("{", "EOF while parsing"),
        ("{}", r#"expected an id even/NAME, found """#),
        (
            r#"{"id":"odd/a"}"#,
            r#"expected an id even/NAME, found "odd/a""#,
        ),
        (
            r#"{"id":"even/a","input":1}"#,
            "even/a needs input and expect",
        ),
        (TWO, "even/two is there twice"),
    ] {
        let error = problem(&[("even.jsonl", &lines(&[TWO, line]))]);
        let expected = format!("even.jsonl, line 2: {expected}");
        assert!(error.starts_with(&expected), "{error}");
    }
}
