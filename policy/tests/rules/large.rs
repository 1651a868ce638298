//! Objects as large as an API server takes them. Each list is as long as it can be, so that
//! comparing two of them pair by pair would not come to an end: these tests have no time limit of
//! their own, and need none.

use std::fmt::Write as _;

use argocd::ClusterSecret;
use policy::{Object, Outcome, Requester, Subject, Verdict, evaluate};
use serde_json::{Value, json};

use super::{World, app, application, lines, nothing, project, secret};

/// Quadratic work on so many would take minutes.
const MANY: usize = 100_000;

const PERSON: &str = "alice@example.com";

/// `[item(0),item(1),…]`, or the other way round.
fn list(item: impl Fn(usize) -> Value, reversed: bool) -> String {
    let mut list = String::from("[");
    for index in 0..MANY {
        let index = if reversed { MANY - 1 - index } else { index };
        let comma = if list.len() > 1 { "," } else { "" };
        write!(list, "{comma}{}", item(index)).unwrap();
    }
    list.push(']');
    list
}

/// An Application with long lists in the place of `"LIST"` texts.
fn with_lists(application: &Value, lists: &[(&str, String)]) -> String {
    lists
        .iter()
        .fold(application.to_string(), |json, (name, list)| {
            json.replace(&format!("\"{name}\""), list)
        })
}

fn source(repository: &str) -> Value {
    json!({"repoURL": repository, "path": ".", "targetRevision": "v1"})
}

fn on_staging(patch: &Value) -> Value {
    let mut app = app(&json!({"spec": {"destination": {"name": "alpha"}}}));
    json_patch::merge(&mut app, patch);
    app
}

fn update(old: &str, new: &str) -> Verdict {
    let subject = Subject {
        requester: Requester { username: PERSON },
        ..Subject::update(application(new), application(old))
    };
    evaluate(&subject, &World::default().inventory())
}

#[test]
fn sources_of_an_operation_are_looked_up_among_those_of_the_spec() {
    let of = |index: usize| source(&format!("https://git.example.com/shop/{index}"));
    let app = on_staging(&json!({
        "spec": {"source": null, "sources": "SPEC"},
        "operation": {"sync": {"sources": "OPERATION"}},
    }));
    let json = with_lists(
        &app,
        &[("SPEC", list(of, false)), ("OPERATION", list(of, true))],
    );
    let verdict = evaluate(
        &Subject::new(application(&json)),
        &World::default().inventory(),
    );
    assert_eq!(lines(&verdict), nothing());
}

#[test]
fn revisions_of_an_operation_are_looked_up_among_those_of_the_status() {
    let commit = |index: usize| json!(format!("{index:040x}"));
    let old = app(&json!({"status": {"sync": {"revisions": "COMPARED"}}}));
    let mut new = old.clone();
    new["operation"] = json!({"sync": {"revisions": "ASKED"}});
    let lists = [
        ("COMPARED", list(commit, false)),
        ("ASKED", list(commit, true)),
    ];
    let verdict = update(&with_lists(&old, &lists), &with_lists(&new, &lists));
    assert_eq!(lines(&verdict), nothing());
}

#[test]
fn what_violated_before_is_looked_up_and_not_searched() {
    let of = |index: usize| source(&format!("https://github.com/else/{index}"));
    let with = |label: &str, reversed: bool| {
        let app = on_staging(&json!({
            "metadata": {"labels": {"team": label}},
            "spec": {"source": null, "sources": "SPEC"},
        }));
        with_lists(&app, &[("SPEC", list(of, reversed))])
    };
    let verdict = update(&with("a", false), &with("b", true));
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(verdict.findings.len(), MANY);
}

/// They were believed to be few, as long lists are not as before.
#[test]
fn nothing_of_what_violated_before_lets_others_pass() {
    let with = |repository: &str| {
        let of = |index: usize| source(&format!("https://github.com/{repository}/{index}"));
        let app = on_staging(&json!({"spec": {"source": null, "sources": "SPEC"}}));
        with_lists(&app, &[("SPEC", list(of, false))])
    };
    let verdict = update(&with("else"), &with("other"));
    assert_eq!(verdict.outcome, Outcome::Denied);
}

#[test]
fn names_that_come_twice_in_a_cluster_secret_are_counted_once_each() {
    let config = |last: &str| {
        let mut config = String::from("{");
        for _ in 0..MANY {
            config.push_str(r#""username":"","#);
        }
        write!(config, r#""{last}":""}}"#).unwrap();
        secret(&config).to_string()
    };
    let (old, new) = (config("password"), config("bearerToken"));
    let read = |json| -> Object<'_> {
        let secret: ClusterSecret<'_> = serde_json::from_str(json).unwrap();
        Object::ClusterSecret(Box::new(secret))
    };
    let subject = Subject {
        requester: Requester { username: PERSON },
        ..Subject::update(read(&new), read(&old))
    };
    let verdict = evaluate(&subject, &World::default().inventory());
    assert_eq!(verdict.outcome, Outcome::Admitted);
}

#[test]
fn what_narrows_a_project_is_read_once_for_all_that_is_wide_in_it() {
    let wide = json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {"sourceRepos": "REPOSITORIES", "destinations": "DESTINATIONS"},
    });
    let half = |index: usize| index.is_multiple_of(2);
    let repositories = list(
        |index| {
            if half(index) {
                json!("*")
            } else {
                json!(format!("!https://git.example.com/{index}"))
            }
        },
        false,
    );
    let destinations = list(
        |index| {
            if half(index) {
                json!({"server": "*", "namespace": format!("shop-{index}")})
            } else {
                json!({"server": format!("!https://{index}.example.com"), "namespace": "*"})
            }
        },
        false,
    );
    let json = with_lists(
        &wide,
        &[
            ("REPOSITORIES", repositories),
            ("DESTINATIONS", destinations),
        ],
    );
    let verdict = evaluate(&Subject::new(project(&json)), &World::default().inventory());
    assert_eq!(verdict.outcome, Outcome::Denied);
}
