//! The edges of the rules: what each denies, warns of and lets pass, line by line.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod break_glass;
mod credentials;
mod large;
mod operations;
mod projects;
mod ratchet;

use std::collections::BTreeMap;

use argocd::application::EnabledField;
use argocd::fleet::Parts;
use argocd::project::ProjectReading;
use argocd::settings::Settings;
use argocd::{Application, Cluster, Fleet};
use policy::{
    Completeness, GitOpsPolicySpec, Inventory, Level, Object, Outcome, Propagation, Requester,
    Subject, Verdict, evaluate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const CONTROLLER: &str = "system:serviceaccount:argocd:argocd-application-controller";

fn cluster(name: &str, environment: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        server: format!("https://{name}.example.com"),
        labels: BTreeMap::from([("environment".to_owned(), environment.to_owned())]),
        ..Cluster::default()
    }
}

struct World {
    settings: BTreeMap<String, String>,
    policy: Value,
    completeness: Completeness,
    enabled_field: EnabledField,
    more_clusters: Vec<Cluster>,
    more_projects: Vec<Value>,
    reading: ProjectReading,
}

impl Default for World {
    fn default() -> Self {
        World {
            settings: BTreeMap::new(),
            policy: json!({}),
            completeness: Completeness::Complete,
            enabled_field: EnabledField::Supported,
            more_clusters: Vec::new(),
            more_projects: Vec::new(),
            reading: ProjectReading::default(),
        }
    }
}

impl World {
    fn with_policy(policy: Value) -> Self {
        World {
            policy,
            ..World::default()
        }
    }

    fn inventory(&self) -> Inventory {
        let project = |name: &str| {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "argocd"},
                "spec": {
                    "sourceRepos": ["https://git.example.com/shop/*"],
                    "destinations": [{"server": "*", "namespace": "shop"}],
                },
            }))
            .unwrap()
        };
        let more = self.more_projects.iter().cloned();
        let more_projects = more.map(|project| serde_json::from_value(project).unwrap());
        let parts = Parts {
            control_plane_namespace: "argocd".to_owned(),
            projects: [project("shop"), project("default")]
                .into_iter()
                .chain(more_projects)
                .collect(),
            clusters: [cluster("alpha", "staging"), cluster("omega", "prod")]
                .into_iter()
                .chain(self.more_clusters.iter().cloned())
                .collect(),
            settings: Settings::from_config_map(&self.settings),
            ..Parts::default()
        };
        let policy: GitOpsPolicySpec = serde_json::from_value(self.policy.clone()).unwrap();
        Inventory::new(
            Fleet::read_by(parts, self.reading),
            self.completeness,
            self.enabled_field,
            policy,
        )
        .unwrap()
    }

    fn judge(&self, object: &Value) -> Vec<String> {
        let json = object.to_string();
        lines(&evaluate(
            &Subject::new(application(&json)),
            &self.inventory(),
        ))
    }

    fn judge_update(&self, old: &Value, new: &Value, requester: &str) -> Verdict {
        let (old, new) = (old.to_string(), new.to_string());
        let subject = Subject {
            requester: Requester {
                username: requester,
            },
            ..Subject::update(application(&new), application(&old))
        };
        evaluate(&subject, &self.inventory())
    }
}

fn application(json: &str) -> Object<'_> {
    Object::Application(Box::new(Application::from_json(json).unwrap()))
}

fn lines(verdict: &Verdict) -> Vec<String> {
    let line = |finding: &policy::Finding| format!("{} {}", finding.level, finding.line());
    verdict.findings.iter().map(line).collect()
}

/// An Application on production without a fault, changed by a JSON merge patch.
fn app(patch: &Value) -> Value {
    let mut app = json!({
        "metadata": {"name": "orders", "namespace": "argocd"},
        "spec": {
            "project": "shop",
            "source": {"repoURL": "https://git.example.com/shop/orders.git", "path": "deploy", "targetRevision": "v1"},
            "destination": {"name": "omega", "namespace": "shop"},
            "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}],
            "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
        },
    });
    json_patch::merge(&mut app, patch);
    app
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_good_application_passes() {
    assert_eq!(World::default().judge(&app(&json!({}))), nothing());
}

#[test]
fn each_violation_is_one_line_and_they_come_in_a_stable_order() {
    let bad = json!({
        "metadata": {"name": "orders", "namespace": "argocd"},
        "spec": {
            "project": "",
            "source": {"repoURL": "https://user:hunter2@github.com/else/where", "path": "."},
            "destination": {"server": "https://omega.example.com/", "namespace": "kube-system"},
            "syncPolicy": {"automated": {}},
        },
    });
    insta::assert_snapshot!(World::default().judge(&bad).join("\n"), @"
    deny project-scope: spec.source.repoURL: AppProject default does not permit https://github.com/else/where; use a repository of its sourceRepos
    deny project-scope: spec.destination: AppProject default does not permit namespace 'kube-system' on https://omega.example.com, but 'shop' there; use one of its destinations
    deny default-project: spec.project: an empty project means `default`, which permits everything unless cut down; name your team's AppProject for this environment
    deny prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster omega): an empty `automated` is on, not off; remove `automated` or set `enabled: false` in it
    deny replicas-ignored: spec.ignoreDifferences: an autoscaler's replicas are overwritten by every sync; ignore /spec/replicas and set RespectIgnoreDifferences=true
    deny unpinned-revision: spec.source.targetRevision: follows whatever is newest, as nothing is written; write a tag or a full commit
    ");
}

#[test]
fn automated_sync_says_what_its_author_probably_believed() {
    let judged = |automated: Value, world: &World| {
        world
            .judge(&app(
                &json!({"spec": {"syncPolicy": {"automated": automated}}}),
            ))
            .join("\n")
    };
    let world = World::default();
    let old = World {
        enabled_field: EnabledField::Dropped,
        ..World::default()
    };
    let all = [
        judged(json!({}), &world),
        judged(json!({"prune": false, "selfHeal": false}), &world),
        judged(json!({"prune": true}), &world),
        judged(json!({"selfHeal": true}), &world),
        judged(
            json!({"enabled": true, "prune": true, "selfHeal": true}),
            &world,
        ),
        judged(json!({"enabled": false, "selfHeal": true}), &world),
        judged(json!({"enabled": false}), &old),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    deny prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster omega): an empty `automated` is on, not off; remove `automated` or set `enabled: false` in it
    deny prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster omega): `prune: false` and `selfHeal: false` do not turn it off; remove `automated` or set `enabled: false` in it
    deny prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster omega): every commit is applied and pruned at once; remove `automated` or set `enabled: false` in it
    deny prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster omega): every commit is applied and healed at once; remove `automated` or set `enabled: false` in it
    deny prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster omega): every commit is applied, pruned and healed at once; remove `automated` or set `enabled: false` in it

    deny prod-auto-sync: spec.syncPolicy.automated: auto-syncs production (labels of cluster omega): `automated: {}` is on, and this Argo CD drops `enabled: false`; remove `automated`
    ");
}

#[test]
fn staging_may_sync_by_itself_and_overwrite_replicas() {
    let staging = json!({"spec": {
        "destination": {"name": "alpha"},
        "syncPolicy": {"automated": {}},
        "ignoreDifferences": null,
    }});
    assert_eq!(World::default().judge(&app(&staging)), nothing());
}

#[test]
fn any_evidence_makes_production() {
    let world = World::default();
    for patch in [
        json!({"spec": {"destination": {"name": null, "server": "https://omega.example.com"}}}),
        json!({"metadata": {"labels": {"env": "production"}}, "spec": {"destination": {"name": "alpha"}}}),
    ] {
        let mut automated = app(&patch);
        automated["spec"]["syncPolicy"]["automated"] = json!({});
        let found = world.judge(&automated);
        assert!(
            found
                .iter()
                .any(|line| line.contains("auto-syncs production")),
            "{found:?}"
        );
    }
}

#[test]
fn replicas_count_as_ignored_in_every_way_argo_cd_has() {
    let world = World::default();
    let entries = [
        json!({"group": "apps", "kind": "Deployment", "jqPathExpressions": [".spec.replicas"]}),
        json!({"group": "apps", "kind": "StatefulSet", "managedFieldsManagers": ["kube-controller-manager"]}),
        json!({"group": "*", "kind": "*", "jsonPointers": ["/spec"]}),
        json!({"group": "argoproj.io", "kind": "Rollout", "jsonPointers": ["/spec/replicas"]}),
        json!({"group": "apps", "kind": "Deployment", "name": "web", "namespace": "other", "jsonPointers": ["/spec/replicas"]}),
    ];
    for entry in entries {
        let judged = world.judge(&app(&json!({"spec": {"ignoreDifferences": [entry]}})));
        assert_eq!(judged, nothing(), "{entry}");
    }
}

#[test]
fn every_kind_of_workload_that_was_seen_must_be_ignored() {
    let with = |kinds: &[(&str, &str)], ignored: &Value| {
        let resources: Vec<Value> = kinds
            .iter()
            .map(|(group, kind)| json!({"group": group, "kind": kind}))
            .collect();
        World::default().judge(&app(&json!({
            "spec": {"ignoreDifferences": [ignored]},
            "status": {"resources": resources},
        })))
    };
    let deployments =
        json!({"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]});
    let controllers = json!({"kind": "ReplicationController", "jsonPointers": ["/spec/replicas"]});
    let everything = json!({"group": "*", "kind": "*", "jsonPointers": ["/spec/replicas"]});
    let both = [("apps", "Deployment"), ("apps", "StatefulSet")];
    assert_eq!(with(&both[..1], &deployments), nothing());
    assert_eq!(with(&both, &everything), nothing());
    assert_eq!(
        with(&[("", "ReplicationController")], &controllers),
        nothing()
    );
    assert_eq!(with(&[], &controllers).len(), 1);
    insta::assert_snapshot!(with(&both, &deployments).join("\n"), @"warn replicas-ignored: spec.ignoreDifferences: the replicas of a StatefulSet are not ignored; ignore them too, if an autoscaler scales it");
}

#[test]
fn replicas_do_not_count_as_ignored_where_the_entry_misses_them() {
    let world = World::default();
    let entries = [
        json!({"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}),
        json!({"group": "apps", "kind": "deployment", "jsonPointers": ["/spec/replicas"]}),
        json!({"group": "apps", "kind": "Deployment", "jsonPointers": ["spec/replicas"]}),
        json!({"group": "apps", "kind": "Deployment", "managedFieldsManagers": ["horizontal-pod-autoscaler"]}),
        json!({"group": "apps", "kind": "Deployment", "jqPathExpressions": [".spec.template"]}),
    ];
    for entry in entries {
        let judged = world.judge(&app(&json!({"spec": {"ignoreDifferences": [entry]}})));
        assert_eq!(judged.len(), 1, "{entry}: {judged:?}");
        assert!(judged[0].starts_with("deny replicas-ignored"), "{judged:?}");
    }
}

#[test]
fn a_jq_path_that_does_not_compile_does_not_pass() {
    let world = World::default();
    let judged = |expression: &str| {
        world
            .judge(&app(&json!({"spec": {"ignoreDifferences": [
                {"group": "apps", "kind": "Deployment", "jqPathExpressions": [expression], "jsonPointers": ["/spec/replicas"]},
            ]}})))
            .join("\n")
    };
    assert_eq!(judged("[range(1e9)]"), "");
    insta::assert_snapshot!(judged(".["), @"deny replicas-ignored: spec.ignoreDifferences: the jq path .[ is not valid jq; write jsonPointers: [/spec/replicas]");
}

/// What `ignoreDifferences` of these entries is said to be.
fn judge_ignores(entries: &Value) -> Vec<String> {
    World::default().judge(&app(&json!({"spec": {"ignoreDifferences": entries}})))
}

/// They had been left out as if they hid nothing, and so were denied.
#[test]
fn a_jq_path_that_looks_at_what_is_in_an_object_is_undecided() {
    for expression in [
        r#"select(.metadata.labels.autoscaled == "true") | .spec.replicas"#,
        r#"select(.metadata.labels.autoscaled == "true").spec.replicas"#,
        r#"select(.metadata.annotations["example.com/scaled"]) | .spec.replicas"#,
        r#"select(.metadata.labels | has("autoscaled")) | .spec["replicas"]"#,
        r#"select(.metadata.name | test("^shop-")) | .spec.replicas"#,
        r#"select(.spec.template.spec.containers[].name == "shop") | .spec.replicas"#,
        r#"if .metadata.labels.autoscaled == "true" then .spec.replicas else empty end"#,
        ".metadata.labels as $labels | select($labels.autoscaled) | .spec.replicas",
        ".spec | select(.minReadySeconds > 5) | .replicas",
    ] {
        let judged = judge_ignores(&json!([
            {"group": "apps", "kind": "Deployment", "jqPathExpressions": [expression]},
        ]));
        let [line] = &judged[..] else {
            panic!("{expression}: {judged:?}");
        };
        assert!(
            line.starts_with(
                "undecided replicas-ignored: spec.ignoreDifferences: a jq path may hide"
            ),
            "{expression}: {line}"
        );
    }
}

/// gojq evaluates them, so Argo CD ignores what they select.
#[test]
fn a_jq_path_may_work_out_where_the_replicas_are() {
    for expression in [
        r#".spec["rep" + "licas"]"#,
        r#"getpath(["spec", "replicas"])"#,
        "first(.spec.replicas, .spec.paused)",
        "limit(1; .spec.replicas)",
        r#""replicas" as $name | .spec[$name]"#,
        ".. | .replicas?",
        ".spec | .replicas, .minReadySeconds",
        "paths(numbers) as $path | getpath($path)",
        r#"select(.kind == "Deployment") | .spec.replicas"#,
        "def scaled: .spec; scaled.replicas",
    ] {
        let judged = judge_ignores(&json!([
            {"group": "apps", "kind": "Deployment", "jqPathExpressions": [expression]},
        ]));
        assert_eq!(judged, nothing(), "{expression}");
    }
}

#[test]
fn a_jq_path_that_takes_too_much_work_is_undecided() {
    let judged = judge_ignores(&json!([
        {"group": "apps", "kind": "Deployment", "jqPathExpressions": ["last(range(1e12)) | .spec.replicas"]},
    ]));
    assert_eq!(judged.len(), 1, "{judged:?}");
    assert!(
        judged[0].starts_with("undecided replicas-ignored"),
        "{judged:?}"
    );
}

/// Argo CD then compares nothing of the Application.
#[test]
fn a_jq_path_that_leaves_nothing_to_compare_is_denied() {
    let judged = judge_ignores(&json!([
        {"group": "apps", "kind": "Deployment", "jqPathExpressions": ["."]},
    ]));
    insta::assert_snapshot!(judged.join("\n"), @"deny replicas-ignored: spec.ignoreDifferences: a jq path deletes the whole object, so nothing is compared; write jsonPointers: [/spec/replicas]");
}

/// A pattern had been taken for a name that an object may have.
#[test]
fn a_pattern_in_a_name_ignores_nothing() {
    for (name, namespace) in [
        ("shop-*", ""),
        ("*", ""),
        ("shop-?", ""),
        ("shop-[ab]", ""),
        ("Shop", ""),
        (" shop", ""),
        ("", "web-*"),
        ("shop", "*"),
    ] {
        let judged = judge_ignores(&json!([{
            "group": "apps", "kind": "Deployment", "name": name, "namespace": namespace,
            "jsonPointers": ["/spec/replicas"],
        }]));
        assert_eq!(judged.len(), 1, "{name} {namespace}: {judged:?}");
        assert!(
            judged[0].starts_with("deny replicas-ignored: spec.ignoreDifferences: no entry hides"),
            "{name} {namespace}: {judged:?}"
        );
    }
}

#[test]
fn a_misspelt_sync_option_is_named() {
    let judge = |options: Value| {
        let judged = World::default().judge(&app(
            &json!({"spec": {"syncPolicy": {"syncOptions": options}}}),
        ));
        judged.join("\n")
    };
    for option in [
        "RespectIgnoreDifferences",
        "RespectIgnoreDifferences = true",
        "RespectIgnoreDifferences: true",
        "RespectIgnoreDifferences=True",
        "RespectIgnoreDifferences=true ",
        "respectIgnoreDifferences=true",
        "Respect-Ignore-Differences=true",
    ] {
        let judged = judge(json!(["CreateNamespace=true", option]));
        let start = format!(
            "warn replicas-ignored: spec.syncPolicy.syncOptions: Argo CD knows no sync option {option:?}, "
        );
        assert!(judged.starts_with(&start), "{judged}");
    }
    insta::assert_snapshot!(judge(json!(["RespectIgnoreDifferences: true"])), @r#"warn replicas-ignored: spec.syncPolicy.syncOptions: Argo CD knows no sync option "RespectIgnoreDifferences: true", so syncs still write the replicas; write RespectIgnoreDifferences=true"#);
    assert!(!judge(json!(["RespectIgnoreDifferences=false"])).contains("sync option"));
    assert_eq!(
        judge(json!([
            "RespectIgnoreDifferences : true",
            "RespectIgnoreDifferences=true"
        ])),
        ""
    );
}

#[test]
fn settings_that_cannot_be_read_are_told_by_their_key() {
    for (key, value) in [
        (
            "resource.customizations.ignoreDiferences.apps_Deployment",
            "jsonPointers: [/spec/replicas]",
        ),
        (
            "resource.customizations.ignoreDifferences.apps_Deployment",
            "jsonPointers: /spec/replicas",
        ),
        (
            "resource.customizations.knownTypeFields.apps_Deployment",
            "field: spec",
        ),
        ("resource.customizations.useOpenLibs.apps_Deployment", "yes"),
        ("resource.customizations", "[]"),
        ("resource.compareoptions", "ignoreAggregatedRoles: 'no'"),
    ] {
        let mut world = World::default();
        world.settings.insert(key.to_owned(), value.to_owned());
        let judged = world.judge(&app(&json!({})));
        let message = format!(
            "deny replicas-ignored: spec.ignoreDifferences: {key} of argocd-cm cannot be read, so nothing is compared"
        );
        assert_eq!(judged.len(), 1, "{key}: {judged:?}");
        assert!(judged[0].starts_with(&message), "{judged:?}");
    }
}

#[test]
fn the_system_wide_setting_counts() {
    let mut world = World::default();
    let without = app(&json!({"spec": {"ignoreDifferences": null}}));
    assert_eq!(world.judge(&without).len(), 1);
    let key = "resource.customizations.ignoreDifferences.apps_Deployment";
    let value = "jsonPointers: [/spec/replicas]";
    world.settings.insert(key.to_owned(), value.to_owned());
    assert_eq!(world.judge(&without), nothing());
}

#[test]
fn an_ignore_that_syncs_do_not_respect_is_a_warning() {
    let judged = World::default().judge(&app(&json!({"spec": {"syncPolicy": null}})));
    insta::assert_snapshot!(judged.join("\n"), @"warn replicas-ignored: spec.syncPolicy.syncOptions: the ignored replicas are still written by every sync; add RespectIgnoreDifferences=true");
}

#[test]
fn an_application_may_say_that_nothing_scales_it() {
    let patch = json!({
        "metadata": {"annotations": {"kubectl-gitops.io/autoscaled": "false"}},
        "spec": {"ignoreDifferences": null},
    });
    assert_eq!(World::default().judge(&app(&patch)), nothing());
}

#[test]
fn the_policy_may_require_the_ignore_only_where_an_autoscaler_is_known() {
    let require = |when: &str| json!({"rules": {"replicas-ignored": {"require": when}}});
    let seen = |kind: &str| {
        app(&json!({
            "spec": {"ignoreDifferences": null},
            "status": {"resources": [{"group": "autoscaling", "kind": kind, "name": "web"}]},
        }))
    };
    let when_autoscaled = World::with_policy(require("WhenAutoscaled"));
    assert_eq!(
        when_autoscaled
            .judge(&seen("HorizontalPodAutoscaler"))
            .len(),
        1
    );
    assert_eq!(when_autoscaled.judge(&seen("Other")), nothing());
    let never = World::with_policy(require("Never"));
    assert_eq!(never.judge(&seen("HorizontalPodAutoscaler")), nothing());
}

#[test]
fn fixes_are_patches_that_put_it_right() {
    let world = World::default();
    for patch in [
        json!({"spec": {"syncPolicy": null, "ignoreDifferences": null}}),
        json!({"spec": {"syncPolicy": {"automated": {}, "syncOptions": null}}}),
        json!({"spec": {"syncPolicy": {"syncOptions": ["CreateNamespace=true"]}, "ignoreDifferences": [{"kind": "Service"}]}}),
        json!({"spec": {"syncPolicy": {"syncOptions": null, "retry": {"limit": 3}}}}),
        json!({"spec": {"syncPolicy": {"syncOptions": ["Prune=false", "RespectIgnoreDifferences: true"]}}}),
        json!({"spec": {"syncPolicy": {"syncOptions": ["RespectIgnoreDifferences"]}, "ignoreDifferences": null}}),
    ] {
        let mut fixed = app(&patch);
        let json = fixed.to_string();
        let verdict = evaluate(&Subject::new(application(&json)), &world.inventory());
        assert!(!verdict.findings.is_empty(), "{patch}");
        // A later patch may add beside what an earlier one added.
        for _ in &verdict.findings {
            let json = fixed.to_string();
            let verdict = evaluate(&Subject::new(application(&json)), &world.inventory());
            if let Some(finding) = verdict.findings.first() {
                json_patch::patch(&mut fixed, finding.patch.as_ref().unwrap()).unwrap();
            }
        }
        assert_eq!(world.judge(&fixed), nothing(), "{fixed}");
        assert_eq!(
            fixed["spec"]["syncPolicy"].get("retry"),
            app(&patch)["spec"]["syncPolicy"].get("retry")
        );
    }
}

#[test]
fn the_policy_decides_what_becomes_of_a_finding() {
    let default_project = app(&json!({"spec": {"project": "default"}}));
    let levels = |rule: Value| -> Vec<Level> {
        let world = World::with_policy(json!({"rules": {"default-project": rule}}));
        let json = default_project.to_string();
        let verdict = evaluate(&Subject::new(application(&json)), &world.inventory());
        verdict
            .findings
            .iter()
            .map(|finding| finding.level)
            .collect()
    };
    let exempt = |entry: Value| json!({"exempt": [entry]});
    assert_eq!(levels(json!({})), [Level::Deny]);
    assert_eq!(levels(json!({"action": "Warn"})), [Level::Warn]);
    assert_eq!(levels(json!({"action": "Off"})), []);
    assert_eq!(levels(json!({"environments": []})), []);
    assert_eq!(levels(json!({"environments": ["prod"]})), [Level::Deny]);
    assert_eq!(
        levels(exempt(
            json!({"applications": ["argocd/ord*"], "clusters": ["omega"], "reason": "root"})
        )),
        [Level::Warn]
    );
    assert_eq!(
        levels(exempt(
            json!({"applications": ["argocd/ord*"], "clusters": ["alpha"], "reason": "root"})
        )),
        [Level::Deny]
    );
}

#[test]
fn a_policy_that_contradicts_itself_is_refused() {
    let invalid = |policy: Value| {
        let spec: GitOpsPolicySpec = serde_json::from_value(policy).unwrap();
        let fleet = Fleet::new(Parts::default());
        Inventory::new(fleet, Completeness::Complete, EnabledField::Supported, spec)
            .unwrap_err()
            .to_string()
    };
    let rule = |settings: Value| json!({"rules": {"prod-auto-sync": settings}});
    let all = [
        invalid(rule(json!({"environments": ["production"]}))),
        invalid(rule(
            json!({"exempt": [{"projects": ["a"], "reason": " "}]}),
        )),
        invalid(rule(json!({"exempt": [{"reason": "all"}]}))),
        invalid(rule(
            json!({"exempt": [{"projects": ["[a"], "reason": "a"}]}),
        )),
        invalid(json!({"environments": [{"name": "a", "match": {}}, {"name": "a", "match": {}}]})),
        invalid(json!({"engine": {"environment": "staging"}})),
        invalid(json!({"environments": [{"name": "a", "match": {"destinations": ["[z-a]"]}}]})),
        invalid(json!({"environments": [{"name": "a", "match": {"accounts": ["44445555666a"]}}]})),
        invalid(
            json!({"environments": [{"name": "a", "match": {"clusters": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}}]}),
        ),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    spec.rules.prod-auto-sync.environments: there is no environment "production"
    spec.rules.prod-auto-sync.exempt[0]: reason is required
    spec.rules.prod-auto-sync.exempt[0]: one of projects, applications, clusters is required
    spec.rules.prod-auto-sync.exempt[0].projects: "[a" is not a valid glob
    spec.environments: the name "a" is there twice
    spec.engine.environment: there is no environment "staging"
    spec.environments[0].match.destinations: "[z-a]" is not a valid glob
    spec.environments[0].match.accounts: "44445555666a" is not the number of an AWS account: expected twelve digits in quotes
    spec.environments[0].match.clusters.matchExpressions[0].operator: the operator "Is" is none of In, NotIn, Exists, DoesNotExist
    "#);
}

#[test]
fn environments_of_the_policy_replace_the_built_in_one() {
    let world = World::with_policy(json!({"environments": [
        {"name": "live", "production": true, "match": {"clusters": {"matchLabels": {"environment": "staging"}}}},
    ]}));
    let automated = |destination: &str| {
        world.judge(&app(&json!({"spec": {
            "destination": {"name": destination},
            "syncPolicy": {"automated": {}},
        }})))
    };
    assert_eq!(automated("omega"), nothing());
    assert_eq!(automated("alpha").len(), 1);
}

#[test]
fn files_leave_undecided_what_may_be_elsewhere() {
    let world = World {
        completeness: Completeness::Partial,
        ..World::default()
    };
    let elsewhere = app(&json!({"spec": {
        "project": "unknown",
        "destination": {"name": "delta"},
        "syncPolicy": {"automated": {}},
    }}));
    let unknown_cluster = app(&json!({"spec": {"destination": {"name": "delta"}}}));
    let all = [
        world.judge(&elsewhere).join("\n"),
        world.judge(&unknown_cluster).join("\n"),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    undecided project-scope: spec.project: AppProject unknown is not among the files; add it with --facts
    undecided prod-auto-sync: spec.syncPolicy.automated: cluster delta is not among the files: if it is production, auto-syncs production: an empty `automated` is…; remove `automated` or set `enabled: false` in it
    undecided project-scope: spec.destination: cluster delta is not among the files; add its Secret with --facts
    ");
    let complete = World::default().judge(&unknown_cluster).join("\n");
    insta::assert_snapshot!(complete, @"deny project-scope: spec.destination: Argo CD knows no cluster delta; use the name or server of a cluster Secret");
}

#[test]
fn ambiguous_destinations_are_denied() {
    let world = World::default();
    let judged = |destination: Value| {
        let mut app = app(&json!({}));
        app["spec"]["destination"] = destination;
        world.judge(&app).join("\n")
    };
    let all = [
        judged(
            json!({"name": "omega", "server": "https://omega.example.com", "namespace": "shop"}),
        ),
        judged(json!({"namespace": "shop"})),
        judged(json!({"name": "omega", "namespace": "kube-system"})),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    deny project-scope: spec.destination: both name and server are set; remove one of them
    deny project-scope: spec.destination: neither name nor server is set; set one of them
    deny project-scope: spec.destination: AppProject shop does not permit namespace 'kube-system' on omega, but 'shop' there; use one of its destinations
    ");
}

#[test]
fn what_no_rule_reads_is_not_judged_again() {
    let violating = app(&json!({"spec": {"project": "default", "syncPolicy": {"automated": {}}}}));
    let unchanged = |patch: Value| {
        let mut new = violating.clone();
        json_patch::merge(&mut new, &patch);
        World::default()
            .judge_update(&violating, &new, CONTROLLER)
            .outcome
    };
    for patch in [
        json!({}),
        json!({"status": {"sync": {"status": "Synced"}}}),
        json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}}),
        json!({"metadata": {"annotations": {
            "argocd.argoproj.io/refresh": "normal",
            "argocd.argoproj.io/refresh-timestamp": "2026-11-30T08:00:00.123456789Z",
            "argocd.argoproj.io/hydrate": "normal",
            "argocd.argoproj.io/hydrate-timestamp": "2026-11-30T08:00:00.123456789Z",
        }}}),
        json!({"metadata": {"annotations": {"argocd.argoproj.io/deletion-approved": "2026-11-30T08:00:00Z"}}}),
        json!({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}),
        json!({"spec": {"project": ""}}),
        json!({"spec": {"syncPolicy": {"automated": {"prune": false, "selfHeal": false}}}}),
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
    ] {
        assert_eq!(unchanged(patch.clone()), Outcome::Unchanged, "{patch}");
    }
    // Labels can be evidence, so that it is judged, and found no worse.
    assert_eq!(
        unchanged(json!({"metadata": {"labels": {"a": "b"}}})),
        Outcome::Admitted
    );
    assert_eq!(
        unchanged(json!({"spec": {"destination": {"namespace": "x"}}})),
        Outcome::Denied
    );
}

#[test]
fn an_ordinary_sync_passes_whatever_the_spec_says() {
    let source = json!({"repoURL": "https://git.example.com/shop/orders.git", "path": "deploy", "targetRevision": "v1"});
    let violating = app(&json!({"spec": {"syncPolicy": {"automated": {}}}}));
    let mut synced = violating.clone();
    synced["operation"] = json!({"initiatedBy": {"automated": true}, "sync": {"revision": "0123456789abcdef0123456789abcdef01234567", "source": source}});
    let verdict = World::default().judge_update(&violating, &synced, CONTROLLER);
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:?}", lines(&verdict));
}

#[test]
fn an_operation_by_hand_is_judged() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let compared = app(&json!({"status": {"sync": {"revision": commit}}}));
    let judged = |sync: Value| {
        let mut new = compared.clone();
        new["operation"] = json!({"initiatedBy": {"username": "system:serviceaccount:argocd:argocd-server"}, "sync": sync});
        lines(&World::default().judge_update(&compared, &new, "alice@example.com")).join("\n")
    };
    assert_eq!(judged(json!({})), "");
    assert_eq!(judged(json!({"revision": "v1"})), "");
    assert_eq!(judged(json!({"revision": commit})), "");
    let all = [
        judged(json!({"revision": "hotfix"})),
        judged(json!({"revision": "fedcba9876543210fedcba9876543210fedcba98"})),
        judged(json!({"source": {"repoURL": "https://github.com/else/where", "path": "."}})),
        judged(
            json!({"sources": [{"repoURL": "https://git.example.com/shop/orders.git", "path": "other"}]}),
        ),
        judged(json!({"manifests": ["{}"]})),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    deny operation-override: operation.sync.revision: syncs revision hotfix to production, the spec says v1; leave it out, or change targetRevision
    deny operation-override: operation.sync.revision: syncs revision fedcba9876543210fedcba9876543210fedcba98 to production, the spec says v1; leave it out, or change targetRevision
    deny project-scope: operation.sync.source.repoURL: AppProject shop does not permit https://github.com/else/where; use a repository of its sourceRepos
    deny operation-override: operation.sync.source: syncs another source than the spec's to production; sync the Application as it is, or change its spec
    deny operation-override: operation.sync.sources: syncs another source than the spec's to production; sync the Application as it is, or change its spec
    deny project-scope: operation.sync.manifests: literal manifests come from no repository that the AppProject permits; commit them, then sync the Application as it is
    deny operation-override: operation.sync.manifests: applies literal manifests to production in place of the spec's source; commit them, then sync the Application as it is
    ");
}

/// They were believed to concern production only, but Argo CD checks them against no project's
/// `sourceRepos`.
#[test]
fn literal_manifests_are_refused_in_every_environment_and_project() {
    let on_staging = json!({"spec": {"destination": {"name": "alpha"}}});
    let of_no_project = json!({"spec": {"destination": {"name": "alpha"}, "project": "missing"}});
    for spec in [on_staging, of_no_project] {
        let old = app(&spec);
        let mut new = old.clone();
        new["operation"] = json!({"sync": {"manifests": ["{}"]}});
        let verdict = World::default().judge_update(&old, &new, CONTROLLER);
        assert_eq!(
            lines(&verdict),
            [
                "deny project-scope: operation.sync.manifests: literal manifests come from no repository that the \
                AppProject permits; commit them, then sync the Application as it is"
            ]
        );
    }
}

#[test]
fn an_operation_is_compared_with_the_sources_that_count() {
    let source = |path: &str| json!({"repoURL": "https://git.example.com/shop/orders.git", "path": path, "targetRevision": "v1"});
    let judged = |spec: Value, sync: Value| {
        let old = app(&json!({"spec": spec}));
        let mut new = old.clone();
        new["operation"] = json!({"sync": sync});
        let verdict = World::default().judge_update(&old, &new, CONTROLLER);
        verdict.outcome
    };
    let several = || json!({"source": source("ignored"), "sources": [source("a"), source("b")]});
    let hydrated = || {
        json!({"source": source("ignored"), "sourceHydrator": {
            "drySource": {"repoURL": "https://git.example.com/shop/orders.git", "path": "dry"},
            "syncSource": {"targetBranch": "v1", "path": "a"},
        }})
    };
    for (spec, sync) in [
        (several(), json!({"sources": [source("a"), source("b")]})),
        (
            several(),
            json!({"source": source("a"), "sources": [source("a"), source("b")]}),
        ),
        (hydrated(), json!({"source": source("a")})),
    ] {
        assert_eq!(judged(spec, sync.clone()), Outcome::Admitted, "{sync}");
    }
    for (spec, sync) in [
        (several(), json!({"source": source("ignored")})),
        (several(), json!({"source": source("a")})),
        (several(), json!({"sources": [source("a")]})),
        (hydrated(), json!({"source": source("ignored")})),
        (
            json!({}),
            json!({"source": {"repoURL": "https://git.example.com/shop/orders.git", "path": "deploy", "targetRevision": "v1",
            "helm": {"valuesObject": {"networkPolicy": {"enabled": false}}}}}),
        ),
    ] {
        assert_eq!(judged(spec, sync.clone()), Outcome::Denied, "{sync}");
    }
}

#[test]
fn a_pending_operation_does_not_move_to_production_unseen() {
    let pending = json!({"retry": {"limit": -1}, "sync": {"manifests": ["{}"]}});
    let mut old = app(&json!({"spec": {"destination": {"name": "alpha"}}}));
    old["operation"] = pending.clone();
    let mut new = app(&json!({}));
    new["operation"] = pending;
    let verdict = World::default().judge_update(&old, &new, "alice@example.com");
    assert_eq!(verdict.outcome, Outcome::Denied);
}

#[test]
fn a_pending_revision_does_not_move_to_production_unseen() {
    let mut old = app(&json!({"spec": {"destination": {"name": "alpha"}}}));
    old["operation"] = json!({"sync": {"revision": "hotfix"}});
    let mut new = app(&json!({}));
    new["operation"] = old["operation"].clone();
    let verdict = World::default().judge_update(&old, &new, "alice@example.com");
    assert_eq!(verdict.outcome, Outcome::Denied);
    // Nor does the source that the spec had on staging.
    let mut old =
        app(&json!({"spec": {"destination": {"name": "alpha"}, "source": {"path": "other"}}}));
    old["operation"] = json!({"sync": {"source": old["spec"]["source"]}});
    let mut new = app(&json!({}));
    new["operation"] = old["operation"].clone();
    let verdict = World::default().judge_update(&old, &new, "alice@example.com");
    assert_eq!(verdict.outcome, Outcome::Denied);
}

#[test]
fn nobody_but_argo_cd_writes_a_running_operation_state() {
    let old =
        app(&json!({"spec": {"destination": {"name": "alpha"}, "syncPolicy": {"automated": {}}}}));
    let state = |phase: &str| {
        let mut new = old.clone();
        new["operation"] = json!({"sync": {}});
        new["status"] = json!({"operationState": {"phase": phase, "operation": {"sync": {"manifests": ["{}"]}}}});
        new
    };
    let judged = |phase: &str, requester: &str| {
        World::default()
            .judge_update(&old, &state(phase), requester)
            .outcome
    };
    assert_eq!(judged("Running", "alice@example.com"), Outcome::Denied);
    assert_eq!(judged("", "alice@example.com"), Outcome::Denied);
    assert_eq!(judged("Running", CONTROLLER), Outcome::Admitted);
    // What is over is history, as a backup brings it back.
    assert_eq!(judged("Succeeded", "alice@example.com"), Outcome::Admitted);
}

#[test]
fn a_revision_from_git_is_not_argo_cds_own() {
    let mut new = app(&json!({}));
    new["operation"] = json!({"sync": {"revision": "0123456789abcdef0123456789abcdef01234567"}});
    let json = new.to_string();
    let subject = Subject {
        requester: Requester {
            username: CONTROLLER,
        },
        ..Subject::new(application(&json))
    };
    let verdict = evaluate(&subject, &World::default().inventory());
    assert_eq!(verdict.outcome, Outcome::Denied);
    let branch = json!({"sync": {"revision": "hotfix"}});
    let old = app(&json!({}));
    let mut new = old.clone();
    new["operation"] = branch;
    let verdict = World::default().judge_update(&old, &new, CONTROLLER);
    assert_eq!(verdict.outcome, Outcome::Denied);
}

#[test]
fn head_is_no_revision_and_charts_resolve_to_versions() {
    let judged = |source: &Value, compared: &str, revision: &str| {
        let mut old = app(&json!({"status": {"sync": {"revision": compared}}}));
        old["spec"]["source"] = source.clone();
        let mut new = old.clone();
        new["operation"] = json!({"sync": {"revision": revision}});
        World::default()
            .judge_update(&old, &new, "alice@example.com")
            .outcome
    };
    let git = json!({"repoURL": "https://git.example.com/shop/orders.git", "path": "deploy"});
    assert_eq!(judged(&git, "", "HEAD"), Outcome::Admitted);
    let chart = json!({"repoURL": "https://git.example.com/shop/charts", "chart": "orders", "targetRevision": "1.2.*"});
    assert_eq!(judged(&chart, "1.2.3", "1.2.3"), Outcome::Admitted);
    assert_eq!(judged(&chart, "1.2.3", "1.3.0"), Outcome::Denied);
}

#[test]
fn a_second_secret_for_a_cluster_does_not_take_it_out_of_production() {
    let mut alias = cluster("aaa", "staging");
    alias.server = "https://omega.example.com".to_owned();
    let world = World {
        more_clusters: vec![alias],
        ..World::default()
    };
    for destination in [
        json!({"name": "omega"}),
        json!({"name": null, "server": "https://omega.example.com"}),
    ] {
        let judged = world.judge(&app(
            &json!({"spec": {"destination": destination, "syncPolicy": {"automated": {}}}}),
        ));
        assert!(judged[0].contains("auto-syncs production"), "{judged:?}");
    }
}

#[test]
fn entries_without_measure_are_undecided_in_no_time() {
    let many = |count: usize, entry: &Value| {
        app(&json!({"spec": {"ignoreDifferences": vec![entry; count]}}))
    };
    let named =
        json!({"group": "apps", "kind": "Deployment", "name": "a", "jsonPointers": ["/metadata"]});
    let long = json!({"group": "apps", "kind": "*".repeat(100_000)});
    let wide = json!({"group": "apps", "kind": "Deployment", "jsonPointers": vec!["/a"; 2_000]});
    let all: Vec<String> = [many(1_000, &named), many(1, &long), many(1, &wide)]
        .iter()
        .flat_map(|app| World::default().judge(app))
        .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    undecided replicas-ignored: spec.ignoreDifferences: more than 256 entries are not judged; write jsonPointers: [/spec/replicas]
    undecided replicas-ignored: spec.ignoreDifferences: more than 512 bytes in a pattern or pointer are not judged; write jsonPointers: [/spec/replicas]
    undecided replicas-ignored: spec.ignoreDifferences: more than 1024 pointers, paths and managers are not judged; write jsonPointers: [/spec/replicas]
    ");
}

#[test]
fn a_jq_path_of_another_kind_does_not_spoil_what_a_pointer_hides() {
    let judged = World::default().judge(&app(&json!({"spec": {"ignoreDifferences": [
        {"group": "admissionregistration.k8s.io", "kind": "MutatingWebhookConfiguration", "jqPathExpressions": [".webhooks[].rules[].resources[]"]},
        {"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]},
    ]}})));
    assert_eq!(judged, nothing());
}

#[test]
fn an_edit_during_an_ordinary_sync_passes() {
    let mut old = app(&json!({}));
    old["operation"] = json!({"sync": {"revision": "v1", "source": old["spec"]["source"]}});
    let mut new = old.clone();
    new["spec"]["source"]["targetRevision"] = json!("v2");
    let verdict = World::default().judge_update(&old, &new, "alice@example.com");
    assert_eq!(verdict.outcome, Outcome::Admitted, "{:?}", lines(&verdict));
}

#[test]
fn a_status_that_comes_along_vouches_for_nothing() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let old = app(&json!({}));
    let mut new = app(&json!({"status": {"sync": {"revision": commit}}}));
    new["operation"] = json!({"sync": {"revision": commit}});
    let verdict = World::default().judge_update(&old, &new, "alice@example.com");
    assert_eq!(verdict.outcome, Outcome::Denied);
}

#[test]
fn every_source_that_counts_is_pinned_on_production() {
    let git = |revision: &str| json!({"repoURL": "https://git.example.com/shop/orders.git", "path": "deploy", "targetRevision": revision});
    let chart = |revision: &str| json!({"repoURL": "https://git.example.com/shop/charts", "chart": "orders", "targetRevision": revision});
    let artifact = |revision: &str| json!({"repoURL": "oci://r.example.com/shop/orders", "path": ".", "targetRevision": revision});
    let values = json!({"repoURL": "https://git.example.com/shop/values.git", "ref": "values"});
    let dry = json!({
        "drySource": {"repoURL": "https://git.example.com/shop/orders.git", "path": "dry", "targetRevision": "HEAD"},
        "syncSource": {"targetBranch": "env/prod", "path": "a"},
    });
    let specs = [
        json!({"source": git("refs/heads/release")}),
        json!({"source": git("1.*")}),
        json!({"source": chart("1.2")}),
        json!({"source": artifact("latest")}),
        json!({"source": git("trunk")}),
        json!({"source": git("HEAD"), "sources": [git("v1"), chart("^1.2.3"), values]}),
        json!({"source": git("v1"), "sourceHydrator": dry}),
    ];
    let judged = |spec: &Value| {
        let lines = World::default().judge(&app(&json!({"spec": spec})));
        let own = lines
            .into_iter()
            .filter(|line| line.contains("unpinned-revision"));
        own.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(specs.each_ref().map(judged).join("\n"), @"
    deny unpinned-revision: spec.source.targetRevision: follows refs/heads/release, a branch; write a tag or a full commit
    deny unpinned-revision: spec.source.targetRevision: follows 1.*, which is not one version; write a tag or a full commit
    deny unpinned-revision: spec.source.targetRevision: follows 1.2, which is not one version; write one whole version, such as 1.2.3
    deny unpinned-revision: spec.source.targetRevision: follows latest, whatever is newest; write a digest or one version
    warn unpinned-revision: spec.source.targetRevision: follows trunk, by its name a branch; write a tag or a full commit
    deny unpinned-revision: spec.sources[1].targetRevision: follows ^1.2.3, which is not one version; write one whole version, such as 1.2.3
    deny unpinned-revision: spec.sources[2].targetRevision: follows whatever is newest, as nothing is written; write a tag or a full commit
    deny unpinned-revision: spec.sourceHydrator.drySource.targetRevision: follows HEAD, whatever is newest; write a tag or a full commit
    ");
    for pinned in [
        git("v1.4.0"),
        git("release-1.x"),
        git("0123456789abcdef0123456789abcdef01234567"),
        chart("1.2.3-rc.1"),
        artifact("1.2.3"),
        artifact("main"),
    ] {
        assert_eq!(judged(&json!({"source": pinned})), "", "{pinned}");
    }
    let staging = json!({"source": git("HEAD"), "destination": {"name": "alpha"}});
    assert_eq!(judged(&staging), "");
}

#[test]
fn an_image_list_that_comes_to_production_or_goes_another_way_is_denied() {
    let annotated = |list: Option<&str>, method: &str| {
        app(&json!({"metadata": {"annotations": {
            "argocd-image-updater.argoproj.io/image-list": list,
            "argocd-image-updater.argoproj.io/write-back-method": method,
        }}}))
    };
    let images = Some("r.example.com/orders:~1.4");
    let world = World::default();
    let update = |old: &Value, new: &Value| world.judge_update(old, new, "alice@example.com");
    let comes = update(&annotated(None, "git"), &annotated(images, "git"));
    let other = update(&annotated(images, "git"), &annotated(images, "argocd"));
    let mut touched = annotated(images, "git");
    touched["metadata"]["annotations"]["team"] = json!("shop");
    let stays = update(&annotated(images, "git"), &touched);
    let goes = update(&annotated(images, "git"), &annotated(None, "git"));
    assert_eq!(
        [comes.outcome, other.outcome, stays.outcome, goes.outcome],
        [
            Outcome::Denied,
            Outcome::Denied,
            Outcome::Unchanged,
            Outcome::Admitted
        ]
    );
    let all: Vec<String> = [
        (images, "git:secret:argocd/creds"),
        (images, "argocd"),
        (Some(" "), "git"),
    ]
    .into_iter()
    .flat_map(|(list, method)| world.judge(&annotated(list, method)))
    .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    deny image-updater: metadata.annotations[argocd-image-updater.argoproj.io/image-list]: deploys new images by itself, by commits without a review; remove the annotation, release by a commit
    deny image-updater: metadata.annotations[argocd-image-updater.argoproj.io/image-list]: deploys new images by itself, past Git; remove the annotation, release by a commit
    ");
}

/// Staging's Argo CD, which knows of production.
fn staging_engine() -> Value {
    json!({
        "engine": {"environment": "staging"},
        "environments": [
            {"name": "staging", "match": {"clusters": {"matchLabels": {"environment": "staging"}}}},
            {"name": "prod", "production": true, "match": {
                "clusters": {"matchLabels": {"environment": "prod"}},
                "applications": {"matchLabels": {"environment": "prod"}},
                "destinations": ["prod-*", "https://prod-*"],
                "projects": ["*-prod"],
                "namespaces": ["*-prod"],
            }},
        ],
        // What else is wrong is not the matter here.
        "rules": {"project-scope": {"action": "Off"}},
    })
}

#[test]
fn any_evidence_of_another_environment_is_one_too_many_for_the_engine() {
    let world = World::with_policy(staging_engine());
    let on_staging = |patch: &Value| {
        let mut app = app(&json!({"spec": {"destination": {"name": "alpha"}}}));
        json_patch::merge(&mut app, patch);
        world.judge(&app)
    };
    let all: Vec<String> = [
        json!({"spec": {"destination": {"name": "omega"}}}),
        json!({"spec": {"destination": {"name": null, "server": "https://prod-eu.example.com"}}}),
        json!({"spec": {"project": "shop-prod"}}),
        json!({"spec": {"destination": {"namespace": "shop-prod"}}}),
        json!({"metadata": {"labels": {"environment": "prod"}}}),
    ]
    .iter()
    .flat_map(on_staging)
    .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    deny engine-isolation: spec.destination: belongs to prod (labels of cluster omega), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: spec.destination: belongs to prod (destination https://prod-eu.example.com), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: spec.project: belongs to prod (project shop-prod), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: spec.destination.namespace: belongs to prod (namespace shop-prod), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: metadata.labels: belongs to prod (its labels), and this Argo CD drives staging; give it to the Argo CD of its environment
    ");
    assert_eq!(on_staging(&json!({})), nothing());
    // The devops cluster itself is in no environment.
    let here = json!({"spec": {"destination": {"name": "in-cluster", "namespace": "argocd"}}});
    assert_eq!(on_staging(&here), nothing());
    // Nobody has said what this Argo CD drives.
    let mut policy = staging_engine();
    policy["engine"] = json!({});
    let on_production = World::with_policy(policy).judge(&app(&json!({})));
    assert_eq!(on_production, nothing());
}

#[test]
fn an_engine_waits_for_the_facts_about_a_cluster_in_files() {
    let world = World {
        completeness: Completeness::Partial,
        ..World::with_policy(staging_engine())
    };
    let unknown = json!({"spec": {"destination": {"name": "delta"}}});
    insta::assert_snapshot!(world.judge(&app(&unknown)).join("\n"), @"undecided engine-isolation: spec.destination: cluster delta is not among the files, it may belong elsewhere; add its Secret with --facts");
}

#[test]
fn a_cluster_secret_of_another_environment_is_kept_from_the_engine() {
    let labelled = |labels: Value| {
        let mut secret = secret(r#"{"awsAuthConfig": {"clusterName": "delta"}}"#);
        json_patch::merge(&mut secret["metadata"]["labels"], &labels);
        secret
    };
    let named = |name: &str, server: &str| {
        let mut secret = labelled(json!({}));
        secret["data"]["name"] = json!(base64_of(name));
        secret["data"]["server"] = json!(base64_of(server));
        secret
    };
    let all = [
        labelled(json!({"environment": "prod"})),
        named("prod-eu", "https://eu.example.com"),
        named("eu", "https://prod-eu.example.com"),
        labelled(json!({"environment": "staging"})),
        labelled(json!({})),
    ]
    .map(|secret| judge_secret(&secret, staging_engine()));
    insta::assert_snapshot!(all.join("\n"), @"
    deny engine-isolation: metadata.labels: belongs to prod (labels of cluster delta), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: data.name: belongs to prod (destination prod-eu), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: data.server: belongs to prod (destination https://prod-eu.example.com), and this Argo CD drives staging; give it to the Argo CD of its environment
    ");
}

/// A name and labels say what somebody wrote; the account is where the cluster is.
#[test]
fn a_cluster_secret_of_another_environments_account_is_kept_from_the_engine() {
    let mut policy = staging_engine();
    policy["environments"][1]["match"]["accounts"] = json!(["444455556666"]);
    let role = |account: &str| {
        format!(
            r#"{{"awsAuthConfig": {{"clusterName": "delta", "roleARN": "arn:aws:iam::{account}:role/argocd"}}}}"#
        )
    };
    let of_aws = |server: &str| {
        let mut secret = secret("{}");
        secret["data"]["server"] = json!(base64_of(server));
        secret
    };
    let plugin = r#"{"execProviderConfig": {"command": "argocd-k8s-auth", "apiVersion": "client.authentication.k8s.io/v1beta1",
        "args": ["aws", "--cluster-name", "delta", "--role-arn", "arn:aws:iam::444455556666:role/argocd"]}}"#;
    let all = [
        secret(&role("444455556666")),
        secret(plugin),
        of_aws("arn:aws:eks:eu-central-1:444455556666:cluster/delta"),
        secret(&role("111122223333")),
        of_aws("arn:aws:eks:eu-central-1:111122223333:cluster/delta"),
    ]
    .map(|secret| judge_secret(&secret, policy.clone()));
    insta::assert_snapshot!(all.join("\n"), @"
    deny engine-isolation: data.config: belongs to prod (AWS account 444455556666), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: data.config: belongs to prod (AWS account 444455556666), and this Argo CD drives staging; give it to the Argo CD of its environment
    deny engine-isolation: data.server: belongs to prod (AWS account 444455556666), and this Argo CD drives staging; give it to the Argo CD of its environment
    ");
    // It moves there by its role alone.
    let (old, new) = (
        secret(&role("111122223333")).to_string(),
        secret(&role("444455556666")).to_string(),
    );
    let object = |json| Object::ClusterSecret(serde_json::from_str(json).unwrap());
    let subject = Subject::update(object(&new), object(&old));
    let verdict = evaluate(&subject, &World::with_policy(policy).inventory());
    assert_eq!(verdict.outcome, Outcome::Denied);
}

/// Otherwise every label on a Secret with an old token would be refused for the token.
#[test]
fn a_label_on_a_cluster_secret_is_judged_for_the_environment_alone() {
    let with_token = |labels: Value| {
        let mut secret = secret(r#"{"bearerToken": "example"}"#);
        json_patch::merge(&mut secret["metadata"]["labels"], &labels);
        secret
    };
    let old = with_token(json!({}));
    let judged = |new: &Value, policy: Value| {
        let (new, old) = (new.to_string(), old.to_string());
        let secret = |json| Object::ClusterSecret(serde_json::from_str(json).unwrap());
        let subject = Subject::update(secret(&new), secret(&old));
        let verdict = evaluate(&subject, &World::with_policy(policy).inventory());
        (verdict.outcome, lines(&verdict).join("\n"))
    };
    let production = with_token(json!({"environment": "prod"}));
    let other = with_token(json!({"team": "platform"}));
    let (outcome, lines) = judged(&production, staging_engine());
    assert_eq!(outcome, Outcome::Denied);
    assert!(!lines.contains("cluster-credentials"), "{lines}");
    assert_eq!(
        judged(&other, staging_engine()),
        (Outcome::Admitted, String::new())
    );
    assert_eq!(
        judged(&production, json!({})),
        (Outcome::Unchanged, String::new())
    );
}

fn project(json: &str) -> Object<'_> {
    Object::AppProject(Box::new(serde_json::from_str(json).unwrap()))
}

/// An AppProject on production without a fault, changed by a JSON merge patch.
fn app_project(patch: &Value) -> Value {
    let mut project = json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["https://git.example.com/shop/*"],
            "destinations": [{"name": "omega", "namespace": "shop"}, {"name": "alpha", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
        },
    });
    json_patch::merge(&mut project, patch);
    project
}

/// What argocd-server makes for itself.
fn default_project() -> Value {
    app_project(&json!({
        "metadata": {"name": "default"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }))
}

fn judge_project(object: &Value, world: &World, username: &str) -> Vec<String> {
    let json = object.to_string();
    let subject = Subject {
        requester: Requester { username },
        ..Subject::new(project(&json))
    };
    lines(&evaluate(&subject, &world.inventory()))
}

#[test]
fn a_project_on_production_lists_what_it_permits() {
    let world = World::default();
    let judged = |patch: Value| judge_project(&app_project(&patch), &world, "").join("\n");
    assert_eq!(judged(json!({})), "");
    let all = [
        judged(json!({"spec": {"sourceRepos": ["https://git.example.com/a", "https://**"]}})),
        judged(json!({"spec": {"sourceRepos": ["!https://git.example.com/a"]}})),
        judged(json!({"spec": {"destinations": [{"server": "*", "namespace": "shop"}]}})),
        judged(json!({"spec": {"destinations": [{"name": "!alpha", "namespace": "shop"}]}})),
        judged(json!({"spec": {"destinations": [{"name": "omega", "namespace": "!kube-system"}]}})),
        judged(json!({"spec": {"clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}})),
        judged(json!({"spec": {"sourceRepos": vec!["https://*.example.com/?"; 1_000]}})),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    deny project-too-wide: spec.sourceRepos[1]: https://** permits any repository (labels of cluster omega); list the repositories it needs
    deny project-too-wide: spec.sourceRepos[0]: !https://git.example.com/a permits any other repository (labels of cluster omega); list the repositories it needs
    deny project-too-wide: spec.destinations[0]: permits any cluster (labels of cluster omega); list the clusters it needs
    deny project-too-wide: spec.destinations[0]: permits any cluster (labels of cluster omega); list the clusters it needs
    warn project-too-wide: spec.destinations[0].namespace: permits any namespace of omega; list the namespaces it needs
    deny project-too-wide: spec.clusterResourceWhitelist[0]: permits any cluster-scoped kind (labels of cluster omega); list the kinds it needs
    deny project-too-wide: spec: more wildcards than are judged; list what it needs by name
    ");
    let many = app_project(&json!({"spec": {"sourceRepos": vec!["*"; 100_000]}}));
    assert_eq!(judge_project(&many, &world, "").len(), 8);
}

#[test]
fn a_project_is_on_production_by_whatever_leads_there() {
    let wide = |patch: Value| {
        let mut project = app_project(&json!({"spec": {
            "sourceRepos": ["*"],
            "destinations": [{"name": "alpha", "namespace": "shop"}],
        }}));
        json_patch::merge(&mut project, &patch);
        judge_project(&project, &World::default(), "").join("\n")
    };
    assert_eq!(wide(json!({})), "");
    let destinations = |item: Value| json!({"spec": {"destinations": [item]}});
    let all = [
        wide(json!({"metadata": {"name": "shop-prod"}})),
        wide(json!({"metadata": {"labels": {"environment": "prod"}}})),
        wide(destinations(json!({"name": "o*", "namespace": "shop"}))),
        wide(destinations(
            json!({"name": "alpha", "namespace": "shop-prod"}),
        )),
        wide(destinations(json!({"name": "prod-*", "namespace": "shop"}))),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    deny project-too-wide: spec.sourceRepos[0]: * permits any repository (project shop-prod); list the repositories it needs
    deny project-too-wide: spec.sourceRepos[0]: * permits any repository (its labels); list the repositories it needs
    deny project-too-wide: spec.sourceRepos[0]: * permits any repository (labels of cluster omega); list the repositories it needs
    deny project-too-wide: spec.sourceRepos[0]: * permits any repository (namespace shop-prod); list the repositories it needs
    deny project-too-wide: spec.sourceRepos[0]: * permits any repository (destination prod-*); list the repositories it needs
    ");
    let shut_out = json!([
        {"name": "*", "namespace": "shop"},
        {"name": "!omega", "namespace": "*"},
        {"name": "alpha", "namespace": "!shop-prod"},
    ]);
    assert_eq!(wide(json!({"spec": {"destinations": shut_out}})), "");
}

#[test]
fn clusters_of_a_project_are_in_its_reach_and_may_be_all_that_are() {
    let mut own = cluster("gamma", "prod");
    own.project = "shop".to_owned();
    let world = World {
        more_clusters: vec![own],
        ..World::default()
    };
    let judged = |name: &str, only_scoped: bool| {
        let project = app_project(&json!({
            "metadata": {"name": name},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"server": "*", "namespace": "shop"}],
                "permitOnlyProjectScopedClusters": only_scoped,
            },
        }));
        judge_project(&project, &world, "").join("\n")
    };
    assert_eq!(judged("other", true), "");
    insta::assert_snapshot!(judged("shop", true), @"deny project-too-wide: spec.sourceRepos[0]: * permits any repository (labels of cluster gamma); list the repositories it needs");
    insta::assert_snapshot!(judged("other", false), @"
    deny project-too-wide: spec.sourceRepos[0]: * permits any repository (labels of cluster omega); list the repositories it needs
    deny project-too-wide: spec.destinations[0]: permits any cluster (labels of cluster omega); list the clusters it needs
    ");
}

#[test]
fn files_leave_undecided_what_a_project_reaches_elsewhere() {
    let world = World {
        completeness: Completeness::Partial,
        ..World::default()
    };
    let judged = |destinations: Value| {
        let wide =
            app_project(&json!({"spec": {"sourceRepos": ["*"], "destinations": destinations}}));
        judge_project(&wide, &world, "").join("\n")
    };
    insta::assert_snapshot!(judged(json!([{"name": "delta-*", "namespace": "shop"}])), @"undecided project-too-wide: spec.sourceRepos[0]: cluster delta-* is not among the files: if it is production, * permits any repository; list the repositories it needs");
    let known = json!([
        {"name": "alpha", "namespace": "shop"},
        {"server": "https://kubernetes.default.svc", "namespace": "argocd"},
    ]);
    assert_eq!(judged(known), "");
}

/// Refused, argocd-server exits, and starts again, and exits.
#[test]
fn argocd_server_may_make_the_project_default_and_nobody_else() {
    let world = World::default();
    let server = "system:serviceaccount:argocd:argocd-server";
    let judged = |project: &Value, username: &str| judge_project(project, &world, username);
    insta::assert_snapshot!(judged(&default_project(), server).join("\n"), @"
    warn project-too-wide: spec.sourceRepos[0]: * permits any repository (labels of cluster omega); list the repositories it needs
    warn project-too-wide: spec.destinations[0]: permits any cluster (labels of cluster omega); list the clusters it needs
    warn project-too-wide: spec.clusterResourceWhitelist[0]: permits any cluster-scoped kind (labels of cluster omega); list the kinds it needs
    ");
    let mut wider = default_project();
    wider["spec"]["destinations"][0]["name"] = json!("*");
    let mut renamed = default_project();
    renamed["metadata"]["name"] = json!("everything");
    let mut elsewhere = default_project();
    elsewhere["metadata"]["namespace"] = json!("argocd-old");
    for (project, username) in [
        (default_project(), "alice@example.com"),
        (default_project(), CONTROLLER),
        (wider, server),
        (renamed, server),
        (elsewhere, server),
    ] {
        let found = judged(&project, username);
        assert!(
            found.iter().all(|line| line.starts_with("deny")),
            "{found:?}"
        );
        assert_eq!(found.len(), 3, "{found:?}");
    }
}

#[test]
fn an_update_of_a_project_is_judged_where_it_changes_what_the_rule_reads() {
    let judged = |old: &Value, new: &Value| {
        let (old, new) = (old.to_string(), new.to_string());
        let subject = Subject {
            requester: Requester {
                username: "system:serviceaccount:argocd:argocd-server",
            },
            ..Subject::update(project(&new), project(&old))
        };
        evaluate(&subject, &World::default().inventory()).outcome
    };
    let wide = default_project();
    let mut described = wide.clone();
    described["spec"]["description"] = json!("Everything");
    described["metadata"]["annotations"] = json!({"team": "platform"});
    assert_eq!(judged(&wide, &described), Outcome::Unchanged);
    let mut narrow = wide.clone();
    narrow["spec"] = json!({});
    assert_eq!(judged(&wide, &narrow), Outcome::Admitted);
    // The exception is for the making of it.
    assert_eq!(judged(&narrow, &wide), Outcome::Denied);
}

#[test]
fn a_project_may_be_exempt_by_its_name() {
    let exempt = |entry: Value| {
        let world = World::with_policy(json!({"rules": {"project-too-wide": {"exempt": [entry]}}}));
        judge_project(&default_project(), &world, "").join("\n")
    };
    insta::assert_snapshot!(exempt(json!({"projects": ["def*"], "reason": "cut down next week"})), @"
    warn project-too-wide: spec.sourceRepos[0]: exempt (cut down next week): * permits any repository (labels of cluster omega); list the repositories it needs
    warn project-too-wide: spec.destinations[0]: exempt (cut down next week): permits any cluster (labels of cluster omega); list the clusters it needs
    warn project-too-wide: spec.clusterResourceWhitelist[0]: exempt (cut down next week): permits any cluster-scoped kind (labels of cluster omega); list the kinds it needs
    ");
    let of_clusters = exempt(json!({"projects": ["def*"], "clusters": ["*"], "reason": "no"}));
    assert!(of_clusters.starts_with("deny"), "{of_clusters}");
}

/// An app-of-apps with Argo CD's finalizer, changed by a JSON merge patch.
fn root(patch: &Value) -> Value {
    let mut root = json!({
        "metadata": {
            "name": "root",
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/shop/fleet.git", "path": "."},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "argocd"},
        },
        "status": {"resources": [{"group": "argoproj.io", "kind": "ApplicationSet", "name": "orders"}]},
    });
    json_patch::merge(&mut root, patch);
    root
}

fn judge_deletion(
    object: &Value,
    world: &World,
    propagation: Propagation,
    username: &str,
) -> Verdict {
    let json = object.to_string();
    let subject = Subject {
        requester: Requester { username },
        ..Subject::delete(application(&json), propagation)
    };
    evaluate(&subject, &world.inventory())
}

#[test]
fn an_app_of_apps_does_not_take_production_along() {
    let world = World::default();
    let all: Vec<String> = [
        (Propagation::Background, "alice@example.com"),
        (Propagation::Orphan, "alice@example.com"),
        // Its parent prunes it, or somebody uses the CLI.
        (Propagation::Foreground, CONTROLLER),
        (
            Propagation::Background,
            "system:serviceaccount:argocd:argocd-server",
        ),
    ]
    .into_iter()
    .flat_map(|(propagation, username)| {
        lines(&judge_deletion(
            &root(&json!({})),
            &world,
            propagation,
            username,
        ))
    })
    .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    deny cascade-delete: metadata.finalizers: deletes its Applications and all they deploy (labels of cluster omega); argocd app delete --cascade=false, or first remove the finalizer
    deny cascade-delete: metadata.finalizers: deletes its Applications and all they deploy, whatever --cascade says (labels of cluster omega); argocd app delete --cascade=false, or first remove the finalizer
    deny cascade-delete: metadata.finalizers: deletes its Applications and all they deploy (labels of cluster omega); argocd app delete --cascade=false, or first remove the finalizer
    deny cascade-delete: metadata.finalizers: deletes its Applications and all they deploy (labels of cluster omega); argocd app delete --cascade=false, or first remove the finalizer
    ");
}

#[test]
fn what_takes_no_application_along_may_be_deleted_whatever_is_wrong_with_it() {
    let world = World::default();
    let outcome = |object: &Value, username: &str| {
        judge_deletion(object, &world, Propagation::Background, username).outcome
    };
    let finalizers = |finalizers: Value| root(&json!({"metadata": {"finalizers": finalizers}}));
    let resources = |resources: Value| {
        root(
            &json!({"spec": {"destination": {"server": null, "name": "omega"}}, "status": {"resources": resources}}),
        )
    };
    for object in [
        finalizers(json!(null)),
        finalizers(json!(["post-delete-finalizer.argocd.argoproj.io"])),
        resources(json!(null)),
        resources(
            json!([{"group": "apps", "kind": "Deployment"}, {"group": "argoproj.io", "kind": "AppProject"}]),
        ),
        root(&json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
    ] {
        assert_eq!(
            outcome(&object, "alice@example.com"),
            Outcome::Admitted,
            "{object}"
        );
    }
    for collector in [
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:serviceaccount:kube-system:namespace-controller",
        "system:kube-controller-manager",
    ] {
        assert_eq!(outcome(&root(&json!({})), collector), Outcome::Admitted);
    }
}

#[test]
fn the_finalizer_itself_may_always_be_removed() {
    let bare = root(&json!({"metadata": {"finalizers": null}}));
    let world = World::default();
    let removed = world.judge_update(&root(&json!({})), &bare, "alice@example.com");
    assert_eq!(removed.outcome, Outcome::Unchanged);
}

#[test]
fn the_deletion_of_an_app_of_apps_is_judged_by_where_its_applications_may_be() {
    let staging_only = |rules: Value| {
        World::with_policy(json!({
            "environments": [
                {"name": "staging", "match": {"clusters": {"matchLabels": {"environment": "staging"}}}},
                {"name": "live", "production": true, "match": {"projects": ["live-*"]}},
            ],
            "rules": rules,
        }))
    };
    let outcome = |world: &World| {
        judge_deletion(&root(&json!({})), world, Propagation::Background, "").outcome
    };
    assert_eq!(outcome(&staging_only(json!({}))), Outcome::Admitted);
    let on_staging = json!({"cascade-delete": {"environments": ["staging"]}});
    assert_eq!(outcome(&staging_only(on_staging)), Outcome::Denied);
    // A project is enough, where production is not a cluster of its own.
    let by_project = World::with_policy(json!({"environments": [
        {"name": "live", "production": true, "match": {"projects": ["sho?"]}},
    ]}));
    assert_eq!(outcome(&by_project), Outcome::Denied);
    let exempt = json!({"rules": {"cascade-delete": {"exempt": [
        {"applications": ["argocd/root"], "reason": "being taken down"},
    ]}}});
    assert_eq!(outcome(&World::with_policy(exempt)), Outcome::Admitted);
}

/// Argo CD deletes AppProjects and Secrets too, and nothing judges that.
#[test]
fn no_other_rule_is_asked_about_a_deletion() {
    let json = secret(r#"{"bearerToken": "example"}"#).to_string();
    let wide = default_project().to_string();
    let secret: Object<'_> = Object::ClusterSecret(serde_json::from_str(&json).unwrap());
    for object in [secret, project(&wide)] {
        let subject = Subject::delete(object, Propagation::Background);
        let verdict = evaluate(&subject, &World::default().inventory());
        assert_eq!(verdict.outcome, Outcome::Unchanged);
    }
    let created = World::default().judge(&root(&json!({})));
    assert!(
        !created.iter().any(|line| line.contains("cascade-delete")),
        "{created:?}"
    );
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

fn secret(config: &str) -> Value {
    let encode = base64_of;
    json!({
        "metadata": {"name": "cluster", "namespace": "argocd", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "data": {"name": encode("delta"), "server": encode("https://delta.example.com"), "config": encode(config)},
    })
}

fn judge_secret(secret: &Value, policy: Value) -> String {
    let json = secret.to_string();
    let subject = Subject::new(Object::ClusterSecret(serde_json::from_str(&json).unwrap()));
    lines(&evaluate(&subject, &World::with_policy(policy).inventory())).join("\n")
}

#[test]
fn cluster_credentials_are_named_by_kind_never_by_value() {
    let token = "eyJhbGciOiJSUzI1NiJ9";
    let all: Vec<String> = [
        json!({"bearerToken": token}),
        json!({"BEARERTOKEN": token}),
        json!({"bearerToken": token, "awsAuthConfig": {"clusterName": "c"}}),
        json!({"username": "admin", "password": token}),
        json!({"tlsClientConfig": {"certData": "YQ==", "keyData": "YQ=="}}),
        json!({"tlsClientConfig": {"insecure": true}}),
        json!({"execProviderConfig": {"command": "sh", "args": ["-c", token]}}),
        json!({"bearerToken": [token]}),
    ]
    .iter()
    .map(|config| judge_secret(&secret(&config.to_string()), json!({})))
    .collect();
    let all = all.join("\n");
    assert!(!all.contains(token), "{all}");
    insta::assert_snapshot!(all, @"
    deny cluster-credentials: data.config: holds a bearer token; use awsAuthConfig, which holds no credential
    deny cluster-credentials: data.config: bearerToken is not spelt as documented, but Argo CD accepts it; write it once, as Argo CD documents it
    deny cluster-credentials: data.config: holds a bearer token; use awsAuthConfig, which holds no credential
    deny cluster-credentials: data.config: holds a bearer token, unused but readable; use awsAuthConfig, which holds no credential
    deny cluster-credentials: data.config: holds a user name and password; use awsAuthConfig, which holds no credential
    deny cluster-credentials: data.config: holds a client key (tlsClientConfig.keyData); use awsAuthConfig, which holds no credential
    deny cluster-credentials: data.config: does not verify the server's certificate (tlsClientConfig.insecure); set caData and insecure: false
    deny cluster-credentials: data.config: runs sh in Argo CD's pods; use awsAuthConfig, or list the command in allowExec
    deny cluster-credentials: data.config: Argo CD cannot read it: bearerToken has the wrong type; write it as Argo CD documents it
    ");
    let proxy = json!({"awsAuthConfig": {}, "proxyUrl": format!("http://u:{token}@proxy:3128")});
    insta::assert_snapshot!(judge_secret(&secret(&proxy.to_string()), json!({})), @"deny cluster-credentials: data.config: proxyUrl holds a user name or password; use a proxy that knows Argo CD by its address");
    let mut server = secret("{}");
    server["data"]["server"] = json!(base64_of("https://admin:secret@delta.example.com"));
    insta::assert_snapshot!(judge_secret(&server, json!({})), @"deny cluster-credentials: data.server: the URL holds a user name or password; use awsAuthConfig, which holds no credential");
    let repeated = r#"{"bearerToken":"","bearerToken":"x"}"#;
    insta::assert_snapshot!(judge_secret(&secret(repeated), json!({})), @"
    deny cluster-credentials: data.config: bearerToken is there more than once, and the last one counts; write it once, as Argo CD documents it
    deny cluster-credentials: data.config: holds a bearer token; use awsAuthConfig, which holds no credential
    ");
    insta::assert_snapshot!(judge_secret(&secret("{"), json!({})), @"deny cluster-credentials: data.config: Argo CD cannot read it: it is not one JSON object, see line 1, column 1, where it ends; write it as Argo CD documents it");
    let mut not_base64 = secret("{}");
    not_base64["data"]["config"] = json!("{}");
    insta::assert_snapshot!(judge_secret(&not_base64, json!({})), @"deny cluster-credentials: data.config: is not base64 of a text; write it as Argo CD documents it");
}

#[test]
fn exec_plugins_pass_where_the_policy_lists_them() {
    let exec = secret(
        &json!({"execProviderConfig": {"command": "aws", "args": ["eks", "get-token"]}})
            .to_string(),
    );
    assert!(!judge_secret(&exec, json!({})).is_empty());
    let allowed = json!({"rules": {"cluster-credentials": {"allowExec": ["aws"]}}});
    assert_eq!(judge_secret(&exec, allowed), "");
}

#[test]
fn the_environment_of_an_exec_plugin_may_hold_credentials() {
    let judge = |env: Value| {
        let exec = json!({"command": "argocd-k8s-auth", "args": ["azure"], "env": env});
        let secret = secret(&json!({"execProviderConfig": exec}).to_string());
        let policy = json!({"rules": {"cluster-credentials": {"allowExec": ["argocd-k8s-auth"]}}});
        judge_secret(&secret, policy)
    };
    for harmless in [
        json!({}),
        json!({"AWS_REGION": "eu-central-1", "AWS_PROFILE": "argocd"}),
        json!({"AZURE_CLIENT_ID": "a", "AZURE_FEDERATED_TOKEN_FILE": "/var/run/token"}),
        json!({"AZURE_CLIENT_SECRET": ""}),
        json!({"AZURE_CLIENT_SECRET": null}),
    ] {
        assert_eq!(judge(harmless), "");
    }
    let value = "hunter2";
    let all: Vec<String> = [
        json!({"AAD_SERVICE_PRINCIPAL_CLIENT_SECRET": value}),
        json!({"AWS_REGION": "a", "AWS_SECRET_ACCESS_KEY": value, "AWS_SESSION_TOKEN": value}),
        json!({"aws_region": value}),
        json!({"hunter2": value}),
        json!({"PATH": "/tmp"}),
    ]
    .into_iter()
    .map(judge)
    .collect();
    let all = all.join("\n");
    assert!(!all.contains(value), "{all}");
    insta::assert_snapshot!(all, @"
    deny cluster-credentials: data.config: execProviderConfig.env sets AAD_SERVICE_PRINCIPAL_CLIENT_SECRET, which may be a credential; set it in Argo CD's own pods
    deny cluster-credentials: data.config: execProviderConfig.env sets AWS_SECRET_ACCESS_KEY and 1 more, which may be a credential; set it in Argo CD's own pods
    deny cluster-credentials: data.config: execProviderConfig.env sets a variable, which may be a credential; set it in Argo CD's own pods
    deny cluster-credentials: data.config: execProviderConfig.env sets a variable, which may be a credential; set it in Argo CD's own pods
    deny cluster-credentials: data.config: execProviderConfig.env sets PATH, which may be a credential; set it in Argo CD's own pods
    ");
}

#[test]
fn a_secret_without_the_label_is_no_cluster() {
    let mut other = secret(&json!({"bearerToken": "a"}).to_string());
    other["metadata"]["labels"] = json!({});
    assert_eq!(judge_secret(&other, json!({})), "");
}

proptest! {
    #[test]
    fn every_message_is_one_short_line(
        engine in prop_oneof![Just(json!({})), Just(staging_engine())],
        texts in proptest::collection::vec("\\PC{0,300}|[\\n\\t\\x00-\\x1f]{1,9}", 8),
        automated in any::<bool>(),
    ) {
        let mut app = app(&json!({"spec": {
            "project": texts[0],
            "source": {"repoURL": texts[1], "path": texts[2]},
            "destination": {"name": texts[3], "namespace": texts[4]},
            "ignoreDifferences": [{"kind": texts[5], "jqPathExpressions": [texts[6]]}],
        }}));
        app["metadata"]["namespace"] = json!(texts[7]);
        app["metadata"]["labels"] = json!({"environment": "prod"});
        app["operation"] = json!({"sync": {"revision": texts[0], "source": {"repoURL": texts[1]}}});
        app["spec"]["syncPolicy"]["syncOptions"] = json!([format!("{}RespectIgnoreDifferences = true", texts[5])]);
        if automated {
            app["spec"]["syncPolicy"]["automated"] = json!({});
        }
        app["metadata"]["annotations"] = json!({"argocd-image-updater.argoproj.io/image-list": texts[1]});
        app["spec"]["sources"] = json!([{"repoURL": texts[2], "chart": texts[3], "targetRevision": texts[4]}]);
        let project = json!({
            "metadata": {"name": texts[0], "namespace": "argocd", "labels": {"environment": "prod"}},
            "spec": {
                "sourceRepos": [texts[1], format!("!{}", texts[2])],
                "destinations": [{"name": format!("!{}", texts[3]), "namespace": texts[4]}],
            },
        });
        for completeness in [Completeness::Complete, Completeness::Partial] {
            let world = World { completeness, ..World::with_policy(engine.clone()) };
            for line in world.judge(&app).into_iter().chain(judge_project(&project, &world, "")) {
                let line = line.split_once(' ').unwrap().1;
                prop_assert!(line.chars().count() < 200, "{line}");
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}

/// It was believed that a destination which means no cluster belongs nowhere.
#[test]
fn a_destination_that_is_not_one_cluster_counts_as_production() {
    let world = World {
        more_clusters: vec![
            Cluster {
                server: "https://one.example.com".to_owned(),
                ..cluster("twin", "staging")
            },
            Cluster {
                server: "https://two.example.com".to_owned(),
                ..cluster("twin", "staging")
            },
        ],
        ..World::default()
    };
    for destination in [
        json!({"name": "gone"}),
        json!({"name": null, "server": "https://gone.example.com"}),
        json!({"name": "twin"}),
        json!({"server": "https://alpha.example.com"}),
        json!({"name": null}),
    ] {
        let patch = json!({"spec": {"destination": destination, "syncPolicy": {"automated": {}}}});
        let found = world.judge(&app(&patch));
        let denies = |line: &String| line.starts_with("deny prod-auto-sync");
        assert!(found.iter().any(denies), "{destination}: {found:#?}");
    }
    // So does it where a rule is limited to environments by their names.
    let limited =
        World::with_policy(json!({"rules": {"prod-auto-sync": {"environments": ["prod"]}}}));
    let found = limited.judge(&app(&json!({"spec": {
        "destination": {"name": "gone"}, "syncPolicy": {"automated": {}},
    }})));
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("deny prod-auto-sync")),
        "{found:#?}"
    );
    // In files the cluster may be elsewhere, unless they have all.
    for (completeness, level) in [
        (Completeness::Partial, "undecided"),
        (Completeness::AllClusters, "deny"),
    ] {
        let world = World {
            completeness,
            ..World::default()
        };
        let found = world.judge(&app(&json!({"spec": {
            "destination": {"name": "gone"}, "syncPolicy": {"automated": {}},
        }})));
        let start = format!("{level} prod-auto-sync");
        assert!(
            found.iter().any(|line| line.starts_with(&start)),
            "{found:#?}"
        );
    }
}

#[test]
fn a_policy_without_production_is_told_with_every_verdict() {
    let live =
        json!([{"name": "live", "match": {"clusters": {"matchLabels": {"environment": "prod"}}}}]);
    let world = World::with_policy(json!({"environments": live}));
    let expected = "warn gitops-policy: spec.environments: none of the environments has `production: true`, \
        so no rule for production holds anywhere; say which of them are production";
    assert_eq!(world.judge(&app(&json!({}))), [expected]);
    let same = app(&json!({}));
    let verdict = world.judge_update(&same, &same, CONTROLLER);
    assert_eq!(verdict.outcome, Outcome::Unchanged);
    assert_eq!(lines(&verdict), [expected]);
}

#[test]
fn an_environment_to_which_nothing_can_belong_is_a_mistake() {
    let spec = json!({"environments": [{"name": "prod", "production": true, "match": {}}]});
    let spec: GitOpsPolicySpec = serde_json::from_value(spec).unwrap();
    let nothing = Fleet::new(Parts::default());
    let policy = Inventory::new(
        nothing,
        Completeness::Complete,
        EnabledField::Supported,
        spec,
    );
    assert_eq!(
        policy.unwrap_err().to_string(),
        "spec.environments[0].match: must say something: nothing belongs to the environment"
    );
}
