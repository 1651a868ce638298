//! What an update may leave as it was, and what it may not.

use argocd::ApplicationSet;
use base64::Engine as _;
use policy::Waiver;

use super::*;

const PERSON: &str = "alice@example.com";
const APPLICATION_SET_CONTROLLER: &str =
    "system:serviceaccount:argocd:argocd-applicationset-controller";

/// Breaks a rule in each of its parts.
fn bad(patch: &Value) -> Value {
    let mut bad = app(&json!({"spec": {
        "project": "default",
        "source": {"repoURL": "https://github.com/else/where", "targetRevision": "1.*"},
        "destination": {"namespace": "kube-system"},
        "ignoreDifferences": null,
        "syncPolicy": {"automated": {"prune": true}},
    }}));
    json_patch::merge(&mut bad, patch);
    bad
}

fn update(old: &Value, new: &Value) -> Verdict {
    World::default().judge_update(old, new, PERSON)
}

/// The rules that deny, in their order.
fn denied(verdict: &Verdict) -> Vec<&str> {
    let denials = verdict.of_level(Level::Deny);
    denials.map(|finding| finding.rule.as_str()).collect()
}

#[test]
fn an_update_that_leaves_violations_as_they_were_passes_and_names_them() {
    let verdict = update(
        &bad(&json!({})),
        &bad(&json!({"spec": {"source": {"path": "other"}}})),
    );
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert!(
        verdict
            .findings
            .iter()
            .all(|finding| finding.waiver() == Some(Waiver::Ratchet))
    );
    insta::assert_snapshot!(lines(&verdict).join("\n"));
}

#[test]
fn what_makes_nothing_worse_passes() {
    let several = |sources: Value| bad(&json!({"spec": {"source": null, "sources": sources}}));
    let source =
        |repository: &str| json!({"repoURL": repository, "path": ".", "targetRevision": "v1"});
    let (own, foreign) = (
        source("https://git.example.com/shop/orders.git"),
        source("https://github.com/else/where"),
    );
    for (what, old, new) in [
        (
            "a rewrite in other words",
            bad(
                &json!({"spec": {"project": "", "syncPolicy": {"automated": {"prune": true, "selfHeal": false}}}}),
            ),
            bad(
                &json!({"spec": {"syncPolicy": {"automated": {"prune": true}, "syncOptions": null}}}),
            ),
        ),
        (
            "the same cluster, named otherwise",
            bad(&json!({})),
            bad(
                &json!({"spec": {"destination": {"name": null, "server": "https://omega.example.com"}}}),
            ),
        ),
        (
            "a label that is evidence of nothing",
            bad(&json!({})),
            bad(&json!({"metadata": {"labels": {"team": "shop"}}})),
        ),
        (
            "less automation",
            bad(&json!({})),
            bad(&json!({"spec": {"syncPolicy": {"automated": {"prune": false}}}})),
        ),
        (
            "one of many put right",
            bad(&json!({})),
            bad(
                &json!({"spec": {"ignoreDifferences": [{"group": "apps", "kind": "*", "jsonPointers": ["/spec/replicas"]}]}}),
            ),
        ),
        (
            "another place in the list",
            several(json!([own, foreign])),
            several(json!([foreign, own])),
        ),
        (
            "one source less",
            several(json!([own, foreign])),
            several(json!([foreign])),
        ),
    ] {
        let verdict = update(&old, &new);
        assert_eq!(
            verdict.outcome,
            Outcome::Admitted,
            "{what}: {:#?}",
            lines(&verdict)
        );
    }
}

#[test]
fn what_makes_it_worse_or_adds_to_it_does_not_pass() {
    let old = bad(&json!({}));
    let sources = |repositories: &[&str]| {
        let source =
            |repository: &&str| json!({"repoURL": repository, "path": ".", "targetRevision": "v1"});
        let sources: Vec<Value> = repositories.iter().map(source).collect();
        bad(&json!({"spec": {"source": null, "sources": sources}}))
    };
    let long = |end: &str| format!("https://github.com/{}/{end}", "x".repeat(100));
    for (rule, old, new) in [
        (
            "project-scope",
            old.clone(),
            bad(&json!({"spec": {"source": {"repoURL": "https://github.com/another/one"}}})),
        ),
        (
            "project-scope",
            bad(&json!({"spec": {"source": {"repoURL": long("a")}}})),
            bad(&json!({"spec": {"source": {"repoURL": long("b")}}})),
        ),
        (
            "project-scope",
            old.clone(),
            bad(&json!({"spec": {"destination": {"namespace": "kube-public"}}})),
        ),
        (
            "project-scope",
            sources(&["https://github.com/else/where"]),
            sources(&["https://github.com/else/where"; 2]),
        ),
        (
            "default-project",
            app(&json!({})),
            app(&json!({"spec": {"project": ""}})),
        ),
        (
            "prod-auto-sync",
            old.clone(),
            bad(&json!({"spec": {"syncPolicy": {"automated": {"selfHeal": true}}}})),
        ),
        (
            "prod-auto-sync",
            old.clone(),
            bad(&json!({"spec": {"syncPolicy": {"automated": {"allowEmpty": true}}}})),
        ),
        (
            "prod-auto-sync",
            bad(&json!({"spec": {"syncPolicy": {"automated": {"enabled": false}}}})),
            old.clone(),
        ),
        (
            "unpinned-revision",
            old.clone(),
            bad(&json!({"spec": {"source": {"targetRevision": "2.*"}}})),
        ),
        (
            "replicas-ignored",
            bad(
                &json!({"spec": {"ignoreDifferences": [{"group": "apps", "kind": "*", "jsonPointers": ["/spec/replicas"]}]}}),
            ),
            old.clone(),
        ),
        (
            "replicas-ignored",
            old,
            bad(
                &json!({"spec": {"ignoreDifferences": [{"group": "apps", "kind": "*", "jqPathExpressions": ["("]}]}}),
            ),
        ),
    ] {
        let verdict = update(&old, &new);
        assert_eq!(denied(&verdict).first(), Some(&rule), "{new}");
    }
}

#[test]
fn what_was_fine_elsewhere_is_new_where_it_comes_to() {
    let automated = json!({"spec": {"syncPolicy": {"automated": {}}}});
    let mut staging = app(&automated);
    staging["spec"]["destination"]["name"] = json!("alpha");
    assert_eq!(
        denied(&update(&staging, &app(&automated))),
        ["prod-auto-sync"]
    );
    // One production cluster is not another.
    let world = World {
        more_clusters: vec![cluster("zeta", "prod")],
        ..World::default()
    };
    let mut other = app(&automated);
    other["spec"]["destination"]["name"] = json!("zeta");
    let verdict = world.judge_update(&app(&automated), &other, PERSON);
    assert_eq!(denied(&verdict), ["prod-auto-sync"]);
    // Nor is a label of the Application's own a way around.
    let mut labelled = staging.clone();
    labelled["metadata"]["labels"] = json!({"environment": "prod"});
    assert_eq!(denied(&update(&staging, &labelled)), ["prod-auto-sync"]);
}

#[test]
fn a_new_object_stands_by_itself() {
    let json = bad(&json!({})).to_string();
    let verdict = evaluate(
        &Subject::new(application(&json)),
        &World::default().inventory(),
    );
    assert_eq!(verdict.outcome, Outcome::Denied);
}

#[test]
fn an_operation_is_done_anew_each_time() {
    let manifests = json!({"operation": {"sync": {"manifests": ["{}"]}}});
    let again = json!({"operation": {"sync": {"manifests": ["{}", "{}"]}}});
    assert_eq!(
        denied(&update(&app(&manifests), &app(&again))),
        ["project-scope", "operation-override"]
    );
}

#[test]
fn a_sync_of_what_always_violated_goes_on() {
    // As Argo CD starts one: a whole PUT, with the spec as its Go types write it.
    let old = bad(
        &json!({"spec": {"project": "", "syncPolicy": {"automated": {"prune": true, "selfHeal": false}}}}),
    );
    let mut new = bad(&json!({}));
    new["operation"] = json!({
        "initiatedBy": {"automated": true},
        "sync": {"source": new["spec"]["source"], "revision": "0123456789abcdef0123456789abcdef01234567", "prune": true},
    });
    let verdict = World::default().judge_update(&old, &new, CONTROLLER);
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
}

#[test]
fn an_exemption_that_no_longer_covers_is_no_excuse() {
    let world = World::with_policy(json!({"rules": {"prod-auto-sync": {
        "exempt": [{"projects": ["shop"], "reason": "rolls by wave"}],
    }}}));
    let automated = |project: &str| {
        app(&json!({"spec": {"project": project, "syncPolicy": {"automated": {}}}}))
    };
    let verdict = world.judge_update(&automated("shop"), &automated("default"), PERSON);
    assert_eq!(denied(&verdict), ["default-project", "prod-auto-sync"]);
}

#[test]
fn a_destination_may_be_narrowed_while_it_is_still_too_wide() {
    let wide = |namespace: &str| {
        json!({
            "metadata": {"name": "shop-prod", "namespace": "argocd"},
            "spec": {"sourceRepos": ["https://git.example.com/shop/*"], "destinations": [{"server": "*", "namespace": namespace}]},
        })
    };
    let (old, new) = (wide("*").to_string(), wide("shop-*").to_string());
    let project = |json| Object::AppProject(Box::new(serde_json::from_str(json).unwrap()));
    let subject = Subject::update(project(&new), project(&old));
    assert_eq!(
        evaluate(&subject, &World::default().inventory()).outcome,
        Outcome::Admitted
    );
}

#[test]
fn a_project_may_become_narrower_in_steps_and_not_wider() {
    let wide = |repositories: Value, destinations: Value| {
        json!({
            "metadata": {"name": "shop-prod", "namespace": "argocd"},
            "spec": {"sourceRepos": repositories, "destinations": destinations},
        })
    };
    let everywhere = json!([{"server": "*", "namespace": "*"}]);
    let judged = |old: &Value, new: &Value| {
        let (old, new) = (old.to_string(), new.to_string());
        let project = |json| Object::AppProject(Box::new(serde_json::from_str(json).unwrap()));
        let subject = Subject::update(project(&new), project(&old));
        evaluate(&subject, &World::default().inventory()).outcome
    };
    let both = wide(json!(["*"]), everywhere.clone());
    let destinations = wide(json!(["https://git.example.com/*"]), everywhere.clone());
    assert_eq!(judged(&both, &destinations), Outcome::Admitted);
    assert_eq!(judged(&destinations, &both), Outcome::Denied);
    let more = wide(json!(["*", "https://*"]), everywhere);
    assert_eq!(judged(&both, &more), Outcome::Denied);
    // What excludes something must stay, and what is reached must not grow.
    let one = json!([{"name": "omega", "namespace": "shop"}]);
    let two =
        json!([{"name": "omega", "namespace": "shop"}, {"name": "alpha", "namespace": "shop"}]);
    let narrowed = wide(json!(["*", "!https://evil.example.com/*"]), one.clone());
    assert_eq!(
        judged(&narrowed, &wide(json!(["*"]), one.clone())),
        Outcome::Denied
    );
    assert_eq!(
        judged(&wide(json!(["*"]), one.clone()), &narrowed),
        Outcome::Admitted
    );
    assert_eq!(
        judged(&wide(json!(["*"]), one.clone()), &wide(json!(["*"]), two)),
        Outcome::Denied
    );
    // To everywhere nothing can be added.
    let everywhere = json!([{"server": "*", "namespace": "*"}]);
    let and_one =
        json!([{"server": "*", "namespace": "*"}, {"name": "omega", "namespace": "shop"}]);
    assert_eq!(
        judged(
            &wide(json!(["*"]), everywhere),
            &wide(json!(["*"]), and_one)
        ),
        Outcome::Admitted
    );
    let boundless = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|index| json!({"server": "*", "namespace": format!("shop-{index}")}))
            .collect()
    };
    let pinned = json!(["https://git.example.com/*"]);
    let (ten, eleven) = (
        wide(pinned.clone(), json!(boundless(10))),
        wide(pinned, json!(boundless(11))),
    );
    assert_eq!(judged(&ten, &eleven), Outcome::Denied);
    assert_eq!(judged(&eleven, &ten), Outcome::Admitted);
}

#[test]
fn a_cluster_may_keep_its_old_token_and_get_no_other_way_in() {
    let judged = |old: Value, new: Value| {
        let secret = |config: &Value, region: &str| {
            let server = config["server"]
                .as_str()
                .unwrap_or("https://old.example.com")
                .to_owned();
            let data = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
            json!({
                "metadata": {"name": "cluster-old", "namespace": "argocd", "labels": {"argocd.argoproj.io/secret-type": "cluster", "region": region}},
                "data": {"name": data("old"), "server": data(&server), "config": data(&config.to_string())},
            })
            .to_string()
        };
        let (old, new) = (secret(&old, "eu"), secret(&new, "us"));
        let object = |json| Object::ClusterSecret(serde_json::from_str(json).unwrap());
        let subject = Subject::update(object(&new), object(&old));
        evaluate(&subject, &World::default().inventory()).outcome
    };
    let exec = |command: &str, env: Value| json!({"execProviderConfig": {"command": command, "env": env, "apiVersion": "client.authentication.k8s.io/v1beta1"}});
    let token = |token: &str| json!({"bearerToken": token});
    for (old, new) in [
        // `argocd cluster rotate-auth`
        (token("one"), token("two")),
        (
            token("one"),
            json!({"bearerToken": "one", "awsAuthConfig": {"clusterName": "old"}}),
        ),
        (
            exec("sh", json!({"A": "1", "B": "1"})),
            exec("sh", json!({"B": "2"})),
        ),
    ] {
        assert_eq!(judged(old, new.clone()), Outcome::Admitted, "{new}");
    }
    for (old, new) in [
        (
            token("one"),
            json!({"bearerToken": "one", "tlsClientConfig": {"insecure": true}}),
        ),
        (token("one"), json!({"username": "one", "password": "two"})),
        (exec("sh", json!({})), exec("bash", json!({}))),
        (
            exec("sh", json!({"A": "1"})),
            exec("sh", json!({"A": "1", "B": "1"})),
        ),
        (
            exec("sh", json!({})),
            json!({"execProviderConfig": {"command": "sh", "args": ["-c", "evil"], "apiVersion": "client.authentication.k8s.io/v1beta1"}}),
        ),
        (
            json!({"bearerToken": "one", "awsAuthConfig": {"clusterName": "old"}}),
            token("one"),
        ),
        (
            token("one"),
            json!({"bearerToken": "one", "server": "https://another.example.com"}),
        ),
    ] {
        assert_eq!(judged(old, new.clone()), Outcome::Denied, "{new}");
    }
}

/// An Application for each cluster, synced by itself.
fn set(clusters: &[&str], patch: &Value) -> Value {
    let elements: Vec<Value> = clusters
        .iter()
        .map(|name| json!({"cluster": name}))
        .collect();
    let mut template = app(&json!({"spec": {
        "destination": {"name": "{{cluster}}"},
        "syncPolicy": {"automated": {}},
    }}));
    template["metadata"] = json!({"name": "orders-{{cluster}}"});
    json_patch::merge(&mut template, patch);
    json!({
        "metadata": {"name": "orders", "namespace": "argocd"},
        "spec": {"generators": [{"list": {"elements": elements}}], "template": template},
    })
}

fn update_set(world: &World, old: &Value, new: &Value) -> Verdict {
    let (old, new) = (old.to_string(), new.to_string());
    let object = |json| Object::ApplicationSet(Box::new(ApplicationSet::from_json(json).unwrap()));
    let subject = Subject {
        requester: Requester { username: PERSON },
        ..Subject::update(object(&new), object(&old))
    };
    evaluate(&subject, &world.inventory())
}

#[test]
fn each_generated_application_is_compared_with_itself() {
    let world = World {
        more_clusters: vec![cluster("zeta", "prod")],
        ..World::default()
    };
    let old = set(&["alpha", "omega"], &json!({}));
    let path = json!({"spec": {"source": {"path": "other"}}});
    let verdict = update_set(&world, &old, &set(&["alpha", "omega"], &path));
    assert_eq!(verdict.outcome, Outcome::Admitted);
    // One more of the kind is a new violation, and only it is denied.
    let verdict = update_set(&world, &old, &set(&["alpha", "omega", "zeta"], &path));
    insta::assert_snapshot!(lines(&verdict).join("\n"));
    let pruned = json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}});
    let verdict = update_set(&world, &old, &set(&["alpha", "omega"], &pruned));
    assert_eq!(denied(&verdict), ["prod-auto-sync"]);
}

#[test]
fn a_template_that_cannot_be_expanded_is_compared_with_itself() {
    let world = World::default();
    let git = |patch: &Value| {
        let mut set = set(&[], &json!({"spec": {"destination": {"name": "omega"}}}));
        set["spec"]["generators"] = json!([{"git": {
            "repoURL": "https://git.example.com/shop/orders.git", "revision": "v1", "files": [{"path": "*.json"}],
        }}]);
        set["spec"]["template"]["metadata"]["name"] = json!("{{path.basename}}");
        json_patch::merge(&mut set["spec"]["template"], patch);
        set
    };
    let path = git(&json!({"spec": {"source": {"path": "other"}}}));
    let verdict = update_set(&world, &git(&json!({})), &path);
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
    let pruned = git(&json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}}));
    let verdict = update_set(&world, &git(&json!({})), &pruned);
    assert_eq!(denied(&verdict), ["prod-auto-sync"]);
}

#[test]
fn an_application_set_that_fails_may_be_changed_as_long_as_it_fails_alike() {
    let failing = |name: &str, path: &str| {
        let mut set = set(
            &["omega"],
            &json!({"spec": {"source": {"path": path}, "syncPolicy": null}}),
        );
        set["spec"]["goTemplate"] = json!(true);
        set["spec"]["goTemplateOptions"] = json!(["missingkey=error"]);
        set["spec"]["template"]["metadata"]["name"] = json!(name);
        set["spec"]["template"]["spec"]["destination"]["name"] = json!("omega");
        set
    };
    let world = World::default();
    let old = failing("{{ .missing }}", "one");
    let verdict = update_set(&world, &old, &failing("{{ .missing }}", "two"));
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
    let verdict = update_set(&world, &old, &failing("{{ .other }}", "two"));
    assert_eq!(denied(&verdict), ["generated-applications"]);
}

fn dry_run(policy: Value, requester: &str) -> Verdict {
    let json = app(&json!({"spec": {"syncPolicy": {"automated": {}}}})).to_string();
    let subject = Subject {
        requester: Requester {
            username: requester,
        },
        dry_run: true,
        ..Subject::new(application(&json))
    };
    evaluate(&subject, &World::with_policy(policy).inventory())
}

#[test]
fn a_dry_run_of_argo_cds_controllers_is_told_and_not_refused() {
    for controller in [CONTROLLER, APPLICATION_SET_CONTROLLER] {
        let verdict = dry_run(json!({}), controller);
        assert_eq!(verdict.outcome, Outcome::Admitted);
        assert_eq!(verdict.findings[0].waiver(), Some(Waiver::DryRun));
        let line = verdict.findings[0].line();
        assert!(
            line.contains(": will be denied: auto-syncs production"),
            "{line}"
        );
    }
    let deny = json!({"admission": {"controllerDryRun": "Deny"}});
    assert_eq!(dry_run(deny, CONTROLLER).outcome, Outcome::Denied);
    let server = "system:serviceaccount:argocd:argocd-server";
    for other in [PERSON, server] {
        assert_eq!(dry_run(json!({}), other).outcome, Outcome::Denied);
    }
}

proptest! {
    /// The ratchet only ever lets pass what would be denied in a new object, and what it lets pass
    /// once it lets pass again.
    #[test]
    fn an_update_is_no_stricter_than_a_creation_and_changing_nothing_passes(
        old in parts(),
        new in parts(),
    ) {
        let (old, new) = (bad(&old), bad(&new));
        let json = new.to_string();
        let created = evaluate(&Subject::new(application(&json)), &World::default().inventory());
        let updated = update(&old, &new);
        let denied_at_creation = denied(&created);
        for rule in denied(&updated) {
            prop_assert!(denied_at_creation.contains(&rule));
        }
        let mut touched = new.clone();
        touched["metadata"]["labels"] = json!({"touched": "true"});
        prop_assert_eq!(update(&new, &touched).outcome, Outcome::Admitted);
    }
}

/// A patch that breaks some rules more than others.
fn parts() -> impl Strategy<Value = Value> {
    let project = prop::sample::select(vec!["default", "shop", ""]);
    let namespace = prop::sample::select(vec!["shop", "kube-system", "kube-public"]);
    let automated = prop::sample::select(vec![
        json!(null),
        json!({"prune": null}),
        json!({"selfHeal": true}),
        json!({"enabled": false}),
    ]);
    let revision = prop::sample::select(vec!["v1", "1.*", "HEAD", ""]);
    (project, namespace, automated, revision).prop_map(
        |(project, namespace, automated, revision)| {
            json!({"spec": {
                "project": project,
                "destination": {"namespace": namespace},
                "syncPolicy": {"automated": automated},
                "source": {"targetRevision": revision},
            }})
        },
    )
}

/// What must not pass as it was before: what is changed, and the rule that has to notice.
#[test]
fn what_looks_like_the_same_violation_and_is_another_does_not_pass() {
    let source = |repository: &str, revision: &str| json!({"repoURL": format!("https://git.example.com/shop/{repository}"), "path": ".", "targetRevision": revision});
    let sources = |sources: Value| app(&json!({"spec": {"source": null, "sources": sources}}));
    let automated = |namespace: &str| {
        app(&json!({"spec": {
            "destination": {"name": "shared", "namespace": namespace},
            "syncPolicy": {"automated": {}},
        }}))
    };
    let in_default = |cluster: &str, repository: &str| {
        app(&json!({"spec": {
            "project": "default",
            "destination": {"name": cluster},
            "source": {"repoURL": format!("https://git.example.com/shop/{repository}")},
        }}))
    };
    let world = World {
        more_clusters: vec![cluster("shared", "")],
        ..World::default()
    };
    for (rule, old, new) in [
        (
            "default-project",
            in_default("alpha", "a"),
            in_default("omega", "a"),
        ),
        (
            "default-project",
            in_default("alpha", "a"),
            in_default("alpha", "b"),
        ),
        (
            "unpinned-revision",
            sources(json!([source("a", "HEAD"), source("b", "v1")])),
            sources(json!([source("a", "v1"), source("b", "HEAD")])),
        ),
        (
            "project-scope",
            automated("toys-prod"),
            automated("payments-prod"),
        ),
    ] {
        let verdict = world.judge_update(&old, &new, PERSON);
        assert_eq!(denied(&verdict).first(), Some(&rule), "{new}");
    }
    // The place is part of what violates the rule where it is the evidence.
    let verdict = world.judge_update(&automated("toys-prod"), &automated("payments-prod"), PERSON);
    assert!(denied(&verdict).contains(&"prod-auto-sync"));
}

#[test]
fn a_cluster_that_moves_takes_old_violations_along() {
    let at = |server: &str| {
        app(&json!({"spec": {
            "project": "shop-prod",
            "destination": {"name": null, "server": server},
            "syncPolicy": {"automated": {}},
        }}))
    };
    // Its Secret says the new address already.
    let verdict = World::default().judge_update(
        &at("https://old.example.com"),
        &at("https://omega.example.com"),
        PERSON,
    );
    assert!(
        !denied(&verdict).contains(&"prod-auto-sync"),
        "{:#?}",
        lines(&verdict)
    );
}

#[test]
fn one_source_may_become_one_of_several() {
    let source =
        json!({"repoURL": "https://git.example.com/shop/a", "path": ".", "targetRevision": "HEAD"});
    let old = app(&json!({"spec": {"source": source}}));
    let new = app(&json!({"spec": {"source": null, "sources": [source]}}));
    assert_eq!(update(&old, &new).outcome, Outcome::Admitted);
    let unwritten = app(
        &json!({"spec": {"source": {"repoURL": "https://git.example.com/shop/a", "path": ".", "targetRevision": null}}}),
    );
    assert_eq!(update(&unwritten, &old).outcome, Outcome::Admitted);
}

#[test]
fn a_set_too_large_to_be_judged_is_never_as_before() {
    let many = |cluster: &str| {
        let mut set = set(&[], &json!({"spec": {"destination": {"name": cluster}}}));
        let elements: Vec<Value> = (0..10_001)
            .map(|index| json!({"cluster": index.to_string()}))
            .collect();
        set["spec"]["generators"] = json!([{"list": {"elements": elements}}]);
        set
    };
    let verdict = update_set(&World::default(), &many("alpha"), &many("omega"));
    assert_eq!(denied(&verdict), ["generated-applications"]);
}

#[test]
fn however_much_is_wrong_nothing_is_left_out_of_the_comparison() {
    let source = |index: usize| json!({"repoURL": format!("https://github.com/else/{index}"), "path": ".", "targetRevision": "v1"});
    let set_with = |count: usize, patch: &Value| {
        let sources: Vec<Value> = (0..count).map(source).collect();
        let mut set = set(
            &["omega"],
            &json!({"spec": {"source": null, "sources": sources, "syncPolicy": {"automated": null}}}),
        );
        json_patch::merge(&mut set["spec"]["template"], patch);
        set
    };
    let old = set_with(20, &json!({}));
    let world = World::default();
    let automated = json!({"spec": {"syncPolicy": {"automated": {}}}});
    for worse in [set_with(21, &json!({})), set_with(20, &automated)] {
        let verdict = update_set(&world, &old, &worse);
        assert_eq!(verdict.outcome, Outcome::Denied);
    }
    let touched = set_with(20, &json!({"metadata": {"labels": {"team": "shop"}}}));
    let verdict = update_set(&world, &old, &touched);
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:#?}", lines(&verdict));
}

/// It was believed that the first piece of evidence tells where an Application is.
#[test]
fn a_truthful_label_makes_nothing_worse() {
    let world = World {
        more_clusters: vec![cluster("shared", "")],
        ..World::default()
    };
    for evidence in [
        json!({"project": "shop-prod"}),
        json!({"destination": {"name": "shared", "namespace": "toys-prod"}}),
    ] {
        let at = |patch: &Value| {
            let mut app = app(&json!({"spec": {
                "destination": {"name": "shared"}, "syncPolicy": {"automated": {}},
            }}));
            json_patch::merge(&mut app, &json!({"spec": evidence}));
            json_patch::merge(&mut app, patch);
            app
        };
        let (bare, labelled) = (
            at(&json!({})),
            at(&json!({"metadata": {"labels": {"environment": "prod"}}})),
        );
        // Nor does taking it off again, as it is production all the same.
        for (old, new) in [(&bare, &labelled), (&labelled, &bare)] {
            let verdict = world.judge_update(old, new, PERSON);
            assert!(
                !denied(&verdict).contains(&"prod-auto-sync"),
                "{:#?}",
                lines(&verdict)
            );
        }
    }
    // Neither does a project that says by its name what the namespace said.
    let of = |project: &str| {
        app(&json!({"spec": {
            "project": project,
            "destination": {"name": "shared", "namespace": "toys-prod"},
            "syncPolicy": {"automated": {}},
        }}))
    };
    let verdict = world.judge_update(&of("shop"), &of("shop-prod"), PERSON);
    assert!(
        !denied(&verdict).contains(&"prod-auto-sync"),
        "{:#?}",
        lines(&verdict)
    );
}

#[test]
fn no_other_evidence_hides_a_move() {
    let world = World {
        more_clusters: vec![cluster("shared", "")],
        ..World::default()
    };
    let at = |patch: &Value| {
        let mut app = app(&json!({"spec": {
            "destination": {"name": "shared"}, "syncPolicy": {"automated": {}},
        }}));
        json_patch::merge(&mut app, patch);
        app
    };
    let labelled = |patch: &Value| {
        let mut app = at(&json!({"metadata": {"labels": {"environment": "prod"}}}));
        json_patch::merge(&mut app, patch);
        app
    };
    let namespace = |name: &str| json!({"spec": {"destination": {"namespace": name}}});
    let project = |name: &str| json!({"spec": {"project": name}});
    let both = |project: &str, namespace: &str| json!({"spec": {"project": project, "destination": {"namespace": namespace}}});
    for (old, new) in [
        (
            labelled(&namespace("toys-prod")),
            labelled(&namespace("payments-prod")),
        ),
        (
            at(&namespace("toys-prod")),
            labelled(&namespace("payments-prod")),
        ),
        (
            labelled(&namespace("toys-prod")),
            labelled(&namespace("payments")),
        ),
        (
            labelled(&namespace("toys")),
            labelled(&namespace("payments-prod")),
        ),
        (
            labelled(&project("shop-prod")),
            labelled(&project("bank-prod")),
        ),
        (
            at(&both("shop-prod", "toys-prod")),
            at(&both("shop-prod", "payments-prod")),
        ),
        (
            at(&both("shop-prod", "toys-prod")),
            at(&both("bank-prod", "toys-prod")),
        ),
    ] {
        let verdict = world.judge_update(&old, &new, PERSON);
        assert!(
            denied(&verdict).contains(&"prod-auto-sync"),
            "{new}: {:#?}",
            lines(&verdict)
        );
    }
}

#[test]
fn an_engine_follows_no_move_either() {
    let world = World {
        more_clusters: vec![cluster("shared", "")],
        ..World::with_policy(json!({
            "engine": {"environment": "staging"},
            "environments": [
                {"name": "staging", "match": {"words": ["staging"]}},
                {"name": "prod", "production": true, "match": {"words": ["prod"]}},
            ],
        }))
    };
    let at = |namespace: &str, label: &Value| {
        app(&json!({
            "metadata": {"labels": {"environment": label}},
            "spec": {"destination": {"name": "shared", "namespace": namespace}},
        }))
    };
    let (none, prod) = (json!(null), json!("prod"));
    let is_denied = |old: &Value, new: &Value| {
        let verdict = world.judge_update(old, new, PERSON);
        denied(&verdict).contains(&"engine-isolation")
    };
    assert!(is_denied(
        &at("toys-prod", &prod),
        &at("payments-prod", &prod)
    ));
    assert!(is_denied(
        &at("toys-prod", &none),
        &at("payments-prod", &none)
    ));
    assert!(!is_denied(&at("toys-prod", &none), &at("toys-prod", &prod)));
    assert!(!is_denied(&at("toys-prod", &prod), &at("toys-prod", &none)));
}
