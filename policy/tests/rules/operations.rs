//! What an operation, or a status that tells of one, may sync.

use policy::{Outcome, Subject, Verdict, evaluate};
use serde_json::{Value, json};

use super::{CONTROLLER, World, app, application, lines, nothing};

const PERSON: &str = "alice@example.com";
const SERVER: &str = "system:serviceaccount:argocd:argocd-server";

fn create(object: &Value, requester: &str, world: &World) -> Verdict {
    let json = object.to_string();
    let subject = Subject {
        requester: policy::Requester {
            username: requester,
        },
        ..Subject::new(application(&json))
    };
    evaluate(&subject, &world.inventory())
}

/// The rules that deny, each once, in the order of the registry.
fn denying(verdict: &Verdict) -> Vec<&'static str> {
    let denied = verdict.of_level(policy::Level::Deny);
    let mut rules: Vec<&str> = denied.map(|finding| finding.rule.as_str()).collect();
    rules.dedup();
    rules
}

fn running(phase: &str) -> Value {
    json!({"operationState": {
        "phase": phase,
        "startedAt": "2026-01-01T00:00:00Z",
        "operation": {"sync": {"manifests": ["{}"]}},
    }})
}

fn on_staging() -> Value {
    app(&json!({"spec": {"destination": {"name": "alpha"}}}))
}

/// A running operation was believed to be looked at on updates only, but Argo CD resumes what it
/// finds.
#[test]
fn no_application_is_created_with_a_running_operation() {
    let world = World::default();
    for phase in ["Running", "Terminating", "", "running"] {
        for operation in [json!({"sync": {}}), Value::Null] {
            let mut app = on_staging();
            app["status"] = running(phase);
            app["operation"] = operation;
            // Argo CD creates none with one either: it hands on what Git or a caller of its API
            // says.
            for requester in [PERSON, CONTROLLER, SERVER, ""] {
                let verdict = create(&app, requester, &world);
                assert_eq!(denying(&verdict), ["project-scope"], "{phase} {requester}");
            }
        }
    }
}

#[test]
fn what_is_over_may_be_created_as_a_backup_has_it() {
    let world = World::default();
    for status in [
        json!({}),
        running("Succeeded"),
        running("Failed"),
        running("Error"),
        json!({"operationState": null}),
        json!({"sync": {"status": "Synced", "revision": "0123456789abcdef0123456789abcdef01234567"}}),
        json!({"history": [{"id": 0, "revision": "hotfix", "source": {"repoURL": "https://github.com/else"}}]}),
    ] {
        let mut app = app(&json!({}));
        app["status"] = status.clone();
        assert_eq!(lines(&create(&app, PERSON, &world)), nothing(), "{status}");
    }
}

/// What a status says counts only if it was there before the operation.
#[test]
fn a_status_that_comes_with_the_operation_resolves_no_revision() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let mut app = app(&json!({}));
    app["status"] = json!({"sync": {"revision": commit, "revisions": [commit]}, "history": [{"id": 0, "revision": commit}]});
    for sync in [json!({"revision": commit}), json!({"revisions": [commit]})] {
        app["operation"] = json!({"sync": sync});
        for requester in [PERSON, CONTROLLER, SERVER, ""] {
            let verdict = create(&app, requester, &World::default());
            assert_eq!(denying(&verdict), ["operation-override"], "{requester}");
        }
    }
}

#[test]
fn production_is_kept_from_foreign_manifests_whatever_project_scope_says() {
    for action in ["Warn", "Off"] {
        let world = World::with_policy(json!({"rules": {"project-scope": {"action": action}}}));
        let mut with_manifests = app(&json!({}));
        with_manifests["operation"] = json!({"sync": {"manifests": ["{}"]}});
        let mut with_status = app(&json!({}));
        with_status["status"] = running("Running");
        for bad in [with_manifests, with_status] {
            let verdict = create(&bad, PERSON, &world);
            assert_eq!(denying(&verdict), ["operation-override"], "{action}");
            let updated = world.judge_update(&app(&json!({})), &bad, PERSON);
            assert_eq!(denying(&updated), ["operation-override"], "{action}");
        }
        // On staging that is for project-scope to say.
        let mut elsewhere = on_staging();
        elsewhere["operation"] = json!({"sync": {"manifests": ["{}"]}});
        assert_eq!(
            create(&elsewhere, PERSON, &world).outcome,
            Outcome::Admitted
        );
    }
}

#[test]
fn of_several_sources_the_first_is_not_synced_alone() {
    let source = |path: &str| json!({"repoURL": "https://git.example.com/shop/orders.git", "path": path, "targetRevision": "v1"});
    let judged = |sources: Value, sync: Value| {
        let old = app(&json!({"spec": {"source": null, "sources": sources}}));
        let mut new = old.clone();
        new["operation"] = json!({"sync": sync});
        let created = create(&new, PERSON, &World::default());
        let updated = World::default().judge_update(&old, &new, CONTROLLER);
        assert_eq!(lines(&created), lines(&updated));
        lines(&updated)
    };
    let both = json!([source("crds"), source("deploy")]);
    let alone = judged(
        both.clone(),
        json!({"prune": true, "source": source("crds")}),
    );
    insta::assert_snapshot!(alone.join("\n"), @"deny operation-override: operation.sync.source: syncs the first of several sources alone to production; leave it out, so that all of them are synced");
    for sync in [
        json!({}),
        json!({"sources": both}),
        json!({"source": source("crds"), "sources": both}),
        json!({"source": null, "sources": []}),
    ] {
        assert_eq!(judged(both.clone(), sync.clone()), nothing(), "{sync}");
    }
    for sync in [
        json!({"source": source("crds"), "sources": []}),
        json!({"source": source("deploy")}),
        json!({"source": source("deploy"), "sources": both}),
        json!({"source": source("crds"), "sources": [source("crds")]}),
        json!({"sources": [source("deploy"), source("crds")]}),
    ] {
        assert_eq!(judged(both.clone(), sync.clone()).len(), 1, "{sync}");
    }
    // One of one is all of them.
    let one = json!([source("crds")]);
    assert_eq!(judged(one, json!({"source": source("crds")})), nothing());
}

/// They were believed to deploy from nowhere, so that an old violator could take any repository.
#[test]
fn another_hydrated_repository_in_default_is_another_violation() {
    let hydrated = |dry: &str, sync: &str| {
        let mut app = app(&json!({"spec": {
            "project": "default", "source": null,
            "sourceHydrator": {
                "drySource": {"repoURL": format!("https://git.example.com/shop/{dry}"), "path": "dry", "targetRevision": "v1"},
                "syncSource": {"targetBranch": "live", "path": "a"},
            },
        }}));
        if !sync.is_empty() {
            let repository = format!("https://git.example.com/shop/{sync}");
            app["spec"]["sourceHydrator"]["syncSource"]["repoURL"] = repository.into();
        }
        app
    };
    let plain = |repository: &str| {
        app(&json!({"spec": {
            "project": "default",
            "source": {"repoURL": format!("https://git.example.com/shop/{repository}")},
        }}))
    };
    let outcome = |old: &Value, new: &Value| {
        let verdict = World::default().judge_update(old, new, PERSON);
        let denied: Vec<_> = denying(&verdict);
        assert!(
            denied.is_empty() || denied == ["default-project"],
            "{denied:?}"
        );
        verdict.outcome
    };
    for (old, new) in [
        (hydrated("a", ""), hydrated("b", "")),
        (hydrated("a", ""), hydrated("a", "b")),
        (plain("a"), hydrated("b", "")),
        (plain("a"), hydrated("a", "b")),
        (hydrated("a", ""), plain("b")),
    ] {
        assert_eq!(outcome(&old, &new), Outcome::Denied, "{new}");
    }
    for (old, new) in [
        (hydrated("a", ""), hydrated("a", "a")),
        (hydrated("a", "b"), hydrated("b", "a")),
        (hydrated("a", "b"), hydrated("a", "")),
        (plain("a"), hydrated("a", "")),
        (hydrated("a", "b"), plain("b")),
    ] {
        let relabelled = {
            let mut new = new;
            new["metadata"]["labels"] = json!({"team": "shop"});
            new
        };
        assert_eq!(
            outcome(&old, &relabelled),
            Outcome::Admitted,
            "{relabelled}"
        );
    }
}
