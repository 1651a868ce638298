//! ApplicationSets and cluster Secrets, judged by what they generate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use argocd::application::EnabledField;
use argocd::fleet::Parts;
use argocd::{AppProject, ApplicationSet, Cluster, Fleet};
use base64::Engine as _;
use policy::fan_out::{Change, FanOut};
use policy::{
    Completeness, Finding, GitOpsPolicySpec, Inventory, Level, Object, Operation, Outcome,
    Propagation, Subject, Verdict, evaluate,
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
        let subject = Subject {
            old: Some(object(&old)),
            operation: Operation::Update,
            ..Subject::new(object(&new))
        };
        evaluate(&subject, &self.inventory())
    }

    fn update_secret(&self, old: &Value, new: &Value) -> Verdict {
        let (old, new) = (old.to_string(), new.to_string());
        let object = |json| Object::ClusterSecret(serde_json::from_str(json).unwrap());
        let subject = Subject {
            old: Some(object(&old)),
            operation: Operation::Update,
            ..Subject::new(object(&new))
        };
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
        .map(|finding| format!("{} {}", finding.level, finding.message))
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
            .all(|finding| finding.level == Level::Undecided),
        "{scope:#?}"
    );
    assert_eq!(
        found(&verdict, "generated-applications")[0].level,
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
        assert_eq!(not_known[0].level, Level::Undecided, "{verdict:#?}");
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
        ["undecided clusters cannot be judged without a cluster that it selects"]
    );
    assert_eq!(found(&verdict, "prod-auto-sync")[0].level, Level::Undecided);
}

#[test]
fn automated_sync_of_a_placeholder_is_undecided_and_of_a_production_project_is_not() {
    let mut set = automated();
    set["spec"]["generators"] = json!([{"pullRequest": {}}]);
    let verdict = World::default().create(&set);
    assert_eq!(found(&verdict, "prod-auto-sync")[0].level, Level::Undecided);
    set["spec"]["template"]["spec"]["project"] = json!("addons-prod");
    let verdict = World::default().create(&set);
    assert_eq!(found(&verdict, "prod-auto-sync")[0].level, Level::Deny);
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
        ["warn creates 1 Application (prod 1)"]
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

/// It was believed that nothing comes from one, but it may be a later Argo CD's, or a file's that is
/// misspelt.
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
        "generated-applications: spec.generators[0]: `oci` is no generator known here; \
         check how it is spelt; each Application is judged when it is created"
    );
    assert_eq!(finding.level, Level::Undecided);
    assert_eq!(
        messages(&verdict, "default-project"),
        ["deny the template of oci: the project `default` permits everything unless cut down"]
    );
    assert_eq!(found(&verdict, "prod-auto-sync")[0].level, Level::Undecided);
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
        [r#"deny 2 generated Applications have no valid name, such as "addon-alpha-<no value>""#]
    );
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
    let subject = Subject {
        operation: Operation::Delete(Propagation::Background),
        ..Subject::new(Object::ApplicationSet(Box::new(set)))
    };
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
    assert_eq!(found(&verdict, "cascade-delete")[0].level, Level::Undecided);
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
