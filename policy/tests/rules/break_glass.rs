//! Who may overrule what, and what an override is worth afterwards.

use jiff::{SignedDuration, Timestamp};
use policy::break_glass::{Claimed, Permission, RecordKind};
use policy::{RuleId, Waiver};

use super::*;

const PERSON: &str = "alice@example.com";
const SERVER: &str = "system:serviceaccount:argocd:argocd-server";
const APPLICATION_SET_CONTROLLER: &str =
    "system:serviceaccount:argocd:argocd-applicationset-controller";
const RULES: &str = "kubectl-gitops.io/break-glass";
const REASON: &str = "kubectl-gitops.io/break-glass-reason";
const EXPIRES: &str = "kubectl-gitops.io/break-glass-expires";

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn later(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

/// The annotations of an override by which prod-auto-sync is overruled for two hours, changed by a
/// patch.
fn annotations(patch: &Value) -> Value {
    let mut annotations = json!({RULES: "prod-auto-sync", REASON: "INC-1: it burns", EXPIRES: "2026-01-01T02:00:00Z"});
    json_patch::merge(&mut annotations, patch);
    json!({"metadata": {"annotations": annotations}})
}

fn with(object: &Value, patch: &Value) -> Value {
    let mut object = object.clone();
    json_patch::merge(&mut object, patch);
    object
}

fn automated() -> Value {
    app(&json!({"spec": {"syncPolicy": {"automated": {}}}}))
}

/// A request, at a time, by somebody who may overrule these rules.
struct Request<'r> {
    policy: Value,
    username: &'r str,
    may: &'r [&'r str],
    at: Timestamp,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Request {
            policy: json!({}),
            username: PERSON,
            may: &["prod-auto-sync"],
            at: now(),
        }
    }
}

impl Request<'_> {
    fn create(&self, new: &Value) -> Verdict {
        let json = new.to_string();
        self.judge(Subject::new(application(&json)))
    }

    fn update(&self, old: &Value, new: &Value) -> Verdict {
        let (old, new) = (old.to_string(), new.to_string());
        self.judge(Subject::update(application(&new), application(&old)))
    }

    fn judge(&self, subject: Subject<'_>) -> Verdict {
        let world = World::with_policy(self.policy.clone());
        self.judge_in(subject, &world.inventory())
    }

    fn judge_in(&self, subject: Subject<'_>, inventory: &Inventory) -> Verdict {
        let subject = Subject {
            requester: Requester {
                username: self.username,
            },
            now: self.at,
            ..subject
        };
        let mut verdict = evaluate(&subject, inventory);
        verdict.settle(|rule: RuleId| {
            if self.may.contains(&rule.as_str()) {
                Permission::Given
            } else {
                Permission::Denied
            }
        });
        verdict
    }
}

fn refusal(verdict: &Verdict) -> String {
    assert_eq!(verdict.outcome, Outcome::Denied, "{:#?}", lines(verdict));
    let record = verdict.record.as_ref().expect("it is on record");
    assert_eq!(record.kind, RecordKind::Refused);
    record.refusal.clone().unwrap()
}

#[test]
fn somebody_who_may_overrules_a_rule_for_a_while_and_everybody_is_told() {
    let verdict = Request::default().update(
        &app(&json!({})),
        &with(&automated(), &annotations(&json!({}))),
    );
    assert_eq!(verdict.outcome, Outcome::Admitted);
    let waived = verdict.findings.iter();
    let waived: Vec<_> = waived.filter_map(policy::Finding::waiver).collect();
    assert_eq!(waived, [Waiver::BreakGlass]);
    let record = verdict.record.as_ref().unwrap();
    assert_eq!(
        (record.kind, &*record.reason),
        (RecordKind::Used, "INC-1: it burns")
    );
    insta::assert_snapshot!(lines(&verdict).join("\n"));
}

#[test]
fn an_override_can_be_written_ahead_of_the_change() {
    let old = app(&json!({}));
    let granted = with(&old, &annotations(&json!({})));
    let verdict = Request::default().update(&old, &granted);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(verdict.record.unwrap().kind, RecordKind::Granted);
    let changed = with(&automated(), &annotations(&json!({})));
    let verdict = Request::default().update(&granted, &changed);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(verdict.record.unwrap().kind, RecordKind::Used);
}

#[test]
fn what_is_asked_is_who_may_overrule_the_rules_that_count() {
    let both = annotations(&json!({RULES: "replicas-ignored,prod-auto-sync"}));
    let claim = |old: &Value, new: &Value| {
        let (old, new) = (old.to_string(), new.to_string());
        let subject = Subject {
            requester: Requester { username: PERSON },
            now: now(),
            ..Subject::update(application(&new), application(&old))
        };
        let verdict = evaluate(&subject, &World::default().inventory());
        verdict.claim.map(|claim| {
            let rules: Vec<_> = claim.rules.iter().map(|rule| rule.as_str()).collect();
            (claim.kind, rules)
        })
    };
    let old = app(&json!({}));
    let granted = with(&old, &both);
    // To write it, all that it names; to change something under it, what that needs; otherwise
    // nobody.
    assert_eq!(
        claim(&old, &granted),
        Some((Claimed::Grant, vec!["replicas-ignored", "prod-auto-sync"]))
    );
    assert_eq!(
        claim(&granted, &with(&automated(), &both)),
        Some((Claimed::Use, vec!["prod-auto-sync"]))
    );
    assert_eq!(
        claim(
            &granted,
            &with(&granted, &json!({"spec": {"source": {"path": "other"}}}))
        ),
        None
    );
    assert_eq!(claim(&granted, &old), None);
}

#[test]
fn an_override_that_says_not_enough_or_too_much_is_refused() {
    let policy = json!({"breakGlass": {"maxDuration": "3h", "ticketPattern": "INC-\\d+"}});
    let refused = |patch: Value| {
        let request = Request {
            policy: policy.clone(),
            may: &["prod-auto-sync", "replicas-ignored"],
            ..Request::default()
        };
        let granted = with(&automated(), &annotations(&patch));
        let verdict = request.update(&automated(), &granted);
        let mut denials = verdict.of_level(Level::Deny);
        let of_override = denials.find(|finding| finding.rule.as_str() == "break-glass");
        let field = of_override.unwrap().field.rsplit("~1").next().unwrap();
        format!("{field}: {}", refusal(&verdict))
    };
    let all = [
        refused(json!({RULES: null})),
        refused(json!({RULES: "*"})),
        refused(json!({RULES: "prod-auto-sync,prod-autosync"})),
        refused(json!({REASON: null})),
        refused(json!({REASON: "it burns"})),
        refused(json!({EXPIRES: null})),
        refused(json!({EXPIRES: "2h"})),
        refused(json!({EXPIRES: "2025-12-31T23:59:59Z"})),
        refused(json!({EXPIRES: "2026-01-01T00:00:00Z"})),
        refused(json!({EXPIRES: "2026-01-01T03:00:31Z"})),
        refused(json!({EXPIRES: "9999-01-01T00:00:00Z"})),
    ];
    insta::assert_snapshot!(all.join("\n"));
    // The clock of whoever writes it may be a little ahead.
    let ahead = annotations(&json!({EXPIRES: "2026-01-01T03:00:30Z"}));
    let verdict = Request {
        policy,
        ..Request::default()
    }
    .update(&app(&json!({})), &with(&automated(), &ahead));
    assert_eq!(verdict.outcome, Outcome::Admitted);
}

#[test]
fn somebody_who_may_not_overrules_nothing() {
    let nobody = Request {
        may: &[],
        ..Request::default()
    };
    let granted = with(&automated(), &annotations(&json!({})));
    let more = with(
        &automated(),
        &annotations(&json!({RULES: "prod-auto-sync,replicas-ignored"})),
    );
    let longer = with(
        &automated(),
        &annotations(&json!({EXPIRES: "2026-01-01T03:00:00Z"})),
    );
    let otherwise = with(
        &automated(),
        &annotations(&json!({REASON: "INC-2: me too"})),
    );
    for (what, verdict) in [
        ("written", nobody.update(&app(&json!({})), &granted)),
        (
            "written, and nothing else",
            nobody.update(&automated(), &granted),
        ),
        ("copied to a new object", nobody.create(&granted)),
        ("made longer", nobody.update(&granted, &longer)),
        ("given another reason", nobody.update(&granted, &otherwise)),
        (
            "used",
            nobody.update(&with(&app(&json!({})), &annotations(&json!({}))), &granted),
        ),
        (
            "named one of two",
            Request::default().update(&automated(), &more),
        ),
    ] {
        refusal(&verdict);
        assert!(
            verdict
                .findings
                .iter()
                .all(|finding| finding.waiver() != Some(Waiver::BreakGlass)),
            "{what}"
        );
    }
    // Others, who need no override, are not held up by it.
    let labelled = with(
        &granted,
        &json!({"metadata": {"labels": {"team": "shop"}}, "spec": {"source": {"path": "other"}}}),
    );
    assert_eq!(
        nobody.update(&granted, &labelled).outcome,
        Outcome::Admitted
    );
}

#[test]
fn it_overrules_the_rules_that_it_names_and_no_others() {
    let worse = with(&automated(), &json!({"spec": {"project": "default"}}));
    let verdict =
        Request::default().update(&app(&json!({})), &with(&worse, &annotations(&json!({}))));
    let denied: Vec<_> = verdict
        .of_level(Level::Deny)
        .map(|finding| finding.rule.as_str())
        .collect();
    assert_eq!(denied, ["default-project"]);
}

#[test]
fn a_service_account_is_turned_away_unless_the_policy_names_it() {
    let pipeline = "system:serviceaccount:ci:release";
    let judged = |policy: Value, username: &str| {
        let request = Request {
            policy,
            username,
            ..Request::default()
        };
        request
            .update(
                &app(&json!({})),
                &with(&automated(), &annotations(&json!({}))),
            )
            .outcome
    };
    for username in [SERVER, CONTROLLER, APPLICATION_SET_CONTROLLER, pipeline] {
        assert_eq!(judged(json!({}), username), Outcome::Denied, "{username}");
    }
    let named = json!({"breakGlass": {"serviceAccounts": ["ci/release"]}});
    assert_eq!(judged(named.clone(), pipeline), Outcome::Admitted);
    assert_eq!(judged(named, SERVER), Outcome::Denied);
    let git = json!({"breakGlass": {"fromGit": true}});
    assert_eq!(judged(git.clone(), CONTROLLER), Outcome::Admitted);
    assert_eq!(judged(git, SERVER), Outcome::Denied);
}

#[test]
fn who_cannot_be_asked_about_may_not() {
    let (old, new) = (
        app(&json!({})),
        with(&automated(), &annotations(&json!({}))),
    );
    let (old, new) = (old.to_string(), new.to_string());
    let subject = Subject {
        requester: Requester { username: PERSON },
        now: now(),
        ..Subject::update(application(&new), application(&old))
    };
    let mut verdict = evaluate(&subject, &World::default().inventory());
    verdict.settle(|_| Permission::Unknown("it took longer than 2 s".to_owned()));
    assert_eq!(
        refusal(&verdict),
        "the API server could not be asked about its writer: it took longer than 2 s"
    );
}

#[test]
fn when_it_is_over_what_it_let_pass_counts_again() {
    let granted = with(&automated(), &annotations(&json!({})));
    let after = Request {
        at: later(2),
        ..Request::default()
    };
    let outcome = |patch: Value| after.update(&granted, &with(&granted, &patch)).outcome;
    // What the rule reads is refused until it is put right,
    for patch in [
        json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}}),
        json!({"spec": {"destination": {"name": null, "server": "https://zeta.example.com"}}}),
    ] {
        assert_eq!(outcome(patch.clone()), Outcome::Denied, "{patch}");
    }
    assert_eq!(
        outcome(json!({"spec": {"syncPolicy": {"automated": null}}})),
        Outcome::Admitted
    );
    // or overruled anew;
    let anew = annotations(&json!({EXPIRES: "2026-01-01T04:00:00Z"}));
    let pruned = with(
        &with(&granted, &anew),
        &json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}}),
    );
    assert_eq!(after.update(&granted, &pruned).outcome, Outcome::Admitted);
    // and everything else goes on.
    for patch in [
        json!({"metadata": {"labels": {"team": "shop"}}}),
        json!({"spec": {"source": {"targetRevision": "v2"}}}),
        json!({"status": {"sync": {"status": "Synced"}}}),
    ] {
        assert_ne!(outcome(patch.clone()), Outcome::Denied, "{patch}");
    }
}

#[test]
fn taking_it_off_makes_no_old_violation_of_what_it_let_pass() {
    let granted = with(&automated(), &annotations(&json!({})));
    for at in [now(), later(2)] {
        let request = Request {
            at,
            ..Request::default()
        };
        let verdict = request.update(&granted, &automated());
        insta::allow_duplicates! {
            insta::assert_snapshot!(lines(&verdict).join("\n"));
        }
        // Nor does writing another over it.
        let other = with(
            &automated(),
            &annotations(&json!({RULES: "replicas-ignored", EXPIRES: "2026-01-01T03:00:00Z"})),
        );
        let may = Request {
            may: &["replicas-ignored"],
            at,
            ..Request::default()
        };
        assert_eq!(may.update(&granted, &other).outcome, Outcome::Denied);
        // What is put right needs none.
        assert_eq!(
            request.update(&granted, &app(&json!({}))).outcome,
            Outcome::Admitted
        );
    }
}

#[test]
fn anybody_may_cut_it_short() {
    let nobody = Request {
        may: &[],
        ..Request::default()
    };
    let granted = with(&automated(), &annotations(&json!({})));
    let over = with(
        &automated(),
        &annotations(&json!({EXPIRES: "2026-01-01T00:00:00Z"})),
    );
    assert_eq!(nobody.update(&granted, &over).outcome, Outcome::Admitted);
    let pruned = with(
        &over,
        &json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}}),
    );
    assert_eq!(nobody.update(&over, &pruned).outcome, Outcome::Denied);
}

#[test]
fn a_generated_application_has_none_of_its_own() {
    let owned = |object: &Value| {
        with(
            object,
            &json!({"metadata": {"ownerReferences": [
                {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shop", "uid": "u-1", "controller": true},
            ]}}),
        )
    };
    let granted = owned(&with(&automated(), &annotations(&json!({}))));
    let message = refusal(&Request::default().update(&owned(&app(&json!({}))), &granted));
    assert_eq!(
        message,
        "ApplicationSet shop generates this and overwrites it"
    );
}

#[test]
fn an_application_set_answers_for_what_it_generates() {
    let set = |annotations: &Value| {
        let mut set = json!({
            "metadata": {"name": "shop", "namespace": "argocd", "uid": "u-1"},
            "spec": {"generators": [{"list": {"elements": [{"cluster": "omega"}]}}], "template": automated()},
        });
        set["spec"]["template"]["metadata"] = json!({"name": "orders-{{cluster}}"});
        json_patch::merge(&mut set, annotations);
        set.to_string()
    };
    let child = |uid: &str| {
        with(&automated(), &json!({"metadata": {"ownerReferences": [
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shop", "uid": uid, "controller": true},
    ]}})).to_string()
    };
    let json = set(&annotations(&json!({})));
    let parsed = argocd::ApplicationSet::from_json(&json).unwrap();
    // It is overruled where it stands,
    let granted = Request::default().judge(Subject::new(Object::ApplicationSet(Box::new(
        parsed.clone(),
    ))));
    assert_eq!(granted.outcome, Outcome::Admitted, "{:#?}", lines(&granted));
    // and its controller writes what comes of it,
    let mut inventory = World::default().inventory();
    inventory.application_sets = [std::sync::Arc::new(parsed.into_owned())].into();
    let created = |child: &str, username: &str, at: Timestamp| {
        let request = Request {
            username,
            at,
            may: &[],
            ..Request::default()
        };
        request.judge_in(Subject::new(application(child)), &inventory)
    };
    let verdict = created(&child("u-1"), APPLICATION_SET_CONTROLLER, now());
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
    assert_eq!(verdict.record.unwrap().kind, RecordKind::Used);
    // which nobody else can claim, and only as long as it lasts.
    for (child, username, at) in [
        (child("u-1"), PERSON, now()),
        (child("u-1"), CONTROLLER, now()),
        (child("u-2"), APPLICATION_SET_CONTROLLER, now()),
        (child("u-1"), APPLICATION_SET_CONTROLLER, later(2)),
    ] {
        assert_eq!(
            created(&child, username, at).outcome,
            Outcome::Denied,
            "{username} {at}"
        );
    }
}

#[test]
fn a_template_hands_no_override_down() {
    let mut template = app(&annotations(&json!({})));
    template["metadata"]["name"] = json!("orders-{{cluster}}");
    let set = json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {"generators": [{"list": {"elements": [{"cluster": "omega"}]}}], "template": template},
    })
    .to_string();
    let set = argocd::ApplicationSet::from_json(&set).unwrap();
    let verdict = Request::default().judge(Subject::new(Object::ApplicationSet(Box::new(set))));
    let denied: Vec<_> = verdict
        .of_level(Level::Deny)
        .map(policy::Finding::line)
        .collect();
    assert_eq!(denied.len(), 1, "{denied:#?}");
    assert!(
        denied[0].contains("an override is not inherited"),
        "{denied:#?}"
    );
}

#[test]
fn in_files_it_counts_as_the_policy_says_of_git() {
    let file = |policy: Value| {
        let request = Request {
            policy,
            username: "",
            may: &[],
            ..Request::default()
        };
        request.create(&with(&automated(), &annotations(&json!({}))))
    };
    let without = lines(&file(json!({})));
    let with_leave = lines(&file(json!({"breakGlass": {"fromGit": true}})));
    insta::assert_snapshot!([without, with_leave].concat().join("\n"));
    let expired = Request {
        policy: json!({"breakGlass": {"fromGit": true}}),
        username: "",
        at: later(3),
        ..Request::default()
    };
    assert_eq!(
        refusal(&expired.create(&with(&automated(), &annotations(&json!({}))))),
        "it expired at 2026-01-01T02:00:00Z"
    );
}

#[test]
fn a_deletion_is_overruled_by_who_deletes() {
    let root = app(&json!({
        "metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "status": {"resources": [{"group": "argoproj.io", "kind": "Application", "name": "orders"}]},
    }));
    let granted = with(&root, &annotations(&json!({RULES: "cascade-delete"})));
    let deleted = |object: &Value, may: &[&str]| {
        let json = object.to_string();
        let subject = Subject::delete(application(&json), Propagation::Background);
        Request {
            may,
            ..Request::default()
        }
        .judge(subject)
        .outcome
    };
    assert_eq!(deleted(&root, &["cascade-delete"]), Outcome::Denied);
    assert_eq!(deleted(&granted, &[]), Outcome::Denied);
    assert_eq!(deleted(&granted, &["cascade-delete"]), Outcome::Admitted);
}

#[test]
fn what_the_policy_says_of_it_must_make_sense() {
    let invalid = |break_glass: Value| {
        let spec: GitOpsPolicySpec =
            serde_json::from_value(json!({"breakGlass": break_glass})).unwrap();
        let fleet = Fleet::new(Parts::default());
        Inventory::new(fleet, Completeness::Complete, EnabledField::Supported, spec)
            .unwrap_err()
            .to_string()
    };
    let all = [
        invalid(json!({"maxDuration": "soon"})),
        invalid(json!({"maxDuration": "-1h"})),
        invalid(json!({"maxDuration": "0s"})),
        invalid(json!({"ticketPattern": "INC-("})),
        invalid(json!({"serviceAccounts": ["release"]})),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn what_was_written_before_anybody_was_asked_is_worth_no_more_than_what_is_written_now() {
    let policy = json!({"breakGlass": {"ticketPattern": "INC-\\d+"}});
    for patch in [
        json!({EXPIRES: "2026-01-01T05:00:00Z"}),
        json!({REASON: "it burns"}),
    ] {
        let planted = with(&app(&json!({})), &annotations(&patch));
        let changed = with(&automated(), &annotations(&patch));
        let request = Request {
            policy: policy.clone(),
            ..Request::default()
        };
        let verdict = request.update(&planted, &changed);
        assert_eq!(verdict.outcome, Outcome::Denied, "{patch}");
        // Nor does an ApplicationSet's count for what it generates.
        let set = json!({
            "metadata": {"name": "shop", "namespace": "argocd", "uid": "u-1"},
            "spec": {"generators": [], "template": automated()},
        });
        let set = with(&set, &annotations(&patch)).to_string();
        let set = argocd::ApplicationSet::from_json(&set).unwrap();
        let mut inventory = World::with_policy(policy.clone()).inventory();
        inventory.application_sets = [std::sync::Arc::new(set.into_owned())].into();
        let child = generated(&automated()).to_string();
        let by_controller = Request {
            username: APPLICATION_SET_CONTROLLER,
            may: &[],
            ..Request::default()
        };
        let verdict = by_controller.judge_in(Subject::new(application(&child)), &inventory);
        assert_eq!(verdict.outcome, Outcome::Denied, "{patch}");
    }
}

/// What the ApplicationSet `shop` generates.
fn generated(object: &Value) -> Value {
    with(
        object,
        &json!({"metadata": {"ownerReferences": [
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shop", "uid": "u-1", "controller": true},
        ]}}),
    )
}

#[test]
fn who_changes_a_generated_application_is_told_where_the_override_is() {
    let set = json!({
        "metadata": {"name": "shop", "namespace": "argocd", "uid": "u-1"},
        "spec": {"generators": [], "template": automated()},
    });
    let set = with(&set, &annotations(&json!({}))).to_string();
    let set = argocd::ApplicationSet::from_json(&set).unwrap();
    let mut inventory = World::default().inventory();
    inventory.application_sets = [std::sync::Arc::new(set.into_owned())].into();
    let (old, new) = (
        generated(&app(&json!({}))).to_string(),
        generated(&automated()).to_string(),
    );
    let subject = Subject::update(application(&new), application(&old));
    let verdict = Request::default().judge_in(subject, &inventory);
    assert_eq!(verdict.outcome, Outcome::Denied);
    let told = lines(&verdict);
    assert!(
        told[1]
            .contains("stands on the ApplicationSet, which generates this; make the change there"),
        "{told:#?}"
    );
}

#[test]
fn what_is_refused_for_another_reason_is_on_record_as_refused() {
    let worse = with(&automated(), &json!({"spec": {"project": "default"}}));
    let granted = with(&worse, &annotations(&json!({})));
    let verdict = Request::default().update(&app(&json!({})), &granted);
    assert_eq!(refusal(&verdict), "what it came with is refused");
}

#[test]
fn ending_it_early_is_on_record() {
    let granted = with(&app(&json!({})), &annotations(&json!({})));
    let cut_short = with(
        &app(&json!({})),
        &annotations(&json!({EXPIRES: "2026-01-01T00:00:00Z"})),
    );
    let nobody = Request {
        may: &[],
        ..Request::default()
    };
    for ended in [cut_short, app(&json!({}))] {
        let verdict = nobody.update(&granted, &ended);
        assert_eq!(verdict.outcome, Outcome::Admitted);
        assert_eq!(verdict.record.unwrap().kind, RecordKind::Revoked);
    }
    // What is over anyway ends nothing.
    let after = Request {
        at: later(2),
        may: &[],
        ..Request::default()
    };
    let verdict = after.update(&granted, &app(&json!({})));
    assert_eq!(verdict.record, None);
}

#[test]
fn it_stays_on_an_application_set_as_long_as_nobody_can_tell_what_that_generates() {
    let set = |annotations: &Value, automated: Value| {
        let mut set = json!({
            "metadata": {"name": "shop", "namespace": "argocd", "uid": "u-1"},
            "spec": {
                "goTemplate": true,
                "generators": [{"git": {
                    "repoURL": "https://git.example.com/shop/orders.git", "revision": "v1", "files": [{"path": "*.json"}],
                }}],
                "template": app(&json!({"spec": {
                    "destination": {"name": "{{ .cluster }}"},
                    "project": "{{ .environment }}",
                    "syncPolicy": {"automated": automated},
                }})),
            },
        });
        set["spec"]["template"]["metadata"] = json!({"name": "orders-{{ .cluster }}"});
        json_patch::merge(&mut set, annotations);
        set.to_string()
    };
    let update = |old: &str, new: &str| {
        let object = |json| {
            Object::ApplicationSet(Box::new(argocd::ApplicationSet::from_json(json).unwrap()))
        };
        let subject = Subject::update(object(new), object(old));
        Request::default().judge(subject)
    };
    let granted = set(&annotations(&json!({})), json!({}));
    let verdict = update(&granted, &set(&json!({}), json!({})));
    let denied: Vec<_> = verdict
        .of_level(Level::Deny)
        .map(policy::Finding::line)
        .collect();
    assert_eq!(denied.len(), 1, "{:#?}", lines(&verdict));
    assert!(
        denied[0].contains("is taken off while prod-auto-sync may be violated"),
        "{denied:#?}"
    );
    // Nor is it written over by another.
    let other = annotations(&json!({RULES: "replicas-ignored"}));
    let may = Request {
        may: &["replicas-ignored"],
        ..Request::default()
    };
    let (old, new) = (granted.clone(), set(&other, json!({})));
    let object =
        |json| Object::ApplicationSet(Box::new(argocd::ApplicationSet::from_json(json).unwrap()));
    let verdict = may.judge(Subject::update(object(&new), object(&old)));
    assert_eq!(verdict.outcome, Outcome::Denied, "{:#?}", lines(&verdict));
    // Without what could violate the rule it may go.
    let verdict = update(&granted, &set(&json!({}), json!(null)));
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
}

/// The ApplicationSet `shop`, as a merge patch of the annotations and of what it generates says.
fn set(annotations: &Value, spec: &Value) -> Value {
    let mut set = json!({
        "metadata": {"name": "shop", "namespace": "argocd", "uid": "u-1"},
        "spec": {
            "generators": [{"list": {"elements": [{"cluster": "omega"}]}}],
            "template": app(&json!({"spec": {"destination": {"name": "{{cluster}}"}}})),
        },
    });
    set["spec"]["template"]["metadata"] = json!({"name": "orders-{{cluster}}"});
    json_patch::merge(&mut set, annotations);
    json_patch::merge(&mut set["spec"], spec);
    set
}

/// From files that are not known here, with auto-sync where it says so.
fn unknown(annotations: &Value, automated: &Value) -> Value {
    set(
        annotations,
        &json!({
            "generators": [{"git": {
                "repoURL": "https://git.example.com/shop/orders.git", "revision": "v1", "files": [{"path": "*.json"}],
            }}],
            "template": {"spec": {"syncPolicy": {"automated": automated}}},
        }),
    )
}

fn automated_template() -> Value {
    json!({"template": {"spec": {"syncPolicy": {"automated": {}}}}})
}

fn application_set(json: &str) -> Object<'_> {
    Object::ApplicationSet(Box::new(argocd::ApplicationSet::from_json(json).unwrap()))
}

/// A world in which there is such an ApplicationSet.
fn world_with(set: &Value) -> Inventory {
    let set = set.to_string();
    let set = argocd::ApplicationSet::from_json(&set).unwrap();
    let mut inventory = World::default().inventory();
    inventory.application_sets = [std::sync::Arc::new(set.into_owned())].into();
    inventory
}

impl Request<'_> {
    fn update_set(&self, old: &Value, new: &Value) -> Verdict {
        let (old, new) = (old.to_string(), new.to_string());
        self.judge(Subject::update(
            application_set(&new),
            application_set(&old),
        ))
    }

    fn delete_set(&self, set: &Value, propagation: Propagation) -> Verdict {
        let set = set.to_string();
        self.judge(Subject::delete(application_set(&set), propagation))
    }

    fn update_in(&self, old: &Value, new: &Value, inventory: &Inventory) -> Verdict {
        let (old, new) = (old.to_string(), new.to_string());
        let subject = Subject::update(application(&new), application(&old));
        self.judge_in(subject, inventory)
    }
}

/// Somebody who may overrule nothing.
fn nobody() -> Request<'static> {
    Request {
        username: "mallory@example.com",
        may: &[],
        ..Request::default()
    }
}

fn rules_of(verdict: &Verdict) -> Vec<&str> {
    let record = verdict.record.as_ref().expect("it is on record");
    record.rules.iter().map(|rule| rule.as_str()).collect()
}

fn going(object: &Value) -> Value {
    with(
        object,
        &json!({"metadata": {"deletionTimestamp": "2025-12-31T23:59:00Z", "finalizers": ["example.com/hold"]}}),
    )
}

#[test]
fn what_is_being_deleted_lets_nothing_pass_that_it_generates() {
    let child = generated(&automated());
    let controller = Request {
        username: APPLICATION_SET_CONTROLLER,
        ..nobody()
    };
    let outcome = |set: &Value| {
        let json = child.to_string();
        controller
            .judge_in(Subject::new(application(&json)), &world_with(set))
            .outcome
    };
    let existing = set(&annotations(&json!({})), &automated_template());
    assert_eq!(outcome(&existing), Outcome::Admitted);
    assert_eq!(outcome(&going(&existing)), Outcome::Denied);
    // What it let pass before counts as what is over.
    let pruned = with(
        &child,
        &json!({"spec": {"syncPolicy": {"automated": {"prune": true, "enabled": true}}}}),
    );
    let inventory = world_with(&going(&existing));
    let verdict = nobody().update_in(&child, &pruned, &inventory);
    assert_eq!(verdict.outcome, Outcome::Denied);
}

#[test]
fn nothing_is_overruled_on_an_object_that_is_being_deleted() {
    // It is not written there,
    let plain = going(&app(&json!({})));
    let granted = with(&plain, &annotations(&json!({})));
    let verdict = Request::default().update(&plain, &granted);
    assert_eq!(
        refusal(&verdict),
        "counts for nothing on what is being deleted"
    );
    // nor does what stands there let anything pass,
    let violating = with(&going(&automated()), &annotations(&json!({})));
    let verdict = Request::default().update(&granted, &violating);
    assert_eq!(verdict.outcome, Outcome::Denied);
    assert!(
        lines(&verdict)[1].contains("counts for nothing on what is being deleted"),
        "{:#?}",
        lines(&verdict)
    );
    // and finalizers are taken off.
    let without = with(&violating, &json!({"metadata": {"finalizers": null}}));
    let verdict = nobody().update(&violating, &without);
    assert_ne!(verdict.outcome, Outcome::Denied);
    // A cluster Secret and an AppProject are not an exception.
    let secret = |change: &Value| {
        let secret = json!({
            "metadata": {
                "name": "prod", "namespace": "argocd",
                "labels": {"argocd.argoproj.io/secret-type": "cluster"},
                "annotations": {RULES: "cluster-credentials", REASON: "INC-1", EXPIRES: "2026-01-01T02:00:00Z"},
            },
            "data": {"server": "aHR0cHM6Ly9wcm9kLmV4YW1wbGUuY29t", "config": "e30="},
        });
        with(&secret, change)
    };
    let token = json!({"data": {"config": "eyJiZWFyZXJUb2tlbiI6ICJ4In0="}});
    let outcome = |old: &Value, new: &Value| {
        let (old, new) = (old.to_string(), new.to_string());
        let object = |json| Object::ClusterSecret(Box::new(serde_json::from_str(json).unwrap()));
        let subject = Subject::update(object(&new), object(&old));
        let request = Request {
            may: &["cluster-credentials"],
            ..Request::default()
        };
        request.judge(subject).outcome
    };
    let (old, new) = (secret(&json!({})), secret(&token));
    assert_eq!(outcome(&old, &new), Outcome::Admitted);
    assert_eq!(outcome(&going(&old), &going(&new)), Outcome::Denied);
    let project = |change: &Value| {
        let project = json!({
            "metadata": {
                "name": "prod", "namespace": "argocd",
                "annotations": {RULES: "project-too-wide", REASON: "INC-1", EXPIRES: "2026-01-01T02:00:00Z"},
            },
            "spec": {"sourceRepos": ["https://git.example.com/shop/*"], "destinations": [{"name": "omega", "namespace": "shop"}]},
        });
        with(&project, change)
    };
    let outcome = |old: &Value, new: &Value| {
        let (old, new) = (old.to_string(), new.to_string());
        let object = |json| Object::AppProject(Box::new(serde_json::from_str(json).unwrap()));
        let subject = Subject::update(object(&new), object(&old));
        let request = Request {
            may: &["project-too-wide"],
            ..Request::default()
        };
        request.judge(subject).outcome
    };
    let (old, new) = (
        project(&json!({})),
        project(&json!({"spec": {"sourceRepos": ["*"]}})),
    );
    assert_eq!(outcome(&old, &new), Outcome::Admitted);
    assert_eq!(outcome(&going(&old), &going(&new)), Outcome::Denied);
}

#[test]
fn a_secret_that_becomes_a_cluster_is_put_to_the_webhook_with_the_override_on_it() {
    let secret = |labels: &Value| {
        json!({
            "metadata": {
                "name": "prod", "namespace": "argocd", "labels": labels,
                "annotations": {RULES: "cluster-credentials", REASON: "INC-1", EXPIRES: "2026-01-01T02:00:00Z"},
            },
            "data": {"server": "aHR0cHM6Ly9wcm9kLmV4YW1wbGUuY29t", "config": "e30="},
        })
        .to_string()
    };
    let (old, new) = (
        secret(&json!({})),
        secret(&json!({"argocd.argoproj.io/secret-type": "cluster"})),
    );
    let object = |json| Object::ClusterSecret(Box::new(serde_json::from_str(json).unwrap()));
    let subject = || Subject::update(object(&new), object(&old));
    assert_eq!(
        refusal(&nobody().judge(subject())),
        "its writer may not overrule cluster-credentials"
    );
    let may = Request {
        may: &["cluster-credentials"],
        ..Request::default()
    };
    let verdict = may.judge(subject());
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(verdict.record.unwrap().kind, RecordKind::Granted);
}

#[test]
fn what_nobody_can_tell_yet_is_a_use_of_a_rule_that_is_overruled() {
    let granted = annotations(&json!({}));
    let plain = unknown(&granted, &Value::Null);
    let automated = unknown(&granted, &json!({}));
    for (what, old, new) in [
        ("another template", &plain, automated.clone()),
        (
            "other files",
            &automated,
            with(
                &automated,
                &json!({"spec": {"generators": [{"git": {
                    "repoURL": "https://git.example.com/shop/orders.git", "revision": "v1", "files": [{"path": "mine/*.json"}],
                }}]}}),
            ),
        ),
        (
            "a patch, of which nobody knows what it makes",
            &plain,
            with(
                &plain,
                &json!({"spec": {"goTemplate": true, "templatePatch": "spec: {syncPolicy: {automated: {prune: {{ .prune }}}}}"}}),
            ),
        ),
        (
            "what is filled in",
            &automated,
            with(
                &automated,
                &json!({"spec": {"template": {"spec": {"project": "{{project}}"}}}}),
            ),
        ),
    ] {
        let verdict = nobody().update_set(old, &new);
        assert_eq!(
            refusal(&verdict),
            "does not cover what somebody who may not overrule prod-auto-sync writes",
            "{what}"
        );
        let verdict = Request::default().update_set(old, &new);
        assert_eq!(
            verdict.outcome,
            Outcome::Admitted,
            "{what}: {:#?}",
            lines(&verdict)
        );
        assert_eq!(verdict.record.unwrap().kind, RecordKind::Used, "{what}");
    }
    // Nobody is held up who changes nothing of that, or where nothing is overruled.
    let moved = json!({"spec": {"template": {"spec": {"source": {"targetRevision": "v2"}}}}});
    for (old, new) in [
        (automated.clone(), with(&automated, &moved)),
        (
            automated.clone(),
            with(
                &automated,
                &json!({"metadata": {"labels": {"team": "shop"}}}),
            ),
        ),
        (automated.clone(), unknown(&granted, &Value::Null)),
        (
            unknown(&json!({}), &Value::Null),
            unknown(&json!({}), &json!({})),
        ),
    ] {
        let verdict = nobody().update_set(&old, &new);
        assert_ne!(verdict.outcome, Outcome::Denied, "{:#?}", lines(&verdict));
        assert_eq!(verdict.record, None);
    }
    let after = Request {
        at: later(2),
        ..nobody()
    };
    let verdict = after.update_set(&plain, &automated);
    assert_ne!(verdict.outcome, Outcome::Denied, "{:#?}", lines(&verdict));
}

#[test]
fn another_override_in_the_place_of_one_ends_it_on_record() {
    let two = Request {
        may: &["replicas-ignored"],
        ..Request::default()
    };
    let granted = with(&app(&json!({})), &annotations(&json!({})));
    let replacing = |patch: Value| with(&app(&json!({})), &annotations(&patch));
    let other = replacing(json!({RULES: "replicas-ignored", REASON: "INC-2: mine"}));
    let verdict = two.update(&granted, &other);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(rules_of(&verdict), ["replicas-ignored"]);
    let ended = verdict.ended.expect("the one that was there has ended");
    assert_eq!(
        (ended.kind, &*ended.reason),
        (RecordKind::Revoked, "INC-1: it burns")
    );
    let ended: Vec<_> = ended.rules.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(ended, ["prod-auto-sync"]);
    // What goes on has not ended, nor what was over.
    let longer = replacing(json!({EXPIRES: "2026-01-01T03:00:00Z"}));
    assert_eq!(Request::default().update(&granted, &longer).ended, None);
    let after = Request {
        at: later(2),
        ..Request::default()
    };
    let later = replacing(json!({REASON: "INC-2: mine", EXPIRES: "2026-01-01T03:00:00Z"}));
    assert_eq!(after.update(&granted, &later).ended, None);
    // What is refused ends nothing.
    let verdict = nobody().update(&granted, &other);
    refusal(&verdict);
    assert_eq!(verdict.ended, None);
}

#[test]
fn two_people_overrule_one_rule_each_on_one_object() {
    let one = Request::default();
    let two = Request {
        username: "bob@example.com",
        may: &["default-project"],
        ..Request::default()
    };
    let granted = with(&app(&json!({})), &annotations(&json!({})));
    let both = |patch: Value| {
        with(
            &app(&json!({})),
            &with(
                &annotations(&json!({RULES: "prod-auto-sync,default-project"})),
                &json!({"metadata": {"annotations": patch}}),
            ),
        )
    };
    for patch in [
        json!({}),
        json!({RULES: "default-project, prod-auto-sync"}),
        json!({REASON: "INC-1: it burns; INC-2: and so does this"}),
        json!({EXPIRES: "2026-01-01T01:00:00Z"}),
    ] {
        let extended = both(patch.clone());
        let verdict = two.update(&granted, &extended);
        assert_eq!(
            verdict.outcome,
            Outcome::Admitted,
            "{patch}: {:#?}",
            lines(&verdict)
        );
        assert_eq!(rules_of(&verdict), ["default-project"], "{patch}");
        // Each makes the change that they may make, and no other.
        let moved = with(&extended, &json!({"spec": {"project": "default"}}));
        let automated = with(
            &extended,
            &json!({"spec": {"syncPolicy": {"automated": {}}}}),
        );
        assert_eq!(two.update(&extended, &moved).outcome, Outcome::Admitted);
        assert_eq!(two.update(&extended, &automated).outcome, Outcome::Denied);
        assert_eq!(one.update(&extended, &automated).outcome, Outcome::Admitted);
        assert_eq!(one.update(&extended, &moved).outcome, Outcome::Denied);
    }
    // Nobody says more of the other's rule than was said.
    for patch in [
        json!({EXPIRES: "2026-01-01T03:00:00Z"}),
        json!({REASON: "INC-2: mine"}),
        json!({REASON: "INC-1: it burns less"}),
    ] {
        let verdict = two.update(&granted, &both(patch.clone()));
        assert_eq!(
            refusal(&verdict),
            "its writer may not overrule prod-auto-sync",
            "{patch}"
        );
    }
    // Nor is a reason added to without a rule, or with a change that the other's rule denies.
    let reworded = with(
        &granted,
        &json!({"metadata": {"annotations": {REASON: "INC-1: it burns; not"}}}),
    );
    refusal(&two.update(&granted, &reworded));
    let with_change = with(
        &both(json!({})),
        &json!({"spec": {"syncPolicy": {"automated": {}}}}),
    );
    refusal(&two.update(&granted, &with_change));
    // What is over cannot be extended.
    let after = Request {
        at: later(2),
        username: two.username,
        may: two.may,
        ..Request::default()
    };
    refusal(&after.update(&granted, &both(json!({EXPIRES: "2026-01-01T03:00:00Z"}))));
}

#[test]
fn what_was_let_pass_is_no_old_violation_of_an_application_that_is_taken_from_its_set() {
    let child = generated(&automated());
    let alone = automated();
    let of_another = with(
        &child,
        &json!({"metadata": {"ownerReferences": [
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "mine", "uid": "u-2", "controller": true},
        ]}}),
    );
    let misnamed = with(
        &child,
        &json!({"metadata": {"ownerReferences": [
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "gone", "uid": "u-1", "controller": true},
        ]}}),
    );
    let uncontrolled = with(
        &child,
        &json!({"metadata": {"ownerReferences": [
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "shop", "uid": "u-1"},
        ]}}),
    );
    let existing = set(&annotations(&json!({})), &automated_template());
    // Whatever is known of the ApplicationSet: while it stands, when it is over, and when it is
    // gone.
    for inventory in [world_with(&existing), World::default().inventory()] {
        for at in [now(), later(2)] {
            let request = Request { at, ..nobody() };
            for detached in [&alone, &of_another, &misnamed, &uncontrolled] {
                let verdict = request.update_in(&child, detached, &inventory);
                assert_eq!(verdict.outcome, Outcome::Denied, "{:#?}", lines(&verdict));
            }
            // What violates nothing is taken from it,
            let fine = generated(&app(&json!({})));
            let verdict = request.update_in(&fine, &app(&json!({})), &inventory);
            assert_eq!(verdict.outcome, Outcome::Admitted);
            // and what stays is left alone.
            let verdict = request.update_in(
                &child,
                &with(
                    &child,
                    &json!({"spec": {"source": {"targetRevision": "v2"}}}),
                ),
                &inventory,
            );
            assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
        }
    }
    // The garbage collector carries on what was decided when the ApplicationSet was deleted.
    let collector = Request {
        username: "system:serviceaccount:kube-system:generic-garbage-collector",
        ..nobody()
    };
    let verdict = collector.update_in(&child, &alone, &world_with(&existing));
    assert_ne!(verdict.outcome, Outcome::Denied);
    // Whoever may, overrules the rule on the Application itself.
    let granted = with(&alone, &annotations(&json!({})));
    let verdict = Request::default().update_in(&child, &granted, &world_with(&existing));
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
}

#[test]
fn a_set_is_not_deleted_alone_while_an_override_on_it_is_what_tells_of_its_applications() {
    let violating = set(&annotations(&json!({})), &automated_template());
    let not_known = unknown(&annotations(&json!({})), &json!({}));
    for at in [now(), later(2)] {
        let may = Request {
            at,
            ..Request::default()
        };
        let unasked = Request { at, ..nobody() };
        for (set, verb) in [(&violating, "is"), (&not_known, "may be")] {
            let verdict = may.delete_set(set, Propagation::Orphan);
            assert_eq!(verdict.outcome, Outcome::Denied);
            let told = lines(&verdict).join("\n");
            assert!(
                told.contains(&format!(
                    "its Applications stay, and prod-auto-sync {verb} violated"
                )),
                "{told}"
            );
            let held = with(set, &json!({"metadata": {"finalizers": ["orphan"]}}));
            let verdict = may.delete_set(&held, Propagation::Background);
            assert_eq!(verdict.outcome, Outcome::Denied);
            // With its Applications it may go, as far as other rules let it.
            let verdict = unasked.delete_set(set, Propagation::Background);
            let denied: Vec<_> = verdict
                .of_level(Level::Deny)
                .map(|finding| finding.rule.as_str())
                .collect();
            assert!(!denied.contains(&"break-glass"), "{denied:?}");
        }
        // What has been put right in the template may be still to be done in the Applications.
        let put_right = set(&annotations(&json!({})), &json!({}));
        let verdict = unasked.delete_set(&put_right, Propagation::Orphan);
        assert_eq!(
            refusal(&verdict),
            "is taken off by somebody who may not overrule prod-auto-sync"
        );
        let verdict = may.delete_set(&put_right, Propagation::Orphan);
        assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
    }
    // Where there is none, deleting it alone is nobody's business.
    let plain = set(&json!({}), &automated_template());
    let verdict = nobody().delete_set(&plain, Propagation::Orphan);
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
}

#[test]
fn an_override_is_taken_off_a_set_by_whoever_may_overrule_the_rule() {
    let violating = set(&annotations(&json!({})), &automated_template());
    let put_right = set(&annotations(&json!({})), &json!({}));
    let plain = set(&json!({}), &json!({}));
    let cut_short = set(
        &annotations(&json!({EXPIRES: "2026-01-01T00:00:00Z"})),
        &json!({}),
    );
    let other = set(
        &annotations(
            &json!({RULES: "default-project", REASON: "INC-2", EXPIRES: "2026-01-01T03:00:00Z"}),
        ),
        &json!({}),
    );
    for at in [now(), later(2)] {
        let unasked = Request {
            at,
            may: &["default-project"],
            ..nobody()
        };
        for old in [&violating, &put_right] {
            for new in [&plain, &other] {
                let verdict = unasked.update_set(old, new);
                assert_eq!(
                    refusal(&verdict),
                    "is taken off by somebody who may not overrule prod-auto-sync"
                );
            }
        }
        let may = Request {
            at,
            may: &["prod-auto-sync", "default-project"],
            ..Request::default()
        };
        for new in [&plain, &other] {
            let verdict = may.update_set(&put_right, new);
            assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
            let is_early = at == now();
            let ended = verdict.record.iter().chain(&verdict.ended);
            let mut ended = ended.filter(|record| record.kind == RecordKind::Revoked);
            assert_eq!(ended.next().is_some(), is_early);
        }
    }
    // Anybody ends it.
    let verdict = nobody().update_set(&put_right, &cut_short);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(verdict.record.unwrap().kind, RecordKind::Revoked);
}

#[test]
fn what_may_be_violated_is_not_hidden_by_what_is_only_warned_of() {
    let exempt = json!({"rules": {"prod-auto-sync": {"exempt": [{"applications": ["argocd/orders-omega"], "reason": "old"}]}}});
    let both = |annotations: &Value| {
        let mut set = unknown(annotations, &json!({}));
        let list = json!({"list": {"elements": [{"cluster": "omega"}]}});
        set["spec"]["generators"].as_array_mut().unwrap().push(list);
        set
    };
    let request = Request {
        policy: exempt,
        ..Request::default()
    };
    let verdict = request.update_set(&both(&annotations(&json!({}))), &both(&json!({})));
    assert_eq!(verdict.outcome, Outcome::Denied, "{:#?}", lines(&verdict));
}

#[test]
fn a_reason_is_told_whole() {
    let reason = format!("INC-1: {}", "it burns and burns ".repeat(10).trim());
    let granted = with(&automated(), &annotations(&json!({REASON: reason.clone()})));
    let verdict = Request::default().update(&app(&json!({})), &granted);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    let told = lines(&verdict);
    assert!(told.iter().any(|line| line.ends_with(&reason)), "{told:#?}");
    let whole = "x".repeat(200);
    let granted = with(&automated(), &annotations(&json!({REASON: whole.clone()})));
    let told = lines(&Request::default().update(&app(&json!({})), &granted));
    assert!(told.iter().any(|line| line.ends_with(&whole)), "{told:#?}");
}

#[test]
fn what_is_wrong_with_an_override_is_told_with_what_helps() {
    let fix = |patch: Value| {
        let granted = with(&automated(), &annotations(&patch));
        let verdict = Request::default().update(&automated(), &granted);
        let mut denials = verdict.of_level(Level::Deny);
        let of_override = denials.find(|finding| finding.rule.as_str() == "break-glass");
        of_override.unwrap().fix.to_string()
    };
    let all = [
        fix(json!({RULES: null})),
        fix(json!({RULES: "prod-auto-snyc"})),
        fix(json!({RULES: "*"})),
        fix(json!({RULES: " , "})),
        fix(json!({REASON: null})),
        fix(json!({REASON: "\u{3164}"})),
        fix(json!({REASON: "x".repeat(201)})),
        fix(json!({EXPIRES: null})),
        fix(json!({EXPIRES: "2h"})),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    write all three, see kubectl gitops break-glass grant
    did you mean prod-auto-sync?
    kubectl gitops explain lists the rules
    name the rules, separated by commas
    write all three, see kubectl gitops break-glass grant
    say why, in words that can be read
    give a shorter one
    write all three, see kubectl gitops break-glass grant
    write it like 2026-01-31T18:00:00Z
    ");
}

#[test]
fn where_nobody_can_be_asked_trying_again_is_no_help() {
    let (old, new) = (
        app(&json!({})).to_string(),
        with(&automated(), &annotations(&json!({}))).to_string(),
    );
    let fix = |permission: Permission| {
        let subject = Subject {
            requester: Requester { username: PERSON },
            now: now(),
            ..Subject::update(application(&new), application(&old))
        };
        let mut verdict = evaluate(&subject, &World::default().inventory());
        verdict.settle(|_| permission.clone());
        let mut denials = verdict.of_level(Level::Deny);
        let of_override = denials.find(|finding| finding.rule.as_str() == "break-glass");
        of_override.unwrap().fix.to_string()
    };
    assert_eq!(fix(Permission::Unknown("late".to_owned())), "try again");
    assert_eq!(
        fix(Permission::Unanswerable("forbidden".to_owned())),
        "the webhook needs the verb create on subjectaccessreviews"
    );
}
