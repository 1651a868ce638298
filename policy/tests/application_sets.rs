//! ApplicationSets and cluster Secrets, judged by what they generate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::application_set::ControllerParameters;
use argocd::fleet::Parts;
use argocd::settings::ParametersConfigMap;
use argocd::{AppProject, ApplicationSet, Cluster, Fleet};
use base64::Engine as _;
use policy::fan_out::{Change, FanOut};
use policy::{
    Completeness, Finding, GitOpsPolicySpec, Inventory, Level, Object, Outcome, Propagation,
    Subject, Verdict, evaluate,
};
use serde_json::{Value, json};

fn cluster(name: &str, labels: &[(&str, &str)]) -> Cluster {
    Cluster {
        name: name.to_owned(),
        server: format!("https://{name}.example.com"),
        labels: labels
            .iter()
            .chain(&[("argocd.argoproj.io/secret-type", "cluster")])
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Cluster::default()
    }
}

struct World {
    clusters: Vec<Cluster>,
    sets: Vec<Value>,
    policy: Value,
}

impl Default for World {
    fn default() -> Self {
        World {
            clusters: vec![
                cluster("alpha", &[("environment", "staging"), ("workload", "true")]),
                cluster("beta", &[("environment", "staging"), ("workload", "true")]),
                cluster("omega", &[("environment", "prod")]),
            ],
            sets: Vec::new(),
            policy: json!({}),
        }
    }
}

impl World {
    fn inventory(&self) -> Inventory {
        let project = |name: &str| -> AppProject {
            serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "argocd"},
                "spec": {
                    "sourceRepos": ["https://git.example.com/*/*"],
                    "destinations": [{"server": "*", "namespace": "*"}],
                },
            }))
            .unwrap()
        };
        let fleet = Fleet::new(Parts {
            control_plane_namespace: "argocd".to_owned(),
            projects: vec![project("addons"), project("default")],
            clusters: self.clusters.clone(),
            ..Parts::default()
        });
        let policy: GitOpsPolicySpec = serde_json::from_value(self.policy.clone()).unwrap();
        let mut inventory = Inventory::new(
            fleet,
            Completeness::Complete,
            EnabledField::Supported,
            policy,
        )
        .unwrap();
        let owned = |set: &Value| {
            let json = set.to_string();
            Arc::new(ApplicationSet::from_json(&json).unwrap().into_owned())
        };
        inventory.application_sets = self.sets.iter().map(owned).collect();
        inventory
    }

    fn create(&self, set: &Value) -> Verdict {
        let json = set.to_string();
        let set = ApplicationSet::from_json(&json).unwrap();
        evaluate(
            &Subject::new(Object::ApplicationSet(Box::new(set))),
            &self.inventory(),
        )
    }

    fn update(&self, old: &Value, new: &Value) -> Verdict {
        let (old, new) = (old.to_string(), new.to_string());
        let object =
            |json| Object::ApplicationSet(Box::new(ApplicationSet::from_json(json).unwrap()));
        let subject = Subject::update(object(&new), object(&old));
        evaluate(&subject, &self.inventory())
    }

    fn update_secret(&self, old: &Value, new: &Value) -> Verdict {
        let (old, new) = (old.to_string(), new.to_string());
        let object = |json| Object::ClusterSecret(serde_json::from_str(json).unwrap());
        let subject = Subject::update(object(&new), object(&old));
        evaluate(&subject, &self.inventory())
    }
}

/// An addon for every cluster with the label `workload`, that keeps every rule.
fn addon() -> Value {
    json!({
        "metadata": {"name": "addon", "namespace": "argocd"},
        "spec": {
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"clusters": {"selector": {"matchLabels": {"workload": "true"}}}}],
            "template": {
                "metadata": {
                    "name": "addon-{{ .name }}",
                    "annotations": {"kubectl-gitops.io/autoscaled": "false"},
                },
                "spec": {
                    "project": "addons",
                    "source": {
                        "repoURL": "https://git.example.com/platform/addons",
                        "path": "addon",
                        "targetRevision": "v1.2.3",
                    },
                    "destination": {"name": "{{ .name }}", "namespace": "addon"},
                },
            },
        },
    })
}

fn automated() -> Value {
    let mut set = addon();
    set["spec"]["template"]["spec"]["syncPolicy"] = json!({"automated": {}});
    set
}

fn secret(name: &str, labels: &Value) -> Value {
    let base64 = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
    let mut labels = labels.clone();
    labels["argocd.argoproj.io/secret-type"] = json!("cluster");
    json!({
        "metadata": {"name": name, "namespace": "argocd", "labels": labels},
        "data": {
            "name": base64(name),
            "server": base64(&format!("https://{name}.example.com")),
            "config": base64(r#"{"awsAuthConfig":{"clusterName":"x"}}"#),
        },
    })
}

fn found<'v>(verdict: &'v Verdict, rule: &str) -> Vec<&'v Finding> {
    let of_rule = |finding: &&Finding| finding.rule.as_str() == rule;
    verdict.findings.iter().filter(of_rule).collect()
}

fn messages(verdict: &Verdict, rule: &str) -> Vec<String> {
    let found = found(verdict, rule).into_iter();
    found
        .map(|finding| format!("{} {}", finding.level(), finding.message))
        .collect()
}

#[test]
fn a_set_is_admitted_while_only_staging_has_the_label_and_refused_when_production_does() {
    let mut world = World::default();
    assert_eq!(world.create(&automated()).outcome, Outcome::Admitted);
    world.clusters[2]
        .labels
        .insert("workload".to_owned(), "true".to_owned());
    let verdict = world.create(&automated());
    assert_eq!(verdict.outcome, Outcome::Denied);
    let [finding] = found(&verdict, "prod-auto-sync")[..] else {
        panic!("{verdict:#?}");
    };
    assert_eq!(finding.field, "/spec/template/spec/syncPolicy/automated");
    assert!(
        finding.message.starts_with(
            "1 of 3 generated Applications, addon-omega on omega: auto-syncs production"
        ),
        "{}",
        finding.message
    );
}

#[test]
fn what_only_the_patch_says_is_told_there() {
    let mut world = World::default();
    world.clusters[2]
        .labels
        .insert("workload".to_owned(), "true".to_owned());
    let mut set = addon();
    set["spec"]["templatePatch"] = json!(
        "{{ if eq .metadata.labels.environment \"prod\" }}\nspec: {syncPolicy: {automated: {}}}\n{{ end }}"
    );
    let verdict = world.create(&set);
    assert_eq!(
        found(&verdict, "prod-auto-sync")[0].field,
        "/spec/templatePatch"
    );
}

#[test]
fn one_mistake_in_the_template_is_one_finding() {
    let mut set = addon();
    set["spec"]["template"]["spec"]["project"] = json!("default");
    let verdict = World::default().create(&set);
    let found = messages(&verdict, "default-project");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("deny 2 of 2 generated Applications, addon-"),
        "{found:?}"
    );
}

#[test]
fn an_exemption_of_one_generated_application_does_not_hold_for_the_others() {
    let exemption = json!({"applications": ["argocd/addon-alpha"], "reason": "tried out there"});
    let world = World {
        policy: json!({"rules": {"default-project": {"exempt": [exemption]}}}),
        ..World::default()
    };
    let mut set = addon();
    set["spec"]["template"]["spec"]["project"] = json!("default");
    let found = messages(&world.create(&set), "default-project");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("deny 1 of 2 generated Applications, addon-beta"));
    assert!(found[1].starts_with("warn 1 of 2 generated Applications, addon-alpha"));
}

#[test]
fn a_set_on_which_argo_cd_fails_is_refused_with_its_reason() {
    let mut set = addon();
    set["spec"]["template"]["metadata"]["name"] = json!("addon-{{ .nam }}");
    let verdict = World::default().create(&set);
    let [finding] = found(&verdict, "generated-applications")[..] else {
        panic!("{verdict:#?}");
    };
    assert_eq!(finding.field, "/spec/template/metadata/name");
    let mut same = addon();
    same["spec"]["template"]["metadata"]["name"] = json!("addon");
    let found = messages(&World::default().create(&same), "generated-applications");
    assert!(
        found[0].contains("two generated Applications are named addon"),
        "{found:?}"
    );
}

#[test]
fn a_template_that_depends_on_the_outside_is_judged_as_far_as_it_says_anything() {
    let mut set = addon();
    set["spec"]["generators"] = json!([{"pullRequest": {}}]);
    set["spec"]["template"]["spec"]["project"] = json!("default");
    let verdict = World::default().create(&set);
    let project = messages(&verdict, "default-project");
    assert!(
        project[0].starts_with("deny the template of pullRequest: "),
        "{project:?}"
    );
    // Whose destination it will be is not known, so that nothing is wrong with it for certain.
    let scope = found(&verdict, "project-scope");
    assert!(
        scope
            .iter()
            .all(|finding| finding.level() == Level::Undecided),
        "{scope:#?}"
    );
    assert_eq!(
        found(&verdict, "generated-applications")[0].level(),
        Level::Undecided
    );
}

#[test]
fn what_two_generators_leave_open_in_one_template_is_told_once() {
    let mut set = addon();
    set["spec"]["generators"] = json!([{"pullRequest": {}}, {"pullRequest": {"github": {}}}]);
    set["spec"]["template"]["spec"]["project"] = json!("default");
    let verdict = World::default().create(&set);
    assert_eq!(
        messages(&verdict, "default-project"),
        [
            "deny the template of pullRequest: the project `default` permits everything unless cut down"
        ]
    );
    // Each of the two is not known, and has a place of its own.
    assert_eq!(found(&verdict, "generated-applications").len(), 2);
}

/// It was believed to do no harm to say that there is no AppProject `shop-{{ .environment }}`.
#[test]
fn a_project_or_cluster_whose_name_is_not_known_yet_is_not_missed() {
    let git = json!({"git": {"repoURL": "https://git.example.com/shop/apps.git", "files": [{"path": "*.json"}]}});
    let scope = |project: &str, cluster: &str, completeness: Completeness| {
        let mut set = addon();
        set["spec"]["generators"] = json!([git]);
        set["spec"]["template"]["spec"]["project"] = json!(project);
        set["spec"]["template"]["spec"]["destination"] =
            json!({"name": cluster, "namespace": "{{ .namespace }}"});
        let mut inventory = World::default().inventory();
        inventory.completeness = completeness;
        let json = set.to_string();
        let set = ApplicationSet::from_json(&json).unwrap();
        let subject = Subject::new(Object::ApplicationSet(Box::new(set)));
        let verdict = evaluate(&subject, &inventory);
        let not_known = found(&verdict, "generated-applications");
        assert_eq!(not_known[0].level(), Level::Undecided, "{verdict:#?}");
        messages(&verdict, "project-scope")
    };
    for completeness in [Completeness::Complete, Completeness::Partial] {
        for (project, cluster) in [
            ("shop-{{ .environment }}", "alpha"),
            ("addons", "{{ .cluster }}"),
        ] {
            assert_eq!(scope(project, cluster, completeness), [""; 0]);
        }
    }
    // What is named is missed all the same.
    assert_eq!(
        scope("nobodys", "{{ .cluster }}", Completeness::Complete),
        ["deny the template of git: there is no AppProject nobodys"]
    );
    assert_eq!(
        scope("addons", "nowhere", Completeness::Complete),
        ["undecided the template of git: Argo CD knows no cluster nowhere"]
    );
    assert_eq!(
        scope("addons", "nowhere", Completeness::Partial),
        ["undecided the template of git: cluster nowhere is not among the files"]
    );
}

#[test]
fn without_a_cluster_that_it_selects_only_files_leave_a_set_undecided() {
    let mut set = automated();
    set["spec"]["generators"][0]["clusters"]["selector"]["matchLabels"] = json!({"none": "has"});
    let world = World::default();
    assert!(world.create(&set).findings.is_empty());
    let mut inventory = world.inventory();
    inventory.completeness = Completeness::Partial;
    let json = set.to_string();
    let set = ApplicationSet::from_json(&json).unwrap();
    let subject = Subject::new(Object::ApplicationSet(Box::new(set)));
    let verdict = evaluate(&subject, &inventory);
    assert_eq!(
        messages(&verdict, "generated-applications"),
        ["undecided clusters cannot be judged without the clusters that it selects"]
    );
    assert_eq!(
        found(&verdict, "prod-auto-sync")[0].level(),
        Level::Undecided
    );
}

#[test]
fn automated_sync_of_a_placeholder_is_undecided_and_of_a_production_project_is_not() {
    let mut set = automated();
    set["spec"]["generators"] = json!([{"pullRequest": {}}]);
    let verdict = World::default().create(&set);
    assert_eq!(
        found(&verdict, "prod-auto-sync")[0].level(),
        Level::Undecided
    );
    set["spec"]["template"]["spec"]["project"] = json!("addons-prod");
    let verdict = World::default().create(&set);
    assert_eq!(found(&verdict, "prod-auto-sync")[0].level(), Level::Deny);
}

#[test]
fn argo_cds_own_rewrites_are_no_change() {
    let mut rewritten = automated();
    rewritten["spec"]["generators"][0]["clusters"]["template"] =
        json!({"metadata": {}, "spec": {"destination": {}, "project": ""}});
    let mut world = World::default();
    world.clusters[2]
        .labels
        .insert("workload".to_owned(), "true".to_owned());
    assert_eq!(
        world.update(&automated(), &rewritten).outcome,
        Outcome::Unchanged
    );
}

#[test]
fn a_change_is_counted_by_environment() {
    let mut world = World::default();
    world.clusters[2]
        .labels
        .insert("workload".to_owned(), "true".to_owned());
    let mut new = addon();
    new["spec"]["generators"][0]["clusters"]["selector"] =
        json!({"matchLabels": {"environment": "prod"}});
    new["spec"]["template"]["spec"]["source"]["targetRevision"] = json!("v2.0.0");
    let verdict = world.update(&addon(), &new);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(
        messages(&verdict, "blast-radius"),
        ["warn changes 1 Application (prod 1), deletes 2 Applications (no environment 2)"]
    );
}

#[test]
fn deletions_beyond_the_ceiling_are_refused() {
    let mut world = World {
        policy: json!({"rules": {"blast-radius": {"maxDeletions": {"prod": 0}}}}),
        ..World::default()
    };
    world.clusters[2]
        .labels
        .insert("workload".to_owned(), "true".to_owned());
    let mut new = addon();
    new["spec"]["generators"][0]["clusters"]["selector"] =
        json!({"matchLabels": {"environment": "staging"}});
    let verdict = world.update(&addon(), &new);
    assert_eq!(verdict.outcome, Outcome::Denied);
    world.policy = json!({"rules": {"blast-radius": {"maxDeletions": {"prod": 1}}}});
    assert_eq!(world.update(&addon(), &new).outcome, Outcome::Admitted);
}

#[test]
fn a_ceiling_of_no_environment_is_a_mistake_in_the_policy() {
    let spec: GitOpsPolicySpec = serde_json::from_value(json!({
        "rules": {"blast-radius": {"maxDeletions": {"production": 0}}},
    }))
    .unwrap();
    let fleet = Fleet::new(Parts::default());
    let error = Inventory::new(fleet, Completeness::Complete, EnabledField::Supported, spec);
    assert_eq!(
        error.unwrap_err().to_string(),
        "spec.rules.blast-radius.maxDeletions: there is no environment \"production\""
    );
}

#[test]
fn what_the_sync_policy_keeps_is_not_deleted() {
    let mut old = addon();
    old["spec"]["syncPolicy"] = json!({"applicationsSync": "create-update"});
    let mut new = old.clone();
    new["spec"]["generators"][0]["clusters"]["selector"] =
        json!({"matchLabels": {"environment": "prod"}});
    let verdict = World::default().update(&old, &new);
    assert_eq!(
        messages(&verdict, "blast-radius"),
        ["warn creates 1 Application (prod 1), leaves behind 2 Applications (no environment 2)"]
    );
}

#[test]
fn what_another_generator_may_still_yield_is_not_counted_as_deleted() {
    let mut new = addon();
    new["spec"]["generators"] = json!([{"pullRequest": {}}]);
    let verdict = World::default().update(&addon(), &new);
    assert!(
        messages(&verdict, "blast-radius").is_empty(),
        "{verdict:#?}"
    );
    let mut both = addon();
    both["spec"]["generators"] = json!([addon()["spec"]["generators"][0], {"pullRequest": {}}]);
    let verdict = World::default().update(&both, &new);
    assert_eq!(
        messages(&verdict, "blast-radius"),
        ["warn deletes 2 Applications (no environment 2)"]
    );
}

#[test]
fn an_entry_without_a_generator_is_warned_of() {
    let mut set = addon();
    set["spec"]["generators"] = json!([{}]);
    let found = messages(&World::default().create(&set), "generated-applications");
    assert_eq!(
        found,
        ["warn has no generator that Argo CD knows, so nothing comes from it"]
    );
}

/// It was believed that nothing comes from one, but it may be a later Argo CD's, or a file's that
/// is misspelt.
#[test]
fn a_generator_that_is_not_known_leaves_its_template_undecided() {
    let mut set = automated();
    set["spec"]["generators"] = json!([{"oci": {"repoURL": "oci://r.example.com/apps"}}]);
    set["spec"]["template"]["spec"]["project"] = json!("default");
    let verdict = World::default().create(&set);
    let [finding] = found(&verdict, "generated-applications")[..] else {
        panic!("{verdict:#?}");
    };
    assert_eq!(
        finding.line(),
        "generated-applications: spec.generators[0]: `oci` is not a generator known here; \
         check how it is spelt"
    );
    assert_eq!(finding.level(), Level::Undecided);
    assert_eq!(
        messages(&verdict, "default-project"),
        ["deny the template of oci: the project `default` permits everything unless cut down"]
    );
    assert_eq!(
        found(&verdict, "prod-auto-sync")[0].level(),
        Level::Undecided
    );
}

#[test]
fn a_generator_that_is_not_known_may_yield_what_another_one_did() {
    let mut new = addon();
    new["spec"]["generators"] = json!([{"oci": {}}]);
    let verdict = World::default().update(&addon(), &new);
    assert!(
        messages(&verdict, "blast-radius").is_empty(),
        "{verdict:#?}"
    );
    let world = World {
        policy: json!({
            "environments": [{"name": "staging", "match": {"clusters": {"matchLabels": {"environment": "staging"}}}}],
            "rules": {"blast-radius": {"maxDeletions": {"staging": 0}}},
        }),
        ..World::default()
    };
    assert_eq!(world.update(&addon(), &new).outcome, Outcome::Denied);
}

#[test]
fn names_that_the_api_server_refuses_are_told() {
    let mut set = addon();
    set["spec"]["goTemplateOptions"] = json!([]);
    set["spec"]["template"]["metadata"]["name"] = json!("addon-{{ .name }}-{{ .typo }}");
    let found = messages(&World::default().create(&set), "generated-applications");
    assert_eq!(
        found,
        [
            r#"deny 2 of 2 generated Applications, addon-alpha-<no value> on alpha: the API server refuses the name "addon-alpha-<no value>": it has a parameter that is not there (spec.generators[0])"#
        ]
    );
}

/// Each of these had been admitted, and each is refused one by one when it is created.
#[test]
fn labels_and_annotations_that_the_api_server_refuses_are_told() {
    let long = "a".repeat(64);
    let refused = |metadata: Value| {
        let mut set = addon();
        set["spec"]["goTemplateOptions"] = json!([]);
        for (key, value) in metadata.as_object().unwrap() {
            set["spec"]["template"]["metadata"][key] = value.clone();
        }
        let verdict = World::default().create(&set);
        let of_rule = |finding: &&Finding| finding.rule.as_str() == "generated-applications";
        let found: Vec<Finding> = verdict.findings.iter().filter(of_rule).cloned().collect();
        assert!(found.len() <= 1, "{found:#?}");
        found.into_iter().next()
    };
    for (metadata, field, reason) in [
        (
            json!({"labels": {"server": "{{ .server }}"}}),
            "/labels/server",
            "it is a URL",
        ),
        (
            json!({"labels": {"path": "apps/{{ .name }}"}}),
            "/labels/path",
            "it has '/' where",
        ),
        (
            json!({"labels": {"long": long}}),
            "/labels/long",
            "more than 63 characters",
        ),
        (
            json!({"labels": {"x": "{{ .typo }}"}}),
            "/labels/x",
            "a parameter that is not there",
        ),
        (
            json!({"labels": {"x": "{{ .name }}\n"}}),
            "/labels/x",
            "it has a line break",
        ),
        (
            json!({"labels": {"a/b/{{ .name }}": "x"}}),
            "/labels",
            "it has a slash where",
        ),
        (
            json!({"annotations": {"{{ .server }}": "x"}}),
            "/annotations",
            "it is a URL",
        ),
        (
            json!({"annotations": {"{{ .typo }}": "x"}}),
            "/annotations",
            "a parameter that is not there",
        ),
        (
            json!({"finalizers": ["{{ .typo }}"]}),
            "/finalizers/0",
            "a parameter that is not there",
        ),
        (
            json!({"name": "{{ .name }}\n"}),
            "/name",
            r#"the name "alpha\n": it has a line break"#,
        ),
        (json!({"name": "{{ .server }}"}), "/name", "it is a URL"),
        (
            json!({"name": "Addon-{{ .name }}"}),
            "/name",
            "it has upper case",
        ),
        (
            json!({"name": "{ {{- .name }}}"}),
            "/name",
            "it has '{' where",
        ),
    ] {
        let finding = refused(metadata.clone()).unwrap_or_else(|| panic!("{metadata}"));
        assert_eq!(finding.level(), Level::Deny, "{finding:#?}");
        assert_eq!(finding.field, format!("/spec/template/metadata{field}"));
        assert!(finding.message.contains(reason), "{finding:#?}");
        assert!(
            finding.message.ends_with("(spec.generators[0])"),
            "{finding:#?}"
        );
    }
    for fine in [
        json!({"labels": {"example.com/cluster": "{{ .name }}", "empty": ""}}),
        json!({"annotations": {"Example.com/Server": "{{ .server }}"}}),
        json!({"finalizers": ["resources-finalizer.argocd.argoproj.io/background"]}),
    ] {
        assert!(refused(fine.clone()).is_none(), "{fine}");
    }
}

/// Of two mistakes in a patch only one had been told, as "2 of 1 generated Applications".
#[test]
fn each_mistake_in_a_patch_is_told() {
    let mut set = addon();
    set["spec"]["templatePatch"] = json!(
        "metadata:\n  labels: {a: 'https://a', b: 'b/c'}\n  annotations: {'a/b/c': x, 'd/e/f': x}\n"
    );
    let found = messages(&World::default().create(&set), "generated-applications");
    assert_eq!(found.len(), 3, "{found:#?}");
    for message in found {
        assert!(
            message
                .starts_with("deny 2 of 2 generated Applications, addon-alpha on alpha: the API"),
            "{message}"
        );
    }
}

#[test]
fn what_the_api_server_would_refuse_of_a_placeholder_is_not_told() {
    let mut set = addon();
    set["spec"]["generators"] = json!([{"pullRequest": {}}]);
    set["spec"]["template"]["metadata"] =
        json!({"name": "addon-{{ .number }}", "labels": {"url": "{{ .branch }}", "{{ .a }}": "x"}});
    let verdict = World::default().create(&set);
    assert!(
        !verdict
            .findings
            .iter()
            .any(|finding| finding.message.contains("API server refuses")),
        "{verdict:#?}"
    );
    set["spec"]["template"]["metadata"]["labels"]["url"] = json!("https://example.com");
    let verdict = World::default().create(&set);
    assert!(
        verdict
            .findings
            .iter()
            .any(|finding| finding.message.contains("it is a URL")),
        "{verdict:#?}"
    );
}

#[test]
fn a_placeholder_of_another_dialect_is_told_once_and_how_to_write_it() {
    let warned = |set: &Value| -> Vec<String> {
        let verdict = World::default().create(set);
        let of_rule = verdict.of_level(Level::Warn);
        of_rule
            .filter(|finding| finding.rule.as_str() == "generated-applications")
            .map(|finding| format!("{}: {}; {}", finding.field, finding.message, finding.fix))
            .collect()
    };
    let mut plain = addon();
    plain["spec"]["goTemplate"] = json!(false);
    plain["spec"]["template"]["metadata"]["name"] = json!("addon-{{name}}");
    plain["spec"]["template"]["spec"]["destination"]["name"] = json!("{{.name}}");
    plain["spec"]["template"]["spec"]["project"] = json!("{{.name}}");
    plain["spec"]["template"]["spec"]["source"]["path"] = json!("{name}/addon");
    assert_eq!(
        warned(&plain),
        [
            "/spec/template/spec/destination/name: {{.name}} is a Go template, which stays as it is without \
             `goTemplate: true`; write {{name}}, or set goTemplate: true",
            "/spec/template/spec/source/path: {name} is not a parameter to Argo CD, and stays as it is; write {{name}}",
        ]
    );
    assert_eq!(warned(&addon()), Vec::<String>::new());
    let mut go = addon();
    go["spec"]["template"]["spec"]["source"]["path"] = json!("{{name}}/addon");
    let verdict = World::default().create(&go);
    let denied: Vec<&Finding> = verdict.of_level(Level::Deny).collect();
    assert_eq!(denied.len(), 1, "{verdict:#?}");
    assert_eq!(denied[0].field, "/spec/template/spec/source/path");
    assert_eq!(
        denied[0].fix,
        "for {{name}}, which is not a Go template, write {{.name}}"
    );
    assert_eq!(warned(&go), Vec::<String>::new());
}

#[test]
fn another_generator_is_no_way_around_the_ceiling() {
    let world = World {
        policy: json!({
            "environments": [{"name": "staging", "match": {"clusters": {"matchLabels": {"environment": "staging"}}}}],
            "rules": {"blast-radius": {"maxDeletions": {"staging": 0}}},
        }),
        ..World::default()
    };
    let mut new = addon();
    new["spec"]["generators"] = json!([{"pullRequest": {}}]);
    assert_eq!(world.update(&addon(), &new).outcome, Outcome::Denied);
}

#[test]
fn a_ceiling_limited_to_environments_is_about_where_applications_were() {
    let mut world = World {
        sets: vec![addon()],
        policy: json!({"rules": {"blast-radius": {"environments": ["prod"], "maxDeletions": {"prod": 0}}}}),
        ..World::default()
    };
    world.clusters[2]
        .labels
        .insert("workload".to_owned(), "true".to_owned());
    let old = secret("omega", &json!({"environment": "prod", "workload": "true"}));
    let verdict = world.update_secret(&old, &secret("omega", &json!({})));
    assert_eq!(verdict.outcome, Outcome::Denied, "{verdict:#?}");
}

fn delete(world: &World, set: &Value) -> Verdict {
    let json = set.to_string();
    let set = ApplicationSet::from_json(&json).unwrap();
    let subject = Subject::delete(
        Object::ApplicationSet(Box::new(set)),
        Propagation::Background,
    );
    evaluate(&subject, &world.inventory())
}

#[test]
fn a_deletion_is_judged_by_the_finalizers_that_the_applications_have() {
    let mut world = World::default();
    world.clusters[2]
        .labels
        .insert("workload".to_owned(), "true".to_owned());
    assert_eq!(delete(&world, &addon()).outcome, Outcome::Denied);
    let mut preserving = addon();
    preserving["spec"]["syncPolicy"] = json!({"preserveResourcesOnDeletion": true});
    assert_eq!(delete(&world, &preserving).outcome, Outcome::Admitted);
    let mut own = preserving;
    own["spec"]["template"]["metadata"]["finalizers"] =
        json!(["resources-finalizer.argocd.argoproj.io"]);
    assert_eq!(delete(&world, &own).outcome, Outcome::Denied);
    let mut other = addon();
    other["spec"]["template"]["metadata"]["finalizers"] = json!(["example.com/keep"]);
    assert_eq!(delete(&world, &other).outcome, Outcome::Admitted);
}

#[test]
fn a_deletion_of_what_is_not_known_is_warned_of() {
    let mut set = addon();
    set["spec"]["generators"] = json!([{"pullRequest": {}}]);
    let verdict = delete(&World::default(), &set);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(
        found(&verdict, "cascade-delete")[0].level(),
        Level::Undecided
    );
}

#[test]
fn a_label_that_brings_a_cluster_in_is_told_with_what_will_be_refused() {
    let world = World {
        sets: vec![automated()],
        ..World::default()
    };
    let old = secret("omega", &json!({"environment": "prod"}));
    let new = secret("omega", &json!({"environment": "prod", "workload": "true"}));
    let verdict = world.update_secret(&old, &new);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(
        messages(&verdict, "blast-radius"),
        [
            "warn creates 1 Application (prod 1)",
            "warn 1 of them will be refused (prod-auto-sync), addon-omega on omega",
        ]
    );
}

#[test]
fn a_label_that_takes_a_cluster_out_deletes_its_applications() {
    let mut world = World {
        sets: vec![addon()],
        ..World::default()
    };
    let old = secret(
        "alpha",
        &json!({"environment": "staging", "workload": "true"}),
    );
    let new = secret("alpha", &json!({"region": "eu"}));
    let verdict = world.update_secret(&old, &new);
    assert_eq!(
        messages(&verdict, "blast-radius"),
        ["warn deletes 1 Application (no environment 1)"]
    );
    world.policy = json!({
        "environments": [{"name": "staging", "match": {"clusters": {"matchLabels": {"environment": "staging"}}}}],
        "rules": {"blast-radius": {"maxDeletions": {"staging": 0}}},
    });
    assert_eq!(world.update_secret(&old, &new).outcome, Outcome::Denied);
}

#[test]
fn a_label_that_nothing_selects_changes_nothing() {
    let world = World {
        sets: vec![addon()],
        ..World::default()
    };
    let old = secret(
        "alpha",
        &json!({"environment": "staging", "workload": "true"}),
    );
    let mut labels = json!({"environment": "staging", "workload": "true"});
    labels["tier"] = json!("gold");
    let verdict = world.update_secret(&old, &secret("alpha", &labels));
    assert!(verdict.findings.is_empty(), "{verdict:#?}");
}

#[test]
fn a_cluster_that_is_no_longer_one_takes_its_applications_along() {
    let world = World {
        sets: vec![addon()],
        ..World::default()
    };
    let old = secret(
        "alpha",
        &json!({"environment": "staging", "workload": "true"}),
    );
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"environment": "staging"});
    let verdict = world.update_secret(&old, &new);
    assert_eq!(
        messages(&verdict, "blast-radius"),
        ["warn deletes 1 Application (no environment 1)"]
    );
}

#[test]
fn a_fan_out_has_each_application_with_its_place() {
    let world = World {
        sets: vec![addon()],
        ..World::default()
    };
    let inventory = world.inventory();
    let new = cluster("omega", &[("environment", "prod"), ("workload", "true")]);
    let fan_out = FanOut::of_cluster(Some(&world.clusters[2]), Some(new), &inventory);
    let [affected] = fan_out.affected.as_slice() else {
        panic!("{fan_out:#?}");
    };
    assert_eq!(affected.change, Change::Create);
    assert_eq!(affected.name, "addon-omega");
    assert_eq!(affected.application_set, "argocd/addon");
    assert_eq!(affected.cluster, "omega");
    assert_eq!(affected.project, "addons");
    assert_eq!(affected.environments[0].environment, "prod");
    assert_eq!(fan_out.unchanged, 2);
}

/// Applications `orders-…`, one for each of these clusters.
fn orders(clusters: &[&str], patch: &Value) -> Value {
    let elements: Vec<Value> = clusters
        .iter()
        .map(|name| json!({"cluster": name}))
        .collect();
    let mut set = addon();
    set["spec"]["generators"] = json!([{"list": {"elements": elements}}]);
    set["spec"]["template"]["metadata"]["name"] = json!("orders-{{ .cluster }}");
    set["spec"]["template"]["spec"]["destination"]["name"] = json!("{{ .cluster }}");
    json_patch::merge(&mut set, patch);
    set
}

fn syncing(applications_sync: &str) -> Value {
    json!({"spec": {"syncPolicy": {"applicationsSync": applications_sync}}})
}

fn with_ceiling(prod: u32) -> World {
    World {
        policy: json!({"rules": {"blast-radius": {"maxDeletions": {"prod": prod}}}}),
        ..World::default()
    }
}

/// It was believed that what is deleted is what was generated until now.
#[test]
fn two_steps_are_no_way_around_the_ceiling() {
    let world = with_ceiling(0);
    let both = orders(&["alpha", "omega"], &json!({}));
    for keeping in ["create-update", "create-only"] {
        let one_left = orders(&["alpha"], &syncing(keeping));
        let first = world.update(&both, &one_left);
        assert_eq!(first.outcome, Outcome::Admitted, "{first:#?}");
        assert_eq!(
            messages(&first, "blast-radius"),
            ["warn leaves behind 1 Application (prod 1)"]
        );
        for deleting in ["sync", "create-delete"] {
            let second = world.update(&one_left, &orders(&["alpha"], &syncing(deleting)));
            assert_eq!(second.outcome, Outcome::Denied, "{keeping} {deleting}");
            assert_eq!(
                messages(&second, "blast-radius"),
                [
                    "deny argocd/addon: deletes what it generated earlier and left behind, and nobody knows here what that is"
                ]
            );
        }
        // Without it in the second step, or with the whole set, the same goes.
        let gone = world.update(&one_left, &orders(&["alpha"], &json!({})));
        assert_eq!(gone.outcome, Outcome::Denied, "{gone:#?}");
        let deletion = delete(&world, &one_left);
        assert_eq!(deletion.outcome, Outcome::Denied, "{deletion:#?}");
        // Without a ceiling that is told.
        let told = World::default().update(&one_left, &orders(&["alpha"], &json!({})));
        assert_eq!(told.outcome, Outcome::Admitted);
        assert_eq!(found(&told, "blast-radius")[0].level(), Level::Warn);
        let deletion = delete(&World::default(), &one_left);
        assert_eq!(
            found(&deletion, "cascade-delete")[0].level(),
            Level::Undecided
        );
    }
    // What never kept anything deletes what is known.
    let same = world.update(
        &orders(&["alpha"], &json!({})),
        &orders(&["alpha"], &syncing("create-delete")),
    );
    assert_eq!(same.outcome, Outcome::Admitted, "{same:#?}");
}

#[test]
fn a_set_that_failed_may_have_generated_anything_before() {
    let twice = json!({"spec": {"template": {"metadata": {"name": "orders"}}}});
    let failing = orders(&["alpha", "beta"], &twice);
    let one = orders(&["alpha"], &json!({}));
    assert_eq!(
        with_ceiling(0).update(&failing, &one).outcome,
        Outcome::Denied
    );
    assert_eq!(
        World::default().update(&failing, &one).outcome,
        Outcome::Admitted
    );
}

#[test]
fn a_generator_that_goes_takes_along_what_nobody_can_count() {
    let mut both = orders(&["alpha"], &json!({}));
    both["spec"]["generators"] = json!([both["spec"]["generators"][0], {"pullRequest": {}}]);
    let one = orders(&["alpha"], &json!({}));
    assert_eq!(with_ceiling(0).update(&both, &one).outcome, Outcome::Denied);
    assert_eq!(
        with_ceiling(0).update(&both, &both).outcome,
        Outcome::Unchanged
    );
}

#[test]
fn applications_that_are_not_kept_up_to_date_may_be_anywhere() {
    let world = with_ceiling(0);
    let ignoring = |pointer: &str| json!({"spec": {"ignoreApplicationDifferences": [{"jsonPointers": [pointer]}]}});
    let jq = json!({"spec": {"ignoreApplicationDifferences": [{"jqPathExpressions": [".spec.destination | .name"]}]}});
    for stale in [
        syncing("create-delete"),
        ignoring("/spec/destination/name"),
        ignoring("/spec"),
        ignoring("/metadata/labels"),
        jq,
    ] {
        let old = orders(&["alpha", "beta"], &stale);
        let verdict = world.update(&old, &orders(&["alpha"], &stale));
        assert_eq!(verdict.outcome, Outcome::Denied, "{stale}");
    }
    let elsewhere = ignoring("/spec/source/targetRevision");
    let old = orders(&["alpha", "beta"], &elsewhere);
    let verdict = world.update(&old, &orders(&["alpha"], &elsewhere));
    assert_eq!(verdict.outcome, Outcome::Admitted, "{verdict:#?}");
}

#[test]
fn a_finalizer_that_was_not_taken_off_still_takes_everything_along() {
    let preserving = |more: &Value| {
        let mut set = orders(
            &["omega"],
            &json!({"spec": {"syncPolicy": {"preserveResourcesOnDeletion": true}}}),
        );
        json_patch::merge(&mut set, more);
        set
    };
    let ignoring = |pointer: &str| json!({"spec": {"ignoreApplicationDifferences": [{"jsonPointers": [pointer]}]}});
    let world = World::default();
    assert_eq!(
        delete(&world, &preserving(&json!({}))).outcome,
        Outcome::Admitted
    );
    for more in [
        syncing("create-delete"),
        ignoring("/metadata/finalizers"),
        ignoring("/metadata"),
    ] {
        assert_eq!(
            delete(&world, &preserving(&more)).outcome,
            Outcome::Denied,
            "{more}"
        );
    }
}

/// What `argocd-cmd-params-cm` says of the ApplicationSet controller.
fn parameters(data: &Value) -> ControllerParameters {
    let mut prefixed = json!({"data": {}});
    for (key, value) in data.as_object().unwrap() {
        prefixed["data"][format!("applicationsetcontroller.{key}")] = value.clone();
    }
    let config_map: ParametersConfigMap = serde_json::from_value(prefixed).unwrap();
    config_map.application_set_controller()
}

fn judged(inventory: &Inventory, old: Option<&Value>, new: &Value) -> Verdict {
    let texts = [old.unwrap_or(new).to_string(), new.to_string()];
    let [old_set, new_set] = [0, 1].map(|index: usize| {
        Object::ApplicationSet(Box::new(ApplicationSet::from_json(&texts[index]).unwrap()))
    });
    let subject = match old {
        Some(_) => Subject::update(new_set, old_set),
        None => Subject::new(new_set),
    };
    evaluate(&subject, inventory)
}

#[test]
fn the_controllers_own_policy_decides_what_goes() {
    let mut inventory = with_ceiling(0).inventory();
    let two = |patch: &Value| orders(&["alpha", "omega"], patch);
    let one = |patch: &Value| orders(&["alpha"], patch);
    let keeping = syncing("create-only");
    let step = judged(&inventory, Some(&two(&keeping)), &one(&keeping));
    assert_eq!(step.outcome, Outcome::Admitted);
    // The flag holds whatever the ApplicationSet says.
    inventory.application_set_controller = parameters(&json!({"policy": "sync"}));
    let step = judged(&inventory, Some(&two(&keeping)), &one(&keeping));
    assert_eq!(step.outcome, Outcome::Denied, "{step:#?}");
    inventory.application_set_controller = parameters(&json!({"policy": "create-only"}));
    let step = judged(&inventory, Some(&two(&json!({}))), &one(&json!({})));
    assert_eq!(step.outcome, Outcome::Admitted, "{step:#?}");
    assert_eq!(
        messages(&step, "blast-radius"),
        ["warn leaves behind 1 Application (prod 1)"]
    );
}

/// It was believed that each ApplicationSet may take as much work as one alone.
#[test]
fn all_sets_that_a_label_concerns_share_one_budget() {
    let sets = (0..16)
        .map(|index| {
            let mut set = addon();
            set["metadata"]["name"] = json!(format!("addon-{index}"));
            set["spec"]["template"]["metadata"]["annotations"]["text"] =
                json!("{{ repeat 2000000 .name }}".to_owned());
            set
        })
        .collect();
    let world = World {
        sets,
        ..World::default()
    };
    let old = secret(
        "alpha",
        &json!({"environment": "staging", "workload": "true"}),
    );
    let new = secret("alpha", &json!({"environment": "staging"}));
    let alone = World {
        sets: vec![world.sets[0].clone()],
        ..World::default()
    };
    let messages_of = |world: &World| messages(&world.update_secret(&old, &new), "blast-radius");
    let too_much = |messages: &[String]| {
        messages
            .iter()
            .filter(|message| message.contains("more work than"))
            .count()
    };
    assert_eq!(
        too_much(&messages_of(&alone)),
        0,
        "{:?}",
        messages_of(&alone)
    );
    let all = messages_of(&world);
    assert!(too_much(&all) >= 1, "{all:?}");
}

#[test]
fn a_set_that_argo_cd_fails_on_is_refused_in_whatever_environments_the_rule_holds() {
    let world = World {
        policy: json!({"rules": {"generated-applications": {"environments": ["prod"]}}}),
        ..World::default()
    };
    let twice = orders(
        &["alpha", "beta"],
        &json!({"spec": {"template": {"metadata": {"name": "orders"}}}}),
    );
    let verdict = world.create(&twice);
    assert_eq!(
        found(&verdict, "generated-applications")[0].level(),
        Level::Deny
    );
    let elements: Vec<Value> = (0..10_001)
        .map(|index| json!({"cluster": index.to_string()}))
        .collect();
    let mut too_many = orders(&["alpha"], &json!({}));
    too_many["spec"]["generators"] = json!([{"list": {"elements": elements}}]);
    let verdict = world.create(&too_many);
    assert_eq!(
        found(&verdict, "generated-applications")[0].level(),
        Level::Deny
    );
    // Where all is known, the rule holds where it is limited to.
    let verdict = world.create(&orders(&["alpha"], &json!({})));
    assert!(
        found(&verdict, "generated-applications").is_empty(),
        "{verdict:#?}"
    );
}

fn rolling(max_update: &Value) -> Value {
    let step = |tier: &str, max_update: &Value| json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": [tier]}], "maxUpdate": max_update});
    let mut set = orders(&["alpha", "omega"], &json!({}));
    set["spec"]["strategy"] = json!({"type": "RollingSync", "rollingSync": {"steps": [
        step("alpha", &json!(null)), step("omega", max_update),
    ]}});
    set["spec"]["template"]["metadata"]["labels"] = json!({"tier": "{{ .cluster }}"});
    set
}

#[test]
fn a_rolling_sync_syncs_production_by_itself_where_progressive_syncs_are_enabled() {
    let mut inventory = World::default().inventory();
    for (data, level) in [
        (None, Level::Undecided),
        (Some(json!({})), Level::Warn),
        (
            Some(json!({"enable.progressive.syncs": "true"})),
            Level::Deny,
        ),
    ] {
        inventory.application_set_controller = data.as_ref().map(parameters).unwrap_or_default();
        let verdict = judged(&inventory, None, &rolling(&json!(1)));
        let [finding] = found(&verdict, "prod-auto-sync")[..] else {
            panic!("{verdict:#?}");
        };
        assert_eq!(finding.level(), level, "{data:?}");
        assert_eq!(finding.field, "/spec/strategy/rollingSync/steps/1");
        let verdict = judged(&inventory, None, &rolling(&json!(0)));
        assert!(found(&verdict, "prod-auto-sync").is_empty(), "{verdict:#?}");
    }
    // It is no less a change if nothing else changes.
    let verdict = judged(
        &inventory,
        Some(&rolling(&json!(0))),
        &rolling(&json!("20%")),
    );
    assert_eq!(verdict.outcome, Outcome::Denied, "{verdict:#?}");
    let verdict = judged(
        &inventory,
        Some(&rolling(&json!(1))),
        &rolling(&json!("20%")),
    );
    assert_eq!(verdict.outcome, Outcome::Admitted, "{verdict:#?}");
}

#[test]
fn a_patch_that_takes_the_spec_away_is_the_culprit() {
    let patch =
        "spec:\n  {{- if eq .cluster \"alpha\" }}\n  syncPolicy: {automated: {}}\n  {{- end }}\n";
    let set = orders(
        &["alpha", "omega"],
        &json!({"spec": {"templatePatch": patch}}),
    );
    let verdict = World::default().create(&set);
    let denials: Vec<_> = verdict.of_level(Level::Deny).collect();
    let [finding] = denials[..] else {
        panic!("{verdict:#?}");
    };
    assert_eq!(finding.rule.as_str(), "generated-applications");
    assert_eq!(finding.field, "/spec/templatePatch");
    assert_eq!(
        finding.message,
        "renders to a null `spec` for orders-omega, which takes source and destination away"
    );
    assert_eq!(
        messages(&verdict, "blast-radius"),
        ["warn creates 1 Application (no environment 1)"]
    );
}

#[test]
fn a_finding_names_the_field_that_is_written() {
    let fields = |set: &Value, rule: &str| -> Vec<String> {
        let verdict = World::default().create(set);
        let found = found(&verdict, rule).into_iter();
        found.map(|finding| finding.field.to_string()).collect()
    };
    // What the patch takes away, replaces or adds is its doing, what it adds to is not.
    for (patch, field) in [
        ("spec: {source: null}", "/spec/templatePatch"),
        (
            "spec: {source: {repoURL: https://elsewhere.example.com/a}}",
            "/spec/templatePatch",
        ),
        (
            "metadata: {labels: {repoURL: a}}",
            "/spec/template/spec/source/repoURL",
        ),
    ] {
        let mut set = orders(&["alpha"], &json!({"spec": {"templatePatch": patch}}));
        if field != "/spec/templatePatch" {
            set["spec"]["template"]["spec"]["source"]["repoURL"] =
                json!("https://elsewhere.example.com/a");
        }
        assert_eq!(fields(&set, "project-scope"), [field], "{patch}");
    }
    let template = json!({"spec": {"source": {"repoURL": "https://elsewhere.example.com/a"}}});
    let mut own = orders(&["alpha"], &json!({}));
    own["spec"]["generators"][0]["list"]["template"] = template;
    assert_eq!(
        fields(&own, "project-scope"),
        ["/spec/generators/0/list/template/spec/source/repoURL"]
    );
    // A generator in a generator is named with all that it is in.
    let selector =
        json!({"clusters": {"selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}});
    let list = json!({"list": {"elements": [{"a": "b"}]}});
    for (generators, expected) in [
        (
            json!([{"matrix": {"generators": [selector, list]}}]),
            "/spec/generators/0/matrix/generators/0/clusters/selector",
        ),
        (
            json!([{"matrix": {"generators": [list, selector]}}]),
            "/spec/generators/0/matrix/generators/1/clusters/selector",
        ),
        (
            json!([list, {"merge": {"mergeKeys": ["a"], "generators": [list, selector]}}]),
            "/spec/generators/1/merge/generators/1/clusters/selector",
        ),
        (
            json!([{"matrix": {"generators": [list, {"matrix": {"generators": [list, {}]}}]}}]),
            "/spec/generators/0/matrix/generators/1/matrix/generators/1",
        ),
    ] {
        let mut set = orders(&[], &json!({}));
        set["spec"]["generators"] = generators;
        let fields = fields(&set, "generated-applications");
        assert_eq!(fields, [expected]);
        assert!(set.pointer(expected).is_some(), "{expected}");
    }
}

/// It was believed that a fleet of which some is known is the whole.
#[test]
fn what_a_set_does_to_clusters_that_are_not_among_the_files_is_undecided() {
    let mut set = automated();
    let judge = |completeness: Completeness, set: &Value| {
        let mut inventory = World::default().inventory();
        inventory.completeness = completeness;
        judged(&inventory, None, set)
    };
    let verdict = judge(Completeness::Partial, &set);
    assert_eq!(verdict.outcome, Outcome::Admitted);
    assert_eq!(
        messages(&verdict, "prod-auto-sync"),
        [
            "undecided the template of clusters: if {{ .name }} is production, auto-syncs production: an empty `automated` is on, not off"
        ]
    );
    for completeness in [Completeness::AllClusters, Completeness::Complete] {
        let verdict = judge(completeness, &set);
        assert!(found(&verdict, "prod-auto-sync").is_empty(), "{verdict:#?}");
    }
    // A label that no production cluster has leaves nothing open.
    set["spec"]["generators"][0]["clusters"]["selector"] =
        json!({"matchLabels": {"environment": "staging"}});
    let verdict = judge(Completeness::Partial, &set);
    assert!(found(&verdict, "prod-auto-sync").is_empty(), "{verdict:#?}");
    // One that selects none is decided where all are known.
    set["spec"]["generators"][0]["clusters"]["selector"] = json!({"matchLabels": {"gpu": "true"}});
    assert!(judge(Completeness::AllClusters, &set).findings.is_empty());
    let verdict = judge(Completeness::Partial, &set);
    assert_eq!(
        verdict.of_level(Level::Undecided).count(),
        verdict.findings.len()
    );
    assert!(!verdict.findings.is_empty());
}
